package gssenc

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// blackHole is a port whose host drops packets: Linux does so when as many connections wait to be accepted as a listener takes.
func blackHole(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*syscall.SockaddrInet4).Port)).String()
	for range 10 {
		c, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Skip("this kernel takes connections without end")
	return ""
}

func TestKDCBehindABlackHole(t *testing.T) {
	lastAnswered.Clear()
	good, _ := startKDC(t)
	conf := realmAt(t, blackHole(t), good.address)
	if d := took(func() { acquireAlice(t, conf) }); d < time.Second || d > 5*time.Second {
		t.Errorf("the login took %v", d)
	}
	host, port, _ := net.SplitHostPort(good.address)
	if last, ok := lastAnswered.Load("A.TEST"); !ok || last != (kdc{host, port}) {
		t.Errorf("%v is remembered", last)
	}
}

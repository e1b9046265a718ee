package agent

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// TestRemoveDefaultRoutes has a network namespace of its own, with loopback alone.
func TestRemoveDefaultRoutes(t *testing.T) {
	runtime.LockOSThread() // and not unlocked: the thread ends with the test
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespace of its own: %v; the tests of fixtures try the same in containers", err)
	}
	socket, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(socket) }()
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	up := []byte{syscall.AF_UNSPEC, 0, 0, 0, byte(lo.Index), 0, 0, 0, syscall.IFF_UP, 0, 0, 0, syscall.IFF_UP, 0, 0, 0} // struct ifinfomsg
	if err := request(socket, syscall.RTM_SETLINK, up); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"0.0.0.0/0", "::/0", "10.9.0.0/24"} {
		if err := request(socket, syscall.RTM_NEWROUTE, routeMessage(netip.MustParsePrefix(text), lo.Index)); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	defaults := func() (n int) {
		for file, mark := range map[string]string{"/proc/thread-self/net/route": "lo\t00000000\t", "/proc/thread-self/net/ipv6_route": "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 00000400"} {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			n += strings.Count(string(text), mark)
		}
		return n
	}
	if n := defaults(); n != 2 {
		t.Fatalf("%d default routes were made, want 2", n)
	}
	for _, family := range []byte{syscall.AF_INET, syscall.AF_INET6} {
		if err := removeDefaultRoutes(socket, family); err != nil {
			t.Errorf("family %d: %v", family, err)
		}
	}
	if n := defaults(); n != 0 {
		t.Errorf("%d default routes are left", n)
	}
	text, err := os.ReadFile("/proc/thread-self/net/route")
	if err != nil || !strings.Contains(string(text), "0000090A") {
		t.Errorf("the route to a network is gone, too: %v\n%s", err, text)
	}
}

package gssenc

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/net/nettest"
)

const inNettest = "GSSENC_NETTEST"

// TestNettest holds Conn to the contract of net.Conn, with real ciphers over TCP, from either end. Three tests of nettest.TestConn do not apply: they write
// again after a write that has timed out, and that has broken a Conn, as it has a tls.Conn. TestConnWriteTimeoutStays is about it. nettest does not leave tests out,
// package testing does: hence the process of its own.
func TestNettest(t *testing.T) {
	if os.Getenv(inNettest) != "" {
		for name, turn := range map[string]bool{"initiator": false, "acceptor": true} {
			t.Run(name, func(t *testing.T) {
				nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
					i, a := sealedPair(t)
					if turn {
						i, a = a, i
					}
					return i, a, func() { _, _ = i.Close(), a.Close() }, nil
				})
			})
		}
		return
	}
	own := exec.Command(os.Args[0], "-test.run=^TestNettest$", "-test.v", "-test.skip=^TestNettest$/^(initiator|acceptor)$/^(PastTimeout|FutureTimeout|ConcurrentMethods)$")
	own.Env = append(os.Environ(), inNettest+"=1")
	said, err := own.CombinedOutput()
	t.Logf("%s", said)
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{"initiator", "acceptor"} {
		for _, name := range []string{"BasicIO", "PingPong", "RacyRead", "RacyWrite", "ReadTimeout", "WriteTimeout", "PresentTimeout", "CloseTimeout"} {
			if want := "--- PASS: TestNettest/" + end + "/" + name + " "; !bytes.Contains(said, []byte(want)) {
				t.Errorf("nettest no longer has, or did not pass, %s/%s", end, name)
			}
		}
	}
}

// sealedPair is a connection under GSS encryption, seen from both ends.
func sealedPair(t *testing.T) (initiator, acceptor *Conn) {
	t.Helper()
	client, server := tcpPair(t)
	i, a := pair(t, 18)
	initiator, err := newConn(client, i)
	if err != nil {
		t.Fatal(err)
	}
	if acceptor, err = newConn(server, a); err != nil {
		t.Fatal(err)
	}
	return initiator, acceptor
}

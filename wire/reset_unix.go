//go:build unix

package wire

import (
	"net"
	"syscall"
)

// awaitReset watches a connection whose peer has ended its sending direction. It returns true when the peer resets
// the connection after all (it was closed, not half-closed, and something was sent to it), false when the connection
// has been closed here. Nobody reads from it any more, so that otherwise the reset would be seen one write too late.
func awaitReset(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	failed := false
	_ = raw.Read(func(fd uintptr) bool {
		errno, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
		failed = err == nil && errno != 0
		return failed
	})
	return failed
}

//go:build unix

package gssenc

import (
	"errors"
	"net"
	"syscall"
)

// pending says whether bytes of the peer wait to be read, without waiting or taking them. It is false where the transport
// does not tell.
func pending(transport net.Conn) bool {
	n, _, known := peek(transport)
	return known && n > 0
}

// silent says that the peer has neither sent anything nor hung up; false where the transport does not tell.
func silent(transport net.Conn) bool {
	_, err, known := peek(transport)
	return known && (errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EWOULDBLOCK))
}

func peek(transport net.Conn) (n int, err error, known bool) {
	s, ok := transport.(syscall.Conn)
	if !ok {
		return 0, nil, false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, err, false
	}
	var b [1]byte
	controlled := raw.Control(func(fd uintptr) { // net's descriptors are non-blocking
		n, _, err = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
	})
	return n, err, controlled == nil
}

//go:build !unix

package wire

import "net"

// awaitReset cannot see a reset after the end of the stream here: it is found by the next write.
func awaitReset(net.Conn) bool { return false }

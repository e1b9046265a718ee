package gssenc

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// The protocol of KCM, a daemon that keeps credential caches (SSSD's sssd-kcm, Heimdal's kcm): libkrb5's include/kcm.h and
// lib/krb5/ccache/cc_kcm.c. A request is a length, the version 2.0, an operation and its parameters; a reply a length, a status of the
// transport, a status of the operation, and what was asked for. Numbers are big-endian, names end with a zero octet, principals and
// tickets are in the format of FILE caches of version 4.
const (
	kcmSocket  = "/var/run/.heim_org.h5l.kcm-socket" // libkrb5's default of kcm_socket
	kcmTimeout = 10 * time.Second

	kcmGetPrincipal    = 8
	kcmGetCredUUIDList = 9
	kcmGetCredByUUID   = 10
	kcmGetDefaultCache = 20
	kcmUUID            = 16 // octets
	maxKCMCredentials  = 1 << 12
)

// errNoKCMCache says that the daemon knows of no such cache.
var errNoKCMCache = errors.New("KCM has no such cache")

// readKCM reads the cache of a name, or the caller's default one.
func (c *krb5Conf) readKCM(ctx context.Context, name string) (ccache, origin, error) {
	socket, _ := c.profile.value("libdefaults", "kcm_socket")
	if socket == "-" {
		return ccache{}, origin{}, errors.New("krb5.conf: kcm_socket = - turns KCM off")
	}
	cache, print, err := readKCM(ctx, cmp.Or(socket, kcmSocket), name)
	if err != nil {
		return ccache{}, origin{}, fmt.Errorf("ccache KCM:%s: %w", name, err)
	}
	return cache, origin{same: func(ctx context.Context) bool {
		_, now, err := readKCM(ctx, cmp.Or(socket, kcmSocket), name)
		return err == nil && now == print
	}}, nil
}

func readKCM(ctx context.Context, socket, name string) (cache ccache, print [sha256.Size]byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, kcmTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return ccache{}, print, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	content, err := askKCM(conn, name)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return ccache{}, print, err
	}
	cache, err = parseCCache(content)
	return cache, sha256.Sum256(content), err
}

// askKCM makes of a cache the content of a FILE ccache of version 4.
func askKCM(conn io.ReadWriter, name string) ([]byte, error) {
	if name == "" {
		reply, err := callKCM(conn, kcmGetDefaultCache, nil)
		if err != nil {
			return nil, err
		}
		end := bytes.IndexByte(reply, 0)
		if end < 0 {
			return nil, errKCMReply
		}
		name = string(reply[:end])
	}
	cache := append([]byte(name), 0)
	owner, err := callKCM(conn, kcmGetPrincipal, cache)
	if err != nil {
		return nil, err
	}
	if len(owner) == 0 { // Heimdal's way to say so
		return nil, errNoKCMCache
	}
	uuids, err := callKCM(conn, kcmGetCredUUIDList, cache)
	if err != nil {
		return nil, err
	}
	if len(uuids)%kcmUUID != 0 || len(uuids)/kcmUUID > maxKCMCredentials {
		return nil, errKCMReply
	}
	content := append([]byte{5, 4, 0, 0}, owner...)
	for len(uuids) > 0 {
		entry, err := callKCM(conn, kcmGetCredByUUID, append(bytes.Clone(cache), uuids[:kcmUUID]...))
		if err != nil {
			return nil, err
		}
		uuids, content = uuids[kcmUUID:], append(content, entry...)
		if len(content) > maxCCache {
			return nil, errKCMReply
		}
	}
	return content, nil
}

var errKCMReply = errors.New("KCM sent a reply that cannot be read")

// callKCM makes one call.
func callKCM(conn io.ReadWriter, operation uint16, parameters []byte) ([]byte, error) {
	request := binary.BigEndian.AppendUint32(nil, uint32(4+len(parameters)))
	request = binary.BigEndian.AppendUint16(append(request, 2, 0), operation)
	if _, err := conn.Write(append(request, parameters...)); err != nil {
		return nil, err
	}
	var head [8]byte // the status of the transport is not counted in the length
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if status := int32(binary.BigEndian.Uint32(head[4:])); status != 0 {
		return nil, kcmStatus(status)
	}
	if n < 4 || n > maxCCache {
		return nil, errKCMReply
	}
	reply, err := io.ReadAll(io.LimitReader(conn, int64(n))) // room for what comes, not for what is claimed
	if err != nil {
		return nil, err
	}
	if len(reply) < int(n) {
		return nil, io.ErrUnexpectedEOF
	}
	if status := int32(binary.BigEndian.Uint32(reply)); status != 0 {
		return nil, kcmStatus(status)
	}
	return reply[4:], nil
}

// kcmStatus reads an error code of libkrb5.
func kcmStatus(status int32) error {
	const fccNoFile, ccNotFound, ccEnd = -1765328189, -1765328243, -1765328242
	switch status {
	case fccNoFile, ccNotFound, ccEnd:
		return errNoKCMCache
	}
	return fmt.Errorf("KCM refuses: error %d of libkrb5", status)
}

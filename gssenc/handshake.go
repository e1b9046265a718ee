package gssenc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	requestCode = 80877104 // GSSENCRequest (manual, "Message Formats")

	// maxToken bounds a context token: 64 kB with its length word since 13.22, 14.19, 15.14, 16.10 and 17.6 (PQ_GSS_AUTH_BUFFER_SIZE);
	// older servers take and send 16 kB.
	maxToken = 65536 - 4

	// maxRounds bounds the exchange of tokens. Kerberos takes one round, SPNEGO up to two.
	maxRounds = 8
)

// ErrRefused says that the server does not offer GSS encryption: it answered N. The connection can still be used in
// the clear or for an SSLRequest.
var ErrRefused = errors.New("the server does not offer GSS encryption")

// errAnsweredError hides what the peer says: nothing authenticates it yet (CVE-2024-10977).
var errAnsweredError = errors.New("the peer answered with an error message; it is unauthenticated and not shown, the server's log may tell more")

// Client asks a server for GSS encryption and establishes the security context, as the first thing on a connection. The
// service ticket is fetched only after the server agreed. On errors.Is(err, ErrRefused) the connection can still be used
// otherwise; after any other error it is of no use, and the caller closes it. A ctx that ends makes what waits return.
// Deadlines set on the transport are overwritten where ctx can end.
func Client(ctx context.Context, transport net.Conn, c *Credentials, o InitOptions) (*Conn, error) {
	if err := request(ctx, transport); err != nil {
		return nil, err
	}
	return secure(ctx, transport, c, o)
}

// secure establishes the context on a connection whose server agreed to GSS encryption.
func secure(ctx context.Context, transport net.Conn, c *Credentials, o InitOptions) (*Conn, error) {
	i, err := c.Initiate(ctx, o)
	if err != nil {
		return nil, err
	}
	return i.establish(ctx, transport)
}

// establish exchanges tokens. A server that refuses a ticket hangs up without a word, and then the ticket is not used again.
func (i *Initiator) establish(ctx context.Context, transport net.Conn) (*Conn, error) {
	if err := exchange(ctx, transport, i.Step); err != nil {
		if ctx.Err() == nil {
			i.reject()
		}
		return nil, err
	}
	x, err := i.Context()
	if err != nil {
		return nil, err
	}
	conn, err := newConn(transport, x)
	if err == nil {
		conn.info = Session{Principal: i.from.Principal(), Service: x.Acceptor(), EType: x.EType(), Delegated: i.Delegated()}
	}
	return conn, err
}

// request sends GSSENCRequest and reads the one byte that answers it, and no more: nothing that follows may be buffered
// where it could later pass as protected (CVE-2021-23222).
func request(ctx context.Context, transport net.Conn) error {
	return within(ctx, transport, StageRequest, func() error {
		message := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), requestCode)
		if _, err := transport.Write(message); err != nil {
			return fmt.Errorf("GSSENCRequest could not be sent: %w", err)
		}
		var answer [1]byte
		if _, err := io.ReadFull(transport, answer[:]); err != nil {
			return fmt.Errorf("no answer to GSSENCRequest: %w", err)
		}
		switch answer[0] {
		case 'G':
			return nil
		case 'N':
			return ErrRefused
		case 'E':
			return errAnsweredError
		}
		return fmt.Errorf("the peer answered GSSENCRequest with byte %#02x; only G and N are answers", answer[0])
	})
}

// exchange carries tokens both ways until step says that the context stands.
func exchange(ctx context.Context, transport net.Conn, step func(in []byte) (out []byte, done bool, err error)) error {
	return within(ctx, transport, StageToken, func() error {
		var in []byte
		for round := range maxRounds {
			out, done, err := step(in)
			if err != nil {
				return err
			}
			if len(out) > maxToken {
				return fmt.Errorf("ours has %d bytes; a server takes at most %d", len(out), maxToken)
			}
			if round == 0 && pending(transport) {
				return errors.New("received unencrypted data after the answer to GSSENCRequest: no token was due")
			}
			if len(out) > 0 {
				if _, err := transport.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(out))), out...)); err != nil {
					return fmt.Errorf("it could not be sent: %w", err)
				}
			}
			if done {
				return nil
			}
			if in, err = readToken(transport); err != nil {
				return err
			}
		}
		return fmt.Errorf("no context after %d rounds", maxRounds)
	})
}

func readToken(transport io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(transport, length[:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: the server hung up; its log says why (keytab, clock, principal)", err)
		}
		return nil, fmt.Errorf("none came: %w", err)
	}
	n := binary.BigEndian.Uint32(length[:])
	switch {
	case n > maxToken && length[0] == 'E':
		return nil, errAnsweredError
	case n == 0 || n > maxToken:
		return nil, fmt.Errorf("its length is said to be %d bytes; 1 to %d are allowed", n, maxToken)
	}
	token := make([]byte, n)
	if _, err := io.ReadFull(transport, token); err != nil {
		return nil, fmt.Errorf("it was cut: %w", err)
	}
	return token, nil
}

// within runs f, whose reads and writes on transport return when ctx ends. The transport has no deadline afterwards.
func within(ctx context.Context, transport net.Conn, stage Stage, f func() error) error {
	if err := context.Cause(ctx); err != nil {
		return &Error{Stage: stage, Err: err}
	}
	expired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(expired)
		_ = transport.SetDeadline(time.Unix(1, 0)) // an error here is met again by f
	})
	err := f()
	if !stop() {
		<-expired
		_ = transport.SetDeadline(time.Time{})
		if err == nil {
			return &Error{Stage: stage, Err: context.Cause(ctx)}
		}
		return &Error{Stage: stage, Err: fmt.Errorf("%w: %w", context.Cause(ctx), err)}
	}
	if err != nil {
		return at(stage, err)
	}
	return nil
}

package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// session reads messages until the server waits for an answer that Raw has not, is ready, or ends. Once it is ready, an
// empty query marks the place up to which only what was stuffed can have been executed.
func (c *rawConn) session() error {
	asked := false
	for {
		head, err := c.in.Peek(5)
		if err != nil {
			return c.drain(err)
		}
		kind := head[0]
		size, ok := bodySize(head)
		if !ok {
			return c.drain(nil) // the form before protocol 3.0, or no protocol: the parser has recorded it
		}
		_, _ = c.in.Discard(len(head))
		body := make([]byte, min(size, keptError))
		if _, err := io.ReadFull(c.in, body); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, c.in, int64(size-len(body))); err != nil {
			return err
		}
		switch kind {
		case 'R':
			if len(body) >= 4 && binary.BigEndian.Uint32(body) != 0 {
				return errThrough
			}
		case 'v':
			if len(body) >= 4 {
				v := binary.BigEndian.Uint32(body)
				if v < 1<<16 { // minor alone, as the manual has it; servers send both halves
					v |= 3 << 16
				}
				c.played.Version = fmt.Sprintf("%d.%d", v>>16, v&0xffff)
			}
		case 'C':
			if len(c.played.Executed) < maxEvents {
				c.played.Executed = append(c.played.Executed, text(body[:max(len(body)-1, 0)]))
			}
		case 'I':
			if asked {
				_ = c.send(typedMessage('X', ""))
				return errThrough
			}
		case 'Z':
			c.played.End = EndSession
			if !asked {
				asked = true
				if err := c.send(queryMessage("")); err != nil {
					return err
				}
			}
		}
	}
}

// drain reads what has no form.
func (c *rawConn) drain(err error) error {
	if err == nil {
		_, err = io.CopyN(io.Discard, c.in, maxError)
	}
	return err
}

// alternate sends requests as long as the answer is N. The parser sees the first few and the last, or the record would
// be as long as the sequence.
func (c *rawConn) alternate() error {
	const recorded = 16
	conn, in := c.tap.Conn, c.in
	for i := range c.Count {
		packet := requestPacket(sslRequestCode)
		if i%2 == 1 {
			packet = requestPacket(gssencRequestCode)
		}
		if i < recorded {
			if err := c.ask(packet, nil); err != nil || c.answered() != "N" {
				return errors.Join(err, errThrough)
			}
			continue
		}
		if i == recorded {
			in = bufio.NewReader(conn)
		}
		if _, err := conn.Write(packet); err != nil {
			return err
		}
		b, err := in.Peek(1)
		if err != nil {
			return err
		}
		if b[0] != 'N' {
			c.tap.feed(client, packet)
			c.use(&tap{Conn: buffered{c.tap, in}, mu: &c.mu, micros: c.micros, parser: c.tap.parser, far: server})
			if b[0] == 'S' || b[0] == 'G' {
				_, _ = c.in.ReadByte()
				c.played.Answers++
				return errThrough
			}
			return c.session()
		}
		_, _ = in.Discard(1)
		c.played.Answers++
	}
	return errThrough
}

// settle says how it ended.
func (c *rawConn) settle(err error) {
	c.played.Error = c.last(ErrorResponse)
	now := c.micros()
	var remote *net.OpError
	switch {
	case c.played.End == EndSession:
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		c.played.End = EndReset
		c.journal.event(now, server.String(), Reset, "")
	case errors.Is(err, errThrough) && !errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
		c.played.End = EndOpen
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		c.tap.parser.end(now, server)
		c.played.End = EndClosed
		c.journal.event(now, server.String(), Close, "")
	case c.played.TLS != "", errors.As(err, &remote) && remote.Op == "remote error": // an alert ends TLS
		c.played.End = EndClosed
	default:
		c.played.End = EndOpen
		if err != nil {
			c.played.Record.Error = fmt.Sprintf("connection to the server: %v", err)
		}
	}
}

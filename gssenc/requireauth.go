package gssenc

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// requireAuth has pgconn accept AuthenticationOk without a request before it where a session is under GSS encryption and gss is
// allowed (libpq, check_expected_areq in fe-auth.c), and only there.
func (k *connector) requireAuth(config *pgconn.Config) {
	relaxed, changed := countGSS(config.RequireAuth)
	if !changed {
		return
	}
	k.watched = true
	given := config.RequireAuth
	config.RequireAuth = relaxed
	build := config.BuildFrontend
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		conn, _ := w.(net.Conn)
		inner := k.below(conn)
		if _, ok := inner.(*Conn); !ok {
			watched, _ := otherBelow(inner)
			r = &authWatch{r: r, list: given, conn: watched}
		}
		return build(r, w)
	}
}

// countGSS gives the list that accepts what list accepts, and no authentication at all, if list allows gss and would not.
func countGSS(list string) (relaxed string, changed bool) {
	var methods []string
	for m := range strings.SplitSeq(list, ",") {
		methods = append(methods, strings.TrimSpace(m))
	}
	if !strings.HasPrefix(methods[0], "!") {
		if slices.Contains(methods, "gss") && !slices.Contains(methods, "none") {
			return list + ",none", true
		}
		return list, false
	}
	if slices.Contains(methods, "!none") && !slices.Contains(methods, "!gss") {
		return strings.Join(slices.DeleteFunc(methods, func(m string) bool { return m == "!none" }), ","), true
	}
	return list, false
}

// otherConn is a connection without GSS encryption that is to be known again: for ValidateConnect, or under authWatch. After an error
// of Read pgconn sends a cancel request, on a connection of its own, to where RemoteAddr says. There is nothing to cancel where
// authWatch ended it, so it then says nowhere.
type otherConn struct {
	net.Conn
	attempt attempt
	target  string
	onClose func() // may be nil
	failed  atomic.Bool
}

const nowhere = "%gssenc-nowhere"

type nowhereAddr struct{}

func (nowhereAddr) Network() string { return "tcp" }
func (nowhereAddr) String() string  { return nowhere }

// RemoteAddr is that of the connection, until authWatch has ended it.
func (c *otherConn) RemoteAddr() net.Addr {
	if c.failed.Load() {
		return nowhereAddr{}
	}
	return c.Conn.RemoteAddr()
}

func (c *otherConn) Close() error {
	if c.onClose != nil {
		c.onClose()
	}
	return c.Conn.Close()
}

// otherBelow returns the otherConn that a connection is or has below TLS, or nil.
func otherBelow(conn net.Conn) (c *otherConn, underTLS bool) {
	if t, ok := conn.(*tls.Conn); ok {
		conn, underTLS = t.NetConn(), true
	}
	c, _ = conn.(*otherConn)
	return c, underTLS
}

// authWatch reads a server's messages up to the first about authentication, and fails if that is AuthenticationOk.
type authWatch struct {
	r       io.Reader
	list    string
	conn    *otherConn // that r belongs to; may be nil
	decided bool
	err     error
	header  []byte // type, length and, of an authentication message, its code: as far as seen
	skip    int    // bytes of a message that does not matter
}

func (a *authWatch) Read(p []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	n, err := a.r.Read(p)
	for b := p[:n]; len(b) > 0 && !a.decided; {
		if a.skip > 0 {
			skipped := min(a.skip, len(b))
			a.skip, b = a.skip-skipped, b[skipped:]
			continue
		}
		a.header, b = append(a.header, b[0]), b[1:]
		if len(a.header) == 5 && a.header[0] != 'R' {
			a.skip = max(0, int(uint32(a.header[1])<<24|uint32(a.header[2])<<16|uint32(a.header[3])<<8|uint32(a.header[4]))-4)
			a.header = a.header[:0]
		}
		if len(a.header) == 9 {
			a.decided = true
			if string(a.header[5:]) == "\x00\x00\x00\x00" {
				a.err = fmt.Errorf("authentication method requirement %q failed: server did not complete authentication", a.list)
				if a.conn != nil {
					a.conn.failed.Store(true)
				}
				return 0, a.err
			}
		}
	}
	return n, err
}

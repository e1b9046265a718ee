package gssenc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// pgconn knows an attempt by its host and whether it has a TLSConfig, tells LookupFunc the host alone, and DialFunc the address
// alone. So attempts of a host without GSS encryption carry a mark in Host, and each address that is looked up carries one that
// says which attempt it is for. The marks are removed before anything is looked up or dialled; errors of pgconn show them.
//
// A connect of pgconn looks up all of its attempts, in their order, before it dials the first. The number in the mark grows with
// each look-up for an attempt with GSS encryption. So all look-ups that a connect makes after such a one, and before it dials,
// have its number or a higher one, up to the highest at that time; look-ups of connects that begin later have still higher ones.
const (
	otherHost  = "%nogss"
	gssMark    = "%gss"
	otherMark  = "%nogss"
	markFormat = "%d.%d"
)

// attempt is what a mark says.
type attempt struct {
	gss     bool
	host    int    // index in connector.hosts
	connect uint64 // what connector.connects was at the look-up
}

func (a attempt) mark() string {
	mark := otherMark
	if a.gss {
		mark = gssMark
	}
	return mark + fmt.Sprintf(markFormat, a.host, a.connect)
}

// parseAttempt takes the mark out of an address to be dialled.
func parseAttempt(address string) (target string, a attempt, ok bool) {
	ip, port, err := net.SplitHostPort(address)
	if err != nil {
		return address, attempt{}, false
	}
	at := strings.LastIndexByte(ip, '%')
	if at < 0 {
		return address, attempt{}, false
	}
	numbers, gss := strings.CutPrefix(ip[at:], gssMark)
	if !gss {
		if numbers, ok = strings.CutPrefix(ip[at:], otherMark); !ok {
			return address, attempt{}, false
		}
	}
	host, connect, _ := strings.Cut(numbers, ".")
	h, err1 := strconv.ParseUint(host, 10, 31)
	c, err2 := strconv.ParseUint(connect, 10, 64)
	if err1 != nil || err2 != nil {
		return address, attempt{}, false
	}
	return net.JoinHostPort(ip[:at], port), attempt{gss, int(h), c}, true
}

// addAttempts puts an attempt with GSS encryption before those of each host, and returns the hosts.
func addAttempts(config *pgconn.Config, mode string) ([]string, error) {
	old := append([]*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}}, config.Fallbacks...)
	var attempts []*pgconn.FallbackConfig
	var hosts []string
	had := map[bool]bool{} // of the present host, by TLS or not: a second of a kind is the next host, be it of the same name
	for i, a := range old {
		if network, _ := pgconn.NetworkAddress(a.Host, a.Port); network == "unix" {
			if mode == Require {
				return nil, failf(StageConfig, "gssencmode=require, but host %s is a unix-domain socket, which GSS encryption does not support", a.Host)
			}
			attempts = append(attempts, a)
			continue
		}
		if !slices.Contains(hosts, a.Host) {
			hosts = append(hosts, a.Host)
		}
		if i == 0 || a.Host != old[i-1].Host || a.Port != old[i-1].Port || had[a.TLSConfig != nil] {
			attempts = append(attempts, &pgconn.FallbackConfig{Host: a.Host, Port: a.Port})
			clear(had)
		}
		had[a.TLSConfig != nil] = true
		if mode == Prefer {
			attempts = append(attempts, &pgconn.FallbackConfig{Host: a.Host + otherHost, Port: a.Port, TLSConfig: a.TLSConfig})
		}
	}
	config.Host, config.Port, config.TLSConfig = attempts[0].Host, attempts[0].Port, attempts[0].TLSConfig
	config.Fallbacks = attempts[1:]
	return hosts, nil
}

// configured says whether Configure was called for the configuration, or for one that it is a copy of.
func configured(config *pgconn.Config) bool {
	ours := reflect.ValueOf(new(connector).lookupHost).Pointer() // one and the same for every connector
	return config.LookupFunc != nil && reflect.ValueOf(config.LookupFunc).Pointer() == ours
}

func (k *connector) lookupHost(ctx context.Context, host string) ([]string, error) {
	host, other := strings.CutSuffix(host, otherHost)
	index := slices.Index(k.hosts, host)
	if index < 0 { // a host that was added after Configure: it is dialled without a mark
		return k.lookup(ctx, host)
	}
	k.mu.Lock()
	if !other {
		k.connects++ // also if the look-up fails: those after it may not
	}
	mark := attempt{!other, index, k.connects}.mark()
	k.mu.Unlock()
	addresses, err := k.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	marked := make([]string, len(addresses))
	for i, a := range addresses {
		marked[i] = a + mark
		if address, port, err := net.SplitHostPort(a); err == nil {
			marked[i] = net.JoinHostPort(address+mark, port)
		}
	}
	return marked, nil
}

// refusal keeps the attempts of connects that come after an attempt from being dialled. It may hit an attempt of another connect of
// the same configuration that is made at the same time: that fails, where otherwise it might have been in the clear.
type refusal struct {
	attempt   attempt // that it comes from
	target    string  // of it: another method is not dialled there
	everyHost bool    // nor anywhere else
	plainOnly bool    // but TLS is
	err       error

	last    uint64 // connect of the last attempts that it is for
	expires time.Time
}

// keepRefusal is longer than a connect takes between two attempts at a host.
const keepRefusal = 10 * time.Minute

func (r *refusal) sameFor(other refusal) bool {
	return r.everyHost == other.everyHost && r.plainOnly == other.plainOnly && (r.everyHost || r.samePlace(other.attempt, other.target))
}

// samePlace compares the host by its name and port: a host that was rejected is not tried by its other addresses either.
func (r *refusal) samePlace(a attempt, target string) bool {
	_, port, _ := net.SplitHostPort(r.target)
	_, otherPort, _ := net.SplitHostPort(target)
	return r.attempt.host == a.host && port == otherPort
}

func (k *connector) refuse(r refusal) {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	r.last, r.expires = k.connects, now.Add(keepRefusal)
	k.refusals = slices.DeleteFunc(k.refusals, func(old refusal) bool { return now.After(old.expires) })
	for i := range k.refusals { // one after the other become one
		old := &k.refusals[i]
		if old.sameFor(r) && old.attempt.connect <= r.attempt.connect && r.attempt.connect <= old.last+1 {
			old.last, old.expires, old.err = max(old.last, r.last), r.expires, r.err
			return
		}
	}
	k.refusals = append(k.refusals, r)
}

// refused returns what keeps an attempt without GSS encryption from being dialled.
func (k *connector) refused(a attempt, target string) *refusal {
	k.mu.Lock()
	defer k.mu.Unlock()
	var found *refusal
	for _, r := range k.refusals {
		if r.attempt.connect <= a.connect && a.connect <= r.last && (r.everyHost || r.samePlace(a, target)) && (found == nil || found.plainOnly) {
			found = &r
		}
	}
	return found
}

// validateConnect has a host that ValidateConnect (target_session_attrs) rejects not tried by less protected methods. pgconn would go
// on to them, and with prefer-standby would keep the last: after a session under GSS encryption, one in the clear.
func (k *connector) validateConnect(config *pgconn.Config) {
	then := config.ValidateConnect
	if then == nil || k.mode != Prefer {
		return
	}
	k.validated = true
	config.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		err := then(ctx, conn)
		if err == nil {
			return nil
		}
		inner := k.below(conn.Conn())
		// Not wrapped: pgconn would find the NotPreferredError in it, and take the refused attempt for one that was not preferred.
		r := refusal{err: failf(StageDial, "no other method with this host, which was rejected in a session: %v", err)}
		if c, ok := inner.(*Conn); ok {
			r.attempt, r.target = c.attempt, c.target
		} else if c, tls := otherBelow(inner); c != nil && tls && c.attempt.connect > 0 {
			r.attempt, r.target, r.plainOnly = c.attempt, c.target, true
		} else {
			return err
		}
		k.refuse(r)
		k.decide(ctx, "the host is rejected, and no other method with it is tried", k.hosts[r.attempt.host], r.target, err)
		return err
	}
}

// tlsOnlyConn lets nothing pass that does not begin TLS.
type tlsOnlyConn struct {
	net.Conn
	refusal error
	begun   bool
}

func (c *tlsOnlyConn) Write(p []byte) (int, error) {
	const sslRequest, handshake = 80877103, 0x16
	if !c.begun {
		if asks := len(p) == 8 && binary.BigEndian.Uint32(p[4:]) == sslRequest; !asks && (len(p) == 0 || p[0] != handshake) {
			return 0, c.refusal
		}
		c.begun = true
	}
	return c.Conn.Write(p)
}

// afterNetConnect enforces require, also where DialFunc or TLSConfig was replaced after Configure, and notes what AfterNetConnect
// makes of a connection.
func (k *connector) afterNetConnect(config *pgconn.Config) {
	then := config.AfterNetConnect
	if then == nil && k.mode != Require {
		return
	}
	config.AfterNetConnect = func(ctx context.Context, config *pgconn.Config, conn net.Conn) (net.Conn, error) {
		if _, ok := conn.(*Conn); !ok && k.mode == Require {
			return conn, failf(StageConfig, "gssencmode=require, but the connection is a %T", conn)
		}
		if then == nil {
			return conn, nil
		}
		outer, err := then(ctx, config, conn)
		if err == nil && outer != conn {
			k.remember(outer, conn)
		}
		return outer, err
	}
}

// remember notes what is below a connection until that is closed.
func (k *connector) remember(outer, conn net.Conn) {
	if !k.watched && !k.validated || !reflect.TypeOf(outer).Comparable() {
		return
	}
	forget := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.beneath, outer)
	}
	if c, ok := conn.(*Conn); ok {
		c.onClose = forget
	} else if c, _ := otherBelow(conn); c != nil {
		c.onClose = forget
	} else {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.beneath[outer] = conn
}

// below undoes what AfterNetConnect did.
func (k *connector) below(conn net.Conn) net.Conn {
	if conn == nil || !reflect.TypeOf(conn).Comparable() {
		return conn
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if inner, ok := k.beneath[conn]; ok {
		return inner
	}
	return conn
}

var errConfigured = &Error{StageConfig, errors.New("Configure was called for this configuration before")}

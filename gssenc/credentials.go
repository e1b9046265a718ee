package gssenc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
)

// Source says where a Kerberos identity comes from. At most one of CCache, Keytab and Password is given; with none of them
// the default cache is read: $KRB5CCNAME, default_ccache_name of krb5.conf, /tmp/krb5cc_UID.
type Source struct {
	Config    string // krb5.conf path; empty: the first of $KRB5_CONFIG (a colon list) that exists, else /etc/krb5.conf
	Principal string // user[/instance][@REALM]; empty with a ccache: its default principal, with a keytab: its first
	CCache    string // path of a FILE ccache, with or without "FILE:"
	Keytab    string // path
	Password  string
}

// String leaves the password out.
func (s Source) String() string {
	if s.Password != "" {
		s.Password = "***"
	}
	type plain Source
	return fmt.Sprintf("%+v", plain(s))
}

// GoString leaves the password out.
func (s Source) GoString() string { return "gssenc.Source" + s.String() }

// Credentials hold one Kerberos identity and its tickets. They are safe for concurrent use, and several may live in one
// process. Those of a keytab or a password log in again when their ticket-granting ticket has expired; those of a ccache
// have what was in it when it was read, and never write to it.
type Credentials struct {
	conf   *krb5Conf
	client principal
	secret secret        // nil: of a ccache
	gate   chan struct{} // held while the fields below are used, and during exchanges with a KDC

	tickets []*ticket
	closed  bool
}

// Acquire reads a ccache, or logs in with a keytab or a password (AS exchange). A ccache whose tickets have expired can be
// acquired, as with libkrb5: Initiate fails. Errors are of StageConfig and StageCredentials; a refusal of the KDC is a
// *KRBError. Of preauthentication only the encrypted timestamp is known: no FAST, no PKINIT. KDCs are spoken to over TCP;
// ctx bounds it.
func Acquire(ctx context.Context, s Source) (*Credentials, error) {
	conf, err := loadConf(s.Config)
	if err != nil {
		return nil, &Error{StageConfig, err}
	}
	c := &Credentials{conf: conf, gate: make(chan struct{}, 1)}
	given := 0
	for _, source := range []string{s.CCache, s.Keytab, s.Password} {
		if source != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return nil, failf(StageConfig, "more than one of ccache, keytab and password given")
	case s.Keytab != "":
		err = c.fromKeytab(s)
	case s.Password != "":
		if s.Principal == "" {
			return nil, failf(StageConfig, "a password without a principal")
		}
		if c.client, err = c.parseClient(s.Principal); err == nil {
			c.secret = password{c.client, s.Password}
		}
	default:
		err = c.fromCCache(s)
	}
	if err == nil && c.secret != nil {
		_, err = c.ticketGranting(ctx)
	}
	if err != nil {
		return nil, &Error{StageCredentials, err}
	}
	return c, nil
}

func (c *Credentials) parseClient(name string) (principal, error) {
	p, err := parsePrincipal(name, nametype.KRB_NT_PRINCIPAL)
	if err == nil && p.realm == "" {
		if p.realm = c.conf.LibDefaults.DefaultRealm; p.realm == "" {
			err = fmt.Errorf("principal %v has no realm, and krb5.conf no default_realm", p)
		}
	}
	return p, err
}

func (c *Credentials) fromKeytab(s Source) error {
	content, err := readBounded(s.Keytab, maxKeytab)
	if err != nil {
		return err
	}
	keys, err := parseKeytab(content)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Keytab, err)
	}
	if s.Principal != "" {
		if c.client, err = c.parseClient(s.Principal); err != nil {
			return err
		}
	} else if len(keys) > 0 {
		c.client = keys[0].owner
		c.client.NameType = nametype.KRB_NT_PRINCIPAL
	}
	keys = slices.DeleteFunc(keys, func(k keytabKey) bool { return !c.client.matches(k.owner) })
	if len(keys) == 0 {
		return fmt.Errorf("%s: no key of %v", s.Keytab, c.client)
	}
	c.secret = keytabOf(keys)
	return nil
}

func (c *Credentials) fromCCache(s Source) error {
	name := s.CCache
	if name == "" {
		name = c.conf.defaultCCache()
	}
	path, err := ccachePath(name)
	if err != nil {
		return err
	}
	content, err := readBounded(path, maxCCache)
	if err != nil {
		return err
	}
	owner, tickets, err := parseCCache(content)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if s.Principal != "" {
		want, err := c.parseClient(s.Principal)
		if err != nil {
			return err
		}
		if !want.matches(owner) {
			return fmt.Errorf("%s: holds tickets of %v, not of %v", path, owner, want)
		}
	}
	c.client = owner
	for i := range tickets {
		if owner.matches(tickets[i].client) { // a service may keep tickets of others there, for constrained delegation
			c.tickets = append(c.tickets, &tickets[i])
		}
	}
	if len(c.tickets) == 0 {
		return fmt.Errorf("%s: no tickets of %v", path, owner)
	}
	return nil
}

// Principal returns user[/instance]@REALM.
func (c *Credentials) Principal() string { return c.client.String() }

// String is Principal: nothing else of an identity is to be printed.
func (c *Credentials) String() string { return c.Principal() }

// GoString is String.
func (c *Credentials) GoString() string { return c.String() }

// Close forgets keys and tickets. Contexts that were established with them go on.
func (c *Credentials) Close() error {
	if err := c.enter(context.Background()); err != nil {
		return nil // closed before
	}
	defer c.leave()
	c.closed, c.tickets, c.secret = true, nil, nil
	return nil
}

var errClosed = errors.New("the credentials are closed, or were not made by Acquire")

func (c *Credentials) enter(ctx context.Context) error {
	if c.gate == nil {
		return errClosed
	}
	select {
	case c.gate <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if c.closed {
		c.leave()
		return errClosed
	}
	return nil
}

func (c *Credentials) leave() { <-c.gate }

// find returns a ticket that can be used now, or one that has expired, or nil.
func (c *Credentials) find(server principal) *ticket {
	var found *ticket
	for _, t := range c.tickets {
		if !server.matches(t.server) {
			continue
		}
		if _, err := crypto.GetEtype(t.key.KeyType); err != nil {
			continue
		}
		if found == nil || t.end.After(found.end) {
			found = t
		}
	}
	return found
}

// add keeps a ticket, and drops those that have expired.
func (c *Credentials) add(t *ticket) {
	now := time.Now()
	c.tickets = slices.DeleteFunc(c.tickets, func(old *ticket) bool { return c.secret != nil && old.expired(now) })
	c.tickets = append(c.tickets, t)
}

// ticketGranting returns the TGT of the client's own realm. To be called inside the gate, or before anybody else has c.
func (c *Credentials) ticketGranting(ctx context.Context) (*ticket, error) {
	own := ticketGranting(c.client.realm, c.client.realm)
	t := c.find(own)
	if t != nil && !t.expired(time.Now()) {
		return t, nil
	}
	if c.secret != nil {
		t, err := c.conf.login(ctx, c.client, c.secret)
		if err != nil {
			return nil, err
		}
		c.add(t)
		return t, nil
	}
	if t == nil {
		return nil, fmt.Errorf("the ccache of %v has no ticket-granting ticket; kinit gets one", c.client)
	}
	return nil, fmt.Errorf("ticket expired: that of %v, on %s; kinit gets a new one", c.client, t.end.UTC().Format(time.RFC3339))
}

// serviceTicket returns a ticket for the service: one that is there and valid, or a new one. The service's realm is that of
// its name, or of krb5.conf's domain_realm; without either the client's own KDC may refer to another realm (RFC 6806 8).
func (c *Credentials) serviceTicket(ctx context.Context, server principal) (*ticket, error) {
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	defer c.leave()
	if server.realm == "" && len(server.NameString) > 1 {
		server.realm = c.conf.ResolveRealm(server.NameString[len(server.NameString)-1])
	}
	now := time.Now()
	if t := c.find(server); t != nil && !t.expired(now) {
		return t, nil
	}
	tgt, err := c.ticketGranting(ctx)
	if err != nil {
		return nil, err
	}
	for range maxReferrals {
		at := tgt.server.NameString[1]
		want, options := server, []int(nil)
		switch {
		case server.realm == "":
			options = []int{flags.Canonicalize}
		case server.realm != at:
			want = ticketGranting(server.realm, at)
			if t := c.find(ticketGranting(server.realm, "")); t != nil && !t.expired(now) {
				tgt = t
				continue
			}
		}
		if c.conf.LibDefaults.Forwardable {
			options = append(options, flags.Forwardable)
		}
		t, err := c.conf.ticketFor(ctx, tgt, want, options...)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", want, err)
		}
		c.add(t)
		if t.server.Equal(server.PrincipalName) {
			return t, nil
		}
		if t.server.NameString[1] == at {
			return nil, fmt.Errorf("%v: the KDC of %s refers to itself", want, at)
		}
		tgt = t
	}
	return nil, fmt.Errorf("%v: more than %d referrals", server, maxReferrals)
}

// forwarded returns a TGT for the acceptor to use, or nil if the client's is not forwardable or the KDC issues none: then
// libkrb5 goes on without delegation, too.
func (c *Credentials) forwarded(ctx context.Context) (*ticket, error) {
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	defer c.leave()
	tgt, err := c.ticketGranting(ctx)
	if err != nil {
		return nil, err
	}
	if tgt.flags&flagForwardable == 0 {
		return nil, nil
	}
	t, err := c.conf.ticketFor(ctx, tgt, tgt.server, flags.Forwarded, flags.Forwardable, flags.RenewableOK)
	var refusal *KRBError
	if errors.As(err, &refusal) {
		return nil, nil
	}
	return t, err
}

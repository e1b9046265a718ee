package gssenc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/flags"
)

// Credentials hold one Kerberos identity and its tickets. They are safe for concurrent use, and several may live in one
// process. Those of a keytab or a password log in again when half of their ticket's time is over, and when a KDC no longer takes
// it. Those of a ccache have what was in it when it was read, and never write to it.
type Credentials struct {
	conf   *krb5Conf
	client principal

	mu        sync.Mutex // of the fields below; never held while anything is waited for
	secret    secret     // nil: of a ccache
	tickets   []*ticket
	refreshed time.Time // when a login before its time was last begun
	closed    bool

	logins, services flights[*ticket]
}

// Principal returns user[/instance]@REALM, "" of nil.
func (c *Credentials) Principal() string {
	if c == nil {
		return ""
	}
	return c.client.String()
}

// String is Principal: nothing else of an identity is to be printed.
func (c *Credentials) String() string { return c.Principal() }

// GoString is String.
func (c *Credentials) GoString() string { return c.String() }

// Close forgets keys and tickets. Contexts that were established with them go on.
func (c *Credentials) Close() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed, c.tickets, c.secret = true, nil, nil
	return nil
}

var errClosed = errors.New("the credentials are closed, or were not made by Acquire")

// usable is nil for credentials that were acquired and not closed.
func (c *Credentials) usable() error {
	if c == nil || c.conf == nil {
		return errClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	return nil
}

// find returns a ticket for the service: of those with a key that can be used, the one that lasts longest. It may have expired.
func (c *Credentials) find(server principal) *ticket {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found *ticket
	for _, t := range c.tickets {
		if !server.matches(t.server) && (len(t.asked.NameString) == 0 || !server.matches(t.asked)) {
			continue
		}
		if _, err := usableEtype(t.key.KeyType); err != nil {
			continue
		}
		if found == nil || t.end.After(found.end) {
			found = t
		}
	}
	return found
}

// cached returns a ticket for the service that is valid now, or nil.
func (c *Credentials) cached(server principal) *ticket {
	if t := c.find(server); t != nil && !t.expired(time.Now()) {
		return t
	}
	return nil
}

// keep keeps a ticket; of credentials that can get new ones, it drops those that have expired.
func (c *Credentials) keep(t *ticket) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.tickets = slices.DeleteFunc(c.tickets, func(old *ticket) bool { return c.secret != nil && old.expired(now) })
	c.tickets = append(c.tickets, t)
}

// drop forgets a service ticket that the service did not take. Where no other could be had, it stays.
func (c *Credentials) drop(t *ticket) {
	tgt := c.cached(ticketGranting(c.client.realm, c.client.realm))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.secret != nil || tgt != nil {
		c.tickets = slices.DeleteFunc(c.tickets, func(old *ticket) bool { return old == t })
	}
}

// dropGranting forgets the ticket-granting tickets, where a login can get new ones.
func (c *Credentials) dropGranting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.secret == nil {
		return false
	}
	c.tickets = slices.DeleteFunc(c.tickets, func(t *ticket) bool { return t.target() != "" })
	return true
}

// ticketGranting returns the TGT of the client's own realm.
func (c *Credentials) ticketGranting(ctx context.Context) (*ticket, error) {
	own := ticketGranting(c.client.realm, c.client.realm)
	t := c.find(own)
	if t != nil && !t.expired(time.Now()) {
		return t, nil
	}
	c.mu.Lock()
	loggingIn := c.secret != nil
	c.mu.Unlock()
	if loggingIn {
		return c.login(ctx)
	}
	if t == nil {
		return nil, fmt.Errorf("the ccache of %v has no ticket-granting ticket; kinit gets one", c.client)
	}
	return nil, fmt.Errorf("ticket expired: that of %v, on %s; kinit gets a new one", c.client, t.end.UTC().Format(time.RFC3339))
}

// login gets a ticket-granting ticket with the keytab or the password.
func (c *Credentials) login(ctx context.Context) (*ticket, error) {
	return c.logins.do(ctx, "", func(ctx context.Context) (*ticket, error) {
		c.mu.Lock()
		secret := c.secret
		c.mu.Unlock()
		if secret == nil {
			return nil, errClosed
		}
		t, err := c.conf.login(ctx, c.client, secret)
		if err == nil {
			c.keep(t)
		}
		return t, err
	})
}

// refreshPause is the least time between two logins that are made before their time.
const refreshPause = time.Minute

// refresh replaces, in the background, tickets of which more than half of the time is over: then a KDC may be away for the other
// half. Only credentials that can log in do so.
func (c *Credentials) refresh(service *ticket, server principal) {
	now := time.Now()
	tgt := c.find(ticketGranting(c.client.realm, c.client.realm))
	c.mu.Lock()
	due := c.secret != nil && now.Sub(c.refreshed) > refreshPause && (tgt == nil || tgt.halfOver(now) || service.halfOver(now))
	if due {
		c.refreshed = now
	}
	c.mu.Unlock()
	if !due {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*kdcTimeout)
		defer cancel()
		if tgt == nil || tgt.halfOver(now) {
			if _, err := c.login(ctx); err != nil {
				return // the old ones serve on
			}
		}
		_, _ = c.newServiceTicket(ctx, server, true)
	}()
}

// serviceTicket returns a ticket for the service: one that is there and valid, or a new one. The service's realm is that of
// its name, or of krb5.conf's domain_realm; without either the client's own KDC may refer to another realm (RFC 6806 8).
func (c *Credentials) serviceTicket(ctx context.Context, server principal) (*ticket, error) {
	if err := c.usable(); err != nil {
		return nil, err
	}
	if server.realm == "" && len(server.NameString) > 1 {
		server.realm = c.conf.realmOf(server.NameString[1])
	}
	if t := c.cached(server); t != nil {
		c.refresh(t, server)
		return t, nil
	}
	return c.newServiceTicket(ctx, server, false)
}

// newServiceTicket asks the KDC. Unless again is set, it takes a ticket that another caller has got between this caller's look and its turn.
func (c *Credentials) newServiceTicket(ctx context.Context, server principal, again bool) (*ticket, error) {
	return c.services.do(ctx, server.String(), func(ctx context.Context) (*ticket, error) {
		if t := c.cached(server); t != nil && !again {
			return t, nil
		}
		t, err := c.fetch(ctx, server)
		if rejectsTicket(err) && c.dropGranting() {
			t, err = c.fetch(ctx, server)
		}
		if err != nil {
			return nil, err
		}
		t.asked = server
		c.keep(t)
		return t, nil
	})
}

// forwarded returns a TGT for the acceptor to use.
func (c *Credentials) forwarded(ctx context.Context) (*ticket, error) {
	tgt, err := c.ticketGranting(ctx)
	if err != nil {
		return nil, err
	}
	if tgt.flags&flagForwardable == 0 {
		return nil, errors.New("the ticket-granting ticket is not forwardable; kinit -f gets one that is")
	}
	return c.conf.ticketFor(ctx, tgt, tgt.server, flags.Forwarded, flags.Forwardable, flags.RenewableOK)
}

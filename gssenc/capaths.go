package gssenc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// realmPath is the way from a client's realm to that of a service, both included (lib/krb5/krb/walk_rtree.c): by [capaths] of krb5.conf where that
// names the two, else up and down the hierarchy of their names.
func (c *krb5Conf) realmPath(client, server string) []string {
	hops := c.profile.values("capaths", client, server)
	switch {
	case len(hops) == 0:
		return hierarchy(client, server)
	case hops[0] == ".":
		hops = nil
	}
	return slices.Concat([]string{client}, hops, []string{server})
}

// hierarchy is the way by the parents of two realms whose names are like those of domains.
func hierarchy(client, server string) []string {
	up, down := parents(client), parents(server)
	for len(up) > 0 && len(down) > 0 && up[len(up)-1] == down[len(down)-1] { // what they share is passed once
		if len(up) == 1 || len(down) == 1 || up[len(up)-2] != down[len(down)-2] {
			down = down[:len(down)-1]
			break
		}
		up, down = up[:len(up)-1], down[:len(down)-1]
	}
	slices.Reverse(down)
	path := slices.Concat(up, down)
	if path[len(path)-1] != server { // a parent of the client's
		path = append(path, server)
	}
	return slices.Compact(path)
}

// parents are a realm and those above it.
func parents(realm string) (all []string) {
	for {
		all = append(all, realm)
		_, above, more := strings.Cut(realm, ".")
		if !more || above == "" {
			return all
		}
		realm = above
	}
}

// crossRealm returns the ticket-granting ticket for a realm: one that is there, or what the KDC of tgt issues, or those of the realms
// on the way, each of which is asked for the farthest first. A KDC may refer to realms that are not on it.
func (c *Credentials) crossRealm(ctx context.Context, tgt *ticket, realm string) (*ticket, error) {
	if tgt.target() == realm {
		return tgt, nil
	}
	if t := c.cached(ticketGranting(realm, "")); t != nil {
		return t, nil
	}
	path := c.conf.realmPath(tgt.target(), realm)[1:]
	seen := []string{tgt.target()}
	for len(seen) <= maxReferrals {
		t, err := c.farthest(ctx, tgt, path)
		if err != nil {
			return nil, err
		}
		if t.target() == "" || slices.Contains(seen, t.target()) {
			return nil, fmt.Errorf("realm %s: the KDC of %s issued a ticket for %v instead", realm, tgt.target(), t.server)
		}
		c.keep(t)
		if t.target() == realm {
			return t, nil
		}
		path = path[slices.Index(path, t.target())+1:]
		seen, tgt = append(seen, t.target()), t
	}
	return nil, fmt.Errorf("realm %s: more than %d referrals", realm, maxReferrals)
}

// farthest gets a ticket-granting ticket from the KDC of tgt, for the last realm of the path that it issues one for. Its error is about the last.
func (c *Credentials) farthest(ctx context.Context, tgt *ticket, path []string) (t *ticket, err error) {
	for _, next := range slices.Backward(path) {
		want := ticketGranting(next, tgt.target())
		if t := c.cached(want); t != nil {
			return t, nil
		}
		t, refusal := c.ticketFor(ctx, tgt, want)
		if refusal == nil {
			return t, nil
		}
		if err == nil {
			err = refusal
		}
		if !errors.As(refusal, new(*KRBError)) {
			return nil, err
		}
	}
	return nil, err
}

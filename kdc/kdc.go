// Package kdc runs Kerberos realms in containers: a typed Spec goes in, a Realm comes out whose KDC has issued a
// ticket, with the keytabs and credential caches that were asked for. Keys are random and made at run time.
package kdc

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

// Realm is a running realm, whatever software its KDC is.
type Realm interface {
	// Name is the realm's name.
	Name() string

	// Addresses are the ADDRESS:PORT of the realm's KDCs in their network, in the order in which krb5.conf is to name them. They take TCP.
	Addresses() []string

	// Published are the same KDCs as the engine's host reaches them; none without Placement.Publish.
	Published() []string

	// Keytab is the content of a keytab; an error if it was not in a Spec.
	Keytab(name string) ([]byte, error)

	// Ticket is the content of a FILE credential cache; an error if it was not in a Spec.
	Ticket(name string) ([]byte, error)

	// Password is that of a principal whose Spec asked for one.
	Password(principal string) (string, error)

	// Add makes further principals, keytabs and tickets. The keytabs and tickets of the Spec may be of principals that were there before.
	// Kind, MaxLife, Enctypes, Hung and Trusts cannot be changed.
	Add(ctx context.Context, spec Spec) error

	// ChangeKey gives a principal new keys, one kvno up; keepOld leaves the old ones in the database, so that tickets issued before go on to
	// be valid.
	ChangeKey(ctx context.Context, principal string, keepOld bool) error

	// Healthy has the KDC issue a ticket.
	Healthy(ctx context.Context) error

	// Log is the KDC's log so far: requests and answers.
	Log(ctx context.Context) (string, error)

	// Stop ends the KDC as a crash would; its container and log stay.
	Stop(ctx context.Context) error

	// Close removes the container. Closing twice is harmless.
	Close(ctx context.Context) error
}

// kind is what there is of one of matrix.RealmKinds.
type kind struct {
	image pgimages.Spec
	start func(context.Context, Placement, Spec) (Realm, error) // on error nothing is left running; the error has the KDC's log
}

var kinds = map[matrix.RealmKind]kind{
	matrix.MIT: {pgimages.KDC(), startMIT},
}

// Image is the image of the KDC of a kind; ok is false if no KDC of that kind can be started.
func Image(of matrix.RealmKind) (image pgimages.Spec, ok bool) {
	k, ok := kinds[cmp.Or(of, matrix.MIT)]
	return k.image, ok
}

// Start runs the KDC of a realm. It is ready when it has issued a ticket, besides every ticket that was asked for.
func Start(ctx context.Context, at Placement, spec Spec) (Realm, error) {
	k, ok := kinds[cmp.Or(spec.Kind, matrix.MIT)]
	if !ok {
		return nil, fmt.Errorf("kdc: realm %s: no KDC of kind %q can be started", spec.Realm, spec.Kind)
	}
	if err := errors.Join(check(spec), lines(spec)); err != nil {
		return nil, err
	}
	if _, err := pgimages.Engine(ctx); err != nil {
		return nil, err
	}
	r, err := k.start(ctx, at, spec)
	if err != nil {
		return nil, fmt.Errorf("kdc of %s: %w", spec.Realm, err)
	}
	return r, nil
}

// Spec describes a realm.
type Spec struct {
	Realm      string
	Kind       matrix.RealmKind // empty: MIT
	MaxLife    time.Duration    // of its tickets; 0: 24 hours
	Enctypes   []string         // of its keys, as krb5.conf spells them; none: MIT krb5's default
	Hung       bool             // the first of its Addresses accepts connections and never answers
	Trusts     []Trust
	Principals []Principal
	Keytabs    []Keytab
	Tickets    []Ticket
}

// Trust is a principal krbtgt/TO@FROM whose key two realms share: tickets of FROM then get one in TO (RFC 4120, section 1.2). Both
// realms are to have it.
type Trust struct {
	From, To string
	Password string // of which the key is made; see NewTrust
}

// NewTrust makes a trust with a random password.
func NewTrust(from, to string) Trust { return Trust{from, to, rand.Text()} }

// Principal is an entry of the realm's database (MIT krb5, kadmin add_principal).
type Principal struct {
	Name       string        // without the realm: alice, postgres/pg.example.test
	Password   bool          // its keys are those of a password made at run time, see Realm.Password; otherwise they are random
	MaxLife    time.Duration // of its tickets; 0: the realm's
	Attributes []string      // as kadmin spells them: +requires_preauth, -allow_forwardable
	Enctypes   []string      // of its keys; none: the KDC's default
}

// Keytab is a file with keys of principals of the realm.
type Keytab struct {
	Name       string             // by which Realm.Keytab returns it
	Principals []string           // without the realm
	Keys       matrix.KeyVersions // empty: current
	Enctypes   []int32            // only keys of these types (RFC 3961 numbers: 17, 18, 19, 20, 23); none: all that the principals have
	KVNOs      []uint32           // only keys of these versions; none: all that the database has
}

// Ticket is a credential cache with a ticket-granting ticket, obtained from the KDC by kinit.
type Ticket struct {
	Name      string        // by which Realm.Ticket returns it
	Principal string        // without the realm
	Lifetime  time.Duration // 0: an hour
	Expired   bool          // was issued a day ago, by the same KDC with its clock set back; Lifetime is to be below a day
	Options   []string      // further options of kinit: -f, -r 7d
}

// Life is the lifetime to ask for.
func (t Ticket) Life() time.Duration { return cmp.Or(t.Lifetime, time.Hour) }

// Placement says where a KDC runs.
type Placement struct {
	Image   string            // tag of an image with the KDC
	Network string            // name of the container network
	Alias   string            // its name there
	Labels  map[string]string // of the container
	Publish bool              // the engine's host reaches the KDCs, too, on its loopback address
}

// check finds mistakes in the spec of a new realm before anything is started.
func check(s Spec) error {
	if !realmName.MatchString(s.Realm) {
		return fmt.Errorf("kdc: realm %q: a realm is a domain name in capitals", s.Realm)
	}
	known := map[string]bool{}
	for _, p := range s.Principals {
		known[p.Name] = true
	}
	for _, k := range s.Keytabs {
		for _, p := range k.Principals {
			if !known[p] {
				return fmt.Errorf("kdc: keytab %s names %s@%s, which is not among the realm's principals", k.Name, p, s.Realm)
			}
		}
	}
	for _, t := range s.Tickets {
		if !known[t.Principal] {
			return fmt.Errorf("kdc: ticket %s names %s@%s, which is not among the realm's principals", t.Name, t.Principal, s.Realm)
		}
	}
	for _, t := range s.Trusts {
		if !realmName.MatchString(t.From) || !realmName.MatchString(t.To) || t.From == t.To || s.Realm != t.From && s.Realm != t.To || t.Password == "" {
			return fmt.Errorf("kdc: trust from %q to %q in realm %s: it needs two realms, of which this is one, and a password", t.From, t.To, s.Realm)
		}
	}
	return nil
}

// The names of realms and files go into a shell script and into paths.
var (
	realmName = regexp.MustCompile(`^[A-Z0-9][A-Z0-9.-]*$`)
	fileName  = regexp.MustCompile(`^[A-Za-z0-9_@+=,][A-Za-z0-9_.@+=,-]*$`)
)

// lines finds text that would end a line of kadmin's input, and names that cannot be a file's.
func lines(s Spec) error {
	for _, p := range s.Principals {
		for _, text := range append([]string{p.Name}, append(p.Attributes, p.Enctypes...)...) {
			if text == "" || strings.ContainsAny(text, "\n\r\x00") {
				return fmt.Errorf("kdc: principal %q of %s: %q is empty or more than a line", p.Name, s.Realm, text)
			}
		}
	}
	for _, k := range s.Keytabs {
		if !fileName.MatchString(k.Name) || len(k.Principals) == 0 {
			return fmt.Errorf("kdc: keytab %q of %s: it needs a name that can be a file's, and at least one principal", k.Name, s.Realm)
		}
	}
	for _, t := range s.Tickets {
		if !fileName.MatchString(t.Name) || t.Expired && t.Lifetime >= 24*time.Hour {
			return fmt.Errorf("kdc: ticket %q of %s: it needs a name that can be a file's, and an expired one a Lifetime below a day", t.Name, s.Realm)
		}
	}
	return nil
}

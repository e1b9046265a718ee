package gssenc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/nametype"
)

// Source says where a Kerberos identity comes from. At most one of CCache, Keytab and Password is given; with none of them
// the default cache is read: $KRB5CCNAME, default_ccache_name of krb5.conf, /tmp/krb5cc_UID. Where that has no valid ticket, the
// client keytab is used if there is one: $KRB5_CLIENT_KTNAME, default_client_keytab_name of krb5.conf.
type Source struct {
	Config    string // path of krb5.conf; empty: the files of $KRB5_CONFIG (a colon list), else /etc/krb5.conf
	Principal string // user[/instance][@REALM]; empty with a ccache: its default principal, with a keytab: its first
	CCache    string // a path, or a name with its type: FILE:, DIR:, KCM:
	Keytab    string // path, with or without "FILE:"
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

// Acquire reads a ccache, or logs in with a keytab or a password (AS exchange). A ccache whose tickets have expired can be
// acquired, as with libkrb5: Initiate fails. Errors are of StageConfig and StageCredentials; a refusal of the KDC is a
// *KRBError. Of preauthentication only the encrypted timestamp is known: no FAST, no PKINIT. KDCs are spoken to over TCP;
// ctx bounds it.
func Acquire(ctx context.Context, s Source) (*Credentials, error) {
	c, _, err := acquire(ctx, s)
	return c, err
}

// AcquireCCache is Acquire for the content of a FILE ccache, as a process gets it that is not to have it in a file. Of the source, Config
// and Principal are used.
func AcquireCCache(content []byte, s Source) (*Credentials, error) {
	c, err := s.begin()
	if err != nil {
		return nil, err
	}
	cache, err := parseCCache(content)
	if err == nil {
		err = c.fromCCache(cache, s.Principal, "the ccache")
	}
	if err != nil {
		return nil, at(StageCredentials, err)
	}
	return c, nil
}

// AcquireKeytab is Acquire for the content of a keytab. Of the source, Config and Principal are used.
func AcquireKeytab(ctx context.Context, content []byte, s Source) (*Credentials, error) {
	c, err := s.begin()
	if err != nil {
		return nil, err
	}
	if err = c.fromKeytab(content, s.Principal, "the keytab"); err == nil {
		_, err = c.ticketGranting(ctx)
	}
	if err != nil {
		return nil, at(StageCredentials, err)
	}
	return c, nil
}

func (s Source) begin() (*Credentials, error) {
	conf, err := loadConf(s.Config)
	if err != nil {
		return nil, &Error{StageConfig, err}
	}
	return &Credentials{conf: conf}, nil
}

// acquire is Acquire. The origin tells when credentials of a ccache are to be acquired again.
func acquire(ctx context.Context, s Source) (*Credentials, origin, error) {
	c, err := s.begin()
	if err != nil {
		return nil, origin{}, err
	}
	given := 0
	for _, source := range []string{s.CCache, s.Keytab, s.Password} {
		if source != "" {
			given++
		}
	}
	var from origin
	switch {
	case given > 1:
		return nil, origin{}, failf(StageConfig, "more than one of ccache, keytab and password given")
	case s.Keytab != "":
		err = c.keytabFile(s.Keytab, s.Principal)
	case s.Password != "":
		if s.Principal == "" {
			return nil, origin{}, failf(StageConfig, "a password without a principal")
		}
		if c.client, err = c.parseClient(s.Principal); err == nil {
			c.secret = password{c.client, s.Password}
		}
	case s.CCache != "":
		from, err = c.ccacheNamed(ctx, s.CCache, s.Principal)
	default:
		from, err = c.byDefault(ctx, s.Principal)
	}
	if err == nil && c.secret != nil {
		_, err = c.ticketGranting(ctx)
	}
	if err != nil {
		return nil, origin{}, at(StageCredentials, err)
	}
	return c, from, nil
}

// byDefault takes the default ccache, or the client keytab where the cache has no valid ticket (libkrb5's krb5_gss_acquire_cred does
// so, and with it libpq).
func (c *Credentials) byDefault(ctx context.Context, name string) (origin, error) {
	from, err := c.ccacheNamed(ctx, c.conf.defaultCCache(), name)
	keytab, there := c.conf.clientKeytab()
	if !there {
		return from, err
	}
	if tgt := c.find(ticketGranting(c.client.realm, "")); err == nil && tgt != nil && !tgt.expired(time.Now()) {
		from.until = tgt.end
		return from, nil
	}
	c.client, c.tickets = principal{}, nil
	return from, c.keytabFile(keytab, name)
}

// clientKeytab is the name of the client keytab, and whether there is such a file.
func (c *krb5Conf) clientKeytab() (name string, there bool) {
	if name = os.Getenv("KRB5_CLIENT_KTNAME"); name == "" {
		configured, _ := c.profile.value("libdefaults", "default_client_keytab_name")
		name = expand(configured)
	}
	path, err := keytabPath(name)
	if err != nil || path == "" {
		return "", false
	}
	_, err = os.Stat(path)
	return name, err == nil
}

func (c *Credentials) parseClient(name string) (principal, error) {
	p, err := parsePrincipal(name, nametype.KRB_NT_PRINCIPAL)
	if err == nil && p.realm == "" {
		if p.realm = c.conf.defaultRealm; p.realm == "" {
			err = fmt.Errorf("principal %v has no realm, and krb5.conf no default_realm", p)
		}
	}
	return p, err
}

func (c *Credentials) keytabFile(name, principal string) error {
	path, err := keytabPath(name)
	if err != nil {
		return err
	}
	content, err := readBounded(path, maxKeytab)
	if err != nil {
		return err
	}
	return c.fromKeytab(content, principal, path)
}

// fromKeytab takes the keys of a principal, without one those of the first. Where is for errors.
func (c *Credentials) fromKeytab(content []byte, name, where string) error {
	keys, err := parseKeytab(content)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	if name != "" {
		if c.client, err = c.parseClient(name); err != nil {
			return err
		}
	} else if len(keys) > 0 {
		c.client = keys[0].owner
		c.client.NameType = nametype.KRB_NT_PRINCIPAL
	}
	keys = slices.DeleteFunc(keys, func(k keytabKey) bool { return !c.client.matches(k.owner) })
	if len(keys) == 0 {
		return fmt.Errorf("%s: no key of %v", where, c.client)
	}
	c.secret = keytabOf(keys)
	return nil
}

func (c *Credentials) ccacheNamed(ctx context.Context, name, principal string) (origin, error) {
	cache, from, err := c.conf.readCCache(ctx, name)
	if err != nil {
		return from, err
	}
	return from, c.fromCCache(cache, principal, name)
}

// fromCCache takes the tickets of a cache's owner, who must be the principal if one is named. Where is for errors.
func (c *Credentials) fromCCache(cache ccache, name, where string) error {
	where = strings.TrimPrefix(where, "FILE:")
	if name != "" {
		want, err := c.parseClient(name)
		if err != nil {
			return err
		}
		if !want.matches(cache.owner) {
			return fmt.Errorf("%s: holds tickets of %v, not of %v", where, cache.owner, want)
		}
	}
	c.client = cache.owner
	for i := range cache.tickets {
		if t := &cache.tickets[i]; cache.owner.matches(t.client) { // a service may keep tickets of others there, for constrained delegation
			c.tickets = append(c.tickets, t)
		}
	}
	if len(c.tickets) == 0 {
		return fmt.Errorf("%s: no tickets of %v", where, cache.owner)
	}
	return nil
}

// origin is where credentials were read from.
type origin struct {
	files []fileState
	until time.Time                  // if not zero: then it is to be read again
	same  func(context.Context) bool // if not nil: says whether what is there is still the same
}

// fileState is a file as it was: not there, if info is nil.
type fileState struct {
	path string
	info os.FileInfo
}

func stateOf(path string) (fileState, error) {
	info, err := os.Stat(path)
	return fileState{path, info}, err
}

// unchanged says that reading again would give the same; of keytabs and passwords, always.
func (o origin) unchanged(ctx context.Context) bool {
	if !o.until.IsZero() && time.Now().After(o.until) {
		return false
	}
	for _, f := range o.files {
		now, err := os.Stat(f.path)
		if f.info == nil {
			if !errors.Is(err, os.ErrNotExist) {
				return false
			}
			continue
		}
		if err != nil || !os.SameFile(now, f.info) || now.Size() != f.info.Size() || !now.ModTime().Equal(f.info.ModTime()) {
			return false
		}
	}
	return o.same == nil || o.same(ctx)
}

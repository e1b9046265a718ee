package gssenc

import "context"

// Source says where a Kerberos identity comes from. At most one of CCache, Keytab and Password is given; with none of them
// the default cache is read: $KRB5CCNAME, else /tmp/krb5cc_UID.
type Source struct {
	Config    string // krb5.conf path; empty: the first of $KRB5_CONFIG (a colon list) that exists, else /etc/krb5.conf
	Principal string // user[/instance][@REALM]; empty with a ccache: its default principal
	CCache    string // path of a FILE ccache, with or without "FILE:"
	Keytab    string // path
	Password  string
}

// Credentials hold one Kerberos identity. They are safe for concurrent use, and several may live in one process.
type Credentials struct{}

// Acquire reads a ccache, or logs in with a keytab or a password (AS exchange).
func Acquire(ctx context.Context, s Source) (*Credentials, error) {
	return nil, failf(StageCredentials, "not built yet")
}

// Principal returns user[/instance]@REALM.
func (c *Credentials) Principal() string { return "" }

// Close forgets keys and tickets.
func (c *Credentials) Close() error { return nil }

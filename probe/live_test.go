package probe

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

var (
	liveVersions = flag.String("servers", "", "server versions that TestLive tries; none: as LIVE_DEPTH says")
	capture      = flag.Bool("capture", false, "TestLive writes what it saw to testdata, for TestCaptured")
)

const liveHBA = `hostgssenc all alice all gss include_realm=0
hostssl    all alice all trust
host       all bob   all reject
host       all gone  all trust
host       all carol all gss include_realm=0
host       all dave  all gss
host       all erin  all scram-sha-256
hostssl    all fred  all cert
local      all alice     trust
`

// liveCell is one attempt of TestLive with the outcome that a person wrote down for it.
type liveCell struct {
	world   string
	library string // %d: the server's own version
	change  func(*matrix.Client)
	want    string
	from    int // the first and the last server version it is for; 0: no bound
	to      int
}

var liveWorlds = map[string]func(*matrix.World){
	"main":       func(*matrix.World) {},
	"no-keytab":  func(w *matrix.World) { w.Keytab = "none" },
	"stale":      func(w *matrix.World) { w.Keytab = "stale" },
	"other-key":  func(w *matrix.World) { w.Keytab = "other" },
	"no-tls":     func(w *matrix.World) { w.SSL = "off" },
	"wrong-name": func(w *matrix.World) { w.ServerCert = "wrong-name" },
	"expired":    func(w *matrix.World) { w.ServerCert = "expired" },
	"revoked":    func(w *matrix.World) { w.ServerCert = "revoked" },
	"ed25519":    func(w *matrix.World) { w.ServerCert = "ed25519" },
	"krb-realm":  func(w *matrix.World) { w.HBA = "host all all all gss include_realm=0 krb_realm=ELSEWHERE.TEST\n" },
}

func liveCells() []liveCell {
	const (
		noEntry = "refused at hba, no-hba-entry, channel plain, "
	)
	client := func(user, ticket, gssencmode, sslmode string, more ...func(*matrix.Client)) func(*matrix.Client) {
		return func(c *matrix.Client) {
			c.User, c.Ticket, c.GSSEncMode, c.SSLMode = user, ticket, gssencmode, sslmode
			for _, m := range more {
				m(c)
			}
		}
	}
	root := func(name string) func(*matrix.Client) { return func(c *matrix.Client) { c.Root = name } }
	crl := func(name string) func(*matrix.Client) { return func(c *matrix.Client) { c.CRL = name } }
	direct := func(c *matrix.Client) { c.SSLNegotiation = "direct" }
	unix := func(c *matrix.Client) { c.Transport = "unix" }
	password := func(kind string) func(*matrix.Client) { return func(c *matrix.Client) { c.Password = kind } }
	cert := func(c *matrix.Client) { c.Cert = "good" }
	service := func(name string) func(*matrix.Client) { return func(c *matrix.Client) { c.KrbSrvName = name } }
	binding := func(c *matrix.Client) { c.ChannelBinding = "require" }
	database := func(c *matrix.Client) { c.Database = "nosuch" }
	auth := func(list string) func(*matrix.Client) { return func(c *matrix.Client) { c.RequireAuth = list } }
	attack := func(name matrix.Attack) func(*matrix.Client) { return func(c *matrix.Client) { c.Attack = name } }
	const (
		sentCRL    = "refused at startup, setting-unknown, channel tls, method trust, hba:2, trace connect sslaccept authok startfail"
		plainErin  = "connected plain, method scram-sha-256, identity erin, role erin, hba:7, trace connect "
		gssSession = "connected gss, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect gssaccept authok"
		tlsSession = "connected tls, method trust, role alice, hba:2, trace connect sslaccept authok"
		gssInTLS   = "connected tls, method gss, identity carol@EXAMPLE.TEST, role carol, hba:5, trace connect sslaccept authok"
	)
	return []liveCell{
		{"main", "libpq%d", client("alice", "valid", "", ""), gssSession, 0, 0},
		{"main", "psql%d", client("alice", "valid", "", ""), gssSession, 0, 0},
		{"main", "libpq%d", client("alice", "none", "", ""), tlsSession, 0, 0},
		{"main", "psql%d", client("alice", "none", "", ""), tlsSession, 0, 0},
		{"main", "pgx", client("alice", "none", "", ""), tlsSession, 0, 0},
		{"main", "libpq18", client("alice", "expired", "prefer", "prefer"), "connected tls, method trust, role alice, hba:2, trace connect gssaccept reconnect sslaccept authok", 0, 0},
		{"main", "libpq13", client("alice", "expired", "prefer", "prefer"), "connected tls, method trust, role alice, hba:2, trace connect gssaccept reconnect sslaccept authok", 0, 0},
		{"main", "libpq%d", client("alice", "expired", "require", ""), "refused at gssenc, ticket-expired, trace connect gssaccept", 0, 0},
		{"main", "libpq%d", client("alice", "valid", "require", "", service("nosuch")), "refused at gssenc, spn-unknown, trace connect gssaccept", 0, 0},
		{"main", "libpq18", client("alice", "none", "require", ""), "refused at credentials, no-ticket", 0, 0},
		{"main", "libpq15", client("alice", "none", "require", ""), "refused at credentials, no-ticket, trace connect", 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "disable"), noEntry + "trace connect authfail", 0, 0},
		{"main", "psql%d", client("alice", "none", "", "disable"), noEntry + "trace connect authfail", 0, 0},
		{"main", "pq", client("alice", "none", "", ""), tlsSession, 0, 0},
		{"main", "pq", client("alice", "none", "", "disable"), noEntry + "trace connect authfail", 0, 0},
		{"main", "pq", client("alice", "none", "", "allow"), "connected tls, method trust, role alice, hba:2, trace connect authfail reconnect sslaccept authok", 0, 0},
		{"main", "pq", client("bob", "none", "", "prefer"), "refused at hba, hba-reject, channel tls, method reject, hba:3, trace connect sslaccept authfail", 0, 0},
		{"main", "pq", client("gone", "none", "", "allow"), "refused at startup, role-missing, channel tls, method trust, hba:4, trace connect authok startfail reconnect sslaccept authok startfail", 0, 0},
		{"main", "pq", client("carol", "valid", "", "require"), gssInTLS, 0, 0},
		{"main", "pq", client("carol", "none", "", "require"), "refused at auth, no-ticket, channel tls, method gss, hba:5, trace connect sslaccept authfail", 0, 0},
		{"main", "pq", client("carol", "none", "", "allow"), "refused at auth, no-ticket, channel tls, method gss, hba:5, trace connect authfail reconnect sslaccept authfail", 0, 0},
		{"main", "pq", client("carol", "expired", "", "require"), "refused at auth, ticket-expired, channel tls, method gss, hba:5, trace connect sslaccept authfail", 0, 0},
		{"main", "pq", client("carol", "valid", "", "require", service("nosuch")), "refused at auth, spn-unknown, channel tls, method gss, hba:5, trace connect sslaccept authfail", 0, 0},
		{"main", "pq", client("erin", "none", "", "require", password("right")), "connected tls, method scram-sha-256, identity erin, role erin, hba:7, trace connect sslaccept authok", 0, 0},
		{"main", "pq", client("erin", "none", "", "disable"), "refused at auth, password, channel plain, method scram-sha-256, hba:7, trace connect authfail", 0, 0},
		{"main", "pq", client("fred", "none", "", "require", cert), "connected tls, method cert, identity CN=fred, role fred, hba:8, trace connect sslaccept authok", 0, 0},
		{"main", "pq", client("alice", "none", "", "verify-ca", root("other")), "refused at tls, server-cert-untrusted, trace connect sslaccept", 0, 0},
		{"main", "pq", client("alice", "none", "", "prefer", root("other")), noEntry + "trace connect sslaccept reconnect authfail", 0, 0},
		{"main", "pq", client("alice", "none", "", "verify-full"), tlsSession, 0, 0},
		{"main", "pq", client("alice", "none", "", "verify-ca", root("missing")), "refused at tls, root-missing, trace connect", 0, 0},
		{"main", "pq", client("alice", "none", "", "require", direct), "refused at tls, direct-tls-refused, trace connect directaccept", 17, 0},
		{"main", "pq", client("alice", "none", "", "require", direct), "refused at tls, direct-tls-refused, trace connect directreject", 0, 16},
		{"main", "pq", client("alice", "none", "", "prefer", direct), "refused at options, bad-options", 0, 0},
		{"main", "pq", client("alice", "none", "", "verify-full", unix), "connected plain, method trust, role alice, hba:9, trace connect authok", 0, 0},
		{"main", "pq", client("alice", "none", "", "require", unix, direct), "refused at options, bad-options", 0, 0},
		{"main", "pgx", client("alice", "none", "", "disable"), noEntry + "trace connect authfail", 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "allow"), "connected tls, method trust, role alice, hba:2, trace connect authfail reconnect sslaccept authok", 0, 0},
		{"main", "libpq%d", client("bob", "none", "", "require"), "refused at hba, hba-reject, channel tls, method reject, hba:3, trace connect sslaccept authfail", 0, 0},
		{"main", "pgx", client("bob", "none", "", "prefer"), "refused at hba, hba-reject, channel plain, method reject, hba:3, trace connect sslaccept authfail reconnect authfail", 0, 0},
		{"main", "libpq%d", client("gone", "none", "", "disable"), "refused at startup, role-missing, channel plain, method trust, hba:4, trace connect authok startfail", 0, 0},
		{"main", "libpq%d", client("gone", "none", "", "require"), "refused at startup, role-missing, channel tls, method trust, hba:4, trace connect sslaccept authok startfail", 0, 0},
		{"main", "pgx", client("gone", "none", "", "prefer"), "refused at startup, role-missing, channel plain, method trust, hba:4, trace connect sslaccept authok startfail reconnect authok startfail", 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "require", database), "refused at startup, database-missing, channel tls, method trust, hba:2, trace connect sslaccept authok startfail", 0, 0},
		{"main", "libpq%d", client("carol", "valid", "disable", "require"), gssInTLS, 0, 0},
		{"main", "psql%d", client("carol", "valid", "disable", "require"), gssInTLS, 0, 0},
		{"main", "pgx", client("carol", "valid", "", "require"), gssInTLS, 0, 0},
		{"main", "libpq%d", client("carol", "valid", "disable", "disable"), "connected plain, method gss, identity carol@EXAMPLE.TEST, role carol, hba:5, trace connect authok", 0, 0},
		{"main", "libpq%d", client("carol", "none", "disable", "require"), "refused at auth, no-ticket, channel tls, method gss, hba:5, trace connect sslaccept authfail", 0, 0},
		{"main", "libpq%d", client("carol", "none", "disable", "disable"), "refused at auth, no-ticket, channel plain, method gss, hba:5, trace connect authfail", 0, 0},
		{"main", "libpq%d", client("carol", "expired", "disable", "require"), "refused at auth, ticket-expired, channel tls, method gss, hba:5, trace connect sslaccept authfail", 0, 0},
		{"main", "libpq%d", client("carol", "valid", "disable", "require", service("nosuch")), "refused at auth, spn-unknown, channel tls, method gss, hba:5, trace connect sslaccept authfail", 0, 0},
		{"main", "pgx", client("carol", "none", "", "require"), "refused at auth, no-ticket, channel tls, method gss, hba:5, trace connect sslaccept authfail", 0, 0},
		{"main", "pgx", client("carol", "expired", "", "require"), "refused at auth, ticket-expired, channel tls, method gss, hba:5, trace connect sslaccept authfail", 0, 0},
		{"main", "pgx", client("carol", "valid", "", "require", service("nosuch")), "refused at auth, spn-unknown, channel tls, method gss, hba:5, trace connect sslaccept authfail", 0, 0},
		{"main", "libpq%d", client("dave", "valid", "disable", "require"), "refused at ident, map-no-match, channel tls, method gss, identity dave@EXAMPLE.TEST, hba:6, trace connect sslaccept authfail", 0, 0},
		{"main", "libpq%d", client("dave", "valid", "require", ""), "refused at ident, map-no-match, channel gss, method gss, identity dave@EXAMPLE.TEST, hba:6, trace connect gssaccept authfail", 14, 0},
		{"main", "libpq%d", client("erin", "none", "", "require", password("right")), "connected tls, method scram-sha-256, identity erin, role erin, hba:7, trace connect sslaccept authok", 0, 0},
		{"main", "pgx", client("erin", "none", "", "require", password("right")), "connected tls, method scram-sha-256, identity erin, role erin, hba:7, trace connect sslaccept authok", 0, 0},
		{"main", "libpq%d", client("erin", "none", "", "require", password("wrong")), "refused at auth, password, channel tls, method scram-sha-256, hba:7, trace connect sslaccept authfail", 0, 0},
		{"main", "libpq%d", client("erin", "none", "", "disable"), "refused at auth, no-password, channel plain, method scram-sha-256, hba:7, trace connect", 0, 0},
		{"main", "psql%d", client("erin", "none", "", "require"), "refused at auth, no-password, channel tls, method scram-sha-256, hba:7, trace connect sslaccept", 0, 0},
		{"main", "libpq18", client("erin", "valid", "", "disable", password("right"), func(c *matrix.Client) { c.Principal = "carol" }), "connected gss, method scram-sha-256, identity erin, role erin, hba:7, trace connect gssaccept authok", 0, 0},
		{"main", "libpq%d", client("erin", "valid", "require", "", password("right"), binding, func(c *matrix.Client) { c.Principal = "carol" }), "refused at auth, channel-binding, channel gss, method scram-sha-256, hba:7, trace connect gssaccept", 0, 0},
		{"main", "libpq%d", client("fred", "none", "", "require", cert), "connected tls, method cert, identity CN=fred, role fred, hba:8, trace connect sslaccept authok", 0, 0},
		{"main", "pgx", client("fred", "none", "", "require", cert), "connected tls, method cert, identity CN=fred, role fred, hba:8, trace connect sslaccept authok", 0, 0},
		{"main", "libpq%d", client("fred", "none", "", "require"), "refused at auth, cert-missing, channel tls, trace connect sslaccept authfail", 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "verify-ca", root("other")), "refused at tls, server-cert-untrusted, trace connect sslaccept", 0, 0},
		{"main", "pgx", client("alice", "none", "", "verify-ca", root("other")), "refused at tls, server-cert-untrusted, trace connect sslaccept", 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "verify-full"), tlsSession, 0, 0},
		{"main", "pgx", client("alice", "none", "", "verify-full"), tlsSession, 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "verify-ca", root("missing")), "refused at tls, root-missing, trace connect sslaccept", 0, 0},
		{"main", "pgx", client("alice", "none", "", "prefer", root("missing")), "refused at options, bad-options", 0, 0},
		{"main", "libpq18", client("alice", "none", "", "require", direct), "connected tls, method trust, role alice, hba:2, trace connect directaccept authok", 17, 0},
		{"main", "libpq17", client("alice", "none", "", "require", direct), "refused at tls, direct-tls-refused, trace connect directreject", 0, 16},
		{"main", "pgx", client("alice", "none", "", "require", direct), "connected tls, method trust, role alice, hba:2, trace connect directaccept authok", 17, 0},
		{"main", "pgx", client("alice", "none", "", "require", direct), "refused at tls, direct-tls-refused, trace connect directreject", 0, 16},
		{"main", "libpq18", client("alice", "none", "", "verify-ca", direct, root("other")), "refused at tls, server-cert-untrusted, trace connect directaccept", 17, 0},
		{"main", "libpq18", client("alice", "none", "", "prefer", direct), "refused at options, bad-options", 0, 0},
		{"main", "libpq18", client("alice", "none", "", "require", auth("gss")), "refused at auth, method-rejected, channel tls, method trust, hba:2, trace connect sslaccept authok", 0, 0},
		{"main", "libpq18", client("carol", "valid", "disable", "require", auth("scram-sha-256")), "refused at auth, method-rejected, channel tls, method gss, hba:5, trace connect sslaccept authfail", 0, 0},
		{"main", "pgx", client("alice", "none", "", "require", auth("gss")), "refused at auth, method-rejected, channel tls, method trust, hba:2, trace connect sslaccept authok", 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "require", binding), "refused at auth, channel-binding, channel tls, method trust, hba:2, trace connect sslaccept authok", 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "", unix), "connected plain, method trust, role alice, hba:9, trace connect authok", 0, 0},
		{"main", "psql%d", client("alice", "none", "", "", unix), "connected plain, method trust, role alice, hba:9, trace connect authok", 0, 0},
		{"main", "pgx", client("alice", "none", "", "", unix), "connected plain, method trust, role alice, hba:9, trace connect authok", 0, 0},
		{"main", "libpq%d", client("carol", "none", "", "", unix), noEntry + "trace connect authfail", 0, 0},
		{"main", "psql%d", client("carol", "none", "", "", unix), noEntry + "trace connect authfail", 0, 0},
		{"main", "libpq18", client("alice", "valid", "require", "", unix), "refused at options, gss-on-unix-socket", 0, 0},
		{"main", "libpq15", client("alice", "valid", "require", "", unix), "refused at options, gss-on-unix-socket, trace connect", 0, 0},
		{"main", "psql15", client("alice", "valid", "require", "", unix), "refused at options, gss-on-unix-socket, trace connect", 0, 0},
		{"main", "libpq%d", client("erin", "none", "disable", "disable", password("right"), attack("listen")), plainErin + "authok, obtains plaintext", 0, 0},
		{"main", "libpq%d", client("erin", "none", "disable", "prefer", password("right"), attack("strip")), plainErin + "sslreject authok, obtains downgrade", 0, 0},
		{"main", "pq", client("erin", "none", "", "prefer", password("right"), attack("strip")), plainErin + "sslreject reconnect authok, obtains downgrade", 0, 0},
		{"main", "psql%d", client("erin", "none", "disable", "require", password("right"), attack("strip")), "refused at tls, tls-refused, trace connect sslreject, obtains nothing", 0, 0},
		{"main", "libpq18", client("alice", "valid", "prefer", "require", attack("strip-gss")), "connected tls, method trust, role alice, hba:2, trace connect gssreject sslaccept authok, obtains nothing", 0, 0},
		{"main", "libpq13", client("alice", "valid", "prefer", "require", attack("strip-gss")), "connected tls, method trust, role alice, hba:2, trace connect gssreject sslaccept authok, obtains nothing", 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "require", root("none"), attack("impersonate")), tlsSession + ", obtains session", 0, 0},
		{"main", "pgx", client("alice", "none", "", "require", root("none"), attack("impersonate")), tlsSession + ", obtains session", 0, 0},
		{"main", "libpq%d", client("erin", "none", "", "require", root("none"), password("right"), attack("impersonate")), "refused at auth, channel-binding, channel tls, method scram-sha-256, hba:7, trace connect sslaccept authfail, obtains plaintext", 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "verify-full", attack("impersonate")), "refused at tls, server-cert-untrusted, trace connect sslaccept, obtains nothing", 0, 0},
		{"main", "pgx", client("alice", "none", "", "verify-full", attack("impersonate")), "refused at tls, server-cert-untrusted, trace connect sslaccept, obtains nothing", 0, 0},
		{"main", "libpq%d", client("erin", "none", "disable", "disable", password("right"), attack("inject")), plainErin + "authok, obtains injected", 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "require", attack("inject")), tlsSession + ", obtains nothing", 0, 0},
		{"main", "libpq%d", client("alice", "valid", "", "", attack("inject")), gssSession + ", obtains nothing", 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "require", attack("stuff-server")), "refused at tls, protocol-violation, trace connect sslaccept, obtains nothing", 0, 0},
		{"main", "pgx", client("alice", "none", "", "require", attack("stuff-server")), "refused at tls, protocol-violation, trace connect sslaccept, obtains nothing", 0, 0},
		{"main", "libpq18", client("alice", "none", "", "require", attack("stuff-client")), "refused at tls, protocol-violation, channel tls, trace connect sslaccept authfail, obtains nothing", 14, 16},
		{"main", "libpq18", client("alice", "none", "", "require", attack("stuff-client")), "refused at tls, protocol-violation, trace connect sslaccept, obtains nothing", 17, 0},
		{"main", "libpq18", client("alice", "valid", "require", "", attack("stuff-client")), "refused at gssenc, protocol-violation, channel gss, trace connect gssaccept authfail, obtains nothing", 14, 0},
		{"main", "libpq%d", client("alice", "none", "", "prefer", attack("error")), "refused at tls, answer-error, trace connect sslerror, obtains nothing", 0, 0},
		{"main", "libpq18", client("alice", "valid", "require", "", attack("error")), "refused at gssenc, answer-error, trace connect gsserror, obtains nothing", 0, 0},
		{"main", "libpq15", client("alice", "valid", "require", "", attack("error")), "refused at gssenc, answer-error, trace connect gsserror reconnect, obtains nothing", 0, 0},
		{"main", "libpq%d", client("alice", "valid", "require", "", attack("error-unterminated")), "refused at gssenc, answer-error, trace connect gssaccept, obtains injected", 0, 0},
		{"no-keytab", "libpq%d", client("alice", "valid", "require", ""), "refused at gssenc, keytab-missing, trace connect gssaccept", 0, 0},
		{"no-keytab", "libpq%d", client("alice", "valid", "", ""), "connected tls, method trust, role alice, hba:2, trace connect gssaccept reconnect sslaccept authok", 0, 0},
		{"no-keytab", "libpq%d", client("carol", "valid", "disable", "require"), "refused at auth, keytab-missing, channel tls, method gss, hba:5, trace connect sslaccept authfail", 0, 0},
		{"no-keytab", "pgx", client("carol", "valid", "", "disable"), "refused at auth, keytab-missing, channel plain, method gss, hba:5, trace connect authfail", 0, 0},
		{"stale", "libpq%d", client("alice", "valid", "require", ""), "refused at gssenc, keytab-mismatch, trace connect gssaccept", 0, 0},
		{"stale", "libpq%d", client("carol", "valid", "disable", "require"), "refused at auth, keytab-mismatch, channel tls, method gss, hba:5, trace connect sslaccept authfail", 0, 0},
		{"stale", "libpq%d", client("carol", "valid", "disable", "disable"), "refused at auth, keytab-mismatch, channel plain, method gss, hba:5, trace connect authfail", 0, 0},
		{"stale", "pgx", client("carol", "valid", "", "require"), "refused at auth, keytab-mismatch, channel tls, method gss, hba:5, trace connect sslaccept authfail", 0, 0},
		{"no-keytab", "pq", client("carol", "valid", "", "disable"), "refused at auth, keytab-missing, channel plain, method gss, hba:5, trace connect authfail", 0, 0},
		{"stale", "pq", client("carol", "valid", "", "require"), "refused at auth, keytab-mismatch, channel tls, method gss, hba:5, trace connect sslaccept authfail", 0, 0},
		{"no-tls", "pq", client("alice", "none", "", ""), "refused at tls, tls-refused, trace connect sslreject", 0, 0},
		{"no-tls", "pq", client("carol", "none", "", "prefer"), "refused at auth, no-ticket, channel plain, method gss, hba:5, trace connect sslreject reconnect authfail", 0, 0},
		{"wrong-name", "pq", client("alice", "none", "", "verify-full"), "refused at tls, server-cert-name, trace connect sslaccept", 0, 0},
		{"expired", "pq", client("alice", "none", "", "verify-ca"), "refused at tls, server-cert-expired, trace connect sslaccept", 0, 0},
		{"other-key", "libpq%d", client("alice", "valid", "require", ""), "refused at gssenc, keytab-mismatch, trace connect gssaccept", 0, 0},
		{"other-key", "psql%d", client("carol", "valid", "disable", "require"), "refused at auth, keytab-mismatch, channel tls, method gss, hba:5, trace connect sslaccept authfail", 0, 0},
		{"no-tls", "libpq%d", client("alice", "none", "", "require"), "refused at tls, tls-refused, trace connect sslreject", 0, 0},
		{"no-tls", "pgx", client("alice", "none", "", "require"), "refused at tls, tls-refused, trace connect sslreject", 0, 0},
		{"no-tls", "libpq18", client("alice", "none", "", "require", direct), "refused at tls, direct-tls-refused, trace connect directreject", 0, 0},
		{"no-tls", "libpq18", client("carol", "none", "", "prefer"), "refused at auth, no-ticket, channel plain, method gss, hba:5, trace connect sslreject authfail", 0, 0},
		{"wrong-name", "libpq%d", client("alice", "none", "", "verify-full"), "refused at tls, server-cert-name, trace connect sslaccept", 0, 0},
		{"wrong-name", "pgx", client("alice", "none", "", "verify-full"), "refused at tls, server-cert-name, trace connect sslaccept", 0, 0},
		{"expired", "libpq%d", client("alice", "none", "", "verify-ca"), "refused at tls, server-cert-expired, trace connect sslaccept", 0, 0},
		{"expired", "pgx", client("alice", "none", "", "verify-ca"), "refused at tls, server-cert-expired, trace connect sslaccept", 0, 0},
		{"krb-realm", "libpq%d", client("carol", "valid", "disable", "require"), "refused at auth, realm-mismatch, channel tls, method gss, identity carol@EXAMPLE.TEST, hba:1, trace connect sslaccept authfail", 0, 0},
		{"revoked", "libpq%d", client("alice", "none", "disable", "verify-full", crl("right")), "refused at tls, server-cert-revoked, trace connect sslaccept", 0, 0},
		{"revoked", "psql%d", client("alice", "none", "disable", "verify-full", crl("stale")), "refused at tls, server-cert-expired, trace connect sslaccept", 0, 0},
		{"revoked", "libpq%d", client("alice", "none", "disable", "verify-full", crl("missing")), tlsSession, 0, 0},
		{"revoked", "pgx", client("alice", "none", "", "verify-full"), tlsSession, 0, 0},
		{"revoked", "pgx", client("alice", "none", "", "require", crl("right")), sentCRL, 0, 0},
		{"revoked", "pq", client("alice", "none", "", "require", crl("right")), sentCRL, 0, 0},
		{"revoked", "libpq18", client("alice", "none", "disable", "", root("system")), "refused at tls, server-cert-untrusted, trace connect sslaccept", 0, 0},
		{"revoked", "libpq18", client("alice", "none", "disable", "require", root("system")), "refused at options, bad-options", 0, 0},
		{"revoked", "pgx", client("alice", "none", "", "disable", root("system")), "refused at tls, server-cert-untrusted, trace connect sslaccept", 0, 0},
		{"revoked", "pq", client("alice", "none", "", "disable", root("system")), "refused at options, bad-options", 0, 0},
		{"ed25519", "libpq%d", client("erin", "none", "disable", "require", password("right")), "refused at auth, channel-binding, channel tls, method scram-sha-256, hba:7, trace connect sslaccept", 0, 0},
		{"ed25519", "pgx", client("erin", "none", "", "require", password("right")), "refused at auth, channel-binding, channel tls, method scram-sha-256, hba:7, trace connect sslaccept authfail", 0, 0},
		{"ed25519", "pq", client("erin", "none", "", "require", password("right")), "connected tls, method scram-sha-256, identity erin, role erin, hba:7, trace connect sslaccept authok", 0, 0},
	}
}

func liveWorld(server int, name string) *matrix.World {
	w := &matrix.World{
		Server: server, SSL: "on", ServerCert: "good", Keytab: "good", HBA: liveHBA, Host: matrix.DefaultHost,
		Roles:  []matrix.Role{{Name: "alice"}, {Name: "bob"}, {Name: "carol"}, {Name: "dave"}, {Name: "erin", Password: "scram-sha-256"}, {Name: "fred"}},
		Realms: []matrix.Realm{{Name: matrix.DefaultRealm, Principals: []string{"alice", "carol", "dave"}}},
	}
	liveWorlds[name](w)
	return w
}

// captured is one line of testdata. The cell's world is named, and made by liveWorld.
type captured struct {
	Cell     *matrix.Cell    `json:"cell"`
	World    string          `json:"world"`
	Evidence matrix.Evidence `json:"evidence"`
	Want     string          `json:"want"`
	Unseen   []matrix.Field  `json:"unseen,omitempty"`
}

// liveTables are tables of attempts with the word that begins the names of their files in testdata.
var liveTables = []struct {
	name  string
	cells func() []liveCell
}{{"pg", liveCells}, {"raw", rawLiveCells}, {"forged", forgedCells}, {"spoiled", spoiledLiveCells}}

// TestLive makes attempts on real servers, several at a time, and holds them against outcomes written by hand.
func TestLive(t *testing.T) {
	livetest.NeedsContainers(t)
	var servers []int
	for text := range strings.FieldsFuncSeq(*liveVersions, func(r rune) bool { return r == ',' }) {
		server, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		servers = append(servers, server)
	}
	if len(servers) == 0 {
		servers = livetest.Versions(t)
	}
	for _, table := range liveTables {
		for _, server := range servers {
			t.Run(table.name+strconv.Itoa(server), func(t *testing.T) {
				t.Parallel() // most of it is waiting
				live(t, server, table.cells(), capturedFile(table.name, server))
			})
		}
	}
}

// live tries the cells that are for this server; file is where -capture puts what was seen.
func live(t *testing.T, server int, list []liveCell, file string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	worlds := map[string]*matrix.World{}
	for name := range liveWorlds {
		worlds[name] = liveWorld(server, name)
	}
	byWorld := map[string][]*matrix.Cell{}
	want := map[string]string{}
	var cells []*matrix.Cell
	for i, l := range list {
		if l.from > server || l.to != 0 && l.to < server {
			continue
		}
		library := l.library
		if strings.Contains(library, "%d") {
			library = fmt.Sprintf(library, server)
		}
		cell := &matrix.Cell{
			ID: fmt.Sprintf("live/%s/pg%d/%s/%d", l.world, server, library, i), Scenario: "live", World: worlds[l.world],
			Client: matrix.Client{Library: matrix.Library(library), Transport: "tcp", Database: "postgres", Root: "right", Cert: "none", Password: "none"},
		}
		l.change(&cell.Client)
		cells = append(cells, cell)
		byWorld[l.world] = append(byWorld[l.world], cell)
		want[cell.ID] = l.want
	}
	plan, err := fixtures.PlanFor(cells)
	if err != nil {
		t.Fatal(err)
	}
	plan.RunID, plan.Dir = fmt.Sprintf("probe-test-%d-%s", os.Getpid(), filepath.Base(t.Name())), t.TempDir()
	plan.Progress = func(line string) { t.Log(line) }
	env, err := fixtures.Provision(ctx, plan)
	if err != nil {
		t.Fatalf("no Env, so nothing was tried: %v", err)
	}
	defer func() {
		if err := env.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	}()
	observed := make([]matrix.Observation, 0, len(cells))
	var lines []captured
	for name, world := range worlds {
		if len(byWorld[name]) == 0 {
			continue
		}
		if err := env.Install(ctx, world); err != nil {
			t.Errorf("world %s: %v", name, err)
			continue
		}
		results := make([]matrix.Observation, len(byWorld[name]))
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(4)
		for i, cell := range byWorld[name] {
			group.Go(func() error {
				results[i] = Attempt(groupCtx, env, cell)
				return nil
			})
		}
		_ = group.Wait()
		for i, cell := range byWorld[name] {
			o := results[i]
			observed = append(observed, o)
			if problem := compareLive(o, want[cell.ID]); problem != "" {
				o.Evidence.KRB5Trace = ""
				evidence, _ := json.MarshalIndent(o.Evidence, "", " ")
				t.Errorf("%s %+v:\n%s\n%s", cell.ID, cell.Client, problem, evidence)
				continue
			}
			o.Evidence.KRB5Trace = ""
			lines = append(lines, captured{cell, name, o.Evidence, o.Outcome.String(), o.Unseen})
		}
	}
	if len(observed) != len(cells) {
		t.Errorf("%d of %d cells attempted", len(observed), len(cells))
	}
	if *capture && !t.Failed() {
		writeCaptured(t, file, lines)
		writeWorlds(t)
	}
}

// compareLive is empty if the observation is as wanted but for what this server version lets nobody see.
func compareLive(o matrix.Observation, want string) string {
	if o.Fault != "" {
		return "fault: " + o.Fault + "\nwant  " + want
	}
	parsed, err := matrix.ParseOutcome(want)
	if err != nil {
		return err.Error()
	}
	wanted := parsed.Outcome
	for _, f := range o.Unseen {
		switch f {
		case matrix.FieldMethod:
			wanted.Method = ""
		case matrix.FieldIdentity:
			wanted.Identity = ""
		case matrix.FieldRule:
			wanted.Rule = ""
		}
	}
	if got := o.Outcome.String(); got != wanted.String() {
		return fmt.Sprintf("got   %s (unseen %v)\nwant  %s", got, o.Unseen, want)
	}
	return ""
}

// capturedDir is where package classify has what was captured, and replays it.
const capturedDir = "../classify/testdata"

func capturedFile(table string, server int) string {
	return filepath.Join(capturedDir, fmt.Sprintf("%s%d.jsonl", table, server))
}

func writeCaptured(t *testing.T, name string, lines []captured) {
	t.Helper()
	if err := os.MkdirAll(capturedDir, 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	encoder := json.NewEncoder(file)
	for _, l := range lines {
		cell := *l.Cell
		cell.World, l.Cell = nil, &cell // testdata/worlds.json has the worlds, by name
		if err := encoder.Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// writeWorlds writes the worlds of the live tables by name, as they are on any server.
func writeWorlds(t *testing.T) {
	t.Helper()
	worlds := map[string]*matrix.World{}
	for name := range liveWorlds {
		worlds[name] = liveWorld(0, name)
	}
	text, err := json.MarshalIndent(worlds, "", " ")
	if err == nil {
		err = os.WriteFile(filepath.Join(capturedDir, "worlds.json"), append(text, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

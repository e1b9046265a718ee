package oracle

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestHosts: what a second host means to each client, next to what one host means.
func TestHosts(t *testing.T) {
	const gss = "hba='host all all all gss include_realm=0' ticket=valid sslmode=disable gssencmode=disable "
	t.Run("the name that a client goes by", func(t *testing.T) {
		for _, library := range []string{"libpq13", "libpq18", "psql17", "pq"} {
			checkRows(t, gss+"hosts=dead-first library="+library, `
 => connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok
sslmode=verify-full => connected tls, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect sslaccept authok
sslmode=verify-full servercert=wrong-name => refused at tls, server-cert-name, trace connect sslaccept
krbsrvname=nosuch => refused at auth, spn-unknown, channel plain, method gss, hba:1, trace connect authfail
`)
		}
		checkRows(t, gss+"hosts=dead-first library=pgx", `
 => refused at auth, spn-unknown, channel plain, method gss, hba:1, trace connect authfail
hosts=twice => connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok
ticket=none => refused at auth, no-ticket, channel plain, method gss, hba:1, trace connect authfail
ticket=expired => refused at auth, ticket-expired, channel plain, method gss, hba:1, trace connect authfail
sslmode=verify-full hba='host all all all trust' => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
// GSS encryption is gssenc's, which asks for the service of the host that it has connected to
gssencmode=prefer => connected gss, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect gssaccept authok
gssencmode=prefer hba='hostnogssenc all all all gss' => refused at auth, spn-unknown, channel plain, method gss, hba:1, trace connect gssaccept authfail reconnect authfail
gssencmode=require ticket=none => refused at credentials, no-ticket
`)
		// If the KDC knows the first host's service, the server still does not.
		p := predict(t, cell(set(gss+"hosts=dead-first library=pgx"), func(c *matrix.Cell) {
			c.World.Realms[0].Principals = append(c.World.Realms[0].Principals, "postgres/dead.example.test")
		}))
		if want := "refused at auth, keytab-mismatch, channel plain, method gss, hba:1, trace connect authfail"; p.Outcome.String() != want {
			t.Errorf("\n got %s\nwant %s%s", p.Outcome, want, explain(p))
		}
	})
	t.Run("which clients go on after a refusal", func(t *testing.T) {
		for _, library := range []string{"libpq13", "libpq16", "libpq18"} {
			for _, given := range []string{"", "ticket=valid", "ticket=valid gssencmode=require", "user=nobody", "database=nodb", "root=other sslmode=require",
				"hba='hostgssenc all all all trust'", "hba='host all all all reject'", "gssencmode=require", "require_auth=gss", "ticket=valid keytab=none"} {
				if library < "libpq16" && strings.Contains(given, "require_auth") {
					continue
				}
				one := predict(t, cell(set("library="+library), set(given)))
				for _, hosts := range []string{"dead-first", "twice"} {
					if got := predict(t, cell(set("library="+library+" hosts="+hosts), set(given))); got.Outcome.String() != one.Outcome.String() {
						t.Errorf("%s hosts=%s %s: %s, with one host %s", library, hosts, given, got.Outcome, one.Outcome)
					}
				}
			}
		}
		checkRows(t, "hosts=twice library=pgx", `
 => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
hba='host all all all reject' => refused at hba, hba-reject, channel plain, method reject, hba:1, trace connect sslaccept authfail reconnect authfail reconnect sslaccept authfail reconnect authfail
user=nobody sslmode=disable => refused at startup, role-missing, channel plain, method trust, hba:1, trace connect authok startfail reconnect authok startfail
database=nodb => refused at startup, database-missing, channel tls, method trust, hba:1, trace connect sslaccept authok startfail
hba='host all all all scram-sha-256' user=scram password=wrong => refused at auth, password, channel tls, method scram-sha-256, hba:1, trace connect sslaccept authfail
sslmode=verify-full servercert=wrong-name => refused at tls, server-cert-name, trace connect sslaccept reconnect sslaccept
gssencmode=require ticket=valid hba='hostssl all all all trust' => refused at hba, no-hba-entry, channel gss, trace connect gssaccept authfail reconnect gssaccept authfail
gssencmode=require => refused at credentials, no-ticket
gssencmode=prefer ticket=valid sslmode=require hba='hostnossl all bob all trust' => refused at hba, no-hba-entry, channel tls, trace connect gssaccept authfail reconnect sslaccept authfail reconnect gssaccept authfail reconnect sslaccept authfail
gssencmode=prefer ticket=valid channel_binding=require => refused at gssenc, channel-binding, trace connect gssaccept reconnect gssaccept
root=missing => refused at options, bad-options
`)
		checkRows(t, "hosts=twice library=pq", `
 => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
hba='host all all all scram-sha-256' user=scram password=wrong => refused at auth, password, channel tls, method scram-sha-256, hba:1, trace connect sslaccept authfail reconnect sslaccept authfail
sslmode=prefer database=nodb => refused at startup, database-missing, channel tls, method trust, hba:1, trace connect sslaccept authok startfail reconnect sslaccept authok startfail
sslmode=allow hba='host all all all reject' => refused at hba, hba-reject, channel tls, method reject, hba:1, trace connect authfail reconnect sslaccept authfail reconnect authfail reconnect sslaccept authfail
root=missing sslmode=verify-ca => refused at tls, root-missing, trace connect reconnect
sslmode=prefer sslnegotiation=direct => refused at options, bad-options
`)
	})
}

// TestAmbient: credentials that no parameter names are of the user that they were issued to.
func TestAmbient(t *testing.T) {
	const certificate = "cert=ambient gssencmode=disable sslmode=require ident='m service alice' "
	for _, library := range []string{"libpq15", "libpq18", "psql15", "pgx", "pq"} {
		checkRows(t, certificate+"library="+library, `
hba='hostssl all all all cert map=m' => connected tls, method cert, identity CN=service, role alice, hba:1, trace connect sslaccept authok
hba='hostssl all all all cert' => refused at ident, map-no-match, channel tls, method cert, identity CN=service, hba:1, trace connect sslaccept authfail
hba='hostssl all all all cert clientname=DN map=m' => refused at ident, map-no-match, channel tls, method cert, identity CN=service, hba:1, trace connect sslaccept authfail
hba='hostssl all all all trust clientcert=verify-full' => refused at auth, cert-name-mismatch, channel tls, method trust, hba:1, trace connect sslaccept authfail
hba='hostssl all all all trust clientcert=verify-ca' => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
hba='hostssl all all all cert map=m' cert=none => refused at auth, cert-missing, channel tls, method cert, hba:1, trace connect sslaccept authfail
`)
	}
	for _, library := range []string{"libpq13", "libpq14", "psql13"} {
		checkRows(t, certificate+"library="+library, `
hba='hostssl all all all cert map=m' => refused at auth, cert-missing, channel tls, method cert, hba:1, trace connect sslaccept authfail
hba='hostssl all all all trust clientcert=verify-ca' => refused at auth, cert-missing, channel tls, method trust, hba:1, trace connect sslaccept authfail
`)
	}
	const ticket = "ticket=ambient principal=service ident='m service alice' hba='host all all all gss include_realm=0 map=m' "
	checkRows(t, ticket, `
 => connected gss, method gss, identity service@EXAMPLE.TEST, role alice, hba:1, trace connect gssaccept authok
library=libpq13 gssencmode=disable => connected tls, method gss, identity service@EXAMPLE.TEST, role alice, hba:1, trace connect sslaccept authok
gssencmode=require hba='host all all all gss' => refused at ident, map-no-match, channel gss, method gss, identity service@EXAMPLE.TEST, hba:1, trace connect gssaccept authfail
library=pgx gssencmode=prefer => connected gss, method gss, identity service@EXAMPLE.TEST, role alice, hba:1, trace connect gssaccept authok
library=pgx sslmode=require => refused at auth, no-ticket, channel tls, method gss, hba:1, trace connect sslaccept authfail
library=pq => refused at auth, no-ticket, channel tls, method gss, hba:1, trace connect sslaccept authfail
`)
	for given, source := range map[string]string{
		certificate + "hba='hostssl all all all cert map=m'":                 "libpq, sslcert",
		certificate + "hba='hostssl all all all cert map=m' library=pgx":     "pgconn/defaults.go, defaultSettings",
		certificate + "hba='hostssl all all all cert map=m' library=pq":      "ssl.go, sslClientCertificates",
		certificate + "hba='hostssl all all all cert map=m' library=libpq14": "fe-connect.c, pqGetHomeDirectory",
		ticket:                 "krb5.conf, default_ccache_name",
		ticket + "library=pgx": "gopgkrb5, krb_unix.go; lib/pq, auth/kerberos",
	} {
		if p := predict(t, cell(set(given))); !slices.ContainsFunc(p.Because, func(b matrix.Because) bool { return b.Source == source }) {
			t.Errorf("%s: no rule has the source %s:%s", given, source, explain(p))
		}
	}
}

// members gives a cell roles and databases with everything that a scenario can say of them.
func members(c *matrix.Cell) {
	c.World.Roles = []matrix.Role{{Name: "alice"}, {Name: "staff", NoLogin: true}, {Name: "admins", In: []string{"staff"}}, {Name: "bob", In: []string{"admins"}},
		{Name: "standby", Replication: true}, {Name: "full", NoConnections: true}, {Name: "resting", NoConnections: true, NoLogin: true},
		{Name: "late", Password: "scram-sha-256", Expired: true}, {Name: "late5", Password: "md5", Expired: true}}
	c.World.Databases = []matrix.Database{{Name: "app"}, {Name: "staff"}, {Name: "closed", NoConnections: true}}
	c.World.OSUsers = []string{"alice", "deploy"}
	c.Client.GSSEncMode, c.Client.SSLMode = "disable", "disable"
}

func TestRolesAndDatabases(t *testing.T) {
	for _, tt := range []struct{ set, want string }{
		{"database=app", "connected plain, method trust, role alice, hba:1, trace connect authok"},
		{"database=closed", "refused at startup, too-many-clients, channel plain, method trust, hba:1, trace connect authok startfail"},
		{"database=closed user=postgres", "connected plain, method trust, role postgres, hba:1, trace connect authok"},
		{"database=nosuch", "refused at startup, database-missing, channel plain, method trust, hba:1, trace connect authok startfail"},
		{"user=full", "refused at startup, too-many-clients, channel plain, method trust, hba:1, trace connect authok startfail"},
		{"user=resting", "refused at startup, role-no-login, channel plain, method trust, hba:1, trace connect authok startfail"},
		// a role's limit comes before its attribute, and both before the database
		{"user=full replication=logical database=nosuch", "refused at startup, too-many-clients, channel plain, method trust, hba:1, trace connect authok startfail"},
		{"replication=logical database=nosuch", "refused at startup, no-replication-privilege, channel plain, method trust, hba:1, trace connect authok startfail"},
		{"user=standby replication=logical database=nosuch", "refused at startup, database-missing, channel plain, method trust, hba:1, trace connect authok startfail"},
		{"user=postgres replication=logical", "connected plain, method trust, role postgres, hba:1, trace connect authok"},
		{"user=standby replication=physical", "refused at hba, no-hba-entry, channel plain, trace connect authfail"},
		{"user=standby replication=physical database=closed hba='host replication all all trust'", "connected plain, method trust, role standby, hba:1, trace connect authok"},
		{"user=standby replication=physical hba='host postgres,replication all all trust'", "connected plain, method trust, role standby, hba:1, trace connect authok"},
		{"user=standby replication=physical hba='host \"replication\",/repl,sameuser all all trust'", "refused at hba, no-hba-entry, channel plain, trace connect authfail"},
		{"user=standby replication=logical hba='host replication all all trust'", "refused at hba, no-hba-entry, channel plain, trace connect authfail"},
		{"replication=physical hba='host replication all all trust'", "refused at startup, no-replication-privilege, channel plain, method trust, hba:1, trace connect authok startfail"},
		{"library=pgx sslmode=allow replication=logical", "refused at startup, no-replication-privilege, channel plain, method trust, hba:1, trace connect authok startfail"},
		// membership by way of another role, and not the reverse
		{"user=bob hba='host all +staff all trust'", "connected plain, method trust, role bob, hba:1, trace connect authok"},
		{"user=bob database=staff hba='host samerole all all trust'", "connected plain, method trust, role bob, hba:1, trace connect authok"},
		{"user=bob database=app hba='host samerole all all trust'", "refused at hba, no-hba-entry, channel plain, trace connect authfail"},
		{"user=staff hba='host all +bob all trust'", "refused at hba, no-hba-entry, channel plain, trace connect authfail"},
		{"user=postgres hba='host all +staff all trust'", "refused at hba, no-hba-entry, channel plain, trace connect authfail"},
		{"user=nosuch hba='host all +nosuch all trust'", "refused at hba, no-hba-entry, channel plain, trace connect authfail"},
		// a password that has expired is as good as none: what is asked depends on the default, not on how it is stored
		{"user=late password=right hba='host all all all scram-sha-256'", "refused at auth, password, channel plain, method scram-sha-256, hba:1, trace connect authfail"},
		{"user=late password=right hba='host all all all password'", "refused at auth, password, channel plain, method password, hba:1, trace connect authfail"},
		{"user=late5 password=right hba='host all all all md5' require_auth=scram-sha-256", "refused at auth, password, channel plain, method md5, hba:1, trace connect authfail"},
		{"user=late password=right hba='host all all all md5' require_auth=md5 server=13", "refused at auth, password, channel plain, method md5, hba:1, trace connect authfail"},
		{"user=late", "connected plain, method trust, role late, hba:1, trace connect authok"},
		// peer
		{"transport=unix os_user=alice hba='local all all peer'", "connected plain, method peer, identity alice, role alice, hba:1, trace connect authok"},
		{"transport=unix os_user=deploy hba='local all all peer'", "refused at ident, map-no-match, channel plain, method peer, identity deploy, hba:1, trace connect authfail"},
		{"transport=unix os_user=deploy hba='local all all ident map=m' ident='m deploy alice'", "connected plain, method peer, identity deploy, role alice, hba:1, trace connect authok"},
		{"transport=unix os_user=stranger hba='local all all peer map=m' ident='m stranger alice'", "refused at auth, peer-mismatch, channel plain, method peer, hba:1, trace connect authfail"},
	} {
		p := predict(t, cell(members, set(tt.set)))
		if p.Outcome.String() != tt.want {
			t.Errorf("%s\n got %s\nwant %s%s", tt.set, p.Outcome, tt.want, explain(p))
		}
	}
}

func TestConnectPrivilege(t *testing.T) {
	checkRows(t, "database=template1 sslmode=disable", `
 => refused at startup, no-connect-privilege, channel plain, method trust, hba:1, trace connect authok startfail
user=nobody => refused at startup, role-missing, channel plain, method trust, hba:1, trace connect authok startfail
user=postgres => connected plain, method trust, role postgres, hba:1, trace connect authok
library=pgx sslmode=allow => refused at startup, no-connect-privilege, channel plain, method trust, hba:1, trace connect authok startfail
library=pq sslmode=allow => refused at startup, no-connect-privilege, channel tls, method trust, hba:1, trace connect authok startfail reconnect sslaccept authok startfail
`)
}

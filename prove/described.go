package prove

import (
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// described are faults in what scenarios describe themselves, and in how rules are loaded. What a fault puts in the place of another thing is there
// because a cell that must agree has it.
func described() []fault {
	one := func(id string) []string { return []string{id} }
	client := func(change func(*matrix.Client)) plant { return plant{client: change} }
	const differ = verdict.Differ
	return []fault{
		{"another certificate of the scenario's own", one("clientcert/distinguished-names/pg17/hba=cn/libpq18/user=alice,sslmode=require,cert=two-names"), one("clientcert/distinguished-names/pg17/hba=cn/libpq18/user=alice,sslmode=require,cert=organisation"),
			differ, "^identity ", client(func(c *matrix.Client) { c.Cert = "organisation" })},
		{"the intermediate's certificate is not sent", one("clientcert/intermediate/pg17/libpq18/user=alice,sslmode=verify-full,cert=intermediate"), one("clientcert/intermediate/pg17/libpq18/user=alice,sslmode=verify-full,cert=intermediate-alone"),
			differ, "^reason , observed cert-untrusted$", client(func(c *matrix.Client) { c.Cert = "intermediate-alone" })},
		{"another keytab of the scenario's own", one("tickets/keys-of-the-server/pg17/keytab=both-versions/libpq18/ticket=valid,gssencmode=require,sslmode=disable"), nil,
			differ, endRefused, wrong(func(w *matrix.World) { w.Keytab = "only-other" })},
		{"asyncpg has no ticket", one("tickets/keys-of-the-server/pg17/keytab=good/asyncpg0.31/ticket=valid,gssencmode=disable,sslmode=disable"), nil,
			differ, endRefused, client(func(c *matrix.Client) { c.Ticket = "none" })},
		{"a ticket that has expired", one("tickets/lifetime-and-flags/pg17/libpq17/ticket=renewable,gssencmode=disable,sslmode=require"), one("tickets/lifetime-and-flags/pg17/libpq17/ticket=expired,gssencmode=disable,sslmode=require"),
			differ, "^reason , observed ticket-expired$", client(func(c *matrix.Client) { c.Ticket = "expired" })},
		{"a ticket of another realm", one("tickets/two-realms/pg17/hba=any-realm/libpq17/principal=alice@USERS.TEST,ticket=valid,gssencmode=disable,sslmode=require"),
			one("tickets/two-realms/pg17/hba=any-realm/libpq17/principal=alice@PARTNER.TEST,ticket=valid,gssencmode=disable,sslmode=require"),
			differ, endRefused, client(func(c *matrix.Client) { c.Principal = "alice@PARTNER.TEST" })},
		{"krb_realm is another realm", one("tickets/two-realms/pg17/hba=named-realm/libpq17/principal=alice@USERS.TEST,ticket=valid,gssencmode=disable,sslmode=require"), nil,
			differ, "^reason , observed realm-mismatch$", hba("krb_realm=USERS.TEST", "krb_realm=SERVERS.TEST")},
		{"the user name map is empty", one("tickets/two-realms/pg17/hba=with-map/libpq17/principal=alice@USERS.TEST,ticket=valid,gssencmode=disable,sslmode=require"), nil,
			differ, "^reason , observed map-no-match$", wrong(func(w *matrix.World) { w.Ident = "" })},
		{"a file of names is empty", one("loading/files-of-names/pg17/hba=names,load=restart/libpq17/user=alice,sslmode=disable"), one("loading/files-of-names/pg17/hba=names,load=restart/libpq17/user=eve,sslmode=disable"),
			differ, endRefused, wrong(func(w *matrix.World) {
				w.Files = slices.Clone(w.Files)
				for i := range w.Files {
					w.Files[i].Text = "\n"
				}
			})},
		{"the rules of before are others", loading("load=reload"), nil, differ, endRefused, wrong(func(w *matrix.World) { w.Before.HBA = "host all all all reject\n" })},
		{"require_auth is another list", one("negotiation/require-auth-and-methods/pg17/libpq17/user=alice,ticket=valid,gssencmode=disable,sslmode=disable,require_auth=%21gss,password=right"), nil,
			differ, "^reason , observed method-rejected$", client(func(c *matrix.Client) { c.RequireAuth = "!scram-sha-256" })},
		{"no password for a service that checks it", one("auth/services-that-check-the-password/pg17/service=radius/libpq18/user=alice,sslmode=require,password=right"), nil,
			differ, "^reason no-auth-service, observed no-password$", client(func(c *matrix.Client) { c.Password = "none" })},
		{"krb5.conf is that of the harness", one("tickets/krb5-conf-of-a-distribution/pg17/hba=gss/pgx/ticket=valid,krb5_conf=rhel-9,gssencmode=disable,sslmode=disable"),
			one("tickets/krb5-conf-of-a-distribution/pg17/hba=gss/pgx/ticket=valid,krb5_conf=plain,gssencmode=disable,sslmode=disable"),
			differ, endConnected, client(func(c *matrix.Client) { c.KRB5Conf = matrix.PlainKRB5Conf })},
		{"a varied text is that of another value", one("clientcert/method-and-clientcert/pg18/serverca=right,tls=TLSv1.3,method=trust,clientcert=full/libpq18/user=alice,sslmode=require,cert=other-user,password=right"), nil,
			differ, endConnected, hba("clientcert=verify-full", "clientcert=verify-ca")},
		{"a varied setting is that of another value", one("negotiation/read-only-sessions/pg18/read-only=on/libpq18/ticket=none,gssencmode=default,sslmode=disable,target_session_attrs=read-write"), nil,
			differ, endConnected, wrong(func(w *matrix.World) {
				w.Settings = []matrix.Setting{{Name: "default_transaction_read_only", Value: "off"}}
			})},
		{"a setting that the server does not start with is left out", one("compliance/cis-ciphers/pg17/ssl=on,load=restart,ciphers=as-prescribed/libpq17/sslmode=require"), nil,
			differ, endConnected, wrong(func(w *matrix.World) { w.Settings = nil })},
		{"included files are read in another order", one("loading/included-files/pg17/hba=directory,load=reload/libpq17/user=alice,sslmode=require"), nil,
			differ, `^rule conf\.d/B\.conf:1, observed sub/two\.conf:2$`, wrong(func(w *matrix.World) { renamed(w, "conf.d/B.conf", "conf.d/z.conf") })},
		{"an included map is not there", one("identmap/included-maps/pg17/ident=nested,load=reload/libpq18/user=alice,principal=alice,ticket=valid,gssencmode=disable,sslmode=disable"), nil,
			differ, `^load , observed one:1: could not open file`, wrong(func(w *matrix.World) { renamed(w, "two/three", "two/four") })},
		{"the server is reloaded, and should be started anew", loading("load=restart"), nil, differ, endConnected, wrong(func(w *matrix.World) { w.Load, w.Before.HBA = matrix.Reload, "host all all all trust\n" })},
		{"the server is started anew, and should be reloaded", loading("load=reload"), nil, differ, "^reason , observed dial-refused$", wrong(func(w *matrix.World) { w.Load = matrix.Restart })},
		{"random rules without their last record", one("random/seed-1-set-11/pg17/ssl=on/psql17/address=10.20.0.200,user=alice,sslmode=default,cert=rsa,password=right"), nil,
			differ, "^channel tls, observed plain$", hba("hostnogssenc\tall  all  all  trust\n", "")},
		{"random rules: one method for another", one("random/seed-1-set-11/pg17/ssl=on/psql17/address=10.20.0.200,user=alice,sslmode=default,cert=rsa,password=right"), nil,
			differ, "^rule pg_hba.conf:14, observed pg_hba.conf:3$", hba("hostnogssenc\tall  all  all  trust", "hostnogssenc\tall  all  all  reject")},
		{"the Ident server names another user", one("auth/ident-servers/pg18/hba=mapped,ident_server=alice/libpq18/user=alice,ticket=valid,gssencmode=disable,sslmode=require"), nil,
			differ, "^identity alice, observed deploy$", wrong(func(w *matrix.World) { w.IdentServer = "deploy" })},
		{"there is no Ident server", one("auth/ident-servers/pg18/hba=mapped,ident_server=alice/libpq18/user=alice,ticket=valid,gssencmode=disable,sslmode=require"), nil,
			differ, "^reason , observed peer-mismatch$", wrong(func(w *matrix.World) { w.IdentServer = matrix.NoIdentServer })},
		{"SSL_CERT_FILE is not set", one("negotiation/ssl-cert-file/pg18/servercert=system-ca/pgx/sslmode=verify-full,root=system,ssl_cert_file=missing"), one("negotiation/ssl-cert-file/pg18/servercert=system-ca/pgx/sslmode=verify-full,root=system,ssl_cert_file=default"),
			differ, endConnected, client(func(c *matrix.Client) { c.SSLCertFile = "" })},
		{"a key that OpenSSL 3 can read", one("clientcert/key-files/pg18/hba=cert/libpq18/user=alice,sslmode=require,cert=good,key=encrypted-legacy,sslpassword=right"), one("clientcert/key-files/pg18/hba=cert/libpq18/user=alice,sslmode=require,cert=good,key=encrypted,sslpassword=right"),
			differ, endConnected, client(func(c *matrix.Client) { c.Key = "encrypted" })},
		{"asyncpg has no passphrase", one("clientcert/key-files/pg18/hba=cert/asyncpg0.31/user=alice,sslmode=require,cert=good,key=encrypted,sslpassword=right"), one("clientcert/key-files/pg18/hba=cert/asyncpg0.31/user=alice,sslmode=require,cert=good,key=encrypted,sslpassword=none"),
			differ, "^reason , observed bad-options$", client(func(c *matrix.Client) { c.SSLPassword = "none" })},
	}
}

// renamed gives one of the world's further files another name.
func renamed(w *matrix.World, from, to string) {
	w.Files = slices.Clone(w.Files)
	for i := range w.Files {
		if w.Files[i].Path == from {
			w.Files[i].Path = to
		}
	}
	slices.SortFunc(w.Files, func(a, b matrix.File) int { return strings.Compare(a.Path, b.Path) })
}

package prove

import (
	"slices"

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
		{"the rules of before are others", loading("load=reload"), nil, differ, endRefused, wrong(func(w *matrix.World) { w.Before = "host all all all reject\n" })},
		{"require_auth is another list", one("negotiation/require-auth-and-methods/pg17/libpq17/user=alice,ticket=valid,gssencmode=disable,sslmode=disable,require_auth=%21gss,password=right"), nil,
			differ, "^reason , observed method-rejected$", client(func(c *matrix.Client) { c.RequireAuth = "!scram-sha-256" })},
		{"no password for a service that checks it", one("auth/services-that-check-the-password/pg17/service=radius/libpq18/user=alice,sslmode=require,password=right"), nil,
			differ, "^reason no-auth-service, observed no-password$", client(func(c *matrix.Client) { c.Password = "none" })},
	}
}

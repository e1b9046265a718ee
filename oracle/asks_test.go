package oracle

import (
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestAnswers: what a session may do is its role's, and what SYSTEM_USER says is whom the server authenticated.
func TestAnswers(t *testing.T) {
	const forwardable = "hba='host all all all gss include_realm=0' ticket=own gssencmode=disable sslmode=require asks=delegated "
	for _, test := range []struct{ changes, want string }{
		{"user=reader asks=read", "ok"},
		{"user=reader asks=write", "42501"},
		{"user=member asks=read", "ok"},
		{"user=member asks=write", "42501"},
		{"user=neither asks=read", "42501"},
		{"user=postgres asks=write", "ok"},
		{"user=writer asks=write server=13", "ok"},
		{"user=reader asks=create server=14", "ok"},
		{"user=reader asks=create server=15", "42501"},
		{"user=postgres asks=create server=15", "ok"},
		{"user=reader asks=system-user", "null"},
		{"user=reader asks=system-user server=15", "42703"},
		{"user=reader asks=system-user hba='hostssl all all all cert' cert=usual", "cert:CN=alice"},
		{"user=reader asks=short-password", "ok"},
		{"user=reader asks=short-password setting=session_preload_libraries=passwordcheck", "22023"},
		{"user=reader asks=letters-password setting=session_preload_libraries=passwordcheck", "22023"},
		{"user=reader asks=long-password setting=session_preload_libraries=passwordcheck", "ok"},
		{"user=reader asks=hashed-password setting=session_preload_libraries=passwordcheck", "ok"},
		{"user=reader asks=delegated gssdelegation=1 setting=gss_accept_delegation=on", "false"},
		{forwardable + "gssdelegation=1 setting=gss_accept_delegation=on", "true"},
		{forwardable + "gssdelegation=1 setting=gss_accept_delegation=on ticket=valid", "false"},
		{forwardable + "gssdelegation=1", "false"},
		{forwardable + "gssdelegation=0 setting=gss_accept_delegation=on", "false"},
		{forwardable + "gssdelegation=1 server=15", "42703"},
	} {
		c := cell(set("gssencmode=disable sslmode=require hba='host all all all trust' database=postgres"), func(c *matrix.Cell) { c.World.Tickets = []matrix.Ticket{{Name: "own", Flags: "forwardable"}} }, set(test.changes))
		c.World.Roles = []matrix.Role{{Name: "alice"}, {Name: "reader", May: []string{"read"}}, {Name: "writer", May: []string{"read", "write"}}, {Name: "group", In: []string{"reader"}}, {Name: "member", In: []string{"group"}}, {Name: "neither"}}
		if c.Client.Cert != "" && c.Client.Cert != "none" {
			c.Client.User = "alice"
		}
		p, err := Predict(c)
		if err != nil || p.Outcome.Answer != test.want {
			t.Errorf("%s: %q (%s), %v, want %q", test.changes, p.Outcome.Answer, p.Outcome, err, test.want)
		}
	}
	refused := cell(set("asks=read hba='host all all all reject' gssencmode=disable"))
	if p, err := Predict(refused); err != nil || p.Outcome.Answer != "" {
		t.Errorf("a refused attempt answers: %s, %v", p.Outcome, err)
	}
}

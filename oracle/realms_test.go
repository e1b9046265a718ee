package oracle

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// realms gives a cell a server in B.TEST, which trusts A.TEST and not C.TEST, and some keytabs and tickets of the scenario's own.
func realms(c *matrix.Cell) {
	c.World.Realms = []matrix.Realm{{Name: "B.TEST", Principals: []string{"alice", "bob"}}, {Name: "A.TEST", Principals: []string{"alice"}, Trusted: true}, {Name: "C.TEST", Principals: []string{"alice"}}}
	c.World.Keytabs = []matrix.Keytab{
		{Name: "all-keys", Principals: []string{matrix.ServicePrincipal}, Keys: matrix.AllKeys},
		{Name: "aes128", Principals: []string{matrix.ServicePrincipal}, Keys: matrix.CurrentKeys, Enctypes: []string{"aes128-cts-hmac-sha1-96"}},
		{Name: "two", Principals: []string{"postgres/x", matrix.ServicePrincipal}, Keys: matrix.CurrentKeys},
		{Name: "service-x", Principals: []string{"x/{host}"}, Keys: matrix.CurrentKeys},
	}
	c.World.Tickets = []matrix.Ticket{{Name: "flags", Flags: "forwardable"}, {Name: "gone", Expired: true, Flags: "renewable"}}
	c.World.KRB5Confs = []matrix.KRB5Conf{
		{Name: "rhel", Lines: []matrix.Setting{{Name: "dns_canonicalize_hostname", Value: "fallback"}, {Name: "rdns", Value: "false"}}},
		{Name: "words", Lines: []matrix.Setting{{Name: "forwardable", Value: "on"}}}, {Name: "plain-words", Lines: []matrix.Setting{{Name: "forwardable", Value: "yes"}, {Name: "rdns", Value: "False"}}},
		{Name: "canonical", Lines: []matrix.Setting{{Name: "dns_canonicalize_hostname", Value: "true"}}}, {Name: "enctypes", Lines: []matrix.Setting{{Name: "permitted_enctypes", Value: "aes"}}}, {Name: "maybe", Lines: []matrix.Setting{{Name: "rdns", Value: "maybe"}}},
	}
	c.Client.Ticket, c.Client.GSSEncMode, c.Client.SSLMode = "valid", "disable", "disable"
	c.World.HBA = "host all all all gss include_realm=0\n"
}

func TestRealmsKeytabsAndTickets(t *testing.T) {
	for _, tt := range []struct {
		set, want string
		enctypes  []string // of the server's realm
	}{
		{"principal=alice", "connected plain, method gss, identity alice@B.TEST, role alice, hba:1, trace connect authok", nil},
		{"principal=alice@A.TEST", "connected plain, method gss, identity alice@A.TEST, role alice, hba:1, trace connect authok", nil},
		{"principal=alice@C.TEST", "refused at auth, spn-unknown, channel plain, method gss, hba:1, trace connect authfail", nil},
		{"principal=alice@C.TEST gssencmode=require", "refused at gssenc, spn-unknown, trace connect gssaccept", nil},
		{"principal=alice@C.TEST ticket=gone", "refused at auth, ticket-expired, channel plain, method gss, hba:1, trace connect authfail", nil},
		{"principal=alice@A.TEST krbsrvname=nosuch", "refused at auth, spn-unknown, channel plain, method gss, hba:1, trace connect authfail", nil},
		{"principal=alice@A.TEST hba='host all all all gss include_realm=0 krb_realm=B.TEST'", "refused at auth, realm-mismatch, channel plain, method gss, identity alice@A.TEST, hba:1, trace connect authfail", nil},
		{"principal=alice@A.TEST hba='host all all all gss map=m' ident='m /^(.*)@A\\.TEST$ \\1'", "connected plain, method gss, identity alice@A.TEST, role alice, hba:1, trace connect authok", nil},
		{"krb5_conf=rhel", "connected plain, method gss, identity alice@B.TEST, role alice, hba:1, trace connect authok", nil},
		{"krb5_conf=rhel library=pgx gssencmode=disable", "refused at auth, krb5-config, channel plain, method gss, hba:1, trace connect authfail", nil},
		{"krb5_conf=rhel library=pgx gssencmode=require", "connected gss, method gss, identity alice@B.TEST, role alice, hba:1, trace connect gssaccept authok", nil},
		{"krb5_conf=rhel library=pgx gssencmode=", "refused at auth, krb5-config, channel plain, method gss, hba:1, trace connect authfail", nil},
		{"krb5_conf=words library=pq gssencmode=", "refused at auth, krb5-config, channel plain, method gss, hba:1, trace connect authfail", nil},
		{"krb5_conf=words library=pq gssencmode= ticket=none", "refused at auth, krb5-config, channel plain, method gss, hba:1, trace connect authfail", nil},
		{"krb5_conf=plain-words library=pq gssencmode=", "connected plain, method gss, identity alice@B.TEST, role alice, hba:1, trace connect authok", nil},
		{"krb5_conf=words library=pq gssencmode= hba='host all all all trust'", "connected plain, method trust, role alice, hba:1, trace connect authok", nil},
		{"ticket=flags", "connected plain, method gss, identity alice@B.TEST, role alice, hba:1, trace connect authok", nil},
		{"ticket=gone", "refused at auth, ticket-expired, channel plain, method gss, hba:1, trace connect authfail", nil},
		{"keytab=all-keys", "connected plain, method gss, identity alice@B.TEST, role alice, hba:1, trace connect authok", nil},
		{"keytab=two", "connected plain, method gss, identity alice@B.TEST, role alice, hba:1, trace connect authok", nil},
		{"keytab=aes128", "refused at auth, enctype, channel plain, method gss, hba:1, trace connect authfail", nil},
		{"keytab=aes128", "connected plain, method gss, identity alice@B.TEST, role alice, hba:1, trace connect authok", []string{"aes128-cts-hmac-sha1-96"}},
		{"keytab=aes128", "refused at auth, enctype, channel plain, method gss, hba:1, trace connect authfail", []string{"aes256-cts-hmac-sha384-192", "aes128-cts-hmac-sha1-96"}},
		{"keytab=service-x", "refused at auth, keytab-mismatch, channel plain, method gss, hba:1, trace connect authfail", nil},
		{"keytab=service-x krbsrvname=x", "connected plain, method gss, identity alice@B.TEST, role alice, hba:1, trace connect authok", nil},
	} {
		p := predict(t, cell(realms, set(tt.set), func(c *matrix.Cell) { c.World.Realms[0].Enctypes = tt.enctypes }))
		want, err := matrix.ParseOutcome(tt.want)
		if err != nil {
			t.Fatal(err)
		}
		if p.Outcome.String() != want.Outcome.String() {
			t.Errorf("%s with keys %v\n got %s\nwant %s%s", tt.set, tt.enctypes, p.Outcome, want.Outcome, explain(p))
		}
	}
}

func TestTrustIsAReason(t *testing.T) {
	for principal, want := range map[string]string{"alice@A.TEST": "share the key of krbtgt/B.TEST@A.TEST", "alice@C.TEST": "does not trust C.TEST"} {
		p := predict(t, cell(realms, set("principal="+principal)))
		if !slices.ContainsFunc(p.Because, func(b matrix.Because) bool { return strings.Contains(b.Text, want) }) {
			t.Errorf("%s: no reason says %q%s", principal, want, explain(p))
		}
	}
}

func TestWhatOfKerberosIsNotPredicted(t *testing.T) {
	for what, change := range map[string]func(*matrix.Cell){
		"keytab=nosuch":                    set("keytab=nosuch"),
		"ticket=nosuch":                    set("ticket=nosuch"),
		"krb5_conf=nosuch":                 set("krb5_conf=nosuch"),
		"dns_canonicalize_hostname = true": set("krb5_conf=canonical"),
		"permitted_enctypes":               set("krb5_conf=enctypes"),
		"rdns = maybe":                     set("krb5_conf=maybe"),
		"a service that may be":            set("krb5_conf=rhel krbsrvname=x"),
		"principal alice@D.TEST":           set("principal=alice@D.TEST"),
		"realm C.TEST of kind":             func(c *matrix.Cell) { c.World.Realms[2].Kind = "samba" },
		"ticket=valid":                     func(c *matrix.Cell) { c.World.Realms = nil },
	} {
		if _, err := Predict(cell(realms, change)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

package audit

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

func TestAsk(t *testing.T) {
	alices := &matrix.Certificate{Subject: []matrix.Attribute{{Type: "CN", Value: "alice"}}, Usage: matrix.ForClients, Version: 3}
	for _, test := range []struct {
		name     string
		version  int
		files    map[string]string
		question Question
		want     string // outcome without its trace
		facts    string // what the facts must contain
		not      string // and what they must not
	}{
		{"the first record decides", 17, map[string]string{"pg_hba.conf": "host all bob all reject\nhost all all 10.0.0.0/8 trust\n"},
			Question{Conninfo: "host=db user=alice sslmode=disable", From: "10.1.2.3"},
			"connected plain, method trust, role alice, hba:2", "if it does not exist: refused at startup, role-missing", "keytab"},
		{"an address outside", 17, map[string]string{"pg_hba.conf": "host all all 10.0.0.0/8 trust\n"},
			Question{Conninfo: "host=db user=alice sslmode=disable", From: "11.1.2.3"},
			"refused at hba, no-hba-entry, channel plain", "", "role"},
		{"ssl is off in postgresql.conf", 17, map[string]string{"pg_hba.conf": "hostssl all all all trust\n", "postgresql.conf": "ssl = off\n"},
			Question{Conninfo: "host=db user=alice sslmode=require", From: "10.1.2.3"},
			"refused at tls, tls-refused", "", "the server has ssl"},
		{"ssl is taken for granted", 17, map[string]string{"pg_hba.conf": "hostssl all all all trust\n"},
			Question{Conninfo: "host=db user=alice sslmode=require", From: "10.1.2.3"},
			"connected tls, method trust, role alice, hba:1", "if the server has ssl = off: refused at tls, tls-refused", ""},
		{"a ticket", 17, map[string]string{"pg_hba.conf": "host all all all gss include_realm=0 krb_realm=CORP.TEST\n"},
			Question{Conninfo: "host=db.corp.test user=alice sslmode=disable", From: "10.1.2.3", Ticket: "alice@CORP.TEST"},
			"connected gss, method gss, identity alice@CORP.TEST, role alice, hba:1", "if the server has no keytab", ""},
		{"a ticket of a trusted realm", 17, map[string]string{"pg_hba.conf": "host all all all gss include_realm=0 krb_realm=CORP.TEST\n", "krb5.conf": "default_realm = CORP.TEST\n"},
			Question{Conninfo: "host=db.corp.test user=alice gssencmode=disable sslmode=disable", From: "10.1.2.3", Ticket: "alice@OTHER.TEST"},
			"refused at auth, realm-mismatch, channel plain, method gss, identity alice@OTHER.TEST, hba:1", "", ""},
		{"a certificate", 17, map[string]string{"pg_hba.conf": "hostssl all all all cert\n"},
			Question{Conninfo: "host=db user=alice sslmode=require", From: "10.1.2.3", Cert: alices},
			"connected tls, method cert, identity CN=alice, role alice, hba:1", "if a CA signed it that the server does not know: refused at tls, cert-untrusted", ""},
		{"a certificate of somebody else", 17, map[string]string{"pg_hba.conf": "hostssl all all all cert\n"},
			Question{Conninfo: "host=db user=bob sslmode=require", From: "10.1.2.3", Cert: alices},
			"refused at ident, map-no-match, channel tls, method cert, identity CN=alice, hba:1", "", ""},
		{"verify-full without a root file", 17, map[string]string{"pg_hba.conf": "hostssl all all all trust\n"},
			Question{Conninfo: "host=db user=alice sslmode=verify-full", From: "10.1.2.3"},
			"refused at tls, root-missing", "if there is one, with the CA of the server's certificate: connected tls", ""},
		{"a password", 17, map[string]string{"pg_hba.conf": "host all all all scram-sha-256\n"},
			Question{Conninfo: "host=db user=alice dbname=app password=x sslmode=disable", From: "10.1.2.3"},
			"connected plain, method scram-sha-256, identity alice, role alice, hba:1", "if it is wrong: refused at auth, password", ""},
		{"a host name", 17, map[string]string{"pg_hba.conf": "host all all .corp.test trust\nhost all all all reject\n"},
			Question{Conninfo: "host=db user=alice sslmode=disable", From: "10.1.2.3"},
			"refused at hba, hba-reject, channel plain, method reject, hba:2", "if its name is client.corp.test, and the name has the address: connected plain, method trust, role alice, hba:1", ""},
		{"a group", 17, map[string]string{"pg_hba.conf": "host all +ops all trust\nhost all all all reject\n"},
			Question{Conninfo: "host=db user=alice sslmode=disable", From: "10.1.2.3"},
			"refused at hba, hba-reject, channel plain, method reject, hba:2", "if it is a member of ops: connected plain, method trust, role alice, hba:1", ""},
		{"peer", 17, map[string]string{"pg_hba.conf": "local all all peer\n"},
			Question{Conninfo: "host=/run/postgresql user=alice"},
			"connected plain, method peer, identity alice, role alice, hba:1", "if it runs as another: refused at ident, map-no-match", ""},
		{"peer of another account", 17, map[string]string{"pg_hba.conf": "local all all peer map=m\n", "pg_ident.conf": "m root postgres\n"},
			Question{Conninfo: "host=/run/postgresql user=postgres", OSUser: "root"},
			"connected plain, method peer, identity root, role postgres, hba:1", "", ""},
		{"no CA file", 17, map[string]string{"pg_hba.conf": "hostssl all all all cert\n", "postgresql.conf": "ssl = on\n"},
			Question{Conninfo: "host=db user=alice sslmode=require", From: "10.1.2.3"},
			"refused at auth, client-ca-missing, channel tls, method cert, hba:1", "", ""},
		{"samenet", 17, map[string]string{"pg_hba.conf": "host all all samenet trust\n"},
			Question{Conninfo: "host=db user=alice sslmode=disable", From: "10.1.2.3"},
			"refused at hba, no-hba-entry, channel plain", "if one is: connected plain", ""},
		{"IPv6", 17, map[string]string{"pg_hba.conf": "host all all 2001:db8::/32 trust\n"},
			Question{Conninfo: "host=db user=alice sslmode=disable", From: "2001:db8::7"},
			"connected plain, method trust, role alice, hba:1", "", ""},
		{"an included file", 17, map[string]string{"pg_hba.conf": "include more.conf\n", "more.conf": "# here\nhost all all all trust\n"},
			Question{Conninfo: "host=db user=alice sslmode=disable", From: "10.1.2.3"},
			"connected plain, method trust, role alice, rule more.conf:2", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, err := server(t, test.version, test.files).Ask(test.question)
			if err != nil {
				t.Fatal(err)
			}
			o := a.Prediction.Outcome
			o.Trace = nil
			var facts strings.Builder
			for _, f := range a.Facts {
				facts.WriteString(f.Taken + "\n")
				for _, other := range f.Otherwise {
					facts.WriteString("if " + other.If + ": " + other.Outcome.String() + "\n")
				}
			}
			if o.String() != test.want {
				t.Errorf("%s\nwant %s", o, test.want)
			}
			if !strings.Contains(facts.String(), test.facts) || test.not != "" && strings.Contains(facts.String(), test.not) {
				t.Errorf("facts:\n%s\nwant %q, without %q", facts.String(), test.facts, test.not)
			}
		})
	}
}

func TestAskRefuses(t *testing.T) {
	s := hba(t, 17, "host all all all trust\n")
	for name, test := range map[string]struct {
		question Question
		want     string
	}{
		"no address":            {Question{Conninfo: "host=db user=a"}, "say --from ADDRESS"},
		"an address of a name":  {Question{Conninfo: "host=db user=a", From: "db"}, "--from db: want an IPv4 or IPv6 address"},
		"an address and socket": {Question{Conninfo: "host=/run user=a", From: "10.0.0.1"}, "a socket has no client address"},
		"an account over TCP":   {Question{Conninfo: "host=db user=a", From: "10.0.0.1", OSUser: "root"}, "leave out --os-user"},
		"no realm":              {Question{Conninfo: "host=db user=a", From: "10.0.0.1", Ticket: "a"}, "--ticket a: want NAME@REALM"},
		"a certificate unseen":  {Question{Conninfo: "host=db user=a sslcert=c.pem", From: "10.0.0.1"}, "give the file with --cert"},
		"a client's lack":       {Question{Conninfo: "host=db user=a gssencmode=require", From: "10.0.0.1", Library: "pq"}, "lib/pq has no gssencmode"},
		"no such client":        {Question{Conninfo: "host=db user=a", From: "10.0.0.1", Library: "odbc"}, "there is no client"},
	} {
		if _, err := s.Ask(test.question); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	_, err := hba(t, 17, "host all all all trust\nhostssl all all cert\n").Ask(Question{Conninfo: "host=db user=a", From: "10.0.0.1"})
	var wrong *oracle.RulesError
	if !errors.As(err, &wrong) || wrong.Lines[0].Line != 2 || wrong.Lines[0].Message != "end-of-line before authentication method" {
		t.Errorf("%v", err)
	}
}

func TestWhyNot(t *testing.T) {
	for _, test := range []struct {
		name     string
		files    map[string]string
		question Question
		want     []string // each a beginning of a change, in order; a further line after | is somebody else whom it lets in
	}{
		{"no record for the channel", map[string]string{"pg_hba.conf": "hostssl all alice 10.0.0.0/8 trust\n"},
			Question{Conninfo: "host=db user=alice sslmode=disable", From: "10.1.2.3"},
			[]string{"the client says sslmode=allow", "the client says sslmode=prefer", "the client says sslmode=require",
				"pg_hba.conf: add at the end: host  alice  alice  10.1.2.3/32  scram-sha-256, and the client has the password of alice|alice over plain with password"}},
		{"a reject record", map[string]string{"pg_hba.conf": "host all all all reject\n"},
			Question{Conninfo: "host=db user=alice sslmode=require", From: "10.1.2.3", Password: true},
			[]string{"pg_hba.conf:1: insert above it: hostssl  alice  alice  10.1.2.3/32  scram-sha-256|alice over tls with password"}},
		{"a map without the name", map[string]string{"pg_hba.conf": "host all all all gss map=m\n", "pg_ident.conf": "m other@CORP.TEST alice\n"},
			Question{Conninfo: "host=db user=alice gssencmode=disable sslmode=disable", From: "10.1.2.3", Ticket: "al@CORP.TEST"},
			[]string{"pg_ident.conf: add at the end: m  al@CORP.TEST  alice"}},
		{"another role's ticket", map[string]string{"pg_hba.conf": "host all all all gss include_realm=0\n"},
			Question{Conninfo: "host=db user=app gssencmode=disable sslmode=disable", From: "10.1.2.3", Ticket: "alice@CORP.TEST"},
			[]string{"the client asks for user=alice", "pg_hba.conf:1: insert above it: host  app  app  all  gss  include_realm=0  map=allowed; and pg_ident.conf: add at the end: allowed  alice  app"}},
		{"what is of use with the record", map[string]string{"pg_hba.conf": "hostgssenc all all all gss include_realm=0\nhost all all all reject\n"},
			Question{Conninfo: "host=db user=alice sslmode=disable", From: "10.1.2.3"},
			[]string{"the client has a Kerberos ticket of alice@EXAMPLE.TEST", "pg_hba.conf:2: insert above it: host  alice  alice  10.1.2.3/32  scram-sha-256, and the client has the password of alice"}},
		{"two things at a time", map[string]string{"pg_hba.conf": "hostssl all all all scram-sha-256\n"},
			Question{Conninfo: "host=db user=alice sslmode=disable", From: "10.1.2.3"},
			[]string{"the client says sslmode=allow, and the client has the password of alice"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, err := server(t, 17, test.files).Ask(test.question)
			if err != nil {
				t.Fatal(err)
			}
			changes, err := a.WhyNot()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range changes {
				line := c.What
				for _, d := range c.Admits {
					line += "|" + strings.Join(d.Users, ",") + " over " + string(d.Channel) + " with " + string(d.Have)
				}
				got = append(got, line)
				if c.Outcome.End != "connected" {
					t.Errorf("%s: %s", c.What, c.Outcome)
				}
			}
			at := 0
			for _, want := range test.want {
				for at < len(got) && !strings.HasPrefix(got[at], want) {
					at++
				}
				if at == len(got) {
					t.Fatalf("no %q in this order:\n%s", want, strings.Join(got, "\n"))
				}
			}
		})
	}
	a, err := hba(t, 17, "host all all all trust\n").Ask(Question{Conninfo: "host=db user=a", From: "10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	if changes, err := a.WhyNot(); len(changes) > 0 || err != nil {
		t.Errorf("it is let in already: %v %v", changes, err)
	}
}

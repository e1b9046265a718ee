package audit

import (
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

func TestConninfo(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{"host=a user=b", "host=a user=b"},
		{"  host = a\tuser\n=\nb ", "host=a user=b"},
		{`user='al ice' dbname='it\'s'`, "user=al ice dbname=it's"},
		{`user=al\ ice`, "user=al ice"},
		{`password='' user=x`, "password= user=x"},
		{"postgresql://alice@db.example.com/app?sslmode=verify-full&channel_binding=require", "host=db.example.com user=alice dbname=app sslmode=verify-full channel_binding=require"},
		{"postgres://alice:secret@[2001:db8::1]:5433/app", "host=2001:db8::1 port=5433 user=alice password=secret dbname=app"},
		{"postgresql://db/app?user=bob%20b", "host=db dbname=app user=bob b"},
		{"postgresql://db?ssl=true", "host=db sslmode=require"},
	} {
		parameters, err := Conninfo(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		var got []string
		for _, p := range parameters {
			got = append(got, p.Name+"="+p.Value)
		}
		if s := strings.Join(got, " "); s != test.want {
			t.Errorf("%q: %s, want %s", test.text, s, test.want)
		}
	}
	for text, want := range map[string]string{
		"host":                          "connection string:1:1: \"host\" is followed by no =",
		"user=a b":                      "connection string:1:8: \"b\" is followed by no =",
		"user='a":                       "connection string:1:6: the quote is not closed",
		"postgresql://db?sslmode":       "connection string:1:17: \"sslmode\" is no parameter",
		"postgresql://db:port/app":      "connection string:1:1: ",
		"postgresql://db?user=%zz":      "connection string:1:17: ",
		"user=a sslmode='require' junk": "connection string:1:26: ",
	} {
		if _, err := Conninfo(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestClient(t *testing.T) {
	for _, test := range []struct {
		text string
		want matrix.Client
		host string
	}{
		{"host=db user=a", matrix.Client{Transport: "tcp", User: "a", Database: "a", Root: "none", Password: "none", Cert: "none"}, "db"},
		{"host=/run/postgresql user=a dbname=d", matrix.Client{Transport: "unix", User: "a", Database: "d", Root: "none", Password: "none", Cert: "none"}, ""},
		{"host=db hostaddr=10.0.0.1 user=a password=x sslrootcert=/ca.pem sslmode=verify-ca", matrix.Client{Transport: "tcp", User: "a", Database: "a", Root: "right", Password: "right", SSLMode: "verify-ca", Cert: "none"}, "db"},
		{"host=db user=a sslrootcert=system gssencmode=require krbsrvname=pg require_auth=gss", matrix.Client{Transport: "tcp", User: "a", Database: "a", Root: "system", Password: "none", GSSEncMode: "require", KrbSrvName: "pg", RequireAuth: "gss", Cert: "none"}, "db"},
		{"host=db user=a application_name=x connect_timeout=5", matrix.Client{Transport: "tcp", User: "a", Database: "a", Root: "none", Password: "none", Cert: "none"}, "db"},
	} {
		parameters, err := Conninfo(test.text)
		if err != nil {
			t.Fatal(err)
		}
		c, host, err := Client(parameters)
		test.want.Hosts, test.want.Ticket, test.want.CRL, test.want.Attack, test.want.Principal = matrix.OneHost, "none", "none", matrix.NoAttack, test.want.User
		if err != nil || c != test.want || host != test.host {
			t.Errorf("%s: %v\n got %+v %s\nwant %+v %s", test.text, err, c, host, test.want, test.host)
		}
	}
	for text, want := range map[string]string{
		"host=db":                      "no user is given",
		"host=a,b user=x":              "several hosts",
		"host=a user=x sslmod=require": `connection string:1:15: "sslmod" is no connection parameter of libpq`,
		"host=a user=x sslmode=on":     `connection string:1:15: sslmode has no value "on"; want disable, allow, prefer`,
		"hostaddr=db user=x":           `hostaddr "db" is no address`,
	} {
		parameters, err := Conninfo(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Client(parameters); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestSettings(t *testing.T) {
	const text = "# comment\n\nssl = on\nSSL_CA_FILE 'it''s.pem' # why\n  password_encryption=md5\nwork_mem = 4MB\n" + `log_line_prefix = '%m \'[%p] '` + "\ncustom.thing = 'x'\ninclude 'other.conf'\n"
	lines, err := Settings("postgresql.conf", text)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range lines {
		got = append(got, l.Name+"="+l.Value)
	}
	if s, want := strings.Join(got, "|"), "ssl=on|ssl_ca_file=it's.pem|password_encryption=md5|work_mem=4MB|log_line_prefix=%m '[%p] |custom.thing=x|include=other.conf"; s != want {
		t.Errorf("%s\nwant %s", s, want)
	}
	if lines[1].Line != 4 || lines[1].File != "postgresql.conf" {
		t.Errorf("%+v", lines[1])
	}
	for text, want := range map[string]string{
		"ssl = on\n= off":      "f:2:1: no setting begins with \"=\"",
		"ssl":                  "f:1:4: ssl has no value",
		"ssl = 'on":            "f:1:7: ssl has no value",
		"a = 1\nssl = on off":  "f:2:10: \"off\" stands after the value of ssl",
		"port = 5432\n\n\t9=1": "f:3:2: no setting begins with \"9\"",
	} {
		if _, err := Settings("f", text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for value, want := range map[string]string{"on": "yes", "TRUE": "yes", "t": "yes", "1": "yes", "y": "yes", "off": "no", "f": "no", "0": "no", "of": "no", "n": "no", "o": "?", "": "?", "maybe": "?"} {
		got := "?"
		if yes, ok := truth(value); ok {
			got = map[bool]string{true: "yes", false: "no"}[yes]
		}
		if got != want {
			t.Errorf("%q is %s, want %s", value, got, want)
		}
	}
}

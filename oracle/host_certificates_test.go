package oracle

import (
	"errors"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// sniWorld is a server that chooses its certificate by host names. What postgresql.conf names has expired.
func sniWorld(hosts string) *matrix.World {
	w := &matrix.World{Server: 19, SSL: "on", ServerCert: "expired", Keytab: "good", Host: matrix.DefaultHost, HBA: "host all all all trust\n",
		Roles: []matrix.Role{{Name: "alice"}}, Realms: []matrix.Realm{{Name: matrix.DefaultRealm}}, Settings: []matrix.Setting{{Name: "ssl_sni", Value: "on"}}}
	if hosts != "" {
		w.Files = []matrix.File{{Path: matrix.HostsFile, Text: hosts}}
	}
	return w
}

func TestHostsChoose(t *testing.T) {
	const (
		named    = "PG.Example.test,other.example.test {good.crt} {good.key} {right.ca}\n"
		others   = "* {other-ca.crt} {other-ca.key}\n"
		nameless = "/no_sni/ {wrong-name.crt} {wrong-name.key}\n"
		chosen   = "connected"
	)
	tests := []struct {
		name, hosts, library, hostname, sslmode, sslsni string
		want                                            string
	}{
		{"its own line", named + others + nameless, "libpq18", "name", "verify-full", "", chosen},
		{"in another case", named + others + nameless, "libpq18", "upper-case", "verify-full", "", chosen},
		{"the order of lines does not count", others + nameless + named, "libpq18", "name", "verify-full", "", chosen},
		{"the line for all others", "nobody.example.test {good.crt} {good.key}\n" + others, "libpq18", "name", "verify-ca", "", "server-cert-untrusted"},
		{"no line", "nobody.example.test {good.crt} {good.key}\n" + nameless, "libpq18", "name", "require", "", "host-unknown"},
		{"no name, its line", named + others + nameless, "libpq18", "name", "verify-full", "0", "server-cert-name"},
		{"no name, the line for all others", named + others, "libpq18", "name", "verify-ca", "0", "server-cert-untrusted"},
		{"no name, no line", named, "libpq18", "name", "require", "0", "host-unknown"},
		{"an address is no name", named, "libpq18", "address", "require", "", "host-unknown"},
		{"libpq 13 sends none", named, "libpq13", "name", "require", "", "host-unknown"},
		{"libpq 14 does", named, "libpq14", "name", "verify-full", "", chosen},
		{"prefer goes on without TLS", named, "libpq18", "address", "prefer", "", chosen},
		{"pgx sends what it verifies", named, "pgx", "name", "verify-full", "0", chosen},
		{"pgx otherwise does not", named, "pgx", "name", "verify-ca", "0", "host-unknown"},
		{"lib/pq sends what it verifies", named, "pq", "name", "verify-full", "0", chosen},
		{"lib/pq otherwise does not", named, "pq", "name", "require", "0", "host-unknown"},
		{"asyncpg always does", named, "asyncpg0.31", "name", "require", "", chosen},
		{"no file", "", "libpq18", "name", "verify-ca", "", "server-cert-expired"},
		{"no line at all", "# nothing\n", "libpq18", "name", "verify-ca", "", "server-cert-expired"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &matrix.Cell{World: sniWorld(test.hosts), Client: matrix.Client{Library: matrix.Library(test.library), Transport: "tcp", HostName: test.hostname, User: "alice", Database: "postgres",
				SSLMode: test.sslmode, SSLSNI: test.sslsni, GSSEncMode: "disable", Root: "right", Ticket: "none", Password: "none"}}
			if test.library == "pq" || test.library == "asyncpg0.31" {
				c.Client.GSSEncMode = ""
			}
			p, err := Predict(c)
			if err != nil {
				t.Fatal(err)
			}
			got := string(p.Outcome.Reason)
			if p.Outcome.End == matrix.Connected {
				got = chosen
			}
			if got != test.want {
				t.Errorf("%s, want %s\n%v", got, test.want, p.Because)
			}
		})
	}
}

func TestHostsDoNotLoad(t *testing.T) {
	const good = " {good.crt} {good.key}"
	for hosts, want := range map[string]string{
		"a\n":                                   "pg_hosts.conf:1: missing entry at end of line",
		"a {good.crt}\n":                        "pg_hosts.conf:1: missing entry at end of line",
		"a,b" + good + "\n":                     "",
		"*,a" + good + "\n":                     "pg_hosts.conf:1: default and non-SNI entries cannot be mixed with other entries",
		"/no_sni/,a" + good + "\n":              "pg_hosts.conf:1: default and non-SNI entries cannot be mixed with other entries",
		"a {good.crt},x {good.key}":             "pg_hosts.conf:1: multiple values specified for SSL certificate",
		"a {good.crt} {good.key},x":             "pg_hosts.conf:1: multiple values specified for SSL key",
		"a" + good + " x,y":                     "pg_hosts.conf:1: multiple values specified for SSL CA",
		"a" + good + " {right.ca} x,y":          "pg_hosts.conf:1: multiple values specified for SSL passphrase command",
		"a" + good + " {right.ca} x perhaps":    "pg_hosts.conf:1: incorrect syntax for boolean value SSL_passphrase_cmd_reload",
		"a" + good + " {right.ca} x on more":    "pg_hosts.conf:1: extra fields at end of line",
		"a" + good + " {right.ca} x on":         "",
		"a" + good + "\nb,A" + good:             `pg_hosts.conf:2: multiple entries for host "A" specified`,
		"*" + good + "\n*" + good:               "pg_hosts.conf:2: multiple default hosts specified",
		"/no_sni/" + good + "\n/no_sni/" + good: "pg_hosts.conf:2: multiple no_sni hosts specified",
		"a\nb\n":                                "pg_hosts.conf:1: missing entry at end of line\npg_hosts.conf:2: missing entry at end of line",
	} {
		_, err := readHosts(sniWorld(hosts))
		wrong := (*RulesError)(nil)
		got := ""
		if errors.As(err, &wrong) {
			got = wrong.Error()
		} else if err != nil {
			t.Errorf("%q: %v", hosts, err)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", hosts, got, want)
		}
	}
	for _, hosts := range []string{"a /etc/a.crt /etc/a.key", "a {good.crt} {rsa.key}", "a {none-such.crt} {none-such.key}", "a" + good + " /etc/ca.crt"} {
		unmodelled := (*CannotPredict)(nil)
		if _, err := readHosts(sniWorld(hosts)); !errors.As(err, &unmodelled) {
			t.Errorf("%q: %v, want that it is not modelled", hosts, err)
		}
	}
}

// Before a reload there is no ssl_sni: where it leaves TLS as it was, the server presents what postgresql.conf named before.
func TestHostsAcrossAReload(t *testing.T) {
	const good = "pg.example.test {good.crt} {good.key}\n"
	for _, test := range []struct {
		name, hosts, load string
		settings          []matrix.Setting
		kept, down, reads bool
	}{
		{"they load", good, matrix.Reload, nil, false, false, true},
		{"they do not load", "a\n", matrix.Reload, nil, true, false, false},
		{"they do not load at a start", "a\n", matrix.Restart, nil, false, true, false},
		{"ciphers do not load", good, matrix.Reload, []matrix.Setting{{Name: cipherList, Value: "nonesuch"}}, true, false, false},
		{"a name is not known", good, matrix.Reload, []matrix.Setting{{Name: "sslmode", Value: "require"}}, false, false, false},
	} {
		w := sniWorld(test.hosts)
		w.Load, w.Before, w.Settings = test.load, matrix.State{ServerCert: "wrong-name"}, append(w.Settings, test.settings...)
		r, err := load(w)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if r.keptTLS != test.kept || r.down != test.down || (r.hosts != nil) != test.reads {
			t.Errorf("%s: kept=%t down=%t hosts=%v", test.name, r.keptTLS, r.down, r.hosts)
		}
		if want := map[bool]string{true: "wrong-name", false: w.ServerCert}[test.kept || r.keptConf]; r.inForce(w).ServerCert != want {
			t.Errorf("%s: the server presents %s, want %s", test.name, r.inForce(w).ServerCert, want)
		}
	}
	w := sniWorld(good)
	w.Load, w.TLSFiles = matrix.Reload, matrix.TLSFaults[0].Name
	unmodelled := (*CannotPredict)(nil)
	if _, err := load(w); !errors.As(err, &unmodelled) {
		t.Errorf("%v, want that it is not modelled", err)
	}
}

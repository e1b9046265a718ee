package agent

import (
	"fmt"
	"strings"
	"testing"
)

// The images that bring asyncpg, on the suites that carry its versions.
var liveAsyncpg = []string{"0.27", "0.30", "0.31"}

func TestLiveAsyncpg(t *testing.T) {
	w := newWorld(t, `local      all postgres trust
local      all daemon   peer
local      all trusted  reject
hostnossl  all alice    all gss include_realm=0
hostssl    all alice    all gss include_realm=0
host       all scram    all scram-sha-256
host       all trusted  all trust
`)
	clients := map[string]*Conn{}
	var all []*Conn
	for _, version := range liveAsyncpg {
		clients[version] = w.start("client-asyncpg-"+version, "asyncpg"+strings.Replace(version, ".", "-", 1))
		all = append(all, clients[version])
	}
	w.realm(all...)
	w.tls()

	const (
		scramAll = "sasl sasl-continue sasl-final ok"
		tcp      = "host=" + liveHost + " dbname=postgres "
		two      = "host=dead.example.test," + liveHost + " dbname=postgres "
		unix     = "host=/pgam/sock dbname=postgres "
	)
	secret := func(text, password string) []Option {
		return append(options(text), Option{Name: "password", Value: password, Secret: true})
	}
	cases := []struct {
		name    string
		since   string // the first version that the case is for
		attempt Attempt
		want    seen
	}{
		{"plain trust", "", Attempt{Options: options(tcp + "user=trusted sslmode=disable")}, seen{"connected", "ok", false, false, "startup", "method=trust"}},
		{"TLS by default", "", Attempt{Options: options(tcp + "user=trusted")}, seen{"connected", "ok", true, false, "sslrequest S", "method=trust"}},
		{"scram in TLS", "", Attempt{Options: secret(tcp+"user=scram sslmode=require", "it's a secret")}, seen{"connected", scramAll, true, false, "sslrequest S", "method=scram-sha-256"}},
		{"wrong password, falls back", "", Attempt{Options: secret(tcp+"user=scram", "wrong")}, seen{"refused", "sasl sasl-continue sasl sasl-continue", false, false, "sslrequest S | startup", "password authentication failed"}},
		{"no entry, goes on", "", Attempt{Options: options(tcp + "user=nobody sslmode=allow")}, seen{"refused", "", false, false, "startup | sslrequest S", "no pg_hba.conf entry"}},
		{"no entry, stays", "", Attempt{Options: options(tcp + "user=nobody sslmode=require")}, seen{"refused", "", false, false, "sslrequest S", "no pg_hba.conf entry"}},
		{"GSS authentication", "0.30", Attempt{Options: options(tcp + "user=alice"), CCache: "/pgam/alice.cc"}, seen{"connected", "gss gss-continue ok", true, false, "sslrequest S", "encrypted=no"}},
		{"the default credential cache", "0.30", Attempt{Options: options(tcp + "user=alice sslmode=disable"), CCache: "/pgam/alice.cc", Default: true}, seen{"connected", "gss gss-continue ok", false, false, "startup", "encrypted=no"}},
		{"no ticket", "0.30", Attempt{Options: options(tcp + "user=alice")}, seen{"refused", "gss", false, false, "sslrequest S", ""}},
		{"unknown service", "0.30", Attempt{Options: options(tcp + "user=alice krbsrvname=nosuch"), CCache: "/pgam/alice.cc"}, seen{"refused", "gss", false, false, "sslrequest S", ""}},
		{"the first host refuses TCP", "0.30", Attempt{Options: options(two + "user=alice sslmode=require"), CCache: "/pgam/alice.cc", Dead: true}, seen{"connected", "gss gss-continue ok", true, false, "sslrequest S", "encrypted=no"}},
		{"peer", "", Attempt{UID: 1, Options: options(unix + "user=daemon port=5432")}, seen{"connected", "ok", false, false, "", "method=peer"}},
		{"unix socket, reject", "", Attempt{Options: options(unix + "user=trusted port=5432")}, seen{"refused", "", false, false, "", "pg_hba.conf rejects connection"}},
		{"impossible options", "", Attempt{Options: options(tcp + "user=trusted sslmode=nonsense")}, seen{End: "refused"}},
	}
	for _, version := range liveAsyncpg {
		for _, c := range cases {
			if version < c.since {
				continue
			}
			t.Run(version+"/"+c.name, func(t *testing.T) {
				a := c.attempt
				a.Client = Foreign
				if !strings.HasPrefix(a.Options[0].Value, "/") {
					a.Server = w.address
				}
				r, log := w.try(t, clients[version], a)
				c.want.check(t, r, log)
				if connections := max(len(r.Records), len(log)); r.Connects != connections {
					t.Errorf("asyncpg opened %d connections, the witnesses know %d", r.Connects, connections)
				}
				if strings.Contains(fmt.Sprint(r), "secret") {
					t.Errorf("a secret has left the agent: %v", r)
				}
				if r.Connected == (r.Message != "") {
					t.Errorf("connected is %t, and the message %q", r.Connected, r.Message)
				}
				if a.CCache != "" && !strings.Contains(r.KRB5Trace, "alice@EXAMPLE.TEST") {
					t.Errorf("the trace of libkrb5 is %q", r.KRB5Trace)
				}
				t.Log(r.Message)
			})
		}
		t.Run(version+"/an option that asyncpg does not have", func(t *testing.T) {
			a := Attempt{Token: t.Name(), Client: Foreign, Server: w.address, Options: options(tcp + "user=trusted require_auth=gss"), Query: liveQuery}
			if r, err := clients[version].Attempt(t.Context(), a); err == nil || !strings.Contains(err.Error(), "cannot express this attempt") {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

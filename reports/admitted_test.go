package reports

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// rulesView is a scenario of two record types and two methods, tried with and without a password by two sslmodes; drop leaves attempts out.
func rulesView(drop func(axes map[string]string) bool, change func(axes map[string]string, o *matrix.Outcome)) *ScenarioView {
	var s *ScenarioView
	for _, server := range []string{"17", "18"} {
		for _, record := range []string{"host", "hostssl"} {
			for _, method := range []string{"trust", "scram", "peer"} {
				for _, password := range []string{"none", "right"} {
					for _, sslmode := range []string{"disable", "require"} {
						axes := map[string]string{"server": server, "record": record, "method": method, "password": password, "sslmode": sslmode, "user": "alice", "ticket": "none", "cert": "none", "ssl": "on", "library": "libpq18"}
						if drop != nil && drop(axes) {
							continue
						}
						o := matrix.Outcome{End: matrix.Connected, Stage: matrix.StageSession, Channel: matrix.Plain, Role: "alice"}
						if sslmode == "require" {
							o.Channel = matrix.TLS
						}
						if record == "hostssl" && sslmode == "disable" || method == "scram" && password == "none" {
							o = matrix.Outcome{End: matrix.Refused, Stage: matrix.StageHBA, Reason: matrix.NoHBAEntry}
						}
						if method == "peer" {
							o = matrix.Outcome{End: matrix.Refused, Stage: matrix.StageHBA, Reason: matrix.HBAReject, Load: "pg_hba.conf:1: peer"}
						}
						if change != nil {
							change(axes, &o)
						}
						r := &Record{ID: fmt.Sprintf("core/case/pg%s/record=%s,method=%s/libpq18/user=alice,sslmode=%s,password=%s", server, record, method, sslmode, password), Scenario: "core/case", Axes: axes,
							Observation: &matrix.Observation{Outcome: o}}
						if s == nil {
							s = newScenarioView(r)
						}
						s.add(r)
					}
				}
			}
		}
	}
	s.close()
	return s
}

func TestAdmittedTable(t *testing.T) {
	if own := (&Record{ID: "core/case/pg17/record=host,method=peer/libpq18/user=a", Axes: map[string]string{"record": "host", "method": "peer", "user": "a"}}).ownAxes(); len(own) != 2 {
		t.Fatal(own)
	}
	whole := [][]string{
		{"any", "peer", notLoaded, notLoaded},
		{"host", "scram", "–", "plain, tls"},
		{"host", "trust", "plain, tls", "plain, tls"},
		{"hostssl", "scram", "–", "tls"},
		{"hostssl", "trust", "tls", "tls"},
	}
	for name, c := range map[string]struct {
		drop   func(map[string]string) bool
		change func(map[string]string, *matrix.Outcome)
		want   *Table
	}{
		"whole": {want: &Table{Settings: 2, Header: []string{"record", "method", "no credential", "password"}, Rows: whole}},
		"one attempt was not made": {drop: func(a map[string]string) bool {
			return a["server"] == "18" && a["record"] == "host" && a["method"] == "scram" && a["sslmode"] == "disable" && a["password"] == "right"
		}, want: &Table{Settings: 3, Header: []string{"record", "method", "server", "no credential", "password"}, Rows: [][]string{
			{"any", "peer", "any", notLoaded, notLoaded},
			{"host", "scram", "17", "–", "plain, tls"},
			{"host", "trust", "any", "plain, tls", "plain, tls"},
			{"hostssl", "scram", "any", "–", "tls"},
			{"hostssl", "trust", "any", "tls", "tls"},
		}}},
		"a downgrade at one version": {change: func(a map[string]string, o *matrix.Outcome) {
			if a["server"] == "18" && a["record"] == "host" && a["method"] == "trust" && a["sslmode"] == "disable" {
				o.Trace = []matrix.Step{matrix.StepConnect, matrix.StepSSLReject, matrix.StepAuthOK}
			}
		}, want: &Table{Settings: 3, Header: []string{"record", "method", "server", "no credential", "password"}, Rows: [][]string{
			{"any", "peer", "any", notLoaded, notLoaded},
			{"host", "scram", "any", "–", "plain, tls"},
			{"host", "trust", "17", "plain, tls", "plain, tls"},
			{"host", "trust", "18", "downgrade, tls", "downgrade, tls"},
			{"hostssl", "scram", "any", "–", "tls"},
			{"hostssl", "trust", "any", "tls", "tls"},
		}}},
		"two users, each its own principal": {change: func(a map[string]string, _ *matrix.Outcome) {
			a["user"] = map[string]string{"17": "alice", "18": "bob"}[a["server"]]
			a["principal"] = a["user"]
		}, drop: func(a map[string]string) bool {
			return a["server"] == "18" && a["method"] != "peer" || a["server"] == "17" && a["method"] != "trust"
		},
			want: &Table{Settings: 4, Header: []string{"record", "method", "server", "user", "no credential", "password"}, Rows: [][]string{
				{"any", "peer", "18", "bob", notLoaded, notLoaded},
				{"host", "trust", "17", "alice", "plain, tls", "plain, tls"},
				{"hostssl", "trust", "17", "alice", "tls", "tls"},
			}}},
		"one set of rules for two addresses": {drop: func(a map[string]string) bool { return a["record"] != "host" || a["method"] != "trust" }, change: func(a map[string]string, o *matrix.Outcome) {
			a["address"] = map[string]string{"17": "10.0.0.7", "18": "10.0.0.8"}[a["server"]]
			if a["address"] == "10.0.0.8" {
				*o = matrix.Outcome{End: matrix.Refused, Stage: matrix.StageHBA, Reason: matrix.NoHBAEntry}
			}
		}, want: &Table{Settings: 2, Header: []string{"server", "address", "no credential", "password"}, Rows: [][]string{
			{"17", "10.0.0.7", "plain, tls", "plain, tls"},
			{"18", "10.0.0.8", "–", "–"},
		}}},
		"one set of rules":      {drop: func(a map[string]string) bool { return a["record"] != "host" || a["method"] != "trust" }},
		"half of every setting": {drop: func(a map[string]string) bool { return (a["sslmode"] == "disable") == (a["password"] == "right") }},
		"an attacker stands by": {change: func(_ map[string]string, o *matrix.Outcome) { o.Obtains = matrix.Plaintext }},
		"ssl differs, no ruling": {change: func(a map[string]string, _ *matrix.Outcome) {
			a["ssl"] = map[string]string{"17": "off", "18": "on"}[a["server"]]
		}},
	} {
		if diff := cmp.Diff(c.want, rulesView(c.drop, c.change).Admitted); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

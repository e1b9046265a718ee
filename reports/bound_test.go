package reports

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestBoundTable: a table of clients, channel_binding and certificates, and of nothing else.
func TestBoundTable(t *testing.T) {
	table := func(change func(axes map[string]string) bool) *Table {
		var b bound
		for _, cert := range []string{"ed25519", "good", "rsa-pss"} {
			for _, library := range []string{"pgx", "libpq17", "libpq18"} {
				for _, binding := range []string{"require", "", "disable"} {
					axes := map[string]string{"servercert": cert, "library": library, "channel_binding": binding, "server": "18", "sslmode": "prefer"}
					if change != nil && !change(axes) {
						continue
					}
					o := matrix.Outcome{End: matrix.Connected, Channel: matrix.TLS, Trace: []matrix.Step{matrix.StepConnect, matrix.StepSSLAccept, matrix.StepAuthOK}}
					if cert == "ed25519" && binding != "disable" {
						o = matrix.Outcome{End: matrix.Refused, Stage: matrix.StageAuth, Reason: matrix.ChannelBinding}
						if library == "pgx" && binding == "" {
							o = matrix.Outcome{End: matrix.Connected, Channel: matrix.Plain, Trace: []matrix.Step{matrix.StepConnect, matrix.StepSSLAccept, matrix.StepAuthFail, matrix.StepReconnect, matrix.StepAuthOK}}
						}
					}
					b.add(&Record{Axes: axes}, &o)
				}
			}
		}
		return b.table()
	}
	want := &Table{Settings: 2, Header: []string{"channel_binding", "library", "ECDSA", "RSA-PSS", "Ed25519"}, Rows: [][]string{
		{"default", "libpq 17 18", "tls", "tls", "channel-binding"},
		{"default", "pgx", "tls", "tls", "downgrade"},
		{"disable", "libpq 17 18, pgx", "tls", "tls", "tls"},
		{"require", "libpq 17 18, pgx", "tls", "tls", "channel-binding"},
	}}
	if diff := cmp.Diff(want, table(nil)); diff != "" {
		t.Error(diff)
	}
	// A client that was not tried with every certificate has no row.
	want.Rows[0][1] = "libpq 18"
	if diff := cmp.Diff(want, table(func(a map[string]string) bool {
		return a["library"] != "libpq17" || a["channel_binding"] != "" || a["servercert"] != "good"
	})); diff != "" {
		t.Error(diff)
	}
	for name, change := range map[string]func(map[string]string) bool{
		"another axis":    func(a map[string]string) bool { a["sslmode"] = a["library"]; return true },
		"one certificate": func(a map[string]string) bool { return a["servercert"] == "good" },
		"one binding":     func(a map[string]string) bool { return a["channel_binding"] == "disable" },
		"several servers": func(a map[string]string) bool {
			a["server"] = map[bool]string{true: "17", false: "18"}[a["library"] == "pgx"]
			return true
		},
		"no attempt at all": func(map[string]string) bool { return false },
	} {
		if got := table(change); got != nil {
			t.Errorf("%s: %v", name, got.Rows)
		}
	}
}

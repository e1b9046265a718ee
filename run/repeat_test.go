package run

import (
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// A cell that does not repeat is Broken and names every outcome; one that does has the outcome of its first attempt.
func TestRepeatedly(t *testing.T) {
	c := &scenario(t, "a/one", "server: 17\n"+trustAll, "library: pgx\nuser: alice\n", "")[0]
	in := matrix.Observation{Outcome: matrix.Outcome{End: matrix.Connected, Stage: matrix.StageSession, Channel: matrix.TLS}, Unclassified: "x"}
	plain := in
	plain.Outcome.Channel = matrix.Plain
	plain.Evidence.Client.Message = "the odd one"
	fault := matrix.Observation{Fault: "no answer"}
	for _, tt := range []struct {
		name string
		ends []matrix.Observation
		want string // the fault
	}{
		{"repeats", []matrix.Observation{in, in, in}, ""},
		{"is Broken always", []matrix.Observation{fault, fault}, "no answer"},
		{"one of three", []matrix.Observation{in, in, plain}, "does not repeat: 3 attempts ended in 2 ways: " + in.Outcome.String() + " (2 attempts, the first was number 1); " + plain.Outcome.String() + " (attempt 3)"},
		{"the first alone", []matrix.Observation{plain, in, in}, "does not repeat: 3 attempts ended in 2 ways: " + plain.Outcome.String() + " (attempt 1); " + in.Outcome.String() + " (2 attempts, the first was number 2)"},
		{"Broken once", []matrix.Observation{in, fault}, "does not repeat: 2 attempts ended in 2 ways: " + in.Outcome.String() + " (attempt 1); Broken: no answer (attempt 2)"},
		{"three ways", []matrix.Observation{in, plain, fault, in}, "4 attempts ended in 3 ways"},
	} {
		n := 0
		env := &fakeEnv{observe: func(*matrix.Cell) matrix.Observation { n++; return tt.ends[n-1] }}
		k := &kernel{env: env, repeat: len(tt.ends)}
		got := k.repeatedly(t.Context(), c)
		if !strings.Contains(got.Fault, tt.want) || (got.Fault == "") != (tt.want == "") || n != len(tt.ends) {
			t.Errorf("%s: %q after %d attempts, want %q", tt.name, got.Fault, n, tt.want)
		}
		if strings.HasPrefix(got.Fault, "does not repeat") && got.Unclassified != "" {
			t.Errorf("%s: a newer classifier would make it whole", tt.name)
		}
		if tt.name == "one of three" && got.Evidence.Client.Message != "the odd one" {
			t.Errorf("%s: the evidence is of another attempt", tt.name)
		}
	}
}

package matrix

import (
	"errors"
	"io/fs"
	"maps"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestGolden(t *testing.T) {
	golden := Golden{
		"auth/case/pg18/libpq18/user=b": {End: Refused, Stage: StageHBA, Reason: NoHBAEntry, Channel: Plain, Trace: []Step{StepConnect, StepAuthFail}},
		"auth/case/pg18/libpq18/user=a": {End: Connected, Stage: StageSession, Channel: TLS, Method: MethodCert, Identity: "CN=a,O=b", Role: "a", Rule: "pg_hba.conf:2", Trace: []Step{StepConnect, StepSSLAccept, StepAuthOK}},
		"auth/case/pg13/libpq18/user=a": {End: Refused, Stage: StageOptions, Reason: BadOptions},
	}
	const want = `auth/case/pg13/libpq18/user=a  refused at options, bad-options
auth/case/pg18/libpq18/user=a  connected tls, method cert, identity "CN=a,O=b", role a, hba:2, trace connect sslaccept authok
auth/case/pg18/libpq18/user=b  refused at hba, no-hba-entry, channel plain, trace connect authfail
`
	text := FormatGolden(golden)
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
	got, err := LoadGolden(fstest.MapFS{"scenarios/auth/case.golden": {Data: text}}, "scenarios/auth/case.golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(golden, got); diff != "" {
		t.Error(diff)
	}
}

func TestGoldenIsStrict(t *testing.T) {
	const (
		a = "auth/case/pg18/libpq18/user=a  refused at options, bad-options\n"
		b = "auth/case/pg18/libpq18/user=b  refused at options, bad-options\n"
	)
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", ""},
		{"blank line", a + "\n" + b, "auth/case.golden:2:1: no cell and outcome in this line; want the cell's ID, two spaces and its outcome"},
		{"one space", "auth/case/pg18 refused at options, bad-options\n", "auth/case.golden:1:1: no cell and outcome in this line; want the cell's ID, two spaces and its outcome"},
		{"cut off", a + "auth/case/pg18/libpq18/user=b  refused at options, bad-options", "auth/case.golden:2:1: the last line does not end: the file is cut off; approve the cells again"},
		{"twice", a + a, "auth/case.golden:2:1: auth/case/pg18/libpq18/user=a is there twice; keep one of the two lines"},
		{"order", b + a, "auth/case.golden:2:1: auth/case/pg18/libpq18/user=a is out of order; sort the lines: IDs ascend by byte"},
		{"another scenario", "auth/cases/pg18  refused at options, bad-options\n", "auth/case.golden:1:1: auth/cases/pg18 is no cell of auth/case; approve the cells again"},
		{"bad outcome", "auth/case/pg18  refused at options, bad-option\n", `auth/case.golden:1:37: "bad-option" is no reason; did you mean "bad-options"?`},
		{"partial", "auth/case/pg18  connected tls\n", "auth/case.golden:1:17: not a whole outcome: a connected outcome needs a channel and a role; approve the cells again"},
		{"no stage", "auth/case/pg18  refused, bad-options\n", `auth/case.golden:1:17: not a whole outcome: reason bad-options cannot end stage "" (only [options]); approve the cells again`},
		{"another spelling", "auth/case/pg18  connected tls, role a, method trust\n", "auth/case.golden:1:17: the outcome is not written as approved outcomes are; write connected tls, method trust, role a"},
		{"derived field", "auth/case/pg18  connected tls, role a, descent first\n", "auth/case.golden:1:17: the outcome is not written as approved outcomes are; write connected tls, role a"},
		{"three spaces", "auth/case/pg18   refused at options, bad-options\n", "auth/case.golden:1:17: the outcome is not written as approved outcomes are; write refused at options, bad-options"},
	} {
		t.Run(test.name, func(t *testing.T) {
			golden, err := LoadGolden(fstest.MapFS{"auth/case.golden": {Data: []byte(test.text)}}, "auth/case.golden")
			if errorText(err) != test.want {
				t.Errorf("%q, want %q", errorText(err), test.want)
			}
			if err != nil && golden != nil {
				t.Error("a golden beside an error")
			}
		})
	}
	if _, err := LoadGolden(fstest.MapFS{}, "auth/case.golden"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestApprove(t *testing.T) {
	const a, b, c = "auth/case/pg18/libpq18/user=a", "auth/case/pg18/libpq18/user=b", "auth/case/pg18/libpq18/user=c"
	refused := Outcome{End: Refused, Stage: StageHBA, Reason: NoHBAEntry, Channel: Plain, Trace: []Step{StepConnect, StepAuthFail}}
	connected := Outcome{End: Connected, Stage: StageSession, Channel: Plain, Method: MethodTrust, Role: "a", Trace: []Step{StepConnect, StepAuthOK}}
	reconnected := connected
	reconnected.Trace = []Step{StepConnect, StepReconnect, StepAuthOK}
	for _, test := range []struct {
		name     string
		old      Golden
		observed map[string]Outcome
		want     Golden
		changes  []GoldenChange
	}{
		{"nothing", nil, nil, Golden{}, nil},
		{"nothing new", Golden{a: refused}, nil, Golden{a: refused}, nil},
		{"the first approval, in the order of IDs", nil, map[string]Outcome{b: connected, a: refused}, Golden{a: refused, b: connected},
			[]GoldenChange{{ID: a, Is: &refused}, {ID: b, Is: &connected}}},
		{"the same again", Golden{a: refused, b: connected}, map[string]Outcome{b: connected}, Golden{a: refused, b: connected}, nil},
		{"another outcome", Golden{a: refused, b: connected}, map[string]Outcome{a: connected}, Golden{a: connected, b: connected},
			[]GoldenChange{{ID: a, Was: &refused, Is: &connected}}},
		{"another trace alone", Golden{a: connected}, map[string]Outcome{a: reconnected}, Golden{a: reconnected},
			[]GoldenChange{{ID: a, Was: &connected, Is: &reconnected}}},
		{"a cell that is gone, and one that is new", Golden{c: refused, a: refused}, map[string]Outcome{b: refused}, Golden{a: refused, b: refused},
			[]GoldenChange{{ID: b, Is: &refused}, {ID: c, Was: &refused}}},
		{"a cell that is gone and was observed", Golden{c: refused}, map[string]Outcome{c: connected}, Golden{}, []GoldenChange{{ID: c, Was: &refused}}},
		{"a cell of another scenario", Golden{a: refused}, map[string]Outcome{"auth/other/pg18/libpq18": connected}, Golden{a: refused}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := maps.Clone(test.old)
			approved, changes := Approve(test.old, test.observed, func(id string) bool { return id == a || id == b })
			if diff := cmp.Diff(test.want, approved); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.changes, changes); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, test.old); diff != "" {
				t.Errorf("the old outcomes have changed: %s", diff)
			}
			again, none := Approve(approved, test.observed, func(id string) bool { return id == a || id == b })
			if diff := cmp.Diff(approved, again); diff != "" || len(none) > 0 {
				t.Errorf("approving twice changes %v: %s", none, diff)
			}
		})
	}
}

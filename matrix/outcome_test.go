package matrix

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOutcomeText(t *testing.T) {
	for _, test := range []struct {
		text    string
		outcome Outcome
	}{
		{"connected gss, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect gssaccept authok",
			Outcome{End: Connected, Stage: StageSession, Channel: GSS, Method: MethodGSS, Identity: "alice@EXAMPLE.TEST", Role: "alice", Rule: "pg_hba.conf:1", Trace: []Step{StepConnect, StepGSSAccept, StepAuthOK}}},
		{"refused at hba, no-hba-entry, channel plain, trace connect gssreject authfail",
			Outcome{End: Refused, Stage: StageHBA, Reason: NoHBAEntry, Channel: Plain, Trace: []Step{StepConnect, StepGSSReject, StepAuthFail}}},
		{"refused at options, bad-options",
			Outcome{End: Refused, Stage: StageOptions, Reason: BadOptions}},
		{`connected tls, method cert, identity "CN=alice,O=Example", role "o\"hara ", rule included.conf:12`,
			Outcome{End: Connected, Stage: StageSession, Channel: TLS, Method: MethodCert, Identity: "CN=alice,O=Example", Role: `o"hara `, Rule: "included.conf:12"}},
		{"connected plain, role 'a'",
			Outcome{End: Connected, Stage: StageSession, Channel: Plain, Role: "'a'"}},
		{`connected plain, role "a\u00a0b"`,
			Outcome{End: Connected, Stage: StageSession, Channel: Plain, Role: "a\u00a0b"}},
	} {
		if got := test.outcome.String(); got != test.text {
			t.Errorf("written %s, want %s", got, test.text)
		}
		if err := test.outcome.Validate(); err != nil {
			t.Errorf("%s: %v", test.text, err)
		}
		partial, err := ParseOutcome(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
		}
		if diff := cmp.Diff(test.outcome, partial.Outcome); diff != "" {
			t.Errorf("%s: %s", test.text, diff)
		}
	}
}

// TestOutcomeRoundTrip writes and reads outcomes with every stage, reason, channel, method and step, and with names that
// need quotes.
func TestOutcomeRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	names := []string{"alice", "alice@EXAMPLE.TEST", "CN=alice,O=Ex", ` "quoted" `, `back\slash`, "'a'", "`b`", "tab\there", "ü", "\xff", "a  b", "\u200b", "hba:1", "role x"}
	pick := func(words []string) string { return words[random.IntN(len(words))] }
	for range exhaustive(20_000, 2_000) {
		var o Outcome
		if random.IntN(2) == 0 {
			o = Outcome{End: Connected, Stage: StageSession, Channel: Channels[random.IntN(len(Channels))], Role: pick(names)}
		} else {
			reason := Reasons[random.IntN(len(Reasons))]
			o = Outcome{End: Refused, Stage: reason.Stages[random.IntN(len(reason.Stages))], Reason: reason.Reason}
			if random.IntN(2) == 0 {
				o.Channel = Channels[random.IntN(len(Channels))]
			}
		}
		if random.IntN(2) == 0 {
			o.Method = Methods[random.IntN(len(Methods))]
			o.Rule = pick([]string{"pg_hba.conf:1", "pg_hba.conf:12", "more.conf:3"})
		}
		if random.IntN(2) == 0 {
			o.Identity = pick(names)
		}
		if random.IntN(2) == 0 {
			o.Obtains = Obtaineds[random.IntN(len(Obtaineds))]
		}
		if random.IntN(2) == 0 {
			o.Load = pick(append(names, `pg_hba.conf:2: invalid connection type "hos"; d/a.conf:1: end-of-line before role specification`))
		}
		for range random.IntN(4) {
			o.Trace = append(o.Trace, Steps[random.IntN(len(Steps))])
		}
		if err := o.Validate(); err != nil {
			t.Fatalf("%s: %v", o, err)
		}
		partial, err := ParseOutcome(o.String())
		if err != nil {
			t.Fatalf("%s: %v", o, err)
		}
		if diff := cmp.Diff(o, partial.Outcome); diff != "" {
			t.Fatalf("%s\n%s", o, diff)
		}
	}
}

func TestParseOutcomeStates(t *testing.T) {
	for _, test := range []struct {
		text   string
		stated []Field
	}{
		{"connected", []Field{FieldEnd}},
		{"connected tls", []Field{FieldEnd, FieldChannel}},
		{"  connected tls ,descent fallback,hba:2, trace ", []Field{FieldEnd, FieldChannel, FieldDescent, FieldRule, FieldTrace}},
		{"refused, no-ticket", []Field{FieldEnd, FieldReason}},
		{`refused at auth, no-ticket, method gss, identity ""`, []Field{FieldEnd, FieldStage, FieldReason, FieldMethod, FieldIdentity}},
	} {
		p, err := ParseOutcome(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
		}
		if diff := cmp.Diff(test.stated, p.Stated); diff != "" {
			t.Errorf("%s: %s", test.text, diff)
		}
	}
	p, err := ParseOutcome("connected tls, descent fallback, role bob")
	if err != nil {
		t.Fatal(err)
	}
	got := map[Field]string{}
	for _, f := range Fields {
		got[f] = p.Get(f)
	}
	want := map[Field]string{FieldEnd: "connected", FieldStage: "session", FieldReason: "", FieldChannel: "tls", FieldMethod: "", FieldIdentity: "", FieldRole: "bob", FieldRule: "", FieldTrace: "", FieldAnswer: "", FieldObtains: "", FieldLoad: "", FieldDescent: "fallback"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestParseOutcomeOffsets checks the places of mistakes; TestMistakes checks the messages.
func TestParseOutcomeOffsets(t *testing.T) {
	for _, test := range []struct {
		text, wrong string // wrong is the text from the offset on
	}{
		{"", ""},
		{"conected", "conected"},
		{"connected tls gss", "connected tls gss"},
		{"connected tls+ssl", "connected tls+ssl"},
		{"refused by hba", "refused by hba"},
		{"refused at session, password", "password"},
		{"refused at sessions, password", "refused at sessions, password"},
		{"connected,  role", "role"},
		{"connected, role a, channel gsss, hba:1", "channel gsss, hba:1"},
		{"connected tls, channel tls", "channel tls"},
		{`connected, role "a,b", role c`, "role c"},
		{`connected, role "a" b`, `role "a" b`},
		{"connected, hba:0", "hba:0"},
		{"connected, hba:1 2", "hba:1 2"},
		{"connected, descent last", "descent last"},
		{"connected, password", "password"},
		{"refused, role a, password", "role a, password"},
		{"refused at tls, channel plain, hba-reject", "hba-reject"},
		{"refused at tls, channel plain", "refused at tls, channel plain"},
	} {
		_, err := ParseOutcome(test.text)
		var wrong *OutcomeError
		if !errors.As(err, &wrong) {
			t.Errorf("%q: %v is no *OutcomeError", test.text, err)
			continue
		}
		if got := test.text[wrong.Offset:]; got != test.wrong {
			t.Errorf("%q: wrong from %q on, want %q (%v)", test.text, got, test.wrong, err)
		}
		if wrong.Wrong == "" || wrong.Right == "" || wrong.Error() != wrong.Wrong+"; "+wrong.Right {
			t.Errorf("%q: %#v", test.text, wrong)
		}
	}
}

func TestOutcomeValidate(t *testing.T) {
	for _, test := range []struct {
		outcome Outcome
		err     string // "" if it is valid
	}{
		{Outcome{}, `end is "", not connected or refused`},
		{Outcome{End: "maybe"}, `end is "maybe", not connected or refused`},
		{Outcome{End: Connected, Stage: StageSession, Channel: Plain, Role: "a"}, ""},
		{Outcome{End: Connected, Stage: StageStartup, Channel: Plain, Role: "a"}, `a connected outcome ends in stage session and has no reason, not "startup" ""`},
		{Outcome{End: Connected, Stage: StageSession, Channel: Plain, Role: "a", Reason: Password}, `a connected outcome ends in stage session and has no reason, not "session" "password"`},
		{Outcome{End: Connected, Stage: StageSession, Role: "a"}, "a connected outcome needs a channel and a role"},
		{Outcome{End: Connected, Stage: StageSession, Channel: TLS}, "a connected outcome needs a channel and a role"},
		{Outcome{End: Connected, Stage: StageSession, Channel: "ssl", Role: "a"}, `unknown channel "ssl"`},
		{Outcome{End: Connected, Stage: StageSession, Channel: TLS, Role: "a", Method: "scram"}, `unknown method "scram"`},
		{Outcome{End: Connected, Stage: StageSession, Channel: TLS, Role: "a", Trace: []Step{StepConnect, "hello"}}, `unknown step "hello" in trace`},
		{Outcome{End: Refused, Stage: StageHBA, Reason: NoHBAEntry}, ""},
		{Outcome{End: Refused, Stage: StageHBA}, `unknown reason ""`},
		{Outcome{End: Refused, Reason: NoHBAEntry}, `reason no-hba-entry cannot end stage "" (only [hba])`},
		{Outcome{End: Refused, Stage: StageTLS, Reason: NoHBAEntry}, `reason no-hba-entry cannot end stage "tls" (only [hba])`},
		{Outcome{End: Refused, Stage: StageHBA, Reason: NoHBAEntry, Role: "a"}, "a refused outcome has no role"},
		{Outcome{End: Refused, Stage: StageHBA, Reason: NoHBAEntry, Answer: "ok"}, "a refused outcome has no answer"},
	} {
		if got := errorText(test.outcome.Validate()); got != test.err {
			t.Errorf("%s: %q, want %q", test.outcome, got, test.err)
		}
	}
}

func TestDescent(t *testing.T) {
	for _, test := range []struct {
		channel Channel
		trace   string
		want    Descent
	}{
		{Plain, "connect authok", First},
		{TLS, "connect sslaccept authok", First},
		{TLS, "connect directaccept authok", First},
		{GSS, "connect gssaccept authok", First},
		{TLS, "connect gssreject sslaccept authok", Fallback},
		{TLS, "connect gssaccept authfail reconnect sslaccept authok", Fallback},
		{TLS, "connect authfail reconnect sslaccept authok", Fallback}, // sslmode=allow
		{Plain, "connect gssreject authok", Downgrade},
		{Plain, "connect gssreject sslreject authok", Downgrade},
		{Plain, "connect sslaccept reconnect authok", Downgrade}, // the client did not trust the certificate
		{Plain, "connect gsserror reconnect sslerror reconnect authok", Downgrade},
		{Plain, "connect directreject reconnect authok", Downgrade},
		// sessions that the client closed because of what the server is
		{GSS, "connect gssaccept authok targetfail reconnect gssaccept authok", First},
		{TLS, "connect sslaccept authok targetfail reconnect reconnect sslaccept authok", First},
		{TLS, "connect gssaccept authfail reconnect sslaccept authok targetfail reconnect gssaccept authfail reconnect sslaccept authok", Fallback},
		{TLS, "connect authok targetfail reconnect sslaccept authok targetfail reconnect sslaccept authok", Fallback},
		{TLS, "connect gssreject sslaccept authok targetfail reconnect gssreject sslaccept authok", Fallback},
		{Plain, "connect authok targetfail reconnect authok", First},
		{Plain, "connect sslaccept authok targetfail reconnect authok targetfail reconnect authok", Downgrade},
	} {
		o := Outcome{End: Connected, Stage: StageSession, Channel: test.channel, Role: "a"}
		for _, s := range strings.Fields(test.trace) {
			o.Trace = append(o.Trace, Step(s))
		}
		if err := o.Validate(); err != nil {
			t.Errorf("%s: %v", test.trace, err)
		}
		if got := o.Descent(); got != test.want {
			t.Errorf("%s after %s is %q, want %q", test.channel, test.trace, got, test.want)
		}
		o = Outcome{End: Refused, Stage: StageHBA, Reason: NoHBAEntry, Channel: test.channel, Trace: o.Trace}
		if got := o.Descent(); got != "" {
			t.Errorf("refused outcome has descent %q", got)
		}
	}
}

func TestVocabularyIsClosed(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons {
		if seen[string(r.Reason)] || r.Meaning == "" || len(r.Stages) == 0 {
			t.Errorf("reason %s is doubled, means nothing or ends no stage", r.Reason)
		}
		seen[string(r.Reason)] = true
		for _, s := range r.Stages {
			if !slices.Contains(Stages, s) {
				t.Errorf("reason %s ends stage %s", r.Reason, s)
			}
		}
	}
	for _, s := range Stages {
		if len(reasonsAt(s)) == 0 {
			t.Errorf("no reason ends stage %s", s)
		}
	}
	for _, w := range partWords {
		if seen[w] && w != "password" {
			t.Errorf("%s is a reason and starts a part of an outcome", w)
		}
	}
	if Stages[len(Stages)-1] != StageSession {
		t.Error("the last stage is not session")
	}
}

func TestEditDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"prefer", "prefer", 0}, {"prefre", "prefer", 1}, {"bbo", "bob", 1}, {"casue", "cause", 1}, {"abcd", "badc", 2}, {"ca", "abc", 3}, {"requir", "require", 1}, {"sitting", "kitten", 3}, {"ssl", "gss", 2},
	} {
		if got := EditDistance(test.a, test.b); got != test.want {
			t.Errorf("%q to %q is %d, want %d", test.a, test.b, got, test.want)
		}
		if got := EditDistance(test.b, test.a); got != test.want {
			t.Errorf("%q to %q is %d, want %d", test.b, test.a, got, test.want)
		}
	}
}

func TestNearest(t *testing.T) {
	for _, test := range []struct {
		word, want string
		candidates []string
	}{
		{"requier", "require", []string{"disable", "prefer", "require"}},
		{"channel-binding", "channel_binding", []string{"cert", "channel_binding"}},
		{"SSLMODE", "sslmode", []string{"ssl", "sslmode"}},
		{"libpq12", "", []string{"libpq13", "psql13"}},
		{"19", "", []string{"13", "18"}},
		{"verify", "", []string{"verify-ca", "verify-full", "prefer"}},
		{"", "", []string{"on", "off"}},
	} {
		if got := nearest(test.word, test.candidates); got != test.want {
			t.Errorf("%s is near %q, want %q", test.word, got, test.want)
		}
	}
}

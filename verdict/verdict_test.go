package verdict

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

func cellOf(server int, library matrix.Library) *matrix.Cell {
	return &matrix.Cell{ID: fmt.Sprintf("negotiation/both/pg%d/%s/user=alice", server, library), Scenario: "negotiation/both",
		World:  &matrix.World{Server: server, SSL: "on", ServerCert: "good", Keytab: "good"},
		Client: matrix.Client{Library: library, Transport: "tcp", User: "alice"}}
}

// parse reads an outcome in the form of expect rows and golden files.
func parse(t testing.TB, text string) matrix.Outcome {
	t.Helper()
	p, err := matrix.ParseOutcome(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p.Outcome
}

func expecting(t testing.TB, then string) *matrix.Expect {
	t.Helper()
	p, err := matrix.ParseOutcome(then)
	if err != nil {
		t.Fatalf("%s: %v", then, err)
	}
	return &matrix.Expect{Then: p, Pos: "both.yaml:20:5"}
}

const (
	viaTLS   = "connected tls, method trust, role alice, hba:2, trace connect gssreject sslaccept authok"
	viaPlain = "connected plain, method trust, role alice, hba:3, trace connect gssreject sslreject authok"
	viaGSS   = "connected gss, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect gssaccept authok"
	noEntry  = "refused at hba, no-hba-entry, channel plain, trace connect gssreject authfail"
	reject   = "refused at hba, hba-reject, channel plain, method reject, hba:4, trace connect authfail"
	noTicket = "refused at credentials, no-ticket"
)

// judged is a cell, what is known of it and the verdict on it.
type judged struct {
	name        string
	library     matrix.Library
	server      int // default 17
	predicted   string
	observed    string // "" is no attempt
	unseen      []matrix.Field
	fault       string
	expect      string
	golden      string
	divergences []matrix.Divergence
	notFor      bool // the cell is not applicable
	byHand      bool // a row alone judges the cell
	want        Verdict
}

func (tt judged) check(t *testing.T) {
	t.Helper()
	if tt.server == 0 {
		tt.server = 17
	}
	if tt.library == "" {
		tt.library = "libpq17"
	}
	cell := cellOf(tt.server, tt.library)
	cell.ByHand = tt.byHand
	if tt.notFor {
		cell.Client.RequireAuth = "gss"
	}
	if tt.expect != "" {
		cell.Expect = expecting(t, tt.expect)
	}
	var p matrix.Prediction
	if tt.predicted != "" {
		p.Outcome = parse(t, tt.predicted)
	}
	var o *matrix.Observation
	if tt.observed != "" || tt.fault != "" {
		o = &matrix.Observation{Fault: tt.fault, Unseen: tt.unseen}
		if tt.observed != "" {
			o.Outcome = parse(t, tt.observed)
		}
	}
	var golden *matrix.Outcome
	if tt.golden != "" {
		approved := parse(t, tt.golden)
		golden = &approved
	}
	if diff := cmp.Diff(tt.want, Judge(cell, p, o, golden, tt.divergences)); diff != "" {
		t.Errorf("verdict (-want +got):\n%s", diff)
	}
}

func TestJudge(t *testing.T) {
	listed := []matrix.Divergence{
		{Pattern: "other/**", Cause: "not this", Pos: "divergences.yaml:1:3"},
		{Pattern: "negotiation/both", Cause: "libpq sends it twice", Link: "https://example.test/1", Pos: "divergences.yaml:5:3"},
	}
	for _, tt := range []judged{
		{name: "as predicted", predicted: viaTLS, observed: viaTLS, want: Verdict{Status: Agree, Severity: IsAgree}},
		{name: "as predicted, expected and approved", predicted: viaGSS, observed: viaGSS, expect: "connected gss, role alice, descent first", golden: viaGSS, want: Verdict{Status: Agree, Severity: IsAgree}},
		{name: "refused before any connection", predicted: noTicket, observed: noTicket, want: Verdict{Status: Agree, Severity: IsAgree}},

		{name: "connected but must not", predicted: noEntry, observed: viaPlain, want: Verdict{Status: Differ, Severity: MustNotConnect, Differences: []Difference{
			{"end", Prediction, "refused", "connected"}, {"stage", Prediction, "hba", "session"}, {"reason", Prediction, "no-hba-entry", ""},
			{"method", Prediction, "", "trust"}, {"role", Prediction, "", "alice"}, {"rule", Prediction, "", "pg_hba.conf:3"},
			{"trace", Prediction, "connect gssreject authfail", "connect gssreject sslreject authok"}}}},
		{name: "weaker channel", predicted: viaTLS, observed: viaPlain, want: Verdict{Status: Differ, Severity: WeakerChannel, Differences: []Difference{
			{"channel", Prediction, "tls", "plain"}, {"rule", Prediction, "pg_hba.conf:2", "pg_hba.conf:3"},
			{"trace", Prediction, "connect gssreject sslaccept authok", "connect gssreject sslreject authok"}}}},
		{name: "TLS and GSS at once", predicted: viaGSS, observed: strings.Replace(viaGSS, "connected gss", "connected tls+gss", 1), want: Verdict{Status: Differ, Severity: WeakerChannel, Differences: []Difference{
			{"channel", Prediction, "gss", "tls+gss"}}}},
		{name: "stronger channel", predicted: strings.Replace(viaTLS, "connected tls", "connected plain", 1), observed: viaTLS, want: Verdict{Status: Differ, Severity: OtherDiffer, Differences: []Difference{
			{"channel", Prediction, "plain", "tls"}}}},
		{name: "refused but should connect", predicted: viaPlain, observed: noEntry, want: Verdict{Status: Differ, Severity: MustConnect, Differences: []Difference{
			{"end", Prediction, "connected", "refused"}, {"stage", Prediction, "session", "hba"}, {"reason", Prediction, "", "no-hba-entry"},
			{"method", Prediction, "trust", ""}, {"role", Prediction, "alice", ""}, {"rule", Prediction, "pg_hba.conf:3", ""},
			{"trace", Prediction, "connect gssreject sslreject authok", "connect gssreject authfail"}}}},
		{name: "refused for another reason", predicted: noEntry, observed: "refused at credentials, no-ticket, channel plain, trace connect gssreject authfail", want: Verdict{Status: Differ, Severity: OtherDiffer, Differences: []Difference{
			{"stage", Prediction, "hba", "credentials"}, {"reason", Prediction, "no-hba-entry", "no-ticket"}}}},

		{name: "predicted, but not what the expect row says", predicted: viaPlain, observed: viaPlain, expect: "connected tls, role alice", want: Verdict{Status: Differ, Severity: WeakerChannel, Pos: "both.yaml:20:5", Differences: []Difference{
			{"channel", Expect, "tls", "plain"}}}},
		{name: "connected as predicted, and the expect row says refused", predicted: viaPlain, observed: viaPlain, expect: "refused at hba, no-hba-entry", want: Verdict{Status: Differ, Severity: MustNotConnect, Pos: "both.yaml:20:5", Differences: []Difference{
			{"end", Expect, "refused", "connected"}, {"stage", Expect, "hba", "session"}, {"reason", Expect, "no-hba-entry", ""}}}},
		{name: "the derived field of an expect row", predicted: viaPlain, observed: viaPlain, expect: "connected, descent fallback", want: Verdict{Status: Differ, Severity: OtherDiffer, Pos: "both.yaml:20:5", Differences: []Difference{
			{"descent", Expect, "fallback", "downgrade"}}}},
		{name: "an expect row that holds, another prediction", predicted: viaTLS, observed: viaPlain, expect: "connected, role alice", want: Verdict{Status: Differ, Severity: WeakerChannel, Differences: []Difference{
			{"channel", Prediction, "tls", "plain"}, {"rule", Prediction, "pg_hba.conf:2", "pg_hba.conf:3"},
			{"trace", Prediction, "connect gssreject sslaccept authok", "connect gssreject sslreject authok"}}}},

		{name: "drift", predicted: viaTLS, observed: viaTLS, golden: viaPlain, want: Verdict{Status: Drift, Severity: IsDrift, Differences: []Difference{
			{"channel", Golden, "plain", "tls"}, {"rule", Golden, "pg_hba.conf:3", "pg_hba.conf:2"},
			{"trace", Golden, "connect gssreject sslreject authok", "connect gssreject sslaccept authok"}}}},
		{name: "different from prediction and golden: not a drift", predicted: strings.Replace(viaTLS, "hba:2", "hba:9", 1), observed: viaTLS, golden: strings.Replace(viaTLS, "hba:2", "hba:8", 1), want: Verdict{Status: Differ, Severity: OtherDiffer, Differences: []Difference{
			{"rule", Prediction, "pg_hba.conf:9", "pg_hba.conf:2"}, {"rule", Golden, "pg_hba.conf:8", "pg_hba.conf:2"}}}},

		{name: "known", predicted: strings.Replace(viaTLS, "hba:2", "hba:9", 1), observed: viaTLS, divergences: listed, want: Verdict{Status: Known, Severity: IsKnown, Cause: "libpq sends it twice", Pos: "divergences.yaml:5:3", Link: "https://example.test/1", Differences: []Difference{
			{"rule", Prediction, "pg_hba.conf:9", "pg_hba.conf:2"}}}},
		{name: "listed and agreeing", predicted: viaTLS, observed: viaTLS, divergences: listed, want: Verdict{Status: Differ, Severity: OtherDiffer,
			Cause: "listed in divergences.yaml:5:3 but agrees; remove the entry", Pos: "divergences.yaml:5:3"}},
		{name: "listed and drifting", predicted: viaTLS, observed: viaTLS, golden: strings.Replace(viaTLS, "hba:2", "hba:8", 1), divergences: listed, want: Verdict{Status: Differ, Severity: OtherDiffer,
			Cause: "listed in divergences.yaml:5:3 but agrees; remove the entry", Pos: "divergences.yaml:5:3", Differences: []Difference{{"rule", Golden, "pg_hba.conf:8", "pg_hba.conf:2"}}}},
		{name: "a listed cell that is broken stays broken", predicted: viaTLS, fault: "relay: no record", divergences: listed, want: Verdict{Status: Broken, Severity: IsBroken, Cause: "relay: no record"}},
		{name: "listed for other cells only", predicted: viaTLS, observed: viaTLS, divergences: listed[:1], want: Verdict{Status: Agree, Severity: IsAgree}},

		{name: "a fault whatever is predicted", predicted: viaTLS, observed: viaTLS, fault: "witnesses contradict", want: Verdict{Status: Broken, Severity: IsBroken, Cause: "witnesses contradict"}},
		{name: "a fault is not a refusal", predicted: noEntry, observed: noEntry, fault: "timeout", want: Verdict{Status: Broken, Severity: IsBroken, Cause: "timeout"}},
		{name: "not attempted", predicted: viaTLS, want: Verdict{Status: Broken, Severity: IsBroken, Cause: "not attempted"}},
		{name: "no prediction", observed: viaTLS, want: Verdict{Status: Broken, Severity: IsBroken, Cause: `the prediction is invalid: end is "", not connected or refused`}},

		{name: "not applicable", library: "libpq15", notFor: true, want: Verdict{Status: NotApplicable, Severity: IsNotApplicable, Cause: "libpq 15 has no require_auth (since 16)"}},
		{name: "not applicable and attempted", library: "libpq15", notFor: true, predicted: viaTLS, observed: viaTLS, want: Verdict{Status: Broken, Severity: IsBroken,
			Cause: "was attempted although not applicable: libpq 15 has no require_auth (since 16)"}},
		{name: "not applicable and listed", library: "libpq15", notFor: true, divergences: listed, want: Verdict{Status: NotApplicable, Severity: IsNotApplicable, Cause: "libpq 15 has no require_auth (since 16)"}},

		{name: "a rule that 15 does not log of trust", server: 15, predicted: viaTLS, observed: strings.Replace(viaTLS, ", hba:2", "", 1), unseen: []matrix.Field{"rule"}, want: Verdict{Status: Agree, Severity: IsAgree}},
		{name: "the same, and the probe does not say that it is unseen", server: 15, predicted: viaTLS, observed: strings.Replace(viaTLS, ", hba:2", "", 1), want: Verdict{Status: Agree, Severity: IsAgree}},
		{name: "another rule, where the rule may be unseen", server: 15, predicted: viaTLS, observed: strings.Replace(viaTLS, "hba:2", "hba:1", 1), want: Verdict{Status: Differ, Severity: OtherDiffer, Differences: []Difference{
			{"rule", Prediction, "pg_hba.conf:2", "pg_hba.conf:1"}}}},
		{name: "a rule that 17 logs of trust", predicted: viaTLS, observed: strings.Replace(viaTLS, ", hba:2", "", 1), unseen: []matrix.Field{"rule"}, want: Verdict{Status: Differ, Severity: OtherDiffer, Differences: []Difference{
			{"rule", Prediction, "pg_hba.conf:2", Unknown}}}},
		{name: "a field that is predicted to be absent and that no witness saw", predicted: noEntry, observed: noEntry, unseen: []matrix.Field{"identity"}, want: Verdict{Status: Differ, Severity: OtherDiffer, Differences: []Difference{
			{"identity", Prediction, "", Unknown}}}},
		{name: "named as unseen and not empty", predicted: viaTLS, observed: viaTLS, unseen: []matrix.Field{"rule"}, want: Verdict{Status: Broken, Severity: IsBroken, Cause: `the observation calls rule unseen and gives it as "pg_hba.conf:2"`}},
		{name: "an expect row about an unseen field is compared with the prediction", server: 15, predicted: viaTLS, observed: strings.Replace(viaTLS, ", hba:2", "", 1), expect: "connected, hba:1", want: Verdict{Status: Differ, Severity: OtherDiffer, Pos: "both.yaml:20:5", Differences: []Difference{
			{"rule", Expect, "pg_hba.conf:1", "pg_hba.conf:2"}}}},
		{name: "approved without the unseen field", predicted: reject, observed: strings.Replace(reject, ", hba:4", "", 1), golden: strings.Replace(reject, ", hba:4", "", 1), want: Verdict{Status: Agree, Severity: IsAgree}},
		{name: "approved with another unseen field", predicted: reject, observed: strings.Replace(reject, ", hba:4", "", 1), golden: strings.Replace(reject, "hba:4", "hba:5", 1), want: Verdict{Status: Drift, Severity: IsDrift, Differences: []Difference{
			{"rule", Golden, "pg_hba.conf:5", "pg_hba.conf:4"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.check(t)
		})
	}
}

// TestUnseen: what each version shows of each way in which an attempt can end. The table was made independently of Unseen.
func TestUnseen(t *testing.T) {
	const m, i, r = matrix.FieldMethod, matrix.FieldIdentity, matrix.FieldRule
	type fields = []matrix.Field
	for _, tt := range []struct {
		outcome             string
		library             matrix.Library // default libpq17
		v13, v14, v16, v17p fields         // 13; 14 and 15; 16; 17 and 18
	}{
		{outcome: "connected plain, method trust, role a, hba:1", v13: fields{m, i, r}, v14: fields{r}, v16: fields{r}},
		{outcome: "connected gss, method trust, role a, hba:1", v13: fields{i, r}, v14: fields{r}, v16: fields{r}},
		{outcome: "connected gss, method trust, role a, hba:1", library: "psql17", v13: fields{m, i, r}, v14: fields{r}, v16: fields{r}},
		{outcome: "connected gss, method gss, identity a@R, role a, hba:1", v13: fields{r}},
		{outcome: "connected tls, method gss, identity a@R, role a, hba:1", library: "psql17", v13: fields{r}},
		{outcome: "connected tls, method scram-sha-256, identity a, role a, hba:1", v13: fields{m, i, r}},
		{outcome: "connected tls, method md5, identity a, role a, hba:1", v13: fields{m, i, r}},
		{outcome: "connected tls, method password, identity a, role a, hba:1", v13: fields{i, r}},
		{outcome: "connected tls, method password, identity a, role a, hba:1", library: "psql17", v13: fields{m, i, r}},
		{outcome: "connected plain, method password, identity a, role a, hba:1", library: "psql17", v13: fields{i, r}},
		{outcome: "connected tls, method cert, identity CN=a, role a, hba:1", v13: fields{m, i, r}},
		{outcome: "connected plain, method peer, identity os, role a, hba:1", v13: fields{m, i, r}},
		{outcome: "refused at hba, no-hba-entry, channel plain"},
		{outcome: "refused at hba, hba-reject, channel plain, method reject, hba:1", v13: fields{r}, v14: fields{r}, v16: fields{r}, v17p: fields{r}},
		{outcome: "refused at tls, server-cert-untrusted"},
		{outcome: "refused at credentials, no-ticket"},
		{outcome: "refused at gssenc, keytab-mismatch"},
		{outcome: "refused at auth, cert-missing, channel tls, method cert, hba:1", v13: fields{m, r}, v14: fields{m, r}, v16: fields{m, r}, v17p: fields{m, r}},
		{outcome: "refused at auth, password, channel tls, method scram-sha-256, hba:1", v13: fields{i}},
		{outcome: "refused at auth, no-password, channel tls, method scram-sha-256, hba:1", v13: fields{m, r}, v14: fields{m, r}, v16: fields{m, r}, v17p: fields{m, r}},
		{outcome: "refused at auth, no-password, channel tls, method password, hba:1", v13: fields{r}, v14: fields{r}, v16: fields{r}, v17p: fields{r}},
		{outcome: "refused at auth, no-password, channel tls, method password, hba:1", library: "psql17", v13: fields{m, r}, v14: fields{m, r}, v16: fields{m, r}, v17p: fields{m, r}},
		{outcome: "refused at auth, method-rejected, channel tls, method md5, hba:1", v13: fields{m, r}, v14: fields{m, r}, v16: fields{m, r}, v17p: fields{m, r}},
		{outcome: "refused at auth, method-rejected, channel plain, method trust, hba:1", v13: fields{m, i, r}, v14: fields{r}, v16: fields{r}},
		{outcome: "refused at auth, method-rejected, channel gss, method gss, identity a@R, hba:1", v13: fields{r}},
		{outcome: "refused at auth, channel-binding, channel gss, method trust, hba:1", v13: fields{i, r}, v14: fields{r}, v16: fields{r}},
		{outcome: "refused at auth, method-unsupported, channel plain, method gss, hba:1", v13: fields{i}},                                                                      // pg_GSS_recvauth: STATUS_ERROR, logged
		{outcome: "refused at auth, protocol-violation, channel tls, method scram-sha-256, hba:1", v13: fields{m, r}, v14: fields{m, r}, v16: fields{m, r}, v17p: fields{m, r}}, // read_client_first_message: a FATAL without DETAIL
		{outcome: "refused at auth, ticket-expired, channel plain, method gss, hba:1", v13: fields{i}},
		{outcome: "refused at auth, connection-lost, channel plain, method scram-sha-256, hba:1", v13: fields{m, r}, v14: fields{m, r}, v16: fields{m, r}, v17p: fields{m, r}},
		{outcome: "refused at auth, timed-out, channel plain, method password, hba:1", v13: fields{r}, v14: fields{r}, v16: fields{r}, v17p: fields{r}},
		{outcome: "refused at auth, timed-out, channel plain, method trust, hba:1", v13: fields{m, i, r}, v14: fields{r}, v16: fields{r}},
		{outcome: "refused at auth, connection-lost, channel plain, method gss, hba:1", v13: fields{i}}, // the FATAL is logged, although it does not reach the client
		{outcome: "refused at ident, map-no-match, channel gss, method gss, identity a@R, hba:1", v13: fields{i}},
		{outcome: "refused at startup, role-missing, channel plain, method trust, hba:1", v13: fields{m, i, r}, v14: fields{r}, v16: fields{r}},
		{outcome: "refused at startup, role-missing, channel gss, method gss, identity a@R, hba:1", v13: fields{r}},
		{outcome: "refused at startup, server-starting, channel plain"},
	} {
		if tt.library == "" {
			tt.library = "libpq17"
		}
		for server, want := range map[int]fields{13: tt.v13, 14: tt.v14, 15: tt.v14, 16: tt.v16, 17: tt.v17p, 18: tt.v17p} {
			if got := Unseen(cellOf(server, tt.library), matrix.Prediction{Outcome: parse(t, tt.outcome)}); !slices.Equal(got, want) {
				t.Errorf("%d, %s, %s: unseen %v, want %v", server, tt.library, tt.outcome, got, want)
			}
		}
	}
}

func TestSettled(t *testing.T) {
	cell := cellOf(13, "libpq17")
	p := matrix.Prediction{Outcome: parse(t, "connected tls, method scram-sha-256, identity alice, role alice, hba:3, trace connect sslaccept authok")}
	o := &matrix.Observation{Outcome: parse(t, "connected tls, role alice, trace connect sslaccept authok"), Unseen: []matrix.Field{"method", "identity", "rule"}}
	if diff := cmp.Diff(p.Outcome, Settled(cell, p, o)); diff != "" {
		t.Errorf("settled (-want +got):\n%s", diff)
	}
	if o.Outcome.Rule != "" {
		t.Error("Settled changed the observation")
	}
	cell.World.Server = 17
	if diff := cmp.Diff(o.Outcome, Settled(cell, p, o)); diff != "" {
		t.Errorf("17 shows these fields; they must not be filled in (-want +got):\n%s", diff)
	}
}

func TestStale(t *testing.T) {
	divergences := []matrix.Divergence{{Pattern: "negotiation/both"}, {Pattern: "negotiation/gone/pg17"}, {Pattern: "**/libpq13"}}
	ids := []string{"negotiation/both/pg17/libpq17/user=alice", "negotiation/both/pg13/libpq13/user=alice"}
	if diff := cmp.Diff([]matrix.Divergence{{Pattern: "negotiation/gone/pg17"}}, Stale(divergences, ids)); diff != "" {
		t.Errorf("stale (-want +got):\n%s", diff)
	}
	if got := Stale(divergences, nil); len(got) != 3 {
		t.Errorf("of no cells all are stale, got %v", got)
	}
	if divergences[0].Pattern != "negotiation/both" {
		t.Error("Stale changed its argument")
	}
}

func TestCount(t *testing.T) {
	of := func(statuses ...Status) []Verdict {
		var list []Verdict
		for _, s := range statuses {
			list = append(list, Verdict{Status: s})
		}
		return list
	}
	for _, tt := range []struct {
		name     string
		verdicts []Verdict
		cells    int
		green    bool
		err      string
	}{
		{"all agree", of(Agree, Agree), 2, true, ""},
		{"agree, known and not applicable", of(Agree, Known, NotApplicable), 3, true, ""},
		{"nothing agreed", of(Known, NotApplicable), 2, false, ""},
		{"nothing at all", nil, 0, false, ""},
		{"differ", of(Agree, Differ), 2, false, ""},
		{"drift", of(Agree, Drift), 2, false, ""},
		{"broken", of(Agree, Broken), 2, false, ""},
		{"a cell without a verdict", of(Agree), 2, true, "1 verdicts for 2 cells: every cell needs exactly one"},
		{"a verdict too many", of(Agree, Agree), 1, true, "2 verdicts for 1 cells: every cell needs exactly one"},
		{"no status", of(Agree, ""), 2, false, `1 cells have the invalid status ""`},
		{"unknown", of(Agree, "agree"), 2, false, `1 cells have the invalid status "agree"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			counts, err := Count(tt.verdicts, tt.cells)
			if got := fmt.Sprint(err); err != nil && got != tt.err || err == nil && tt.err != "" {
				t.Errorf("error %q, want %q", got, tt.err)
			}
			if counts.Green() != tt.green {
				t.Errorf("green %t, want %t", counts.Green(), tt.green)
			}
			if counts.Total() != len(tt.verdicts) {
				t.Errorf("total %d, want %d", counts.Total(), len(tt.verdicts))
			}
		})
	}
}

package verdict

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestJudgeByHand: the row alone judges. What it does not state is not compared, and what no witness saw does not agree.
func TestJudgeByHand(t *testing.T) {
	const pam = "refused at auth, password, channel tls, method pam, hba:1, trace connect sslaccept authfail"
	listed := []matrix.Divergence{{Pattern: "negotiation/both", Cause: "a reason", Pos: "divergences.yaml:5:3"}}
	for _, tt := range []judged{
		{name: "every field", expect: pam, observed: pam, want: Verdict{Status: Agree, Severity: IsAgree}},
		{name: "some fields", expect: "refused at auth, password", observed: pam, want: Verdict{Status: Agree, Severity: IsAgree}},
		{name: "another method", expect: "refused at auth, password, method ldap", observed: pam, want: Verdict{Status: Differ, Severity: OtherDiffer, Pos: "both.yaml:20:5", Differences: []Difference{
			{"method", Expect, "ldap", "pam"}}}},
		{name: "connected but must not", expect: "refused at auth, password", observed: viaTLS, want: Verdict{Status: Differ, Severity: MustNotConnect, Pos: "both.yaml:20:5", Differences: []Difference{
			{"end", Expect, "refused", "connected"}, {"stage", Expect, "auth", "session"}, {"reason", Expect, "password", ""}}}},
		{name: "a stated field that no witness saw", expect: pam, observed: "refused at auth, password, channel tls, hba:1, trace connect sslaccept authfail", unseen: []matrix.Field{"method"},
			want: Verdict{Status: Differ, Severity: OtherDiffer, Pos: "both.yaml:20:5", Differences: []Difference{{"method", Expect, "pam", Unknown}}}},
		{name: "a field that is not stated and that no witness saw", expect: "refused at auth, password", observed: "refused at auth, password, channel tls, hba:1", unseen: []matrix.Field{"method"}, want: Verdict{Status: Agree, Severity: IsAgree}},
		{name: "a stated field that no server shows", expect: "refused at auth, no-password, method ldap, hba:1", observed: "refused at auth, no-password, channel tls", unseen: []matrix.Field{"method", "rule"},
			want: Verdict{Status: Agree, Severity: IsAgree}},
		{name: "a stated field that no server shows, and another was seen", expect: "refused at auth, no-password, method ldap, hba:1", observed: "refused at auth, no-password, channel tls, method ldap, hba:2",
			want: Verdict{Status: Differ, Severity: OtherDiffer, Pos: "both.yaml:20:5", Differences: []Difference{{"rule", Expect, "pg_hba.conf:1", "pg_hba.conf:2"}}}},
		{name: "no row", observed: pam, want: Verdict{Status: Broken, Severity: IsBroken, Cause: "it is judged by hand and no row claims it"}},
		{name: "a prediction", expect: pam, predicted: pam, observed: pam, want: Verdict{Status: Broken, Severity: IsBroken, Cause: "it is judged by hand and was predicted"}},
		{name: "not attempted", expect: pam, want: Verdict{Status: Broken, Severity: IsBroken, Cause: "not attempted"}},
		{name: "a fault", expect: pam, observed: pam, fault: "timeout", want: Verdict{Status: Broken, Severity: IsBroken, Cause: "timeout"}},
		{name: "drift in what is not stated", expect: "refused at auth, password", observed: pam, golden: "refused at auth, password, channel plain, method pam, hba:1, trace connect sslaccept authfail",
			want: Verdict{Status: Drift, Severity: IsDrift, Differences: []Difference{{"channel", Golden, "plain", "tls"}}}},
		{name: "known", expect: "refused at auth, password, method ldap", observed: pam, divergences: listed, want: Verdict{Status: Known, Severity: IsKnown, Cause: "a reason", Pos: "divergences.yaml:5:3", Differences: []Difference{
			{"method", Expect, "ldap", "pam"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.byHand = true
			tt.check(t)
		})
	}
}

// TestSettledByHand: what no witness can see is taken from the row, which stands for the prediction.
func TestSettledByHand(t *testing.T) {
	cell := cellOf(17, "libpq17")
	cell.ByHand, cell.Expect = true, expecting(t, "refused at auth, no-password, method ldap, hba:1")
	o := &matrix.Observation{Outcome: parse(t, "refused at auth, no-password, channel tls")}
	if got, want := Settled(cell, matrix.Prediction{}, o).String(), "refused at auth, no-password, channel tls, method ldap, hba:1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestUnseenWhereMethodsAskAlike: the request for a password in the clear tells the method only if one method of the file makes it.
func TestUnseenWhereMethodsAskAlike(t *testing.T) {
	const m, i, r = matrix.FieldMethod, matrix.FieldIdentity, matrix.FieldRule
	const alone, both = "host all all all password\n", "hostssl all all all pam\nhost all all all password\n"
	for _, tt := range []struct {
		hba, outcome string
		v13, v17     []matrix.Field
	}{
		{alone, "refused at auth, no-password, channel tls, method password, hba:1", []matrix.Field{r}, []matrix.Field{r}},
		{alone + "include more.conf\n", "refused at auth, no-password, channel tls, method password, hba:1", []matrix.Field{m, r}, []matrix.Field{m, r}},
		{both, "refused at auth, no-password, channel tls, method password, hba:1", []matrix.Field{m, r}, []matrix.Field{m, r}},
		{both, "refused at auth, no-password, channel tls, method pam, hba:1", []matrix.Field{m, r}, []matrix.Field{m, r}},
		{alone, "connected tls, method password, identity a, role a, hba:1", []matrix.Field{i, r}, nil},
		{both, "connected tls, method password, identity a, role a, hba:1", []matrix.Field{m, i, r}, nil},
		{both, "connected gss, method radius, identity a, role a, hba:1", []matrix.Field{m, i, r}, nil},
		{both, "refused at auth, password, channel tls, method pam, hba:1", []matrix.Field{i}, nil},
		{both, "refused at auth, no-auth-service, channel tls, method ldap, hba:1", []matrix.Field{i}, nil},
	} {
		for server, want := range map[int][]matrix.Field{13: tt.v13, 17: tt.v17} {
			cell := cellOf(server, "libpq17")
			cell.World.HBA = tt.hba
			if diff := cmp.Diff(want, Unseen(cell, matrix.Prediction{Outcome: parse(t, tt.outcome)})); diff != "" {
				t.Errorf("%d: %s of %q: %s", server, tt.outcome, tt.hba, diff)
			}
		}
	}
}

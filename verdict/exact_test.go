package verdict

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestWeaker has every pair of channels.
func TestWeaker(t *testing.T) {
	weak := map[matrix.Channel][]matrix.Channel{
		matrix.Plain:     {matrix.TLS, matrix.GSS, matrix.TLSAndGSS},
		matrix.TLSAndGSS: {"", matrix.Plain, matrix.TLS, matrix.GSS, matrix.TLSAndGSS},
	}
	channels := append([]matrix.Channel{""}, matrix.Channels...)
	for _, observed := range channels {
		for _, want := range channels {
			if got := weaker(observed, want); got != slices.Contains(weak[observed], want) {
				t.Errorf("%q in place of %q: %t", observed, want, got)
			}
		}
	}
}

// TestSeverityIsOfThePrediction: what was approved once does not say how bad a difference is.
func TestSeverityIsOfThePrediction(t *testing.T) {
	predicted := matrix.Outcome{End: matrix.Refused, Stage: matrix.StageHBA, Reason: matrix.NoHBAEntry, Channel: matrix.Plain, Trace: []matrix.Step{matrix.StepConnect, matrix.StepAuthFail}}
	observed := predicted
	observed.Channel = matrix.TLS
	golden := matrix.Outcome{End: matrix.Connected, Stage: matrix.StageSession, Channel: matrix.Plain, Role: "alice", Trace: []matrix.Step{matrix.StepConnect, matrix.StepAuthOK}}
	cell := cellOf(17, "libpq17")
	if v := Judge(cell, matrix.Prediction{Outcome: predicted}, &matrix.Observation{Outcome: observed}, &golden, nil); v.Status != Differ || v.Severity != OtherDiffer {
		t.Errorf("%+v", v)
	}
	listed := []matrix.Divergence{{Pattern: cell.ID, Cause: "known", Pos: "divergences.yaml:1:3"}}
	if v := Judge(cell, matrix.Prediction{Outcome: predicted}, &matrix.Observation{Outcome: predicted}, nil, listed); v.Status != Differ || v.Pos != "divergences.yaml:1:3" {
		t.Errorf("a listed cell that agrees: %+v", v)
	}
	observed.Channel, observed.End = matrix.Plain, "perhaps"
	if v := Judge(cell, matrix.Prediction{Outcome: predicted}, &matrix.Observation{Outcome: observed}, nil, nil); v.Status != Broken || !strings.HasPrefix(v.Cause, "the observed outcome is invalid: ") {
		t.Errorf("%+v", v)
	}
}

// TestUnseenFields are predictions whose witnesses are few; the sources are with Unseen.
func TestUnseenFields(t *testing.T) {
	const method, identity, rule = matrix.FieldMethod, matrix.FieldIdentity, matrix.FieldRule
	for _, c := range []struct {
		server  int
		outcome matrix.Outcome
		want    []matrix.Field
	}{
		{18, matrix.Outcome{Stage: matrix.StageAuth, Reason: matrix.ClientCAMissing, Method: matrix.MethodTrust, Channel: matrix.TLS}, []matrix.Field{method, rule}},
		{18, matrix.Outcome{Stage: matrix.StageAuth, Reason: matrix.CertMissing, Method: matrix.MethodTrust, Channel: matrix.TLS}, []matrix.Field{method, rule}},
		{18, matrix.Outcome{Stage: matrix.StageAuth, Reason: matrix.MethodUnsupported, Method: matrix.MethodScram, Channel: matrix.TLS}, []matrix.Field{method, rule}},
		{15, matrix.Outcome{Stage: matrix.StageAuth, Reason: matrix.CertMode, Method: matrix.MethodTrust, Channel: matrix.TLS}, []matrix.Field{rule}},
		{13, matrix.Outcome{Stage: matrix.StageAuth, Reason: matrix.ChannelBinding, Method: matrix.MethodCert, Channel: matrix.TLS}, []matrix.Field{method, identity, rule}},
		{13, matrix.Outcome{Stage: matrix.StageAuth, Reason: matrix.ChannelBinding, Method: matrix.MethodPeer, Channel: matrix.Plain}, []matrix.Field{method, identity, rule}},
		{13, matrix.Outcome{Stage: matrix.StageAuth, Reason: matrix.ChannelBinding, Method: matrix.MethodIdent, Channel: matrix.Plain}, []matrix.Field{method, identity, rule}},
		{13, matrix.Outcome{Stage: matrix.StageSession, Method: matrix.MethodTrust, Channel: matrix.GSS}, []matrix.Field{identity, rule}},
		{13, matrix.Outcome{Stage: matrix.StageSession, Method: matrix.MethodMD5, Channel: matrix.GSS}, []matrix.Field{method, identity, rule}},
		{13, matrix.Outcome{Stage: matrix.StageSession, Method: matrix.MethodScram, Channel: matrix.GSS}, []matrix.Field{method, identity, rule}},
		{13, matrix.Outcome{Stage: matrix.StageSession, Method: matrix.MethodPAM, Channel: matrix.GSS}, []matrix.Field{method, identity, rule}},
		{13, matrix.Outcome{Stage: matrix.StageSession, Method: matrix.MethodLDAP, Channel: matrix.GSS}, []matrix.Field{method, identity, rule}},
		{13, matrix.Outcome{Stage: matrix.StageSession, Method: matrix.MethodRADIUS, Channel: matrix.GSS}, []matrix.Field{method, identity, rule}},
	} {
		cell := cellOf(c.server, "libpq17")
		if got := Unseen(cell, matrix.Prediction{Outcome: c.outcome}); !slices.Equal(got, c.want) {
			t.Errorf("%d %s %s over %s: %v, want %v", c.server, c.outcome.Method, c.outcome.Reason, c.outcome.Channel, got, c.want)
		}
	}
	if !asks(matrix.Outcome{Method: matrix.MethodScram, Channel: matrix.TLS}) {
		t.Error("a server asks for SCRAM")
	}
	silent := cellOf(17, "psql17")
	for transport, want := range map[string]bool{"tcp": true, "unix": false} {
		silent.Client.Transport = transport
		if got := showsRequests(silent, matrix.Outcome{Channel: matrix.Plain}); got != want {
			t.Errorf("%s: the wire shows requests: %t", transport, got)
		}
	}
	kept := cellOf(17, "libpq17")
	kept.World.HBA, kept.World.Before = "host all all all pam\n", matrix.State{HBA: "host all all all password\n"}
	for before, want := range map[bool]bool{true: true, false: false} {
		if got := askedInClear(kept, matrix.Prediction{Before: before, Outcome: matrix.Outcome{Method: matrix.MethodPassword, Channel: matrix.TLS}}); got != want {
			t.Errorf("rules of before in force: %t: the request shows the method: %t", before, got)
		}
	}
}

// TestCountsOfNone: a status that no cell has is no mistake, and fails nothing.
func TestCountsOfNone(t *testing.T) {
	if err := (Counts{Agree: 1, "": 0}).Check(1); err != nil {
		t.Error(err)
	}
	if !(Counts{Agree: 1, Differ: 0}).Green() {
		t.Error("a run without a cell that differs is green")
	}
}

package run

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// scenario loads one scenario and gives its cells.
func scenario(t *testing.T, name, world, client, rest string) []matrix.Cell {
	t.Helper()
	text := "question: q?\nworld:\n" + indent(world) + "client:\n" + indent(client) + rest
	loaded, err := matrix.Load(fstest.MapFS{name + ".yaml": {Data: []byte(text)}})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return loaded[0].Expand()
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}

const trustAll = "hba: |\n  host all all all trust\n"

func controls(t *testing.T, libraries string) []matrix.Cell {
	return scenario(t, "controls/any", "server: [15, 17]\n"+trustAll, "library: "+libraries+"\nuser: pgam_control\n",
		"expect:\n  - then: connected tls, role pgam_control\n")
}

func TestNewPlanGroupsByEnvAndWorld(t *testing.T) {
	cells := scenario(t, "a/one", "server: [15, 17]\nssl: [off, on]\n"+trustAll, "library: [libpq15, pgx]\nuser: [alice, bob]\n", "")
	cells = append(cells, scenario(t, "a/two", "server: 17\nsettings:\n  work_mem: 5MB\n"+trustAll, "library: pgx\n", "")...)
	cells = append(cells, scenario(t, "a/three", "server: 17\nssl: [off, on]\nroles: [alice, bob]\n"+trustAll, "library: pgx\nuser: alice\n", "")...)
	cells = append(cells, scenario(t, "a/four", "server: 17\n"+trustAll, "library: [libpq15]\nsslnegotiation: [postgres, direct]\n", "")...)
	plan, err := NewPlan(cells, controls(t, "[libpq15, pgx]"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	total := len(plan.Inapplicable)
	for _, e := range plan.Envs {
		var worlds []string
		for _, w := range e.Worlds {
			worlds = append(worlds, w.World.SSL+strings.Repeat("+", len(w.Cells)))
			for _, c := range w.Cells {
				if c.World.Key() != w.World.Key() {
					t.Errorf("%s is planned in another world", c.ID)
				}
			}
		}
		total += len(e.Cells())
		got = append(got, e.Name+": "+strings.Join(worlds, " "))
	}
	// The third scenario has the worlds of the first, roles and all: they are shared. The fourth has roles of its own.
	want := []string{"pg15: off++++ on++++", "pg17: off+++++ on+++++ on+", "pg17 #2: on+"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if len(plan.Inapplicable) != 1 || plan.Inapplicable[0].Client.SSLNegotiation != "direct" {
		t.Errorf("not applicable: %v", plan.Inapplicable)
	}
	if total != len(cells) {
		t.Errorf("%d cells planned of %d", total, len(cells))
	}
}

func TestNewPlanMovesControlsIntoEachEnv(t *testing.T) {
	cells := scenario(t, "a/one", "server: 17\nhost: db.other.test\nrealm: OTHER.TEST\nsettings:\n  work_mem: 5MB\n"+trustAll, "library: pgx\n", "")
	plan, err := NewPlan(cells, controls(t, "[libpq15, pgx]"))
	if err != nil {
		t.Fatal(err)
	}
	e := plan.Envs[0]
	if len(e.Controls) != 1 || e.Controls[0].Client.Library != matrix.PGX {
		t.Fatalf("controls: %+v", e.Controls)
	}
	w := e.Controls[0].World
	if w.EnvKey() != e.Worlds[0].World.EnvKey() {
		t.Errorf("the control world needs an Env of its own:\n%s\n%s", w.EnvKey(), e.Worlds[0].World.EnvKey())
	}
	if !slices.Contains(w.Realms[0].Principals, "pgam_control") || slices.Contains(e.Worlds[0].World.Realms[0].Principals, "pgam_control") {
		t.Errorf("principals: control %v, cells %v", w.Realms[0].Principals, e.Worlds[0].World.Realms[0].Principals)
	}
}

func TestNewPlanWantsAControlForEveryLibrary(t *testing.T) {
	cells := scenario(t, "a/one", "server: [15, 17]\n"+trustAll, "library: [libpq15, libpq17, pgx]\n", "")
	_, err := NewPlan(cells, controls(t, "[pgx]"))
	if want := "no control cell in scenarios/controls covers server 15 with libpq15, libpq17"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	unexpected := scenario(t, "controls/any", "server: 17\n"+trustAll, "library: pgx\n", "")
	_, err = NewPlan(scenario(t, "a/one", "server: 17\n"+trustAll, "library: pgx\n", ""), unexpected)
	if err == nil || !strings.Contains(err.Error(), "has no hand-written expectation") {
		t.Errorf("a control without an expectation: %v", err)
	}
}

func TestContradicts(t *testing.T) {
	const row = "expect:\n  - then: connected tls, method trust, role pgam_control, hba:1, trace connect sslaccept authok\n"
	good := matrix.Outcome{End: matrix.Connected, Stage: matrix.StageSession, Channel: matrix.TLS, Method: matrix.MethodTrust,
		Role: "pgam_control", Rule: "pg_hba.conf:1", Trace: []matrix.Step{matrix.StepConnect, matrix.StepSSLAccept, matrix.StepAuthOK}}
	for _, tt := range []struct {
		name   string
		server string
		change func(*matrix.Observation)
		want   string // "" = believed
	}{
		{"as written", "18", func(*matrix.Observation) {}, ""},
		{"a fault", "18", func(o *matrix.Observation) { o.Fault = "the agent died" }, "the agent died"},
		{"refused", "18", func(o *matrix.Observation) {
			o.Outcome = matrix.Outcome{End: matrix.Refused, Stage: matrix.StageHBA, Reason: matrix.NoHBAEntry}
		}, `end is "refused", must be "connected"`},
		{"another channel", "18", func(o *matrix.Observation) { o.Outcome.Channel = matrix.Plain }, `channel is "plain", must be "tls"`},
		{"another role", "18", func(o *matrix.Observation) { o.Outcome.Role = "postgres" }, `role is "postgres"`},
		{"another trace", "18", func(o *matrix.Observation) { o.Outcome.Trace = o.Outcome.Trace[:2] }, `trace is "connect sslaccept"`},
		{"a rule that the server does not log", "15", func(o *matrix.Observation) { o.Outcome.Rule = "" }, ""},
		{"no rule where the server logs it", "18", func(o *matrix.Observation) { o.Outcome.Rule = "" }, `rule is ""`},
		{"the wrong rule where none is logged", "15", func(o *matrix.Observation) { o.Outcome.Rule = "pg_hba.conf:2" }, `rule is "pg_hba.conf:2"`},
		{"nothing at all", "18", func(o *matrix.Observation) { o.Outcome = matrix.Outcome{} }, `end is ""`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cell := scenario(t, "controls/any", "server: "+tt.server+"\n"+trustAll, "library: libpq18\nuser: pgam_control\n", row)[0]
			o := matrix.Observation{Outcome: good}
			o.Outcome.Trace = slices.Clone(good.Trace)
			tt.change(&o)
			err := contradicts(&cell, &o)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// The control cells of an Env stand in its realm, and so does what is expected of them.
func TestControlsStandInTheRealmOfTheirEnv(t *testing.T) {
	control := scenario(t, "controls/any", "server: 17\nhba: |\n  host all all all gss\n", "library: pgx\nuser: [pgam_control, other]\nticket: valid\n",
		"expect:\n  - when: {user: pgam_control}\n    then: connected, identity pgam_control@EXAMPLE.TEST\n  - when: {user: other}\n    then: connected, identity CN=other\n")
	cells := scenario(t, "a/one", "server: 17\nrealm: B.TEST\nclient_realm: A.TEST\nrealms:\n  A.TEST: {trusted: true}\nkeytabs:\n  mine: {principals: x/y.example.test}\nkeytab: [good, mine]\n"+trustAll, "library: pgx\n", "")
	cells = append(cells, scenario(t, "a/two", "server: 17\n"+trustAll, "library: pgx\n", "")...)
	plan, err := NewPlan(cells, control)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, e := range plan.Envs {
		for _, c := range e.Controls {
			if c.World.EnvKey() != e.Worlds[0].World.EnvKey() {
				t.Errorf("%s is of another Env:\n%s\n%s", c.ID, c.World.EnvKey(), e.Worlds[0].World.EnvKey())
			}
			realm := c.World.Realms[0].Name
			got[realm] = append(got[realm], c.Expect.Then.Outcome.Identity)
		}
	}
	want := map[string][]string{"B.TEST": {"pgam_control@B.TEST", "CN=other"}, "EXAMPLE.TEST": {"pgam_control@EXAMPLE.TEST", "CN=other"}}
	for realm := range want {
		if !slices.Equal(got[realm], want[realm]) {
			t.Errorf("in %s: %v, want %v", realm, got[realm], want[realm])
		}
	}
}

// TestControlsDoNotAskAKDCThatHangs: some clients would wait for it without end.
func TestControlsDoNotAskAKDCThatHangs(t *testing.T) {
	const realms = "realms:\n  EXAMPLE.TEST: {hung: true}\n"
	control := scenario(t, "controls/gss", "server: 17\n"+trustAll, "library: libpq18\nuser: pgam_control\nticket: valid\n", "expect:\n  - then: connected, role pgam_control\n")
	for world, want := range map[string]string{realms: matrix.AnsweringKRB5Conf, "": matrix.PlainKRB5Conf} {
		plan, err := NewPlan(scenario(t, "a/one", "server: 17\n"+world+trustAll, "library: libpq18\nticket: none\n", ""), control)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range plan.Envs[0].Controls {
			if why := matrix.NotApplicable(c); c.Client.KRB5Conf != want || why != "" {
				t.Errorf("%q: the control has krb5_conf=%s, want %s (%s)", world, c.Client.KRB5Conf, want, why)
			}
		}
		if len(plan.Envs[0].Controls) != 1 {
			t.Errorf("%d controls", len(plan.Envs[0].Controls))
		}
	}
}

package reports

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

func TestObtainedTable(t *testing.T) {
	var b obtained
	add := func(library, sslmode, root, attack, server string, had matrix.Obtained) {
		b.add(&Record{Axes: map[string]string{"library": library, "sslmode": sslmode, "root": root, "attack": attack, "server": server, "user": "alice"}}, &matrix.Outcome{Obtains: had})
	}
	for _, server := range []string{"15", "17"} {
		for _, library := range []string{"pgx", "libpq17", "libpq15"} {
			for _, sslmode := range []string{"verify-ca", "require", "prefer", ""} {
				strip, listen := matrix.Nothing, matrix.Nothing
				if sslmode == "prefer" || sslmode == "" {
					strip = matrix.Downgraded
				}
				if library == "pgx" && sslmode == "prefer" && server == "17" {
					strip = matrix.Plaintext
				}
				add(library, sslmode, "right", "strip", server, strip)
				add(library, sslmode, "right", "listen", server, listen)
			}
		}
	}
	add("libpq18", "disable", "right", "listen", "17", matrix.Plaintext) // strip was not tried: not a row
	want := &Table{Settings: 2, Header: []string{"sslmode", "library", "listen", "strip"}, Rows: [][]string{
		{"default", "libpq 15 17, pgx", "–", "downgrade"},
		{"prefer", "libpq 15 17", "–", "downgrade"},
		{"prefer", "pgx", "–", "plaintext or downgrade"},
		{"require, verify-ca", "libpq 15 17, pgx", "–", "–"},
	}}
	if diff := cmp.Diff(want, b.table()); diff != "" {
		t.Error(diff)
	}
	if (&obtained{}).table() != nil {
		t.Error("a table of nothing")
	}
}

// However narrow the terminal, a table fits, and says the same.
func TestObtainedFits(t *testing.T) {
	wide := &Table{Settings: 5, Header: []string{"ticket", "gssencmode", "sslmode", "channel_binding", "library", "listen", "strip", "strip-gss", "impersonate", "inject"},
		Rows: [][]string{
			{"valid", "prefer", "disable, allow", "default", "libpq 13 15 17 18, pgx, pq", "plaintext", "downgrade", "downgrade", "session", "injected"},
			{"none", "disable", "require, verify-ca, verify-full", "require", "libpq 13 15 17 18, pgx", "–", "–", "–", "–", "–"},
		}}
	words := func(lines []string) []string {
		all := strings.FieldsFunc(strings.Join(lines, " "), func(r rune) bool { return strings.ContainsRune(" ,;=─", r) })
		slices.Sort(all)
		return slices.Compact(all)
	}
	want := words(slices.Concat(wide.Header, wide.Rows[0], wide.Rows[1]))
	for _, columns := range []int{78, 98, 118, 198} {
		lines := wide.lines(columns)
		for _, l := range lines {
			if width(l) > columns {
				t.Errorf("%d columns: %d in %q", columns, width(l), l)
			}
		}
		got := slices.DeleteFunc(words(lines), func(w string) bool { return w == "settings" })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d columns (-table +drawn):\n%s\n%s", columns, diff, strings.Join(lines, "\n"))
		}
	}
}

// The table stands in the terminal's and in the job's report, for scenarios with attacks alone.
func TestObtainedIsDrawn(t *testing.T) {
	const scenario = "attacks/case"
	file := &strings.Builder{}
	w, err := NewWriter(file, sampleHeader(4))
	if err != nil {
		t.Fatal(err)
	}
	for _, attack := range []string{"strip", "listen"} {
		for _, sslmode := range []string{"prefer", "require"} {
			p, o := connectedByTLS(17)
			o.Outcome.Obtains = matrix.Nothing
			if attack == "strip" && sslmode == "prefer" {
				o.Outcome.Obtains = matrix.Downgraded
			}
			if err := w.Write(&Record{ID: scenario + "/" + attack + sslmode, Scenario: scenario, Start: sampleStart, Predicted: p.Outcome, Observation: &o,
				Axes:    map[string]string{"library": "libpq17", "server": "17", "sslmode": sslmode, "attack": attack},
				Verdict: verdict.Verdict{Status: verdict.Agree, Severity: verdict.IsAgree}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(Trailer{End: sampleStart}); err != nil {
		t.Fatal(err)
	}
	run := opened(t, []byte(file.String()))
	for name, draw := range map[string]func(*strings.Builder) error{
		"terminal": func(b *strings.Builder) error { return Terminal(b, view(t, run), Options{}) },
		"markdown": func(b *strings.Builder) error { return Markdown(b, view(t, run), Options{}) },
	} {
		var b strings.Builder
		if err := draw(&b); err != nil {
			t.Fatal(err)
		}
		if text := b.String(); !strings.Contains(text, "What an attacker in the middle obtains") || !strings.Contains(text, "downgrade") {
			t.Errorf("%s has no table:\n%s", name, text)
		}
	}
}

package reports

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Every kind of client has a sign of its own, one column wide.
func TestEveryKindHasASign(t *testing.T) {
	of := map[string]matrix.ClientKind{}
	for _, c := range matrix.Clients {
		sign, ok := kindSigns[c.Kind]
		if !ok || utf8.RuneCountInString(sign) != 1 {
			t.Errorf("kind %s has the sign %q: enter one letter in kindSigns", c.Kind, sign)
		}
		if other, taken := of[sign]; taken && other != c.Kind {
			t.Errorf("the kinds %s and %s share the sign %s", other, c.Kind, sign)
		}
		of[sign] = c.Kind
	}
}

func TestHeads(t *testing.T) {
	for _, tt := range []struct {
		library             matrix.Library
		kind, version, head string
	}{
		{"libpq17", "libpq", "17", "l17"},
		{"psql13", "psql", "13", "s13"},
		{"pgx", "pgx", "", "x"},
		{"pq", "pq", "", "q"},
		{"raw", "raw", "", "r"},
		{"zeta0.27", "zeta", "0.27", "z27"}, // clients that this build does not know
		{"zeta-2", "zeta", "2", "z2"},
		{"österreich", "österreich", "", "ö"},
		{"42", "", "42", "42"},
		{"", "", "", ""},
	} {
		if kind, version := nameParts(tt.library); kind != tt.kind || version != tt.version {
			t.Errorf("nameParts(%q): %q, %q, want %q, %q", tt.library, kind, version, tt.kind, tt.version)
		}
		if head := string(apart(Column{17, tt.library}).head()); head != tt.head {
			t.Errorf("head of %q: %q, want %q", tt.library, head, tt.head)
		}
	}
	if head := string(byKind(Column{17, "psql17"}).head()); head != "s" {
		t.Errorf("head of psql of every version: %q", head)
	}
	if head := string(together(Column{17, "psql17"}).head()); head != "" {
		t.Errorf("head of all clients: %q", head)
	}
}

// manyClients is a run with sixteen clients on four servers, some of which this build does not know.
func manyClients(t *testing.T) *View {
	t.Helper()
	clients := strings.Fields("libpq13 libpq14 libpq15 libpq16 libpq17 libpq18 psql13 psql15 psql17 psql18 pgx pq asyncpg0.27 asyncpg0.30 asyncpg0.31 npgsql9")
	scenarios := strings.Fields("negotiation/reject-before-wider negotiation/channel-binding-and-the-signature tickets/expired")
	servers := []int{13, 15, 17, 18}
	var file bytes.Buffer
	header := sampleHeader(len(clients) * len(scenarios) * len(servers) * 2)
	w, err := NewWriter(&file, header)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, scenario := range scenarios {
		for _, server := range servers {
			for _, client := range clients {
				for _, hba := range []string{"plain-gss-tls", "tls-only"} {
					p, o := connectedByTLS(18)
					v := verdict.Verdict{Status: verdict.Agree, Severity: verdict.IsAgree}
					switch n++; {
					case n%91 == 0:
						v = verdict.Verdict{Status: verdict.Differ, Severity: verdict.OtherDiffer, Differences: []verdict.Difference{{Field: matrix.FieldRule, Against: verdict.Prediction, Want: "pg_hba.conf:2", Observed: "pg_hba.conf:3"}}}
					case client == "pq" && hba == "tls-only":
						v = verdict.Verdict{Status: verdict.NotApplicable, Severity: verdict.IsNotApplicable, Cause: "lib/pq cannot"}
					}
					record := &Record{ID: fmt.Sprintf("%s/pg%d/hba=%s/%s/sslmode=require", scenario, server, hba, client), Scenario: scenario,
						Axes:      map[string]string{"server": fmt.Sprint(server), "library": client, "hba": hba, "sslmode": "require"},
						Predicted: p.Outcome, Because: p.Because, Observation: &o, Verdict: v, Start: sampleStart, Micros: 5000}
					if err := w.Write(record); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	if err := w.Close(Trailer{End: sampleStart.Add(9e9)}); err != nil {
		t.Fatal(err)
	}
	return view(t, opened(t, file.Bytes()))
}

// With sixteen clients the matrix fits a terminal of each width; golden files show how.
func TestManyClients(t *testing.T) {
	v := manyClients(t)
	for _, columns := range []int{80, 120, 200} {
		text := draw(t, func(w io.Writer) error { return Terminal(w, v, Options{Width: columns, Failures: 1}) })
		matrix, _, _ := bytes.Cut(text, []byte("Failures "))
		for l := range strings.SplitSeq(string(matrix), "\n") {
			if width(l) > columns {
				t.Errorf("%d columns: %d in %q", columns, width(l), l)
			}
		}
		golden(t, fmt.Sprintf("terminal-clients-%d.txt", columns), matrix)
	}
}

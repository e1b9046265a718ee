package classify

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// textCase is one case of testdata/psql-*.txt, which capture-psql.sh wrote: what psql said and what the server logged.
type textCase struct {
	title   string
	message string
	logs    [][]matrix.LogLine // by process, in order
}

func readTextCases(t *testing.T, file string) []textCase {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []textCase
	pids := map[string]int{}
	for line := range strings.SplitSeq(strings.TrimRight(string(data), "\n"), "\n") {
		if title, ok := strings.CutPrefix(line, "### "); ok {
			cases = append(cases, textCase{title: title})
			pids = map[string]int{}
			continue
		}
		c := &cases[len(cases)-1]
		if said, ok := strings.CutPrefix(line, "C: "); ok {
			c.message += said + "\n"
			continue
		}
		line = strings.TrimPrefix(line, "S: ")
		if strings.HasPrefix(line, "\t") { // of the line before
			log := c.logs[len(c.logs)-1]
			log[len(log)-1].Text += "\n" + line
			continue
		}
		fields := strings.SplitN(line, "|", 4)
		severity, text, _ := strings.Cut(fields[3], ":  ")
		if _, known := pids[fields[0]]; !known {
			pids[fields[0]] = len(c.logs)
			c.logs = append(c.logs, nil)
		}
		at := pids[fields[0]]
		c.logs[at] = append(c.logs[at], matrix.LogLine{Severity: severity, SQLState: fields[2], Text: text})
	}
	return cases
}

// TestTextsOfRealServers: nothing that psql and the servers of four versions said is unknown to the tables, and what
// psql was told is what the server logged last.
func TestTextsOfRealServers(t *testing.T) {
	files, err := filepath.Glob("testdata/psql-*.txt")
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		cases := readTextCases(t, file)
		if len(cases) < 40 {
			t.Errorf("%s: only %d cases", file, len(cases))
		}
		for _, c := range cases {
			t.Run(filepath.Base(file)+"/"+c.title, func(t *testing.T) {
				var last backend
				for _, log := range c.logs {
					b, err := readLog(log)
					if err != nil {
						t.Fatal(err)
					}
					if b.host == "" {
						t.Error("no connection received")
					}
					last = b
				}
				if c.message == "1\n" {
					if last.authorized == nil || last.fatal != nil {
						t.Errorf("psql connected, the log says %+v", last)
					}
					return
				}
				said := psql.sayings(c.message)
				if len(said) == 0 {
					t.Fatalf("nothing said in %q", c.message)
				}
				word := said[len(said)-1]
				switch {
				case word.fatal && (last.fatal == nil || last.fatal.text != word.text):
					t.Errorf("psql was told %q, the log says %+v", word.text, last.fatal)
				case word.fatal:
					_, known := lookUp(fatalCauses, last.fatal.state+" "+last.fatal.text)
					for _, f := range methodFailures {
						known = known || strings.HasPrefix(last.fatal.text, f.prefix) && last.fatal.state == f.state
					}
					if !known {
						t.Errorf("unknown: %s %s", last.fatal.state, last.fatal.text)
					}
				case word.text == "":
					if last.gssFailed == "" {
						t.Errorf("no message, and the log says %+v", last)
					}
				default:
					_, known := lookUp(psql.causes, word.text)
					if !known && !special(word.text) && !psql.badCert.MatchString(word.text) && !psql.hungUp.MatchString(word.text) {
						t.Errorf("unknown: %q", word.text)
					}
				}
				for _, detail := range []string{last.gssFailed, last.contextErr} {
					if _, known := lookUp(contextCauses, detail); detail != "" && !known {
						t.Errorf("unknown: %q", detail)
					}
				}
			})
		}
	}
}

// special says whether a message of psql's is one whose meaning needs other witnesses.
func special(text string) bool {
	return slices.ContainsFunc(psql.special, func(s specialCause) bool { return s.text.MatchString(text) })
}

func TestSayings(t *testing.T) {
	tests := []struct {
		kind, message string
		want          []saying
	}{
		{"libpq", "", nil},
		{"libpq", failedAt + "\n", []saying{{}}},
		{"libpq", failedAt + "FATAL:  a\nDETAIL:  b\nHINT:  c\n" + failedAt + "\n", []saying{{fatal: true, text: "a"}, {}}},
		{"libpq", "FATAL:  a\nFATAL:  b\n", []saying{{fatal: true, text: "a"}, {fatal: true, text: "b"}}},
		{"libpq", failedAt + "server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally\n\tbefore or while processing the request.\n", []saying{{text: "server closed the connection unexpectedly"}}},
		{"psql", "/usr/lib/postgresql/17/bin/psql: error: " + failedAt + "FATAL:  a", []saying{{fatal: true, text: "a"}}},
		{"psql", "psql: FATAL:  a", []saying{{fatal: true, text: "a"}}},
		{"pgx", "failed to connect to `user=a database=b`: 127.0.0.1:1 (h): server error: FATAL: x (y) (SQLSTATE 28000)", []saying{{fatal: true, state: "28000", text: "x (y)"}}},
		{"pgx", "failed to connect to `user=a database=b`:\n\t127.0.0.1:1 (h): tls error: EOF\n\t127.0.0.1:1 (h): failed SASL auth: FATAL: p (SQLSTATE 28P01)", []saying{{text: "tls error: EOF"}, {fatal: true, state: "28P01", text: "p"}}},
		{"pgx", "cannot parse `a`: b (c)", []saying{{text: "cannot parse `a`: b (c)"}}},
		{"pq", "pq: x (y) (28000)", []saying{{fatal: true, state: "28000", text: "x (y)"}}},
		{"pq", "pq: SSL is not enabled on the server", []saying{{text: "SSL is not enabled on the server"}}},
		{"pq", "pq: kerberos error: kerberos: x (yes)", []saying{{text: "kerberos error: kerberos: x (yes)"}}},
		{"pq", "x (28000)", []saying{{text: "x (28000)"}}}, // not lib/pq's own words for a server's error
		{"pq", "EOF", []saying{{text: "EOF"}}},
		{"pq", deadFirst + "connecting to pg.example.test:2: pq: x (y) (28000)", []saying{{text: "dial tcp 127.0.0.1:40000: connect: connection refused"}, {fatal: true, state: "28000", text: "x (y)"}}},
		{"pq", "pq: could not connect to any of the hosts:\nconnecting to h:1: EOF\nconnecting to h:1: tls: x", []saying{{text: "EOF"}, {text: "tls: x"}}},
	}
	for _, tt := range tests {
		got := clients[matrix.ClientKind(tt.kind)].sayings(tt.message)
		if len(got) != len(tt.want) {
			t.Errorf("%q: %+v, want %+v", tt.message, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%q: %+v, want %+v", tt.message, got, tt.want)
			}
		}
	}
}

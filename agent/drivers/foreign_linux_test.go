package drivers

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
)

// fake is an attempt with testdata/driver.
func fake(t *testing.T, query string, options ...agent.Option) (*foreign, *agent.Prepared) {
	t.Helper()
	program, err := filepath.Abs("testdata/driver")
	if err != nil {
		t.Fatal(err)
	}
	options = append([]agent.Option{{Name: "host", Value: "pg.example.test"}}, options...)
	return newForeign(program), &agent.Prepared{Attempt: &agent.Attempt{Query: query, Options: options}, Targets: agent.Targets{Relay: "127.0.0.1:4321"},
		Dir: t.TempDir(), Environ: []string{"HOME=/h", "PATH=/usr/bin:/bin"}, Given: options, Limit: 20 * time.Second}
}

func TestForeignResults(t *testing.T) {
	t.Parallel()
	all := []string{"ssl_in_use", "gss_in_use", "auth_requests"}
	for query, want := range map[string]*agent.AttemptResult{
		"connected":    {Connected: true, SSLInUse: true, AuthRequests: []string{"sasl", "ok"}, Connects: 2, Row: map[string]string{"pid": "42", "empty": ""}},
		"refused":      {Message: "FATAL:  no", Connects: -1, Untold: all},
		"query-failed": {Connected: true, Message: "ERROR:  no", Connects: 1, Untold: all},
		"tells-little": {Connected: true, Connects: -1, Row: map[string]string{"pid": "42"}, Untold: all},
	} {
		driver, p := fake(t, query)
		got, err := driver.Attempt(t.Context(), p)
		if err != nil {
			t.Errorf("%s: %v", query, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", query, diff)
		}
	}
}

// Nothing that a driver program does wrong is a refusal.
func TestForeignFaults(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"inexpressible":             `cannot express this attempt; standard error: "there is no channel_binding"`,
		"inexpressible-with-result": "ended with status 89",
		"status":                    `ended with status 1 and has written ""; standard error: "Traceback: no"`,
		"status-with-result":        "ended with status 1",
		"crash":                     "ended by signal 11 (segmentation fault)",
		"crash-with-result":         "ended by signal 11 (segmentation fault)",
		"hang":                      "killed after 300ms",
		"hang-with-result":          "killed after 300ms",
		"background":                "killed after 300ms",
		"silent":                    "not a result: EOF",
		"blank":                     "not a result: EOF",
		"garbage":                   "not a result",
		"cut":                       "not a result: unexpected EOF",
		"two":                       "more than one result",
		"result-and-words":          "more than one result",
		"words-and-result":          "not a result",
		"array":                     "not a result",
		"null":                      "does not say whether it connected",
		"unknown-field":             `unknown field "ssl"`,
		"wrong-type":                "not a result",
		"number-in-row":             "not a result",
		"no-connected":              "does not say whether it connected",
		"no-message":                "neither that it connected nor why not",
		"no-row":                    "neither the row nor why the query failed",
		"row-of-no-session":         "a row of a session that was not made",
		"row-and-message":           "a row and the message",
		"negative":                  "counts -1 connections",
		"flood":                     "more than 1048576 bytes",
		"something else":            "ended with status 2",
	} {
		t.Run(query, func(t *testing.T) {
			driver, p := fake(t, query)
			if strings.Contains(want, "killed") {
				p.Limit = 300 * time.Millisecond
			}
			if got, err := driver.Attempt(t.Context(), p); err == nil || got != nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %+v, %v, want the fault …%s…", got, err, want)
			}
		})
	}
	driver, p := fake(t, "refused")
	driver.program += "-that-is-not-there"
	if got, err := driver.Attempt(t.Context(), p); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a program that is not there: %+v, %v", got, err)
	}
	driver, p = fake(t, "refused", agent.Option{Name: "user", Value: "a"}, agent.Option{Name: "user", Value: "b"})
	if got, err := driver.Attempt(t.Context(), p); err == nil || !strings.Contains(err.Error(), "user is given twice") {
		t.Errorf("an option that is given twice: %+v, %v", got, err)
	}
}

// The program is asked on standard input alone: a secret is neither among its arguments nor in its environment.
func TestForeignRequest(t *testing.T) {
	t.Parallel()
	password := agent.Option{Name: "password", Value: `it's a "secret"`, Secret: true}
	for _, test := range []struct {
		name    string
		options []agent.Option
		targets agent.Targets
		want    foreignRequest
	}{
		{"over TCP", []agent.Option{{Name: "host", Value: "a"}, {Name: "sslmode", Value: "require"}, password}, agent.Targets{Relay: "127.0.0.1:4321"},
			foreignRequest{Options: map[string]string{"sslmode": "require", "password": password.Value}, Hosts: []foreignHost{{"a", "127.0.0.1", 4321}}}},
		{"the first host refuses", []agent.Option{{Name: "host", Value: "a,b"}}, agent.Targets{Relay: "127.0.0.1:4321", Dead: "127.0.0.2:1", DeadHost: "a"},
			foreignRequest{Options: map[string]string{}, Hosts: []foreignHost{{"a", "127.0.0.2", 1}, {"b", "127.0.0.1", 4321}}}},
		{"over a unix socket", []agent.Option{{Name: "host", Value: "/s"}, {Name: "port", Value: "5432"}}, agent.Targets{},
			foreignRequest{Options: map[string]string{}, Hosts: []foreignHost{{"/s", "", 5432}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			driver, p := fake(t, "echo")
			p.Given, p.Targets = test.options, test.targets
			if _, err := driver.Attempt(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			read := func(name string) string {
				content, err := os.ReadFile(filepath.Join(p.Dir, name))
				if err != nil {
					t.Error(err)
				}
				return string(content)
			}
			test.want.Protocol, test.want.Query, test.want.Timeout = foreignProtocol, "echo", 20
			var got foreignRequest
			if err := json.Unmarshal([]byte(read("request")), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if arguments := read("arguments"); arguments != driver.program+"\n" {
				t.Errorf("the arguments are %q", arguments)
			}
			environment := read("environment")
			if strings.Contains(environment, "secret") || !strings.Contains(environment, "HOME=/h\n") {
				t.Errorf("the environment is\n%s", environment)
			}
			if directory := strings.TrimSpace(read("directory")); directory != p.Dir {
				t.Errorf("it runs in %s, not in %s", directory, p.Dir)
			}
		})
	}
}

// A driver's server changes nothing of what an attempt is: what the process leaves is read alike, and what goes wrong is a fault.
func TestForeignServer(t *testing.T) {
	program, err := filepath.Abs("testdata/served/pgam-driver")
	if err != nil {
		t.Fatal(err)
	}
	driver := newForeign(program)
	defer driver.Close()
	for _, test := range []struct{ query, want string }{ // a fault, or the message of a refusal after "refused: "
		{"refused", "refused: FATAL:  no"},
		{"connected", ""},
		{"inexpressible", `cannot express this attempt; standard error: "there is no channel_binding"`},
		{"status-with-result", "ended with status 1"},
		{"crash-with-result", "ended by signal 11"},
		{"silent", "not a result: EOF"},
		{"two", "more than one result"},
		{"flood", "more than 1048576 bytes"},
		{"says-nonsense", `its server says "maybe"`},
		{"dies", "its last words"},
		{"refused", "refused: FATAL:  no"}, // another server was started
		{"answers-for-another", "which was not asked"},
		{"connected", ""},
	} {
		_, p := fake(t, test.query)
		got, err := driver.Attempt(t.Context(), p)
		message, refused := strings.CutPrefix(test.want, "refused: ")
		switch {
		case test.want == "" && (err != nil || !got.Connected || got.Row["pid"] != "42"),
			refused && (err != nil || got.Connected || got.Message != message),
			test.want != "" && !refused && (err == nil || got != nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: got %+v, %v, want %q", test.query, got, err, test.want)
		}
	}
	_, p := fake(t, "refused")
	for how, want := range map[string]string{"signal 14": "no end after 20s", "signal x": `its server says "signal x"`, "exit 256": "its server says", "signal 0": "its server says", "error fork: no": `its server says "error fork: no"`} {
		if got, err := driver.served(how, p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %+v, %v, want …%s…", how, got, err, want)
		}
	}
	if got, err := driver.served("exit 0", p); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a process that left nothing: %+v, %v", got, err)
	}
}

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/pgauthmatrix/pgauthmatrix/reports"
)

// call runs the program as a shell would, without a container engine.
func call(args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	err = cmd.Execute()
	return out.String(), errs.String(), err
}

const oneCell = "negotiation/hostssl-alone/pg17/ssl=on/libpq17/ticket=valid,gssencmode=prefer,sslmode=require,sslnegotiation=postgres"

func TestList(t *testing.T) {
	out, errs, err := call("list", oneCell)
	if err != nil || out != oneCell+"\n" || !strings.Contains(errs, "every one of 1 cells") {
		t.Errorf("%q %q %v", out, errs, err)
	}
	out, errs, err = call("list", "--count", "--strength", "2", "--axis", "server=17", "negotiation/host-alone")
	if err != nil || !strings.Contains(out, "negotiation/host-alone") || !strings.Contains(out, "What does a host record") || !strings.Contains(errs, "2-wise, seed 1") {
		t.Errorf("%q %q %v", out, errs, err)
	}
}

func TestExplain(t *testing.T) {
	out, _, err := call("explain", oneCell)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{oneCell, "hostssl  all  all  all  trust", "connected tls trust alice hba:1", "connect gssaccept authfail reconnect sslaccept authok", "line 1 is hostssl"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// A cell that is judged by hand is explained by its row, in the world that the scenario's own axes describe.
func TestExplainByHand(t *testing.T) {
	const cell = "auth/services-that-check-the-password/pg18/service=ldap-bind/pgx/user=alice,sslmode=require,password=right"
	out, _, err := call("list", "auth/services-that-check-the-password", "--axis", "service=ldap-bind,pam", "--axis", "password=right", "--axis", "server=18", "--axis", "library=pgx")
	if want := strings.Replace(cell, "ldap-bind", "pam", 1) + "\n" + cell + "\n"; err != nil || out != want {
		t.Errorf("%v:\n%s", err, out)
	}
	if out, _, err = call("explain", cell); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"service=ldap-bind", `ldap  ldapserver=127.0.0.1  ldapport=1  ldapprefix="cn="`, "by hand    refused at auth, no-auth-service", "the oracle is not asked"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "predicted") {
		t.Errorf("a prediction in\n%s", out)
	}
}

// The help of render lists every format of the table.
func TestRenderHelp(t *testing.T) {
	out, _, err := call("render", "--help")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range reports.Formats {
		if !strings.Contains(out, "\n  "+f.Name+" ") || !strings.Contains(out, f.Meaning) {
			t.Errorf("no %s in\n%s", f.Name, out)
		}
	}
}

func TestBadInput(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mine")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "who.yaml")
	const good = "question: q?\nworld:\n  hba: |\n    host all all all trust\nclient:\n  sslmode: [disable, require]\n"
	for _, tt := range []struct {
		name, text string
		args       []string
		want       string
	}{
		{"unknown command", good, []string{"lits"}, `unknown command "lits"`},
		{"unknown flag", good, []string{"list", "--famly", "x"}, "unknown flag: --famly"},
		{"unknown cell", good, []string{"list", "-f", file, "mine/whoo"}, `did you mean "who"?`},
		{"unknown axis", good, []string{"list", "-f", file, "--axis", "sslmod=require"}, `sslmod`},
		{"an axis of another scenario", good, []string{"list", "--axis", "service=pam", "negotiation/host-alone"}, "no cell named negotiation/host-alone has an axis service"},
		{"a cell that no row judges", good + "judge: expect\nexpect:\n  - when: {sslmode: require}\n    then: connected\n", []string{"list", "-f", file}, "who.yaml:9:5: no expect row claims sslmode=disable"},
		{"a file that is not there", strings.Replace(good, "hba: |\n    host all all all trust", "hba: {file: hba.conf}", 1), []string{"list", "-f", file}, "who.yaml:3:15: there is no file hba.conf in "},
		{"impossible axis value", good, []string{"list", "-f", file, "--axis", "sslmode=requre"}, `did you mean "require"?`},
		{"no shard", good, []string{"list", "-f", file, "--shard", "3/2"}, "--shard"},
		{"no file", good, []string{"list", "-f", filepath.Join(dir, "no.yaml")}, "no.yaml"},
		{"several cells to explain", good, []string{"explain", "-f", file, "mine/who"}, "names 2 cells, not one"},
		{"mistake in the file", strings.Replace(good, "require", "requre", 1), []string{"list", "-f", file}, `who.yaml:6:22: impossible value "requre" of sslmode; did you mean "require"?`},
		{"rules that do not load", strings.Replace(good, "host all all all trust", "host all all trust", 1), []string{"explain", "-f", file, "mine/who/pg18/libpq18/sslmode=disable"}, "pg_hba.conf:1: end-of-line before authentication method"},
		{"no run", good, []string{"render", filepath.Join(dir, "nowhere")}, "nowhere"},
		{"a folder to stand that is not there", good, []string{"up", filepath.Join(dir, "none")}, "none: no such file or directory"},
		{"a folder to stand without rules", good, []string{"up", dir}, "the folder has no pg_hba.conf, so it is no customer's case"},
		{"a scenario to stand that is not there", good, []string{"up", "negotiation/nothing"}, "no cell is named negotiation/nothing"},
		{"no format", good, []string{"render", "--format", "pdf", dir}, `--format "pdf": want terminal, html, junit, markdown or csv`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			_, _, err := call(tt.args...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// cat prints the lines of a run, compressed or not.
func TestCat(t *testing.T) {
	lines := `{"run":{"format":2,"run":"r","tool":"0.1.0","selection":"all","cells":1}}` + "\n" +
		`{"cell":{"id":"a/b/pg17/pgx/x","scenario":"a/b","verdict":{"status":"Agree"}}}` + "\n" + `{"end":{"counts":{"Agree":1}}}` + "\n"
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{reports.PlainFileName: []byte(lines), reports.FileName: encoder.EncodeAll([]byte(lines), nil)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), file, 0o644); err != nil {
			t.Fatal(err)
		}
		if out, _, err := call("cat", dir); err != nil || out != lines {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, reports.PlainFileName), []byte(lines[:len(lines)-5]), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, _, err := call("cat", dir); err == nil || !strings.Contains(err.Error(), "line 3 is cut off") || strings.Count(out, "\n") != 2 {
		t.Errorf("killed: %v\n%s", err, out)
	}
	if _, _, err := call("cat", filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there has lines")
	}
}

// The exit status of diff tells regressions from news and from nothing.
func TestDiff(t *testing.T) {
	write := func(outcome, status string) string {
		dir := t.TempDir()
		text := `{"run":{"format":2,"run":"r","tool":"0.1.0","selection":"all","cells":1}}` + "\n" +
			`{"cell":{"id":"a/b/pg17/pgx/x","scenario":"a/b","axes":{"server":"17"},"observation":{"outcome":` + outcome + `},"verdict":{"status":"` + status + `"}}}` + "\n" + `{"end":{"counts":{"` + status + `":1}}}` + "\n"
		if err := os.WriteFile(filepath.Join(dir, reports.PlainFileName), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	const in, out = `{"end":"connected","stage":"session","channel":"tls"}`, `{"end":"refused","stage":"hba","reason":"no-hba-entry"}`
	connected, refused, differs := write(in, "Agree"), write(out, "Agree"), write(in, "Differ")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{connected, connected}, "<nil>"}, {[]string{refused, connected}, "findings"}, {[]string{connected, differs}, "findings"}, {[]string{connected, refused}, "news"},
		{[]string{refused, connected, "--json"}, "findings"},
		{[]string{connected}, "diff needs two runs, or --between AXIS=OLD,NEW for one"},
		{[]string{connected, "--between", "server=17"}, `--between "server=17": want two different values, AXIS=OLD,NEW`},
		{[]string{connected, "--between", "server=17,17"}, `--between "server=17,17": want two different values, AXIS=OLD,NEW`},
		{[]string{connected, "--between", "server=17,18"}, "run r has no cell with server=18"},
	} {
		if _, _, err := call(append([]string{"diff"}, tt.args...)...); fmt.Sprint(err) != tt.want {
			t.Errorf("diff %q: %v, want %s", tt.args, err, tt.want)
		}
	}
	for _, wrong := range []string{"server", "server=17,12", "Server=17,18"} {
		if _, _, err := call("diff", connected, "--between", wrong); err == nil || !strings.HasPrefix(err.Error(), "--between: ") {
			t.Errorf("--between %s: %v", wrong, err)
		}
	}
}

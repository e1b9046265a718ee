package prove

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle/corpus"
)

func TestReadReload(t *testing.T) {
	const begun, end = "pgam:LOG:  received SIGHUP, reloading configuration files\n", "pgam:LOG:  could not load server certificate file \"/none\": No such file or directory\npgam:LOG:  SSL configuration was not reloaded\n"
	for _, tt := range []struct {
		said, err string
		words     []string
	}{
		{begun + end, "", nil},
		{begun + "pgam:LOG:  invalid connection type \"hos\"\npgam:CONTEXT:  line 2 of configuration file \"/pgam/conf/pg_hba.conf\"\npgam:LOG:  /pgam/conf/pg_hba.conf was not reloaded\n" + end, "", []string{`pg_hba.conf:2: invalid connection type "hos"`}},
		{begun + "pgam:LOG:  a message\n\tof two lines\n" + end, "", []string{"a message\nof two lines"}},
		{begun + "words of nobody\n" + end, "unrecognised line", nil},
		{begun + "pgam:ERROR:  something else\n" + end, "unrecognised line", nil},
		{"\t" + begun, "unrecognised line", nil},
	} {
		words, err := readReload(tt.said)
		if !slices.Equal(words, tt.words) || (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: %q, %v", tt.said, words, err)
		}
	}
}

func TestReadRow(t *testing.T) {
	const rule = `["rule", "/pgam/conf/d/x.conf", 3, 1, "host", ["all", "a b"], ["-"], "10.0.0.0", "255.0.0.0", "gss", ["map=x"], null]`
	for _, tt := range []struct {
		version  int
		rows     []string
		rule, at string
		err      string
	}{
		{18, []string{rule}, `d/x.conf:3 host [all "a b"] ["-"] 10.0.0.0 255.0.0.0 gss [map=x]`, "", ""},
		{13, []string{`["rule", "pg_hba.conf", 3, null, "local", ["all"], ["all"], null, null, "peer", null, null]`}, "pg_hba.conf:3 local [all] [all] - - peer", "", ""},
		{18, []string{`["rule", "/pgam/conf/pg_hba.conf", 1, null, null, null, null, null, null, null, null, "could not open file \"/pgam/conf/x\": words"]`}, `pg_hba.conf:1 error "could not open file \"x\": words"`, "", ""},
		{18, []string{rule, `["map", "/pgam/conf/pg_ident.conf", 1, 1, "m", "a", "b", null]`}, `d/x.conf:3 host [all "a b"] ["-"] 10.0.0.0 255.0.0.0 gss [map=x]`, "pg_ident.conf:1 m a b", ""},
		{15, []string{`["map", "pg_ident.conf", 1, null, null, null, null, "words"]`}, "", `pg_ident.conf:1 error "words"`, ""},
		{18, []string{strings.Replace(rule, "3, 1", "3, 2", 1)}, "", "", "numbered otherwise"},
		{18, []string{rule, rule}, `d/x.conf:3 host [all "a b"] ["-"] 10.0.0.0 255.0.0.0 gss [map=x]`, "", "numbered otherwise"},
		{18, []string{`["fault", "words"]`}, "fault: words", "", ""},
		{18, []string{`{`}, "", "", "JSON"},
	} {
		r := &Reader{version: tt.version}
		var a corpus.Answer
		number := 0
		var err error
		for _, row := range tt.rows {
			if err == nil {
				err = r.readRow(row, &a, &number)
			}
		}
		if strings.Join(a.Rules, "\n") != tt.rule || strings.Join(a.Mappings, "\n") != tt.at || (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %q %q, %v", tt.rows, a.Rules, a.Mappings, err)
		}
	}
}

// TestSurvives: a server before 16 is not asked what may end it.
func TestSurvives(t *testing.T) {
	itself := corpus.Case{HBA: "host all @list all trust\n", Files: []matrix.File{{Path: "list", Text: "alice @list\n"}}}
	for version, want := range map[int]bool{13: false, 15: false, 16: true, 18: true} {
		if survives(&itself, version) != want {
			t.Errorf("%d: %t", version, !want)
		}
	}
	if other := (corpus.Case{HBA: "host all @list all trust\n", Files: []matrix.File{{Path: "list", Text: "alice\n"}}}); !survives(&other, 13) {
		t.Error("a list that does not name itself")
	}
}

func TestReadDecided(t *testing.T) {
	const (
		fatal  = "pgam:FATAL:  password authentication failed for user \"alice\"\n"
		detail = "pgam:DETAIL:  Role \"alice\" does not exist.\n\tConnection matched file \"/pgam/conf/d/x.conf\" line 7: \"host all all all password\"\n"
		before = "pgam:DETAIL:  Connection matched pg_hba.conf line 3: \"host all all all password\"\n"
		none   = "pgam:FATAL:  no pg_hba.conf entry for host \"1.2.3.4\", user \"bob\", database \"shop\", no encryption\npgam:DETAIL:  Could not resolve client IP address to a host name\n"
	)
	alice, bob := corpus.Connection{User: "alice", Database: "postgres", Address: "10.20.0.7"}, corpus.Connection{User: "bob", Physical: true}
	for _, tt := range []struct {
		said, states string
		lines        string // joined
		err          string
	}{
		{fatal + detail + none, "28P01 28000", "alice postgres 10.20.0.7 d/x.conf:7; bob (replication) (socket) none", ""},
		{"pgam:LOG:  words\n" + fatal + before + none, "28P01 28000", "alice postgres 10.20.0.7 pg_hba.conf:3; bob (replication) (socket) none", ""},
		{fatal + none, "28P01 28000", "alice postgres 10.20.0.7 28P01 password authentication failed for user \"alice\"; bob (replication) (socket) none", ""},
		{fatal + detail, "28P01 28000", "", "does not say why bob"},
		{fatal + detail + none + none, "28P01 28000", "", "has more than"},
		{none + fatal + detail, "28000 28P01", "", "that of another connection"},
		{none, "- 28000", "alice postgres 10.20.0.7 let in; bob (replication) (socket) none", ""},
	} {
		states := strings.Fields(tt.states)
		for i := range states {
			states[i] = strings.Trim(states[i], "-")
		}
		lines, err := readDecided([]corpus.Connection{alice, bob}, states, tt.said)
		if strings.Join(lines, "; ") != tt.lines || (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: %q, %v", tt.said, lines, err)
		}
	}
}

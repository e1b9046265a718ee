package prove

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/oracle/corpus"
)

// believer is a server that reads files as predicted, but for those with a word.
type believer struct {
	version int
	word    string
	in      part
}

func (b believer) Views(_ context.Context, cases []corpus.Case) (answers []corpus.Answer, err error) {
	for i := range cases {
		a, err := predicted(&cases[i], b.version)
		if err != nil {
			return nil, err
		}
		a.Log = nil
		if b.word != "" && b.in == ofViews && strings.Contains(cases[i].HBA, b.word) {
			a.Rules = append(a.Rules, "pg_hba.conf:9 error another")
		}
		answers = append(answers, *a)
	}
	return answers, nil
}

func (b believer) Logs(_ context.Context, cases []corpus.Case) (logs [][]string, err error) {
	for i := range cases {
		a, err := predicted(&cases[i], b.version)
		if err != nil {
			return nil, err
		}
		if b.word != "" && b.in == ofLog && strings.Contains(cases[i].HBA, b.word) {
			a.Log = append(a.Log, "another")
		}
		logs = append(logs, a.Log)
	}
	return logs, nil
}

func (b believer) Lines(_ context.Context, cases []corpus.Case) (lines [][]string, err error) {
	for i := range cases {
		rows, err := predictedLines(&cases[i], b.version)
		if err != nil {
			return nil, err
		}
		if b.word != "" && b.in == ofLines && strings.Contains(cases[i].HBA, b.word) && len(rows) > 0 {
			rows[len(rows)-1] = "another"
		}
		lines = append(lines, rows)
	}
	return lines, nil
}

func newFileFuzz(t *testing.T, out *bytes.Buffer, servers map[int]asker) *fileFuzz {
	from, err := corpusCases()
	if err != nil {
		t.Fatal(err)
	}
	return &fileFuzz{out: out, seed: 1, from: from, askers: servers, causes: map[string]int{}, example: map[string]string{}, kinds: map[string]*fileFind{}}
}

// TestFileFuzzFinds: a server that reads one word otherwise is found out, and what is kept is little more than the word.
func TestFileFuzzFinds(t *testing.T) {
	for _, tt := range []struct {
		in         part
		word, kept string
	}{{ofViews, "samenet", "^samenet$"}, {ofLog, "samenet", "^samenet$"}, {ofLines, "all", `^\S+\s(\S*\s){2,3}\S+$`}} {
		var out bytes.Buffer
		f := newFileFuzz(t, &out, map[int]asker{13: believer{version: 13}, 18: believer{18, tt.word, tt.in}})
		if err := f.batch(t.Context(), 1, 300); err != nil {
			t.Fatal(err)
		}
		if f.sets != 300 || f.answers+f.lost != 600 || f.logs < 30 || f.refused == 0 || f.lines < 10 || len(f.kinds) == 0 {
			t.Errorf("%d sets, %d answers, %d not predicted, %d logs, %d with errors, %d kinds", f.sets, f.answers, f.lost, f.logs, f.refused, len(f.kinds))
		}
		dir := t.TempDir()
		if agree, err := f.keep(t.Context(), &out, dir); agree || err != nil {
			t.Errorf("agree %t, %v", agree, err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "files-seed-1.txt"))
		if err != nil {
			t.Fatal(err)
		}
		kept, err := corpus.Parse("kept", string(text))
		if err != nil || len(kept) == 0 || !regexp.MustCompile(tt.kept).MatchString(kept[0].HBA) || kept[0].By(18) == nil || kept[0].By(13) != nil {
			t.Errorf("%v\n%s", err, text)
		}
		if !strings.Contains(out.String(), "PostgreSQL 18, ") || strings.Contains(out.String(), "PostgreSQL 13") {
			t.Error(out.String())
		}
	}
}

// TestFileFuzzAgrees: servers that read as predicted are not accused, and the report counts what was not asked.
func TestFileFuzzAgrees(t *testing.T) {
	var out bytes.Buffer
	f := newFileFuzz(t, &out, map[int]asker{15: believer{version: 15}, 19: believer{version: 19}})
	if err := f.batch(t.Context(), 1, 400); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	agree, err := f.keep(t.Context(), &out, dir)
	if left, _ := os.ReadDir(dir); !agree || err != nil || len(left) != 0 || out.Len() != 0 {
		t.Errorf("agree %t, %v, %v, %s", agree, err, left, out.String())
	}
	if report := f.report(1e9); !strings.Contains(report, "400 sets of files, asked of servers 15 19: ") || !strings.Contains(report, "only what PostgreSQL's and Go's syntax share is modelled") {
		t.Error(report)
	}
}

// TestInterruptedFindIsKept: after an interrupt nothing is made smaller, and nothing is lost.
func TestInterruptedFindIsKept(t *testing.T) {
	var out bytes.Buffer
	f := newFileFuzz(t, &out, map[int]asker{18: believer{18, "samenet", ofViews}})
	if err := f.batch(t.Context(), 1, 300); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if agree, err := f.keep(ctx, &out, dir); agree || err != nil {
		t.Errorf("agree %t, %v", agree, err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "files-seed-1.txt")); err != nil || !strings.Contains(string(text), "samenet") {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestKindOf(t *testing.T) {
	at := func(rule string) *corpus.Answer { return &corpus.Answer{Rules: []string{rule}} }
	a := kindOf(at("pg_hba.conf:3 host [all] [alice] 10.0.0.0 255.0.0.0 md5"), at(`pg_hba.conf:3 error "words: \"x\""`), ofViews)
	b := kindOf(at("pg_hba.conf:7 host [shop x] [bob] fd00::1 ffff:: md5"), at(`pg_hba.conf:7 error "words: \"yyy\""`), ofViews)
	c := kindOf(at("pg_hba.conf:3 local [all] [alice] - - md5"), at(`pg_hba.conf:3 error "words: \"x\""`), ofViews)
	if a != b || a == c {
		t.Errorf("%s\n%s\n%s", a, b, c)
	}
}

func TestCuts(t *testing.T) {
	if got := withoutPart(2)("abcde"); !slices.Equal(got, []string{"cde", "abe", "abcd"}) {
		t.Errorf("%q", got)
	}
	if got := withoutLine("a\nb\n"); !slices.Equal(got, []string{"b\n", "a\n"}) {
		t.Errorf("%q", got)
	}
	if withoutPart(8)("abc") != nil || withoutLetter(strings.Repeat("x", 600)) != nil {
		t.Error("a text that is too short, or too long, is cut")
	}
}

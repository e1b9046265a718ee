package reports

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

func pageOf(t *testing.T, v *View, limit int) string {
	t.Helper()
	return string(draw(t, func(w io.Writer) error { return writePage(w, v, Options{}, limit) }))
}

// segmentOf reads a table out of a page; nil if the page does not have it.
func segmentOf(t *testing.T, page, id string) *blob {
	t.Helper()
	_, rest, ok := strings.Cut(page, `<script type="application/octet-stream" id="`+id+`">`)
	if !ok {
		return nil
	}
	text, _, _ := strings.Cut(rest, "<")
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	b, err := decodeBlob(data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *blob) number(t *testing.T, name string, row int) uint32 {
	t.Helper()
	for _, c := range b.Columns {
		if c.Name == name {
			return c.values[row]
		}
	}
	t.Fatalf("no column %s", name)
	return 0
}

func (b *blob) word(t *testing.T, name string, row int) string {
	t.Helper()
	for _, c := range b.Columns {
		if c.Name == name {
			return b.Lists[c.Dict][c.values[row]]
		}
	}
	t.Fatalf("no column %s", name)
	return ""
}

// What the page holds of every cell is what its record says: what a decoder of another make reads is compared with the records, field by
// field, evidence and times included.
func TestPageHoldsEveryCell(t *testing.T) {
	run := saved(t, 3000, 7)
	page := pageOf(t, view(t, run), htmlLimit)
	records := recordsByID(t, run)
	index := segmentOf(t, page, "index")
	if index == nil || index.Rows != len(records) {
		t.Fatalf("the index is not there, or has not %d rows", len(records))
	}
	var evidence *blob
	first, scenario, segments, literal := 0, "", 0, 0
	for row := range index.Rows {
		if name := index.word(t, "scenario", row); name != scenario {
			evidence, first, scenario = segmentOf(t, page, fmt.Sprintf("evidence-%d", segments)), row, name
			segments++
			if evidence == nil {
				t.Fatalf("no evidence of %s", name)
			}
		}
		id := idOf(index.word(t, "name", row), scenario, index.axesOf(t, row))
		r := records[id]
		if r == nil {
			t.Fatalf("row %d is %s, which is no record", row, id)
		}
		delete(records, id)
		if axes := index.axesOf(t, row); !maps.Equal(axes, r.Axes) {
			t.Errorf("%s: axes %v, want %v", id, axes, r.Axes)
		}
		for field, want := range map[string]string{"status": string(r.Verdict.Status), "cause": r.Verdict.Cause, "predicted": fieldsText(&r.Predicted), "observed": fieldsText(outcomeOf(r))} {
			if got := index.word(t, field, row); got != want {
				t.Errorf("%s: %s is %q, want %q", id, field, got, want)
			}
		}
		if got := index.number(t, "obtained", row); got != classOf(r) {
			t.Errorf("%s: obtained %d, want %d", id, got, classOf(r))
		}
		if checkEvidence(t, evidence, row-first, r) {
			literal++
		}
	}
	if len(records) > 0 {
		t.Errorf("%d records are not on the page", len(records))
	}
	if literal < 100 {
		t.Errorf("only %d cells with their evidence as it is", literal)
	}
}

func fieldsText(o *matrix.Outcome) string {
	if o == nil || o.End == "" {
		return ""
	}
	text, _ := json.Marshal(fieldsOf(*o))
	return string(text)
}

// checkEvidence compares a row of evidence with the record. Of a cell that does not agree every text has to be there as it is.
func checkEvidence(t *testing.T, b *blob, row int, r *Record) (literal bool) {
	t.Helper()
	literal = r.Verdict.Status != verdict.Agree && r.Observation != nil
	same := func(what, got, want string) {
		t.Helper()
		if !literal {
			got, want = anonymous(got), anonymous(want)
		}
		if got != want {
			t.Errorf("%s: %s is\n%q, want\n%q", r.ID, what, got, want)
		}
	}
	rules := func(name string) (list []matrix.Because) {
		var places []int
		if text := b.word(t, name, row); text != "" {
			_ = json.Unmarshal([]byte(text), &places)
		}
		for _, p := range places {
			var rule [2]string
			_ = json.Unmarshal([]byte(b.Lists["rules"][p]), &rule)
			list = append(list, matrix.Because{Text: rule[0], Source: rule[1]})
		}
		return list
	}
	same("because", fmt.Sprint(rules("because")), fmt.Sprint(r.Because))
	var v verdict.Verdict
	if err := json.Unmarshal([]byte(b.word(t, "verdict", row)), &v); err != nil || fmt.Sprint(v) != fmt.Sprint(r.Verdict) {
		t.Errorf("%s: verdict %v, want %v: %v", r.ID, v, r.Verdict, err)
	}
	if r.Observation == nil {
		return literal
	}
	e := r.Observation.Evidence
	same("told", fmt.Sprint(rules("told")), fmt.Sprint(r.Observation.Because))
	same("conninfo", b.word(t, "conninfo", row), e.Client.Conninfo)
	same("fault", b.word(t, "fault", row), r.Observation.Fault)
	if literal {
		same("trace", b.word(t, "trace", row), e.KRB5Trace)
	}
	var client pageClient
	_ = json.Unmarshal([]byte(b.word(t, "client", row)), &client)
	same("message", client.Message, e.Client.Message)
	times := timesAt(t, b, row)
	var places []int
	if text := b.word(t, "connections", row); text != "" {
		_ = json.Unmarshal([]byte(text), &places)
	}
	if len(places) != connectionParts*len(e.Connections) {
		t.Fatalf("%s: %d parts of %d connections", r.ID, len(places), len(e.Connections))
	}
	for i, c := range e.Connections {
		part := func(n int) string { return b.Lists["parts"][places[i*connectionParts+n]] }
		for n, events := range map[int][]matrix.WireEvent{1: c.Wire, 2: c.Upstream} {
			var got []event
			_ = json.Unmarshal([]byte(cmp.Or(part(n), "[]")), &got)
			if len(got) != len(events) {
				t.Fatalf("%s: %d events, want %d", r.ID, len(got), len(events))
			}
			for k, want := range events {
				same("event", fmt.Sprint(got[k]), fmt.Sprint(event{want.From, eventText(want)}))
			}
		}
		for _, want := range slices.Concat(c.Wire, c.Upstream) {
			if len(times) == 0 || times[0] != want.Micros/100 {
				t.Fatalf("%s: times %v, want %d", r.ID, times, want.Micros/100)
			}
			times = times[1:]
		}
		var log []logLine
		_ = json.Unmarshal([]byte(cmp.Or(part(3), "[]")), &log)
		for k, want := range c.Log {
			same("log", log[k][0]+log[k][2], want.Severity+want.Text)
		}
		same("exit", part(4), c.Exit)
	}
	return literal
}

var meaningless = regexp.MustCompile(`⟨[a-z]+⟩|\d+\.\d+\.\d+\.\d+|\b\d{5}\b|pgauthmatrix-[0-9a-f]{12}|(session time: )[0-9:.]+`)

// anonymous is a text without what differs from attempt to attempt.
func anonymous(s string) string { return meaningless.ReplaceAllString(s, "$1~") }

func timesAt(t *testing.T, b *blob, row int) (times []int64) {
	t.Helper()
	at := 0
	for i := range row {
		at += int(b.number(t, "timesLength", i))
	}
	rest := b.strings[0][at : at+int(b.number(t, "timesLength", row))]
	last := int64(0)
	for len(rest) > 0 {
		d, n := binary.Varint(rest)
		last, rest = last+d, rest[n:]
		times = append(times, last)
	}
	return times
}

// Placeholders stand for what differs from attempt to attempt, and for nothing else.
func TestPlaceholders(t *testing.T) {
	record := func(address string) *Record {
		return &Record{Axes: map[string]string{"address": address}, Observation: &matrix.Observation{Evidence: matrix.Evidence{
			Client: matrix.ClientEvidence{Conninfo: "host=pg.example.test application_name=pgauthmatrix-0123456789ab hostaddr=127.0.0.1 port=40415"},
			Connections: []matrix.ConnectionEvidence{{ServerPort: 51186, Wire: []matrix.WireEvent{{Kind: "open", Text: "172.18.0.6:5432"}},
				Log: []matrix.LogLine{{Text: "connection received: host=10.1.0.9 port=51186"}}}},
		}}}
	}
	for _, tt := range []struct{ address, text, want string }{
		{"", "host=pg.example.test application_name=pgauthmatrix-0123456789ab hostaddr=127.0.0.1 port=40415", "host=pg.example.test application_name=⟨name⟩ hostaddr=127.0.0.1 port=⟨port⟩"},
		{"", `connection to server at "pg.example.test" (127.0.0.1), port 40415 failed`, `connection to server at "pg.example.test" (127.0.0.1), port ⟨port⟩ failed`},
		{"", "connection received: host=10.1.0.9 port=51186", "connection received: host=⟨client⟩ port=⟨port⟩"},
		{"10.1.0.9", "connection received: host=10.1.0.9 port=51186", "connection received: host=10.1.0.9 port=⟨port⟩"},
		{"", "open 172.18.0.6:5432", "open ⟨server⟩:5432"},
		{"", "session time: 0:00:00.061 user=alice", "session time: ⟨time⟩ user=alice"},
		{"", "read tcp 127.0.0.1:38342->127.0.0.1:40415: reset", "read tcp 127.0.0.1:⟨port⟩->127.0.0.1:⟨port⟩: reset"},
		{"", "current time 2026-11-28T04:42:41Z is after 2025-01-01T00:00:00Z", "current time ⟨time⟩ is after ⟨time⟩"},
		{"", "pg_hba.conf:12, 1672 bytes, code 40414", "pg_hba.conf:12, 1672 bytes, code 40414"},
	} {
		if got := placeholders(record(tt.address))(tt.text); got != tt.want {
			t.Errorf("%q becomes %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestObtainedClass(t *testing.T) {
	of := func(channel matrix.Channel, axes map[string]string, rules ...string) *Record {
		r := &Record{Axes: axes, Observation: &matrix.Observation{Outcome: matrix.Outcome{End: matrix.Connected, Channel: channel}}}
		for _, rule := range rules {
			r.Because = append(r.Because, matrix.Because{Text: rule})
		}
		return r
	}
	byHand := of(matrix.TLS, map[string]string{"sslmode": "verify-ca"})
	byHand.ByHand = "connected tls (x.yaml:1:1)"
	refused, fault := of(matrix.TLS, nil), of(matrix.TLS, nil)
	refused.Observation.Outcome.End = matrix.Refused
	fault.Observation.Fault = "no record"
	for _, tt := range []struct {
		name string
		r    *Record
		want uint32
	}{
		{"gss", of(matrix.GSS, nil), classGSS},
		{"plaintext", of(matrix.Plain, nil), classPlain},
		{"verify-full", of(matrix.TLS, nil, "sslmode=verify-full: TLS only", "sslmode=verify-full: issuer and name of the server's certificate are verified"), classVerified},
		{"require and a root", of(matrix.TLS, nil, "sslmode=require and a root file that exists: the issuer is verified as with verify-ca, with its revocation list"), classVerified},
		{"system roots", of(matrix.TLS, nil, "sslmode=verify-full and sslrootcert=system: the roots are those of the system; a revocation list would not be read"), classVerified},
		{"prefer, which pgx does not verify", of(matrix.TLS, nil, "sslmode=prefer: the server's certificate is not verified, root file or not"), classUnverified},
		{"the attempt that counts is the last", of(matrix.TLS, nil, "sslmode=prefer and a root file that exists: the issuer is verified as with verify-ca", "sslmode=prefer and no root file: the server's certificate is not verified"), classUnverified},
		{"no rule says it", of(matrix.TLS, map[string]string{"sslmode": "verify-full"}, "sslmode=verify-full: TLS only", "the first record that matches: hostssl all all all trust clientcert=verify-ca"), classUnverified},
		{"by hand", byHand, classVerified},
		{"refused", refused, classRefused},
		{"a fault", fault, classNone},
		{"not attempted", &Record{}, classNone},
	} {
		if got := classOf(tt.r); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, classes[got].Name, classes[tt.want].Name)
		}
	}
}

// An ID that is not what its axes give is kept as it is.
func TestIDForms(t *testing.T) {
	axes := map[string]string{"server": "17", "library": "pgx", "hba": "a b", "sslmode": "require"}
	for id, form := range map[string]string{
		"f/n/pg17/hba=a%20b/pgx/sslmode=require,cert=default": "pg*/hba=*/*/sslmode=*,cert=*",
		"f/n/pg17/hba=other/pgx/sslmode=require":              "pg*/hba=other/*/sslmode=*",
		"g/n/pg17":                                            "=g/n/pg17",
	} {
		r := &Record{ID: id, Scenario: "f/n", Axes: axes}
		if got := idForm(r); got != form {
			t.Errorf("%s: %s, want %s", id, got, form)
		}
		if got := idOf(form, "f/n", axes); got != id {
			t.Errorf("%s: back it is %s", id, got)
		}
	}
}

// A page that would be too large leaves out times, then evidence, and says so; the index and the failing cells stay.
func TestPageKeepsToItsSize(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive: make test runs it")
	}
	v := view(t, saved(t, 6000, 3000))
	whole := pageOf(t, v, htmlLimit)
	sizes := map[string]int{} // of the tables
	for _, m := range regexp.MustCompile(`octet-stream" id="([^"]+)">([^<]*)`).FindAllStringSubmatch(whole, -1) {
		sizes[m[1]] = len(segmentElement) + len(m[1]) + len(m[2])
	}
	_, about, _ := strings.Cut(whole, `id="about">`)
	about, _, _ = strings.Cut(about, "</script>")
	script, err := os.ReadFile("html/app.js")
	if err != nil {
		t.Fatal(err)
	}
	rest := len(about) + len(script)
	all, needed := rest+htmlRest, rest+htmlRest+sizes["index"]
	for _, size := range sizes {
		all += size
	}
	for i, s := range v.Scenarios {
		if s.Failing() > 0 {
			needed += sizes[fmt.Sprintf("evidence-%d", i)]
		}
	}
	if top := len(whole) - (all - htmlRest); top > htmlRest {
		t.Errorf("style and summary have %d bytes, more than what is set aside for them", top)
	}
	if strings.Contains(whole, "The times of events") || strings.Contains(pageOf(t, v, all), "The times of events") {
		t.Error("a page with room leaves something out")
	}
	noTimes := pageOf(t, v, all-1)
	if !strings.Contains(noTimes, "The times of events are left out") || segmentOf(t, noTimes, "evidence-0") == nil {
		t.Error("the times are not what is left out first")
	}
	few := pageOf(t, v, needed)
	if !strings.Contains(few, "The times of events and the evidence of") || segmentOf(t, few, "index") == nil {
		t.Error("evidence is not left out, or the index is")
	}
	if len(few) >= len(noTimes) {
		t.Errorf("%d bytes, not fewer than %d", len(few), len(noTimes))
	}
	kept := 0
	for i, s := range v.Scenarios {
		there := segmentOf(t, few, fmt.Sprintf("evidence-%d", i)) != nil
		if there {
			kept++
		} else if s.Failing() > 0 {
			t.Errorf("the evidence of %s, which fails, is left out", s.Name)
		}
	}
	if kept == len(v.Scenarios) {
		t.Error("nothing is left out")
	}
}

// Nothing that a record says becomes part of the page's language.
func TestPageEscapes(t *testing.T) {
	const evil = `</script><script>alert("x")</script><img src=x onerror=alert(1)>&amp;`
	h := sampleHeader(1)
	h.Selection, h.Run = evil, evil
	h.Scenarios = []Scenario{{Name: evil + "/" + evil, Question: evil, Claims: []string{evil}}}
	h.Images = append(h.Images, Image{Name: evil, Version: evil})
	_, o := connectedByTLS(17)
	o.Evidence.Client.Message, o.Evidence.Client.Conninfo = evil, evil
	r := &Record{ID: evil + "/" + evil + "/pg17", Scenario: evil + "/" + evil, Axes: map[string]string{"server": evil, "library": evil}, Predicted: o.Outcome, Observation: &o, Start: sampleStart,
		Verdict: verdict.Verdict{Status: verdict.Differ, Severity: verdict.OtherDiffer, Cause: evil, Differences: []verdict.Difference{{Field: matrix.FieldRole, Against: verdict.Prediction, Want: evil, Observed: evil}}}}
	var file bytes.Buffer
	w, err := NewWriter(&file, h)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(r), w.Close(Trailer{End: sampleStart})); err != nil {
		t.Fatal(err)
	}
	page := pageOf(t, view(t, opened(t, file.Bytes())), htmlLimit)
	if strings.Contains(page, "<script>alert") || strings.Contains(page, "<img") {
		t.Error("a text of a record is part of the page's language")
	}
	if n := strings.Count(page, "<script"); n != 4 {
		t.Errorf("%d scripts, want about, index, evidence and the program", n)
	}
	if !strings.Contains(page, "&lt;img src=x") {
		t.Error("the selection is not shown")
	}
}

// The page needs nothing but itself.
func TestPageIsOneFile(t *testing.T) {
	page := pageOf(t, view(t, saved(t, 200, 9)), htmlLimit)
	for _, pattern := range []string{`\ssrc\s*=\s*["']?[a-z/]`, `<link`, `@import`, `url\(`, `https?://(?:[^w]|w[^w])`, `sourceMappingURL`} {
		for _, found := range regexp.MustCompile(pattern).FindAllString(page, 3) {
			t.Errorf("%s: %s", pattern, found)
		}
	}
	for _, want := range []string{"<title>pgauthmatrix r7f3a: FAILED</title>", "Worst failures", `href="#/cells?q=status%3ADiffer"`, `lang="en"`, `name="viewport"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
}

// pairs are colours of letters and of what they stand on.
var pairs = [][2]string{
	{"text", "ground"}, {"text", "panel"}, {"muted", "ground"}, {"muted", "panel"}, {"link", "ground"}, {"link", "panel"},
	{"on", "gss"}, {"on", "verified"}, {"on", "unverified"}, {"on", "plain"}, {"on", "refused"}, {"on", "none"},
	{"bad", "ground"}, {"bad", "panel"}, {"bad", "badground"}, {"text", "badground"}, {"muted", "badground"}, {"link", "badground"},
	{"warn", "ground"}, {"warn", "panel"}, {"odd", "ground"}, {"odd", "panel"}, {"good", "ground"}, {"good", "panel"},
}

// Letters have a contrast of 4.5 to what they stand on (WCAG 2.2, success criterion 1.4.3), on a light and on a dark ground; the mark of
// the focus has 3 (1.4.11).
func TestContrast(t *testing.T) {
	of := func(name string) colour {
		i := slices.IndexFunc(colours, func(c colour) bool { return c.name == name })
		if i < 0 {
			t.Fatalf("no colour %s", name)
		}
		return colours[i]
	}
	for _, p := range pairs {
		a, b := of(p[0]), of(p[1])
		for ground, ratio := range map[string]float64{"light": contrast(t, a.light, b.light), "dark": contrast(t, a.dark, b.dark)} {
			if ratio < 4.5 {
				t.Errorf("%s on %s, %s: %.2f", p[0], p[1], ground, ratio)
			}
		}
	}
	for ground, ratio := range map[string]float64{"light": contrast(t, of("focus").light, of("ground").light), "dark": contrast(t, of("focus").dark, of("ground").dark)} {
		if ratio < 3 {
			t.Errorf("focus, %s: %.2f", ground, ratio)
		}
	}
	if got := contrast(t, "#000000", "#ffffff"); math.Abs(got-21) > 0.01 {
		t.Errorf("black on white has %.2f, not 21", got)
	}
	letters := map[string]bool{}
	for _, c := range classes {
		if letters[c.Letter] {
			t.Errorf("two classes have the letter %s", c.Letter)
		}
		letters[c.Letter] = true
		of(c.Name)
	}
}

// contrast is that of WCAG 2.2, "contrast ratio".
func contrast(t *testing.T, a, b string) float64 {
	luminance := func(hex string) float64 {
		sum := 0.0
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			c := float64(n) / 255
			if c <= 0.04045 {
				c /= 12.92
			} else {
				c = math.Pow((c+0.055)/1.055, 2.4)
			}
			sum += weight * c
		}
		return sum
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// Style sheet and script name only colours of the table, and no colour outside it.
func TestColoursComeFromTheTable(t *testing.T) {
	files, err := filepath.Glob("html/*.*s")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	used := map[string]bool{"on": true}
	for _, c := range classes {
		used[c.Name] = true // by a name that the script puts together
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`var\(--([a-z]+)\)`).FindAllStringSubmatch(string(text), -1) {
			used[m[1]] = true
			if m[1] != "block" && m[1] != "chosen" && !slices.ContainsFunc(colours, func(c colour) bool { return c.name == m[1] }) {
				t.Errorf("%s: there is no colour %s", file, m[1])
			}
		}
		if strings.HasSuffix(file, ".css") {
			for _, m := range regexp.MustCompile(`#[0-9a-f]{3,8}\b|rgba?\(`).FindAllString(string(text), -1) {
				t.Errorf("%s: %s is not a colour of the table", file, m)
			}
		}
	}
	for _, c := range colours {
		if !used[c.name] {
			t.Errorf("colour %s is not used", c.name)
		}
	}
}

// The version in an image has its package's date beside it, where that is known.
func TestDatedImages(t *testing.T) {
	for want, i := range map[string]Image{"17.12-0+deb13u1 (2026-05-14)": {Version: "17.12-0+deb13u1", Date: "2026-05-14"}, "17.12": {Version: "17.12"}} {
		if got := i.dated(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

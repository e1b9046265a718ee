package browser_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// sample are records of a real run, some of them changed so that they fail: each status is there.
func sample(t testing.TB) (reports.Header, []*reports.Record) {
	t.Helper()
	f, err := os.Open("testdata/records.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var header reports.Header
	var records []*reports.Record
	for lines := bufio.NewReader(r); ; {
		text, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		var line struct {
			Header *reports.Header `json:"run"`
			Record *reports.Record `json:"cell"`
		}
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatal(err)
		}
		if line.Header != nil {
			header = *line.Header
		} else {
			plant(line.Record)
			records = append(records, line.Record)
		}
	}
	if len(records) < 500 {
		t.Fatalf("only %d records", len(records))
	}
	return header, records
}

// plant makes some records fail.
func plant(r *reports.Record) {
	o := r.Observation
	switch a := r.Axes; {
	case o == nil:
	case r.Scenario == "negotiation/host-alone" && a["library"] == "pgx" && a["gssencmode"] == "prefer" && o.Outcome.Channel == matrix.GSS:
		r.Predicted.Channel = matrix.TLS
		r.Verdict = verdict.Verdict{Status: verdict.Differ, Severity: verdict.WeakerChannel, Differences: []verdict.Difference{{Field: matrix.FieldChannel, Against: verdict.Prediction, Want: "tls", Observed: "gss"}}}
		o.Evidence.KRB5Trace = "[812] 1763938200.121: Getting credentials alice@EXAMPLE.TEST -> postgres/pg.example.test@EXAMPLE.TEST\n"
	case r.Scenario == "clientcert/faults" && a["library"] == "libpq17":
		o.Fault = "relay: connection 2 has no record of port 41022"
		r.Verdict = verdict.Verdict{Status: verdict.Broken, Severity: verdict.IsBroken, Cause: o.Fault}
	case r.Scenario == "negotiation/direct-tls" && a["library"] == "pq":
		r.Verdict = verdict.Verdict{Status: verdict.Known, Severity: verdict.IsKnown, Cause: "lib/pq offers no ALPN protocol", Pos: "scenarios/divergences.yaml:3:3"}
	case r.Scenario == "negotiation/keytab-faults" && a["library"] == "libpq18" && o.Outcome.End == matrix.Connected:
		r.Verdict = verdict.Verdict{Status: verdict.Drift, Severity: verdict.IsDrift, Differences: []verdict.Difference{{Field: matrix.FieldRule, Against: verdict.Golden, Want: "pg_hba.conf:7", Observed: o.Outcome.Rule}}}
	}
}

// page draws records as report.html.
func page(t testing.TB, header reports.Header, records func(yield func(*reports.Record))) []byte {
	t.Helper()
	return draw(t, save(t, header, records), "")
}

// save writes records as a run, and gives its file.
func save(t testing.TB, header reports.Header, records func(yield func(*reports.Record))) string {
	t.Helper()
	path := t.TempDir() + "/run.jsonl"
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	header.Cells = 0
	records(func(*reports.Record) { header.Cells++ })
	w, err := reports.NewWriter(f, header)
	if err != nil {
		t.Fatal(err)
	}
	records(func(r *reports.Record) {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	})
	if err := w.Close(reports.Trailer{End: header.Start.Add(1e9 * 600)}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// draw draws the run in a file, held against that in another; empty: against none.
func draw(t testing.TB, path, baseline string) []byte {
	t.Helper()
	run, err := reports.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	view, err := reports.NewView(run)
	if err != nil {
		t.Fatal(err)
	}
	if baseline != "" {
		before, err := reports.Open(baseline)
		if err != nil {
			t.Fatal(err)
		}
		if err := view.Against(before); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := reports.HTML(&out, view, reports.Options{}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func each(records []*reports.Record) func(func(*reports.Record)) {
	return func(yield func(*reports.Record)) {
		for _, r := range records {
			yield(r)
		}
	}
}

// replicated are so many records: those of the sample with another value of an axis of the scenario's own, each with ports, processes and
// times of its own.
func replicated(records []*reports.Record, n int) func(func(*reports.Record)) {
	return func(yield func(*reports.Record)) {
		for i := range n {
			source := records[i%len(records)]
			r, copied := *source, i/len(records)
			r.Axes = maps.Clone(source.Axes)
			r.Axes["copy"] = fmt.Sprint(copied)
			r.ID += ",copy=" + r.Axes["copy"]
			if source.Observation != nil {
				o := *source.Observation
				r.Observation = &o
				vary(&o.Evidence, i)
			}
			yield(&r)
		}
	}
}

// vary gives evidence ports, processes, addresses and times of its own.
func vary(e *matrix.Evidence, i int) {
	seed := uint32(i) * 2654435761 //nolint:gosec // a hash
	next := func(n int) int {
		seed = seed*1664525 + 1013904223
		return int(seed>>8) % n
	}
	port := fmt.Sprint(30000 + next(30000))
	texts := strings.NewReplacer(portOf(e.Client.Conninfo), " port="+port)
	e.Client.Conninfo = texts.Replace(e.Client.Conninfo)
	e.Client.Micros += int64(next(90000))
	e.Connections = slices.Clone(e.Connections)
	for k := range e.Connections {
		c := &e.Connections[k]
		old, now := fmt.Sprintf("port=%d", c.ServerPort), 30000+next(30000)
		c.ServerPort, c.PID = now, 100+next(30000)
		c.Log = slices.Clone(c.Log)
		for l := range c.Log {
			c.Log[l].Text = strings.ReplaceAll(c.Log[l].Text, old, fmt.Sprintf("port=%d", now))
		}
		at := int64(0)
		c.Wire = slices.Clone(c.Wire)
		for w := range c.Wire {
			at += int64(next(9000))
			c.Wire[w].Micros = at
		}
	}
}

func portOf(conninfo string) string {
	i := strings.LastIndex(conninfo, " port=")
	if i < 0 {
		return "\x00"
	}
	value, _, _ := strings.Cut(conninfo[i+1:], " ")
	return " " + value
}

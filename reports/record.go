// Package reports keeps what a run found and draws it. A run is one file, run.jsonl.zst: a header, a record per cell in
// the order they were made, a trailer. Every report is drawn from that file alone; nothing here touches anything live.
//
// NewView reads the file once and says what there is to say (view*.go). The entries of Formats say it, each in its own
// way: terminal, JUnit, Markdown.
package reports

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// FormatVersion is the version of the lines that this package writes; the only one it reads.
const FormatVersion = 2

// Header is the first line of a run's file.
type Header struct {
	Format    int        `json:"format"` // set by NewWriter
	Run       string     `json:"run"`    // the run's ID, which labels its containers
	Start     time.Time  `json:"start"`
	Tool      string     `json:"tool"`               // version of pgauthmatrix
	Engine    string     `json:"engine,omitempty"`   // e.g. "Docker Engine 20.10.24, linux/amd64, 2 CPUs"
	Selection string     `json:"selection"`          // for people and for repeating: "pairwise, seed 1, negotiation/**"
	Coverage  string     `json:"coverage,omitempty"` // for people: "pairwise: 41,250 of 41,250 pairs"
	Lost      int        `json:"lost,omitempty"`     // cells that were selected and are skipped, because an image that they need is unavailable: not part of Cells
	Cells     int        `json:"cells"`              // cells this run is to judge; the counts must add up to it
	Images    []Image    `json:"images,omitempty"`
	Scenarios []Scenario `json:"scenarios,omitempty"` // those that have a cell in the run; none in a file of an older version
	Stale     []Stale    `json:"stale,omitempty"`     // divergences that name no cell; only a full run can know
	Part      *Part      `json:"part,omitempty"`      // nil in a file of an older version, and of a run that died in its set-up
}

// Part says what a run tries of what, as the program reads it: for Merge, which joins shards, and for a run that goes on with this one.
type Part struct {
	Selection matrix.Selection `json:"selection"` // its shard is this run's
	AtMost    int              `json:"at_most,omitempty"`
	Repeat    int              `json:"repeat,omitempty"`    // attempts of each cell; 0: one
	Files     []string         `json:"files,omitempty"`     // scenarios in place of the built-in ones
	Driver    string           `json:"driver,omitempty"`    // file of a person's own driver
	Costs     string           `json:"costs,omitempty"`     // folder of the run by whose costs shards were made
	CostsRun  string           `json:"costs_run,omitempty"` // and its ID
	Text      string           `json:"text"`                // the selection for people, without the shard
	Cells     int              `json:"cells"`               // of all shards
	Digest    string           `json:"digest"`              // of the cells of all shards and their worlds
}

// Resumption is the line that a run writes when it goes on with what another process began.
type Resumption struct {
	Start  time.Time `json:"start"`
	Engine string    `json:"engine,omitempty"`
	After  string    `json:"after"` // why the run had ended
	Cells  int       `json:"cells"` // that had a record
}

// Scenario is what a report says of a scenario: all that it needs of the scenario's file.
type Scenario struct {
	Name     string   `json:"name"` // FAMILY/NAME
	Question string   `json:"question"`
	Why      string   `json:"why,omitempty"`    // why the question matters
	Claims   []string `json:"claims,omitempty"` // ids of the claims that it tests
	Museum   []string `json:"museum,omitempty"` // ids of the past defects that it keeps away, in docs/museum.md
}

// ScenariosOf describes those of the scenarios that have one of the cells, in their order.
func ScenariosOf(scenarios []*matrix.Scenario, cells []matrix.Cell) []Scenario {
	used := map[string]bool{}
	for i := range cells {
		used[cells[i].Scenario] = true
	}
	var list []Scenario
	for _, s := range scenarios {
		if used[s.Name] {
			list = append(list, Scenario{Name: s.Name, Question: s.Question, Why: s.Why, Claims: s.Claims, Museum: s.Museum})
		}
	}
	return list
}

// Image is one image that the run used, or that was unavailable.
type Image struct {
	Name        string `json:"name"`                  // e.g. "server-17", "client-15", "kdc"
	Version     string `json:"version,omitempty"`     // what is inside, e.g. "17.12-0+deb13u1"
	Date        string `json:"date,omitempty"`        // of that package, 2026-05-14; empty: not known
	Source      string `json:"source,omitempty"`      // where it came from
	Unavailable string `json:"unavailable,omitempty"` // why there is no such image
	Cells       int    `json:"cells,omitempty"`       // if unavailable: the selected cells that need it and are skipped; not part of Header.Cells
}

// dated is the version with its date.
func (i *Image) dated() string {
	if i.Date == "" {
		return i.Version
	}
	return i.Version + " (" + i.Date + ")"
}

// Stale is a row of divergences.yaml that names no cell of a full run; it fails the run.
type Stale struct {
	Pattern string `json:"pattern"`
	Pos     string `json:"pos"`
}

// Record is one cell's line: all that is needed to draw it, and to judge it again with a newer oracle
// (the cell is rebuilt from the scenarios by its ID).
type Record struct {
	ID          string              `json:"id"`
	Scenario    string              `json:"scenario"`
	About       *Scenario           `json:"-"`     // the header's entry for Scenario, shared by its records; set by reading, nil if the header has none
	Axes        map[string]string   `json:"axes"`  // every axis that has a value
	World       string              `json:"world"` // hash of World.Key: equal for cells of equal worlds
	Predicted   matrix.Outcome      `json:"predicted"`
	Because     []matrix.Because    `json:"because,omitempty"`
	ByHand      string              `json:"by_hand,omitempty"`     // the row that alone judges the cell, with its place; Predicted is then empty
	Observation *matrix.Observation `json:"observation,omitempty"` // whole; nil: not attempted
	Verdict     verdict.Verdict     `json:"verdict"`
	Start       time.Time           `json:"start"`
	Micros      int64               `json:"us"` // duration of the attempt with its evidence, in microseconds
}

// NewRecord makes the record of a judged cell.
func NewRecord(cell *matrix.Cell, p matrix.Prediction, o *matrix.Observation, v verdict.Verdict, start time.Time, took time.Duration) *Record {
	all := cell.World.Axes()
	axes := make(map[string]string, len(all))
	for _, a := range all {
		if value := cell.Value(a.Name); value != "" {
			axes[a.Name] = value
		}
	}
	world := sha256.Sum256([]byte(cell.World.Key()))
	return &Record{ID: cell.ID, Scenario: cell.Scenario, Axes: axes, World: hex.EncodeToString(world[:6]),
		Predicted: p.Outcome, Because: p.Because, ByHand: byHand(cell), Observation: o, Verdict: v, Start: start.UTC(), Micros: took.Microseconds()}
}

// byHand is the row of a cell that is judged by hand; empty of any other.
func byHand(cell *matrix.Cell) string {
	if !cell.ByHand || cell.Expect == nil {
		return ""
	}
	return cell.Expect.Then.Outcome.String() + " (" + cell.Expect.Pos + ")"
}

// ownAxes are the axes of the scenario's own, in the order of the record's ID.
func (r *Record) ownAxes() (names []string) {
	for element := range strings.SplitSeq(r.ID, "/") {
		for part := range strings.SplitSeq(element, ",") { // values have neither of the two
			name, _, named := strings.Cut(part, "=")
			_, known := matrix.AxisByName(name)
			if _, has := r.Axes[name]; named && has && !known {
				names = append(names, name)
			}
		}
	}
	return names
}

// Trailer is the last line of a run's file.
type Trailer struct {
	End         time.Time      `json:"end"`
	Counts      verdict.Counts `json:"counts"`                 // set by Writer.Close
	Interrupted string         `json:"interrupted,omitempty"`  // why the run ended before all cells were tried, e.g. "interrupt"
	NotReached  map[string]int `json:"not_reached,omitempty"`  // cells without a record, by scenario
	Envs        int            `json:"envs,omitempty"`         // Envs provisioned
	Provision   time.Duration  `json:"provision_ns,omitempty"` // wall time in which an Env was provisioned and no cell attempted
	Attempt     time.Duration  `json:"attempt_ns,omitempty"`   // wall time in which cells were attempted
	Stale       []Stale        `json:"stale,omitempty"`
	Resumed     []Resumption   `json:"resumed,omitempty"`  // set by Writer.Close
	EnvCost     time.Duration  `json:"env_ns,omitempty"`   // mean time to provision an Env and try its control cells
	WorldCost   time.Duration  `json:"world_ns,omitempty"` // mean time to bring an Env to a world
}

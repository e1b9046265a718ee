// Package reports keeps what a run found and draws it. A run is one file, run.jsonl: a header, a record per cell in
// the order they were made, a trailer. Every report is drawn from that file alone; nothing here touches anything live.
package reports

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// FormatVersion is the version of run.jsonl that this package writes; the only one it reads.
const FormatVersion = 2

// FileName is the name of a run's file in its directory.
const FileName = "run.jsonl"

// Header is the first line of run.jsonl.
type Header struct {
	Format    int       `json:"format"` // set by NewWriter
	Run       string    `json:"run"`    // the run's ID, which labels its containers
	Start     time.Time `json:"start"`
	Tool      string    `json:"tool"`               // version of pgauthmatrix
	Engine    string    `json:"engine,omitempty"`   // e.g. "Docker Engine 20.10.24, linux/amd64, 2 CPUs"
	Selection string    `json:"selection"`          // for people and for repeating: "pairwise, seed 1, negotiation/**"
	Coverage  string    `json:"coverage,omitempty"` // for people: "pairwise: 41,250 of 41,250 pairs"
	Lost      int       `json:"lost,omitempty"`     // cells that were asked for and are not in this run, because no source of their images answers: not part of Cells
	Cells     int       `json:"cells"`              // cells this run is to judge; the counts must add up to it
	Images    []Image   `json:"images,omitempty"`
	Stale     []Stale   `json:"stale,omitempty"` // divergences that name no cell; only a full run can know
}

// Image is one image that the run used, or could not have.
type Image struct {
	Name        string `json:"name"`                  // e.g. "server 17", "client libpq15", "kdc"
	Version     string `json:"version,omitempty"`     // what is inside, e.g. "PostgreSQL 17.12, krb5 1.21.3"
	Source      string `json:"source,omitempty"`      // where it came from
	Unavailable string `json:"unavailable,omitempty"` // why it could not be had
	Cells       int    `json:"cells,omitempty"`       // if unavailable: the selected cells that this kept out of the run; not part of Header.Cells
}

// Stale is a row of divergences.yaml that names no cell of a full run; it fails the run.
type Stale struct {
	Pattern string `json:"pattern"`
	Pos     string `json:"pos"`
}

// Record is one cell's line of run.jsonl: all that is needed to draw it, and to judge it again with a newer oracle
// (the cell is rebuilt from the scenarios by its ID).
type Record struct {
	ID          string              `json:"id"`
	Scenario    string              `json:"scenario"`
	Axes        map[string]string   `json:"axes"`  // every axis that has a value
	World       string              `json:"world"` // hash of World.Key: equal for cells of equal worlds
	Predicted   matrix.Outcome      `json:"predicted"`
	Because     []matrix.Because    `json:"because,omitempty"`
	Observation *matrix.Observation `json:"observation,omitempty"` // whole; nil: not attempted
	Verdict     verdict.Verdict     `json:"verdict"`
	Start       time.Time           `json:"start"`
	Micros      int64               `json:"us"` // duration of the attempt with its evidence, in microseconds
}

// NewRecord makes the record of a judged cell.
func NewRecord(cell *matrix.Cell, p matrix.Prediction, o *matrix.Observation, v verdict.Verdict, start time.Time, took time.Duration) *Record {
	axes := make(map[string]string, len(matrix.Axes))
	for _, a := range matrix.Axes {
		if value := cell.Value(a.Name); value != "" {
			axes[a.Name] = value
		}
	}
	world := sha256.Sum256([]byte(cell.World.Key()))
	return &Record{ID: cell.ID, Scenario: cell.Scenario, Axes: axes, World: hex.EncodeToString(world[:6]),
		Predicted: p.Outcome, Because: p.Because, Observation: o, Verdict: v, Start: start.UTC(), Micros: took.Microseconds()}
}

// Trailer is the last line of run.jsonl.
type Trailer struct {
	End         time.Time      `json:"end"`
	Counts      verdict.Counts `json:"counts"`                 // set by Writer.Close
	Interrupted string         `json:"interrupted,omitempty"`  // why the run ended before all cells were tried, e.g. "interrupt"
	NotReached  map[string]int `json:"not_reached,omitempty"`  // cells without a record, by scenario
	Envs        int            `json:"envs,omitempty"`         // Envs provisioned
	Provision   time.Duration  `json:"provision_ns,omitempty"` // wall time in which an Env was provisioned and no cell attempted
	Attempt     time.Duration  `json:"attempt_ns,omitempty"`   // wall time in which cells were attempted
	Stale       []Stale        `json:"stale,omitempty"`
}

package reports

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// MeasuredFile is the file beside a run's records in which bench leaves what it measured for the run.
const MeasuredFile = "bench.json"

// Measured is what connections and a bulk transfer cost by each transport, measured in turn in one run of bench.
type Measured struct {
	Start      time.Time   `json:"start"`
	Server     string      `json:"server"` // major version
	Client     string      `json:"client"`
	Rounds     int         `json:"rounds"`
	Seconds    int         `json:"seconds"`   // of each transport, in each round
	AtATime    int         `json:"at_a_time"` // connections; the bulk transfer has one
	Transports []Transport `json:"transports"`
}

// Transport is what was measured of one of them: plain, tls or gss.
type Transport struct {
	Name        string `json:"name"`
	Connections Rate   `json:"connections"` // per second
	MiB         Rate   `json:"mib"`         // per second
}

// Rate is a figure of several rounds.
type Rate struct {
	Median  float64 `json:"median"`
	ToPlain float64 `json:"to_plain"` // ratio to plaintext in the same round: the median, and below the least and the most
	Least   float64 `json:"least"`
	Most    float64 `json:"most"`
}

// Save writes the file into the folder of a run.
func (m Measured) Save(folder string) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return WriteFile(filepath.Join(folder, MeasuredFile), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// measuredBeside reads the file beside the run's records; nil: there is none.
func measuredBeside(run *Run) (*Measured, error) {
	if run.Path == "" {
		return nil, nil //nolint:nilnil // a run that is no file has no folder
	}
	path := filepath.Join(filepath.Dir(run.Path), MeasuredFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // bench did not run for this run
	}
	if err != nil {
		return nil, err
	}
	m := &Measured{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it, or let pgauthmatrix bench write it anew", path, err)
	}
	return m, nil
}

package reports

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// line is one line of a run's file: exactly one of its fields is set.
type line struct {
	Header     *Header     `json:"run,omitempty"`
	Record     *Record     `json:"cell,omitempty"`
	Resumption *Resumption `json:"resume,omitempty"` // what follows belongs to the run, also after an end
	Trailer    *Trailer    `json:"end,omitempty"`
}

// Writer appends records; it is safe for concurrent use. A run that is killed keeps every line but those of its last second.
type Writer struct {
	mu      sync.Mutex
	out     *compressor
	cells   int
	written map[string]bool
	counts  verdict.Counts
	resumed []Resumption
}

// NewWriter writes the header.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	out, err := newCompressor(w)
	if err != nil {
		return nil, err
	}
	h.Format = FormatVersion
	writer := &Writer{out: out, cells: h.Cells, written: make(map[string]bool, h.Cells), counts: verdict.Counts{}}
	if err := writer.line(line{Header: &h}); err != nil {
		return nil, err
	}
	return writer, out.Flush()
}

func (w *Writer) line(l line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("a line of %s: %w", FileName, err)
	}
	if _, err := w.out.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("writing %s: %w", FileName, err)
	}
	return nil
}

// Write appends one record. A second record of a cell, and one without a valid status, are errors. The KRB5_TRACE of a
// cell that agrees is not kept.
func (w *Writer) Write(r *Record) error {
	if !slices.Contains(verdict.Statuses, r.Verdict.Status) {
		return fmt.Errorf("record of %s: invalid status %q", r.ID, r.Verdict.Status)
	}
	if r.Verdict.Status == verdict.Agree && r.Observation != nil && r.Observation.Evidence.KRB5Trace != "" {
		slim, observation := *r, *r.Observation
		observation.Evidence.KRB5Trace = ""
		slim.Observation = &observation
		r = &slim
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.written[r.ID] {
		return fmt.Errorf("second record of %s", r.ID)
	}
	if err := w.line(line{Record: r}); err != nil {
		return err
	}
	w.written[r.ID] = true
	w.counts[r.Verdict.Status]++
	return nil
}

// Close writes the trailer; Trailer.Resumed are further resumptions, of runs that were joined. It is an error if the counts do not add up to the header's cells; those of an interrupted
// run have to add up together with Trailer.NotReached. It does not close the underlying writer.
func (w *Writer) Close(t Trailer) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	t.Counts, t.Resumed = w.counts, append(w.resumed, t.Resumed...)
	if err := w.line(line{Trailer: &t}); err != nil {
		return err
	}
	if err := w.out.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", FileName, err)
	}
	return t.check(w.cells)
}

func (t *Trailer) check(cells int) error {
	if t.Interrupted != "" {
		for _, n := range t.NotReached {
			cells -= n
		}
	}
	return t.Counts.Check(cells)
}

// Run is a saved run. Records can be read any number of times.
type Run struct {
	Header Header
	Path   string // as opened; empty for a run that is no file
	open   func() (io.ReadCloser, error)
	about  map[string]*Scenario // the header's scenarios by name
}

// Open opens a run's file, or the one in a directory. A format version that this package does not know is an error.
func Open(path string) (*Run, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		folder := path
		path = filepath.Join(folder, FileName)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			if plain := filepath.Join(folder, PlainFileName); isFile(plain) {
				path = plain
			}
		}
	}
	run, err := Read(func() (io.ReadCloser, error) { return os.Open(path) })
	if err != nil {
		var missing *os.PathError
		if errors.As(err, &missing) {
			return nil, err // names the path itself
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	run.Path = path
	return run, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// Read is Open for a run that is no file: open is called for every pass.
func Read(open func() (io.ReadCloser, error)) (*Run, error) {
	lines := func() (io.ReadCloser, error) {
		source, err := open()
		if err != nil {
			return nil, err
		}
		return decompressed(source)
	}
	source, err := lines()
	if err != nil {
		return nil, err
	}
	defer source.Close()
	text, err := bufio.NewReader(source).ReadBytes('\n')
	if err != nil && !ended(err) {
		return nil, err
	}
	// The version is read first: in another format the rest of the header may mean something else.
	var version struct {
		Header *struct {
			Format int    `json:"format"`
			Tool   string `json:"tool"`
		} `json:"run"`
	}
	if err := json.Unmarshal(text, &version); err != nil || version.Header == nil {
		return nil, fmt.Errorf("not a run of pgauthmatrix: the first line is not a header")
	}
	if version.Header.Format != FormatVersion {
		return nil, fmt.Errorf("format %d, written by pgauthmatrix %s: this one reads format %d only", version.Header.Format, version.Header.Tool, FormatVersion)
	}
	var first line
	if err := json.Unmarshal(text, &first); err != nil {
		return nil, fmt.Errorf("the header: %w", err)
	}
	run := &Run{Header: *first.Header, open: lines, about: map[string]*Scenario{}}
	for i := range run.Header.Scenarios {
		s := &run.Header.Scenarios[i]
		run.about[s.Name] = s
	}
	return run, nil
}

// Records streams the run's records in the order they were written; a record is the caller's to keep. After the last
// one an *Incomplete error follows if the file has no trailer or its last line is cut off: the records before it are
// good.
func (r *Run) Records() iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		_, err := r.scan(decodeWhole, func(record *Record) bool { return yield(record, nil) })
		if err != nil {
			yield(nil, err)
		}
	}
}

// Incomplete says that the run was killed before it could write its end.
type Incomplete struct{ What string }

func (e *Incomplete) Error() string { return e.What }

// brief is what a View reads of every record. The evidence, which is most of a line, is passed over.
type brief struct {
	ID          string            `json:"id"`
	Scenario    string            `json:"scenario"`
	Axes        map[string]string `json:"axes"`
	World       string            `json:"world"`
	Predicted   matrix.Outcome    `json:"predicted"`
	ByHand      string            `json:"by_hand"`
	Verdict     verdict.Verdict   `json:"verdict"`
	Start       time.Time         `json:"start"`
	Micros      int64             `json:"us"`
	Observation *struct {
		Outcome matrix.Outcome `json:"outcome"`
		Unseen  []matrix.Field `json:"unseen"`
		Fault   string         `json:"fault"`
	} `json:"observation"`
}

// decodeBrief decodes what brief has of a line.
func decodeBrief(text []byte, into *line) error {
	var l struct {
		Record     *brief      `json:"cell"`
		Resumption *Resumption `json:"resume"`
		Trailer    *Trailer    `json:"end"`
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	into.Trailer, into.Resumption = l.Trailer, l.Resumption
	if b := l.Record; b != nil {
		into.Record = &Record{ID: b.ID, Scenario: b.Scenario, Axes: b.Axes, World: b.World, Predicted: b.Predicted, ByHand: b.ByHand, Verdict: b.Verdict, Start: b.Start, Micros: b.Micros}
		if b.Observation != nil {
			into.Record.Observation = &matrix.Observation{Outcome: b.Observation.Outcome, Unseen: b.Observation.Unseen, Fault: b.Observation.Fault}
		}
	}
	return nil
}

// decodeOf decodes the lines of the cells that are wanted; of another cell, only its ID.
func decodeOf(wanted func(id string) bool) func([]byte, *line) error {
	head := []byte(`{"cell":{"id":"`)
	return func(text []byte, into *line) error {
		if rest, found := bytes.CutPrefix(text, head); found {
			id, _, _ := bytes.Cut(rest, []byte{'"'})
			if !bytes.ContainsRune(id, '\\') && !wanted(string(id)) {
				into.Record = &Record{ID: string(id)}
				return nil
			}
		}
		return json.Unmarshal(text, into)
	}
}

// decodeWhole decodes a line.
func decodeWhole(text []byte, into *line) error { return json.Unmarshal(text, into) }

// scan visits the records, as decode makes them, until visit returns false. The trailer is nil if it was not reached.
func (r *Run) scan(decode func([]byte, *line) error, visit func(*Record) bool) (*Trailer, error) {
	source, err := r.open()
	if err != nil {
		return nil, err
	}
	defer source.Close()
	lines := bufio.NewReaderSize(source, 1<<20)
	var trailer *Trailer
	for n := 1; ; n++ {
		text, err := readLine(lines)
		if ended(err) {
			return trailer, incomplete(n, len(text) > 0, trailer != nil)
		}
		if err != nil {
			return nil, err
		}
		if n == 1 {
			continue // the header
		}
		var l line
		if err := decode(text, &l); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if trailer != nil && l.Resumption == nil {
			return nil, fmt.Errorf("line %d: more lines after the run's end", n)
		}
		switch {
		case l.Resumption != nil:
			trailer = nil
		case l.Record != nil:
			l.Record.About = r.about[l.Record.Scenario]
			if !visit(l.Record) {
				return nil, nil
			}
		case l.Trailer != nil:
			trailer = l.Trailer
		default:
			return nil, fmt.Errorf("line %d is neither a cell nor the end", n)
		}
	}
}

// ended says that a file has no more lines: that of a run that was killed ends in the middle of a line, or of a frame.
func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// incomplete says what the end of a file after so many lines means; nil if the run is whole.
func incomplete(line int, cut, trailer bool) error {
	switch {
	case cut:
		return &Incomplete{fmt.Sprintf("line %d is cut off: the run was killed while it wrote", line)}
	case !trailer:
		return &Incomplete{"the run was killed: it has no end"}
	}
	return nil
}

// Lines writes the lines of the file as they are. As with Records, an *Incomplete error follows the last one if the run was killed.
func (r *Run) Lines(to io.Writer) error {
	source, err := r.open()
	if err != nil {
		return err
	}
	defer source.Close()
	out := bufio.NewWriterSize(to, 1<<16)
	lines, trailer := bufio.NewReaderSize(source, 1<<20), false
	for n := 1; ; n++ {
		text, err := readLine(lines)
		if ended(err) {
			return errors.Join(out.Flush(), incomplete(n, len(text) > 0, trailer))
		}
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		trailer = bytes.HasPrefix(text, []byte(`{"end":`))
		if _, err := out.Write(append(text, '\n')); err != nil {
			return err
		}
	}
}

// readLine returns a line without its end, valid until the next call; with io.EOF what follows the last end.
func readLine(r *bufio.Reader) ([]byte, error) {
	text, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) { // a long KRB5_TRACE
		long := bytes.Clone(text)
		for errors.Is(err, bufio.ErrBufferFull) {
			text, err = r.ReadSlice('\n')
			long = append(long, text...)
		}
		text = long
	}
	return bytes.TrimSuffix(text, []byte("\n")), err
}

// Find returns the record of a cell. Only the lines that hold the ID are decoded.
func (r *Run) Find(id string) (*Record, error) {
	source, err := r.open()
	if err != nil {
		return nil, err
	}
	defer source.Close()
	quoted, err := json.Marshal(id)
	if err != nil {
		return nil, err
	}
	quoted = append([]byte(`"id":`), quoted...)
	for lines := bufio.NewReaderSize(source, 1<<20); ; {
		text, err := readLine(lines)
		if ended(err) {
			return nil, fmt.Errorf("no record of %s in run %s", id, r.Header.Run)
		}
		if err != nil {
			return nil, err
		}
		if !bytes.Contains(text, quoted) {
			continue
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, err
		}
		if l.Record != nil && l.Record.ID == id {
			l.Record.About = r.about[l.Record.Scenario]
			return l.Record, nil
		}
	}
}

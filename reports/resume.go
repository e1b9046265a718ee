package reports

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Resume opens a run's file for more records. Its whole frames stay as they are. The lines of a frame that has no end, because the run was killed, are written
// anew in a frame that has one; half a line is dropped. The file is replaced by a rename: a process that is killed here loses nothing.
func Resume(saved *Run, r Resumption) (*os.File, *Writer, error) {
	writer := &Writer{cells: saved.Header.Cells, written: make(map[string]bool, saved.Header.Cells), counts: verdict.Counts{}}
	trailer, err := saved.scan(decodeBrief, func(record *Record) bool {
		writer.written[record.ID] = true
		writer.counts[record.Verdict.Status]++
		return true
	})
	var killed *Incomplete
	if err != nil && !errors.As(err, &killed) {
		return nil, nil, err
	}
	if trailer != nil {
		writer.resumed = trailer.Resumed
	}
	r.Cells = len(writer.written)
	writer.resumed = append(writer.resumed, r)
	data, err := os.ReadFile(saved.Path)
	if err != nil {
		return nil, nil, err
	}
	whole := wholeFrames(data)
	lines, err := wholeLines(data[whole:])
	if err != nil {
		return nil, nil, fmt.Errorf("%s: what follows its whole frames: %w", saved.Path, err)
	}
	file, err := os.CreateTemp(filepath.Dir(saved.Path), "."+FileName+"-*")
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(writer.begin(file, data[:whole], lines, r), file.Chmod(0o644), file.Sync()); err != nil {
		return nil, nil, errors.Join(err, file.Close(), os.Remove(file.Name()))
	}
	if err := os.Rename(file.Name(), saved.Path); err != nil {
		return nil, nil, errors.Join(err, file.Close(), os.Remove(file.Name()))
	}
	return file, writer, nil
}

// begin writes what the file had and the line that says who goes on.
func (w *Writer) begin(to io.Writer, frames, lines []byte, r Resumption) (err error) {
	if _, err := to.Write(frames); err != nil {
		return err
	}
	if w.out, err = newCompressor(to); err != nil {
		return err
	}
	if _, err := w.out.Write(lines); err != nil {
		return err
	}
	if err := w.line(line{Resumption: &r}); err != nil {
		return err
	}
	return w.out.Flush()
}

// wholeFrames is the length of the frames of data that have an end (RFC 8878, 3.1.1).
func wholeFrames(data []byte) int {
	const rle = 1 // a block type: one byte, repeated
	whole := 0
	for {
		rest := data[whole:]
		var h zstd.Header
		if h.Decode(rest) != nil || h.Skippable {
			return whole
		}
		at, last := h.HeaderSize, false
		for !last {
			if at+3 > len(rest) {
				return whole
			}
			block := int(rest[at]) | int(rest[at+1])<<8 | int(rest[at+2])<<16
			size := block >> 3
			if block>>1&3 == rle {
				size = 1
			}
			last = block&1 == 1
			at += 3 + size
		}
		if h.HasCheckSum {
			at += 4
		}
		if at > len(rest) {
			return whole
		}
		whole += at
	}
}

// wholeLines are the lines of a frame that has no end, as far as they are whole.
func wholeLines(frame []byte) ([]byte, error) {
	if len(frame) == 0 {
		return nil, nil
	}
	source, err := decompressed(io.NopCloser(bytes.NewReader(frame)))
	if err != nil {
		return nil, err
	}
	defer source.Close()
	var lines []byte
	for in := bufio.NewReader(source); ; {
		text, err := in.ReadBytes('\n')
		if ended(err) {
			return lines, nil
		}
		if err != nil {
			return nil, err
		}
		lines = append(lines, text...)
	}
}

package reports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every format draws a run that fails, one that was interrupted, one that was killed and an empty one, and names the run
// and the cell that fails.
func TestEveryFormatRenders(t *testing.T) {
	whole := lines(t, everyStatus(t, whole))
	interrupted := everyStatus(t, Trailer{Interrupted: "interrupt", NotReached: map[string]int{"tickets/spn": 4}})
	var empty bytes.Buffer
	w, err := NewWriter(&empty, sampleHeader(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(Trailer{End: sampleStart}); err != nil {
		t.Fatal(err)
	}
	const failing = "negotiation/both-enabled/pg17/hba=wide/libpq17/sslmode=require,n=1"
	for _, f := range Formats {
		for name, tt := range map[string]struct {
			file []byte
			want []string
		}{
			"whole":       {whole, []string{"r7f3a", failing}},
			"interrupted": {interrupted, []string{"r7f3a", failing, "interrupt"}},
			"killed":      {whole[:len(whole)-3000], []string{"r7f3a", failing, "killed"}},
			"empty":       {empty.Bytes(), []string{"r7f3a"}},
		} {
			t.Run(f.Name+"/"+name, func(t *testing.T) {
				v := view(t, opened(t, tt.file))
				text := string(draw(t, func(w io.Writer) error { return f.Render(w, v, Options{}) }))
				for _, want := range tt.want {
					if f.Name == "csv" && name == "empty" {
						want = "run,id,status," // no cell, no row
					}
					if !strings.Contains(text, want) {
						t.Errorf("no %q in:\n%s", want, text)
					}
				}
				if again := string(draw(t, func(w io.Writer) error { return f.Render(w, v, Options{}) })); again != text {
					t.Error("drawn twice from one view, the reports differ")
				}
				full := errors.New("no space left on device")
				if err := f.Render(writerFunc(func([]byte) (int, error) { return 0, full }), v, Options{}); !errors.Is(err, full) {
					t.Errorf("a full disk: %v", err)
				}
			})
		}
	}
}

func TestFormatsTable(t *testing.T) {
	names, files := map[string]bool{}, map[string]bool{}
	for _, f := range Formats {
		if f.Name == "" || f.Meaning == "" || f.Render == nil || names[f.Name] || f.File != "" && files[f.File] || f.File == FileName {
			t.Errorf("%+v", f)
		}
		names[f.Name], files[f.File] = true, true
		if found, ok := FormatByName(f.Name); !ok || found.File != f.File {
			t.Errorf("FormatByName(%s): %+v, %t", f.Name, found, ok)
		}
		if !strings.Contains(FormatNames(), f.Name) {
			t.Errorf("%s is not in %q", f.Name, FormatNames())
		}
	}
	if _, ok := FormatByName("pdf"); ok {
		t.Error("there is a format pdf")
	}
	if !files[SummaryFile] {
		t.Errorf("no format has the file %s", SummaryFile)
	}
}

var tableInDocs = regexp.MustCompile(`(?s)(<!-- made from the code: formats -->\n).*?(<!-- end -->)`)

// The table in the documentation is that of the code; -update writes it.
func TestDocsListTheFormats(t *testing.T) {
	const path = "../docs/reports.md"
	docs, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	table := "| format | file of every run | content |\n|---|---|---|\n"
	for _, f := range Formats {
		file := "–"
		if f.File != "" {
			file = "`" + f.File + "`"
		}
		table += fmt.Sprintf("| `%s` | %s | %s |\n", f.Name, file, f.Meaning)
	}
	want := tableInDocs.ReplaceAll(docs, []byte("${1}"+table+"${2}"))
	if !bytes.Contains(want, []byte(table)) {
		t.Fatalf("%s has no place for the formats", path)
	}
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(docs, want) {
		t.Errorf("%s does not list the formats of this package; go test ./reports -update writes it", path)
	}
}

func TestWriteFiles(t *testing.T) {
	for name, end := range map[string]Trailer{"whole": whole, "interrupted": {Interrupted: "interrupt", NotReached: map[string]int{"tickets/spn": 4}}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			v := view(t, opened(t, everyStatus(t, end)))
			paths, err := WriteFiles(dir, v, Options{Color: true})
			if err != nil {
				t.Fatal(err)
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) != len(paths) || len(paths) == 0 {
				t.Errorf("wrote %v, and the folder holds %v", paths, entries)
			}
			for _, f := range Formats {
				if f.File == "" {
					continue
				}
				text, err := os.ReadFile(filepath.Join(dir, f.File))
				if err != nil {
					t.Fatal(err)
				}
				if want := draw(t, func(w io.Writer) error { return f.Render(w, v, Options{}) }); !bytes.Equal(text, want) {
					t.Errorf("%s is not what %s draws without colour", f.File, f.Name)
				}
			}
		})
	}
}

// A report that cannot be written leaves the one that was there, and nothing else.
func TestAFailureLeavesTheOldReport(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "junit.xml")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("cannot be drawn")
	if err := WriteFile(path, func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, broken)
	}); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "old" {
		t.Errorf("%q, %v", text, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

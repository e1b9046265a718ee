package pack

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/scenarios"
)

// builtIn finds a cell of a built-in scenario.
func builtIn(t *testing.T, id string) *matrix.Cell {
	t.Helper()
	all, err := matrix.Load(scenarios.Files)
	if err != nil {
		t.Fatal(err)
	}
	cells, err := matrix.ExpandSelected(all, matrix.Selection{Patterns: []string{id}})
	i := slices.IndexFunc(cells, func(c matrix.Cell) bool { return c.ID == id })
	if err != nil || i < 0 {
		t.Fatalf("%s: no such cell among %d: %v", id, len(cells), err)
	}
	return &cells[i]
}

// unpack packs a cell and unpacks it elsewhere, with the program that a receiver has.
func unpack(t *testing.T, c *matrix.Cell) (folder string) {
	t.Helper()
	files, err := Files(subject(t, c))
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := Write(&archive, "cell", files, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tar := exec.Command("tar", "-xz", "-C", dir)
	tar.Stdin = &archive
	if out, err := tar.CombinedOutput(); err != nil {
		t.Fatalf("tar: %s %v", out, err)
	}
	return filepath.Join(dir, "cell")
}

// What an archive says on a machine with Docker is what was predicted, and a server that does something else is noticed.
func TestUnpacked(t *testing.T) {
	livetest.NeedsContainers(t)
	const gss = "negotiation/hostgssenc-alone/pg17/ssl=on/libpq17/ticket=valid,gssencmode=require,sslmode=disable,sslnegotiation=postgres"
	// No registry may answer here. The KDC's image is that of PostgreSQL 17 under another name.
	if _, err := pgimages.Ensure(t.Context(), []pgimages.Spec{pgimages.KDC()}, nil); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, cell string
		change     map[string]string // of files of the archive
		status     int
		says       []string
	}{
		{name: "GSS encryption", cell: gss, says: []string{"end connected connected", "channel gss gss", "method trust trust", "rule pg_hba.conf:1 pg_hba.conf:1", "AGREES with the prediction"}},
		{
			name: "a client's certificate", cell: "clientcert/faults/pg17/servercrl=none/libpq17/user=alice,sslmode=require,cert=good",
			says: []string{"channel tls tls", "method cert cert", "identity CN=alice CN=alice", "role alice alice", "AGREES with the prediction"},
		},
		{
			name: "another server", cell: gss, change: map[string]string{"server/conf/pg_hba.conf": "hostgssenc all all all reject\n"}, status: 1,
			says: []string{"end connected refused", "pg_hba.conf rejects connection", "DIFFERS from the prediction: end channel role method rule"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := builtIn(t, tt.cell)
			folder := unpack(t, c)
			for name, text := range tt.change {
				if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			run := exec.Command(filepath.Join(folder, "run.sh"))
			out, err := run.CombinedOutput()
			if status := run.ProcessState.ExitCode(); status != tt.status {
				t.Errorf("run.sh ended with status %d (%v), want %d", status, err, tt.status)
			}
			said := strings.Join(strings.Fields(string(out)), " ")
			for _, want := range tt.says {
				if !strings.Contains(said, want) {
					t.Errorf("run.sh does not say %q:\n%s", want, out)
				}
			}
		})
	}
}

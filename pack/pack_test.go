package pack

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/scenarios"
)

// subject is what an archive of a cell is made of.
func subject(t *testing.T, c *matrix.Cell) Subject {
	t.Helper()
	p, err := oracle.Predict(c)
	if err != nil {
		t.Fatalf("%s: %v", c.ID, err)
	}
	return Subject{Cell: c, Question: "q?", Prediction: p, Explanation: "because\n"}
}

func textOf(files []File, name string) string {
	i := slices.IndexFunc(files, func(f File) bool { return f.Name == name })
	if i < 0 {
		return ""
	}
	return string(files[i].Data)
}

// Of each scenario cells in several worlds are packed, or refused by a limit: nothing else can go wrong with a cell.
func TestScenarios(t *testing.T) {
	all, err := matrix.Load(scenarios.Files)
	if err != nil {
		t.Fatal(err)
	}
	var cells []matrix.Cell
	for _, s := range all {
		every := s.Expand()
		for i := 0; i < len(every); i += max(1, len(every)/60) {
			cells = append(cells, every[i])
		}
	}
	const each = 3 // worlds of a scenario
	met, packed, tried := map[string]int{}, 0, map[string][]string{}
	for i := range cells {
		c := &cells[i]
		limit := slices.IndexFunc(limits, func(l limit) bool { return l.why(c) != "" })
		if limit >= 0 {
			met[limits[limit].name]++
			continue
		}
		key := c.World.Key()
		if len(tried[c.Scenario]) == each || slices.Contains(tried[c.Scenario], key) {
			continue
		}
		tried[c.Scenario] = append(tried[c.Scenario], key)
		files, err := Files(subject(t, c))
		if refused := (*CannotError)(nil); errors.As(err, &refused) && strings.Contains(err.Error(), "cannot be written into a configuration file of OpenSSL") {
			met["certificate's name"]++
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.ID, err)
			continue
		}
		packed++
		check(t, c, files)
	}
	for _, l := range limits {
		if met[l.name] == 0 && l.name != "kind of realm" { // there is one kind
			t.Errorf("no cell meets the limit %q", l.name)
		}
	}
	if packed < 200 {
		t.Errorf("only %d worlds were packed", packed)
	}
	t.Logf("%d worlds; cells that meet a limit: %v", packed, met)
}

// check wants the files to be whole, and without secrets.
func check(t *testing.T, c *matrix.Cell, files []File) {
	t.Helper()
	for _, f := range files {
		text := string(f.Data)
		if strings.Contains(text, "{{") || strings.Contains(text, "<no value>") || strings.Contains(text, "PRIVATE KEY-") {
			t.Errorf("%s: %s has what it must not have:\n%s", c.ID, f.Name, text)
		}
		if path.Clean(f.Name) != f.Name || path.IsAbs(f.Name) || strings.HasPrefix(f.Name, "..") {
			t.Errorf("%s: file %q", c.ID, f.Name)
		}
	}
	for name, want := range map[string]string{"server/conf/pg_hba.conf": c.World.HBA, "server/conf/pg_ident.conf": c.World.Ident} {
		if got := textOf(files, name); got != want {
			t.Errorf("%s: %s is %q, want %q", c.ID, name, got, want)
		}
	}
	for line := range strings.Lines(textOf(files, "server/roles.sql")) {
		if _, word, found := strings.Cut(line, " PASSWORD "); found && word != "'@PASSWORD@';\n" {
			t.Errorf("%s: a password in %s", c.ID, line)
		}
	}
	if !strings.Contains(textOf(files, "README.md"), c.ID) || !strings.HasPrefix(textOf(files, "expected/outcome"), "end ") {
		t.Errorf("%s: README.md or expected/outcome is not that of the cell", c.ID)
	}
}

// cell makes the cells of a scenario and gives the first.
func cell(t *testing.T, world, client string) *matrix.Cell {
	t.Helper()
	s, err := matrix.Parse("pack/cell.yaml", []byte("question: q?\nworld:\n"+world+"client:\n"+client))
	if err != nil {
		t.Fatal(err)
	}
	return &s.Expand()[0]
}

const trust = "  server: 17\n  hba: |\n    host all all all trust\n"

func TestFiles(t *testing.T) {
	for _, tt := range []struct {
		what, world, client string
		has, hasNot         map[string]string // a text by the file
	}{
		{"a plain cell", trust, "  library: libpq17\n  user: alice\n", map[string]string{
			"expected/outcome":               "end connected\nchannel tls\nrole alice\nmethod trust\nidentity \nrule pg_hba.conf:1\n",
			"client/psql.sh":                 `exec psql -X -w "$@" -d "host=pg.example.test user=alice dbname=postgres sslrootcert=/pgam/client/root-right.crt"`,
			"README.md":                      "The cell's client is libpq17, the library",
			"run.sh":                         "start server pgauthmatrix/suite-trixie:",
			"compose.yaml":                   "build: ./images/suite-trixie",
			"server/roles.sql":               `CREATE ROLE "alice" LOGIN;`,
			"server/arguments":               "-c config_file=/pgam/conf/postgresql.conf",
			"kdc/realm-0.sh":                 "addprinc -randkey \"postgres/pg.example.test\"",
			"images/suite-trixie/Dockerfile": `ARG BASE="debian:trixie-slim"`,
		}, map[string]string{"client/profile": "PGPASSWORD", "run.sh": "--add-host", "server/start.sh": "/pack/server/before"}},
		{"two images", strings.Replace(trust, "17", "13", 1), "  library: psql18\n  user: alice\n", map[string]string{
			"run.sh": "suite-forky", "compose.yaml": "suite-bullseye", "expected/outcome": "end connected\nchannel tls\nrole alice\n", "client/profile": "/usr/lib/postgresql/18/bin",
		}, map[string]string{"expected/outcome": "rule", "README.md": "the library"}},
		{"a wrong password", "  server: 17\n  roles: [{name: alice, password: md5}]\n  hba: |\n    host all all all md5\n", "  library: libpq17\n  user: alice\n  password: wrong\n", map[string]string{
			"client/profile": `export PGPASSWORD="$(cat /pgam/client/wrong-password)"`, "expected/outcome": "end refused\nreason password\nrule pg_hba.conf:1\n",
			"expected/server-words": `28P01 password authentication failed`,
		}, nil},
		{"a host that refuses", trust, "  library: libpq17\n  user: alice\n  hosts: dead-first\n", map[string]string{"run.sh": "--add-host dead.example.test:127.0.0.1", "compose.yaml": `"dead.example.test:127.0.0.1"`}, nil},
		{"an address for a name", trust, "  library: libpq17\n  user: alice\n  hostname: address\n", map[string]string{"client/psql.sh": "host=127.0.0.1 user=alice dbname=postgres sslrootcert=/pgam/client/root-right.crt hostaddr=$(getent ahostsv4 pg.example.test"}, nil},
		{"an encrypted key", trust, "  library: libpq17\n  user: alice\n  cert: good\n  key: encrypted\n  sslpassword: wrong\n", map[string]string{
			"client/psql.sh": "sslpassword=$(cat /pgam/client/wrong-passphrase)", "kdc/pki.sh": "-v2 aes-256-cbc",
		}, nil},
		{"rules that are loaded into a running server", "  server: 17\n  load: reload\n  hba: |\n    hots all all all trust\n", "  library: libpq17\n  user: alice\n", map[string]string{
			"server/start.sh": "install_files /pack/server/before", "README.md": "`server/before/`",
		}, nil},
	} {
		files, err := Files(subject(t, cell(t, tt.world, tt.client)))
		if err != nil {
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		for name, text := range tt.has {
			if got := textOf(files, name); !strings.Contains(got, text) {
				t.Errorf("%s: %s has no %q:\n%s", tt.what, name, text, got)
			}
		}
		for name, text := range tt.hasNot {
			if got := textOf(files, name); strings.Contains(got, text) {
				t.Errorf("%s: %s has %q:\n%s", tt.what, name, text, got)
			}
		}
		for _, f := range files {
			if path.Ext(f.Name) == ".sh" || path.Base(f.Name) == "profile" {
				check := exec.Command("sh", "-n")
				check.Stdin = bytes.NewReader(f.Data)
				if out, err := check.CombinedOutput(); err != nil {
					t.Errorf("%s: %s is no script: %s %v", tt.what, f.Name, out, err)
				}
			}
		}
	}
}

func TestCannot(t *testing.T) {
	for why, c := range map[string]*matrix.Cell{
		"the client is pgx, and the archive's is psql": cell(t, trust, "  library: pgx\n  user: alice\n"),
		"the attack strip is made by":                  cell(t, trust, "  library: libpq17\n  user: alice\n  attack: strip\n  sslmode: prefer\n"),
		"its session is kept open":                     cell(t, trust+"  load: reload\n", "  library: libpq17\n  user: alice\n  opened: before\n"),
		"the harness puts the paths of files":          cell(t, strings.Replace(trust, "17", "19", 1)+"  settings: {ssl_sni: on}\n", "  library: libpq17\n  user: alice\n"),
		"its server has other files for TLS":           cell(t, trust+"  load: reload\n  tls_files: no-key\n", "  library: libpq17\n  user: alice\n"),
		"libpq 13 has no sslnegotiation":               cell(t, trust, "  library: [libpq13, libpq17]\n  user: alice\n  sslnegotiation: direct\n  sslmode: require\n"),
	} {
		_, err := Files(Subject{Cell: c})
		if refused := (*CannotError)(nil); !errors.As(err, &refused) || !strings.Contains(err.Error(), "cannot be packed: "+why) {
			t.Errorf("error %v, want %s", err, why)
		}
	}
}

func TestWrite(t *testing.T) {
	images, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = images.Close() }()
	if _, err := images.WriteString("images"); err != nil {
		t.Fatal(err)
	}
	if _, err := images.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := Write(&archive, "a", []File{{"run.sh", []byte("x")}, {"images/s/prepare", nil}, {"server/conf/pg_hba.conf", []byte("y")}}, images, time.Now()); err != nil {
		t.Fatal(err)
	}
	unzipped, err := gzip.NewReader(&archive)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, h.Name+" "+h.FileInfo().Mode().String()+" "+string(data))
	}
	want := []string{"a/run.sh -rwxr-xr-x x", "a/images/s/prepare -rwxr-xr-x ", "a/server/conf/pg_hba.conf -rw-r--r-- y", "a/images.tar -rw-r--r-- images"}
	if !slices.Equal(got, want) {
		t.Errorf("the archive has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	long := &matrix.Cell{ID: "a/b/pg17/user=it's," + strings.Repeat("x", 200)}
	if name := NameOf(long); len(name) > 150 || !strings.HasPrefix(name, "a-b-pg17-user=it-s-xxx") {
		t.Errorf("name %q", name)
	}
}

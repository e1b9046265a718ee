package matrix

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoadDriver(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "driver.py")
	if err := os.WriteFile(program, []byte("#!/usr/bin/python3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "mine.yaml")
	for _, test := range []struct {
		name, text string
		want       *Driver
		err        string // FILE stands for the path, DIR for its folder
	}{
		{"a command", "name: mine\ncommand: driver.py\noptions: [sslmode, root]\nlike: libpq18\n", &Driver{Name: "mine", Command: program, Options: []string{"sslmode", "root"}, Like: "libpq18"}, ""},
		{"an image", "{name: my-driver_2.0, image: 'registry.example/d:1', options: [], like: pgx}\n", &Driver{Name: "my-driver_2.0", Image: "registry.example/d:1", Like: "pgx"}, ""},
		{"a command in an image", "{name: mine, image: i, command: " + program + ", options: [sslmode], like: psql17}\n", &Driver{Name: "mine", Image: "i", Command: program, Options: []string{"sslmode"}, Like: "psql17"}, ""},
		{"a list", "- name: mine\n", nil, "FILE:1:1: the file is a list; want a mapping"},
		{"empty", "", nil, "FILE:1:1: the file is empty; see docs/scenarios.md for an example to start from"},
		{"nothing but a name", "name: mine\n", nil, "FILE:1:1: the driver has no options; want name, options, like, and image or command\n" +
			"FILE:1:1: the driver has no like; want name, options, like, and image or command\n" +
			"FILE:1:1: the driver has neither image nor command; name the image that has the driver program, or the program to put into the client image of like"},
		{"keys", "name: mine\nimage: i\noption: [sslmode]\noptions: []\nlike: pgx\n", nil, `FILE:3:1: unknown key "option" of a driver; did you mean "options"?`},
		{"a key twice", "name: mine\nimage: i\nname: yours\noptions: []\nlike: pgx\n", nil, `FILE:3:1: key "name" is there twice; keep this one or the one in line 1`},
		{"a name with a slash", "{name: my/driver, image: i, options: [], like: pgx}\n", nil, `FILE:1:8: name "my/driver" cannot be in the ID of a cell; want a lower-case letter and up to 39 letters, digits, dots, underscores and hyphens`},
		{"the name of a client", "{name: libpq18, image: i, options: [], like: pgx}\n", nil, "FILE:1:8: libpq18 is a client of the matrix; want a name that no client has"},
		{"no such program", "{name: mine, command: other.py, options: [], like: pgx}\n", nil, "FILE:1:23: the program cannot be read: stat DIR/other.py: no such file or directory; want the path of one file, relative to this one"},
		{"a folder", "{name: mine, command: ., options: [], like: pgx}\n", nil, "FILE:1:23: DIR is not a regular file; want the path of one file, relative to this one"},
		{"options", "{name: mine, image: i, options: [sslmod, sslmode, sslmode, [x], user], like: pgx}\n", nil, `FILE:1:34: "sslmod" is not an option; did you mean "sslmode"?` + "\n" +
			`FILE:1:51: option "sslmode" is there twice; leave one of them out` + "\n" +
			"FILE:1:60: an option is a list; want text\n" +
			`FILE:1:65: "user" is not an option; want ` + orList(DriverOptions())},
		{"options as text", "{name: mine, image: i, options: sslmode, like: pgx}\n", nil, "FILE:1:33: options is text; want a list"},
		{"like nothing", "{name: mine, image: i, options: [], like: libqp18}\n", nil, `FILE:1:43: there is no client "libqp18" to be like; did you mean "libpq18"?`},
		{"like the raw client", "{name: mine, image: i, options: [], like: raw}\n", nil, `FILE:1:43: there is no client "raw" to be like; `},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := LoadDriver(path)
			want := strings.NewReplacer("FILE", path, "DIR", dir).Replace(test.err)
			if test.err == "" && err != nil || !strings.HasPrefix(errorText(err), want) || !strings.HasSuffix(test.err, "; ") && errorText(err) != want {
				t.Errorf("%q, want %q", errorText(err), want)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := LoadDriver(filepath.Join(dir, "none.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// A driver has the cells of the client that it is like, under its own name, and what it does not understand is not applicable.
func TestDriverCells(t *testing.T) {
	s := load(t, `question: What does it do?
world: {server: [17, 18], hba: "host all all all trust\n"}
client:
  library: [libpq18, pgx]
  gssencmode: [disable, prefer]
  sslmode: [disable, require]
  root: [right, none]
`)
	cells := s.Expand()
	d := &Driver{Name: "mine", Options: []string{"sslmode"}, Like: "libpq18"}
	own := d.Cells(cells)
	if len(own) != len(cells)/2 {
		t.Fatalf("%d of %d cells", len(own), len(cells))
	}
	applicable := 0
	for i := range own {
		c := &own[i]
		if !strings.Contains(c.ID, "/mine/") || strings.Contains(c.ID, "libpq18") || c.Client.Library != "libpq18" || c.Value("library") != "mine" {
			t.Errorf("%s: library %s, on the axis %s", c.ID, c.Client.Library, c.Value("library"))
		}
		if !MatchID("negotiation/**/libpq18", d.Pattern("negotiation/**/mine")) {
			t.Errorf("the pattern becomes %s", d.Pattern("negotiation/**/mine"))
		}
		want := ""
		switch {
		case c.Client.GSSEncMode == "prefer":
			want = "mine does not understand gssencmode=prefer"
		case c.Client.Root == "right":
			want = "mine does not understand root=right"
		default:
			applicable++
		}
		if got := NotApplicable(c); got != want {
			t.Errorf("%s: %q, want %q", c.ID, got, want)
		}
	}
	if applicable != 4 {
		t.Errorf("%d cells are applicable, want 4", applicable)
	}
	if again := d.Cells(own); len(again) != 0 {
		t.Errorf("the driver's cells are taken for those of libpq18: %s", again[0].ID)
	}
	for i := range cells {
		if cells[i].Client.Driver != nil {
			t.Fatalf("%s was changed", cells[i].ID)
		}
	}
}

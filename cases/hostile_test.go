package cases

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

const oneRecord = "host all all 10.0.0.0/8 scram-sha-256\n"

// hostile are folders that somebody sends who means no good, or who sends what lies about. Each is an error that names the file, or is read as data.
var hostile = []struct {
	name string
	make func(t *testing.T, dir string)
	want string // in the error; empty: the folder is read
}{
	{"include of a file outside", files("pg_hba.conf", "include ../../etc/passwd\n"), "../../etc/passwd"},
	{"include of an absolute path", files("pg_hba.conf", "include /etc/passwd\n"), "/etc/passwd"},
	{"include_dir outside", files("pg_hba.conf", "include_dir ../secret\n"), "../secret"},
	{"names of a file outside", files("pg_hba.conf", "host all @../secret/key all trust\n"), "../secret/key"},
	{"map of a file outside", files("pg_hba.conf", oneRecord, "pg_ident.conf", "include ../secret/key\n"), "../secret/key"},
	{"settings of a file outside", files("pg_hba.conf", oneRecord, "postgresql.conf", "include '../secret/key'\n"), "postgresql.conf:1"},
	{"settings of a directory outside", files("pg_hba.conf", oneRecord, "postgresql.conf", "include_dir '/etc'\n"), "postgresql.conf:1"},
	{"link to a file outside", link("pg_hba.conf", "../secret/key"), "pg_hba.conf"},
	{"absolute link", link("pg_hba.conf", "/etc/passwd"), "pg_hba.conf"},
	{"link to a device", link("pg_hba.conf", "/dev/zero"), "pg_hba.conf"},
	{"link to itself", link("pg_hba.conf", "pg_hba.conf"), "pg_hba.conf"},
	{"included link to a file outside", and(files("pg_hba.conf", "include more.conf\n"), link("more.conf", "../secret/key")), "more.conf"},
	{"directory that is a link", and(files("pg_hba.conf", "include_dir conf.d\n"), link("conf.d", "../secret")), "conf.d"},
	{"advised is a link", and(files("pg_hba.conf", oneRecord), link("advised", "../secret")), "advised"},
	{"case.yaml is a link", and(files("pg_hba.conf", oneRecord), link("case.yaml", "../secret/key")), "case.yaml"},
	{"log is a link", and(files("pg_hba.conf", oneRecord), link("server.log", "../secret/key")), "server.log"},
	{"a file of a gigabyte", sized("pg_hba.conf", 1<<30), "pg_hba.conf has 1073741824 bytes; at most 1048576 are read"},
	{"a log of a gigabyte", and(files("pg_hba.conf", oneRecord), sized("server.log", 1<<30)), "server.log has 1073741824 bytes"},
	{"FIFO", fifo("pg_hba.conf"), "pg_hba.conf is no regular file"},
	{"FIFO among the settings", and(files("pg_hba.conf", oneRecord), fifo("postgresql.conf")), "postgresql.conf is no regular file"},
	{"FIFO in a directory", and(files("pg_hba.conf", "include_dir conf.d\n", "conf.d/1.conf", oneRecord), fifo("conf.d/2.conf")), "conf.d/2.conf is no regular file"},
	{"a directory in place of a file", files("pg_hba.conf/x", oneRecord), "pg_hba.conf is no regular file"},
	{"binary junk", files("pg_hba.conf", "\x7fELF\x02\x01\x01\x00\x00\xff\xfe"), "pg_hba.conf:1:1: the file has a byte 0"},
	{"binary junk in case.yaml", files("pg_hba.conf", oneRecord, "case.yaml", "\xff\xfe\x01"), "case.yaml:1:1"},
	{"no file", files("README", "x"), "there is no pg_hba.conf"},
	{"empty rules", files("pg_hba.conf", " \n"), "pg_hba.conf is empty"},
	{"ten thousand includes", func(t *testing.T, dir string) {
		var b strings.Builder
		for i := range 10_000 {
			name := fmt.Sprintf("f%05d.conf", i)
			fmt.Fprintf(&b, "include %s\n", name)
			write(t, dir, name, oneRecord)
		}
		write(t, dir, "pg_hba.conf", b.String())
	}, "the rules include more than 1000 files"},
	{"includes in a circle", files("pg_hba.conf", "include a.conf\n", "a.conf", "include b.conf\n", "b.conf", "include a.conf\n"), ""},
	{"settings that include themselves", files("pg_hba.conf", oneRecord, "postgresql.conf", "include 'postgresql.conf'\n"), "more than 10 deep"},
	{"files that are large together", func(t *testing.T, dir string) {
		var b strings.Builder
		for i := range 20 {
			fmt.Fprintf(&b, "include f%d\n", i)
			write(t, dir, fmt.Sprintf("f%d", i), strings.Repeat("# 0123456789\n", 80_000))
		}
		write(t, dir, "pg_hba.conf", b.String())
	}, "more than 16777216 bytes"},
	{"shell text in names", files("pg_hba.conf", "host \"$(touch /tmp/x)\" \"'; DROP ROLE postgres; --\" 10.0.0.0/8 trust\nhost all \"`id`\" 10.0.0.0/8 trust\n",
		"case.yaml", "connections:\n- who: \"$(id)\"\n  user: \"'; DROP ROLE postgres; --\"\n  database: \"$(touch /tmp/x)\"\n  address: 10.1.1.1\n"), ""},
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func files(namesAndTexts ...string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		for i := 0; i < len(namesAndTexts); i += 2 {
			write(t, dir, namesAndTexts[i], namesAndTexts[i+1])
		}
	}
}

func and(all ...func(*testing.T, string)) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		for _, f := range all {
			f(t, dir)
		}
	}
}

func link(name, to string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func fifo(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func sized(name string, bytes int64) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		write(t, dir, name, "")
		if err := os.Truncate(filepath.Join(dir, name), bytes); err != nil {
			t.Fatal(err)
		}
	}
}

// What lies outside the folder has this in it; nothing that is said of a case may have it.
const secret = "host all all all trust # SECRET-OUTSIDE"

func TestHostileFolders(t *testing.T) {
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			around := t.TempDir()
			write(t, around, "secret/key", secret)
			write(t, around, "secret/1.conf", secret)
			dir := filepath.Join(around, "case")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			h.make(t, dir)
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = root.Close() }()
			c, err := Read(root.FS())
			switch {
			case h.want == "" && err != nil:
				t.Fatal(err)
			case h.want != "" && err == nil:
				t.Fatalf("it was read: %q %v", c.Server.HBA, c.Server.Files)
			case h.want != "" && !strings.Contains(err.Error(), h.want):
				t.Errorf("%v\nwant %s", err, h.want)
			}
			if err != nil && strings.Contains(err.Error(), "SECRET") {
				t.Errorf("it says what lies outside: %v", err)
			}
			if c != nil && strings.Contains(c.Server.HBA+fmt.Sprint(c.Server.Files), "SECRET") {
				t.Error("it has read what lies outside")
			}
			if entries, err := os.ReadDir(around); err != nil || len(entries) != 2 {
				t.Errorf("outside is now %v %v", entries, err)
			}
		})
	}
}

// Text that a shell, SQL or YAML would read is data: what a case.yaml is made from is read back as it was.
func TestTemplateQuotes(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pg_hba.conf", "host all \"+$(id): {a}\" 10.0.0.0/8 trust\nhost all \"+#x\" all scram-sha-256\n")
	write(t, dir, "server.log", `FATAL:  no pg_hba.conf entry for host "10.1.2.3", user "o'neill: $(id) \ # {", database "a b", SSL encryption`+"\n")
	c, err := Read(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, CaseFile, c.Template())
	if c, err = Read(os.DirFS(dir)); err != nil {
		t.Fatalf("%v\n%s", err, c.Template())
	}
	if k := c.Connections[0].Scenario.Expand()[0].Client; k.User != `o'neill: $(id) \ # {` || k.Database != "a b" || k.Address != "10.1.2.3" {
		t.Errorf("%+v", k)
	}
	if c.Connections[0].Seen.Outcome.Reason != matrix.NoHBAEntry {
		t.Errorf("%+v", c.Connections[0].Seen)
	}
}

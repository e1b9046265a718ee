package audit

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// server reads files by name; those that are not there are empty.
func server(t *testing.T, version int, files map[string]string) *Server {
	t.Helper()
	s, err := read(version, files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func read(version int, files map[string]string) (*Server, error) {
	fsys := fstest.MapFS{}
	var p Paths
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
		switch name {
		case "pg_hba.conf":
			p.HBA = name
		case "pg_ident.conf":
			p.Ident = name
		case "postgresql.conf":
			p.Conf = name
		case "krb5.conf":
			p.Krb5 = name
		}
	}
	return ReadServer(fsys, p, version)
}

func hba(t *testing.T, version int, text string) *Server {
	return server(t, version, map[string]string{"pg_hba.conf": text})
}

func TestReadServer(t *testing.T) {
	s := server(t, 17, map[string]string{
		"pg_hba.conf":       "include_dir conf.d\nhost all @admins all reject\n",
		"admins":            "alice, @more\n",
		"more":              "bob\n",
		"conf.d/10.conf":    "include ../deeper/x.conf\n",
		"conf.d/ignored":    "not read as rules\n",
		"deeper/x.conf":     "host all all 10.0.0.0/8 trust\n",
		"pg_ident.conf":     "include_if_exists nothing.conf\nm a b\n",
		"postgresql.conf":   "ssl = on\ninclude_if_exists 'none.conf'\ninclude_dir = 'pg.d'\n",
		"pg.d/a.conf":       "ssl = off\npassword_encryption = md5\n",
		"pg.d/.hidden.conf": "this is not read",
		"krb5.conf":         "[libdefaults]\n default_realm = CORP.TEST\n",
		"unrelated":         "x",
	})
	var names []string
	for _, f := range s.Files {
		names = append(names, f.Path)
	}
	if got, want := strings.Join(names, " "), "admins conf.d/10.conf conf.d/ignored deeper/x.conf more"; got != want {
		t.Errorf("files %s, want %s", got, want)
	}
	if w := s.World(); w.SSL != "off" || s.Realm != "CORP.TEST" || len(w.Settings) != 1 || w.Settings[0].Value != "md5" {
		t.Errorf("%+v", w)
	}
	for name, files := range map[string]map[string]string{
		"pg_hba.conf has 1048577 bytes; at most 1048576 are read":                             {"pg_hba.conf": strings.Repeat("#", maxFile+1)},
		"pg_hba.conf:2:1: the file has a byte 0: it is no text":                               {"pg_hba.conf": "x\n\x00"},
		"postgresql.conf:1: include: open other.conf: file does not exist":                    {"postgresql.conf": "include other.conf"},
		"postgresql.conf: files include one another more than 10 deep":                        {"postgresql.conf": "include postgresql.conf"},
		"cannot predict: pg_hba.conf: file \"../../etc/passwd\": only the files of the world": {"pg_hba.conf": "include ../../etc/passwd\n"},
	} {
		if _, err := read(17, files); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %s", err, name)
		}
	}
	if _, err := ReadServer(fstest.MapFS{"d/x": {}}, Paths{HBA: "d"}, 17); err == nil || !strings.Contains(err.Error(), "d is no regular file") {
		t.Error(err)
	}
	if _, err := ReadServer(fstest.MapFS{}, Paths{HBA: "pg_hba.conf"}, 17); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// A file that the rules name and that does not exist is the server's to complain of.
func TestMissingFile(t *testing.T) {
	s := hba(t, 17, "include more.conf\nhost all all all trust\n")
	_, err := s.Ask(Question{Conninfo: "host=db user=a", From: "10.0.0.1"})
	var wrong *oracle.RulesError
	if !errors.As(err, &wrong) || !strings.Contains(err.Error(), `could not open file "/pgam/conf/more.conf"`) && !strings.Contains(err.Error(), "more.conf") {
		t.Errorf("%v", err)
	}
}

package matrix

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// varied can be followed by lines under hba, world keys and a client.
const varied = `question: q
world:
  server: [17, 13]
  vary:
    record: [host, hostssl]
    clientcert: {none: "", ca: clientcert=verify-ca}
    quoted: [on, off]
    tail: ["", "# x, y"]
  settings:
    quote_all_identifiers: "{quoted}"
    work_mem: 4096
  ident: |
    m{2}  /^(.{2,3})$  {record}
  hba: |
    {record}  all  all  all  trust  {clientcert} {tail}
`

// TestVary: own axes are world axes, after those of the table, and their texts stand where {NAME} is.
func TestVary(t *testing.T) {
	s := load(t, varied+"client:\n  sslmode: [disable, require]\nexclude:\n  - {record: hostssl, sslmode: disable}\n  - {tail: '# x, y', quoted: off}\nexpect:\n  - when: {clientcert: ca, tail: none}\n    then: connected, hba:1\n")
	cells := s.Expand()
	if len(cells) != 2*3*2*3 {
		t.Errorf("%d cells", len(cells))
	}
	first, last := cells[0], cells[len(cells)-1]
	if want := "auth/case/pg17/record=host,clientcert=none,quoted=on,tail=none/libpq18/sslmode=disable"; first.ID != want {
		t.Errorf("first is %s, want %s", first.ID, want)
	}
	if want := "auth/case/pg13/record=hostssl,clientcert=ca,quoted=off,tail=none/libpq18/sslmode=require"; last.ID != want {
		t.Errorf("last is %s, want %s", last.ID, want)
	}
	byID := map[string]Cell{}
	for _, c := range cells {
		byID[c.ID] = c
	}
	c, ok := byID["auth/case/pg17/record=hostssl,clientcert=ca,quoted=on,tail=%23%20x%2C%20y/libpq18/sslmode=require"]
	if !ok {
		t.Fatal("no cell with an escaped value")
	}
	want := World{Server: 17, SSL: "on", ServerCert: "good", ServerCRL: "none", ServerCA: "right", Keytab: "good", TLSFiles: "good", IdentServer: "none",
		Vary: []Variation{{"record", "hostssl"}, {"clientcert", "ca"}, {"quoted", "on"}, {"tail", "# x, y"}},
		HBA:  "hostssl  all  all  all  trust  clientcert=verify-ca # x, y\n", Ident: "m{2}  /^(.{2,3})$  hostssl\n",
		Settings: []Setting{{"quote_all_identifiers", "on"}, {"work_mem", "4096"}}, Roles: s.Roles, Realms: s.Realms, Host: DefaultHost}
	if diff := cmp.Diff(&want, c.World); diff != "" {
		t.Error(diff)
	}
	if got := c.Value("clientcert"); got != "ca" || c.Expect != nil {
		t.Errorf("clientcert is %q, row %v", got, c.Expect)
	}
	if last.Expect == nil {
		t.Error("the row does not claim the last cell")
	}
	envs, worlds := map[string]bool{}, map[string]bool{}
	for _, c := range cells {
		envs[c.World.EnvKey()], worlds[c.World.Key()] = true, true
	}
	if len(envs) != 2*2 || len(worlds) != 2*2*2*3 { // a setting of its own is an Env of its own
		t.Errorf("%d envs and %d worlds", len(envs), len(worlds))
	}
	if names := strings.Join(c.World.OwnAxes(), " "); names != "record clientcert quoted tail" || len(c.World.Axes()) != len(Axes)+4 {
		t.Errorf("own axes are %s", names)
	}
}

// TestWithoutVaryTextsStay: braces mean themselves where nothing is declared.
func TestWithoutVaryTextsStay(t *testing.T) {
	const text = "host all \"{oh}\" samehost md5 # {record}\n"
	if got := load(t, "question: q\nworld:\n  hba: |\n    "+text).Expand()[0].World.HBA; got != text {
		t.Errorf("%q", got)
	}
	got := load(t, "question: q\nworld:\n  vary: {oh: {itself: \"{oh}\"}}\n  hba: |\n    "+strings.ReplaceAll(text, "record", "Record")).Expand()[0].World.HBA
	if want := strings.ReplaceAll(text, "record", "Record"); got != want {
		t.Errorf("%q", got)
	}
}

// TestSelectOwnAxes selects by pattern, by value and by coverage.
func TestSelectOwnAxes(t *testing.T) {
	scenarios, err := Load(fstest.MapFS{
		"auth/own.yaml":   {Data: []byte(varied + "client:\n  sslmode: all\n")},
		"auth/other.yaml": {Data: []byte(top + "client:\n  sslmode: all\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		selection Selection
		want      int
		err       string
	}{
		{"a value", Selection{Axes: []AxisValues{{"record", []string{"host"}}}}, 96, ""},
		{"values of two axes", Selection{Axes: []AxisValues{{"clientcert", []string{"ca", "none"}}, {"tail", []string{"none"}}, {"sslmode", []string{"require"}}}}, 16, ""},
		{"a pattern", Selection{Patterns: []string{"**/*clientcert=ca*/**"}}, 96, ""},
		{"a value that is not there", Selection{Axes: []AxisValues{{"clientcert", []string{"full"}}}}, 0, "no cell has clientcert=full; want ca or none"},
		{"an axis that no scenario has", Selection{Axes: []AxisValues{{"clientcerts", []string{"ca"}}}}, 0, `no axis "clientcerts"; did you mean "clientcert"?`},
		{"an axis of another scenario", Selection{Patterns: []string{"auth/other"}, Axes: []AxisValues{{"record", []string{"host"}}}}, 0, `no cell named auth/other has an axis record; want ` + orList(axisNames(""))},
	} {
		cells, err := ExpandSelected(scenarios, test.selection)
		if err == nil {
			cells, _, err = Select(cells, test.selection)
		}
		if len(cells) != test.want || errorText(err) != test.err {
			t.Errorf("%s: %d cells, %q, want %q", test.name, len(cells), errorText(err), test.err)
		}
	}
	pairs, coverage, err := Select(scenarios[1].Expand(), Selection{Strength: 2})
	if err != nil || coverage.Demanded != coverage.Covered {
		t.Fatal(err, coverage)
	}
	seen := map[string]bool{}
	for _, c := range pairs {
		seen[c.Value("record")+c.Value("clientcert")] = true
		seen[c.Value("tail")+c.Client.SSLMode] = true
	}
	if len(seen) != 2*2+2*6 {
		t.Errorf("%d pairs of %d: %v", len(seen), 16, seen)
	}
}

// TestFileBesideTheScenario: hba and ident read files of the scenario's folder, in memory and on disk.
func TestFileBesideTheScenario(t *testing.T) {
	const source = "question: q\nworld:\n  vary: {method: [trust, reject]}\n  hba:\n    theirs: {file: customer/pg_hba.conf}\n    mine: host all all all {method}\n  ident: {file: pg_ident.conf}\n"
	const hba = "# ours – since 2009\r\nhost all all all {method}"
	files := fstest.MapFS{
		"scenarios/auth/case.yaml":             {Data: []byte(source)},
		"scenarios/auth/customer/pg_hba.conf":  {Data: []byte(hba)},
		"scenarios/auth/pg_ident.conf":         {Data: []byte("m a b\n")},
		"scenarios/auth/customer/pg_hba2.conf": {Data: []byte("not read")},
	}
	scenarios, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	disk := t.TempDir()
	if err := os.CopyFS(disk, files); err != nil {
		t.Fatal(err)
	}
	onDisk, err := LoadFile(filepath.Join(disk, "scenarios/auth/case.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Scenario{scenarios[0], onDisk} {
		w := s.Expand()[1].World
		if s.Name != "auth/case" || w.HBAName != "theirs" || w.HBA != "# ours – since 2009\r\nhost all all all reject" || w.Ident != "m a b\n" {
			t.Errorf("%s: %+v", s.Name, w)
		}
	}
	// A link that leads out of the folder is no file beside the scenario.
	if err := os.WriteFile(filepath.Join(disk, "secret"), []byte("host all all all trust\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(disk, "scenarios/auth/pg_ident.conf")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../secret", filepath.Join(disk, "scenarios/auth/pg_ident.conf")); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFile(filepath.Join(disk, "scenarios/auth/case.yaml")); err == nil || !strings.Contains(err.Error(), "case.yaml:7:17: the file pg_ident.conf cannot be read: path escapes from parent; want") {
		t.Error(err)
	}
}

func TestMistakesInFilesBeside(t *testing.T) {
	const source = "question: q\nworld:\n  hba: {file: c/pg_hba.conf}\n"
	for _, test := range []struct{ name, source, file, want string }{
		{"missing", "question: q\nworld:\n  hba: {file: c/hba.conf}\n", "host all all all trust\n",
			"a/b.yaml:3:15: there is no file c/hba.conf in a; put it there, beside the scenario"},
		{"absolute", "question: q\nworld:\n  hba: {file: /etc/pg_hba.conf}\n", "",
			"a/b.yaml:3:15: /etc/pg_hba.conf is an absolute path; name the file from the folder of the scenario on, as in customer/pg_hba.conf"},
		{"outside", "question: q\nworld:\n  hba: host all all all trust\n  ident: {m: {file: ../x/pg_ident.conf}}\n", "",
			`a/b.yaml:4:21: "../x/pg_ident.conf" is no path below the folder of the scenario; put the file beside the scenario or in a folder there, and name it without . and .., as in customer/pg_hba.conf`},
		{"a folder", "question: q\nworld:\n  hba: {file: c}\n", "host all all all trust\n",
			"a/b.yaml:3:15: the file c cannot be read: invalid argument; want a file that can be read, in the folder of the scenario or below"},
		{"empty", source, " \n", "a/b.yaml:3:15: the file c/pg_hba.conf is empty; want at least one pg_hba.conf record"},
		{"typographic quotes", source, "# “fine here”\nlocal all all trust\nhost “all” all all trust\n",
			"a/c/pg_hba.conf:3:6: typographic quote (U+201C); write \""},
		{"no-break space", source, "host\u00a0all all all trust\n", "a/c/pg_hba.conf:1:5: no-break space (U+00A0); write a plain space or nothing"},
		{"byte order mark", source, "\ufeffhost all all all trust\n", "a/c/pg_hba.conf:1:1: invisible character (U+FEFF); write a plain space or nothing"},
		{"not UTF-8", source, "host all all all trust\n# \xe9\n", "a/c/pg_hba.conf:2:1: the line is not UTF-8; save the file as UTF-8"},
		{"a variable that is not declared", "question: q\nworld:\n  vary: {method: [trust, reject]}\n  hba: {file: c/pg_hba.conf}\n", "host all all all {method}\n# é {methods}\n",
			`a/c/pg_hba.conf:2:5: {methods} in c/pg_hba.conf, and vary declares no methods; did you mean "method"?; braces that mean themselves are a value of vary, too, as in brace: {only: "{methods}"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load(fstest.MapFS{"a/b.yaml": {Data: []byte(test.source)}, "a/c/pg_hba.conf": {Data: []byte(test.file)}})
			if diff := cmp.Diff(test.want, errorText(err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJudgeExpect(t *testing.T) {
	const source = top + "judge: expect\nclient:\n  sslmode: [disable, require]\n  library: [libpq18, pq]\n  require_auth: [default, none]\nexpect:\n  - when: {sslmode: disable}\n    then: connected plain\n  - when: {sslmode: require}\n    then: connected tls\n"
	cells := load(t, source).Expand()
	if len(cells) != 8 {
		t.Errorf("%d cells", len(cells))
	}
	for _, c := range cells {
		if !c.ByHand || c.Expect == nil {
			t.Errorf("%s: by hand %t, row %v", c.ID, c.ByHand, c.Expect)
		}
	}
	// A cell that no client can express needs no row.
	load(t, strings.Replace(source, "{sslmode: disable}", "{sslmode: disable, library: libpq18}\n    then: connected plain\n  - when: {sslmode: disable, library: pq, require_auth: default}", 1))
}

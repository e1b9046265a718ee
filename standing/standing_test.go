package standing

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/cases"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// cells are those of a scenario.
func cells(t *testing.T, world, client string) []matrix.Cell {
	t.Helper()
	s, err := matrix.Parse("up/case.yaml", []byte("question: q?\nworld:\n"+world+"  hba: |\n    host all all all trust\nclient:\n"+client))
	if err != nil {
		t.Fatal(err)
	}
	return s.Expand()
}

func TestChoose(t *testing.T) {
	for _, c := range []struct{ what, world, client, want, others string }{
		{"the default version before others", "  server: [13, 18, 19]\n", "  user: alice\n", "up/case/pg18/libpq18/user=alice", "2: up/case/pg19, up/case/pg13"},
		{"the newest where the default is not there", "  server: [13, 17]\n", "  library: [pgx, libpq17]\n", "up/case/pg17/pgx", "1: up/case/pg13"},
		{"defaults before other values", "  server: 17\n  ssl: [off, on]\n", "  library: [libpq13, libpq18]\n  sslmode: [require, default]\n", "up/case/pg17/ssl=on/libpq18/sslmode=default", "1: up/case/pg17/ssl=off"},
		{"what a client can express", "  server: 17\n", "  library: [libpq13]\n  sslnegotiation: [postgres, direct]\n  sslmode: require\n", "up/case/pg17/libpq13/sslmode=require,sslnegotiation=postgres", ""},
	} {
		all := cells(t, c.world, c.client)
		choice, err := Choose(all)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if got := choice.Cells[0].ID; got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
		for _, cell := range choice.Cells {
			if cell.World.Key() != choice.Cells[0].World.Key() || !strings.HasPrefix(cell.ID, choice.World()+"/") {
				t.Errorf("%s: %s is of another world than %s", c.what, cell.ID, choice.World())
			}
		}
		count, names, _ := strings.Cut(c.others, ": ")
		if text := choice.others(); text != "" && (!strings.Contains(text, names) || len(choice.Other) != int(count[0]-'0')) || text == "" && c.others != "" {
			t.Errorf("%s: others %q, want %s", c.what, text, c.others)
		}
	}
	all := cells(t, "  server: 17\n", "  library: [libpq13, libpq17]\n  sslnegotiation: direct\n  sslmode: require\n")
	if _, err := Choose(all[:1]); err == nil || !strings.Contains(err.Error(), "no client can express any of the 1 selected cells: libpq 13 has no sslnegotiation") {
		t.Errorf("nothing that a client can express: %v", err)
	}
}

func TestNames(t *testing.T) {
	for name, right := range map[string]bool{"a": true, "gss-17": true, "": false, "-a": false, "A": false, "a/b": false, "..": false, "a b": false, strings.Repeat("a", 42): false} {
		if err := checkName(name); (err == nil) != right {
			t.Errorf("%q: %v", name, err)
		}
	}
	long := matrix.Cell{Scenario: "family/" + strings.Repeat("a", 40) + "-bcd"}
	if name := NameOf(&long); checkName(name) != nil || strings.HasSuffix(name, "-") {
		t.Errorf("made of a long name: %q", name)
	}
}

func TestSheet(t *testing.T) {
	choice, err := Choose(cells(t, "  server: 17\n", "  user: \"it's $me\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := &sheet{name: "case", dir: "/home/me/the files", choice: choice, version: "17.1", host: "pg.example.test", published: netip.MustParseAddrPort("127.0.0.1:4711"),
		principals: []string{"it's $me"}, keytab: func(string) string { return "/pgam/client/k.keytab" }, caches: []string{"/pgam/client/valid.ccache", "/pgam/client/expired.ccache"},
		shown: []attempt{{cell: choice.Cells[0], request: agent.Attempt{Options: []agent.Option{{Name: "host", Value: "pg.example.test"}, {Name: "user", Value: "it's $me"}, {Name: "application_name", Value: "x"}, {Name: "connect_timeout", Value: "60"},
			{Name: "sslrootcert", Value: "/pgam/client/root-right.crt"}, {Name: "password", Value: "hunter2", Secret: true}, {Name: "sslpassword", Value: "hunter3", Secret: true}}}}}}
	const want = `
In the shell:
  kinit -k -t /pgam/client/k.keytab 'it'\''s $me'
  export KRB5CCNAME=/pgam/client/valid.ccache # in place of kinit
  export KRB5CCNAME=/pgam/client/expired.ccache # or
  psql "host=pg.example.test user='it\\'s \$me' sslrootcert=/pgam/client/root-right.crt sslpassword=$(cat /pgam/client/passphrase)"

From this machine (server 127.0.0.1:4711):
  export KRB5_CONFIG='/home/me/the files/krb5.conf' PGPASSFILE='/home/me/the files/pgpass'
  kinit -k -t '/home/me/the files/k.keytab' 'it'\''s $me'
  export KRB5CCNAME='/home/me/the files/valid.ccache' # in place of kinit
  export KRB5CCNAME='/home/me/the files/expired.ccache' # or
  psql "host=pg.example.test user='it\\'s \$me' sslrootcert='/home/me/the files/root-right.crt' sslpassword=$(cat '/home/me/the files/passphrase') hostaddr=127.0.0.1 port=4711"
`
	if got := s.text(); !strings.HasSuffix(got, want) {
		t.Errorf("the sheet ends with\n%s\nwant\n%s", got[max(0, strings.Index(got, "\nIn the shell")):], want)
	}
	if strings.Contains(s.text()+s.profile(), "hunter") {
		t.Error("a secret is on the sheet")
	}
}

// Every connection of a case is shown, from its address where a client in the containers can have it.
func TestSheetOfCase(t *testing.T) {
	c, err := cases.ReadAt(os.DirFS("../scenarios/customers/realm-cut-off-before-the-map"), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, advised := range []bool{false, true} {
		choice, err := OfCase(c, advised)
		if err != nil {
			t.Fatal(err)
		}
		family := cases.Reported
		if advised {
			family = cases.Advised
		}
		if !strings.HasPrefix(choice.World(), family+"/connection-1/") || !slices.Equal(choice.Who, []string{"alice from her laptop"}) {
			t.Errorf("advised %t: %s, %q", advised, choice.World(), choice.Who)
		}
		s := &sheet{name: "case", choice: choice, published: netip.MustParseAddrPort("127.0.0.1:4711"), shown: []attempt{{who: "alice\nfrom her laptop", cell: choice.Cells[0],
			request: agent.Attempt{Server: "10.20.0.1:5432", From: "10.3.4.5", Options: []agent.Option{{Name: "host", Value: "db.corp.example"}}}}}}
		for _, want := range []string{
			"  # alice from her laptop\n  pgauthmatrix-agent from 10.3.4.5 10.20.0.1 # the address of which the client connects\n  psql \"host=db.corp.example hostaddr=10.20.0.1\"\n\n",
			"  # alice from her laptop\n  psql \"host=db.corp.example hostaddr=127.0.0.1 port=4711\"\n  # the cell's client connects from 10.3.4.5; psql",
		} {
			if !strings.Contains(s.text(), want) {
				t.Errorf("the sheet has no\n%s\nit is\n%s", want, s.text())
			}
		}
	}
}

func TestCasesThatCannotStand(t *testing.T) {
	read := func(hba, described string) *cases.Case {
		c, err := cases.ReadAt(fstest.MapFS{"pg_hba.conf": {Data: []byte(hba)}, "case.yaml": {Data: []byte("question: q?\nworld: {server: 17}\n" + described)}}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const alice = "connections: [{who: alice, conninfo: host=db.corp.example user=alice, address: 10.3.4.5}]\n"
	for _, c := range []struct {
		is      *cases.Case
		advised bool
		want    string
	}{
		{read("host all all all trust\n", ""), false, "case.yaml names no connection"},
		{read("host all all all trust\n", alice), true, "nothing is advised: the folder has no advised/, and no connection of case.yaml has advised"},
		{read("hots all all all trust\n", alice), false, "say in case.yaml, under world, how it comes by them (load: restart, or"},
	} {
		if _, err := OfCase(c.is, c.advised); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
	for folder, want := range map[string]string{"/a/Customer 17_b/": "customer-17-b", "-x-": "x", "/": ""} {
		if got := NameOfFolder(folder); got != want {
			t.Errorf("%s: name %q, want %q", folder, got, want)
		}
	}
}

func TestNotes(t *testing.T) {
	if got := notes(&matrix.Cell{Client: matrix.Client{Library: "libpq17"}}, false); len(got) != 0 {
		t.Errorf("a plain cell has notes: %q", got)
	}
	for want, c := range map[string]matrix.Client{
		"is pgx":           {Library: matrix.PGX},
		"attack strip":     {Library: "libpq17", Attack: "strip"},
		"wrong password":   {Library: "libpq17", Password: "wrong"},
		"from 10.0.0.1":    {Library: "libpq17", Address: "10.0.0.1"},
		"runs as eve":      {Library: "libpq17", OSUser: "eve"},
		"default place":    {Library: "libpq17", Ticket: matrix.Ambient},
		"own (hasty)":      {Library: "libpq17", KRB5Conf: "hasty"},
		"refuses connecti": {Library: "libpq17", Hosts: matrix.DeadFirst},
	} {
		if got := strings.Join(notes(&matrix.Cell{Client: c}, false), "\n"); !strings.Contains(got, want) {
			t.Errorf("%+v: notes %q, want %q", c, got, want)
		}
	}
}

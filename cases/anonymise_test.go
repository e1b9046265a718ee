package cases

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// copyOf anonymises a folder and reads the copy.
func copyOf(t *testing.T, m fstest.MapFS) (*Case, *Case, *Copy) {
	t.Helper()
	c, err := Read(m)
	if err != nil {
		t.Fatal(err)
	}
	files, err := Anonymise(m, c, "salt")
	if err != nil {
		t.Fatal(err)
	}
	out := fstest.MapFS{}
	for name, text := range files.Files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	copied, err := Read(out)
	if err != nil {
		t.Fatalf("%v\n%v", err, files.Files)
	}
	return c, copied, files
}

func TestAnonymise(t *testing.T) {
	m := fstest.MapFS{}

	for _, name := range []string{"pg_hba.conf", "pg_ident.conf", "more.conf", "postgresql.conf", "krb5.conf", "case.yaml", "advised/pg_ident.conf"} {
		text, err := os.ReadFile("../scenarios/customers/realm-cut-off-before-the-map/" + name)
		if err != nil {
			t.Fatal(err)
		}
		m[name] = &fstest.MapFile{Data: text}
	}

	m["pg_hba.conf"].Data = append(m["pg_hba.conf"].Data, "host secretdb all 10.7.0.0/16 ldap ldapserver=ldap.corp.example ldapbasedn=x ldapbindpasswd=hush # Mr. Smith's\n"...)
	c, copied, files := copyOf(t, m)
	if err := Same(c, copied); err != nil {
		t.Errorf("%v\n%v", err, files.Files)
	}
	if len(copied.Probes) != len(c.Probes) {
		t.Errorf("%d probes, %d of the copy", len(c.Probes), len(copied.Probes))
	}
	for name, text := range files.Files {
		for _, left := range []string{"alice", "corp", "CORP", "svc", "dba", "secretdb", "10.3.4.5", "10.20.0", "hush", "Smith", "laptop", "rsync"} {
			if strings.Contains(text, left) {
				t.Errorf("%s has %s:\n%s", name, left, text)
			}
		}
	}
	if len(files.Notes) == 0 {
		t.Error("nobody is told of the regular expressions")
	}
	// A copy that does not reproduce is noticed.
	copied.Server.Ident = copied.Advised.Ident
	if err := Same(c, copied); err == nil {
		t.Error("another outcome passes")
	}
}

// Free text, services, certificates that case.yaml describes, and passwords leave nothing behind.
func TestAnonymousWords(t *testing.T) {
	m := fstest.MapFS{
		"pg_hba.conf":     {Data: []byte("hostssl all all all cert map=m\n")},
		"pg_ident.conf":   {Data: []byte("m Smith smith\n")},
		"pg_service.conf": {Data: []byte("# Mr. Jones\n[warehouse]\nhost=db.corp.example\nuser=smith\ndbname=postgres\npassword=hush\n")},
		"case.yaml": {Data: []byte("question: >\n  Why not\n  Mr. Smith?\nadvice: Ask Mr. Smith\n  again.\nworld:\n  certificates:\n    own: {subject: {O: Jones Ltd, CN: Smith}, dns: [smith.corp.example]}\nconnections:\n- who: Smith\n" +
			"  conninfo: service=warehouse password='hu sh'\n  address: 10.1.1.1\n  cert: own\n  seen: connected tls, role smith\n- {conninfo: 'postgresql://smith:hush@db.corp.example/postgres', address: 10.1.1.2}\n")},
	}
	c, copied, files := copyOf(t, m)
	if err := Same(c, copied); err != nil {
		t.Errorf("%v\n%v", err, files.Files)
	}
	for name, text := range files.Files {
		for _, left := range []string{"mith", "ones", "hu sh", "hush", "corp", "Why", "again"} {
			if strings.Contains(text, left) {
				t.Errorf("%s has %s:\n%s", name, left, text)
			}
		}
	}
}

// Addresses that have a prefix in common have one of the same length afterwards, and no more.
func TestAnonymousAddresses(t *testing.T) {
	a := &anonymiser{salt: "salt"}
	all := []string{"10.1.2.3", "10.1.2.9", "10.1.200.3", "10.200.0.1", "192.168.1.1", "192.168.1.129", "172.16.5.5"}
	common := func(x, y string) int {
		p, q := netip.MustParseAddr(x).As4(), netip.MustParseAddr(y).As4()
		for i := range 32 {
			if (p[i/8]^q[i/8])>>(7-i%8)&1 != 0 {
				return i
			}
		}
		return 32
	}
	changed := 0
	for _, x := range all {
		if a.address(x) != x {
			changed++
		}
		for _, y := range all {
			if was, is := common(x, y), common(a.address(x), a.address(y)); was != is {
				t.Errorf("%s and %s have %d bits in common, %s and %s have %d", x, y, was, a.address(x), a.address(y), is)
			}
		}
	}
	if changed != len(all) {
		t.Errorf("%d of %d addresses were changed", changed, len(all))
	}
	for _, same := range []string{"127.0.0.1", "0.0.0.0", "255.255.0.0", "::1", "10.0.0.0/8", "0.0.0.0/0", "::/0", "seen: 12:30:45"} {
		if got := a.text(same); got != same {
			t.Errorf("%s became %s", same, got)
		}
	}
	for network, inside := range map[string]string{"10.20.0.0/16": "10.20.30.40", "10.20.30.40/32": "10.20.30.40", "10.20.30.32/27": "10.20.30.40", "10.20.30.99/24": "10.20.30.40"} {
		if n := netip.MustParsePrefix(a.address(network)); !n.Contains(netip.MustParseAddr(a.address(inside))) {
			t.Errorf("%s is %s, and %s is outside it: %s", network, n, inside, a.address(inside))
		}
	}
}

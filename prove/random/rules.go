package random

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// hba writes the rules: typical ones first, and often one at the end that takes whatever is left.
func (g *generator) hba(records int) (t Text) {
	for range records {
		t = append(t, g.entry(g.record()))
	}
	if !g.one(5) {
		last := record{conn: anyOf(g, []string{"host", "host", "hostssl", "hostnogssenc"}), databases: "all", users: "all", address: "all"}
		last.method = anyOf(g, []string{"scram-sha-256", "md5", "trust", "reject", "gss", "password"})
		t = append(t, g.entry(last))
	}
	if g.one(20) && len(t) > 0 {
		t[len(t)-1].Tail = strings.TrimRight(t[len(t)-1].Tail, "\r\n") // no end of line at the end of the file
	}
	return t
}

// record is a pg_hba.conf record, field by field.
type record struct {
	conn, databases, users, address, mask, method string
	options                                       []string
}

func (g *generator) record() record {
	r := record{conn: anyOf(g, []string{"host", "host", "host", "host", "hostssl", "hostssl", "hostssl", "hostnossl", "hostgssenc", "hostgssenc", "hostnogssenc", "local"})}
	if r.conn == "local" && g.Networks != nil && !g.one(3) {
		r.conn = "host" // no client is on the unix-domain socket
	}
	r.databases, r.users = g.databases(), g.userColumn()
	if r.conn != "local" {
		r.address, r.mask = g.address()
	}
	m := g.method(r.conn)
	r.method = m.name
	if len(m.refuses) > 0 { // what is asked about the password is never there: keep it to those who never come
		r.users = anyOf(g, []string{"svc", "svc,monitor", "+svc"})
	}
	r.options = m.options(g, r.conn)
	return r
}

func (r record) fields() []string {
	fields := []string{r.conn, r.databases, r.users, r.address, r.mask, r.method}
	return slices.DeleteFunc(fields, func(f string) bool { return f == "" })
}

// blank is what separates two fields.
func (g *generator) blank() string {
	if g.Server >= 14 && g.one(30) {
		return anyOf(g, []string{" \\\n", "\\\n  ", " \\\n\t"})
	}
	return anyOf(g, []string{" ", "  ", "  ", "  ", "\t", " \t ", "      "})
}

// entry writes a record with what may stand around it.
func (g *generator) entry(r record) (e Entry) {
	for g.one(6) {
		e.Fields += anyOf(g, []string{"# TYPE  DATABASE  USER  ADDRESS  METHOD\n", "\n", "   \n", "#host all all all trust\n", "\t# \"quotes, and commas\n", "#\r\n"})
	}
	if g.one(15) {
		e.Fields += anyOf(g, []string{" ", "\t", "    ", ","})
	}
	for i, f := range r.fields() {
		if i > 0 {
			e.Fields += g.blank()
		}
		if g.one(12) && !strings.ContainsAny(f, ",\"/@+ ") && f != "all" && !strings.HasPrefix(f, "same") && f != "replication" {
			f = `"` + f + `"` // quotes take nothing from a word that is no keyword
		}
		e.Fields += f
	}
	for _, o := range r.options {
		e.Options = append(e.Options, anyOf(g, []string{" ", "  ", "  ", "\t", ",", ", "})+o) // a comma after the method is a second method: see tidy
	}
	if len(e.Options) > 0 {
		e.Options[0] = "  " + strings.TrimLeft(e.Options[0], ", \t")
	}
	e.Tail = anyOf(g, []string{"\n", "\n", "\n", "\n", "\n", "  \n", "\t# comment\n", "#comment, \"and more\n", "\r\n"})
	return e
}

// list joins words as a list.
func (g *generator) list(words []string) string {
	text := ""
	for i, w := range words {
		if i > 0 {
			text += anyOf(g, []string{",", ",", ",", ", ", ",\t"})
		}
		text += w
	}
	return text
}

// atFile puts words into a further file.
func (g *generator) atFile(words []string) string {
	if g.plain {
		return g.list(words)
	}
	path := anyOf(g, []string{"names-", "lists/names-"}) + strconv.Itoa(len(g.Files)) + anyOf(g, []string{"", ".txt"})
	tail := "\n"
	if g.one(3) {
		words = append(slices.Clone(words), "# "+anyOf(g, []string{"users", "all"}))
		tail = ""
	}
	g.Files = append(g.Files, File{path, Text{{Fields: strings.Join(words, anyOf(g, []string{"\n", ",", " ", ", "})), Tail: tail}}})
	return "@" + path
}

func (g *generator) databases() string {
	if g.one(2) {
		return "all"
	}
	words := []string{"postgres", "postgres", "template1", "shop", "all", "sameuser", "samerole", "samegroup", "replication", `"all"`, `"sameuser"`, `"replication"`,
		"post", `"postgres"`, `post"gres"`, "POSTGRES", `""`}
	if g.one(6) {
		words = []string{"/^post", "/^p.*s$", `"/^(post|temp)"`, "/gres$", "/^shop$", "/^[a-z]+$", "/^postgres$", "/1$"}
	}
	chosen := g.chosen(words)
	if g.one(12) {
		return g.atFile(chosen)
	}
	return g.list(chosen)
}

func (g *generator) userColumn() string {
	if g.one(3) {
		return "all"
	}
	words := []string{"alice", "alice", "bob", "carol", "all", "+alice", "+bob", "+nobody", `"all"`, `"+bob"`, "nobody", "postgres", "Alice", `"two words"`, `"a,b"`, `al"ic"e`, `"/alice"`,
		"replication", "sameuser", `""`, "alice-admin", `"a""b"`, strings.Repeat("x", 300)}
	if g.one(6) {
		words = []string{"/^a", "/^(alice|bob)$", `"/^al, ?"`, "/^[a-c]", `"/^.+ .+$"`, "/ob", `/^alice-\w+$`, "/^$", `"/^(?:bo|a)[bl]"`, `"/^a{1,2}l"`, "/^[^a]"}
	}
	chosen := g.chosen(words)
	if g.one(12) {
		return g.atFile(chosen)
	}
	return g.list(chosen)
}

// chosen are one to three words.
func (g *generator) chosen(words []string) (chosen []string) {
	for range anyOf(g, []int{1, 1, 1, 2, 2, 3}) {
		chosen = append(chosen, anyOf(g, words))
	}
	return chosen
}

// address writes the address column, with the mask where it is a field of its own.
func (g *generator) address() (address, mask string) {
	if g.one(2) {
		return "all", ""
	}
	if g.Networks == nil { // what can be decided without knowing which address the harness chooses
		switch g.IntN(4) {
		case 0:
			return "0.0.0.0", "0.0.0.0"
		case 1:
			return "127.0.0.1", anyOf(g, []string{"255.255.255.255", "255.0.0.0"})
		}
		return anyOf(g, []string{"0.0.0.0/0", "::/0", "127.0.0.1/32", "samenet", "samehost", "all", "::1/128", "0/0"}), ""
	}
	switch g.IntN(6) {
	case 0:
		return anyOf(g, []string{"samenet", "samehost", "all"}), ""
	case 1, 2:
		base := anyOf(g, append(slices.Clone(clientAddresses), "10.20.0.0", "10.0.0.0", "10.30.0.0", "fd00:20::", "192.168.1.1", "::ffff:10.20.0.7"))
		bits := anyOf(g, []string{"0", "8", "12", "16", "24", "25", "29", "31", "32", "032", "+8"})
		if strings.Contains(base, ":") {
			bits = anyOf(g, []string{"0", "16", "32", "64", "96", "120", "127", "128"})
		}
		return base + "/" + bits, ""
	case 3:
		if g.one(4) {
			return anyOf(g, []string{"fd00:20::7", "fd00:20::", "FD00:0020:0::8"}), anyOf(g, []string{"ffff:ffff:ffff:ffff::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::", "ffff::", "ffff::f"})
		}
		return anyOf(g, append(slices.Clone(clientAddresses[:5]), "10.20.0.0", "10.0.0.0", "10.20.7", "0x0a.20.0.7", "012.024.0.010", "169082887")),
			anyOf(g, []string{"255.255.255.255", "255.255.255.0", "255.255.0.0", "255.0.0.0", "0.0.0.0", "255.0.255.0", "255.255.255.248", "0.0.0.255", "255"})
	default:
		return anyOf(g, []string{".example.test", "app1.example.test", "app2.example.test", "APP3.Example.Test", ".test", "app7.corp.example.test", "other.test", ".EXAMPLE.TEST", `"all"`, "localhost", "app4", "."}), ""
	}
}

// method is an authentication method with its options.
type method struct {
	name    string
	weight  int
	conns   []string // none: all
	options func(g *generator, conn string) []string
	until   int      // the last version that has it; 0: all have it
	refuses []string // options without which it does not load, or "-": no service answers
}

var methods = []method{
	{name: "trust", weight: 6, options: clientCert},
	{name: "reject", weight: 3, options: none},
	{name: "scram-sha-256", weight: 6, options: clientCert},
	{name: "md5", weight: 4, options: clientCert},
	{name: "password", weight: 3, options: clientCert},
	{name: "gss", weight: 8, conns: []string{"host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"}, options: gssOptions},
	{name: "cert", weight: 12, conns: []string{"hostssl"}, options: certOptions},
	{name: "ident", weight: 1, options: withMap},
	{name: "peer", weight: 1, conns: []string{"local"}, options: withMap},
	{name: "pam", weight: 1, options: func(g *generator, _ string) []string {
		return anyOf(g, [][]string{nil, {"pamservice=postgresql"}, {"pam_use_hostname=1"}})
	}, refuses: []string{"-"}},
	{name: "ldap", weight: 1, refuses: []string{"-"}, options: func(g *generator, _ string) []string {
		return anyOf(g, [][]string{
			{"ldapserver=127.0.0.1", `ldapprefix="cn="`, `ldapsuffix=", dc=example"`}, {"ldapserver=127.0.0.1", "ldapport=389", "ldaptls=1", "ldapbasedn=dc=example", "ldapsearchattribute=uid"},
			{"ldapserver=127.0.0.1", "ldapscheme=ldaps", `ldapbasedn="dc=example,dc=test"`, `ldapbinddn="cn=x"`, "ldapbindpasswd=x", `ldapsearchfilter="(uid=$username)"`},
		})
	}},
	{name: "radius", weight: 1, until: 18, refuses: []string{"-"}, options: func(g *generator, _ string) []string {
		return anyOf(g, [][]string{{"radiusservers=127.0.0.1", "radiussecrets=x"}, {"radiusservers=127.0.0.1", "radiussecrets=x", "radiusports=1812", "radiusidentifiers=pg"}})
	}},
}

func (g *generator) method(conn string) method {
	var fit []method
	for _, m := range methods {
		if (m.conns == nil || slices.Contains(m.conns, conn)) && (m.until == 0 || g.Server <= m.until) {
			for range m.weight {
				fit = append(fit, m)
			}
		}
	}
	return anyOf(g, fit)
}

func none(*generator, string) []string { return nil }

func clientCert(g *generator, conn string) []string {
	if conn != "hostssl" || g.one(2) {
		return nil
	}
	options := []string{"clientcert=verify-ca", "clientcert=verify-full", `clientcert="verify-full"`}
	if g.Server < 14 {
		options = append(options, "clientcert=1", "clientcert=0", "clientcert=no-verify")
	} else if g.one(3) {
		return []string{anyOf(g, options), anyOf(g, []string{"clientname=DN", "clientname=CN"})}
	}
	return []string{anyOf(g, options)}
}

func withMap(g *generator, _ string) []string {
	if g.one(2) {
		return nil
	}
	return []string{"map=" + anyOf(g, mapNames)}
}

func gssOptions(g *generator, conn string) (options []string) {
	options = append(options, withMap(g, conn)...)
	if !g.one(3) {
		options = append(options, anyOf(g, []string{"include_realm=0", "include_realm=0", "include_realm=1", `"include_realm=0"`, "include_realm=yes", "include_realm="}))
	}
	if g.one(4) {
		options = append(options, anyOf(g, []string{"krb_realm=" + matrix.DefaultRealm, "krb_realm=OTHER.TEST", "krb_realm=example.test", `krb_realm="EXAMPLE.TEST"`, "krb_realm="}))
	}
	if conn == "hostssl" && g.one(4) {
		options = append(options, clientCert(g, conn)...)
	}
	if g.one(20) {
		options = append(options, "include_realm=0", "include_realm=1") // the last one counts
	}
	return options
}

func certOptions(g *generator, conn string) []string {
	options := withMap(g, conn)
	if g.one(4) {
		options = append(options, "clientcert=verify-full")
	}
	if g.Server >= 14 && g.one(3) {
		options = append(options, anyOf(g, []string{"clientname=DN", "clientname=CN"}))
	}
	return options
}

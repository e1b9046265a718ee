package random

import (
	"slices"
	"strings"
)

// mistakes are records and lines that servers of some version or of all versions do not load.
var mistakes = []string{
	// connection types
	"HOST all all all trust", "hosts all all all trust", "host,hostssl all all all trust", "hostssl-only all all all trust", `"host " all all all trust`,
	// lines that end too soon
	"host", "host all", "host all all", "host all all all", "host all all 10.0.0.1", "host all all 10.0.0.1 255.0.0.0", "local all all", "local",
	// addresses
	"host all all 10.0.0.0/33 trust", "host all all 10.0.0.0/-1 trust", "host all all 10.0.0.0/ trust", "host all all 10.0.0.0/8x trust", "host all all fd00::/129 trust", "host all all app.example.test/8 trust", "host all all 10.0.0.0 ffff:: trust",
	"host all all fd00:: 255.0.0.0 trust", "host all all 10.0.0.0 trust", "host all all 10.0.0.0 255.0.0.x trust", "host all all 10.0.0.0,10.1.0.0 255.0.0.0 trust", "host all all samehost,samenet trust", "host all all 10.0.0.256/8 trust",
	"host all all 10.0.0.0 255.0.0.0,255.255.0.0 trust", "host all all 10.0.0.0/8 255.0.0.0 trust", "local all all all trust", "host all all 10.20.0.0/24x reject", "host all all 10.0.0.0/0x8 trust", "host all all ::g/64 trust", "host all all 1.2.3.4.5/8 trust",
	// methods
	"host all all all scram", "host all all all trust,reject", "host all all all peer", "host all all all cert", "hostnossl all all all cert", "hostgssenc all all all cert", "local all all gss", "local all all cert", "local all all ident", "host all all all sspi", "host all all all bsd", "host all all all oauth",
	`host all all all oauth issuer="https://x" scope=y`, "host all all all krb5", "host all all all crypt", "host all all all TRUST", "host all all all trust reject",
	// options
	"host all all all trust x", "host all all all trust x=y", "host all all all trust =", "host all all all trust map=people", "host all all all scram-sha-256 map=x", "host all all all trust clientcert=verify-ca", "hostssl all all all trust clientcert=1", "hostssl all all all trust clientcert=0",
	"hostssl all all all trust clientcert=no-verify", "hostssl all all all trust clientcert=", "hostssl all all all cert clientcert=verify-ca", "hostssl all all all cert clientcert=no-verify", "hostssl all all all cert clientcert=0", "hostssl all all all cert clientcert=1", "hostssl all all all cert clientname=DN",
	"hostssl all all all cert clientname=dn", "host all all all trust clientname=CN", "hostssl all all all gss clientname=", "host all all all trust krb_realm=X", "host all all all password include_realm=0", "host all all all gss include_realm", "host all all all gss compat_realm=1", "host all all all gss upn_username=1", "local all all peer krb_realm=X",
	"host all all all trust pamservice=x", "host all all all pam ldapserver=x", "host all all all ldap", "host all all all ldap ldapserver=x", "host all all all ldap ldapserver=x ldapprefix=a ldapbasedn=b", "host all all all ldap ldapbasedn=x ldapsearchattribute=a ldapsearchfilter=b", "host all all all ldap ldapport=x", "host all all all ldap ldapserver=x ldapport=0 ldapprefix=a",
	"host all all all trust ldapport=1", "host all all all radius", "host all all all radius radiusservers=127.0.0.1", "host all all all radius radiussecrets=x", "host all all all radius radiusservers=127.0.0.1,127.0.0.2,127.0.0.3 radiussecrets=x,y", "host all all all radius radiusservers=127.0.0.1 radiussecrets=x radiusports=abc", "host all all all md5 radiusports=1",
	"host all all all trust issuer=x", "host all all all trust validator=x", "host all all all pam pam_use_hostname", "host all all all gss Map=people", "host all all all gss map = people",
	// quotes and lists
	`host all "all all trust`, `host all alice" all trust`, `host "" "" "" ""`, `host all alice , bob all trust`, `host all alice ,bob all trust`, `host all "al""ice" all trust`, "host all all all \"trust\" \"\"", "host all \"all\nall\" all trust", `host , , , ,`, `host all,all all,all all trust,`, "host all all all trust #", "host all all all trust# x=y", `host all all all "trust # x"`,
	`host all "alice"bob all trust`, `"host" "all" "all" "all" "trust"`, "host\vall all all trust", "host all all all trust \f", `host all all all tru\st`, `host all all all trust \`, `host all all all trust \ `,
	// expressions
	"host all /^(a all trust", "host all /a** all trust", "host /[a all all trust", "host all /*a all trust", "host all /a{2,1} all trust", "host all /a) all trust", `host all /a\ all trust`, "host all / all trust", "host all /[b-a] all trust", "host all alice,/^(b all trust", "host all /^a{1,2}l all trust", "host all /a{300} all trust", "host all /a{ all trust",
	// files
	"host all @missing all trust", "host @missing all all trust", "host all alice,@no/such/file all trust", "host all @ all trust", `host all "@missing" all trust`, "host all all @missing trust", "host all all all trust @missing",
	"include missing.conf", "include_if_exists missing.conf", "include_dir missing.d", "include", "include a b", `include ""`, `include_dir ""`, "INCLUDE x", "include_if_exists names/",
}

// includes are lines with the files that they name: the lines of the file, not what they mean, depends on the version.
var includes = []struct {
	line  string
	files map[string]string
}{
	{"include rules.conf", map[string]string{"rules.conf": "host all alice all trust\n"}},
	{"include rules.conf", map[string]string{"rules.conf": "# nothing\n"}},
	{"include rules.conf", map[string]string{"rules.conf": "host all bob all reject\nhost all alice\n"}},
	{"include_if_exists conf.d/rules.conf", map[string]string{"conf.d/rules.conf": "hostssl all all all trust\ninclude more.conf\n", "conf.d/more.conf": "host all all all scram-sha-256\n"}},
	{"include_dir conf.d", map[string]string{"conf.d/20.conf": "host all all all md5\n", "conf.d/10.conf": "host all alice all scram-sha-256\n", "conf.d/x.txt": "nonsense\n", "conf.d/.hidden.conf": "nonsense\n"}},
	{"include_dir conf.d", map[string]string{"conf.d/b.conf": "nonsense\n", "conf.d/a.conf": "host all all all\n"}},
	{"include loop.conf", map[string]string{"loop.conf": "host all alice all trust\ninclude loop.conf\n"}},
	{"include chain.conf", map[string]string{"chain.conf": "host all @lists/who.txt all trust\n", "lists/who.txt": "alice\n@more.txt\n", "lists/more.txt": "bob, carol # and more\n"}},
	{"host all @lists/who.txt all trust", map[string]string{"lists/who.txt": "alice\n@missing.txt\n"}},
	{"host all @who all trust", map[string]string{"who": ""}},
	{"host all alice,@who all trust", map[string]string{"who": "# nobody\n"}},
	{"host @dbs @who all @method", map[string]string{"dbs": "all", "who": "all", "method": "trust"}},
}

var badMaps = []string{"people", "people alice", "people alice,bob alice", "people /^(a alice", "people alice /^(a", "people alice @missing", `people "alice alice`, "people alice alice x", "include missing.conf", "include_if_exists missing.conf", "people /a** alice", `people /^(a)$ /\1`, `people /a\1 alice`}

// spoil adds what some server does not load.
func (g *generator) spoil() {
	g.mayBeRefused = true
	if g.one(6) {
		at := g.IntN(len(g.Ident) + 1)
		g.Ident = slices.Insert(g.Ident, at, Entry{Fields: anyOf(g, badMaps), Tail: "\n"})
		return
	}
	for range anyOf(g, []int{1, 1, 1, 2, 3}) {
		at := g.IntN(len(g.HBA) + 1)
		line := anyOf(g, mistakes)
		if i := g.IntN(len(includes)); g.one(4) && !g.has(includes[i].files) {
			line = includes[i].line
			for path, text := range includes[i].files {
				g.Files = append(g.Files, File{path, Text{{Fields: text}}})
			}
		}
		if at > 0 && !strings.HasSuffix(g.HBA[at-1].Tail, "\n") {
			g.HBA[at-1].Tail += "\n"
		}
		g.HBA = slices.Insert(g.HBA, at, Entry{Fields: line, Tail: "\n"})
	}
	slices.SortFunc(g.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
}

// has says whether there is one of the files, or one in its place.
func (g *generator) has(files map[string]string) bool {
	return slices.ContainsFunc(g.Files, func(f File) bool {
		for path := range files {
			if f.Path == path || strings.HasPrefix(f.Path, path+"/") || strings.HasPrefix(path, f.Path+"/") {
				return true
			}
		}
		return false
	})
}

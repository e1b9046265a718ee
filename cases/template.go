package cases

import (
	"fmt"
	"io/fs"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// ConninfoFile has the connection string, as the customer sent it.
const ConninfoFile = "conninfo.txt"

// Sighting is a connection that a log of the server speaks of.
type Sighting struct {
	File, User, Database, Address string
	Line                          int
	Seen                          string // an outcome, as case.yaml writes it
}

// sightings are the messages of the server's log that say who was refused, and what they mean (auth.c, hba.c, postinit.c, miscinit.c).
var sightings = []struct {
	message *regexp.Regexp
	seen    string
}{
	{regexp.MustCompile(`no pg_hba\.conf entry for (?:replication connection from )?(?:host "(?P<address>[^"]*)", user|.*user) "(?P<user>[^"]*)"(?:, database "(?P<database>[^"]*)")?`), "refused at hba, no-hba-entry"},
	{regexp.MustCompile(`pg_hba\.conf rejects (?:replication )?connection for (?:host "(?P<address>[^"]*)", user|.*user) "(?P<user>[^"]*)"(?:, database "(?P<database>[^"]*)")?`), "refused at hba, hba-reject"},
	{regexp.MustCompile(`no match in usermap "[^"]*" for user "(?P<user>[^"]*)"`), "refused at ident, map-no-match"},
	{regexp.MustCompile(`provided user name \((?P<user>[^)]*)\) and authenticated user name \([^)]*\) do not match`), "refused at ident, map-no-match"},
	{regexp.MustCompile(`password authentication failed for user "(?P<user>[^"]*)"`), "refused at auth, password"},
	{regexp.MustCompile(`[Pp]eer authentication failed for user "(?P<user>[^"]*)"`), "refused at ident, map-no-match"},
	{regexp.MustCompile(`connection requires a valid client certificate`), "refused at auth, cert-missing"},
	{regexp.MustCompile(`certificate authentication failed for user "(?P<user>[^"]*)"`), "refused at auth, cert-name-mismatch"},
	{regexp.MustCompile(`role "(?P<user>[^"]*)" does not exist`), "refused at startup, role-missing"},
	{regexp.MustCompile(`role "(?P<user>[^"]*)" is not permitted to log in`), "refused at startup, role-no-login"},
	{regexp.MustCompile(`database "(?P<database>[^"]*)" does not exist`), "refused at startup, database-missing"},
}

// sighted reads the logs in the folder: files whose names end in .log. Of equal sightings the first counts.
func (r *reading) sighted() error {
	logs, err := r.names(".log")
	if err != nil {
		return err
	}
	for _, file := range logs {
		text, _, err := r.text(file)
		if err != nil {
			return err
		}
		for number, line := range strings.Split(text, "\n") {
			for _, s := range sightings {
				m := s.message.FindStringSubmatch(line)
				if m == nil {
					continue
				}
				part := func(name string) string {
					if i := s.message.SubexpIndex(name); i >= 0 {
						return m[i]
					}
					return ""
				}
				found := Sighting{file, part("user"), part("database"), part("address"), number + 1, s.seen}
				same := func(o Sighting) bool {
					return o.User == found.User && o.Seen == found.Seen && o.Address == found.Address
				}
				if !slices.ContainsFunc(r.c.Sightings, same) && len(r.c.Sightings) < 20 {
					r.c.Sightings = append(r.c.Sightings, found)
				}
				break
			}
		}
	}
	text, there, err := r.text(ConninfoFile)
	if there {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				r.c.Conninfo = line
				break
			}
		}
	}
	return err
}

// names are the files of the folder whose names end so, sorted.
func (r *reading) names(endings ...string) (names []string, err error) {
	entries, err := fs.ReadDir(r.fsys, ".")
	for _, e := range entries {
		if slices.ContainsFunc(endings, func(ending string) bool { return strings.HasSuffix(e.Name(), ending) }) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// template writes a case.yaml.
type template struct {
	strings.Builder
	c     *Case
	rules *oracle.Rules // none if they do not load
}

func (t *template) line(format string, args ...any) {
	t.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

// Template is a case.yaml to start from: what the folder says, and a question as a comment where it does not.
func (c *Case) Template() string {
	w := c.Server.World()
	t := &template{c: c}
	if rules, err := oracle.LoadRules(&w); err == nil {
		t.rules = rules
	}
	t.line("# What the files of this folder cannot say. docs/cases.md describes every key.")
	t.line("question: What went wrong?    # Say it in one sentence.")
	t.world()
	t.line("connections:")
	sightings := c.Sightings
	if len(sightings) == 0 {
		sightings = []Sighting{{}}
	}
	for _, s := range sightings {
		t.connection(s)
	}
	return t.String()
}

func (t *template) world() {
	t.line("world:")
	said := "Nobody has said which major version the server has: SHOW server_version."
	if t.c.versionSaid {
		said = "from the files"
	}
	t.line("  server: %d    # %s", t.c.Server.Version, said)
	if t.c.NotLoaded != nil {
		t.line("  # The server does not load these rules: %s", strings.ReplaceAll(t.c.NotLoaded.Error(), "\n", "\n  #   "))
		t.line("  load: restart    # or reload, with the rules of before under before: |")
	}
	if t.rules == nil {
		return
	}
	asked := map[string]bool{}
	ask := func(key, format string, args ...any) {
		if !asked[key] {
			asked[key] = true
			t.line(format, args...)
		}
	}
	for i := range t.rules.Records {
		r := &t.rules.Records[i]
		where := fmt.Sprintf("%s:%d", r.File, r.Line)
		switch a := r.Address(); {
		case a.Keyword == "samenet" || a.Keyword == "samehost":
			ask("network", "  # network: 10.0.0.0/24    # In which networks does the server have an address? %s has %s.", where, a.Keyword)
		case a.Host != "":
			name := a.Host
			if strings.HasPrefix(name, ".") {
				name = "client" + name
			}
			ask("names", "  # names: {10.0.0.7: %s}    # Which name does the server find for the client's address (getent hosts ADDRESS)? %s has a host name.", yamlText(name), where)
		}
		for _, n := range r.Users() {
			if group, ok := n.Group(); ok {
				ask("roles "+group, "  # roles: [{name: %s, login: false}, {name: alice, password: scram-sha-256, in: %s}]    # Who is a member of %s? %s asks for it.", yamlText(group), yamlText(group), printable(group), where)
			}
		}
	}
}

func (t *template) connection(s Sighting) {
	who, conninfo := "somebody", t.c.Conninfo
	if s.User != "" {
		who = s.User
	}
	t.line("  - who: %s    # Who connects, with which program, from where?", yamlText(who))
	switch {
	case s.User != "":
		text := "user=" + conninfoText(s.User)
		if s.Database != "" {
			text += " dbname=" + conninfoText(s.Database)
		}
		if p, err := audit.Conninfo(conninfo); err == nil && slices.ContainsFunc(p, func(p audit.Parameter) bool { return p.Name == "user" && p.Value == s.User }) {
			text = conninfo
		}
		t.line("    conninfo: %s    # The whole connection string?", yamlText(text))
	case conninfo != "":
		t.line("    conninfo: %s    # from %s", yamlText(conninfo), ConninfoFile)
	default:
		t.line("    conninfo: host=db.example.com user=alice dbname=postgres    # Which connection string?")
	}
	if _, err := netip.ParseAddr(s.Address); err == nil {
		t.line("    address: %q", s.Address)
	} else {
		t.line("    # address: 10.0.0.7    # From which address, as the server sees it?")
	}
	t.credentials()
	if s.Seen != "" {
		t.line("    seen: %s    # %s:%d", s.Seen, s.File, s.Line)
	} else {
		t.line("    # seen: refused at hba, no-hba-entry    # What was seen? The words are in docs/scenarios.md, under Outcomes.")
	}
	t.line("    wanted: connected    # What is wanted?")
}

// credentials asks for those that a record looks at.
func (t *template) credentials() {
	if t.rules == nil {
		return
	}
	methods := map[matrix.Method]bool{}
	for i := range t.rules.Records {
		methods[t.rules.Records[i].Method] = true
		if t.rules.Records[i].ClientCert() != "" {
			methods[matrix.MethodCert] = true
		}
	}
	if methods[matrix.MethodGSS] {
		if t.c.Principal != "" {
			t.line("    ticket: valid    # from %s; expired?", TicketFile)
			t.line("    principal: %s", yamlText(t.c.Principal))
		} else {
			t.line("    # ticket: valid    # Does the client have a Kerberos ticket (klist)?")
			t.line("    # principal: alice@%s    # Of which principal?", t.c.Server.Realm)
		}
	}
	if methods[matrix.MethodCert] {
		for _, cert := range t.c.world.Certificates {
			t.line("    # cert: %s    # from the folder: %s", cert.Name, printable(cert.CommonName()))
		}
		t.line("    # cert: good    # Does it have a certificate? good has the role's name; see docs/cases.md for others.")
	}
	if methods[matrix.MethodScram] || methods[matrix.MethodMD5] || methods[matrix.MethodPassword] {
		t.line("    # password: right    # Does it know the role's password?")
	}
	if methods[matrix.MethodPeer] {
		t.line("    # os_user: alice    # Over a socket: as which account of the operating system does it run?")
	}
}

// yamlText writes a text so that YAML reads it as it is.
func yamlText(s string) string {
	plain := s != "" && strings.Trim(s[:1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
	for _, c := range s {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-=./ @", c) {
			plain = false
		}
	}
	if plain && strings.TrimSpace(s) == s {
		return s
	}
	return strconv.Quote(s)
}

// conninfoText writes a value of a connection string.
func conninfoText(s string) string {
	if s != "" && !strings.ContainsAny(s, " '\\\t\n") {
		return s
	}
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}

// printable is a text for a comment: one line.
func printable(s string) string { return strings.Trim(strconv.Quote(s), `"`) }

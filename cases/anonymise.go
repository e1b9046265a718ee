package cases

import (
	"crypto/sha256"
	"errors"
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

// Copy is a case without the customer's names.
type Copy struct {
	Files map[string]string // by path
	Notes []string          // what is left for a person to look at
}

// Anonymise makes a copy of a case in which roles, databases, realms, hosts and addresses have other names, the same everywhere. Addresses keep their first 8 (IPv6: 16) bits, and
// are in the same networks as before. Comments, logs, listings, and settings that reach no server are left out. Another salt makes other addresses. Whether the copy still
// reproduces is to be asked by Same.
func Anonymise(fsys fs.FS, c *Case, salt string) (*Copy, error) {
	if len(c.sent) > 0 {
		return nil, errors.New("a folder with certificates cannot be copied without names: describe them in case.yaml under world.certificates, and take the files out")
	}
	a := &anonymiser{salt: salt, names: map[string]string{}, copy: &Copy{Files: map[string]string{}}}
	if err := a.collect(c); err != nil {
		return nil, err
	}
	for _, dir := range []string{"", AdvisedDir + "/"} {
		for _, name := range append([]string{matrix.HBAFile, matrix.IdentFile, matrix.ConfigFile, KRB5Conf, KeytabFile, VersionFile, ServiceFile}, c.included(dir)...) {
			text, err := audit.ReadFile(fsys, dir+name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			switch name {
			case matrix.ConfigFile:
				text = a.settings(c, dir)
			case KRB5Conf:
				text = "[libdefaults]\ndefault_realm = " + c.world.Realms[0].Name + "\n"
			case VersionFile, KeytabFile:
			case ServiceFile:
				text = withoutPasswords(withoutComments(text))
			default:
				text = withoutSecrets(withoutComments(text))
			}
			a.copy.Files[dir+a.text(name)] = a.text(text)
		}
	}
	source, err := audit.ReadFile(fsys, CaseFile)
	if err != nil {
		return nil, fmt.Errorf("a case without %s has nothing to compare the copy by: %w", CaseFile, err)
	}
	a.copy.Files[CaseFile] = a.text(withoutWords(source))
	return a.copy, nil
}

// included are the files that rules name, as reported or as advised.
func (c *Case) included(dir string) (names []string) {
	server := c.Server
	if dir != "" {
		server = c.Advised
	}
	for _, f := range server.Files {
		names = append(names, f.Path)
	}
	return names
}

type anonymiser struct {
	salt  string
	names map[string]string // replacements, of lower case for host names and realms
	order []string          // longest first
	copy  *Copy
}

// words have a meaning in the files: a name that is one of them stays.
var words = []string{"all", "sameuser", "samerole", "samegroup", "replication", "samehost", "samenet", "local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc", "trust", "reject", "md5", "password",
	"scram-sha-256", "gss", "sspi", "ident", "peer", "ldap", "radius", "cert", "pam", "bsd", "oauth", "map", "include", "include_dir", "include_if_exists", "postgres", "template0", "template1", "user", "dbname",
	"database", "address", "ticket", "principal", "library", "world", "server", "roles", "role", "name", "names", "login", "in", "connections", "seen", "wanted", "connected", "refused", "at", "valid", "right", "none",
	"good", "true", "false", "on", "off", "yes", "no", "tls", "plain", "root", "localhost", "com", "net", "org", "lan", "internal", "test", "example", "invalid"}

func (a *anonymiser) add(kind, name string) {
	if name == "" || a.names[name] != "" {
		return
	}
	if slices.Contains(words, strings.ToLower(name)) || strings.HasPrefix(name, "pg_") {
		return
	}
	a.names[name] = fmt.Sprintf("%s%d", kind, len(a.names)+1)
}

// domain adds the labels of a host name or realm.
func (a *anonymiser) domain(name string) {
	if _, err := netip.ParseAddr(name); err == nil {
		return
	}
	for _, label := range strings.Split(strings.ToLower(name), ".") {
		a.add("n", label)
	}
}

// certificates adds the names in certificates.
func (a *anonymiser) certificates(list []matrix.Certificate) {
	for _, cert := range list {
		for _, attribute := range cert.Subject {
			for _, part := range word.FindAllString(attribute.Value, -1) {
				a.add("c", part)
			}
		}
		for _, name := range slices.Concat(cert.DNS, cert.URI, cert.Email) {
			for _, part := range word.FindAllString(name, -1) {
				a.domain(part)
			}
		}
	}
}

func (a *anonymiser) collect(c *Case) error {
	for _, r := range c.rest.realms {
		a.domain(r.Name)
		for _, p := range r.Principals {
			first, instance, _ := strings.Cut(p, "/")
			a.add("r", first)
			a.domain(instance)
		}
	}
	a.domain(c.rest.host)
	for _, h := range c.hosts {
		a.domain(h)
	}
	for _, n := range c.rest.names {
		a.domain(n.Reverse)
		a.domain(n.Forward)
	}
	a.certificates(c.world.Certificates)
	for _, r := range c.rest.roles {
		if r.Name != audit.OtherUser {
			a.add("r", r.Name)
		}
	}
	for _, d := range c.rest.databases {
		a.add("d", d.Name)
	}
	for _, s := range c.servers() {
		w := s.World()
		rules, err := oracle.LoadRules(&w)
		if err != nil {
			return err
		}
		for i := range rules.Records {
			if h := rules.Records[i].Address().Host; h != "" {
				a.domain(strings.TrimPrefix(h, "."))
			}
			a.add("m", rules.Records[i].Map())
			for _, n := range append(rules.Records[i].Users(), rules.Records[i].Databases()...) {
				if n.Regex {
					a.note(fmt.Sprintf("%s:%d has the regular expression %s: names in it may be left", rules.Records[i].File, rules.Records[i].Line, n.Text))
				}
			}
		}
		for _, m := range rules.Mappings {
			a.add("m", m.Map)
			for _, n := range []oracle.Name{m.System, m.Role} {
				switch name, realm, _ := strings.Cut(n.Text, "@"); {
				case n.Regex || strings.HasPrefix(n.Text, "/"):
					a.note(fmt.Sprintf("%s:%d has the regular expression %s: names in it may be left", m.File, m.Line, n.Text))
				case !strings.Contains(n.Text, `\1`):
					a.add("r", name)
					a.domain(realm)
				}
			}
		}
	}
	for name := range a.names {
		a.order = append(a.order, name)
	}
	slices.SortFunc(a.order, func(x, y string) int {
		if len(x) != len(y) {
			return len(y) - len(x)
		}
		return strings.Compare(x, y)
	})
	return nil
}

func (a *anonymiser) note(text string) {
	if !slices.Contains(a.copy.Notes, text) {
		a.copy.Notes = append(a.copy.Notes, text)
	}
}

var (
	word      = regexp.MustCompile(`[A-Za-z0-9_]+(?:-+[A-Za-z0-9_]+)*`)
	addresses = regexp.MustCompile(`(?i)(?:\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})(?:/\d{1,3}\b)?`)
)

// text replaces addresses, then whole words: those that are names as they are, and in another case those of domains.
func (a *anonymiser) text(text string) string {
	text = addresses.ReplaceAllStringFunc(text, a.address)
	return word.ReplaceAllStringFunc(text, func(w string) string {
		if to := a.names[w]; to != "" {
			return to
		}
		if to := a.names[strings.ToLower(w)]; strings.HasPrefix(to, "n") {
			if strings.ToUpper(w) == w {
				return strings.ToUpper(to)
			}
			return to
		}
		return w
	})
}

// address changes the bits of an address after the first 8 or 16, each by those before it: addresses that had a prefix in common have one of the same length. Of a
// network the bits of hosts stay.
func (a *anonymiser) address(text string) string {
	host, length, _ := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.IsLoopback() || addr.IsUnspecified() || addr.IsMulticast() || addr.Is4In6() || addr.Is4() && addr.As4()[0] == 255 {
		return text
	}
	b, first := addr.AsSlice(), 8
	if addr.Is6() {
		first = 16
		if addr.AsSlice()[0] == 0xff {
			return text // a mask
		}
	}
	end, suffix := len(b)*8, ""
	if n, err := strconv.Atoi(length); err == nil {
		end, suffix = n, "/"+length
	}
	prefix := []byte{}
	for i := range len(b) * 8 {
		bit := b[i/8] >> (7 - i%8) & 1
		if i >= first && i < end {
			sum := sha256.Sum256(append([]byte(a.salt+"\x00"), prefix...))
			b[i/8] ^= sum[0] & 1 << (7 - i%8)
		}
		prefix = append(prefix, bit)
	}
	to, _ := netip.AddrFromSlice(b)
	return to.String() + suffix
}

// settings are the lines of postgresql.conf that decide something.
func (a *anonymiser) settings(c *Case, dir string) string {
	server := c.Server
	if dir != "" {
		server = c.Advised
	}
	var b strings.Builder
	for _, l := range inForce(server.Conf) {
		switch settings[l.Name].fate {
		case Taken:
			fmt.Fprintf(&b, "%s = '%s'\n", l.Name, strings.ReplaceAll(l.Value, "'", "''"))
		case Axis:
			value := l.Value
			if l.Name != "ssl" && value != "" {
				value = "a-file"
			}
			fmt.Fprintf(&b, "%s = '%s'\n", l.Name, value)
		}
	}
	return b.String()
}

// withoutComments leaves the lines where they are.
func withoutComments(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		inQuotes := false
		for at := range len(l) {
			if l[at] == '"' {
				inQuotes = !inQuotes
			}
			if l[at] == '#' && !inQuotes {
				lines[i] = strings.TrimRight(l[:at], " \t")
				break
			}
		}
	}
	return strings.Join(lines, "\n")
}

var serviceOption = regexp.MustCompile(`\b((?:ldap(?:server|binddn|bindpasswd|basedn|prefix|suffix|searchattribute|searchfilter)|radius(?:servers|secrets|identifiers)|pamservice)=)(?:"(?:[^"]|"")*"|\S+)`)

// withoutSecrets takes the places and passwords of other services out of records: none of them is reached.
func withoutSecrets(text string) string { return serviceOption.ReplaceAllString(text, "${1}x") }

// passwords are those in connection strings and services.
var passwords = regexp.MustCompile(`(?im)(\b(?:ssl)?password\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s'"]+)|(postgres(?:ql)?://[^:@/\s]*:)[^@/\s]*(@)`)

func withoutPasswords(text string) string { return passwords.ReplaceAllString(text, "$1${2}x$3") }

// freeText are the keys whose values are for people, those at the top level with the lines that go on with them.
var freeText = regexp.MustCompile(`(?m)^(?:(question|source|advice):.*(?:\n[ \t]+.*)*|(\s*(?:-\s+)?who):.*)$`)

// withoutWords takes free text, comments and passwords out of case.yaml.
func withoutWords(text string) string {
	n := 0
	return withoutPasswords(freeText.ReplaceAllStringFunc(regexp.MustCompile(`(?m)(^|\s)#.*$`).ReplaceAllString(text, "$1"), func(line string) string {
		n++
		m := freeText.FindStringSubmatch(line)
		if m[1] != "" {
			return fmt.Sprintf("%s: text %d", m[1], n)
		}
		return fmt.Sprintf("%s: somebody %d", m[2], n)
	}))
}

// Same is an error if the oracle says something else of a connection of the copy than of the case.
func Same(c, copied *Case) error {
	was, err := c.Answer(nil)
	if err != nil {
		return err
	}
	is, err := copied.Answer(nil)
	if err != nil {
		return err
	}
	if len(was.Connections) != len(is.Connections) {
		return errors.New("the copy has not the same connections")
	}
	for i := range was.Connections {
		for _, pair := range [][2]*Try{{&was.Connections[i].Reported, &is.Connections[i].Reported}, {was.Connections[i].Advised, is.Connections[i].Advised}} {
			if (pair[0] == nil) != (pair[1] == nil) || pair[0] != nil && verdictOf(pair[0]) != verdictOf(pair[1]) {
				return fmt.Errorf("the copy does not reproduce %s", was.Connections[i].Who)
			}
		}
	}
	return nil
}

// verdictOf is a prediction without names.
func verdictOf(t *Try) string {
	o := t.Prediction.Outcome
	return fmt.Sprint(o.End, o.Stage, o.Reason, o.Channel, o.Method, o.Rule, o.Trace, t.Cannot == "")
}

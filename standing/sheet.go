package standing

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/probe"
)

// profile is what bash reads in a client container.
const profile = fixtures.ClientDir + "/profile"

// sheet is what a person types in an environment. It has no secrets.
type sheet struct {
	name, dir  string // dir: of the files for the host
	choice     *Choice
	version    string // of the server
	host       string // the server's name
	published  netip.AddrPort
	principals []string
	keytab     func(principal string) string
	caches     []string // paths in the client container, that of the first cell first
	shown      []attempt
}

// attempt is a cell whose attempt is shown as a command.
type attempt struct {
	who     string // makes it; "": nobody has said
	cell    *matrix.Cell
	request agent.Attempt
}

func newSheet(name, dir string, c *Choice, env *fixtures.Env) (*sheet, error) {
	s := &sheet{name: name, dir: dir, choice: c, version: env.ServerVersion(), host: c.Cells[0].World.Host, published: env.Published(),
		principals: env.OpenPrincipals(), keytab: env.KeytabFile}
	for i, cell := range c.Cells[:max(1, len(c.Who))] {
		request, err := probe.Request(env, cell)
		if err != nil {
			return nil, err
		}
		s.shown = append(s.shown, attempt{cell: cell, request: request})
		if len(c.Who) > 0 {
			s.shown[i].who = c.Who[i]
		}
	}
	for _, cell := range c.Cells {
		ticket, _ := cell.World.TicketOf(&cell.Client) // the plan has found it
		if cache := env.CCache(cmp.Or(cell.Client.Principal, cell.Client.User), ticket); cache != "" && !slices.Contains(s.caches, cache) {
			s.caches = append(s.caches, cache)
		}
	}
	return s, nil
}

// text is what up prints.
func (s *sheet) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is up: %s, PostgreSQL %s\n", s.name, s.choice.World(), s.version)
	if others := s.choice.others(); others != "" {
		fmt.Fprintf(&b, "%s\n", others)
	}
	fmt.Fprintf(&b, "\n  pgauthmatrix shell %[1]s    a client with tickets, keytabs, certificates and passwords in place\n  pgauthmatrix logs %[1]s     what the server and the KDC log\n  pgauthmatrix down %[1]s     remove it\n", s.name)
	fmt.Fprintf(&b, "\nIn the shell:\n%s", indent(s.commands(path.Dir(profile), "")))
	fmt.Fprintf(&b, "\nFrom this machine (server %s):\n", s.published)
	fmt.Fprintf(&b, "  export KRB5_CONFIG=%s PGPASSFILE=%s\n", shellWord(filepath.Join(s.dir, "krb5.conf")), shellWord(filepath.Join(s.dir, path.Base(fixtures.PasswordFile))))
	fmt.Fprint(&b, indent(s.commands(s.dir, fmt.Sprintf("hostaddr=%s port=%d", s.published.Addr(), s.published.Port()))))
	return b.String()
}

// commands are those for one place: where the client's files are in dir, and the server is reached by at.
func (s *sheet) commands(dir, at string) string {
	place := func(file string) string {
		if rest, found := strings.CutPrefix(file, fixtures.ClientDir+"/"); found {
			return path.Join(dir, rest)
		}
		return file
	}
	var b strings.Builder
	for _, p := range s.principals {
		fmt.Fprintf(&b, "kinit -k -t %s %s\n", shellWord(place(s.keytab(p))), shellWord(p))
	}
	for i, cache := range s.caches {
		or := " # in place of kinit"
		if i > 0 {
			or = " # or"
		}
		fmt.Fprintf(&b, "export KRB5CCNAME=%s%s\n", shellWord(place(cache)), or)
	}
	for i := range s.shown {
		s.shown[i].command(&b, place, at)
	}
	return b.String()
}

// command is the attempt as a person makes it: the address, psql, and what psql has not. at is empty in the containers.
func (s *attempt) command(b *strings.Builder, place func(string) string, at string) {
	if s.who != "" {
		fmt.Fprintf(b, "# %s\n", strings.Join(strings.Fields(s.who), " "))
	}
	options := slices.DeleteFunc(slices.Clone(s.request.Options), func(o agent.Option) bool { // the socket is in the containers
		return at != "" && (o.Name == "port" || o.Name == "host" && strings.HasPrefix(o.Value, "/"))
	})
	var more []string
	server, _, _ := net.SplitHostPort(s.request.Server)
	moves := s.request.From != "" && at == "" // the name of the server has the address that the engine gave
	switch {
	case moves:
		fmt.Fprintf(b, "%s from %s %s # the address of which the client connects\n", agent.Program, s.request.From, server)
		more = append(more, "hostaddr="+server)
	case at != "":
		more = append(more, at)
	}
	fmt.Fprintf(b, "psql %s\n", Conninfo(options, place, place(fixtures.PassphraseFile), more...))
	for _, note := range notes(s.cell, moves) {
		fmt.Fprintf(b, "# %s\n", note)
	}
}

// Conninfo is a connection string as a word of a shell, in double quotes, without what is the harness's own and without passwords: the passphrase of a
// key is read from a file. place says where the files are that options name; more stands at its end.
func Conninfo(options []agent.Option, place func(string) string, passphrase string, more ...string) string {
	var words []string
	for _, o := range options {
		value := ""
		switch o.Name {
		case "application_name", "connect_timeout", "password":
			continue
		case "sslpassword":
			value = "$(cat " + shellWord(passphrase) + ")" // hexadecimal digits
		default:
			value = inQuotes.Replace(conninfoWord(place(o.Value)))
		}
		words = append(words, o.Name+"="+value)
	}
	return `"` + strings.Join(append(words, more...), " ") + `"`
}

// notes are what the cell has and the commands have not. moved: the client has its address.
func notes(c *matrix.Cell, moved bool) (all []string) {
	add := func(has bool, format string, a ...any) {
		if has {
			all = append(all, fmt.Sprintf(format, a...))
		}
	}
	k := c.Client
	add(!k.Library.UsesLibpq() || k.Driver != nil, "the cell's client is %s; psql has the same options", k.Name())
	add(k.Attack != matrix.NoAttack && k.Attack != "", "the cell has the attack %s, which nobody makes here", k.Attack)
	add(k.Password == "wrong", "the cell's client has a wrong password; the password file has the right one")
	add(k.Address != "" && !moved, "the cell's client connects from %s; psql connects from the address that the engine gave", k.Address)
	add(k.OSUser != "", "the cell's client runs as %s", k.OSUser)
	add(k.Ticket == matrix.Ambient || k.Cert == matrix.Ambient, "the cell's client finds its ticket or certificate in its default place")
	add(k.KRB5Conf != "" && k.KRB5Conf != matrix.PlainKRB5Conf, "the cell's client has a krb5.conf of its own (%s)", k.KRB5Conf)
	add(k.Hosts == matrix.DeadFirst, "the first host refuses connections in the cell; here its name does not exist")
	return all
}

// profile is what bash reads in a client container.
func (s *sheet) profile() string {
	hint := fmt.Sprintf("%s: %s, PostgreSQL %s. Files are in %s.\n%s", s.name, s.choice.World(), s.version, fixtures.ClientDir, s.commands(fixtures.ClientDir, ""))
	return fmt.Sprintf("export KRB5_CONFIG=%s PGPASSFILE=%s PGHOST=%s PGUSER=%s PGDATABASE=%s\n",
		fixtures.KRB5ConfFile, fixtures.PasswordFile, s.host, shellWord(s.choice.Cells[0].Client.User), shellWord(s.choice.Cells[0].Client.Database)) +
		"case $- in *i*) PS1='" + s.name + "# '; cat <<'END_OF_HINT'\n" + hint + "END_OF_HINT\n;; esac\n"
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("  " + line)
	}
	return b.String()
}

// shellWord quotes a word for a shell.
func shellWord(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-@%+=:,", r)
	}
	if word != "" && !slices.ContainsFunc([]rune(word), func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// inQuotes escapes what is to stand between double quotes for a shell.
var inQuotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`)

// conninfoWord quotes a value of a connection string (PostgreSQL manual, "Connection Strings").
func conninfoWord(value string) string {
	if value != "" && !strings.ContainsAny(value, ` '\`) {
		return value
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

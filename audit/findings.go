package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// Rule is a kind of finding. Its ID does not change from version to version.
type Rule struct {
	ID    string
	Level Level
	Title string // what is wrong, as a sentence
	Why   string // why it matters, and what to do
}

// Level says how bad a kind of finding is.
type Level string

// The levels, worst first; they are those of SARIF.
const (
	LevelError   Level = "error"
	LevelWarning Level = "warning"
	LevelNote    Level = "note"
)

// Levels are all levels, worst first.
var Levels = []Level{LevelError, LevelWarning, LevelNote}

// The kinds of findings, and Kinds, the table of them in the order of docs/findings.md.
var (
	NotLoaded      = Rule{"not-loaded", LevelError, "The server does not load the file.", "A server does not start with a pg_hba.conf that it cannot load, and a running server goes on with the rules of before. A server whose pg_ident.conf does not load has no new maps. Mend the line."}
	TrustElsewhere = Rule{"trust-elsewhere", LevelError, "The record lets clients on other machines in without any credential.", "A client that connects from an address of the record becomes the role, without proving anything. Ask for scram-sha-256, gss or cert."}
	AnybodyGetsIn  = Rule{"anybody-becomes", LevelError, "A principal or certificate of any name becomes the role.", "The map lets every name of the realm or CA become the role. Anchor the regular expression, and let it name who is meant."}
	PasswordClear  = Rule{"password-in-the-clear", LevelError, "The client sends its password over a connection that is not encrypted.", "An attacker who reads the network gets the password. Write scram-sha-256, or make the record hostssl or hostgssenc."}
	Plaintext      = Rule{"plaintext", LevelWarning, "The record lets clients on other machines in over connections that are not encrypted.", "An attacker who reads the network reads the session, and one who can change the traffic can take the session over. ssl = on does not forbid it: only hostssl, hostgssenc or a reject record do."}
	FallsThrough   = Rule{"prefer-falls-through", LevelWarning, "A client that prefers encryption is refused over it and let in without.", "With sslmode=prefer, libpq's default, the client tries again without encryption after an encrypted connection was refused, and this record lets it in. Make the record hostssl, or let the client say sslmode=verify-full."}
	Shadowed       = Rule{"shadowed", LevelWarning, "The record never decides: records above it take every connection that it would take.", "The first record that matches decides, and no later one is looked at. Move the record up, or remove it."}
	NoTLS          = Rule{"no-tls", LevelWarning, "A hostssl record never matches: the server has ssl = off.", "Without TLS there are no connections that hostssl takes. Set ssl = on and a certificate."}
	NoCA           = Rule{"no-ca-file", LevelError, "The record asks for a client certificate, and ssl_ca_file is not set.", "The server cannot verify a certificate without a CA, and refuses the connection. Set ssl_ca_file."}
	MapMissing     = Rule{"map-missing", LevelError, "No line of pg_ident.conf has the record's map.", "A map without lines lets nobody in. Add lines to pg_ident.conf, or mend the name."}
	MapUnused      = Rule{"map-unused", LevelNote, "No record uses the map.", "The line changes nothing. Name the map in a record (map=NAME), or remove the line."}
	MapDead        = Rule{"map-never-matches", LevelWarning, "The line of the map can never match.", "The name that is compared is not the one that the line expects: a realm that include_realm=0 has cut off, a regular expression that ends in a slash, an expression of which a server of this version makes a literal name."}
	RealmIgnored   = Rule{"realm-ignored", LevelWarning, "include_realm=0 without krb_realm: principals of every realm count alike.", "A principal of a realm that the server's realm trusts becomes the role of the same name. Leave include_realm=1 and map the names, or add krb_realm."}
	HostBits       = Rule{"host-bits", LevelNote, "The address has bits set that the mask takes away.", "The record takes the whole network, not the one address. Write the network's address, or a /32 or /128."}
	NeedsReverse   = Rule{"needs-reverse-name", LevelNote, "The record matches only if the client's address has this name in reverse and forward look-up.", "The server asks its resolver for each connection that gets as far as this record. Without a reverse name the record never matches."}
	OldMethod      = Rule{"md5", LevelNote, "The method md5 accepts passwords that are stored as md5.", "md5 hashes serve as passwords, and PostgreSQL 18 warns of them. Store the passwords as scram-sha-256 and write scram-sha-256."}
	LiteralRegex   = Rule{"literal-slash", LevelWarning, "A name that begins with a slash is a name, not a regular expression, to a server of this version.", "Regular expressions in pg_hba.conf came with PostgreSQL 16. Name the roles or databases."}
	Unknown        = Rule{"not-modelled", LevelNote, "What the record does is not modelled.", "The method asks a service that this program knows nothing of, or the record needs what nobody has said. Try it on a real server."}
)

// Kinds lists every kind of finding.
var Kinds = []Rule{NotLoaded, TrustElsewhere, AnybodyGetsIn, PasswordClear, NoCA, MapMissing, Plaintext, FallsThrough, Shadowed, NoTLS, MapDead, RealmIgnored, LiteralRegex, MapUnused, HostBits, NeedsReverse, OldMethod, Unknown}

// Finding is one finding at one line.
type Finding struct {
	Rule
	File string
	Line int
	Text string // the line, its blanks made single; may be empty
	Says string // what was found, about this line
}

// Report is what there is to say about a whole rule set.
type Report struct {
	Records  []RecordReport // none if the rules do not load
	Findings []Finding      // worst first, then by place
}

// RecordReport says over whom a record decides and whom it lets in.
type RecordReport struct {
	oracle.Record
	Lets  []Lets // none: nobody
	met   bool   // there is a class that it would take
	dead  bool   // it decides over no class
	above []int  // the records that decide over classes that it would take
}

// Dead says whether the record decides over no connection.
func (r *RecordReport) Dead() bool { return r.dead && r.met }

// Lets are connections that a record lets in.
type Lets struct {
	Channel  matrix.Channel
	Have     Credential
	Remote   bool // from another machine
	Users    []string
	Example  Class
	Classes  int
	AsAnyone bool // a role that no rule names gets in, too
}

// Audit looks at a server's rules as a whole.
func (s *Server) Audit() (*Report, error) {
	var report Report
	sample, x, err := s.loaded()
	if wrong := (*oracle.RulesError)(nil); errors.As(err, &wrong) {
		for _, l := range wrong.Lines {
			if set, ok := s.setting(l.Setting); ok {
				l.Line = set.Line
			}
			report.add(NotLoaded, l.File, l.Line, "", "PostgreSQL "+fmt.Sprint(s.Version)+" says: "+l.Message)
		}
		return &report, nil
	}
	if err != nil {
		return nil, err
	}
	if err := report.classes(sample, x); err != nil {
		return nil, err
	}
	for i := range report.Records {
		s.lookAt(&report, x, &report.Records[i])
	}
	s.maps(&report, x)
	report.sort()
	return &report, nil
}

func (s *Server) loaded() (*sample, *side, error) {
	w := s.World()
	rules, err := oracle.LoadRules(&w)
	if err != nil {
		return nil, nil, err
	}
	sample := sampleOf([]*Server{s}, rules)
	x, err := sample.side(s)
	return &sample, x, err
}

func (r *Report) add(rule Rule, file string, line int, text, says string) {
	r.Findings = append(r.Findings, Finding{rule, file, line, text, says})
}

func (r *Report) record(rule Rule, record *oracle.Record, says string) {
	r.add(rule, record.File, record.Line, record.Text, says)
}

// has says whether a record has such a finding already.
func (r *Report) has(rule Rule, record *oracle.Record) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.ID == rule.ID && f.File == record.File && f.Line == record.Line })
}

func (r *Report) sort() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return slices.Index(Levels, a.Level) - slices.Index(Levels, b.Level) })
}

// remote says whether a client of the class may be on another machine.
func (c Class) remote() bool {
	a, err := netip.ParseAddr(c.Address)
	return err == nil && !a.IsLoopback()
}

// classes asks about every class of connections.
func (r *Report) classes(s *sample, x *side) error {
	r.Records = make([]RecordReport, len(x.rules.Records))
	for i := range r.Records {
		r.Records[i] = RecordReport{Record: x.rules.Records[i], dead: true}
	}
	m := newAdmissions(x)
	unknown := map[int]string{}
	falls := map[int]string{}
	err := s.walk([]*side{x}, func(v *visit) error {
		n := v.decides[0]
		for _, i := range v.takes[0] {
			if i == n {
				r.Records[i].dead, r.Records[i].met = false, true
			} else if i > n && v.takesAll(x, i) {
				r.Records[i].met = true
				if !slices.Contains(r.Records[i].above, n) {
					r.Records[i].above = append(r.Records[i].above, n)
				}
			}
		}
		if n < 0 {
			return nil
		}
		lets, why, err := m.admitted(v.Class, n)
		if err != nil {
			return err
		}
		if why != "" {
			unknown[n] = why
			return nil
		}
		r.Records[n].admit(v.Class, lets)
		if _, known := falls[n]; known || v.Channel != matrix.Plain || !v.remote() || x.world.SSL != "on" {
			return nil
		}
		says, err := fallsThrough(x, m, v, lets)
		if says != "" {
			falls[n] = says
		}
		return err
	})
	if err != nil {
		return err
	}
	for n := range r.Records {
		if why := unknown[n]; why != "" {
			r.record(Unknown, &r.Records[n].Record, strings.TrimPrefix(why, "cannot predict: "))
		}
		if says := falls[n]; says != "" {
			r.record(FallsThrough, &r.Records[n].Record, says)
		}
	}
	return nil
}

// fallsThrough says which client of the class is refused over TLS, and let in without encryption; "" if none.
func fallsThrough(x *side, m *admissions, v *visit, inClear []Credential) (says string, err error) {
	if len(inClear) == 0 {
		return "", nil
	}
	over := *v
	over.Channel = matrix.TLS
	n, err := x.choose(&over, v.takes[0])
	if err != nil {
		return "", err
	}
	lets, why, err := m.admitted(over.Class, n)
	if err != nil || why != "" {
		return "", err
	}
	for _, have := range inClear {
		if !slices.Contains(lets, have) && !impliedBy(matrix.TLS, lets, have) {
			says := fmt.Sprintf("%s from %s to database %s with %s is refused over TLS", v.User, v.Address, v.Database, article(have))
			if n >= 0 {
				says += " by " + at(&x.rules.Records[n])
			}
			return says + ", and this record lets it in without encryption.", nil
		}
	}
	return "", nil
}

func impliedBy(channel matrix.Channel, lets []Credential, have Credential) bool {
	has := map[Credential]bool{}
	for _, l := range lets {
		has[l] = true
	}
	return implied(channel, has, have)
}

func at(r *oracle.Record) string { return fmt.Sprintf("%s:%d", r.File, r.Line) }

func (r *RecordReport) admit(c Class, lets []Credential) {
	for _, have := range lets {
		i := slices.IndexFunc(r.Lets, func(l Lets) bool { return l.Channel == c.Channel && l.Have == have && l.Remote == c.remote() })
		if i < 0 {
			r.Lets = append(r.Lets, Lets{Channel: c.Channel, Have: have, Remote: c.remote(), Example: c})
			i = len(r.Lets) - 1
		}
		l := &r.Lets[i]
		l.Classes++
		if c.User == OtherUser {
			l.AsAnyone = true
		} else if !slices.Contains(l.Users, c.User) {
			l.Users = append(l.Users, c.User)
		}
	}
}

// lookAt finds what is wrong with one record.
func (s *Server) lookAt(report *Report, x *side, r *RecordReport) {
	record := &r.Record
	says := func(rule Rule, format string, args ...any) { report.record(rule, record, fmt.Sprintf(format, args...)) }
	switch {
	case record.Conn == "hostssl" && x.world.SSL == "off":
		says(NoTLS, "The server has ssl = off.")
	case r.dead:
		if by, proven := shadowed(x, r); proven {
			says(Shadowed, "%s decides over each connection that it would take.", by)
		}
	}
	report.admits(r)
	if x.world.ServerCA == "none" && record.ClientCert() != "" {
		says(NoCA, "It asks for clientcert=%s.", record.ClientCert())
	}
	if realm, included := record.Realm(); record.Method == matrix.MethodGSS && realm == "" && !included {
		says(RealmIgnored, "%s and %s are both %s to it.", "alice@"+x.world.Realms[0].Name, "alice@ANOTHER.REALM", "alice")
	}
	if record.Method == matrix.MethodMD5 {
		says(OldMethod, "It accepts passwords that are stored as md5, and scram-sha-256 where they are stored so.")
	}
	report.columns(record, s.Version)
}

// admits finds what is wrong with whom a record lets in.
func (r *Report) admits(record *RecordReport) {
	says := func(rule Rule, format string, args ...any) {
		r.record(rule, &record.Record, fmt.Sprintf(format, args...))
	}
	trust := record.Method == matrix.MethodTrust
	for _, l := range record.Lets {
		switch {
		case trust && l.Remote && l.Have == Nothing && !r.has(TrustElsewhere, &record.Record):
			says(TrustElsewhere, "%s from %s over %s needs no credential.", l.who(), l.Example.Address, l.Channel)
		case trust && l.Remote && l.Have == AnyTicket && !r.has(TrustElsewhere, &record.Record):
			says(TrustElsewhere, "%s from %s needs only a ticket of anybody, to encrypt the connection.", l.who(), l.Example.Address)
		case !trust && (l.Have == AnyTicket || l.Have == AnyCert) && !r.has(AnybodyGetsIn, &record.Record):
			says(AnybodyGetsIn, "A %s becomes %s.", l.Have, l.who())
		}
	}
	plain := slices.IndexFunc(record.Lets, func(l Lets) bool { return l.Channel == matrix.Plain && l.Remote })
	switch {
	case plain < 0:
	case record.Method == matrix.MethodPassword:
		says(PasswordClear, "%s from %s sends the password as it is.", record.Lets[plain].who(), record.Lets[plain].Example.Address)
	default:
		says(Plaintext, "%s from %s gets in over an unencrypted connection with %s.", record.Lets[plain].who(), record.Lets[plain].Example.Address, article(record.Lets[plain].Have))
	}
}

// columns finds what is odd about a record's address and names.
func (r *Report) columns(record *oracle.Record, version int) {
	switch a := record.Address(); {
	case a.Host != "":
		r.record(NeedsReverse, record, "The name is "+a.Host+".")
	case a.Addr.IsValid():
		if bits, ok := prefixLength(a.Mask); ok && netip.PrefixFrom(a.Addr, bits).Masked().Addr() != a.Addr {
			r.record(HostBits, record, "It takes all of "+netip.PrefixFrom(a.Addr, bits).Masked().String()+".")
		}
	}
	if version >= 16 {
		return
	}
	for _, n := range slices.Concat(record.Databases(), record.Users()) {
		if strings.HasPrefix(n.Text, "/") {
			r.record(LiteralRegex, record, fmt.Sprintf("%s is the name of a role or database to PostgreSQL %d.", n.Text, version))
		}
	}
}

// article puts the article before a credential.
func article(have Credential) string {
	switch have {
	case Nothing:
		return "no credential"
	case AccountItself, OwnTicket, OwnCert, OwnPassword, AnyTicket, AnyCert, PasswordCert, PasswordOther:
		return "a " + string(have)
	}
	if strings.HasPrefix(string(have), accountOf) {
		return "the " + string(have)
	}
	if have.rank() == len(credentials) {
		return "a " + string(have)
	}
	return string(have)
}

// who names the roles that get in.
func (l Lets) who() string { return Roles(l.Users, l.AsAnyone, 3) }

// Roles names roles, at most so many; anyone stands for all, those that no rule names among them.
func Roles(users []string, anyone bool, most int) string {
	if anyone {
		return "any role"
	}
	return firstOf(users, most)
}

func firstOf(names []string, most int) string {
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// shadowed says which records decide in the place of one that never does. An expression stands for more names than one example shows: then only records
// above that take every name, or have the same expression, prove anything.
func shadowed(x *side, r *RecordReport) (by string, proven bool) {
	var above []string
	for _, n := range r.above {
		over := &x.rules.Records[n]
		if !covers(over.Users(), r.Users()) || !covers(over.Databases(), r.Databases()) {
			return "", false
		}
		above = append(above, at(over))
	}
	return firstOf(above, 4), r.met
}

// covers says whether each expression of a column is covered by the other column.
func covers(over, names []oracle.Name) bool {
	for _, n := range names {
		if n.Regex && !slices.ContainsFunc(over, func(o oracle.Name) bool { return o.Keyword("all") || o == n }) {
			return false
		}
	}
	return true
}

// maps finds what is wrong with the user name maps.
func (s *Server) maps(report *Report, x *side) {
	used := map[string][]*oracle.Record{}
	for i := range x.rules.Records {
		r := &x.rules.Records[i]
		name := r.Map()
		if name == "" {
			continue
		}
		used[name] = append(used[name], r)
		if !slices.ContainsFunc(x.rules.Mappings, func(m oracle.Mapping) bool { return m.Map == name }) {
			report.record(MapMissing, r, "No line has map "+name+".")
		}
	}
	for _, m := range x.rules.Mappings {
		says := func(rule Rule, text string) {
			report.add(rule, m.File, m.Line, m.Map+"  "+m.System.Text+"  "+m.Role.Text, text)
		}
		records := used[m.Map]
		if len(records) == 0 {
			says(MapUnused, "No record has map="+m.Map+".")
			continue
		}
		withRealm := func(r *oracle.Record) bool {
			_, included := r.Realm()
			return included || r.Method != matrix.MethodGSS
		}
		switch {
		case m.System.Regex && strings.HasSuffix(m.System.Text, "/") && len(m.System.Text) > 1:
			says(MapDead, "The regular expression ends in a slash, which is part of it: there is no closing slash in pg_ident.conf.")
		case strings.Contains(m.System.Text, "@") && !slices.ContainsFunc(records, withRealm):
			says(MapDead, "The line expects a realm, and include_realm=0 has cut it off in each record with this map.")
		case s.Version < 16 && strings.HasPrefix(m.Role.Text, "/"):
			says(MapDead, "The role is a name, not a regular expression, to PostgreSQL "+fmt.Sprint(s.Version)+".")
		}
	}
}

// Key identifies a finding when lines move: its kind, its file, and the text of its line.
func (f Finding) Key() string {
	sum := sha256.Sum256([]byte(f.ID + "\x00" + f.File + "\x00" + f.Text))
	return f.ID + "-" + hex.EncodeToString(sum[:6])
}

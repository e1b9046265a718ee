package oracle

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Record is one pg_hba.conf record as hba.c parses it.
type Record struct {
	File   string // base name: pg_hba.conf
	Line   int    // where the record begins
	Conn   string // local | host | hostssl | hostnossl | hostgssenc | hostnogssenc
	Method matrix.Method
	Text   string // the record as written, continuation lines joined

	databases, users []token
	address          address
	clientCert       string // "" | verify-ca | verify-full
	clientName       string // "" and CN: the common name; DN: the distinguished name
	usermap          string
	krbRealm         string
	includeRealm     bool
}

func (r *Record) rule() string { return r.File + ":" + strconv.Itoa(r.Line) }

// RulesError says that a server of this version would not load the rules, in its own words: a start fails, a reload
// leaves the old rules in force (PostgreSQL manual, "The pg_hba.conf File").
type RulesError struct {
	Lines []LineError // in the order of the file; never empty
}

// LineError is one line that the server would not load.
type LineError struct {
	File    string // base name
	Line    int    // where the entry begins; 0: the file as a whole
	Message string // the server's message for it
}

func (e LineError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
}

func (e *RulesError) Error() string {
	lines := make([]string, len(e.Lines))
	for i, l := range e.Lines {
		lines[i] = l.Error()
	}
	return strings.Join(lines, "\n")
}

// rules are what a server has loaded.
type rules struct {
	hba   []Record
	ident []mapping
	err   error
}

type rulesKey struct {
	server     int
	hba, ident string
}

var loaded sync.Map // rulesKey -> *rules: a run has few texts and many cells

func load(w *matrix.World) (*rules, error) {
	key := rulesKey{w.Server, w.HBA, w.Ident}
	if r, ok := loaded.Load(key); ok {
		return r.(*rules), r.(*rules).err
	}
	r := &rules{}
	if r.hba, r.err = ParseHBA(w.HBA, w.Server); r.err == nil {
		r.ident, r.err = parseIdent(w.Ident, w.Server)
	}
	loaded.Store(key, r)
	return r, r.err
}

// ParseHBA parses pg_hba.conf as a server of that major version does (hba.c, load_hba). A text that it would not load
// is a *RulesError with every bad line; what this package does not model is a *CannotPredict.
func ParseHBA(text string, server int) ([]Record, error) {
	lines, err := tokenize(text, server)
	if err != nil {
		return nil, err
	}
	var records []Record
	bad := &RulesError{}
	for _, l := range lines {
		r := Record{File: matrix.HBAFile, Line: l.number, Text: strings.Join(strings.Fields(l.text), " ")}
		message, err := r.parse(l.fields, server)
		if err != nil {
			return nil, err
		}
		if message != "" {
			bad.Lines = append(bad.Lines, LineError{matrix.HBAFile, l.number, message})
			continue
		}
		records = append(records, r)
	}
	if len(bad.Lines) == 0 && len(records) == 0 {
		bad.Lines = []LineError{{matrix.HBAFile, 0, "configuration file contains no entries"}}
	}
	if len(bad.Lines) > 0 {
		return nil, bad
	}
	return records, nil
}

// token is one item of a field. Quoting takes away the special meaning of keywords and of +, but not of / (hba.c,
// token_is_keyword, token_is_member_check, token_has_regexp).
type token struct {
	text    string
	quoted  bool
	pattern *pattern // compiled from /regex where the version has it
}

func (t token) keyword(word string) bool { return !t.quoted && t.text == word }
func (t token) group() bool              { return !t.quoted && strings.HasPrefix(t.text, "+") }

type line struct {
	number int // of its first physical line
	text   string
	fields [][]token
}

// tokenize cuts a configuration file into lines, fields and tokens (hba.c, tokenize_auth_file). Backslash at the end
// of a line continues it since 14, before quotes and comments are looked at.
func tokenize(text string, server int) ([]line, error) {
	var lines []line
	physical := strings.Split(text, "\n")
	for i := 0; i < len(physical); {
		number, joined, continued := i+1, "", 0
		for ; i < len(physical); i++ {
			joined += strings.TrimRight(physical[i], "\r")
			// Only a backslash behind the last join counts, or two in a row would behave surprisingly.
			if server < 14 || len(joined) <= continued || !strings.HasSuffix(joined, `\`) {
				break
			}
			joined = joined[:len(joined)-1]
			continued = len(joined)
		}
		i++
		l := line{number: number, text: joined}
		for rest := joined; rest != ""; {
			var field []token
			var err error
			if field, rest, err = nextField(rest, server); err != nil {
				return nil, err
			}
			if len(field) > 0 {
				l.fields = append(l.fields, field)
			}
		}
		if len(l.fields) == 0 {
			continue
		}
		if first := l.fields[0][0].text; server >= 16 && len(l.fields) == 2 && (first == "include" || first == "include_if_exists" || first == "include_dir") {
			return nil, unknown("the files that it names are not part of the cell", "line %d: %s", number, first)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// nextField reads the tokens up to a blank that no comma precedes (hba.c, next_field_expand).
func nextField(s string, server int) (field []token, rest string, err error) {
	for {
		t, after, comma, ok := nextToken(s)
		if s = after; !ok {
			return field, s, nil
		}
		if !t.quoted && len(t.text) > 1 && t.text[0] == '@' {
			return nil, "", unknown("the file that it names is not part of the cell", "token %s", t.text)
		}
		if server < 16 && len(t.text) > 250 {
			return nil, "", unknown("a server before 16 has a limit there", "a token of %d bytes", len(t.text))
		}
		if field = append(field, t); !comma {
			return field, s, nil
		}
	}
}

// nextToken reads one token (hba.c, next_token). It also eats the comma behind it.
func nextToken(s string) (t token, rest string, comma, ok bool) {
	i := 0
	for i < len(s) && (isBlank(s[i]) || s[i] == ',') {
		i++
	}
	var b strings.Builder
	inQuote, wasQuote, sawQuote := false, false, false
	for ; i < len(s) && (!isBlank(s[i]) || inQuote); i++ {
		c := s[i]
		if c == '#' && !inQuote {
			i = len(s)
			break
		}
		if c == ',' && !inQuote {
			comma = true
			i++
			break
		}
		if c != '"' || wasQuote {
			b.WriteByte(c)
		}
		wasQuote = inQuote && c == '"' && !wasQuote
		if c == '"' {
			inQuote, sawQuote = !inQuote, true
			if b.Len() == 0 {
				t.quoted = true
			}
		}
	}
	t.text = b.String()
	return t, s[i:], comma, sawQuote || t.text != ""
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

// parse fills the record from the fields (hba.c, parse_hba_line); message is the server's, of a line that it refuses.
func (r *Record) parse(fields [][]token, server int) (message string, err error) {
	next := func(missing string) (field []token) {
		if len(fields) == 0 {
			message = missing
			return nil
		}
		field, fields = fields[0], fields[1:]
		return field
	}
	single := func(missing, many string) string {
		field := next(missing)
		if len(field) > 1 {
			message = many
		}
		if message != "" {
			return ""
		}
		return field[0].text
	}

	if r.Conn = single("", "multiple values specified for connection type"); message != "" {
		return message, nil
	}
	if !slices.Contains([]string{"local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"}, r.Conn) {
		return fmt.Sprintf("invalid connection type %q", r.Conn), nil
	}
	if r.databases = next("end-of-line before database specification"); message != "" {
		return message, nil
	}
	if message, err = compileAll(r.databases, server); message != "" || err != nil {
		return message, err
	}
	if r.users = next("end-of-line before role specification"); message != "" {
		return message, nil
	}
	if message, err = compileAll(r.users, server); message != "" || err != nil {
		return message, err
	}
	if r.Conn != "local" {
		field := next("end-of-line before IP address specification")
		if len(field) > 1 {
			message = "multiple values specified for host address"
		}
		if message != "" {
			return message, nil
		}
		var needsMask bool
		if r.address, needsMask, message, err = parseAddress(field[0]); message != "" || err != nil {
			return message, err
		}
		if needsMask {
			mask := single("end-of-line before netmask specification", "multiple values specified for netmask")
			if message != "" {
				return message, nil
			}
			if message, err = r.address.setMask(mask); message != "" || err != nil {
				return message, err
			}
		}
	}
	method := single("end-of-line before authentication method", "multiple values specified for authentication type")
	if message != "" {
		return message, nil
	}
	if message, err = r.setMethod(method, server); message != "" || err != nil {
		return message, err
	}
	for _, field := range fields {
		for _, t := range field {
			name, value, ok := strings.Cut(t.text, "=")
			if !ok {
				return "authentication option not in name=value format: " + t.text, nil
			}
			if message := r.setOption(name, value, server); message != "" {
				return message, nil
			}
		}
	}
	if r.Method == matrix.MethodCert {
		r.clientCert = "verify-full"
	}
	return "", nil
}

// setMethod applies what a Debian build of the server supports: pam and ldap, not sspi and bsd.
func (r *Record) setMethod(method string, server int) (message string, err error) {
	switch method {
	case "trust", "reject", "ident", "peer", "password", "gss", "md5", "scram-sha-256", "pam", "cert":
	case "sspi", "bsd":
		return fmt.Sprintf("invalid authentication method %q: not supported by this build", method), nil
	case "ldap", "radius":
		return "", unknown("neither its options nor its server are modelled", "line %d: authentication method %s", r.Line, method)
	case "oauth":
		if server >= 18 {
			return "", unknown("neither its options nor its validator are modelled", "line %d: authentication method oauth", r.Line)
		}
		fallthrough
	default:
		return fmt.Sprintf("invalid authentication method %q", method), nil
	}
	if r.Conn == "local" && method == "ident" {
		method = "peer" // for backwards compatibility
	}
	switch {
	case r.Conn == "local" && method == "gss":
		return "gssapi authentication is not supported on local sockets", nil
	case r.Conn != "local" && method == "peer":
		return "peer authentication is only supported on local sockets", nil
	case r.Conn != "hostssl" && method == "cert":
		return "cert authentication is only supported on hostssl connections", nil
	}
	r.Method = matrix.Method(method)
	r.includeRealm = method == "gss"
	return "", nil
}

// setOption is hba.c, parse_hba_auth_opt.
func (r *Record) setOption(name, value string, server int) (message string) {
	onlyFor := func(methods string) string {
		return fmt.Sprintf("authentication option %q is only valid for authentication methods %s", name, methods)
	}
	switch {
	case name == "map":
		if !slices.Contains([]matrix.Method{"ident", "peer", "gss", "cert"}, r.Method) {
			if server >= 18 {
				return onlyFor("ident, peer, gssapi, sspi, cert, and oauth")
			}
			return onlyFor("ident, peer, gssapi, sspi, and cert")
		}
		r.usermap = value
	case name == "clientcert":
		return r.setClientCert(value, server)
	case name == "clientname" && server >= 14:
		if r.Conn != "hostssl" {
			return `clientname can only be configured for "hostssl" rows`
		}
		if value != "CN" && value != "DN" {
			return fmt.Sprintf("invalid value for clientname: %q", value)
		}
		r.clientName = value
	case name == "krb_realm":
		if r.Method != matrix.MethodGSS {
			return onlyFor("gssapi and sspi")
		}
		r.krbRealm = value
	case name == "include_realm":
		if r.Method != matrix.MethodGSS {
			return onlyFor("gssapi and sspi")
		}
		r.includeRealm = value == "1"
	case name == "compat_realm", name == "upn_username":
		return onlyFor("sspi")
	case name == "pamservice", name == "pam_use_hostname":
		if r.Method != "pam" {
			return onlyFor("pam")
		}
	case slices.Contains([]string{"ldapurl", "ldaptls", "ldapscheme", "ldapserver", "ldapport", "ldapbinddn", "ldapbindpasswd", "ldapsearchattribute", "ldapsearchfilter", "ldapbasedn", "ldapprefix", "ldapsuffix"}, name):
		return onlyFor("ldap")
	case slices.Contains([]string{"radiusservers", "radiusports", "radiussecrets", "radiusidentifiers"}, name):
		return onlyFor("radius")
	case server >= 18 && slices.Contains([]string{"issuer", "scope", "validator", "delegate_ident_mapping"}, name):
		return onlyFor("oauth")
	default:
		return fmt.Sprintf("unrecognized authentication option name: %q", name)
	}
	return ""
}

func (r *Record) setClientCert(value string, server int) (message string) {
	cert := r.Method == matrix.MethodCert
	switch {
	case r.Conn != "hostssl":
		return `clientcert can only be configured for "hostssl" rows`
	case value == "verify-full":
		r.clientCert = "verify-full"
	case value == "verify-ca" && server >= 14 && cert:
		return `clientcert only accepts "verify-full" when using "cert" authentication`
	case value == "verify-ca", value == "1" && server < 14:
		r.clientCert = "verify-ca"
	case (value == "0" || value == "no-verify") && server < 14:
		if cert {
			return `clientcert cannot be set to "no-verify" when using "cert" authentication`
		}
		r.clientCert = ""
	default:
		return fmt.Sprintf("invalid value for clientcert: %q", value)
	}
	return ""
}

// address says whether the client container's address is in a record's range. Only that much of the address is known
// beforehand: it is IPv4, on the server's own network, not loopback and not one of the server's.
type address struct {
	text   string
	match  bool
	undone bool // it depends on the address itself
	addr   netip.Addr
}

func parseAddress(t token) (a address, needsMask bool, message string, err error) {
	a.text = t.text
	switch {
	case t.keyword("all"), t.keyword("samenet"):
		a.match = true
		return a, false, "", nil
	case t.keyword("samehost"):
		return a, false, "", nil
	}
	host, bits, cidr := strings.Cut(t.text, "/")
	if a.addr, err = netip.ParseAddr(host); err != nil || a.addr.Zone() != "" {
		if strings.Trim(host, "0123456789.") == "" || strings.ContainsAny(host, ":%") {
			return a, false, "", unknown("getaddrinfo decides what it means", "address %q", t.text)
		}
		if cidr {
			return a, false, fmt.Sprintf("specifying both host name and CIDR mask is invalid: %q", t.text), nil
		}
		a.undone = true // a host name: the server would look it up
		return a, false, "", nil
	}
	if !cidr {
		return a, true, "", nil
	}
	n, err := strconv.Atoi(bits)
	if err != nil || n < 0 || n > a.addr.BitLen() {
		return a, false, fmt.Sprintf("invalid CIDR mask in address %q", t.text), nil
	}
	a.decide(netip.PrefixFrom(a.addr, n).Masked())
	return a, false, "", nil
}

func (a *address) setMask(mask string) (message string, err error) {
	m, err := netip.ParseAddr(mask)
	if err != nil || m.Zone() != "" {
		return "", unknown("getaddrinfo decides what it means", "netmask %q", mask)
	}
	if m.Is4() != a.addr.Is4() {
		return "IP address and mask do not match", nil
	}
	a.text += " " + mask
	n := 0
	for _, b := range m.AsSlice() {
		for bit := 7; bit >= 0 && b>>bit&1 == 1; bit-- {
			n++
		}
		if b != 0xff {
			break
		}
	}
	if p, _ := m.Prefix(n); p.Addr() != m {
		a.undone = true // not contiguous: the server takes it bit by bit
		return "", nil
	}
	a.decide(netip.PrefixFrom(a.addr, n).Masked())
	return "", nil
}

// decide for a prefix. The server compares only addresses of one family (hba.c, check_ip).
func (a *address) decide(p netip.Prefix) {
	switch {
	case p.Addr().Is6():
	case p.Bits() == 0:
		a.match = true
	case p.Bits() >= 8 && p.Addr().IsLoopback():
	default:
		a.undone = true
	}
}

// match finds the first record for a startup packet (hba.c, check_hba). Record nil: there is none. The second record
// is the first that fits but for the channel: it explains.
func (a *attempt) match(ch matrix.Channel) (found, otherwise *Record, err error) {
	for i := range a.rules.hba {
		r := &a.rules.hba[i]
		if (r.Conn == "local") != a.unix() || !a.databaseMatches(r) || !a.userMatches(r.users, a.c.User) {
			continue
		}
		if !a.takesChannel(r, ch) {
			if otherwise == nil {
				otherwise = r
			}
			continue
		}
		if r.address.undone {
			return nil, nil, unknown("the client's address is not known beforehand", "%s: address %s", r.rule(), r.address.text)
		}
		if r.Conn == "local" || r.address.match {
			return r, otherwise, nil
		}
	}
	return nil, otherwise, nil
}

// takesChannel: hostssl and hostnossl look only at TLS, hostgssenc and hostnogssenc only at GSS.
func (a *attempt) takesChannel(r *Record, ch matrix.Channel) bool {
	switch r.Conn {
	case "hostssl":
		return ch == matrix.TLS
	case "hostnossl":
		return ch != matrix.TLS
	case "hostgssenc":
		return ch == matrix.GSS
	case "hostnogssenc":
		return ch != matrix.GSS
	}
	return true
}

func (a *attempt) databaseMatches(r *Record) bool {
	for _, t := range r.databases {
		switch {
		case t.keyword("all"):
			return true
		case t.keyword("sameuser"):
			if a.c.Database == a.c.User {
				return true
			}
		case t.keyword("samerole"), t.keyword("samegroup"):
			if a.isMember(a.c.User, a.c.Database) {
				return true
			}
		case t.keyword("replication"): // of physical replication only, which no attempt asks for
		case t.pattern != nil:
			if t.pattern.matches(a.c.Database) {
				return true
			}
		case t.text == a.c.Database:
			return true
		}
	}
	return false
}

// userMatches is hba.c, check_role.
func (a *attempt) userMatches(tokens []token, user string) bool {
	for _, t := range tokens {
		switch {
		case t.group():
			if a.isMember(user, t.text[1:]) {
				return true
			}
		case t.keyword("all"):
			return true
		case t.pattern != nil:
			if t.pattern.matches(user) {
				return true
			}
		case t.text == user:
			return true
		}
	}
	return false
}

// isMember: a role is a member of itself, and a world grants no role to another.
func (a *attempt) isMember(user, group string) bool {
	_, exists := a.role(user)
	return exists && user == group
}

// describe says which of a connection's traits a record is chosen by.
func (a *attempt) describe(ch matrix.Channel) string {
	what := map[matrix.Channel]string{matrix.Plain: "an unencrypted connection", matrix.TLS: "a TLS connection", matrix.GSS: "a GSS-encrypted connection"}[ch]
	if a.unix() {
		what = "a unix-socket connection"
	}
	return what + " of " + a.c.User + " to database " + a.c.Database
}

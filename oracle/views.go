package oracle

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// FileRule is a row of the view pg_hba_file_rules: how the server reads a line of the file as it lies there.
type FileRule struct {
	File             string // relative to the configuration directory; the server shows it since 16
	Line             int
	Type             string // empty: the server could not parse the line, and shows none of its columns
	Databases, Users []string
	Address, Mask    *string // nil: null
	Method           string
	Options          []string
	Error            string // empty: null
}

// String writes the row so that different rows have different texts.
func (r FileRule) String() string {
	text := fmt.Sprintf("%s:%d", r.File, r.Line)
	if r.Type != "" {
		text += " " + strings.Join([]string{word(r.Type), list(r.Databases), list(r.Users), wordOrNull(r.Address), wordOrNull(r.Mask), word(r.Method)}, " ")
		if len(r.Options) > 0 {
			text += " " + list(r.Options)
		}
	}
	return text + errorColumn(r.Error)
}

// FileMapping is a row of the view pg_ident_file_mappings, which servers have since 15.
type FileMapping struct {
	File    string // relative to the configuration directory; the server shows it since 16
	Line    int
	Columns []string // map, system user, role; nil: the server could not parse the line
	Error   string   // empty: null
}

// String writes the row so that different rows have different texts.
func (m FileMapping) String() string {
	text := fmt.Sprintf("%s:%d", m.File, m.Line)
	for _, c := range m.Columns {
		text += " " + word(c)
	}
	return text + errorColumn(m.Error)
}

func errorColumn(message string) string {
	if message == "" {
		return ""
	}
	return " error " + strconv.Quote(message)
}

// word quotes what could be taken for something else.
func word(text string) string {
	odd := func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`"[]\`, r) || r == unicode.ReplacementChar
	}
	if text == "" || text == null || text == "error" || strings.ContainsFunc(text, odd) {
		return strconv.Quote(text)
	}
	return text
}

const null = "-"

func wordOrNull(text *string) string {
	if text == nil {
		return null
	}
	return word(*text)
}

func list(texts []string) string {
	words := make([]string, len(texts))
	for i, t := range texts {
		words[i] = word(t)
	}
	return "[" + strings.Join(words, " ") + "]"
}

// Reading is how a server reads configuration files.
type Reading struct {
	Logged   []string      // by its postmaster when it reloads them, in the form of matrix.Outcome.Load; nothing if it takes them over
	Rules    []FileRule    // of pg_hba_file_rules
	Mappings []FileMapping // of pg_ident_file_mappings; none before 15
}

// Read says how a server reads the world's files (hba.c, load_hba and load_ident; hbafuncs.c, fill_hba_view and fill_ident_view). What this
// package does not model is a *CannotPredict.
func Read(w *matrix.World) (*Reading, error) {
	hba, logged, err := readHBA(w.HBA, w.Files, w.Server)
	if err != nil {
		return nil, err
	}
	ident, more, err := readIdent(w.Ident, w.Files, w.Server)
	if err != nil {
		return nil, err
	}
	r := &Reading{}
	for _, l := range append(logged, more...) {
		r.Logged = append(r.Logged, l.logged())
	}
	for i := range hba {
		r.Rules = append(r.Rules, hba[i].row(w))
	}
	for i := range ident {
		if w.Server >= 15 {
			r.Mappings = append(r.Mappings, ident[i].row())
		}
	}
	return r, nil
}

func (l *hbaLine) row(w *matrix.World) FileRule {
	row := FileRule{File: l.file, Line: l.number, Error: l.shown()}
	if l.wrong == "" && l.record.Conn == "hostssl" && w.SSL == "off" {
		row.Error = "hostssl record cannot match because SSL is disabled" // the record is kept
	}
	switch {
	case l.message != "":
		if shown := shownInView(l.message, w.Server); shown != "" {
			row.Error = shown
		}
	case l.wrong == "":
		l.record.show(&row)
	}
	return row
}

func (l *identLine) row() FileMapping {
	row := FileMapping{File: l.file, Line: l.number, Error: l.shown()}
	switch {
	case l.message != "":
		row.Error = l.message
	case l.wrong == "":
		row.Columns = []string{l.mapping.name, l.mapping.system.text, l.mapping.role.text}
	}
	return row
}

// shown is the error that a view has of a line that cannot be read.
func (l *line) shown() string { return cmp.Or(l.wrongShown, l.wrong) }

// shownInView is the error that the view has for what the server logs of a line. For some mistakes hba.c sets none, or another one.
func shownInView(message string, server int) string {
	if ports, ok := strings.CutPrefix(message, "could not parse RADIUS port list "); ok {
		return "invalid RADIUS port number: " + ports
	}
	silent := []string{"invalid value for clientcert: ", "invalid value for clientname: ", "could not parse RADIUS ", "invalid RADIUS port number: "}
	if server < 14 {
		silent = append(silent, "the number of RADIUS ")
	}
	if slices.ContainsFunc(silent, func(s string) bool { return strings.HasPrefix(message, s) }) {
		return ""
	}
	if message == onlyVerifyFull {
		return `clientcert can only be set to "verify-full" when using "cert" authentication`
	}
	return message
}

// show fills the columns of a row.
func (r *Record) show(row *FileRule) {
	texts := func(tokens []token) (list []string) {
		for _, t := range tokens {
			list = append(list, t.text)
		}
		return list
	}
	row.Type, row.Databases, row.Users, row.Method = r.Conn, texts(r.databases), texts(r.users), string(r.Method)
	if r.Conn != "local" {
		row.Address, row.Mask = r.address.show()
	}
	row.Options = r.shownOptions()
}

// show is how the server writes an address and its mask.
func (a *address) show() (text, mask *string) {
	switch {
	case a.keyword != "":
		return &a.keyword, nil
	case a.named():
		return &a.host, nil
	}
	m, _ := netip.AddrFromSlice(a.mask) // as long as an address
	own, bits := shownAddress(a.addr), shownAddress(m)
	return &own, &bits
}

// shownAddress is getnameinfo of glibc with NI_NUMERICHOST. It writes the end of an IPv6 address as IPv4 where 96 bits before it are zero, but for
// addresses of 16 bits.
func shownAddress(a netip.Addr) string {
	b := a.AsSlice()
	if a.Is6() && !slices.ContainsFunc(b[:12], func(x byte) bool { return x != 0 }) && (b[12] != 0 || b[13] != 0) {
		return "::" + netip.AddrFrom4([4]byte(b[12:])).String()
	}
	return a.String()
}

// shownOptions are the record's options as the view has them (hbafuncs.c, get_hba_options).
func (r *Record) shownOptions() (shown []string) {
	given := func(names ...string) {
		for _, name := range names {
			if value, ok := r.options[name]; ok {
				shown = append(shown, name+"="+value)
			}
		}
	}
	flag := func(name string, set bool) {
		if set {
			shown = append(shown, name+"=true")
		}
	}
	flag("include_realm", r.Method == matrix.MethodGSS && r.includeRealm)
	given("krb_realm", "map")
	if r.clientCert != "" {
		shown = append(shown, "clientcert="+r.clientCert)
	}
	switch r.Method {
	case "pam":
		given("pamservice")
	case "ldap":
		given("ldapserver")
		if port, ok := r.options["ldapport"]; ok {
			shown = append(shown, "ldapport="+strconv.Itoa(atoi(port)))
		}
		given("ldapscheme")
		flag("ldaptls", r.options["ldaptls"] == "1")
		given("ldapprefix", "ldapsuffix", "ldapbasedn", "ldapbinddn", "ldapbindpasswd", "ldapsearchattribute", "ldapsearchfilter")
		shown = append(shown, "ldapscope=2") // LDAP_SCOPE_SUBTREE
	case "radius":
		given("radiusservers", "radiussecrets", "radiusidentifiers", "radiusports")
	}
	return shown
}

package oracle

import (
	"net/netip"
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Rules are what a server has loaded of a world's pg_hba.conf and pg_ident.conf.
type Rules struct {
	Records  []Record
	Mappings []Mapping
}

// Mapping is one line of pg_ident.conf.
type Mapping struct {
	File         string // relative to the configuration directory
	Line         int
	Map          string
	System, Role Name
}

// LoadRules reads the rules of a world as a server of its version does. Text that it would not load is a *RulesError with every bad line of
// pg_hba.conf, or, if that loads, of pg_ident.conf; what this package does not model is a *CannotPredict.
func LoadRules(w *matrix.World) (*Rules, error) {
	r, err := load(w)
	if err != nil {
		return nil, err
	}
	rules := &Rules{Records: r.hba}
	for _, m := range r.ident {
		rules.Mappings = append(rules.Mappings, Mapping{m.file, m.line, m.name, m.system.name(), m.role.name()})
	}
	return rules, nil
}

// Name is one item of a column of names.
type Name struct {
	Text   string
	Quoted bool // keywords and + have no meaning
	Regex  bool // it begins with a slash, and the version reads it as a regular expression
}

// Keyword says whether the item is this keyword.
func (n Name) Keyword(word string) bool { return !n.Quoted && n.Text == word }

// Group is the role whose members the item means; ok is false if it means no members.
func (n Name) Group() (role string, ok bool) {
	t := token{text: n.Text, quoted: n.Quoted}
	if !t.group() {
		return "", false
	}
	return n.Text[1:], true
}

func (t token) name() Name { return Name{t.text, t.quoted, t.pattern != nil} }

func names(tokens []token) []Name {
	list := make([]Name, len(tokens))
	for i, t := range tokens {
		list[i] = t.name()
	}
	return list
}

// Databases are the items of the database column.
func (r *Record) Databases() []Name { return names(r.databases) }

// Users are the items of the user column.
func (r *Record) Users() []Name { return names(r.users) }

// Address is the address column of a record: exactly one of the three is set, and none where the record is local.
type Address struct {
	Keyword string // all | samehost | samenet
	Host    string // a host name, or with a leading dot a suffix of host names
	Addr    netip.Addr
	Mask    []byte // of Addr, as long as it
}

// Address is the record's address column.
func (r *Record) Address() Address {
	a := r.address
	if r.Conn == "local" {
		return Address{}
	}
	return Address{a.keyword, a.host, a.addr, a.mask}
}

// ClientCert is what the record asks of the client's certificate: "", verify-ca or verify-full.
func (r *Record) ClientCert() string { return r.clientCert }

// ClientName says which name of the certificate counts: CN or DN.
func (r *Record) ClientName() string {
	if r.clientName == "" {
		return "CN"
	}
	return r.clientName
}

// Map is the name of the record's user name map; empty if it has none.
func (r *Record) Map() string { return r.usermap }

// Realm is the record's krb_realm, and whether the realm of a principal stays part of the name that is mapped.
func (r *Record) Realm() (krbRealm string, included bool) { return r.krbRealm, r.includeRealm }

// Choose finds the record that a server with the cell's world chooses for a startup packet of the cell's client on a connection that is protected
// by ch; nil: none. It asks for nothing else of the client.
func Choose(w *matrix.World, c *matrix.Client, ch matrix.Channel) (*Record, error) {
	a := attempt{w: w, c: c}
	if err := a.checkAddress(); err != nil {
		return nil, err
	}
	var err error
	if a.rules, err = load(w); err != nil {
		return nil, err
	}
	found, err := a.match(ch)
	return found.record, err
}

// Wanted are the files that the rules name and the world lacks, by their paths relative to the configuration directory; that of a directory ends in a
// slash. They are in the order in which the server looks for them.
func Wanted(w *matrix.World) (paths []string, err error) {
	for _, f := range []struct{ name, text string }{{matrix.HBAFile, w.HBA}, {matrix.IdentFile, w.Ident}} {
		t := newTokenizer(w.Server, w.Files)
		if _, err := t.tokenize(f.name, f.text, 0); err != nil {
			return nil, err
		}
		for _, p := range t.wanted {
			if !slices.Contains(paths, p) {
				paths = append(paths, p)
			}
		}
	}
	return paths, nil
}

// The columns of a record, one at a time.

// TakesUser says whether the user column has the role.
func (r *Record) TakesUser(w *matrix.World, user string) bool {
	a := attempt{w: w, c: &matrix.Client{User: user}}
	return a.userMatches(r.users, user, false)
}

// TakesDatabase says whether the database column has the database, for a client that asks for the role.
func (r *Record) TakesDatabase(w *matrix.World, user, database string) bool {
	a := attempt{w: w, c: &matrix.Client{User: user, Database: database}}
	return a.databaseMatches(r)
}

// TakesChannel says whether the record is for connections that are protected by ch; of a local record it is false.
func (r *Record) TakesChannel(ch matrix.Channel) bool {
	return r.Conn != "local" && (&attempt{}).takesChannel(r, ch)
}

// TakesAddress says whether the address column has the address.
func (r *Record) TakesAddress(w *matrix.World, address string) (bool, error) {
	a := attempt{w: w, c: &matrix.Client{Address: address}}
	return a.takesAddress(r, &lookedUp{})
}

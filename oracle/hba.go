package oracle

import (
	"fmt"
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

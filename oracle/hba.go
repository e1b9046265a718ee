package oracle

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Record is one pg_hba.conf record as hba.c parses it.
type Record struct {
	File   string // relative to the configuration directory: pg_hba.conf, or a file that it includes
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
	options          map[string]string // as written, those of its method alone, map and krb_realm
}

func (r *Record) rule() string { return r.File + ":" + strconv.Itoa(r.Line) }

// RulesError says that a server of this version would not load the rules, in its own words: a start fails, a reload
// leaves the old rules in force (PostgreSQL manual, "The pg_hba.conf File").
type RulesError struct {
	Lines []LineError // in the order in which the server logs them; never empty
}

// LineError is one line that the server would not load.
type LineError struct {
	File     string // relative to the configuration directory
	Line     int    // where the entry begins; 0: the file as a whole
	Message  string // the server's message for it, with paths relative to the configuration directory
	unplaced bool   // the server does not say which line it is
	ident    bool   // it is pg_ident.conf that does not load
	Setting  string // of postgresql.conf: its name
	tls      bool   // it is TLS that cannot be set up
	hosts    bool   // it is pg_hosts.conf
	source   string // file and function, as in hba.c, load_hba
}

func (e LineError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
}

// logged is the line in the form of matrix.Outcome.Load.
func (e LineError) logged() string {
	if e.unplaced {
		return e.Message
	}
	return e.Error()
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
	hba      []Record
	ident    []mapping
	hosts    *hosts // nil: the server presents one certificate to all
	settings []matrix.Setting
	kept     bool        // hba is what was in force before
	keptTLS  bool        // TLS is what was in force before
	keptConf bool        // postgresql.conf is what was in force before
	down     bool        // there is no server: it does not start
	failed   []LineError // what it said of the world's text when it did not load it
	err      error       // the rules are not those that the scenario means, or they are not modelled
}

// loadKey holds all of a world that decides what loads.
type loadKey struct {
	server                        int
	load, hba, ident, ssl, broken string
	before, files, certificates   string // certificates: that pg_hosts.conf can name
}

var loaded sync.Map // loadKey -> *rules: a run has few texts and many cells

func load(w *matrix.World) (*rules, error) {
	key := loadKey{w.Server, w.Load, w.HBA, w.Ident, w.SSL, w.TLSFiles, fmt.Sprintf("%#v", w.Before), fmt.Sprintf("%q%q", w.Files, w.Settings), ""}
	if w.ReadsHosts() {
		key.certificates = fmt.Sprintf("%s %#v", w.Host, w.Certificates)
	}
	if r, ok := loaded.Load(key); ok {
		return r.(*rules), r.(*rules).err
	}
	r := &rules{}
	r.err = r.load(w)
	loaded.Store(key, r)
	return r, r.err
}

// load reads the world's text as a server does that reloads it or starts with it (postmaster.c, process_pm_reload_request and
// PostmasterMain). Where the scenario does not say how the text is loaded, text that does not load is a mistake.
func (r *rules) load(w *matrix.World) error {
	last, err := r.loadSettings(w)
	if err != nil {
		return err
	}
	refused, err := r.loadHosts(w)
	if err != nil || r.down {
		return err
	}
	if err := r.loadFiles(w); err != nil || r.down {
		return err
	}
	if len(refused) > 0 {
		last = refused
	}
	r.failed = append(r.failed, last...)
	return nil
}

// loadFiles reads pg_hba.conf and pg_ident.conf.
func (r *rules) loadFiles(w *matrix.World) (err error) {
	before := w.Earlier()
	if r.hba, err = ParseHBA(w.HBA, w.Files, w.Server); err != nil {
		var wrong *RulesError
		if !errors.As(err, &wrong) || w.Load == "" {
			return err
		}
		r.failed = append(r.failed, wrong.Lines...)
		if r.down = w.Load == matrix.Restart; r.down {
			return nil
		}
		r.kept = true
		if r.hba, err = ParseHBA(before.HBA, before.Files, w.Server); err != nil {
			return ofBefore(err)
		}
	}
	r.ident, err = parseIdent(w.Ident, w.Files, w.Server)
	var wrong *RulesError
	if errors.As(err, &wrong) && w.Load != "" {
		r.failed = append(r.failed, wrong.Lines...)
		if r.ident = nil; w.Load == matrix.Reload {
			r.ident, err = parseIdent(before.Ident, before.Files, w.Server)
			return ofBefore(err)
		}
		return nil
	}
	return err
}

// ofBefore names the text in which a mistake is.
func ofBefore(err error) error {
	if wrong := (*RulesError)(nil); errors.As(err, &wrong) {
		for i := range wrong.Lines {
			wrong.Lines[i].File = "before"
		}
	}
	return err
}

// words are the server's, in the form of matrix.Outcome.Load.
func (r *rules) words() string {
	words := make([]string, len(r.failed))
	for i, l := range r.failed {
		words[i] = l.logged()
	}
	return strings.Join(words, "; ")
}

// tellLoad says why the server runs under other files than those of the world, or does not run.
func (a *attempt) tellLoad(r *rules, load string) {
	if load == "" {
		return
	}
	for _, l := range r.failed {
		a.why(l.source, l.Error())
	}
	refused := a.tellSettings(r) || a.tellHosts(r)
	switch {
	case r.down && !refused:
		a.why("postmaster.c, PostmasterMain", "a server does not start with a pg_hba.conf that it cannot load")
	case r.kept:
		a.why(a.reloadSource(), "a pg_hba.conf that does not load leaves the rules in force that were loaded before")
	}
	if slices.ContainsFunc(r.failed, func(l LineError) bool { return l.ident }) {
		text := "a pg_ident.conf that does not load leaves the maps in force that were loaded before"
		if load == matrix.Restart {
			text = "a server starts without a pg_ident.conf that it cannot load, and has no maps"
		}
		a.why("hba.c, load_ident", text)
	}
}

func (a *attempt) reloadSource() string {
	if a.w.Server >= 16 {
		return "postmaster.c, process_pm_reload_request"
	}
	return "postmaster.c, SIGHUP_handler"
}

// hbaLine is a line of pg_hba.conf, or of a file that it includes, as the server has read it.
type hbaLine struct {
	line
	record  Record
	message string // the server's, for a line that it does not parse; empty where it cannot read the line
}

// bad says that the line has no record.
func (l *hbaLine) bad() bool { return l.wrong != "" || l.message != "" }

// readHBA reads every line of pg_hba.conf; logged is what the server logs of those that it does not load (hba.c, load_hba).
func readHBA(text string, further []matrix.File, server int) (lines []hbaLine, logged []LineError, err error) {
	t := newTokenizer(server, further)
	tokenized, err := t.tokenize(matrix.HBAFile, text, 0)
	if err != nil {
		return nil, nil, err
	}
	records := 0
	for _, l := range tokenized {
		h := hbaLine{line: l}
		if l.wrong == "" {
			h.record = Record{File: l.file, Line: l.number, Text: strings.Join(strings.Fields(l.text), " ")}
			if h.message, err = h.record.parse(l.fields, server); err != nil {
				return nil, nil, err
			}
		}
		if h.message != "" {
			t.logged = append(t.logged, LineError{File: l.file, Line: l.number, Message: h.message, source: "hba.c, parse_hba_line"})
		}
		if !h.bad() {
			records++
		}
		lines = append(lines, h)
	}
	if len(t.logged) == 0 && records == 0 {
		t.logged = []LineError{{File: matrix.HBAFile, Message: `configuration file "` + matrix.HBAFile + `" contains no entries`, unplaced: true, source: "hba.c, load_hba"}}
	}
	return lines, t.logged, nil
}

// ParseHBA parses pg_hba.conf as a server of that major version does (hba.c, load_hba). A text that it would not load
// is a *RulesError with every bad line; what this package does not model is a *CannotPredict.
func ParseHBA(text string, further []matrix.File, server int) ([]Record, error) {
	lines, logged, err := readHBA(text, further, server)
	if err != nil {
		return nil, err
	}
	if len(logged) > 0 {
		return nil, &RulesError{logged}
	}
	records := make([]Record, len(lines))
	for i, l := range lines {
		records[i] = l.record
	}
	return records, nil
}

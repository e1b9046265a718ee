package compliance

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// Check is one thing that the text of a control's check reads in the configuration. Exactly one of Show, Methods and Grep is given.
type Check struct {
	Show     string   `yaml:"show"` // a setting; one of the following says what it must be
	Is       []string `yaml:"is"`
	Not      []string `yaml:"not"`
	Contains []string `yaml:"contains"` // all of them
	Methods  *Methods `yaml:"methods"`
	Grep     string   `yaml:"grep"` // a regular expression that some line of pg_hba.conf must match
	From     int      `yaml:"from"` // the check is made of servers of this major version and later
	To       int      `yaml:"to"`   // and of this and earlier; 0: of all
}

// made says whether the check is made of servers of the version.
func (c Check) made(version int) bool { return version >= c.From && (c.To == 0 || version <= c.To) }

// Methods are those of the records of pg_hba.conf, dead ones included: the check reads lines.
type Methods struct {
	Only  []string `yaml:"only"`
	Never []string `yaml:"never"`
	Local bool     `yaml:"local"` // of local records; otherwise of all others
	All   bool     `yaml:"all"`   // of every record
}

// Reading is what a check concludes.
type Reading struct {
	Conclusion Conclusion
	Says       string // one sentence
}

// defaults are the settings that checks show, with the server's default. Since is the first major version with the value.
var defaults = []struct {
	name, value string
	since       int
}{
	{"ssl", "off", 0},
	{"ssl_ca_file", "", 0},
	{"ssl_crl_file", "", 0},
	{"ssl_cert_file", "server.crt", 0},
	{"ssl_min_protocol_version", "TLSv1.2", 0},
	{"ssl_ciphers", "HIGH:MEDIUM:+3DES:!aNULL", 0},
	{"password_encryption", "md5", 0},
	{"password_encryption", "scram-sha-256", 14},
	{"log_connections", "off", 0},
	{"log_connections", "", 18},
	{"log_disconnections", "off", 0},
	{"log_line_prefix", "%m [%p] ", 0},
	{"listen_addresses", "localhost", 0},
	{"max_connections", "100", 0},
	{"shared_preload_libraries", "", 0},
	{"statement_timeout", "0", 0},
}

func (l *loader) check(c Check) {
	at := func(wrong, right string) { l.problem(1, 1, wrong, right) }
	given := 0
	for _, is := range []bool{c.Show != "", c.Methods != nil, c.Grep != ""} {
		if is {
			given++
		}
	}
	if given != 1 {
		at("a check has none or several of show, methods and grep", "write one of them")
	}
	if c.Show != "" && !slices.ContainsFunc(defaults, func(d struct {
		name, value string
		since       int
	}) bool {
		return d.name == c.Show
	}) {
		at(fmt.Sprintf("a check shows %s, whose default is not known", c.Show), "add it to defaults in compliance/check.go")
	}
	if c.Show != "" && len(c.Is) == 0 && len(c.Not) == 0 && len(c.Contains) == 0 {
		at("a check shows "+c.Show+" and does not say what it must be", "write is, not or contains")
	}
	if _, err := regexp.Compile(c.Grep); err != nil {
		at(err.Error(), "want a regular expression")
	}
	if m := c.Methods; m != nil && (len(m.Only) == 0) == (len(m.Never) == 0) {
		at("methods has none or both of only and never", "write one of them")
	}
}

// read reads the configuration as the check's text says, and as no server would.
func (c Check) read(s *Subject) Reading {
	switch {
	case c.Show != "":
		return c.show(s)
	case c.Grep != "":
		return c.grep(s)
	}
	return c.methods(s)
}

// show is what SHOW would print, if nothing but the files set it.
func (c Check) show(s *Subject) Reading {
	if slices.Contains(s.Unsaid, c.Show) {
		return Reading{NotShown, fmt.Sprintf("SHOW %s: a scenario does not say it, and the harness has a value of its own.", c.Show)}
	}
	if s.Server.Conf == nil {
		return Reading{NotShown, fmt.Sprintf("SHOW %s: there is no postgresql.conf to read.", c.Show)}
	}
	value, place := "", "the default"
	for _, d := range defaults {
		if d.name == c.Show && s.Server.Version >= d.since {
			value = d.value
		}
	}
	for _, l := range s.Server.Conf { // the last counts
		if l.Name == c.Show {
			value, place = l.Value, "as the scenario sets it"
			if l.File != "" {
				place = fmt.Sprintf("%s:%d", l.File, l.Line)
			}
		}
	}
	shown := cmp.Or(value, "empty")
	holds := true
	switch {
	case len(c.Is) > 0:
		holds = slices.ContainsFunc(c.Is, func(w string) bool { return strings.EqualFold(w, value) || w == "on" && isOn(value) })
	case len(c.Not) > 0:
		holds = !slices.ContainsFunc(c.Not, func(w string) bool { return strings.EqualFold(w, value) || w == "off" && isOff(value) })
	}
	missing := slices.DeleteFunc(slices.Clone(c.Contains), func(w string) bool { return strings.Contains(value, w) })
	switch {
	case len(missing) > 0:
		return Reading{Violated, fmt.Sprintf("SHOW %s: %s (%s), without %s.", c.Show, shown, place, strings.Join(missing, " "))}
	case !holds:
		return Reading{Violated, fmt.Sprintf("SHOW %s: %s (%s).", c.Show, shown, place)}
	}
	return Reading{Satisfied, fmt.Sprintf("SHOW %s: %s (%s).", c.Show, shown, place)}
}

func isOn(v string) bool {
	return slices.Contains([]string{"on", "true", "yes", "1"}, strings.ToLower(v))
}

func isOff(v string) bool {
	return slices.Contains([]string{"off", "false", "no", "0"}, strings.ToLower(v))
}

// grep searches pg_hba.conf, comments included, as grep does.
func (c Check) grep(s *Subject) Reading {
	expression := regexp.MustCompile(c.Grep)
	for i, line := range strings.Split(s.Server.HBA, "\n") {
		if expression.MatchString(line) {
			return Reading{Satisfied, fmt.Sprintf("grep '%s' finds %s:%d.", c.Grep, matrix.HBAFile, i+1)}
		}
	}
	return Reading{Violated, fmt.Sprintf("grep '%s' finds no line of %s.", c.Grep, matrix.HBAFile)}
}

// methods reads the method column. Rules that do not load are read line by line: a check that looks at the file does not know that they do not.
func (c Check) methods(s *Subject) Reading {
	m := c.Methods
	var found []string
	looked := 0
	for _, line := range recordLines(s.Server) {
		local := line.conn == "local"
		if !m.All && local != m.Local {
			continue
		}
		looked++
		if len(m.Only) > 0 && !slices.Contains(m.Only, line.method) || slices.Contains(m.Never, line.method) {
			found = append(found, line.place+" has "+line.method)
		}
	}
	rule, kept := "only "+strings.Join(m.Only, ", "), "none of the %d has another one"
	if len(m.Never) > 0 {
		rule, kept = "no "+strings.Join(m.Never, ", "), "none of the %d has one of them"
	}
	if len(found) > 0 {
		more := ""
		if len(found) > 3 {
			more = fmt.Sprintf(" and %d more", len(found)-3)
			found = found[:3]
		}
		return Reading{Violated, fmt.Sprintf("The check wants %s in %s of pg_hba.conf: %s%s.", rule, m.which(), strings.Join(found, ", "), more)}
	}
	return Reading{Satisfied, fmt.Sprintf("The check wants %s in %s of pg_hba.conf: %s.", rule, m.which(), fmt.Sprintf(kept, looked))}
}

type recordLine struct{ place, conn, method string }

// recordLines are the records as the server reads them, or where it reads none, as a reader of the file would.
func recordLines(s *audit.Server) (lines []recordLine) {
	records, err := oracle.ParseHBA(s.HBA, s.Files, s.Version)
	if err == nil {
		for i := range records {
			lines = append(lines, recordLine{placeOf(&records[i]), records[i].Conn, string(records[i].Method)})
		}
		return lines
	}
	for i, text := range strings.Split(s.HBA, "\n") {
		f := strings.Fields(text)
		if len(f) < 4 || strings.HasPrefix(f[0], "#") {
			continue
		}
		n := 4 // TYPE DATABASE USER ADDRESS METHOD
		switch {
		case f[0] == "local":
			n = 3
		case len(f) > 5 && strings.Count(f[4], ".") == 3: // a mask of its own
			n = 5
		}
		if n < len(f) {
			lines = append(lines, recordLine{fmt.Sprintf("%s:%d", path.Base(matrix.HBAFile), i+1), f[0], f[n]})
		}
	}
	return lines
}

// String says what the check reads, for documentation.
func (c Check) String() string {
	versions := ""
	switch {
	case c.From > 0:
		versions = fmt.Sprintf(" (from %d on)", c.From)
	case c.To > 0:
		versions = fmt.Sprintf(" (up to %d)", c.To)
	}
	return c.reads() + versions
}

func (c Check) reads() string {
	switch {
	case c.Show != "" && len(c.Is) > 0:
		return fmt.Sprintf("`SHOW %s` is %s", c.Show, strings.Join(c.Is, " or "))
	case c.Show != "" && len(c.Not) > 0:
		not := slices.Clone(c.Not)
		for i, w := range not {
			not[i] = cmp.Or(w, "empty")
		}
		return fmt.Sprintf("`SHOW %s` is not %s", c.Show, strings.Join(not, " or "))
	case c.Show != "":
		return fmt.Sprintf("`SHOW %s` contains %s", c.Show, strings.Join(c.Contains, " "))
	case c.Grep != "":
		return fmt.Sprintf("`grep '%s' pg_hba.conf` finds a line", c.Grep)
	case len(c.Methods.Only) > 0:
		return "methods of " + c.Methods.which() + ": only " + strings.Join(c.Methods.Only, ", ")
	}
	return "methods of " + c.Methods.which() + ": no " + strings.Join(c.Methods.Never, ", ")
}

// which records are read.
func (m *Methods) which() string {
	switch {
	case m.All:
		return "all records"
	case m.Local:
		return "local records"
	}
	return "records over TCP"
}

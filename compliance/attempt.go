package compliance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Attempt is one cell and its record.
type Attempt struct {
	Cell   *matrix.Cell
	Record *reports.Record

	decided *oracle.Record // the record of pg_hba.conf that decided, as far as it is known
}

// outcome is nil of a cell that was not attempted, or whose evidence is not believed.
func (a *Attempt) outcome() *matrix.Outcome {
	if a.Record.Observation == nil || a.Record.Observation.Fault != "" || a.Record.Verdict.Status == verdict.Broken {
		return nil
	}
	return &a.Record.Observation.Outcome
}

// unknown is the value of a field that no witness saw. It is neither equal to any value nor different from it.
const unknown = "?"

// field is something of an attempt of which a condition can speak.
type field struct {
	name   string
	axis   bool
	values []string // the closed list; nil: any text
	of     func(*Attempt) string
	doc    string // of what is observed: for docs/compliance.md
}

// observed are the fields besides the axes.
var observed = []field{
	{name: "end", values: words(matrix.Connected, matrix.Refused), of: outcomeField(matrix.FieldEnd), doc: "how the attempt ended"},
	{name: "stage", values: words(matrix.Stages...), of: outcomeField(matrix.FieldStage), doc: "where it ended"},
	{name: "reason", values: reasonWords(), of: outcomeField(matrix.FieldReason), doc: "why it was refused"},
	{name: "channel", values: words(matrix.Channels...), of: outcomeField(matrix.FieldChannel), doc: "how the connection that decided was protected"},
	{name: "method", values: words(matrix.Methods...), of: outcomeField(matrix.FieldMethod), doc: "the method of the record that decided"},
	{name: "descent", values: words(matrix.First, matrix.Fallback, matrix.Downgrade), of: outcomeField(matrix.FieldDescent), doc: "whether the session has the protection that was tried first"},
	{name: "obtains", values: words(matrix.Obtaineds...), of: outcomeField(matrix.FieldObtains), doc: "what an attacker obtained"},
	{name: "authenticated", values: yesNo, of: authenticated, doc: "of a session: whether the server asked the client to prove its identity"},
	{name: "asks-certificate", values: yesNo, of: asksCertificate, doc: "whether the record that decided asks for a client certificate"},
	{name: "certificate", values: []string{"none", "valid", "faulty"}, of: certificate, doc: "what the client presents: faulty is expired, not yet valid, revoked, for servers only, or not of the CA that the server trusts"},
	{name: "password-in-clear", values: yesNo, of: passwordInClear, doc: "whether the server asked for the password in plaintext on a connection without encryption"},
	{name: "md5-exchange", values: yesNo, of: md5Exchange, doc: "whether the server asked for an MD5 response"},
	{name: "tls", values: []string{"none", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}, of: tlsVersion, doc: "the version of TLS that the server chose"},
	{name: "logged", values: yesNo, of: logged, doc: "of an attempt that reached the server: whether its log has every connection, and its session or its refusal"},
	{name: "end-logged", values: yesNo, of: endLogged, doc: "of a session: whether the server's log has its end"},
}

var yesNo = []string{"yes", "no"}

func words[T ~string](values ...T) []string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	return texts
}

func reasonWords() (texts []string) {
	for _, r := range matrix.Reasons {
		texts = append(texts, string(r.Reason))
	}
	return texts
}

func observedNames() (names []string) {
	for _, f := range observed {
		names = append(names, f.name)
	}
	return names
}

// fieldByName finds an axis or an observed field.
func fieldByName(name string) (field, bool) {
	if i := slices.IndexFunc(observed, func(f field) bool { return f.name == name }); i >= 0 {
		return observed[i], true
	}
	axis, known := matrix.AxisByName(name)
	if !known {
		return field{}, false
	}
	f := field{name: name, axis: true, of: func(a *Attempt) string { return axis.Text(a.Cell.Value(name)) }}
	if words := axis.Words(); len(words) > 0 {
		f.values = words
		if axis.Optional() {
			f.values = append(slices.Clone(words), matrix.NotGiven)
		}
		if slices.Contains([]string{"ticket", "cert", "keytab", "servercert", "krb5_conf"}, name) { // a scenario describes its own
			f.values = nil
		}
	}
	return f, true
}

// condition is a conjunction; of the values of a term one has to be the attempt's, or with not none.
type condition []term

type term struct {
	field  word
	values []word
	not    bool
}

// truth has a third value: what no witness saw.
type truth int

const (
	no truth = iota
	maybe
	yes
)

// match says whether the attempt meets the condition.
func (c condition) match(a *Attempt) truth {
	result := yes
	for _, t := range c {
		f, _ := fieldByName(t.field.text)
		result = min(result, t.match(f.of(a)))
	}
	return result
}

func (t term) match(value string) truth {
	if value == unknown {
		return maybe
	}
	if slices.ContainsFunc(t.values, func(w word) bool { return w.text == value }) != t.not {
		return yes
	}
	return no
}

// String writes the condition as docs and reports show it.
func (c condition) String() string { return c.write("%s=%s", "%s≠%s", "|") }

// write writes the terms: is and isNot are formats of a field and its values, between which or stands.
func (c condition) write(is, isNot, or string) string {
	parts := make([]string, len(c))
	for i, t := range c {
		values := make([]string, len(t.values))
		for j, v := range t.values {
			values[j] = v.text
		}
		format := is
		if t.not {
			format = isNot
		}
		parts[i] = fmt.Sprintf(format, t.field.text, strings.Join(values, or))
	}
	return strings.Join(parts, " ")
}

// outcomeField is a field of what was observed. Empty means absent, which equals no value, unless nobody could see it.
func outcomeField(f matrix.Field) func(*Attempt) string {
	return func(a *Attempt) string {
		o := a.outcome()
		if o == nil {
			return unknown
		}
		value := o.Get(f)
		if value != "" || !slices.Contains(a.Record.Observation.Unseen, f) {
			return value
		}
		if f == matrix.FieldMethod && a.decided != nil {
			return string(a.decided.Method)
		}
		return unknown
	}
}

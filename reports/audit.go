package reports

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// ExplainFiles writes the answer to a question about a server's own files: the deciding record, the outcome and why, what the answer depends on and nobody has
// said and, for a connection that is refused, the changes that would let it in.
func ExplainFiles(w io.Writer, question string, a *audit.Answer, changes []audit.Change, o Options) error {
	p := newPage(w, "", o)
	p.line(p.text(bold, printable(question)))
	p.line("")
	world := a.Cell.World
	cited := map[string]bool{a.Prediction.Outcome.Rule: true}
	for _, b := range a.Prediction.Because {
		cited[b.Source] = true
	}
	p.excerpt(matrix.HBAFile, world.HBA, a.Prediction.Outcome.Rule, cited)
	p.excerpt(matrix.IdentFile, world.Ident, "", cited)
	for _, f := range world.Files {
		p.excerpt(f.Path, f.Text, a.Prediction.Outcome.Rule, cited)
	}
	p.line("")
	column := outcomeWidth(a.Prediction.Outcome)
	if !p.fitsBeside(a.Prediction.Outcome, column) {
		column = -1
	}
	p.outcome("outcome", a.Prediction.Outcome, column, nil)
	p.meaning(a.Prediction.Outcome)
	p.because("because", a.Prediction.Because)
	if len(a.Facts) > 0 {
		p.line("")
		p.rule("What nobody has said, and what hangs on it", "")
		for _, f := range a.Facts {
			p.hanging("taken", dim, f.Taken)
			for _, other := range f.Otherwise {
				p.hanging("", "", "if "+other.If+": "+other.Outcome.WithoutTrace().String())
			}
		}
	}
	p.changes(changes)
	return p.Flush()
}

// excerpt writes the lines of a file that are cited, or all of a short one.
func (p *page) excerpt(name, text, mark string, cited map[string]bool) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	const short = 12
	if len(lines) <= short {
		p.file(name, text, mark)
		return
	}
	label, last := name, 0
	for i, l := range lines {
		at := name + ":" + strconv.Itoa(i+1)
		if !cited[at] {
			continue
		}
		if last > 0 && i > last {
			p.line("  " + strings.Repeat(" ", labelWidth+3) + p.text(dim, "   …"))
		}
		sign, style := "  ", dim
		if at == mark {
			sign, style = "▶ ", bold
		}
		if width(label) > labelWidth+2 {
			p.line("  " + p.text(dim, label))
			label = ""
		}
		p.line("  " + p.text(dim, pad(label, labelWidth+3)) + p.text(style, fmt.Sprintf("%s%2d  %s", sign, i+1, printable(l))))
		label, last = "", i+1
	}
}

func (p *page) changes(changes []audit.Change) {
	if len(changes) == 0 {
		return
	}
	p.line("")
	p.rule("What would let it in", "")
	for _, c := range changes {
		p.hanging("change", bold, c.What)
		p.hanging("", "", c.Outcome.WithoutTrace().String())
		if !c.Server {
			continue
		}
		others := 0
		for _, d := range c.Admits {
			if d.Admitted {
				others++
				p.hanging("", yellow, "also lets in: "+differenceText(d))
			} else {
				p.hanging("", yellow, "no longer lets in: "+differenceText(d))
			}
		}
		if others == 0 {
			p.hanging("", dim, "nobody else gets in by it")
		}
	}
}

// mostRoles is how many roles are named.
const mostRoles = 4

func channelText(c matrix.Channel) string {
	switch c {
	case audit.Local:
		return "a local socket"
	case matrix.Plain:
		return "no encryption"
	case matrix.TLS:
		return "TLS"
	}
	return "GSS encryption"
}

func differenceText(d audit.Difference) string {
	from := ""
	if d.Example.Address != "" {
		from = ", for example from " + d.Example.Address
	}
	return fmt.Sprintf("%s over %s with %s, by %s (database %s%s)", audit.Roles(d.Users, d.AsAnyone, mostRoles), channelText(d.Channel), d.Have, d.By, d.Example.Database, from)
}

// AuditText writes who gets in by which record, and the findings, worst first.
func AuditText(w io.Writer, r *audit.Report, accepted int, o Options) error {
	p := newPage(w, "", o)
	if len(r.Records) > 0 {
		p.rule("Who gets in", "")
		rows := [][5]string{}
		for _, record := range r.Records {
			at := strings.TrimPrefix(record.File+":"+strconv.Itoa(record.Line), matrix.HBAFile+":")
			first := len(rows)
			for _, l := range mergedLets(record.Lets) {
				rows = append(rows, [5]string{"", "", l.over, l.with, l.who})
			}
			switch {
			case record.Dead():
				rows = append(rows, [5]string{"", "", "", "decides nothing", ""})
			case len(record.Lets) == 0:
				rows = append(rows, [5]string{"", "", "", "nobody", ""})
			}
			rows[first][0], rows[first][1] = at, printable(record.Text)
		}
		var widths [5]int
		for _, row := range rows {
			for i, cell := range row {
				widths[i] = max(widths[i], width(cell))
			}
		}
		room := max(16, p.Width-2-widths[0]-widths[2]-widths[3]-widths[4]-4*2) // for the record's text
		widths[1] = min(widths[1], room)
		for _, row := range rows {
			style := ""
			if row[2] == "" {
				style = dim
			}
			p.line("  " + p.text(dim, pad(row[0], widths[0])) + "  " + pad(shorten(row[1], widths[1]), widths[1]) + "  " + pad(row[2], widths[2]) + "  " + p.text(style, pad(row[3], widths[3])) + "  " + row[4])
		}
		p.line("")
	}
	p.rule("Findings", "")
	explained := map[string]bool{}
	for _, f := range r.Findings {
		style := map[audit.Level]string{audit.LevelError: red, audit.LevelWarning: yellow, audit.LevelNote: dim}[f.Level]
		p.line("  " + p.text(style, pad(string(f.Level), labelWidth)) + p.text(bold, f.ID) + "  " + printable(whereOf(f)))
		if f.Text != "" {
			p.hanging("", dim, f.Text)
		}
		p.hanging("", "", f.Says)
		if !explained[f.ID] {
			explained[f.ID] = true
			p.hanging("", dim, f.Why)
		}
	}
	text := "  no findings"
	if len(r.Findings) > 0 {
		text = "  " + count(len(r.Findings), "finding", "findings") + ": " + levelCounts(r)
	}
	if accepted > 0 {
		text += fmt.Sprintf("; %d more that the baseline accepts", accepted)
	}
	p.line(text)
	return p.Flush()
}

func levelCounts(r *audit.Report) string {
	counts := map[audit.Level]int{}
	for _, f := range r.Findings {
		counts[f.Level]++
	}
	var parts []string
	for _, l := range audit.Levels {
		if counts[l] > 0 {
			parts = append(parts, count(counts[l], string(l), string(l)+"s"))
		}
	}
	return strings.Join(parts, ", ")
}

func whereOf(f audit.Finding) string {
	if f.Line == 0 {
		return f.File
	}
	return f.File + ":" + strconv.Itoa(f.Line)
}

type letsRow struct {
	local     bool
	over      string
	with, who string
}

// mergedLets joins what differs in the channel alone. What is so for other machines is not said again of loopback.
func mergedLets(lets []audit.Lets) (rows []letsRow) {
	for _, l := range lets {
		loopback := l.Channel != audit.Local && !l.Remote
		if loopback && slices.ContainsFunc(lets, func(o audit.Lets) bool { return o.Remote && o.Channel == l.Channel && o.Have == l.Have }) {
			continue
		}
		r := letsRow{loopback, string(l.Channel), string(l.Have), audit.Roles(l.Users, l.AsAnyone, mostRoles)}
		i := slices.IndexFunc(rows, func(o letsRow) bool { return o.local == r.local && o.with == r.with && o.who == r.who })
		if i < 0 {
			rows = append(rows, r)
		} else {
			rows[i].over += " " + r.over
		}
	}
	for i := range rows {
		if rows[i].local {
			rows[i].over += " (loopback)"
		}
	}
	return rows
}

// DifferencesText writes what a change of the rules admits and what it no longer admits.
func DifferencesText(w io.Writer, list []audit.Difference, o Options) error {
	p := newPage(w, "", o)
	for _, now := range []bool{true, false} {
		title, style := "Gets in now, and did not before", red
		if !now {
			title, style = "Got in before, and does not now", green
		}
		n := 0
		for _, d := range list {
			if d.Admitted != now {
				continue
			}
			if n++; n == 1 {
				p.rule(title, "")
			}
			p.hanging(map[bool]string{true: "+", false: "-"}[now], style, differenceText(d))
		}
	}
	if len(list) == 0 {
		p.line("The same connections get in.")
	}
	return p.Flush()
}

// auditJSON is a finding as JSON.
type auditJSON struct {
	ID    string      `json:"id"`
	Level audit.Level `json:"level"`
	File  string      `json:"file"`
	Line  int         `json:"line,omitempty"`
	Text  string      `json:"text,omitempty"`
	Says  string      `json:"says"`
	Key   string      `json:"key"` // for baselines: it does not change when lines are added above
}

// AuditJSON writes the findings, one object.
func AuditJSON(w io.Writer, r *audit.Report) error {
	list := make([]auditJSON, len(r.Findings))
	for i, f := range r.Findings {
		list[i] = auditJSON{f.ID, f.Level, f.File, f.Line, f.Text, f.Says, f.Key()}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(map[string]any{"findings": list})
}

// SARIF writes the findings as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"). dir is put before the names of files.
func SARIF(w io.Writer, r *audit.Report, dir string) error {
	type object = map[string]any
	rules := []object{}
	for _, k := range audit.Kinds {
		rules = append(rules, object{"id": k.ID, "shortDescription": object{"text": k.Title}, "fullDescription": object{"text": k.Title + " " + k.Why},
			"defaultConfiguration": object{"level": k.Level}, "help": object{"text": k.Why}})
	}
	results := []object{}
	for _, f := range r.Findings {
		location := object{"artifactLocation": object{"uri": dir + f.File}}
		if f.Line > 0 {
			location["region"] = object{"startLine": f.Line}
		}
		results = append(results, object{"ruleId": f.ID, "ruleIndex": slices.IndexFunc(audit.Kinds, func(k audit.Rule) bool { return k.ID == f.ID }), "level": f.Level,
			"message": object{"text": f.Says}, "locations": []object{{"physicalLocation": location}}, "partialFingerprints": object{"finding/v1": f.Key()}})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(object{"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
		"runs": []object{{"tool": object{"driver": object{"name": "pgauthmatrix", "rules": rules}}, "results": results}}})
}

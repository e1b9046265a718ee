package reports

import (
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/cases"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

func (p *casePage) fixes(a *cases.Answer) {
	advised := a.Advice != ""
	if advised {
		p.paragraph("%s", a.Advice)
	}
	for _, d := range changedFiles(a.Server, a.Case.Advised) {
		advised = true
		p.code(d)
	}
	p.list(a.WorldChanges())
	for i := range a.Connections {
		c := &a.Connections[i]
		if c.Advised == nil {
			continue
		}
		advised = true
		if c.CaseConnection.Advised != nil {
			p.paragraph("%s: the client has %s.", c.Who, changedOptions(c))
		}
		p.paragraph("%s, as advised:", c.Who)
		p.outcome(c.Advised)
		p.line(c.Advised, a.Case.Advised)
	}
	for i := range a.Connections {
		c := &a.Connections[i]
		if len(c.Would) == 0 {
			continue
		}
		advised = true
		p.paragraph("%s would get in by any of these:", c.Who)
		var list []string
		for _, w := range c.Would {
			list = append(list, w.What+" (then: "+w.Outcome.WithoutTrace().String()+")"+admits(w.Admits))
		}
		p.list(list)
	}
	if !advised {
		p.paragraph("Nothing is advised: no file in advised/, and no options in case.yaml.")
	}
}

func admits(list []audit.Difference) string {
	var texts []string
	for _, d := range list {
		if d.Admitted {
			texts = append(texts, differenceText(d))
		}
	}
	if len(texts) == 0 {
		return ""
	}
	return "; it also lets in " + strings.Join(texts, "; ")
}

// optionWords say values of client axes that are no options of a connection string.
var optionWords = map[string]string{
	"password=right": "the role's password",
	"ticket=valid":   "a valid ticket",
	"cert=good":      "a certificate in the role's name",
	"root=right":     "the CA of the server's certificate in the file that sslrootcert names",
	"hostname=name":  "the server's name as host",
}

// changedOptions are the client's own options that are advised.
func changedOptions(c *cases.Connection) string {
	var list []string
	for _, a := range matrix.Axes {
		if was, is := c.Reported.Cell.Value(a.Name), c.Advised.Cell.Value(a.Name); a.Kind == matrix.ClientAxis && was != is {
			if words, ok := optionWords[a.Name+"="+is]; ok {
				list = append(list, words)
			} else {
				list = append(list, a.Name+"="+a.Text(is)+" in place of "+a.Text(was))
			}
		}
	}
	if len(list) == 0 {
		return "the same"
	}
	return strings.Join(list, ", ")
}

// changedFiles are the lines that differ, file by file.
func changedFiles(before, after *audit.Server) (list []string) {
	type file struct{ name, was, is string }
	files := []file{{matrix.HBAFile, before.HBA, after.HBA}, {matrix.IdentFile, before.Ident, after.Ident}, {"settings", settingsText(before), settingsText(after)}}
	for _, f := range after.Files {
		was := ""
		for _, o := range before.Files {
			if o.Path == f.Path {
				was = o.Text
			}
		}
		files = append(files, file{f.Path, was, f.Text})
	}
	for _, f := range files {
		if f.was == f.is {
			continue
		}
		var b strings.Builder
		b.WriteString(f.name + "\n")
		was, is := strings.Split(strings.TrimSuffix(f.was, "\n"), "\n"), strings.Split(strings.TrimSuffix(f.is, "\n"), "\n")
		lacks := func(lines []string, line string) bool { // blanks between columns are no difference
			words := strings.Fields(line)
			return len(words) > 0 && !slices.ContainsFunc(lines, func(o string) bool { return slices.Equal(strings.Fields(o), words) })
		}
		for _, l := range was {
			if lacks(is, l) {
				b.WriteString("- " + l + "\n")
			}
		}
		for _, l := range is {
			if lacks(was, l) {
				b.WriteString("+ " + l + "\n")
			}
		}
		list = append(list, b.String())
	}
	return list
}

// settingsText are the settings of a server's files, a line each.
func settingsText(s *audit.Server) string {
	var b strings.Builder
	for _, l := range s.Conf {
		b.WriteString(l.Name + " = '" + strings.ReplaceAll(l.Value, "'", "''") + "'\n")
	}
	return b.String()
}

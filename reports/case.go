package reports

import (
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/cases"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// casePage is the answer to a case, a block at a time: it is written as Markdown and as HTML.
type casePage struct{ blocks []caseBlock }

// caseBlock is a heading, a paragraph, a list, a text in a fixed font, or a table; one of the fields is set.
type caseBlock struct {
	heading   string
	level     int
	paragraph string
	list      []string
	code      string
	table     [][]string // the first row is the head
}

func (p *casePage) heading(level int, text string) {
	p.blocks = append(p.blocks, caseBlock{heading: text, level: level})
}
func (p *casePage) paragraph(format string, args ...any) {
	p.blocks = append(p.blocks, caseBlock{paragraph: fmt.Sprintf(format, args...)})
}
func (p *casePage) list(items []string) {
	if len(items) > 0 {
		p.blocks = append(p.blocks, caseBlock{list: items})
	}
}
func (p *casePage) code(text string) { p.blocks = append(p.blocks, caseBlock{code: text}) }

// secrets are values in a customer's files that no page shows.
var secrets = regexp.MustCompile(`(?i)\b((?:ldapbindpasswd|radiussecrets?|password|sslpassword)\s*=\s*)("[^"]*"|'(?:[^'\\]|\\.)*'|\S+)|(postgres(?:ql)?://[^:@/\s]*:)[^@/\s]*(@)`)

// conninfoPassword is the password in a connection string: psql asks for it.
var conninfoPassword = regexp.MustCompile(`(?i)(postgres(?:ql)?://[^:@/\s]*):[^@/\s]*|\s*\b(?:ssl)?password\s*=\s*(?:'(?:[^'\\]|\\.)*'|\S+)`)

func redacted(text string) string { return secrets.ReplaceAllString(text, "$1$3***$4") }

// CaseMarkdown writes the answer to a case as one page that can be pasted.
func CaseMarkdown(w io.Writer, a *cases.Answer) error {
	var b strings.Builder
	for _, block := range caseBlocks(a) {
		switch {
		case block.heading != "":
			b.WriteString(strings.Repeat("#", block.level) + " " + markdownText(block.heading) + "\n\n")
		case block.paragraph != "":
			b.WriteString(markdownText(block.paragraph) + "\n\n")
		case block.list != nil:
			for _, item := range block.list {
				b.WriteString("- " + markdownText(item) + "\n")
			}
			b.WriteString("\n")
		case block.code != "":
			fence := "```"
			for strings.Contains(block.code, fence) {
				fence += "`"
			}
			b.WriteString(fence + "\n" + strings.TrimRight(printable(redacted(block.code)), "\n") + "\n" + fence + "\n\n")
		case block.table != nil:
			for i, row := range block.table {
				b.WriteString("|")
				for _, text := range row {
					b.WriteString(" " + cell(redacted(text)) + " |")
				}
				b.WriteString("\n")
				if i == 0 {
					b.WriteString("|" + strings.Repeat(" --- |", len(row)) + "\n")
				}
			}
			b.WriteString("\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// markdownText is a text without a meaning in Markdown.
func markdownText(text string) string {
	return strings.NewReplacer("<", "&lt;", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "#", "\\#", "\n", " ").Replace(printable(redacted(text)))
}

// CaseHTML writes the same as a page for a browser, without a script.
func CaseHTML(w io.Writer, a *cases.Answer) error {
	text := func(s string) string { return html(redacted(s)) }
	var b strings.Builder
	b.WriteString("<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>" + text(caseTitle(a)) + "</title>\n<style>" +
		"body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}pre{background:#f4f5f7;padding:.7rem;overflow-x:auto}" +
		"table{border-collapse:collapse}td,th{border:1px solid #ccd;padding:.2rem .6rem;text-align:left;vertical-align:top}h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}</style>\n")
	for _, block := range caseBlocks(a) {
		switch {
		case block.heading != "":
			fmt.Fprintf(&b, "<h%d>%s</h%d>\n", block.level, text(block.heading), block.level)
		case block.paragraph != "":
			b.WriteString("<p>" + text(block.paragraph) + "</p>\n")
		case block.list != nil:
			b.WriteString("<ul>\n")
			for _, item := range block.list {
				b.WriteString("<li>" + text(item) + "</li>\n")
			}
			b.WriteString("</ul>\n")
		case block.code != "":
			b.WriteString("<pre>" + text(strings.TrimRight(block.code, "\n")) + "</pre>\n")
		case block.table != nil:
			b.WriteString("<table>\n")
			for i, row := range block.table {
				tag := "td"
				if i == 0 {
					tag = "th"
				}
				b.WriteString("<tr>")
				for _, column := range row {
					b.WriteString("<" + tag + ">" + text(column) + "</" + tag + ">")
				}
				b.WriteString("</tr>\n")
			}
			b.WriteString("</table>\n")
		}
	}
	_, err := io.WriteString(w, b.String()+"</html>\n")
	return err
}

func caseTitle(a *cases.Answer) string {
	if a.Question != "" {
		return a.Question
	}
	return "A case without a question"
}

func caseBlocks(a *cases.Answer) []caseBlock {
	p := &casePage{}
	p.heading(1, caseTitle(a))
	p.judgement(a)
	p.heading(2, "What happened")
	if a.NotLoaded != nil {
		p.paragraph("PostgreSQL %d does not load these rules: a start fails, and a reload leaves those of before in force.", a.Server.Version)
		p.code(a.NotLoaded.Error())
	}
	for i := range a.Connections {
		p.happened(a, &a.Connections[i])
	}
	p.heading(2, "What would fix it")
	p.fixes(a)
	p.heading(2, "What else the fix changes")
	p.changes(a)
	p.heading(2, "To be checked on the customer's side")
	p.checks(a)
	p.heading(2, "What was not reproduced")
	p.missing(a)
	p.granted(a)
	return p.blocks
}

func (p *casePage) judgement(a *cases.Answer) {
	wrong := a.Wrong()
	how := "predicted, and not tried"
	if a.Tried {
		how = fmt.Sprintf("tried on PostgreSQL %d, with real clients and a real KDC", a.Server.Version)
	}
	if len(wrong) > 0 {
		p.paragraph("The case is not settled (%s):", how)
		p.list(wrong)
		return
	}
	shown, cured := 0, 0
	for i := range a.Connections {
		if yes, known := a.Connections[i].Shown(); yes && known {
			shown++
		}
		if yes, known := a.Connections[i].Cured(); yes && known {
			cured++
		}
	}
	n := len(a.Connections)
	switch {
	case shown == n && cured == n:
		p.paragraph("Reproduced and cured (%s).", how)
	case shown == n:
		p.paragraph("Reproduced (%s). %d of %d connections are cured by what is advised.", how, cured, n)
	default:
		p.paragraph("Of %d connections, %d show what was seen and %d are cured (%s). Of the others nobody has said what was seen, or nothing is advised.", n, shown, cured, how)
	}
}

// happened tells of one connection as reported.
func (p *casePage) happened(a *cases.Answer, c *cases.Connection) {
	p.heading(3, c.Who)
	k := &c.Reported.Cell.Client
	from := ""
	if k.Address != "" {
		from = " from " + k.Address
	}
	asked := c.Conninfo
	if asked == "" {
		asked = "user=" + k.User + " dbname=" + k.Database
	}
	p.paragraph("%s%s, client %s", asked, from, k.Library)
	if c.Seen != nil {
		p.paragraph("Reported: %s", c.Seen.Outcome.WithoutTrace())
	}
	p.outcome(&c.Reported)
	p.line(&c.Reported, a.Deciding)
	p.because(&c.Reported)
}

// outcome says how an attempt ended.
func (p *casePage) outcome(t *cases.Try) {
	o, ok := t.Outcome()
	switch {
	case t.Cannot != "":
		p.paragraph("Not predicted: %s", t.Cannot)
	case !ok:
		p.paragraph("%s: %s", t.Observed.Status, t.Observed.Why)
	case t.Observed == nil:
		p.paragraph("Predicted: %s", o.WithoutTrace())
	default:
		p.paragraph("Observed: %s", o.WithoutTrace())
		if !t.Observed.Agrees {
			p.paragraph("%s, predicted was: %s. %s", t.Observed.Status, t.Prediction.Outcome.WithoutTrace(), t.Observed.Why)
		}
	}
	if i := slices.IndexFunc(matrix.Reasons, func(r matrix.ReasonInfo) bool { return r.Reason == o.Reason }); ok && i >= 0 {
		p.paragraph("%s: %s.", o.Reason, matrix.Reasons[i].Meaning)
	}
}

// line shows the record that decided. Where a server does not say which one did, it is the one that is predicted.
func (p *casePage) line(t *cases.Try, server *audit.Server) {
	o, ok := t.Outcome()
	if !ok || server == nil {
		return
	}
	rule := o.Rule
	if t.Observed != nil && slices.Contains(t.Observed.Unseen, matrix.FieldRule) {
		rule = t.Prediction.Outcome.Rule
	}
	file, number, ok := cutLast(rule)
	if !ok {
		return
	}
	text := server.HBA
	for _, f := range server.Files {
		if f.Path == file {
			text = f.Text
		}
	}
	if lines := strings.Split(text, "\n"); number <= len(lines) {
		p.code(rule + "  " + lines[number-1])
	}
}

func cutLast(rule string) (file string, line int, ok bool) {
	at := strings.LastIndexByte(rule, ':')
	if at < 0 {
		return "", 0, false
	}
	line, err := strconv.Atoi(rule[at+1:])
	return rule[:at], line, err == nil && line > 0
}

func (p *casePage) because(t *cases.Try) {
	var list []string
	for _, b := range t.Prediction.Because {
		list = append(list, b.Text+" ("+b.Source+")")
	}
	p.list(list)
}

func (p *casePage) changes(a *cases.Answer) {
	if a.Case.Advised == a.Server {
		p.paragraph("The rules are the same: nobody else gets in.")
		return
	}
	switch {
	case a.AdvisedNotLoaded != nil:
		p.paragraph("The server does not load what is advised.")
		return
	case a.Nobody:
		p.paragraph("The server did not start, and nobody got in. These get in as advised:")
	case a.NotLoaded != nil:
		p.paragraph("Compared with the rules of before, which are in force as reported:")
	}
	table := [][]string{{"", "who", "over", "with", "by", ""}}
	for _, c := range a.Changes {
		what, note := "no longer gets in", ""
		if c.Admitted {
			what = "gets in now"
			switch {
			case c.Wanted:
				note = "wanted"
			case c.Accepted:
				note = "accepted in case.yaml"
			case !a.Nobody:
				note = "somebody else"
			}
		}
		table = append(table, []string{what, audit.Roles(c.Users, c.AsAnyone, mostRoles), channelText(c.Channel), string(c.Have), c.By, note})
	}
	if len(table) == 1 {
		p.paragraph("Nobody gets in who did not, and nobody is kept out who was not.")
	} else {
		p.blocks = append(p.blocks, caseBlock{table: table})
	}
	proof := fmt.Sprintf("The rules tell %d kinds of clients apart; %d of them a real client can be.", a.Probes.All, a.Probes.Live)
	if a.Tried {
		proof += fmt.Sprintf(" %d connections were made before and after, and %d did not end as predicted.", a.Probes.Tried, len(a.Probes.Otherwise))
	}
	if len(a.Probes.NotLive) > 0 {
		proof += " The others are only predicted: " + strings.Join(a.Probes.NotLive, "; ") + "."
	}
	p.paragraph("%s", proof)
}

// checks are the commands with which a support engineer asks the customer.
func (p *casePage) checks(a *cases.Answer) {
	var b strings.Builder
	add := func(lines ...string) {
		for _, l := range lines {
			if !strings.Contains(b.String(), l+"\n") {
				b.WriteString(l + "\n")
			}
		}
	}
	add(`psql -c "SELECT line_number, type, database, user_name, address, auth_method, options, error FROM pg_hba_file_rules ORDER BY 1"`)
	if a.Server.Version >= 15 && a.Server.Ident != "" {
		add(`psql -c "SELECT line_number, map_name, sys_name, pg_username, error FROM pg_ident_file_mappings ORDER BY 1"`)
	}
	add(`psql -c "SELECT name, setting FROM pg_settings WHERE name IN ('server_version', 'ssl', 'ssl_ca_file', 'ssl_crl_file', 'krb_server_keyfile', 'krb_caseins_users', 'password_encryption')"`)
	for i := range a.Connections {
		t := &a.Connections[i].Reported
		k := &t.Cell.Client
		user := "'" + strings.ReplaceAll(k.User, "'", "''") + "'"
		add(shell("psql", "-c", "SELECT r.rolname, rolcanlogin, rolvaliduntil, ARRAY(SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid) AS member_of FROM pg_roles r WHERE r.rolname = "+user))
		if _, err := netip.ParseAddr(k.Address); err == nil {
			add("getent hosts " + k.Address + "    # on the server")
		}
		if k.Ticket != "none" {
			add("klist -e    # on the client", `klist -ke "$(psql -Atc 'SHOW krb_server_keyfile' | sed 's/^FILE://')"    # on the server`)
		}
		if k.Cert != "none" {
			add("openssl x509 -noout -subject -issuer -dates -ext subjectAltName,extendedKeyUsage -in CLIENT.crt    # on the client")
		}
		if c := a.Connections[i].Conninfo; c != "" {
			c = conninfoPassword.ReplaceAllString(c, "$1")
			add(shell("psql", c, "-c", "SELECT session_user, ssl, gss_authenticated FROM pg_stat_ssl JOIN pg_stat_gssapi USING (pid) WHERE pid = pg_backend_pid()") + "    # on the client")
		}
	}
	p.code(b.String())
}

// shell quotes words for a POSIX shell.
func shell(words ...string) string {
	for i, w := range words {
		if strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=") != "" || w == "" {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

func (p *casePage) missing(a *cases.Answer) {
	var list []string
	for _, g := range a.Gaps {
		list = append(list, g.What+": "+g.Effect+".")
	}
	for _, l := range a.LeftOut {
		text := fmt.Sprintf("%s:%d: %s (%s)", l.File, l.Line.Line, l.Name, l.Fate)
		if l.Effect != "" {
			text += ": " + l.Effect
		}
		list = append(list, text+".")
	}
	if len(list) == 0 {
		p.paragraph("Nothing that is known to decide.")
	}
	p.list(list)
}

// granted is what the answer depends on and nobody has said.
func (p *casePage) granted(a *cases.Answer) {
	var list []string
	for i := range a.Connections {
		c := &a.Connections[i]
		for _, f := range c.Facts {
			text := c.Who + ": " + f.Taken + "."
			for _, other := range f.Otherwise {
				text += " If " + other.If + ": " + other.Outcome.WithoutTrace().String() + "."
			}
			list = append(list, text)
		}
	}
	if len(list) > 0 {
		p.heading(2, "What was taken for granted")
		p.list(list)
	}
}

package reports

import (
	"fmt"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// evidence is what one witness said, in short.
type evidence struct{ witness, text string }

const witnessWidth = 8

func (p *page) evidence(i int, e evidence) {
	label := ""
	if i == 0 {
		label = "evidence"
	}
	witness := e.witness
	for _, l := range wrap(e.text, p.Width-labelWidth-witnessWidth-2) {
		p.line("  " + p.text(dim, pad(label, labelWidth)+pad(witness, witnessWidth)) + l)
		label, witness = "", ""
	}
}

// evidenceLines are what a reader wants first: the client's error, what the server refused, what crossed the wire, and
// where to find the rest.
func evidenceLines(r *Record) []evidence {
	if r.Observation == nil {
		return nil
	}
	e := r.Observation.Evidence
	var list []evidence
	switch c := e.Client; {
	case c.Crash != "":
		list = append(list, evidence{"client", "died: " + c.Crash})
	case c.Message != "":
		list = append(list, evidence{"client", abridge(c.Message, 4)})
	case c.Connected && c.Session != nil:
		list = append(list, evidence{"client", sessionText(c.Session)})
	}
	if e.Client.Raw != nil {
		list = append(list, evidence{"raw", rawText(e.Client.Raw)})
	}
	for i, l := range e.Load {
		if i+1 < len(e.Load) && e.Load[i+1].Severity == "CONTEXT" {
			list = append(list, evidence{"server", l.Severity + ": " + abridge(l.Text, 2) + " (" + abridge(e.Load[i+1].Text, 1) + ")"})
		}
	}
	if e.Down != "" {
		list = append(list, evidence{"server", e.Down})
	}
	for i, c := range e.Connections {
		for _, l := range c.Log {
			if l.Severity == "LOG" && !strings.Contains(l.Text, "authenticated") {
				continue
			}
			list = append(list, evidence{"server", connectionPrefix(i, e) + l.Severity + ": " + abridge(l.Text, 2)})
		}
	}
	for i, c := range e.Connections {
		if len(c.Wire) > 0 {
			list = append(list, evidence{"wire", connectionPrefix(i, e) + wireText(c.Wire)})
		}
	}
	return list
}

func connectionPrefix(i int, e matrix.Evidence) string {
	if len(e.Connections) < 2 {
		return ""
	}
	return fmt.Sprintf("#%d ", i+1)
}

// abridge keeps the first lines of a text.
func abridge(s string, lines int) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	if len(all) > lines {
		all = append(all[:lines], "…")
	}
	return strings.Join(all, "\n")
}

func sessionText(s *matrix.Session) string {
	text := "session of " + s.SessionUser
	if s.SSL {
		text += ", " + s.SSLVersion
	}
	if s.ClientDN != "" {
		text += ", certificate " + s.ClientDN
	}
	if s.GSSEncrypted {
		text += ", GSS-encrypted"
	}
	if s.GSSAuthenticated {
		text += ", GSS-authenticated"
	}
	if s.Principal != "" {
		text += " as " + s.Principal
	}
	if s.SystemUser != "" {
		text += ", system_user " + s.SystemUser
	}
	if !s.SSL && !s.GSSEncrypted {
		text += ", not encrypted"
	}
	return text
}

// wireText is a connection's events in one line: `›` from the client, `‹` from the server, and in brackets what the
// attacker did.
func wireText(events []matrix.WireEvent) string {
	var b strings.Builder
	for _, e := range events {
		switch text := eventText(e); e.From {
		case "relay":
		case "client":
			b.WriteString(" ›\u00a0" + text)
		case "server":
			b.WriteString(" ‹\u00a0" + text)
		default:
			b.WriteString(" [" + e.From + ": " + text + "]")
		}
	}
	return strings.TrimSpace(b.String())
}

// eventText is an event on one line.
func eventText(e matrix.WireEvent) string { return strings.ReplaceAll(e.String(), "\n", " ") }

// rawText says how a sequence of the raw client ended.
func rawText(r *matrix.RawEvidence) string {
	text := string(r.Sequence) + ", at its end: " + r.End
	if r.Error != "" {
		text += ", error " + r.Error
	}
	if r.TLS != "" {
		text += ", no TLS: " + r.TLS
	}
	if len(r.Executed) > 0 {
		text += ", executed " + strings.Join(r.Executed, ", ")
	}
	return text
}

package matrix

import (
	"fmt"
	"strings"
)

// IdentServer describes an Ident server (RFC 1413) on the machines of clients: what it answers, whatever connection it is asked about.
type IdentServer struct {
	Name   string // the value of the axis ident_server
	Answer string // without the end of its line; {ports} stands for the two ports of the question
	End    string // the end of its line
}

// NoIdentServer is the default of the axis ident_server: nothing listens on port 113 of clients.
const NoIdentServer = "none"

// The ends of a line that an answer can have. RFC 1413 wants the first.
var answerEnds = map[string]string{"crlf": "\r\n", "newline": "\n"}

// longestAnswer is less than what a server reads of an answer (auth.c, ident_inet: 80 bytes), with ports of five digits.
const longestAnswer = 60

// IdentServerOf is the Ident server on the machines of clients; running is false if there is none, ok if nothing describes it.
func (w *World) IdentServerOf() (s IdentServer, running, ok bool) {
	if w.IdentServer == "" || w.IdentServer == NoIdentServer {
		return s, false, true
	}
	s, ok = described(w.IdentServer, func(s *IdentServer) string { return s.Name }, w.IdentServers)
	return s, ok, ok
}

var identServerKeys = []string{"answer", "end"}

// identServers reads the Ident servers that the scenario describes.
func (l *loading) identServers(v *value) {
	for _, own := range l.ownNames(v, "ident_servers", "Ident server", "ident_server") {
		s := IdentServer{Name: own.key, End: answerEnds["crlf"]}
		for _, e := range l.entriesOnce(own.value, "key") {
			if !l.want(e.value, e.key, scalar) {
				continue
			}
			text := e.value.text
			switch e.key {
			case "answer":
				if s.Answer = text; len(text) == 0 || len(text) > longestAnswer || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
					l.problem(e.value.position, fmt.Sprintf("answer is %q", text), fmt.Sprintf(`want 1 to %d characters of ASCII, as in "{ports} : USERID : UNIX : alice"`, longestAnswer))
				}
			case "end":
				end, ok := answerEnds[text]
				if s.End = end; !ok {
					l.problem(e.value.position, fmt.Sprintf("end is %q", text), "want crlf or newline")
				}
			default:
				l.problem(e.position, fmt.Sprintf("unknown key %q of an Ident server", e.key), suggest(e.key, identServerKeys))
			}
		}
		if !hasKey(own.value.entries, "answer") {
			l.problem(own.position, fmt.Sprintf("Ident server %s has no answer", s.Name), `add one, as in answer: "{ports} : USERID : UNIX : alice"`)
		}
		l.IdentServers = append(l.IdentServers, s)
	}
}

func identServersSchema() object {
	return describedSchema(closed("", object{
		"answer": object{"type": "string", "minLength": 1, "maxLength": longestAnswer, "pattern": "^[ -~]*$"},
		"end":    object{"enum": []string{"crlf", "newline"}},
	}, "answer"))
}

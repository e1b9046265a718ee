package matrix

import (
	"cmp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// WireEvent is one thing that the relay or the raw client saw: package wire, Event, whose fields and text form it has. Which of the fields after
// Kind it has depends on the kind.
type WireEvent struct {
	Micros int64  `json:"us"`   // since the attempt began
	From   string `json:"from"` // client | server | relay | attacker (the relay as it tampers)
	Kind   string `json:"kind"` // see package wire, Kind

	Text    string       `json:"text,omitempty"`    // of Open, DialFailed, Malformed, Idle, Refused
	Answer  string       `json:"answer,omitempty"`  // of Answer: G, S, N, E (its text follows as ErrorResponse) or 0xNN
	Bytes   int          `json:"bytes,omitempty"`   // of Stuffed and GSSToken
	Token   string       `json:"token,omitempty"`   // of GSSToken, where known: ap-req, ap-rep, krb-error
	Auth    string       `json:"auth,omitempty"`    // of AuthRequest and Forged, see there; of PasswordSent the request that it answers, or none
	TLS     *WireTLS     `json:"tls,omitempty"`     // of ClientHello, ServerHello and Impersonated
	Alert   *WireAlert   `json:"alert,omitempty"`   // of TLSAlert; nil: it is encrypted
	Startup *WireStartup `json:"startup,omitempty"` // of Startup
	Error   *WireError   `json:"error,omitempty"`   // of ErrorResponse, and of Injected where the server refused the statement
	Deed    *WireDeed    `json:"deed,omitempty"`    // of what the attacker did
}

// WireTLS is what a Hello says in the clear.
type WireTLS struct {
	Version string   `json:"version"`         // as PostgreSQL writes it, "TLSv1.3": the highest that a client offers, the one that a server has chosen
	ALPN    []string `json:"alpn,omitempty"`  // protocols
	SNI     string   `json:"sni,omitempty"`   // server name
	Retry   bool     `json:"retry,omitempty"` // a HelloRetryRequest: another ClientHello and ServerHello follow
}

// WireAlert is a TLS alert, RFC 8446 section 6.
type WireAlert struct {
	Level string `json:"level"` // warning, fatal, or a number
	Code  int    `json:"code"`
	Name  string `json:"name,omitempty"` // in the IANA registry
}

// WireStartup is a startup packet; of its parameters these are kept.
type WireStartup struct {
	Protocol    string `json:"protocol"` // "3.0"; before 3.0 no parameters are read
	User        string `json:"user,omitempty"`
	Database    string `json:"database,omitempty"`
	Replication string `json:"replication,omitempty"`
	Application string `json:"application,omitempty"` // application_name
}

// WireError is an ErrorResponse.
type WireError struct {
	State string `json:"state,omitempty"` // SQLSTATE; "" in the form before protocol 3.0, which has none
	Text  string `json:"text,omitempty"`  // the primary message
}

// String is "SQLSTATE text", with - in the place of a SQLSTATE that is missing.
func (e *WireError) String() string {
	if e.State == "" {
		return "- " + e.Text
	}
	return e.State + " " + e.Text
}

// WireDeed is what the attacker did.
type WireDeed struct {
	Said   string `json:"said,omitempty"`   // of Answered: N, S, G, error, unterminated-error or token
	To     string `json:"to,omitempty"`     // of Answered and Replayed a kind of event; of Inserted client or server
	Bytes  int    `json:"bytes,omitempty"`  // of Inserted and Replayed
	SQL    string `json:"sql,omitempty"`    // of Injected
	Tag    string `json:"tag,omitempty"`    // of Injected: the command tag, where the server executed the statement
	Of     string `json:"of,omitempty"`     // of Flipped, whose record it was, and of Refused, who refused: client or server
	How    string `json:"how,omitempty"`    // of Cut: close or reset
	At     string `json:"at,omitempty"`     // of Cut, Held and Delayed: the event, as Tamper.At names it
	Micros int64  `json:"micros,omitempty"` // of Delayed: for how long
}

var saidWords = map[string]string{"error": "an ErrorResponse", "unterminated-error": "an unterminated error", "token": "a token"}

// String is the event for people: its kind, and after a blank what it has besides. Words from the wire are quoted as in Go where they hold a blank
// or worse.
func (e WireEvent) String() string {
	return strings.TrimSpace(e.Kind + " " + e.detail())
}

func (e WireEvent) detail() string {
	switch {
	case e.Deed != nil:
		return e.deed()
	case e.TLS != nil:
		return e.TLS.text(e.Kind == "client-hello")
	case e.Startup != nil:
		return e.Startup.text()
	case e.Error != nil:
		return e.Error.String()
	case e.Alert != nil:
		return strings.TrimSpace(e.Alert.Level + " " + strconv.Itoa(e.Alert.Code) + " " + e.Alert.Name)
	case e.Kind == "tls-alert":
		return "encrypted"
	case e.Bytes > 0:
		return strings.TrimSpace(strconv.Itoa(e.Bytes) + " " + e.Token)
	}
	return e.Text + e.Answer + e.Auth // it has one of these
}

func (e WireEvent) deed() string {
	d := e.Deed
	switch e.Kind {
	case "answered":
		return cmp.Or(saidWords[d.Said], d.Said) + " to " + d.To
	case "refused":
		return d.Of + ": " + e.Text
	case "inserted":
		return strconv.Itoa(d.Bytes) + " bytes to the " + d.To
	case "replayed":
		return strconv.Itoa(d.Bytes) + " bytes: " + d.To
	case "flipped":
		return "a bit of the first sealed record from the " + d.Of
	case "injected":
		switch {
		case d.Tag != "":
			return d.SQL + " -> ok " + d.Tag
		case e.Error != nil:
			return d.SQL + " -> error " + e.Error.String()
		}
		return d.SQL + " -> no answer"
	case "delayed":
		return (time.Duration(d.Micros) * time.Microsecond).String() + " at " + d.At
	}
	return strings.TrimSpace(d.How + " at " + d.At) // Cut, Held
}

func (t *WireTLS) text(offer bool) string {
	var words []string
	if !offer {
		words = append(words, t.Version)
	}
	if len(t.ALPN) > 0 {
		names := make([]string, len(t.ALPN))
		for i, name := range t.ALPN {
			names[i] = wireWord(name)
		}
		words = append(words, "alpn="+strings.Join(names, ","))
	}
	if t.SNI != "" {
		words = append(words, "sni="+wireWord(t.SNI))
	}
	if offer {
		words = append(words, "max="+t.Version)
	}
	if t.Retry {
		words = append(words, "retry")
	}
	return strings.Join(words, " ")
}

func (s *WireStartup) text() string {
	var words []string
	for _, p := range [][2]string{{"user", s.User}, {"database", s.Database}, {"replication", s.Replication}, {"application_name", s.Application}} {
		if p[1] != "" {
			words = append(words, p[0]+"="+wireWord(p[1]))
		}
	}
	return strings.Join(append(words, s.Protocol), " ")
}

// wireWord quotes a word that could not stand between blanks.
func wireWord(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r == '"' || unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

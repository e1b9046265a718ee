package classify

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// The witnesses of an attempt, as matrix.Because names its source; and the rules under test, where they leave one possibility.
const (
	byClient  = "client"
	bySession = "session"
	byLog     = "server log"
	byWire    = "wire"
	byRules   = matrix.HBAFile
)

// reading is a text of one witness and what was read in it.
type reading struct {
	witness, text string
	meanings      []string
}

// quoted bounds the text of a reading, in bytes: readings are stored with every cell.
const quoted = 160

// note records what was read in a text of a witness. A text that says several things is recorded once.
func (c *classifier) note(witness, text string, meanings ...string) {
	text, _, _ = strings.Cut(text, "\n")
	if at := slices.IndexFunc(c.readings, func(r reading) bool { return r.witness == witness && r.text == text }); at >= 0 {
		c.readings[at].meanings = append(c.readings[at].meanings, meanings...)
		return
	}
	c.readings = append(c.readings, reading{witness, text, meanings})
}

// noteRefusal records the message that ended the attempt. Where another witness has told the reason, that message told only the stage.
func (c *classifier) noteRefusal(witness, text string, found cause) {
	meaning := "refused at " + string(found.stage)
	for _, r := range c.readings {
		if slices.Contains(r.meanings, string(found.reason)) {
			c.note(witness, text, meaning)
			return
		}
	}
	c.note(witness, text, meaning, string(found.reason))
}

// noteReason records the reason where another witness tells it than the one that had the last word.
func (c *classifier) noteReason(witness, text string, reason matrix.Reason) {
	c.note(witness, text, string(reason))
}

// because are the readings, as an observation has them.
func (c *classifier) because() (list []matrix.Because) {
	for _, r := range c.readings {
		text := r.text
		if len(text) > quoted {
			cut := quoted
			for !utf8.RuneStart(text[cut]) {
				cut--
			}
			text = text[:cut] + "…"
		}
		list = append(list, matrix.Because{Source: r.witness, Text: text + " -> " + strings.Join(r.meanings, ", ")})
	}
	return list
}

// setChannel settles the channel of an attempt that reached the startup packet: it is what the client's side of the wire shows.
func (c *classifier) setChannel(n *connection) {
	c.outcome.Channel = c.channelOf(n)
	meaning := "channel " + string(c.outcome.Channel)
	switch {
	case c.outcome.Channel == "":
	case c.unix():
		c.note(byLog, "connection received: host="+n.host, meaning)
	case c.outcome.Channel == matrix.TLS:
		c.note(byWire, "server-hello "+n.tlsVersion, meaning)
	case c.outcome.Channel == matrix.GSS:
		c.note(byWire, "gss-data", meaning)
	default:
		c.note(byWire, "startup packet in the clear", meaning)
	}
}

// sessionChannel is what the session's views say, in one line.
func sessionChannel(s *matrix.Session) string {
	var said []string
	if s.SSL {
		said = append(said, "pg_stat_ssl: "+s.SSLVersion)
	}
	if s.GSSEncrypted {
		said = append(said, "pg_stat_gssapi: encrypted")
	}
	if len(said) == 0 {
		return "pg_stat_ssl and pg_stat_gssapi: no encryption"
	}
	return strings.Join(said, ", ")
}

// unknownMessage is the fault of a message that is in no table.
func unknownMessage(text string) error {
	return fmt.Errorf("unrecognised message of the client: %q", text)
}

package wire

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Attack names what a relay does to the conversation.
type Attack string

// The attacks. Request means SSLRequest or GSSENCRequest.
const (
	// Strip answers N to every request, which the server never sees; a direct TLS handshake is cut.
	Strip Attack = "strip"
	// StripGSS answers N to GSSENCRequest only.
	StripGSS Attack = "strip-gss"
	// Impersonate answers N to GSSENCRequest, takes TLS with Tamper.Certificate, asks for no client certificate, and
	// speaks to the server in TLS without verification where it has TLS, else in the clear. With SQL it injects too.
	Impersonate Attack = "impersonate"
	// StuffClient puts a Query with SQL after the client's first request, in the same segment; with User a startup
	// packet of that user goes before it (CVE-2021-23214: what a server that kept those bytes takes for sealed).
	StuffClient Attack = "stuff-client"
	// StuffServer puts Bytes, or else a forged ErrorResponse with Text, after the server's S or G (CVE-2021-23222).
	StuffServer Attack = "stuff-server"
	// Error answers a request with an ErrorResponse that carries Text, and closes (CVE-2024-10977).
	Error Attack = "error"
	// ErrorUnterminated answers SSLRequest with E and Text without an end, and closes; GSSENCRequest with G, and the
	// client's first token with the same (CVE-2022-41862: libpq read that error within GSS set-up).
	ErrorUnterminated Attack = "error-unterminated"
	// Inject asks the server SQL in the client's session before the client learns that it is ready. The answer is
	// swallowed. SQL must not be a COPY.
	Inject Attack = "inject"
	// ForgeOK plays the server: N to GSSENCRequest, TLS as Impersonate takes it, AuthenticationOk to the startup packet, and
	// Row to every query. The server hears nothing of it.
	ForgeOK Attack = "forge-ok"
	// ForgeGSSOK does the same, but first asks for GSSAPI authentication, and takes whatever token comes.
	ForgeGSSOK Attack = "forge-gss-ok"
	// ForgeAPRep answers that token with an AP-REP of its own making before AuthenticationOk; GSSENCRequest it
	// answers with G, and the client's token with another such AP-REP.
	ForgeAPRep Attack = "forge-ap-rep"
	// CutClose and CutReset end both connections at the event At; the segment in which it came is not passed on.
	CutClose Attack = "cut"
	CutReset Attack = "reset"
	// Delay passes the segment of the event At on after Tamper.Delay.
	Delay Attack = "delay"
	// Hold passes on nothing from the peer of the event At, that segment included; the client is left waiting.
	Hold Attack = "hold"
	// Replay sends the client's first words twice: its first TLS record or GSS token, or its startup packet. At names those
	// that are meant; empty: all.
	Replay Attack = "replay"
	// Flip changes a bit of the first sealed record (TLS application data, GSS packet) that From sends.
	Flip Attack = "flip"
)

// Tamper tells a relay how to attack the conversations it carries, each of them anew. What it did is in the records,
// as events of the attacker.
type Tamper struct {
	Attack Attack
	// At names events of the client or server, by kind and, after a blank, the beginning of the detail: "startup",
	// "answer G", "auth-request ok"; with | between them: "server-hello|gss-token". Of cut, reset, delay, hold, where it is
	// answer if empty, and of replay.
	At          string
	Nth         int              // which of these events; 0 and 1: the first
	SQL         string           // of inject, stuff-client and impersonate
	User        string           // of stuff-client
	Text        string           // of error, error-unterminated, stuff-server
	Bytes       []byte           // of stuff-server, instead of Text
	Certificate *tls.Certificate // of impersonate and forge-…
	Row         [][2]string      // of forge-…: name and value of each column
	Delay       time.Duration    // of delay
	From        string           // client or server; of flip, and of what has At, where empty is either
}

// Attacks lists the attacks in the order in which they are described.
func Attacks() []Attack {
	return []Attack{Strip, StripGSS, Impersonate, StuffClient, StuffServer, Error, ErrorUnterminated, Inject, ForgeOK, ForgeGSSOK, ForgeAPRep, CutClose, CutReset, Delay, Hold, Replay, Flip}
}

// markers are the events at which a conversation can be cut, delayed or held.
var markers = []Kind{GSSENCRequest, SSLRequest, CancelRequest, Answer, DirectTLS, ClientHello, ServerHello, TLSAlert, TLSData,
	GSSToken, GSSData, Startup, AuthRequest, PasswordSent, Query, ErrorResponse, Ready}

const maxStuffed = 8 << 10 // fits into one segment on the loopback device, and into the server's receive buffer

func (t *Tamper) check() error {
	if t == nil {
		return nil
	}
	if !slices.Contains(Attacks(), t.Attack) {
		return fmt.Errorf("wire: no attack %q: want one of %q", t.Attack, Attacks())
	}
	if missing := t.missing(); missing != "" {
		return fmt.Errorf("wire: the attack %s needs %s", t.Attack, missing)
	}
	if t.From != "" && t.From != client.String() && t.From != server.String() {
		return fmt.Errorf("wire: the attack %s from %q: want From to be client or server", t.Attack, t.From)
	}
	if timed := []Attack{CutClose, CutReset, Delay, Hold, Replay}; t.At != "" && !slices.Contains(timed, t.Attack) {
		return fmt.Errorf("wire: the attack %s has no At", t.Attack)
	}
	for at := range strings.SplitSeq(t.At, "|") {
		if kind, _, _ := strings.Cut(at, " "); t.At != "" && !slices.Contains(markers, Kind(kind)) {
			return fmt.Errorf("wire: the attack %s cannot be at %q: want one of %q", t.Attack, at, markers)
		}
	}
	words := t.SQL + t.User + t.Text
	for _, column := range t.Row {
		words += column[0] + column[1]
	}
	if len(words)+len(t.Bytes) > maxStuffed {
		return fmt.Errorf("wire: the attack %s sends more than %d bytes", t.Attack, maxStuffed)
	}
	if strings.ContainsRune(words, 0) {
		return errors.New("wire: SQL, User, Text and Row of an attack cannot hold a NUL")
	}
	return nil
}

// missing names the fields that the attack cannot do without and that are not given, or "".
func (t *Tamper) missing() string {
	certified := t.Certificate != nil && len(t.Certificate.Certificate) > 0
	switch {
	case t.Attack == Impersonate && !certified:
		return "Certificate"
	case slices.Contains([]Attack{ForgeOK, ForgeGSSOK, ForgeAPRep}, t.Attack) && (!certified || len(t.Row) == 0):
		return "Certificate and Row"
	case (t.Attack == StuffClient || t.Attack == Inject) && t.SQL == "":
		return "SQL"
	case t.Attack == StuffServer && t.Text == "" && len(t.Bytes) == 0:
		return "Text or Bytes"
	case (t.Attack == Error || t.Attack == ErrorUnterminated) && t.Text == "":
		return "Text"
	case t.Attack == Delay && t.Delay <= 0:
		return "Delay"
	case t.Attack == Flip && t.From == "":
		return "From"
	}
	return ""
}

package matrix

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Attack is a value of the axis attack: what an attacker between client and server does, or what the raw client sends.
type Attack string

// The attacks. NoAttack is the value of cells without one.
const (
	NoAttack Attack = "none"

	Listen            Attack = "listen"
	Strip             Attack = "strip"
	StripGSS          Attack = "strip-gss"
	Impersonate       Attack = "impersonate"
	Inject            Attack = "inject"
	StuffClient       Attack = "stuff-client"
	StuffServer       Attack = "stuff-server"
	SendError         Attack = "error"
	ErrorUnterminated Attack = "error-unterminated"
	ForgeOK           Attack = "forge-ok"
	ForgeGSSOK        Attack = "forge-gss-ok"
	ForgeAPRep        Attack = "forge-ap-rep"
	CutAnswer         Attack = "cut-answer"
	CutHandshake      Attack = "cut-handshake"
	CutAuth           Attack = "cut-auth"
	HoldAnswer        Attack = "hold-answer"
	HoldGSS           Attack = "hold-gss"
	HoldAuth          Attack = "hold-auth"
	Delay             Attack = "delay"
	Replay            Attack = "replay"
	FlipClient        Attack = "flip-client"
	FlipServer        Attack = "flip-server"

	GSSENCInTLS       Attack = "gssenc-in-tls"
	GSSENCInDirectTLS Attack = "gssenc-in-direct-tls"
	TLSInGSS          Attack = "tls-in-gss"
	Alternate         Attack = "alternate"
	SecondStartup     Attack = "second-startup"
	SSLWithQuery      Attack = "ssl-with-query"
	SSLWithStartup    Attack = "ssl-with-startup"
	GSSENCWithQuery   Attack = "gssenc-with-query"
	GSSENCWithStartup Attack = "gssenc-with-startup"
	GSSENCGarbage     Attack = "gssenc-garbage"
	GSSENCEmpty       Attack = "gssenc-empty"
	GSSENCOversize    Attack = "gssenc-oversize"
	GSSENCExtraCount  Attack = "gssenc-extra-count"
	DirectNoALPN      Attack = "direct-no-alpn"
	DirectWrongALPN   Attack = "direct-wrong-alpn"
	LongStartup       Attack = "long-startup"
	Protocol20        Attack = "protocol-2.0"
	Protocol39        Attack = "protocol-3.9"
)

// Player is what carries out an attack.
type Player string

const (
	Relay     Player = "relay" // an attacker between a real client and the server
	RawClient Player = "raw"   // the client itself, which sends what no client library sends
)

// AttackInfo is one entry of Attacks.
type AttackInfo struct {
	Name    Attack
	Player  Player
	Meaning string // one line, for docs/scenarios.md
	GSS     bool   // it takes place inside GSS encryption: over TCP, with a valid ticket
	Server  int    // the first server version to which it applies; 0: all
	Before  string // why it does not apply to earlier versions
}

// Attacks is the table of attacks, in the order of reports.
var Attacks = []AttackInfo{
	{Name: Listen, Player: Relay, Meaning: "the attacker only reads"},
	{Name: Strip, Player: Relay, Meaning: "the attacker answers N to SSLRequest and GSSENCRequest, which the server never sees, and closes on direct TLS"},
	{Name: StripGSS, Player: Relay, Meaning: "the attacker answers N to GSSENCRequest alone"},
	{Name: Impersonate, Player: Relay, Meaning: "the attacker answers S, ends TLS with a certificate of its own CA, answers N to GSSENCRequest, and connects to the server as a client, with TLS if the server has it"},
	{Name: Inject, Player: Relay, Meaning: "if the session is in the clear, the attacker sends a statement to the server and keeps the answer"},
	{Name: StuffClient, Player: Relay, Meaning: "the attacker appends a statement to the client's SSLRequest or GSSENCRequest, in the same segment (CVE-2021-23214)"},
	{Name: StuffServer, Player: Relay, Meaning: "the attacker appends a message to the server's answer S or G, in the same segment (CVE-2021-23222)"},
	{Name: SendError, Player: Relay, Meaning: "the attacker answers SSLRequest and GSSENCRequest with an error message (CVE-2024-10977)"},
	{Name: ErrorUnterminated, Player: Relay, Meaning: "the same, with an error message of protocol 2.0 that has no terminator (CVE-2022-41862)"},
	{Name: ForgeOK, Player: Relay, Meaning: "the attacker plays the server, which receives nothing: N to GSSENCRequest, TLS with a certificate of its own CA, AuthenticationOk to the startup packet, an invented row to the query"},
	{Name: ForgeGSSOK, Player: Relay, Meaning: "the same, but the attacker asks for GSSAPI authentication first, and sends AuthenticationOk whatever the token is"},
	{Name: ForgeAPRep, Player: Relay, Meaning: "the same, but the attacker answers the token, and that of GSSENCRequest, with an AP-REP made without the key"},
	{Name: CutAnswer, Player: Relay, Meaning: "the attacker closes both connections in place of the answer to SSLRequest or GSSENCRequest"},
	{Name: CutHandshake, Player: Relay, Meaning: "the attacker closes both connections in place of the server's first message in a TLS or GSS handshake"},
	{Name: CutAuth, Player: Relay, Meaning: "the attacker closes both connections in place of the server's first authentication request, if it is in the clear"},
	{Name: HoldAnswer, Player: Relay, Meaning: "the attacker holds back the answer to SSLRequest and GSSENCRequest: the client waits until its connect_timeout"},
	{Name: HoldGSS, Player: Relay, Meaning: "the attacker holds back the answer to GSSENCRequest alone, like a proxy that does not know the request"},
	{Name: HoldAuth, Player: Relay, Meaning: "the attacker holds back the server's first authentication request, if it is in the clear"},
	{Name: Delay, Player: Relay, Meaning: "the attacker passes on the server's first message one second late"},
	{Name: Replay, Player: Relay, Meaning: "the attacker sends the client's first TLS record or GSS token twice"},
	{Name: FlipClient, Player: Relay, Meaning: "the attacker changes one bit of the client's first encrypted record: in TLS 1.3 the end of its handshake, under GSS encryption its startup packet"},
	{Name: FlipServer, Player: Relay, Meaning: "the attacker changes one bit of the server's first encrypted record: in TLS 1.3 the middle of its handshake, under GSS encryption its answer to the startup packet"},

	{Name: GSSENCInTLS, Player: RawClient, Meaning: "SSLRequest, TLS, and inside it GSSENCRequest"},
	{Name: GSSENCInDirectTLS, Player: RawClient, Meaning: "GSSENCRequest inside TLS that was begun without SSLRequest (CVE-2026-14681)"},
	{Name: TLSInGSS, Player: RawClient, GSS: true, Meaning: "GSS encryption, and inside it SSLRequest"},
	{Name: Alternate, Player: RawClient, Meaning: "SSLRequest and GSSENCRequest in turn on one connection, as long as the answer is N (CVE-2026-6479)"},
	{Name: SecondStartup, Player: RawClient, Meaning: "a second startup packet, of user postgres, in place of the answer to an authentication request"},
	{Name: SSLWithQuery, Player: RawClient, Meaning: "a statement after SSLRequest in the same segment, then TLS (CVE-2021-23214)"},
	{Name: SSLWithStartup, Player: RawClient, Meaning: "a startup packet and a statement after SSLRequest in the same segment, then TLS"},
	{Name: GSSENCWithQuery, Player: RawClient, Meaning: "a statement after GSSENCRequest in the same segment, then GSS encryption where there is a ticket (CVE-2021-23214)"},
	{Name: GSSENCWithStartup, Player: RawClient, Meaning: "a startup packet and a statement after GSSENCRequest in the same segment, then GSS encryption where there is a ticket"},
	{Name: GSSENCGarbage, Player: RawClient, Meaning: "GSSENCRequest, and then a malformed token"},
	{Name: GSSENCEmpty, Player: RawClient, Meaning: "GSSENCRequest, and then an empty token, with which SPNEGO asks for the server's mechanisms"},
	{Name: GSSENCOversize, Player: RawClient, Meaning: "GSSENCRequest, and then the length of a token that is longer than the server accepts"},
	{Name: GSSENCExtraCount, Player: RawClient, GSS: true, Meaning: "GSS encryption, and a startup packet in a token whose Extra Count was changed (CVE-2024-37370)"},
	{Name: DirectNoALPN, Player: RawClient, Meaning: "direct TLS without ALPN"},
	{Name: DirectWrongALPN, Player: RawClient, Meaning: "direct TLS with the ALPN protocol of another service"},
	{Name: LongStartup, Player: RawClient, Meaning: "a startup packet one byte longer than the server accepts"},
	{Name: Protocol20, Player: RawClient, Meaning: "a startup packet of protocol 2.0", Server: 14, Before: "PostgreSQL 13 supports protocol 2.0, which the raw client does not"},
	{Name: Protocol39, Player: RawClient, Meaning: "a startup packet of protocol 3.9, which the server negotiates down: a session like any other"},
}

// AttacksOf are the entries of Attacks that a player carries out.
func AttacksOf(p Player) (attacks []AttackInfo) {
	for _, a := range Attacks {
		if a.Player == p {
			attacks = append(attacks, a)
		}
	}
	return attacks
}

func attackNames(p Player) (names []string) {
	for _, a := range AttacksOf(p) {
		names = append(names, string(a.Name))
	}
	return names
}

var attacksByName = func() map[Attack]*AttackInfo {
	byName := make(map[Attack]*AttackInfo, len(Attacks))
	for i := range Attacks {
		byName[Attacks[i].Name] = &Attacks[i]
	}
	return byName
}()

// Info is the attack's entry in Attacks; nil for NoAttack and for an unknown attack.
func (a Attack) Info() *AttackInfo { return attacksByName[a] }

// notApplicable says why the attack is not possible in the cell; "" if it is.
func (a Attack) notApplicable(c *Cell) string {
	info, unix := a.Info(), c.Client.Transport == "unix"
	switch player := RawClient; {
	case (info != nil && info.Player == player) != (c.Client.Library == Raw):
		return "only the raw client sends " + strings.Join(attackNames(RawClient), ", ") + ", and it sends nothing else"
	case info == nil:
		return ""
	case info.Player == Relay && unix:
		return "no attacker can be between the ends of a unix-domain socket"
	case info.GSS && unix:
		return "there is no GSS encryption on a unix-domain socket"
	case info.GSS && !c.hasTicket():
		return "GSS encryption needs a ticket"
	case c.World.Server < info.Server:
		return cmp.Or(info.Before, fmt.Sprintf("this applies to PostgreSQL %d and later", info.Server))
	}
	return ""
}

// Attacked says whether there is an attacker, between client and server or as the client.
func (c *Client) Attacked() bool { return c.Attack != "" && c.Attack != NoAttack }

// attackWords are the values of the axis attack that `all` stands for.
func attackWords() []string { return slices.Concat([]string{string(NoAttack)}, attackNames(Relay)) }

// hasTicket is true if the client is given a ticket that has not expired.
func (c *Cell) hasTicket() bool {
	t, ok := c.World.TicketOf(&c.Client)
	return ok && !t.Absent && !t.Expired && !t.Ambient
}

package classify

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// wireEvent reads an event in the form of matrix.WireEvent's String, with the side before it: "server answer S". Tests write events so.
func wireEvent(text string) matrix.WireEvent {
	from, rest, _ := strings.Cut(text, " ")
	kind, detail, _ := strings.Cut(rest, " ")
	e := matrix.WireEvent{From: from, Kind: kind}
	switch kind {
	case "open", "dial-failed", "malformed", "idle":
		e.Text = detail
	case "answer":
		e.Answer = detail
	case "stuffed", "gss-token":
		size, token, _ := strings.Cut(detail, " ")
		e.Bytes, _ = strconv.Atoi(size)
		e.Token = token
	case "auth-request", "password", "forged":
		e.Auth = detail
	case "client-hello", "server-hello", "impersonated":
		e.TLS = wireTLS(detail)
	case "tls-alert":
		if words := strings.Fields(detail); len(words) > 1 {
			code, _ := strconv.Atoi(words[1])
			e.Alert = &matrix.WireAlert{Level: words[0], Code: code, Name: strings.Join(words[2:], " ")}
		}
	case "startup":
		e.Startup = wireStartup(detail)
	case "error-response":
		e.Error = wireError(detail)
	case "answered", "refused", "inserted", "injected", "flipped", "replayed", "delayed", "held", "cut":
		e.Deed = wireDeed(&e, detail)
	}
	return e
}

func wireTLS(detail string) *matrix.WireTLS {
	t := &matrix.WireTLS{}
	for word := range strings.FieldsSeq(detail) {
		switch name, value, named := strings.Cut(word, "="); {
		case name == "alpn":
			t.ALPN = strings.Split(value, ",")
		case name == "sni":
			t.SNI = value
		case word == "retry":
			t.Retry = true
		case name == "max":
			t.Version = value
		case !named:
			t.Version = word
		}
	}
	return t
}

func wireStartup(detail string) *matrix.WireStartup {
	s := &matrix.WireStartup{}
	for word := range strings.FieldsSeq(detail) {
		switch name, value, _ := strings.Cut(word, "="); name {
		case "user":
			s.User = value
		case "database":
			s.Database = value
		case "replication":
			s.Replication = value
		case "application_name":
			s.Application = value
		default:
			s.Protocol = word
		}
	}
	return s
}

func wireError(detail string) *matrix.WireError {
	state, text, _ := strings.Cut(detail, " ")
	return &matrix.WireError{State: strings.TrimPrefix(state, "-"), Text: text}
}

func wireDeed(e *matrix.WireEvent, detail string) *matrix.WireDeed {
	d := &matrix.WireDeed{}
	number := func(text string) int {
		n, _ := strconv.Atoi(text)
		return n
	}
	switch e.Kind {
	case "answered":
		d.Said, d.To, _ = strings.Cut(detail, " to ")
		if word := map[string]string{"an ErrorResponse": "error", "an error": "error", "an unterminated error": "unterminated-error", "a token": "token"}[d.Said]; word != "" {
			d.Said = word
		}
	case "refused":
		d.Of, e.Text, _ = strings.Cut(detail, ": ")
	case "inserted":
		size, to, _ := strings.Cut(detail, " bytes to the ")
		d.Bytes, d.To = number(size), to
	case "replayed":
		size, to, _ := strings.Cut(detail, " bytes: ")
		d.Bytes, d.To = number(size), to
	case "flipped":
		_, d.Of, _ = strings.Cut(detail, " from the ")
	case "injected":
		sql, answer, _ := strings.Cut(detail, " -> ")
		d.SQL = sql
		if tag, ok := strings.CutPrefix(answer, "ok "); ok {
			d.Tag = tag
		} else if text, ok := strings.CutPrefix(answer, "error "); ok {
			e.Error = wireError(text)
		}
	default:
		before, at, _ := strings.Cut(detail, "at ")
		d.At = at
		if before = strings.TrimSpace(before); e.Kind == "delayed" {
			delay, _ := time.ParseDuration(before)
			d.Micros = delay.Microseconds()
		} else {
			d.How = before
		}
	}
	return d
}

// TestIncompleteEvents: an event without what its kind needs, as a record in another form would have it, is a fault, not a silent one.
func TestIncompleteEvents(t *testing.T) {
	cell := testCell(17, "libpq17")
	whole := []string{"server answer S", "client client-hello max=TLSv1.3", "server server-hello TLSv1.3", "client startup user=alice 3.0", "server auth-request ok", "client password sasl",
		"server error-response 28000 no", "server stuffed 1", "client gss-token 12 ap-req", "relay open 10.9.0.2:5432", "relay dial-failed no", "client malformed 00", "attacker idle why",
		"attacker forged ok", "attacker impersonated TLSv1.3", "attacker answered N to sslrequest", "attacker refused client: no", "attacker inserted 1 bytes to the client",
		"attacker injected a -> ok DO", "attacker flipped a bit of the first sealed record from the client", "attacker replayed 1 bytes: startup", "attacker delayed 1s at answer",
		"attacker held at answer", "attacker cut close at answer"}
	for _, text := range whole {
		e := wireEvent(text)
		if err := checkEvent(e); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		bare := matrix.WireEvent{From: e.From, Kind: e.Kind}
		if checkEvent(bare) == nil {
			t.Errorf("%s passes with nothing in it", text)
		}
		for _, attack := range []matrix.Attack{matrix.NoAttack, matrix.Inject} {
			cell.Client.Attack = attack
			n := seen(5001, 41, inClear)
			n.Wire = append(n.Wire, bare)
			if got := Classify(cell, named(evidenceOf(connectedClient(41, "ok"), n), cell)); got.Fault == "" {
				t.Errorf("%s: believed with nothing in it", text)
			}
		}
	}
}

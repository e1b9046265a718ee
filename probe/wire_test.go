package probe

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// TestWireEvents: an event of package wire is the same in the vocabulary's form: stored, and as text.
func TestWireEvents(t *testing.T) {
	tls := &wire.TLS{Version: "TLSv1.3", ALPN: []string{"postgresql", "a b"}, SNI: "pg.example.test"}
	failed := &wire.ServerError{State: "28000", Text: "no pg_hba.conf entry"}
	for want, e := range map[string]wire.Event{
		"open 10.9.0.2:5432": {Kind: wire.Open, Text: "10.9.0.2:5432"},
		"gssencrequest":      {Kind: wire.GSSENCRequest},
		"answer G":           {Kind: wire.Answer, Answer: "G"},
		"stuffed 12":         {Kind: wire.Stuffed, Bytes: 12},
		`client-hello alpn=postgresql,"a b" sni=pg.example.test max=TLSv1.3`: {Kind: wire.ClientHello, TLS: tls},
		`server-hello TLSv1.2 alpn="" retry`:                                 {Kind: wire.ServerHello, TLS: &wire.TLS{Version: "TLSv1.2", ALPN: []string{""}, Retry: true}},
		"tls-alert fatal 48 unknown_ca":                                      {Kind: wire.TLSAlert, Alert: &wire.Alert{Level: "fatal", Code: 48, Name: "unknown_ca"}},
		"tls-alert 7 200":                                                    {Kind: wire.TLSAlert, Alert: &wire.Alert{Level: "7", Code: 200}},
		"tls-alert encrypted":                                                {Kind: wire.TLSAlert},
		"gss-token 1302 ap-req":                                              {Kind: wire.GSSToken, Bytes: 1302, Token: "ap-req"},
		"gss-token 92":                                                       {Kind: wire.GSSToken, Bytes: 92},
		`startup user=alice database="a \"b" replication=on application_name=x 3.0`: {Kind: wire.Startup, Startup: &wire.StartupPacket{Protocol: "3.0", User: "alice", Database: `a "b`, Replication: "on", Application: "x"}},
		"startup 2.0":       {Kind: wire.Startup, Startup: &wire.StartupPacket{Protocol: "2.0"}},
		"auth-request sasl": {Kind: wire.AuthRequest, Auth: "sasl"},
		"password none":     {Kind: wire.PasswordSent, Auth: "none"},
		"error-response 28000 no pg_hba.conf entry":                {Kind: wire.ErrorResponse, Error: failed},
		"error-response - too many":                                {Kind: wire.ErrorResponse, Error: &wire.ServerError{Text: "too many"}},
		"malformed 00ff":                                           {Kind: wire.Malformed, Text: "00ff"},
		"answered N to sslrequest":                                 {Kind: wire.Answered, Deed: &wire.Deed{Said: "N", To: "sslrequest"}},
		"answered an ErrorResponse to sslrequest":                  {Kind: wire.Answered, Deed: &wire.Deed{Said: wire.SaidError, To: "sslrequest"}},
		"answered an unterminated error to gssencrequest":          {Kind: wire.Answered, Deed: &wire.Deed{Said: wire.SaidUnterminated, To: "gssencrequest"}},
		"answered a token to gssencrequest":                        {Kind: wire.Answered, Deed: &wire.Deed{Said: wire.SaidToken, To: "gssencrequest"}},
		"impersonated TLSv1.3 alpn=postgresql":                     {Kind: wire.Impersonated, TLS: &wire.TLS{Version: "TLSv1.3", ALPN: []string{"postgresql"}}},
		"refused client: EOF":                                      {Kind: wire.Refused, Text: "EOF", Deed: &wire.Deed{Of: "client"}},
		"forged ok":                                                {Kind: wire.Forged, Auth: "ok"},
		"inserted 71 bytes to the server":                          {Kind: wire.Inserted, Deed: &wire.Deed{Bytes: 71, To: "server"}},
		"injected SELECT 1 -> ok SELECT 1":                         {Kind: wire.Injected, Deed: &wire.Deed{SQL: "SELECT 1", Tag: "SELECT 1"}},
		"injected SELECT 1 -> error 28000 no pg_hba.conf entry":    {Kind: wire.Injected, Error: failed, Deed: &wire.Deed{SQL: "SELECT 1"}},
		"injected SELECT 1 -> no answer":                           {Kind: wire.Injected, Deed: &wire.Deed{SQL: "SELECT 1"}},
		"flipped a bit of the first sealed record from the client": {Kind: wire.Flipped, Deed: &wire.Deed{Of: "client"}},
		"replayed 43 bytes: startup":                               {Kind: wire.Replayed, Deed: &wire.Deed{Bytes: 43, To: "startup"}},
		"delayed 1s at answer S":                                   {Kind: wire.Delayed, Deed: &wire.Deed{Micros: 1e6, At: "answer S"}},
		"held at answer G":                                         {Kind: wire.Held, Deed: &wire.Deed{At: "answer G"}},
		"cut reset at startup":                                     {Kind: wire.Cut, Deed: &wire.Deed{How: "reset", At: "startup"}},
		"idle nothing to do":                                       {Kind: wire.Idle, Text: "nothing to do"},
	} {
		e.Micros, e.From = 7, "client"
		seen := wireEvents([]wire.Event{e})[0]
		if e.String() != want || seen.String() != want {
			t.Errorf("package wire writes %q, package matrix %q, want %q", e, seen, want)
		}
		if a, b := encode(t, e), encode(t, seen); a != b {
			t.Errorf("package wire stores %s, package matrix %s", a, b)
		}
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// filledEvent has a value in every field.
func filledEvent(t *testing.T) (e matrix.WireEvent) {
	t.Helper()
	fill(t, reflect.ValueOf(&e).Elem(), "x")
	return e
}

// TestWireEventsAreWhole: every field of an event comes over.
func TestWireEventsAreWhole(t *testing.T) {
	var e wire.Event
	if err := json.Unmarshal([]byte(encode(t, filledEvent(t))), &e); err != nil {
		t.Fatal(err)
	}
	seen := wireEvents([]wire.Event{e})[0]
	if got, want := encode(t, seen), encode(t, filledEvent(t)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

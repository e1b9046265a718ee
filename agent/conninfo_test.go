package agent

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

func TestConninfoReadsBack(t *testing.T) {
	for _, value := range []string{"plain", "", "two words", `it's`, `back\slash`, `'`, `\`, "tab\there", "x='y'", "new\nline"} {
		text := conninfo([]Option{{Name: "host", Value: "h"}, {Name: "user", Value: "u"}, {Name: "application_name", Value: value}, {Name: "password", Value: value}}, false)
		config, err := pgconn.ParseConfig(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if config.Password != value || config.RuntimeParams["application_name"] != value {
			t.Errorf("%q is read back as %q and %q, want %q", text, config.Password, config.RuntimeParams["application_name"], value)
		}
	}
}

func TestSecretsDoNotLeave(t *testing.T) {
	const first, second = `it's a "secret" \o/`, "it's"
	options := []Option{{Name: "host", Value: "h"}, {Name: "password", Value: first, Secret: true}, {Name: "sslpassword", Value: second, Secret: true}, {Name: "empty", Secret: true}}
	if text := conninfo(options, true); strings.Contains(text, "secret") || text != "host=h password=*** sslpassword=*** empty=***" {
		t.Errorf("conninfo %q", text)
	}
	whole := "said " + first + " and " + conninfo(options, false) + " and " + second
	r := &AttemptResult{Message: whole, Crash: whole, KRB5Trace: whole, Row: map[string]string{"a": whole},
		Records: []wire.Record{{Error: whole, Events: []wire.Event{{Detail: whole}}, Upstream: []wire.Event{{Detail: whole}}}}}
	Redact(r, redactor(options))
	for _, text := range []string{r.Message, r.Crash, r.KRB5Trace, r.Row["a"], r.Records[0].Error, r.Records[0].Events[0].Detail, r.Records[0].Upstream[0].Detail} {
		if strings.Contains(text, "secret") || strings.Contains(text, second) || strings.Contains(text, `it\'s`) {
			t.Errorf("a secret is left in %q", text)
		}
		if !strings.HasPrefix(text, "said *** and host=h password=") {
			t.Errorf("too much is gone from %q", text)
		}
	}
}

func TestAuthRequestsCutAnywhere(t *testing.T) {
	message := func(kind byte, body string) string {
		return string([]byte{kind, 0, 0, 0, byte(len(body) + 4)}) + body
	}
	code := func(n byte, more string) string { return "\x00\x00\x00" + string([]byte{n}) + more }
	stream := message('N', "notice") + message('R', code(10, "SCRAM-SHA-256\x00\x00")) + message('R', code(11, "r=R")) + message('R', code(12, "v=R")) +
		message('R', code(0, "")) + message('S', "Rname\x00value\x00") + message('K', "12345678") + message('R', code(42, "")) +
		message('Z', "I") + message('R', code(3, ""))
	want := []string{"sasl", "sasl-continue", "sasl-final", "ok", "42"}
	for size := 1; size <= len(stream); size++ {
		var a authRequests
		for at := 0; at < len(stream); at += size {
			if n, err := a.Write([]byte(stream[at:min(at+size, len(stream))])); err != nil || n == 0 {
				t.Fatal(n, err)
			}
		}
		if diff := cmp.Diff(want, a.seen); diff != "" {
			t.Fatalf("cut every %d bytes: -want +got\n%s", size, diff)
		}
	}
	var a authRequests
	_, _ = a.Write([]byte("S\x00\x00\x00\x00\x00R\x00\x00\x00\x08\x00\x00\x00\x00"))
	if len(a.seen) != 0 {
		t.Errorf("bytes that are no messages gave %v", a.seen)
	}
}

package agent

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

func TestConninfoReadsBack(t *testing.T) {
	for _, value := range []string{"plain", "", "two words", `it's`, `back\slash`, `'`, `\`, "tab\there", "x='y'", "new\nline"} {
		text := Conninfo([]Option{{Name: "host", Value: "h"}, {Name: "user", Value: "u"}, {Name: "application_name", Value: value}, {Name: "password", Value: value}}, false)
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
	if text := Conninfo(options, true); strings.Contains(text, "secret") || text != "host=h password=*** sslpassword=*** empty=***" {
		t.Errorf("conninfo %q", text)
	}
	whole := "said " + first + " and " + Conninfo(options, false) + " and " + second
	r := &AttemptResult{Message: whole, Crash: whole, KRB5Trace: whole, Row: map[string]string{"a": whole},
		Records: []wire.Record{{Error: whole, Events: []wire.Event{{Text: whole}}, Upstream: []wire.Event{{Error: &wire.ServerError{Text: whole}}}}}}
	Redact(r, redactor(options))
	for _, text := range []string{r.Message, r.Crash, r.KRB5Trace, r.Row["a"], r.Records[0].Error, r.Records[0].Events[0].Text, r.Records[0].Upstream[0].Error.Text} {
		if strings.Contains(text, "secret") || strings.Contains(text, second) || strings.Contains(text, `it\'s`) {
			t.Errorf("a secret is left in %q", text)
		}
		if !strings.HasPrefix(text, "said *** and host=h password=") {
			t.Errorf("too much is gone from %q", text)
		}
	}
}

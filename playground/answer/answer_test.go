package answer

import (
	"encoding/json"
	"strings"
	"testing"
)

func of(t *testing.T, q Question) Answer {
	t.Helper()
	text, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	var a Answer
	if err := json.Unmarshal([]byte(Of(string(text))), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestOf(t *testing.T) {
	rules := Question{Version: 17, SSL: true, HBA: "hostssl all all 10.0.0.0/8 cert map=m\nhost all all all reject\n", Ident: "m /^(.*)@x$ \\1\n", Conninfo: "host=db user=alice sslmode=require", From: "10.1.2.3"}
	a := of(t, rules)
	if a.Outcome != "refused at auth, cert-missing, channel tls, method cert, hba:1" || a.Words["rule"] != "pg_hba.conf:1" || !strings.Contains(a.Meaning, "requires a client certificate") || len(a.Because) < 3 {
		t.Errorf("%+v", a)
	}
	if len(a.Records) != 2 || a.Records[0].Text != "hostssl all all 10.0.0.0/8 cert map=m" || len(a.Facts) == 0 {
		t.Errorf("%+v", a)
	}
	with := rules
	with.CertName = "alice@x"
	if a = of(t, with); a.Outcome != "connected tls, method cert, identity CN=alice@x, role alice, hba:1" || len(a.Changes) > 0 {
		t.Errorf("%+v", a)
	}
	off := rules
	off.SSL = false
	if a = of(t, off); a.Outcome != "refused at tls, tls-refused" {
		t.Errorf("%+v", a)
	}
	bad := rules
	bad.HBA += "host all\n"
	if a = of(t, bad); len(a.NotRead) != 1 || a.NotRead[0].Line != 3 || a.Outcome != "" || a.Error != "" {
		t.Errorf("%+v", a)
	}
	wrong := rules
	wrong.Conninfo = "host=db"
	if a = of(t, wrong); !strings.Contains(a.Error, "no user is given") || len(a.Records) != 2 {
		t.Errorf("%+v", a)
	}
	if a := Of("{"); !strings.Contains(a, `"error"`) {
		t.Error(a)
	}
}

package matrix

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestHostsName(t *testing.T) {
	for text, want := range map[string]string{"{good.crt}": "good crt", "{wrong-name.key}": "wrong-name key", "{right.ca}": "right ca", "good.crt": "", "{good}": "", "{good.pem}": "", "x{good.crt}": "", "{Good.crt}": ""} {
		name, kind, ok := HostsName(text)
		if got := strings.TrimSpace(name + " " + kind); got != want || ok != (want != "") {
			t.Errorf("%s: %q %t, want %q", text, got, ok, want)
		}
	}
	if got, want := ExpandHosts("a {good.crt} {good.key} {right.ca}\n", func(name, kind string) string { return "/" + name + "/" + kind }), "a /good/crt /good/key /right/ca\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestReadsHosts(t *testing.T) {
	for _, test := range []struct {
		server     int
		ssl, value string
		want       bool
	}{{19, "on", "on", true}, {18, "on", "on", false}, {19, "off", "on", false}, {19, "on", "off", false}, {19, "on", "", false}} {
		w := &World{Server: test.server, SSL: test.ssl}
		if test.value != "" {
			w.Settings = []Setting{{"SSL_sni", test.value}}
		}
		if got := w.ReadsHosts(); got != test.want {
			t.Errorf("%+v: %t", test, got)
		}
	}
}

// Names of files that name nothing are mistakes, at their place in the text, or at the axis that brings them in.
func TestHostsMistakes(t *testing.T) {
	for _, m := range []struct{ source, want string }{
		{top + "  server: 19\n  files:\n    pg_hosts.conf: |\n      a  {good.crt}  {good.key}\n      b  {goood.crt}  {good.key}\n", `a/b.yaml:9:10: {goood.crt} names no certificate of servers; did you mean "good"?`},
		{top + "  files:\n    pg_hosts.conf: |\n      a  {good.crt}  {good.key}  {none.ca}\n", "a/b.yaml:7:34: {none.ca} names no file of CAs; want right, with-intermediate or intermediate-alone"},
		{top + "  vary:\n    line: {a: \"a {good.crt} {none-such.key}\"}\n  files:\n    pg_hosts.conf: |\n      {line}\n", "a/b.yaml:6:5: {none-such.key} names no certificate of servers; want " + strings.Join(certificateNames(ServerCertificates)[:len(ServerCertificates)-1], ", ") + " or ed25519"},
		{top + "  certificates:\n    own: {subject: a}\n  files:\n    pg_hosts.conf: |\n      a  {own.crt}  {own.key}\n", ""},
		{top + "  files:\n    other.conf: |\n      {goood.crt}\n", ""},
	} {
		_, err := Load(fstest.MapFS{"a/b.yaml": {Data: []byte(m.source)}})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != m.want {
			t.Errorf("%s\n got %v\nwant %s", m.source, got, m.want)
		}
	}
}

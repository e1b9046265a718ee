package compliance

import (
	"fmt"
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// harnessSettings are settings of checks that a scenario cannot give.
var harnessSettings = []string{"log_connections", "log_disconnections", "log_line_prefix", "listen_addresses", "ssl_cert_file", "max_connections"}

// SubjectOf is the server that a world of a scenario describes.
func SubjectOf(name string, w *matrix.World) Subject {
	s := &audit.Server{Version: w.Server, HBA: w.HBA, Ident: w.Ident, Files: w.Files, Realm: w.Realms[0].Name}
	set := func(name, value string) {
		s.Conf = append(s.Conf, audit.Line{Setting: matrix.Setting{Name: name, Value: value}})
	}
	set("ssl", w.SSL)
	if w.ServerCA != "none" {
		set("ssl_ca_file", "root.crt")
	}
	if w.ServerCRL != "" && w.ServerCRL != "none" {
		set("ssl_crl_file", "root.crl")
	}
	for _, setting := range w.Settings {
		set(setting.Name, setting.Value)
	}
	subject := Subject{Name: name, Server: s, Files: []File{NewFile(matrix.HBAFile, w.HBA)}, Unsaid: harnessSettings}
	if w.Ident != "" {
		subject.Files = append(subject.Files, NewFile(matrix.IdentFile, w.Ident))
	}
	for _, f := range w.Files {
		subject.Files = append(subject.Files, NewFile(f.Path, f.Text))
	}
	return subject
}

// SameSubject says what tells two worlds apart as subjects; empty if nothing does.
func SameSubject(a, b *matrix.World) string {
	switch {
	case a.Server != b.Server:
		return fmt.Sprintf("the server's version (%d and %d)", a.Server, b.Server)
	case a.HBA != b.HBA || !slices.Equal(a.Files, b.Files) || a.Load != b.Load || a.Before != b.Before:
		return "the rules"
	case a.Ident != b.Ident:
		return "the user name maps"
	case a.SSL != b.SSL:
		return "ssl"
	case a.ServerCA != b.ServerCA || a.ServerCRL != b.ServerCRL || a.ServerCert != b.ServerCert || a.Keytab != b.Keytab:
		return "the server's certificate, CA, revocation list or keytab"
	case !slices.Equal(a.Settings, b.Settings):
		return "the settings"
	}
	return ""
}

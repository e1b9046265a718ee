package matrix

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// HostsFile is the server's configuration of TLS by host name, since 19, where the setting ssl_sni is on. It is one of World.Files. A line
// names files as {CERTIFICATE.crt}, {CERTIFICATE.key} and {CAS.ca}: a certificate of servers, or a value of the axis serverca.
const HostsFile = "pg_hosts.conf"

// SSLSNI is the setting by which a server reads HostsFile.
const SSLSNI = "ssl_sni"

var hostsName = regexp.MustCompile(`\{([a-z0-9-]+)\.(crt|key|ca)\}`)

// HostsName takes the name of a file in a line of HostsFile apart: the certificate's name and crt or key, or the value of serverca and ca.
func HostsName(text string) (name, kind string, ok bool) {
	m := hostsName.FindStringSubmatch(text)
	if m == nil || m[0] != text {
		return "", "", false
	}
	return m[1], m[2], true
}

// ExpandHosts replaces the names of files in a text of HostsFile.
func ExpandHosts(text string, path func(name, kind string) string) string {
	return hostsName.ReplaceAllStringFunc(text, func(found string) string {
		name, kind, _ := HostsName(found)
		return path(name, kind)
	})
}

// NamedInHosts are the certificates and the values of serverca that HostsFile names, whether the server reads it or not.
func (w *World) NamedInHosts() (certs []*Certificate, cas []string) {
	i := slices.IndexFunc(w.Files, func(f File) bool { return f.Path == HostsFile })
	if i < 0 {
		return nil, nil
	}
	for _, m := range hostsName.FindAllStringSubmatch(w.Files[i].Text, -1) {
		if m[2] == "ca" {
			cas = append(cas, m[1])
		} else if c := w.certificate(m[1], ServerCertificates, ""); c != nil {
			certs = append(certs, c)
		}
	}
	return certs, cas
}

// HostCertificate is a certificate that HostsFile names; nil if there is none of that name.
func (w *World) HostCertificate(name string) *Certificate {
	return w.certificate(name, ServerCertificates, "")
}

// ReadsHosts says whether the server reads HostsFile.
func (w *World) ReadsHosts() bool {
	if w.Server < 19 || w.SSL != "on" {
		return false
	}
	value, _ := w.Setting(SSLSNI)
	return strings.EqualFold(value, "on")
}

// checkHosts reports names of files in HostsFile, and in values of vary, that name nothing.
func (l *loading) checkHosts() {
	i := slices.IndexFunc(l.Files, func(f File) bool { return f.Path == HostsFile })
	if i < 0 {
		return
	}
	for _, t := range l.templates {
		if t.text != l.Files[i].Text {
			continue
		}
		for _, m := range hostsName.FindAllStringIndex(t.text, -1) {
			if wrong, right := l.wrongHostsName(t.text[m[0]:m[1]]); wrong != "" {
				file, at := t.at(m[0])
				l.problemIn(file, at, wrong, right)
			}
		}
	}
	for i, own := range l.Vary {
		for _, value := range own.Values {
			for _, name := range hostsName.FindAllString(value.Text, -1) {
				if wrong, right := l.wrongHostsName(name); wrong != "" {
					l.problem(l.varyAt[i], wrong, right)
				}
			}
		}
	}
}

// hostsMention says whether a certificate has a line in HostsFile, or in a value of vary for it.
func (l *loading) hostsMention(certificate string) bool {
	mentions := func(text string) bool { return strings.Contains(text, "{"+certificate+".crt}") }
	return slices.ContainsFunc(l.Files, func(f File) bool { return f.Path == HostsFile && mentions(f.Text) }) ||
		slices.ContainsFunc(l.Vary, func(own OwnAxis) bool {
			return slices.ContainsFunc(own.Values, func(v OwnValue) bool { return mentions(v.Text) })
		})
}

func (l *loading) wrongHostsName(text string) (wrong, right string) {
	name, kind, _ := HostsName(text)
	if kind == "ca" {
		if cas := slices.DeleteFunc(slices.Clone(ServerCAs), func(ca string) bool { return ca == "none" }); !slices.Contains(cas, name) {
			return fmt.Sprintf("%s names no file of CAs", text), suggest(name, cas)
		}
		return "", ""
	}
	known := certificateNames(slices.Concat(l.Certificates, ServerCertificates))
	if !slices.Contains(known, name) {
		return fmt.Sprintf("%s names no certificate of servers", text), suggest(name, known)
	}
	return "", ""
}

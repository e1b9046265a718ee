package oracle

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// hosts are the lines of pg_hosts.conf as a server of 19 or later has loaded them (be-secure-openssl.c, be_tls_init).
type hosts struct {
	named            []host
	nameless, others *host // the lines /no_sni/ and *
}

// host is what a server presents in a TLS handshake, and by which CAs it judges a client's certificate.
type host struct {
	file  string
	line  int // 0: it is that of postgresql.conf
	names []string
	cert  *matrix.Certificate
	ca    string // a value of the axis serverca
}

// presents is the host that the server chooses by the name in the ClientHello (be-secure-openssl.c, sni_clienthello_cb), which it compares without
// regard to case; nil: it has none, and ends the handshake.
func (a *attempt) presents() *host {
	if a.rules == nil || a.rules.hosts == nil {
		return &host{cert: a.w.ServerCertificate(), ca: serverCAOf(a.w)}
	}
	name := a.client.serverName()
	if name == "" {
		if a.rules.hosts.nameless != nil {
			return a.rules.hosts.nameless
		}
		return a.rules.hosts.others
	}
	for i, h := range a.rules.hosts.named {
		if slices.ContainsFunc(h.names, func(n string) bool { return strings.EqualFold(n, name) }) {
			return &a.rules.hosts.named[i]
		}
	}
	return a.rules.hosts.others
}

// tellHost says which line of pg_hosts.conf is chosen. It returns nil where the server has none, and false.
func (a *attempt) tellHost() bool {
	if a.rules.hosts == nil {
		return true
	}
	said := "the client names no host"
	if name := a.client.serverName(); name != "" {
		said = "the client names " + name
	}
	h := a.presents()
	if h == nil {
		a.why("be-secure-openssl.c, sni_clienthello_cb", said+" in its ClientHello, pg_hosts.conf has no line for it, and no line for all others: the server ends the handshake by an alert")
		return false
	}
	a.why(fmt.Sprintf("%s:%d", h.file, h.line), said+" in its ClientHello: the server presents certificate "+h.cert.Name+"; ssl_cert_file and ssl_ca_file do not count")
	return true
}

// sendsName is the host's name as a client sends it that leaves out addresses (RFC 6066, section 3).
func (a *attempt) sendsName(sends bool) string {
	if !sends || isAddress(a.host) {
		return ""
	}
	return a.host
}

// readHosts reads pg_hosts.conf (be-secure-common.c, load_hosts; be-secure-openssl.c, be_tls_init). It is nil, and the server presents what
// postgresql.conf names, where there is no such file or no line in it. A file that does not load is a *RulesError.
func readHosts(w *matrix.World) (*hosts, error) {
	i := slices.IndexFunc(w.Files, func(f matrix.File) bool { return f.Path == matrix.HostsFile })
	if !w.ReadsHosts() || i < 0 {
		return nil, nil
	}
	t := newTokenizer(w.Server, w.Files)
	lines, err := t.tokenize(matrix.HostsFile, w.Files[i].Text, 0)
	if err != nil {
		return nil, err
	}
	var parsed []host
	for _, l := range lines {
		if l.wrong != "" {
			continue
		}
		h, message, err := parseHost(w, &l)
		if err != nil {
			return nil, err
		}
		if message != "" {
			t.logged = append(t.logged, LineError{File: l.file, Line: l.number, Message: message, source: "be-secure-common.c, parse_hosts_line"})
		}
		parsed = append(parsed, h)
	}
	if len(t.logged) > 0 {
		return nil, hostsError(t.logged)
	}
	if len(parsed) == 0 {
		return nil, nil
	}
	loaded := &hosts{}
	for _, h := range parsed {
		if message := loaded.add(h); message != "" {
			return nil, hostsError([]LineError{{File: h.file, Line: h.line, Message: message, source: "be-secure-openssl.c, be_tls_init"}})
		}
	}
	return loaded, nil
}

func hostsError(lines []LineError) error {
	for i := range lines {
		lines[i].hosts = true
	}
	return &RulesError{lines}
}

// add takes one more line, or says why the server does not.
func (h *hosts) add(line host) (message string) {
	one := func(to **host, what string) string {
		if *to != nil {
			return "multiple " + what + " hosts specified"
		}
		*to = &line
		return ""
	}
	switch line.names[0] {
	case "*":
		return one(&h.others, "default")
	case "/no_sni/":
		return one(&h.nameless, "no_sni")
	}
	for i, name := range line.names {
		same := func(n string) bool { return strings.EqualFold(n, name) }
		if slices.ContainsFunc(line.names[:i], same) || slices.ContainsFunc(h.named, func(o host) bool { return slices.ContainsFunc(o.names, same) }) {
			return `multiple entries for host "` + name + `" specified`
		}
	}
	h.named = append(h.named, line)
	return ""
}

// parseHost is be-secure-common.c, parse_hosts_line: host names, certificate, key, and where they are given CAs, a command for the key's passphrase,
// and whether a reload may use it. Keys that have a passphrase are not modelled.
func parseHost(w *matrix.World, l *line) (h host, message string, err error) {
	h = host{file: l.file, line: l.number, ca: "none"}
	for _, t := range l.fields[0] {
		if len(l.fields[0]) > 1 && (t.text == "*" || t.text == "/no_sni/") {
			return h, "default and non-SNI entries cannot be mixed with other entries", nil
		}
		h.names = append(h.names, t.text)
	}
	if len(l.fields) < 3 {
		return h, missingEntry, nil
	}
	for i, what := range []string{"certificate", "key", "CA", "passphrase command"} {
		if i+1 < len(l.fields) && len(l.fields[i+1]) > 1 {
			return h, "multiple values specified for SSL " + what, nil
		}
	}
	switch reload := l.fields[min(5, len(l.fields)-1)]; {
	case len(l.fields) > 6:
		return h, "extra fields at end of line", nil
	case len(l.fields) == 6 && (len(reload) > 1 || !slices.Contains([]string{"on", "off", "true", "false", "yes", "no", "1", "0"}, strings.ToLower(reload[0].text))):
		return h, "incorrect syntax for boolean value SSL_passphrase_cmd_reload", nil
	}
	err = h.files(w, l)
	return h, "", err
}

// files finds what the line's files are.
func (h *host) files(w *matrix.World, l *line) error {
	cert, kind, _ := matrix.HostsName(l.fields[1][0].text)
	key, keyKind, _ := matrix.HostsName(l.fields[2][0].text)
	if h.cert = w.HostCertificate(cert); h.cert == nil || kind != "crt" || key != cert || keyKind != "key" {
		return unknown("it knows a certificate and its own key, as {good.crt} {good.key}", "%s:%d: %s", l.file, l.number, l.text)
	}
	if len(l.fields) > 3 && l.fields[3][0].text != "" {
		ca, kind, _ := matrix.HostsName(l.fields[3][0].text)
		if !slices.Contains(matrix.ServerCAs, ca) || ca == "none" || kind != "ca" {
			return unknown("it knows the values of serverca, as {right.ca}", "%s:%d: %s", l.file, l.number, l.text)
		}
		h.ca = ca
	}
	return nil
}

// loadHosts reads pg_hosts.conf: a server that starts reads it before pg_hba.conf, and one that reloads its files after it. It returns what is said of one
// that a reload refuses: in force is then what was before, when there was no setting ssl_sni, which a reload changes.
func (r *rules) loadHosts(w *matrix.World) (last []LineError, err error) {
	if fault, broken := w.TLSFaultOf(); broken && w.ReadsHosts() {
		return nil, unknown("which files of "+matrix.ConfigFile+" a server reads that has "+matrix.HostsFile+" is not modelled", "%s=on with tls_files=%s", matrix.SSLSNI, fault.Name)
	}
	if r.down || r.keptTLS || r.keptConf {
		return nil, nil
	}
	var wrong *RulesError
	loaded, err := readHosts(w)
	switch {
	case !errors.As(err, &wrong) || w.Load == "":
		r.hosts = loaded
		return nil, err
	case w.Load == matrix.Restart:
		r.failed, r.down = wrong.Lines, true
		return nil, nil
	}
	r.keptTLS, r.settings = true, withoutTLS(w.Settings)
	return wrong.Lines, nil
}

// tellHosts says what follows from a pg_hosts.conf that the server does not load, if it does not.
func (a *attempt) tellHosts(r *rules) (refused bool) {
	switch {
	case !slices.ContainsFunc(r.failed, func(l LineError) bool { return l.hosts }):
		return false
	case r.down:
		a.why("be-secure-openssl.c, be_tls_init", "a server does not start with a "+matrix.HostsFile+" that it cannot load")
	default:
		a.why(a.reloadSource(), "a "+matrix.HostsFile+" that does not load leaves TLS as it was before")
	}
	return true
}

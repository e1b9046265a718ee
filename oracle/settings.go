package oracle

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// The settings of which a server can refuse a value that the oracle knows.
const (
	cipherList   = "ssl_ciphers"       // of TLS 1.2 and older
	cipherSuites = "ssl_tls13_ciphers" // of TLS 1.3, since 18
)

// optionsOfClients are options of libpq of which no server has a setting (guc_tables.c).
var optionsOfClients = []string{"sslmode", "sslrootcert"}

// suites13 are the cipher suites of TLS 1.3. Every client has the first three.
var suites13 = []string{"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256", "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"}

// words12 are the words of ssl_ciphers that name suites of TLS 1.2 in each OpenSSL of a server; takingAway12 take none of those away.
var (
	words12      = []string{"HIGH", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"}
	takingAway12 = []string{"!aNULL", "!eNULL", "!MD5", "+3DES"}
)

// listed are the words of a cipher list: OpenSSL takes any of these characters between them (ciphers(1)).
func listed(list string) []string {
	return strings.FieldsFunc(list, func(c rune) bool { return strings.ContainsRune(":;, ", c) })
}

func anyOf(words, known []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(known, w) })
}

// ciphersOf are the values of the world's CipherSettings; "" where it does not give one.
func ciphersOf(w *matrix.World) (list, suites string) {
	list, _ = w.Setting(cipherList)
	suites, _ = w.Setting(cipherSuites)
	return list, suites
}

// checkCiphers finds lists of ciphers that are not modelled.
func (a *attempt) checkCiphers() error {
	list, suites := ciphersOf(a.w)
	if list == "" && suites == "" {
		return nil
	}
	for _, w := range slices.Concat(listed(list), listed(suites)) {
		if !slices.Contains(slices.Concat(suites13, words12, takingAway12), w) {
			return unknown("its word "+w+" is not among those that it knows", "%s=%s and %s=%s", cipherList, list, cipherSuites, suites)
		}
	}
	switch named := strings.Split(suites, ":"); {
	case !a.tls13():
		return unknown("it is modelled with TLS 1.3 only", "%s=%s and %s=%s", cipherList, list, highestTLS, a.setting(highestTLS, ""))
	case anyOf(named, suites13) && !anyOf(named, suites13[:3]):
		return unknown("not every client has a suite of them", "%s=%s", cipherSuites, suites)
	}
	return nil
}

// refusedSettings is what a server says of the settings that it does not take over: of those that it does not know, or else of the first, or the first file, with
// which it cannot set up TLS.
func refusedSettings(w *matrix.World) (names, tls []LineError) {
	for _, s := range w.Settings {
		name := strings.ToLower(s.Name)
		if name == cipherSuites && w.Server < 18 || name == matrix.SSLSNI && w.Server < 19 || slices.Contains(optionsOfClients, name) {
			names = append(names, LineError{File: matrix.ConfigFile, Setting: name, Message: fmt.Sprintf("unrecognized configuration parameter %q", s.Name), source: "guc-file.l, ProcessConfigFileInternal"})
		}
	}
	if len(names) > 0 || w.SSL != "on" {
		return names, nil
	}
	what, setting, file := "", cipherList, brokenTLSFile(w)
	list, suites := ciphersOf(w)
	switch fault, _ := w.TLSFaultOf(); { // a suite of TLS 1.3 is no word of the one, and what stands between commas no suite of the other: OpenSSL passes over it
	case file != nil && (fault.File == matrix.CertFile || fault.File == matrix.KeyFile): // these are loaded before the ciphers, and the others after
		return nil, []LineError{*file}
	case list != "" && !anyOf(listed(list), words12):
		what = "TLSv1.2 cipher list"
		if w.Server < 18 {
			what = "cipher list"
		}
	case suites != "" && !anyOf(strings.Split(suites, ":"), suites13):
		what, setting = "TLSv1.3 cipher suites", cipherSuites
	case file != nil:
		return nil, []LineError{*file}
	default:
		return nil, nil
	}
	return nil, []LineError{{File: matrix.ConfigFile, Setting: setting, Message: "could not set the " + what + " (no valid ciphers available)", unplaced: true, source: "be-secure-openssl.c, be_tls_init"}}
}

// CipherSettings are the settings of which a server can refuse a value that the oracle knows.
var CipherSettings = []string{cipherList, cipherSuites}

// RefusesCiphers says whether a server does not start because of the world's CipherSettings, as far as their values are known.
func RefusesCiphers(w *matrix.World) bool {
	names, tls := refusedSettings(w)
	return len(names) > 0 || len(tls) > 0 && (&attempt{w: w}).checkCiphers() == nil
}

// loadSettings reads the settings as a server does that starts with them (load=restart) or reloads them. It returns those that are in force
// afterwards, and what is said of them after anything else.
func (r *rules) loadSettings(w *matrix.World) (last []LineError, err error) {
	names, tls := refusedSettings(w)
	r.settings = w.Settings
	switch refused := cmp.Or(len(names), len(tls)); {
	case refused == 0:
	case w.Load == "":
		return nil, &RulesError{slices.Concat(names, tls)}
	case w.Load == matrix.Restart:
		r.failed, r.down = slices.Concat(names, tls), true
	case len(names) > 0: // no line of the file is applied
		r.failed, r.keptConf = names, true
		r.settings = slices.DeleteFunc(slices.Clone(w.Settings), matrix.Setting.Reloads)
	default:
		r.keptTLS = true
		r.settings = withoutTLS(w.Settings)
	}
	return tls, nil
}

// withoutTLS are the settings without those that a reload of TLS takes over, or does not.
func withoutTLS(settings []matrix.Setting) []matrix.Setting {
	return slices.DeleteFunc(slices.Clone(settings), func(s matrix.Setting) bool { return strings.HasPrefix(strings.ToLower(s.Name), "ssl_") })
}

// tellSettings says what follows from settings that the server does not take over, if there are any.
func (a *attempt) tellSettings(r *rules) (refused bool) {
	at := slices.IndexFunc(r.failed, func(l LineError) bool { return l.File == matrix.ConfigFile || l.tls })
	switch {
	case at < 0:
		return false
	case r.failed[at].tls && r.down:
		a.why("be-secure-openssl.c, be_tls_init", "a server does not start with files for TLS that it cannot load")
	case r.failed[at].tls:
		a.why(a.reloadSource(), "files for TLS that do not load leave TLS as it was before, with its certificate, key, CAs and revocation lists, or off")
	case r.down:
		a.why("postmaster.c, PostmasterMain", "a server does not start with a "+matrix.ConfigFile+" that it cannot load")
	case r.failed[at].unplaced:
		a.why(a.reloadSource(), "TLS that cannot be set up anew stays as it was, although SHOW has the new values")
	default:
		a.why("guc-file.l, ProcessConfigFileInternal", "a "+matrix.ConfigFile+" with a name that the server does not know changes no setting")
	}
	return true
}

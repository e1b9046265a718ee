package oracle

import (
	"cmp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// reader is a client that reads the key of its certificate: what it does not take.
type reader struct {
	open, der bool                           // a file that others may read; DER
	decrypts  func(form matrix.KeyForm) bool // encrypted keys of that form, with the right passphrase
}

// keyFault is what keeps a client from reading the key of the certificate that the connection string names; "": it reads it, or there is none.
func (a *attempt) keyFault(r *reader) string {
	form, _ := a.w.KeyFormOf(a.c)
	passphrase := cmp.Or(a.c.SSLPassword, "none")
	switch {
	case a.w.ClientCertificate(a.c) == nil, a.c.Cert == matrix.Ambient:
		return ""
	case form.Absent:
		return "the file with the certificate's key does not exist"
	case form.Open && !r.open:
		return "the file with the certificate's key can be read by others"
	case form.DER && !r.der:
		return "the certificate's key is not in PEM"
	case form.Encrypted && !r.decrypts(form):
		return "the certificate's key is encrypted, which the client cannot decrypt"
	case form.Encrypted && passphrase != "right":
		return "the certificate's key is encrypted, and the passphrase is " + map[string]string{"none": "not given", "wrong": "wrong"}[passphrase]
	case form.Foreign:
		return "the key is not that of the certificate"
	}
	return ""
}

// What the clients take. Those on OpenSSL decrypt every form, from 3 on without the ciphers of its provider legacy; pgx decrypts what crypto/x509 does
// (DecryptPEMBlock), and lib/pq nothing.
var (
	libpqKeys   = &reader{der: true, decrypts: func(form matrix.KeyForm) bool { return !form.Legacy }}
	oldLibpq    = &reader{der: true, decrypts: func(matrix.KeyForm) bool { return true }} // on OpenSSL 1.1.1
	asyncpgKeys = &reader{open: true, decrypts: func(form matrix.KeyForm) bool { return !form.Legacy }}
	pgxKeys     = &reader{open: true, decrypts: func(form matrix.KeyForm) bool { return form.Traditional }}
	pqKeys      = &reader{decrypts: func(matrix.KeyForm) bool { return false }}
)

// checkKey finds a key file that is not modelled.
func (a *attempt) checkKey() error {
	form, ok := a.w.KeyFormOf(a.c)
	switch {
	case !ok:
		return unknown("nothing describes it", "key=%s", a.c.Key)
	case form.Name != matrix.KeyForms[0].Name && (cmp.Or(a.c.Cert, "none") == "none" || a.c.Cert == matrix.Ambient):
		return unknown("only the key of a certificate that the connection string names has forms", "key=%s with cert=%s", a.c.Key, cmp.Or(a.c.Cert, "none"))
	case form.Traditional && a.w.ClientCertificate(a.c).Key == matrix.Ed25519:
		return unknown("keys of Ed25519 have no form of their own", "key=%s with cert=%s", a.c.Key, a.c.Cert)
	case form.Name != matrix.KeyForms[0].Name && a.attack != attacks[matrix.NoAttack]:
		return unknown("it is not modelled", "key=%s with attack=%s", a.c.Key, a.c.Attack)
	case a.c.SSLCertMode == "require" && a.attack != attacks[matrix.NoAttack]:
		return unknown("whether the attacker asks for a certificate is not modelled", "sslcertmode=require with attack=%s", a.c.Attack)
	}
	return nil
}

// withoutCert is libpq's sslcertmode=disable, of a client that has the parameter and does not take it for a setting of the server.
func (a *attempt) withoutCert() bool {
	return a.c.SSLCertMode == "disable" && a.client.asSetting("sslcertmode") == ""
}

// certMode is libpq's sslcertmode=require, at AuthenticationOk (fe-auth.c, check_expected_areq): the server must have asked for a certificate, and
// have got one.
func (a *attempt) certMode(ch matrix.Channel, source string) *objection {
	text := ""
	switch {
	case a.c.SSLCertMode != "require":
		return nil
	case ch != matrix.TLS || a.serverCA() == "none":
		text = "the server has not asked for a certificate"
	case a.sent() == nil:
		text = "the server lets the client in without a certificate"
	default:
		return nil
	}
	return &objection{matrix.CertMode, matrix.Because{Text: "sslcertmode=require: " + text, Source: source}}
}

package oracle

import (
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// brokenTLSFile is what a server says of the file for TLS that it does not load, where it reads them; nil if there is none. It verifies nothing of its own
// certificate: one that has expired loads (be-secure-openssl.c, be_tls_init).
func brokenTLSFile(w *matrix.World) *LineError {
	fault, ok := w.TLSFaultOf()
	if !ok {
		return nil
	}
	const openssl, common = "be-secure-openssl.c, be_tls_init", "be-secure-common.c, check_ssl_key_file_permissions"
	failed := func(message, source string) *LineError {
		return &LineError{File: fault.Path(), Message: message, unplaced: true, tls: true, source: source}
	}
	file, missing := `"`+fault.Path()+`"`, ": No such file or directory"
	switch {
	case fault.File == matrix.CertFile:
		return failed("could not load server certificate file "+file+missing, openssl)
	case fault.File == matrix.CAFile:
		return failed("could not load root certificate file "+file+missing, openssl)
	case fault.File == matrix.CRLFile:
		return failed("could not load SSL certificate revocation list file "+file+missing, openssl)
	case fault.Absent:
		return failed("could not access private key file "+file+missing, common)
	case fault.Other: // OpenSSL compares the two while it takes the key, before SSL_CTX_check_private_key does (ssl_rsa.c, ssl_set_pkey)
		return failed("could not load private key file "+file+": key values mismatch", openssl)
	case fault.Mode&0o077 != 0:
		return failed("private key file "+file+" has group or world access", common)
	}
	return failed("could not load private key file "+file+": Permission denied", openssl)
}

// inForce is the world that a server is in once it has loaded these files, or kept those of before.
func (r *rules) inForce(w *matrix.World) *matrix.World {
	now, was := *w, w.Earlier()
	now.Settings = r.settings
	if r.keptTLS || r.keptConf {
		now.SSL, now.ServerCert, now.ServerCRL, now.ServerCA = was.SSL, was.ServerCert, was.ServerCRL, was.ServerCA
	}
	if r.keptConf {
		now.Keytab = was.Keytab
	}
	return &now
}

// place gives the attempt the rules, and what else is in force when it is begun. change is what the server makes of the world's files.
func (a *attempt) place(w *matrix.World) (change *rules, err error) {
	if change, err = load(w); err != nil {
		return nil, err
	}
	if !a.c.IsOpenedBefore() {
		a.w, a.rules = change.inForce(w), change
		return change, nil
	}
	before, err := load(a.w)
	if err != nil {
		return nil, ofBefore(err)
	}
	own := *before
	own.kept, a.rules = true, &own
	return change, nil
}

// across says what becomes of an attempt that was begun before the server got its files.
func (a *attempt) across(e ending, load string) ending {
	switch {
	case e.outcome.End != matrix.Connected:
		a.why(a.reloadSource(), "the attempt ended before the server got its files")
	case load == matrix.Restart:
		a.why("postmaster.c, pmdie; postgres.c, ProcessInterrupts", "a server that is stopped fast ends the sessions that are open")
		e.outcome.End, e.outcome.Reason, e.outcome.Role = matrix.Refused, matrix.SessionEnded, ""
	default:
		a.why("postgres.c, ProcessInterrupts", "a reload leaves open sessions as they are: what they were let in by is not asked again, and their encryption goes on")
	}
	return e
}

package gssenc

import (
	"context"
	"log/slog"
	"os"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
)

// Modes of GSS encryption (libpq, "gssencmode").
const (
	Disable = "disable" // never
	Prefer  = "prefer"  // first if there are credentials; then as sslmode says
	Require = "require" // nothing else: no TLS, no plaintext
)

// Options say how Configure's connections use GSS encryption. The zero value is what libpq does by default.
type Options struct {
	// Mode is Disable, Prefer or Require. Empty: gssencmode of the connection string or service file, else $PGGSSENCMODE,
	// else Prefer.
	Mode string
	// Credentials are used for every connection, and stay the caller's to close. Nil: those of Source.
	Credentials *Credentials
	// Source is acquired when the first connection is made, and again when its ccache file has changed. The zero value is the
	// default ccache.
	Source Source
	// Acquire, if it is not nil, is called for every connection and returns the credentials for it. It may return the same ones
	// again and again, which keep their tickets.
	Acquire func(context.Context) (*Credentials, error)
	// Delegate sends a forwarded TGT to the server, if one can be had. So does gssdelegation=1 of the connection string, service
	// file or $PGGSSDELEGATION.
	Delegate bool
	// RequireDelegation is Delegate, and fails the handshake where no TGT can be forwarded.
	RequireDelegation bool
	// Logger gets one line for each decision about a connection: that it is under GSS encryption, and with whom; else why not,
	// and what is done instead.
	Logger *slog.Logger
}

// Configure gives a configuration made by pgconn.ParseConfig, or the one in a pgx.ConnConfig (&c.Config), GSS encryption with
// libpq's gssencmode, beside the sslmode that ParseConfig has turned into TLSConfig and Fallbacks. It is called once, after
// every other change of Host, Port, TLSConfig, Fallbacks, LookupFunc, DialFunc, AfterNetConnect, BuildFrontend, ValidateConnect,
// RequireAuth, KerberosSrvName and KerberosSpn. The configuration and its copies may then be used for any number of connections at once.
//
// Per host the order is that of libpq: GSS encryption, then what sslmode says. The service principal is krbspn, or
// krbsrvname (default $PGKRBSRVNAME, postgres) with the name of that very host in lower case, the canonical one if
// dns_canonicalize_hostname and rdns of krb5.conf ask for it. Without credentials Prefer goes on to the next method without a
// word to the server. After the answer N the next method uses the same TCP connection; after a handshake that failed, or the
// server's refusal of the session, a new one. With Require there is no other method, and a host that is a unix-domain socket is an
// error; other modes use such a host in the clear, as always.
//
// Errors of StageConfig, such as a krb5.conf that libkrb5 would refuse too, end a connect with Prefer as well: no attempt after it is
// dialled. After a session that ValidateConnect (target_session_attrs) rejects, a host is not tried by less protected methods:
// after one under GSS encryption by no other, after one under TLS not in the clear.
//
// A cancel request of a session under GSS encryption is sent under GSS encryption. pgconn dials it by the session's
// RemoteAddr, whose Network names the server.
//
// require_auth: a session under GSS encryption counts as gss, if the list allows gss, also where pg_hba.conf asked for another method; the
// field RequireAuth is rewritten so that pgconn lets it pass, and other sessions are held to the list as it was.
// channel_binding=require: once a server agrees to GSS encryption the attempt fails, and no other method is tried with it.
//
// What differs from libpq, because pgconn decides it:
//   - pgconn tries no further method after SQLSTATE 28P01 (wrong password), 3D000 and 42501; libpq does after the first.
//   - pgconn tries the next method also after failures that follow AuthenticationOk and after its own checks (require_auth, a
//     password that is missing); libpq stops there. Each attempt is held to the whole configuration.
//   - GSS authentication, of a session that is not under GSS encryption: pgconn asks for the service of the first host,
//     also when it has connected to another.
//   - pgconn goes on to the next host after a refusal, too; libpq only from a host that it cannot reach.
//   - A host with several addresses: pgconn tries a method with every address before the next method.
//   - With prefer-standby pgconn keeps the last host that was not preferred, libpq the first.
//   - A host that cannot be reached is dialled for each method, and connect_timeout applies to GSS encryption on its own.
func Configure(config *pgconn.Config, o Options) error {
	if configured(config) {
		return errConfigured
	}
	mode, err := takeMode(config, o.Mode)
	if err != nil {
		return err
	}
	if delegation, ok := take(config, "gssdelegation", "PGGSSDELEGATION"); ok && delegation == "1" {
		o.Delegate = true
	}
	delete(config.RuntimeParams, "gsslib") // libpq's choice between GSSAPI and SSPI
	if mode == Disable {
		return nil
	}
	k := newConnector(config, mode, o)
	if k.hosts, err = addAttempts(config, mode); err != nil {
		return err
	}
	config.LookupFunc, config.DialFunc = k.lookupHost, k.dialContext
	k.requireAuth(config)
	k.validateConnect(config)
	k.afterNetConnect(config)
	return nil
}

// take removes a setting that pgconn would send to the server as a run-time parameter.
func take(config *pgconn.Config, name, env string) (value string, ok bool) {
	if value, ok = config.RuntimeParams[name]; ok {
		delete(config.RuntimeParams, name)
		return value, true
	}
	value = os.Getenv(env)
	return value, value != ""
}

func takeMode(config *pgconn.Config, wanted string) (string, error) {
	given, ok := take(config, "gssencmode", "PGGSSENCMODE")
	if wanted != "" {
		given, ok = wanted, true
	}
	if !ok {
		return Prefer, nil
	}
	if !slices.Contains([]string{Disable, Prefer, Require}, given) {
		return "", failf(StageConfig, "gssencmode %q: the values are disable, prefer and require", given)
	}
	return given, nil
}

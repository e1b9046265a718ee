package oracle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// fieldReader reads the fields of a line in order.
type fieldReader struct{ rest [][]token }

// next is the next field; message is missing where there is none.
func (f *fieldReader) next(missing string) (field []token, message string) {
	if len(f.rest) == 0 {
		return nil, missing
	}
	field, f.rest = f.rest[0], f.rest[1:]
	return field, ""
}

// single is the one token of the next field; message is missing where there is no field, and many where it has several tokens.
func (f *fieldReader) single(missing, many string) (t token, message string) {
	field, message := f.next(missing)
	switch {
	case message != "":
		return token{}, message
	case len(field) > 1:
		return token{}, many
	}
	return field[0], ""
}

// parse fills the record from the fields (hba.c, parse_hba_line); message is the server's, for a line that it refuses.
func (r *Record) parse(fields [][]token, server int) (message string, err error) {
	f := &fieldReader{fields}
	for _, part := range []func(*fieldReader, int) (string, error){r.parseConn, r.parseNames, r.parseAddress, r.parseMethod, r.parseOptions} {
		if message, err = part(f, server); message != "" || err != nil {
			return message, err
		}
	}
	if r.Method == matrix.MethodCert {
		r.clientCert = "verify-full"
	}
	return r.lacksOption(server)
}

func (r *Record) parseConn(f *fieldReader, _ int) (message string, err error) {
	t, message := f.single("", "multiple values specified for connection type") // a line has a field
	if message != "" {
		return message, nil
	}
	r.Conn = t.text
	if !slices.Contains([]string{"local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"}, r.Conn) {
		return fmt.Sprintf(`invalid connection type "%s"`, r.Conn), nil
	}
	return "", nil
}

// parseNames reads the databases and the users.
func (r *Record) parseNames(f *fieldReader, server int) (message string, err error) {
	if r.databases, message = f.next("end-of-line before database specification"); message != "" {
		return message, nil
	}
	if message, err = compileAll(r.databases, server); message != "" || err != nil {
		return message, err
	}
	if r.users, message = f.next("end-of-line before role specification"); message != "" {
		return message, nil
	}
	return compileAll(r.users, server)
}

func (r *Record) parseAddress(f *fieldReader, _ int) (message string, err error) {
	if r.Conn == "local" {
		return "", nil
	}
	t, message := f.single("end-of-line before IP address specification", "multiple values specified for host address")
	if message != "" {
		return message, nil
	}
	var needsMask bool
	if r.address, needsMask, message, err = parseAddress(t); message != "" || err != nil || !needsMask {
		return message, err
	}
	mask, message := f.single("end-of-line before netmask specification", "multiple values specified for netmask")
	if message != "" {
		return message, nil
	}
	return r.address.setMask(mask.text)
}

func (r *Record) parseMethod(f *fieldReader, server int) (message string, err error) {
	t, message := f.single("end-of-line before authentication method", "multiple values specified for authentication type")
	if message != "" {
		return message, nil
	}
	return r.setMethod(t.text, server)
}

// parseOptions reads the rest of the line.
func (r *Record) parseOptions(f *fieldReader, server int) (message string, err error) {
	for _, field := range f.rest {
		for _, t := range field {
			name, value, ok := strings.Cut(t.text, "=")
			if !ok {
				return "authentication option not in name=value format: " + t.text, nil
			}
			if message, err = r.setOption(name, value, server); message != "" || err != nil {
				return message, err
			}
		}
	}
	return "", nil
}

// onlyVerifyFull is what the server logs; its view has other words.
const onlyVerifyFull = `clientcert only accepts "verify-full" when using "cert" authentication`

// setMethod applies what a Debian build of the server supports: pam and ldap, not sspi and bsd.
func (r *Record) setMethod(method string, server int) (message string, err error) {
	switch method {
	case "trust", "reject", "ident", "peer", "password", "gss", "md5", "scram-sha-256", "pam", "cert":
	case "sspi", "bsd":
		return fmt.Sprintf(`invalid authentication method "%s": not supported by this build`, method), nil
	case "ldap":
	case "radius", "oauth":
		if method == "radius" && server <= lastRADIUS || method == "oauth" && server >= 18 {
			break
		}
		fallthrough
	default:
		return fmt.Sprintf(`invalid authentication method "%s"`, method), nil
	}
	if r.Conn == "local" && method == "ident" {
		method = "peer" // for backwards compatibility
	}
	switch {
	case r.Conn == "local" && method == "gss":
		return "gssapi authentication is not supported on local sockets", nil
	case r.Conn != "local" && method == "peer":
		return "peer authentication is only supported on local sockets", nil
	case r.Conn != "hostssl" && method == "cert":
		return "cert authentication is only supported on hostssl connections", nil
	}
	r.Method = matrix.Method(method)
	r.includeRealm = method == "gss"
	return "", nil
}

// setOption is hba.c, parse_hba_auth_opt.
func (r *Record) setOption(name, value string, server int) (message string, err error) {
	onlyFor := func(methods string) (string, error) {
		return fmt.Sprintf(`authentication option "%s" is only valid for authentication methods %s`, name, methods), nil
	}
	switch {
	case name == "map":
		if !slices.Contains([]matrix.Method{"ident", "peer", "gss", "cert", "oauth"}, r.Method) {
			if server >= 18 {
				return onlyFor("ident, peer, gssapi, sspi, cert, and oauth")
			}
			return onlyFor("ident, peer, gssapi, sspi, and cert")
		}
		r.usermap = value
		r.note(name, value)
	case name == "clientcert":
		return r.setClientCert(value, server), nil
	case name == "clientname" && server >= 14:
		if r.Conn != "hostssl" {
			return `clientname can only be configured for "hostssl" rows`, nil
		}
		if value != "CN" && value != "DN" {
			return fmt.Sprintf(`invalid value for clientname: "%s"`, value), nil
		}
		r.clientName = value
	case name == "krb_realm":
		if r.Method != matrix.MethodGSS {
			return onlyFor("gssapi and sspi")
		}
		r.krbRealm = value
		r.note(name, value)
	case name == "include_realm":
		if r.Method != matrix.MethodGSS {
			return onlyFor("gssapi and sspi")
		}
		r.includeRealm = value == "1"
	case name == "compat_realm", name == "upn_username":
		return onlyFor("sspi")
	default:
		return r.setMethodOption(name, value, server)
	}
	return "", nil
}

func (r *Record) setClientCert(value string, server int) (message string) {
	cert := r.Method == matrix.MethodCert
	switch {
	case r.Conn != "hostssl":
		return `clientcert can only be configured for "hostssl" rows`
	case value == "verify-full":
		r.clientCert = "verify-full"
	case value == "verify-ca" && server >= 14 && cert:
		return onlyVerifyFull
	case value == "verify-ca", value == "1" && server < 14:
		r.clientCert = "verify-ca"
	case (value == "0" || value == "no-verify") && server < 14:
		if cert {
			return `clientcert cannot be set to "no-verify" when using "cert" authentication`
		}
		r.clientCert = ""
	default:
		return fmt.Sprintf(`invalid value for clientcert: "%s"`, value)
	}
	return ""
}

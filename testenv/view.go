package testenv

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// View is what somebody needs to reach an environment from one place: from the engine's host, which is what an Env itself is, or from a container
// (Env.Inside). The paths are absolute if the path of Inside is.
type View struct {
	env      *Env
	dir      string
	host     string
	port     uint16
	krb5Conf string
}

// The name of the server on the engine's host, and the files that Env.Export does not write.
const (
	localhost   = "localhost"
	outsideConf = "krb5.conf"
	insideConf  = "inside-krb5.conf"
)

// DSN is a connection string for a role, in keyword form: database postgres, sslmode=verify-full with the CA, the role's password if it has
// one, and a certificate if Options.Certificates has one of that name. What is appended to it counts instead (a later keyword wins).
func (v View) DSN(role string) string {
	words := []string{"host=" + v.host, fmt.Sprintf("port=%d", v.port), "user=" + quote(role), "dbname=" + matrix.DefaultDatabase, "sslmode=verify-full", "sslrootcert=" + quote(v.CAFile())}
	for _, r := range v.env.options.roles() {
		if r.Name == role && r.Password {
			password, _ := v.env.env.Password(role, "right") // a kind that there is
			words = append(words, "password="+password)
		}
	}
	for _, name := range v.env.options.Certificates {
		if name == role {
			cert, key := v.CertFiles(name)
			words = append(words, "sslcert="+quote(cert), "sslkey="+quote(key))
		}
	}
	return strings.Join(words, " ")
}

// quote writes a value of a connection string (PostgreSQL manual, "Connection Strings").
func quote(value string) string {
	if value != "" && !strings.ContainsAny(value, ` '\`) {
		return value
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

// Addr is HOST:PORT of the server.
func (v View) Addr() string { return v.host + ":" + strconv.Itoa(int(v.port)) }

// CCache is the path of a FILE credential cache with a ticket of the principal, valid for 23 hours. KRB5CCNAME can name it.
func (v View) CCache(principal string) string {
	return v.path(v.env.env.CCache(principal, matrix.Ticket{}))
}

// Keytab is the path of a keytab with the keys of the principal.
func (v View) Keytab(principal string) string { return v.path(v.env.env.KeytabFile(principal)) }

// CAFile is the path of the certificate of the CA that has signed the server's certificate, PEM.
func (v View) CAFile() string { return v.path(v.env.env.RootFile(rightRoot)) }

// CertFiles are the paths of a client certificate of Options.Certificates and of its key, PEM.
func (v View) CertFiles(name string) (cert, key string) {
	cert, key = v.env.env.CertFiles(clientCertificate(v.env.env.World(), name), matrix.KeyForms[0])
	return v.path(cert), v.path(key)
}

// Krb5Conf is the path of krb5.conf, as KRB5_CONFIG names it. libkrb5 and gssenc read it.
func (v View) Krb5Conf() string { return path.Join(v.dir, v.krb5Conf) }

// Environ are the variables with which programs that use libkrb5 have the ticket of a principal: KRB5_CONFIG and KRB5CCNAME.
func (v View) Environ(principal string) []string {
	return []string{"KRB5_CONFIG=" + v.Krb5Conf(), "KRB5CCNAME=FILE:" + v.CCache(principal)}
}

// path is where the view has a file of the client containers.
func (v View) path(inContainer string) string { return path.Join(v.dir, path.Base(inContainer)) }

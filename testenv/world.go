package testenv

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// own names what the world describes itself: a certificate and a keytab of the server, for the names that it has inside and outside.
const own = "testenv"

// rightRoot is the CA of the server's certificate and of the clients'.
const rightRoot = "right"

var (
	realmForm     = regexp.MustCompile(`^[A-Z0-9][A-Z0-9.-]*$`)
	principalForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./-]*$`)
)

// roles are those of the server.
func (o *Options) roles() []Role {
	if o.Roles != nil {
		return o.Roles
	}
	var roles []Role
	for _, p := range o.Principals {
		if !strings.Contains(p, "/") {
			roles = append(roles, Role{Name: p})
		}
	}
	return roles
}

// world checks the options and says what is to be provisioned.
func (o *Options) world() (*matrix.World, error) {
	var wrong []error
	bad := func(format string, a ...any) { wrong = append(wrong, fmt.Errorf(format, a...)) }
	w := &matrix.World{Server: o.Server, SSL: "on", ServerCert: own, Keytab: own, Host: matrix.DefaultHost, HBA: o.HBA, Ident: o.Ident}
	if w.Server == 0 {
		w.Server = DefaultServer
	}
	if !slices.Contains(matrix.ServerVersions, w.Server) {
		bad("Options.Server is %d; want one of %v", w.Server, matrix.ServerVersions)
	}
	if strings.TrimSpace(o.HBA) == "" {
		bad("Options.HBA is empty, and nobody could log in; want the text of a pg_hba.conf, such as %q", "hostgssenc all all all gss include_realm=0")
	}
	realm := matrix.Realm{Name: o.Realm}
	if realm.Name == "" {
		realm.Name = matrix.DefaultRealm
	}
	if !realmForm.MatchString(realm.Name) {
		bad("Options.Realm is %q; want a domain name in capitals, such as %s", realm.Name, matrix.DefaultRealm)
	}
	for _, p := range o.Principals {
		if name, _, qualified := strings.Cut(p, "@"); qualified {
			bad("principal %q: want it without the realm: %q", p, name)
		} else if !principalForm.MatchString(p) {
			bad("principal %q: want letters, digits and _ . / -", p)
		} else if slices.Contains(realm.Principals, p) {
			bad("principal %q is given twice", p)
		}
		realm.Principals = append(realm.Principals, p)
	}
	w.Realms = []matrix.Realm{realm}
	for _, r := range o.roles() {
		role := matrix.Role{Name: r.Name}
		if r.Password {
			role.Password = "scram-sha-256"
		}
		if r.Name == "" || strings.ContainsAny(r.Name, "\x00\n\r") {
			bad("role %q: want a name of one line", r.Name)
		} else if slices.ContainsFunc(w.Roles, func(o matrix.Role) bool { return o.Name == r.Name }) {
			bad("role %q is given twice", r.Name)
		}
		w.Roles = append(w.Roles, role)
	}
	for i, name := range o.Certificates {
		if name == "" || slices.Contains(o.Certificates[:i], name) {
			bad("certificate %q: want a common name that is not given twice", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		w.Settings = append(w.Settings, matrix.Setting{Name: name, Value: o.Settings[name]})
	}
	certificate := matrix.ServerCertificates[0]
	certificate.Name, certificate.DNS, certificate.IP = own, []string{"{host}", localhost}, []string{"127.0.0.1"}
	w.Certificates = []matrix.Certificate{certificate}
	w.Keytabs = []matrix.Keytab{{Name: own, Principals: []string{matrix.ServicePrincipal, "postgres/" + localhost}, Keys: matrix.CurrentKeys}}
	return w, errors.Join(wrong...)
}

// clientCertificate is a certificate with that common name.
func clientCertificate(w *matrix.World, name string) *matrix.Certificate {
	return w.ClientCertificate(&matrix.Client{Cert: matrix.ClientCertificates[0].Name, User: name})
}

package oracle

import (
	"cmp"
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// role finds a role of the world. The cluster's own superuser exists everywhere.
func (a *attempt) role(name string) (r matrix.Role, exists bool) {
	for _, r := range a.w.Roles {
		if r.Name == name {
			return r, true
		}
	}
	return matrix.Role{Name: name}, name == "postgres"
}

// refusal is an error that the server finds after authentication, with its SQLSTATE.
type refusal struct {
	reason matrix.Reason
	state  string
	text   string
	source string
}

// afterAuthentication says what the server finds wrong after AuthenticationOk: first with the role, then with the
// database (postinit.c, InitPostgres; miscinit.c, InitializeSessionUserId).
func (a *attempt) afterAuthentication() (*refusal, error) {
	switch r, exists := a.role(a.c.User); {
	case !exists:
		return &refusal{matrix.RoleMissing, "28000", "role " + a.c.User + " does not exist: the server finds out after AuthenticationOk", "miscinit.c, InitializeSessionUserId"}, nil
	case r.NoLogin:
		return &refusal{matrix.RoleNoLogin, "28000", "role " + a.c.User + " has NOLOGIN: the server checks it after AuthenticationOk", "miscinit.c, InitializeSessionUserId"}, nil
	}
	switch r, _ := a.role(a.c.User); {
	case r.NoConnections:
		return &refusal{matrix.TooManyClients, "53300", "role " + r.Name + " has a connection limit of 0, and this is a connection: the server counts after AuthenticationOk", "miscinit.c, InitializeSessionUserId"}, nil
	case a.c.Replication != "" && !r.Replication && r.Name != "postgres":
		return &refusal{matrix.NoReplication, "42501", "role " + r.Name + " has not the attribute REPLICATION: the server finds out after AuthenticationOk", "postinit.c, InitPostgres"}, nil
	case a.c.Replication == matrix.Physical:
		return a.unknownSetting(), nil // it has no database
	}
	return a.database()
}

// database says what the server finds wrong with the database (postinit.c, InitPostgres and CheckMyDatabase).
func (a *attempt) database() (*refusal, error) {
	switch a.c.Database {
	case "template1":
		if a.c.User == "postgres" {
			return a.unknownSetting(), nil
		}
		return &refusal{matrix.NoPrivilege, "42501", "only a superuser has CONNECT on database template1: the server finds out after AuthenticationOk", "postinit.c, CheckMyDatabase"}, nil
	case "postgres":
		return a.unknownSetting(), nil
	case "template0":
		return nil, unknown("no reason of the vocabulary means it", "a database that takes no connections")
	}
	if i := slices.IndexFunc(a.w.Databases, func(d matrix.Database) bool { return d.Name == a.c.Database }); i >= 0 {
		if a.w.Databases[i].NoConnections && a.c.User != "postgres" {
			return &refusal{matrix.TooManyClients, "53300", "database " + a.c.Database + " has a connection limit of 0, and this is a connection: the server counts after AuthenticationOk", "postinit.c, CheckMyDatabase"}, nil
		}
		return a.unknownSetting(), nil
	}
	return &refusal{matrix.DatabaseMissing, "3D000", "database " + a.c.Database + " does not exist: the server finds out after AuthenticationOk", "postinit.c, InitPostgres"}, nil
}

// unknownSetting: some clients send a connection parameter that they do not know to the server, as a setting of the session. The
// server looks at settings last (postinit.c, process_startup_options).
func (a *attempt) unknownSetting() *refusal {
	for _, parameter := range []struct {
		name  string
		given bool
	}{{"sslcrl", a.crl() != "none"}, {"sslpassword", cmp.Or(a.c.SSLPassword, "none") != "none"}, {"sslcertmode", a.c.SSLCertMode != ""}} {
		if source := a.client.asSetting(parameter.name); source != "" && parameter.given {
			return &refusal{matrix.SettingUnknown, "42704", string(a.c.Library) + " has no " + parameter.name + ": it sends it to the server, which does not know it either and says so after AuthenticationOk", source}
		}
	}
	return nil
}

package matrix

import (
	"fmt"
	"slices"
	"strings"
)

// worldKey is a key under world that is no axis: what all worlds of a scenario have in common.
type worldKey struct {
	name   string
	doc    string // one line, for docs/scenarios.md and the JSON Schema
	when   phase
	read   func(l *loading, v *value) // v is nil where the key is not there
	schema func() object              // without the description
}

// phase says when a key is read.
type phase int

const (
	beforeAxes  phase = iota // it describes values that axes can then have
	afterWorld               // after the world axes
	afterClient              // after the client axes, from which its default comes
)

// worldKeys are the keys under world that are no axes, in the order of docs/scenarios.md. A new key is an entry here; its code is in a
// file load_KEY.go of its own.
var worldKeys []worldKey

func init() { // the functions refer to the table
	worldKeys = []worldKey{
		{"vary", "axes of the scenario's own: {NAME: [TEXT, TEXT]}, or {NAME: {VALUE: TEXT}}; {NAME} in hba, ident, files, before and settings stands for the text", afterWorld, (*loading).vary, varySchema},
		{"files", "further files in the directory of pg_hba.conf, by path: {PATH: TEXT} or {PATH: {file: PATH}}; for include directives and @FILE", afterWorld, (*loading).files, filesSchema},
		{"before", "with load what the server has before: a pg_hba.conf, where pg_ident.conf is empty; or {hba: TEXT, ident: TEXT, ssl: off, servercert: good, servercrl: none, serverca: right, keytab: good}, where what is not named is as afterwards; default: a pg_hba.conf that rejects every connection", afterWorld, (*loading).before, beforeSchema},
		{"settings", "further lines of postgresql.conf, in order; with load those that a reload changes are loaded with the rules, and may be refused", afterWorld, (*loading).settings, settingsSchema},
		{"roles", "database roles: names, or {name: ROLE, login: false, password: scram-sha-256, expired: true, in: ROLE or ROLES, replication: true, limit: 0, may: read or write or both}; default: the users. expired: VALID UNTIL has passed; in: the roles of which it is a member; limit: the connection limit; may: its privileges on the table that sessions are asked to read and write", afterClient, (*loading).roles, rolesSchema},
		{"databases", "databases besides postgres and template1: names, or {name: DATABASE, limit: 0}", afterClient, (*loading).databases, databasesSchema},
		{"os_users", "operating system users that the server's machine knows; default: the values of os_user", afterClient, (*loading).osUsers, osUsersSchema},
		{"ident_servers", "Ident servers (RFC 1413) of the scenario's own on the machines of clients, values of the axis ident_server: {answer: \"{ports} : USERID : UNIX : alice\", end: crlf or newline}; {ports} stands for those of the question", beforeAxes, (*loading).identServers, identServersSchema},
		{"realm", "the Kerberos realm of the server, and of principals that name no realm; default: " + DefaultRealm, afterClient, (*loading).realm, realmSchema},
		{"principals", "the realm's principals without the realm; default: the users and the values of principal", afterClient, (*loading).principals, principalsSchema},
		{"realms", "descriptions of realms by name, of the server's and of further ones: {kind: mit, principals: [alice], trusted: true, enctypes: [aes256-cts-hmac-sha1-96]}; trusted: the server's realm accepts its tickets; hung: true: the KDC that krb5.conf names first takes every connection and never answers, and the second does", afterClient, (*loading).realms, realmsSchema},
		{"client_realm", "the default realm in the clients' krb5.conf; default: the server's realm", afterClient, (*loading).clientRealm, realmSchema},
		{"keytabs", "keytabs of the scenario's own, values of the axis keytab: {principals: [postgres/{host}], keys: current, previous or all, enctypes: [aes128-cts-hmac-sha1-96]}", beforeAxes, (*loading).keytabs, keytabsSchema},
		{"tickets", "tickets of the scenario's own, values of the axis ticket: {expired: true, lifetime: 10h, flags: [forwardable, proxiable, renewable]}", beforeAxes, (*loading).tickets, ticketsSchema},
		{"krb5_confs", "texts of krb5.conf of the scenario's own, values of the axis krb5_conf: {rdns: off}; lines of [libdefaults] that stand before those of the harness", beforeAxes, (*loading).krb5Confs, krb5ConfsSchema},
		{"certificates", "certificates of the scenario's own, values of the axes servercert and cert: see Certificates", beforeAxes, (*loading).certificates, certificatesSchema},
		{"network", "the network of clients that have an address, or several: IPv4 and IPv6 prefixes", afterClient, (*loading).network, networkSchema},
		{"names", "host names of addresses, as the server resolves them: ADDRESS: NAME, or ADDRESS: {reverse: NAME, forward: NAME}", afterClient, (*loading).names, namesSchema},
		{"host", "the server's fully qualified host name; default: " + DefaultHost, afterWorld, (*loading).host, hostSchema},
	}
}

func worldKeyNames() (names []string) {
	for _, k := range worldKeys {
		names = append(names, k.name)
	}
	return names
}

// harnessSettings are the settings that a scenario cannot have, and what to do instead. A name that ends in _ is a prefix.
var harnessSettings = []struct{ name, right string }{
	{"ssl", "use the world axis ssl"},
	{"ssl_cert_file", "use the world axis servercert"},
	{"ssl_key_file", "use the world axis servercert"},
	{"ssl_ca_file", "use the client axis cert: the server trusts the CA of cert=good"},
	{"ssl_crl_file", "use the world axis servercrl"},
	{"ssl_crl_dir", "use the world axis servercrl"},
	{"krb_server_keyfile", "use the world axis keytab"},
	{"hba_file", "write the records under hba"},
	{"ident_file", "write the maps under ident"},
	{"hosts_file", "write the lines under files, as pg_hosts.conf"},
	{"listen_addresses", "use the client axis transport"},
	{"port", "use the client axis transport"},
	{"unix_socket_", "use the client axis transport"},
	{"log_", "leave it out: the server's log is a witness and stays as it is"},
	{"logging_collector", "leave it out: the server's log is a witness and stays as it is"},
	{"data_directory", "leave it out: the data directory is the image's"},
	{"config_file", "write the settings here, one a line"},
	{"include", "write the settings here, one a line"},
	{"include_dir", "write the settings here, one a line"},
	{"include_if_exists", "write the settings here, one a line"},
}

// harnessOwns says what to do instead of giving a setting that belongs to the harness; empty for any other setting.
func (l *loading) harnessOwns(name string) string {
	for _, s := range harnessSettings {
		if name == s.name || strings.HasSuffix(s.name, "_") && strings.HasPrefix(name, s.name) {
			return s.right
		}
	}
	return ""
}

func (l *loading) settings(v *value) {
	if v == nil || !l.want(v, "settings", mapping) {
		return
	}
	var names []entry
	for _, e := range v.entries {
		folded := strings.ToLower(e.key) // PostgreSQL compares names without case
		same := func(o entry) bool { return strings.ToLower(o.key) == folded }
		switch right := l.harnessOwns(folded); {
		case slices.ContainsFunc(names, same):
			l.problem(e.position, fmt.Sprintf("setting %q is there twice", e.key), fmt.Sprintf("keep this one or the one in line %d", names[slices.IndexFunc(names, same)].line))
		case right != "":
			l.problem(e.position, fmt.Sprintf("the setting %s belongs to the harness", e.key), right)
		case !settingName.MatchString(e.key):
			l.problem(e.position, fmt.Sprintf("%q is no name of a setting", e.key), "want a name as in postgresql.conf, then a colon and the value")
		case l.want(e.value, "the setting "+e.key, scalar):
			l.Settings = append(l.Settings, Setting{e.key, e.value.text})
			l.templates = append(l.templates, l.inPlace("the setting "+e.key, e.value))
		}
		names = append(names, e)
	}
}

// valuesOf are the values that cells have on an axis.
func (l *loading) valuesOf(name string) []string {
	if values, ok := l.values[name]; ok {
		return values
	}
	axis, _ := AxisByName(name)
	if axis.Default == "" {
		return nil
	}
	return []string{axis.Default}
}

const realmForm = "want letters, digits, dots and hyphens, upper case by custom, as in EXAMPLE.TEST"

func (l *loading) realm(v *value) {
	realm := Realm{Name: DefaultRealm}
	if v != nil && l.want(v, "realm", scalar) {
		realm.Name = v.text
		if !realmName.MatchString(v.text) {
			l.problem(v.position, fmt.Sprintf("%q is no name of a realm", v.text), realmForm)
		}
	}
	l.Realms = []Realm{realm}
}

// principals are those of the realm, which is read before.
func (l *loading) principals(v *value) {
	realm := &l.Realms[0]
	if v != nil {
		l.principalsOf(realm, v)
		return
	}
	for _, p := range slices.Concat(l.valuesOf("user"), l.valuesOf("principal")) {
		if !slices.Contains(realm.Principals, p) && !strings.Contains(p, "@") {
			realm.Principals = append(realm.Principals, p)
		}
	}
}

func (l *loading) principalsOf(realm *Realm, v *value) {
	for _, p := range l.scalars(v, "principals") {
		switch {
		case strings.TrimSpace(p.text) == "":
			l.problem(p.position, "empty principal", "name one, or leave the key out")
		case strings.Contains(p.text, "@"):
			l.problem(p.position, fmt.Sprintf("the principal %q has a realm", p.text), "write it without the realm; further realms are described under realms")
		case slices.Contains(realm.Principals, p.text):
			l.problem(p.position, fmt.Sprintf("principal %q is there twice", p.text), "keep one of the two")
		default:
			realm.Principals = append(realm.Principals, p.text)
		}
	}
}

func (l *loading) host(v *value) {
	l.Host = DefaultHost
	if v != nil && l.want(v, "host", scalar) {
		l.Host = v.text
		if !hostName.MatchString(v.text) {
			l.problem(v.position, fmt.Sprintf("%q is no fully qualified host name", v.text), "want lower case with a dot, as in "+DefaultHost)
		}
	}
}

package cases

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// rest is what the whole world of a case has beside what case.yaml says, so that all connections and probes can be tried in one Env.
type rest struct {
	roles     []matrix.Role
	databases []matrix.Database
	osUsers   []string
	realms    []matrix.Realm
	names     []matrix.AddressName
	networks  []netip.Prefix
	certs     []matrix.Certificate
	host      string
}

// knowing is the server with what case.yaml says of it.
func (c *Case) knowing(s *audit.Server, w *matrix.Scenario) *audit.Server {
	k := *s
	k.Version, _ = strconv.Atoi(valueIn(w, "server"))
	k.Realm = w.Realms[0].Name
	k.Roles, k.Networks, k.Names = slices.Clone(w.Roles), w.Networks, w.Names
	k.Host, k.Keytab, k.Keytabs, k.Trusted = c.rest.host, valueIn(w, "keytab"), w.Keytabs, slices.DeleteFunc(slices.Clone(w.Realms[1:]), func(r matrix.Realm) bool { return !r.Trusted })
	k.Said = c.said
	for i := range c.Connections { // where nobody says which roles there are, those that connect exist
		user := c.Connections[i].Scenario.Expand()[0].Client.User
		if len(c.world.Roles) == 0 && !slices.ContainsFunc(k.Roles, func(r matrix.Role) bool { return r.Name == user }) {
			k.Roles = append(k.Roles, matrix.Role{Name: user, Password: "scram-sha-256"})
		}
	}
	return &k
}

// in is the world in which a server of the case stands.
func (c *Case) in(server *audit.Server) *matrix.Scenario {
	if server == c.Server {
		return c.world
	}
	return c.advised
}

// valueIn is the one value that a world has on an axis.
func valueIn(w *matrix.Scenario, axis string) string {
	for _, a := range w.Axes {
		if a.Axis == axis {
			return a.Values[0]
		}
	}
	a, _ := matrix.AxisByName(axis)
	return a.Default
}

// Scenario makes cells in the world of a server of the case, its rules and maps byte for byte: those of the values of the client axes. The name is
// FAMILY/NAME.
func (c *Case) Scenario(server *audit.Server, name string, client ...matrix.AxisValues) *matrix.Scenario {
	s := &matrix.Scenario{Name: name, Question: c.Question, Pos: CaseFile + ":1:1", Axes: client}
	c.inWorld(s, server)
	return s
}

// inWorld gives a scenario, with the client axes that it has, the world in which a server of the case stands.
func (c *Case) inWorld(s *matrix.Scenario, server *audit.Server) {
	w, r := c.in(server), &c.rest
	client := s.Axes
	s.Axes = nil
	for _, a := range matrix.Axes {
		from := client
		if a.Kind == matrix.WorldAxis {
			from = w.Axes
		}
		if i := slices.IndexFunc(from, func(v matrix.AxisValues) bool { return v.Axis == a.Name }); i >= 0 && a.Name != "hba" && a.Name != "ident" {
			s.Axes = append(s.Axes, from[i])
		}
	}
	s.HBA = []matrix.Text{{Text: server.HBA}}
	s.Ident = nil
	if server.Ident != "" {
		s.Ident = []matrix.Text{{Text: server.Ident}}
	}
	s.Files, s.Settings, s.Before = server.Files, append(taken(server.Conf), server.Refused()...), w.Before
	s.ClientRealm, s.Keytabs, s.KRB5Confs, s.Tickets = w.ClientRealm, w.Keytabs, w.KRB5Confs, w.Tickets
	s.IdentServers = w.IdentServers
	s.Databases, s.OSUsers, s.Realms, s.Names, s.Networks, s.Certificates, s.Host = r.databases, r.osUsers, r.realms, r.names, r.networks, r.certs, r.host
	s.Roles = slices.Clone(r.roles)
	for _, role := range w.Roles {
		if i := slices.IndexFunc(s.Roles, func(o matrix.Role) bool { return o.Name == role.Name }); i >= 0 {
			s.Roles[i] = role
		} else {
			s.Roles = append(s.Roles, role)
		}
	}
}

var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)

// build finds the rest of the world: what the connections and the probes need.
func (c *Case) build(sample *audit.Sample) {
	w, r := c.world, &c.rest
	described := len(w.Roles) > 0
	r.roles, r.databases, r.osUsers, r.names, r.certs = slices.Clone(w.Roles), slices.Clone(w.Databases), slices.Clone(w.OSUsers), slices.Clone(w.Names), slices.Clone(w.Certificates)
	r.realms = slices.Clone(w.Realms)
	var addresses []netip.Addr
	for i := range c.Connections {
		for _, s := range []*matrix.Scenario{c.Connections[i].Scenario, c.Connections[i].Advised} {
			if s == nil {
				continue
			}
			cell := s.Expand()[0]
			if !described {
				r.role(cell.Client.User)
			}
			if len(w.Databases) == 0 {
				r.database(cell.Client.Database)
			}
			r.osUser(cell.Client.OSUser)
			r.principal(cell.Client.Principal)
			addresses = appendAddress(addresses, cell.Client.Address)
		}
	}
	for _, user := range sample.Users {
		if !described || user == audit.OtherUser {
			r.role(user)
		}
		r.osUser(user)
		r.principal(user)
	}
	for _, d := range sample.Databases {
		r.database(d)
	}
	for _, n := range sample.Names {
		if !slices.ContainsFunc(r.names, func(o matrix.AddressName) bool { return o.Address == n.Address }) {
			r.names = append(r.names, n)
		}
	}
	for _, n := range r.names {
		addresses = append(addresses, n.Address)
	}
	r.networks = matrix.NetworksOf(sample.Networks, addresses)
}

// findHost takes the server's host name from case.yaml, or the first that a connection string or the keytab names.
func (c *Case) findHost() {
	c.rest.host = c.world.Host
	if c.rest.host == matrix.DefaultHost {
		for _, h := range c.hosts {
			if h = strings.ToLower(h); hostName.MatchString(h) {
				c.rest.host = h
				break
			}
		}
	}
}

func appendAddress(to []netip.Addr, text string) []netip.Addr {
	if a, err := netip.ParseAddr(text); err == nil {
		return append(to, a)
	}
	return to
}

// role adds a role that every cluster does not have, with a password.
func (r *rest) role(name string) {
	reserved := name == "" || name == "postgres" || name == "public" || name == "none" || strings.HasPrefix(name, "pg_") || len(name) > 63
	if !reserved && !slices.ContainsFunc(r.roles, func(o matrix.Role) bool { return o.Name == name }) {
		r.roles = append(r.roles, matrix.Role{Name: name, Password: "scram-sha-256"})
	}
}

func (r *rest) database(name string) {
	reserved := name == "" || slices.Contains([]string{matrix.DefaultDatabase, "template0", "template1"}, name) || len(name) > 63
	if !reserved && !slices.ContainsFunc(r.databases, func(o matrix.Database) bool { return o.Name == name }) {
		r.databases = append(r.databases, matrix.Database{Name: name})
	}
}

func (r *rest) osUser(name string) {
	wrong, _ := matrix.CheckOSUser(name)
	same := func(o string) bool { return o == name || matrix.UID(o) == matrix.UID(name) }
	if wrong == "" && !slices.ContainsFunc(r.osUsers, same) {
		r.osUsers = append(r.osUsers, name)
	}
}

// principal adds a principal to the realm that it names, or to the server's.
func (r *rest) principal(principal string) {
	name, realm, _ := strings.Cut(principal, "@")
	at := slices.IndexFunc(r.realms, func(o matrix.Realm) bool { return o.Name == realm })
	if realm == "" {
		at = 0
	}
	if name == "" || strings.ContainsAny(name, " \t\n\\") || at < 0 && !realmName.MatchString(realm) {
		return
	}
	if at < 0 {
		at = len(r.realms)
		r.realms = append(r.realms, matrix.Realm{Name: realm, Trusted: true})
	}
	if !slices.Contains(r.realms[at].Principals, name) {
		r.realms[at].Principals = append(slices.Clone(r.realms[at].Principals), name)
	}
}

var realmName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*$`)

// gaps says what the world has otherwise than the customer, as far as it is known without asking the oracle.
func (c *Case) gaps() {
	gap := func(what, effect string) { c.Gaps = append(c.Gaps, Gap{what, effect}) }
	for _, h := range c.hosts {
		if !strings.EqualFold(h, c.rest.host) {
			gap(fmt.Sprintf("the connection string names the host %s; here the server is %s", h, c.rest.host), "a certificate or a keytab for exactly that name is not tried")
		}
	}
}

package audit

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// Question is one connection that somebody asks about.
type Question struct {
	Conninfo string // as libpq reads it
	From     string // the client's address; empty where the connection string names a socket directory
	Library  matrix.Library
	OSUser   string              // over a socket: the operating system account of the client; empty: the role's name
	Ticket   string              // the principal, with its realm, of a valid ticket; empty: the client has none
	Cert     *matrix.Certificate // the client's; nil: it has none. Who issued it and whether it is valid is not looked at: the server decides that, with CAs and a clock that nobody has shown
	Password bool                // the client knows the role's password; a password in the connection string says so, too
}

// Answer says how the connection ends.
type Answer struct {
	Cell       *matrix.Cell
	Prediction matrix.Prediction
	Facts      []Fact // what the answer depends on and nobody has said
	server     *Server
}

// Fact is something that the answer takes for granted.
type Fact struct {
	Taken     string // what is taken for granted
	Otherwise []Alternative
}

// Alternative is what would be so instead, and how the connection would end.
type Alternative struct {
	If      string
	Outcome matrix.Outcome
	Because []matrix.Because
}

// Ask answers a question about the server. Rules that the server does not load are an *oracle.RulesError; what cannot be said is an
// *oracle.CannotPredict; a mistake in the connection string is a *matrix.Problem.
func (s *Server) Ask(q Question) (*Answer, error) {
	cell, err := s.cell(q)
	if err != nil {
		return nil, err
	}
	return s.About(cell)
}

// About answers the question how a cell in the server's world ends, as Ask does.
func (s *Server) About(cell *matrix.Cell) (*Answer, error) {
	a := &Answer{Cell: cell, server: s}
	var err error
	if a.Prediction, err = oracle.Predict(cell); err != nil {
		return nil, err
	}
	for _, f := range s.guesses(cell) {
		fact := Fact{Taken: f.taken}
		for _, alternative := range f.otherwise {
			other := copyOf(cell)
			alternative.change(other)
			p, err := oracle.Predict(other)
			if cannot := (*oracle.CannotPredict)(nil); errors.As(err, &cannot) || err == nil && same(p.Outcome, a.Prediction.Outcome) {
				continue
			}
			if err != nil {
				return nil, err
			}
			fact.Otherwise = append(fact.Otherwise, Alternative{alternative.If, p.Outcome, p.Because})
		}
		if len(fact.Otherwise) > 0 {
			a.Facts = append(a.Facts, fact)
		}
	}
	return a, nil
}

// same compares what a person asks for: not the steps on the way.
func same(a, b matrix.Outcome) bool {
	return a.WithoutTrace().String() == b.WithoutTrace().String()
}

// copyOf is a cell with a world of its own.
func copyOf(c *matrix.Cell) *matrix.Cell {
	other, w := *c, *c.World
	w.Roles, w.Realms, w.Certificates = slices.Clone(w.Roles), slices.Clone(w.Realms), slices.Clone(w.Certificates)
	w.Names, w.Networks, w.Settings, w.Databases = slices.Clone(w.Names), slices.Clone(w.Networks), slices.Clone(w.Settings), slices.Clone(w.Databases)
	other.World = &w
	return &other
}

type guess struct {
	taken     string
	otherwise []changed
}

type changed struct {
	If     string
	change func(*matrix.Cell)
}

// clientCert is the name of the client's own certificate among those of the world, and serversCert that of the server's.
const clientCert, serversCert = "the-clients", "the-servers"

// cell makes the cell of a question.
func (s *Server) cell(q Question) (*matrix.Cell, error) {
	parameters, err := Conninfo(q.Conninfo)
	if err != nil {
		return nil, err
	}
	c, host, err := Client(parameters)
	if err != nil {
		return nil, err
	}
	c.Library = cmp.Or(q.Library, "libpq18")
	w := s.World()
	if host != "" {
		w.Host = host
	}
	cell := &matrix.Cell{World: &w, Client: c}
	if q.Password {
		cell.Client.Password = "right"
	}
	if c.Transport == "unix" {
		cell.Client.OSUser = cmp.Or(q.OSUser, c.User)
		w.OSUsers = []string{cell.Client.OSUser, otherAccount}
	} else if q.OSUser != "" {
		return nil, errors.New("over TCP the server does not learn the client's operating system account: leave out --os-user, or name a socket directory as host")
	}
	w.Roles = []matrix.Role{{Name: c.User, Password: "scram-sha-256"}}
	if !slices.Contains([]string{"postgres", "template0", "template1"}, c.Database) {
		w.Databases = []matrix.Database{{Name: c.Database}}
	}
	w.Certificates = []matrix.Certificate{{Name: serversCert, Subject: []matrix.Attribute{{Type: "CN", Value: w.Host}}, DNS: []string{w.Host}, Issuer: "right", Key: matrix.ECDSA, Validity: matrix.Valid, Usage: matrix.ForServers, Version: 3}}
	if _, err := netip.ParseAddr(w.Host); err == nil {
		w.Certificates[0].DNS, w.Certificates[0].IP = nil, []string{w.Host}
	}
	w.ServerCert = serversCert
	if err := setFrom(cell, q.From); err != nil {
		return nil, err
	}
	if err := setTicket(cell, q.Ticket, s.Realm); err != nil {
		return nil, err
	}
	if q.Cert != nil {
		cert := *q.Cert
		cert.Name, cert.Issuer, cert.Key, cert.Validity = clientCert, "right", matrix.ECDSA, matrix.Valid
		w.Certificates = append(w.Certificates, cert)
		cell.Client.Cert = clientCert
	} else if c.Cert != "none" {
		return nil, errors.New("the connection string names a client certificate: give the file with --cert, its names decide")
	}
	if why := matrix.NotApplicable(cell); why != "" {
		return nil, errors.New(why)
	}
	return cell, nil
}

func setFrom(cell *matrix.Cell, from string) error {
	if cell.Client.Transport == "unix" {
		if from != "" {
			return errors.New("the connection string names a socket directory, and a socket has no client address: leave out --from, or name a host")
		}
		return nil
	}
	if from == "" {
		return errors.New("the client's address is not given: say --from ADDRESS; the address column of every record is compared with it")
	}
	address, err := netip.ParseAddr(from)
	if err != nil || address.Zone() != "" || address.Is4In6() {
		return fmt.Errorf("--from %s: want an IPv4 or IPv6 address, for example 10.1.2.3", from)
	}
	cell.Client.Address = from
	cell.World.Networks = []netip.Prefix{netip.PrefixFrom(address, address.BitLen())}
	return nil
}

func setTicket(cell *matrix.Cell, principal, serverRealm string) error {
	if principal == "" {
		return nil
	}
	_, realm, ok := strings.Cut(principal, "@")
	if !ok || realm == "" {
		return fmt.Errorf("--ticket %s: want NAME@REALM", principal)
	}
	w := cell.World
	if serverRealm == "" {
		w.Realms[0].Name = realm
	} else if realm != serverRealm {
		w.Realms = append(w.Realms, matrix.Realm{Name: realm, Trusted: true})
		w.ClientRealm = realm
	}
	at := slices.IndexFunc(w.Realms, func(r matrix.Realm) bool { return r.Name == realm })
	name, _, _ := strings.Cut(principal, "@")
	w.Realms[at].Principals = append(w.Realms[at].Principals, name)
	cell.Client.Ticket, cell.Client.Principal = "valid", principal
	return nil
}

// guesses are what the files do not say, in the order in which a connection meets it.
func (s *Server) guesses(cell *matrix.Cell) (list []guess) {
	c, w := &cell.Client, cell.World
	add := func(taken string, otherwise ...changed) { list = append(list, guess{taken, otherwise}) }
	said := func(key string) bool { return slices.Contains(s.Said, key) }
	if len(s.Conf) == 0 && !said("ssl") {
		add("the server has ssl = on", changed{"the server has ssl = off", func(c *matrix.Cell) { c.World.SSL = "off" }})
	}
	// The client's own root file is not looked at where the connection string names none.
	if c.Root == "none" {
		add("there is no root file in the client's home directory, ~/.postgresql/root.crt",
			changed{"there is one, with the CA of the server's certificate", func(c *matrix.Cell) { c.Client.Root = "right" }},
			changed{"there is one, with another CA", func(c *matrix.Cell) {
				c.Client.Root = "right"
				changedCert(func(c *matrix.Certificate) { c.Issuer = "other" })(c)
			}})
	}
	certificate := changedCert
	unlessSaid := func(key, taken string, otherwise ...changed) {
		if !said(key) {
			add(taken, otherwise...)
		}
	}
	unlessSaid("servercert", "the server's certificate is valid, names "+w.Host+" and is signed by a CA in the client's root file",
		changed{"a CA signed it that the client does not know", certificate(func(c *matrix.Certificate) { c.Issuer = "other" })},
		changed{"it is for another name", certificate(func(c *matrix.Certificate) {
			c.Subject, c.DNS, c.IP = []matrix.Attribute{{Type: "CN", Value: "other.example.test"}}, []string{"other.example.test"}, nil
		})},
		changed{"it has expired", certificate(func(c *matrix.Certificate) { c.Validity = matrix.Expired })})
	if c.Cert == clientCert {
		own := func(change func(*matrix.Certificate)) func(*matrix.Cell) {
			return func(c *matrix.Cell) {
				for i := range c.World.Certificates {
					if c.World.Certificates[i].Name == clientCert {
						change(&c.World.Certificates[i])
					}
				}
			}
		}
		add("the client's certificate is valid, and signed by a CA in the server's ssl_ca_file",
			changed{"a CA signed it that the server does not know", own(func(c *matrix.Certificate) { c.Issuer = "other" })},
			changed{"it has expired", own(func(c *matrix.Certificate) { c.Validity = matrix.Expired })})
	}
	unlessSaid("keytab", "the server's keytab has the key of "+cmp.Or(c.KrbSrvName, "postgres")+"/"+w.Host,
		changed{"the server has no keytab", func(c *matrix.Cell) { c.World.Keytab = "none" }},
		changed{"the keytab has another host's key", func(c *matrix.Cell) { c.World.Keytab = "other" }})
	list = append(list, s.addressGuesses(cell)...)
	for _, h := range couldHave(cell) {
		add("the client does not have "+h.If, changed{"it has", h.change})
	}
	if c.Password == "right" {
		add("the password is right", changed{"it is wrong", func(c *matrix.Cell) { c.Client.Password = "wrong" }})
	}
	role := func(change func(*matrix.Role)) func(*matrix.Cell) {
		return func(c *matrix.Cell) {
			for i := range c.World.Roles {
				if c.World.Roles[i].Name == c.Client.User {
					change(&c.World.Roles[i])
				}
			}
		}
	}
	unlessSaid("roles", "role "+c.User+" exists, may log in, and has a password that is stored as scram-sha-256",
		changed{"it does not exist", func(c *matrix.Cell) { c.World.Roles = nil }},
		changed{"it has NOLOGIN", role(func(r *matrix.Role) { r.NoLogin = true })},
		changed{"its password is stored as md5", role(func(r *matrix.Role) { r.Password = "md5" })},
		changed{"it has no password", role(func(r *matrix.Role) { r.Password = "" })},
		changed{"its password has expired (VALID UNTIL)", role(func(r *matrix.Role) { r.Expired = true })},
		changed{"its connection limit is reached", role(func(r *matrix.Role) { r.NoConnections = true })})
	if !said("roles") {
		list = append(list, s.memberGuesses(cell)...)
	}
	if c.Transport == "unix" {
		add("the client runs as the operating system account "+c.OSUser, changed{"it runs as another", func(c *matrix.Cell) { c.Client.OSUser = otherAccount }})
	}
	add("database "+c.Database+" exists, and "+c.User+" may connect to it",
		changed{"it does not exist", func(c *matrix.Cell) { c.World.Databases = nil }})
	list = append(list, libraryGuess(cell))
	return list
}

// changedCert changes the server's certificate.
func changedCert(change func(*matrix.Certificate)) func(*matrix.Cell) {
	return func(c *matrix.Cell) {
		cert := *c.World.ServerCertificate()
		cert.Name = serversCert
		change(&cert)
		c.World.ServerCert = cert.Name
		c.World.Certificates = append(slices.DeleteFunc(c.World.Certificates, func(o matrix.Certificate) bool { return o.Name == cert.Name }), cert)
	}
}

// couldHave are the credentials that the client does not have.
func couldHave(cell *matrix.Cell) (list []changed) {
	c := &cell.Client
	if c.Ticket == "none" {
		principal := c.User + "@" + cell.World.Realms[0].Name
		list = append(list, changed{"a Kerberos ticket of " + principal, func(c *matrix.Cell) {
			c.Client.Ticket, c.Client.Principal = "valid", principal
			c.World.Realms[0].Principals = append(c.World.Realms[0].Principals, c.Client.User)
		}})
	}
	if c.Cert == "none" {
		list = append(list, changed{"a certificate with the common name " + c.User, func(c *matrix.Cell) { c.Client.Cert = "good" }})
	}
	if c.Password == "none" {
		list = append(list, changed{"the password of " + c.User, func(c *matrix.Cell) { c.Client.Password = "right" }})
	}
	return list
}

// addressGuesses are about records whose address column is a host name or a keyword.
func (s *Server) addressGuesses(cell *matrix.Cell) (list []guess) {
	rules, err := oracle.LoadRules(cell.World)
	if err != nil || cell.Client.Address == "" {
		return nil
	}
	address := netip.MustParseAddr(cell.Client.Address)
	var hosts []changed
	seen := map[string]bool{}
	for _, r := range rules.Records {
		a := r.Address()
		if a.Host != "" && !seen[a.Host] {
			seen[a.Host] = true
			name := a.Host
			if strings.HasPrefix(name, ".") {
				name = "client" + name
			}
			hosts = append(hosts, changed{"its name is " + name + ", and the name has the address", func(c *matrix.Cell) {
				c.World.Names = []matrix.AddressName{{Address: address, Reverse: name, Forward: name}}
			}})
		}
		if (a.Keyword == "samenet" || a.Keyword == "samehost") && !seen["samenet"] {
			seen["samenet"] = true
			list = append(list, guess{"no network interface of the server is in the client's network", []changed{{"one is", func(c *matrix.Cell) {
				bits := min(24, address.BitLen())
				if address.Is6() {
					bits = 64
				}
				n := netip.PrefixFrom(address, bits).Masked()
				if n.Addr().Next().Next() == address { // the server's own
					n = netip.PrefixFrom(address, bits-8).Masked()
				}
				c.World.Networks = []netip.Prefix{n}
			}}}})
		}
	}
	if len(hosts) > 0 {
		list = append(list, guess{"address " + cell.Client.Address + " has no name in the server's resolver", hosts})
	}
	return list
}

// otherAccount is an operating system account of another name.
const otherAccount = "another_account"

// memberGuesses are about records for the members of a role.
func (s *Server) memberGuesses(cell *matrix.Cell) (list []guess) {
	rules, err := oracle.LoadRules(cell.World)
	if err != nil {
		return nil
	}
	groups := map[string]bool{}
	for _, r := range rules.Records {
		for _, n := range r.Users() {
			if group, ok := n.Group(); ok && group != cell.Client.User {
				groups[group] = true
			}
		}
	}
	var otherwise []changed
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		otherwise = append(otherwise, changed{"it is a member of " + group, func(c *matrix.Cell) {
			at := slices.IndexFunc(c.World.Roles, func(r matrix.Role) bool { return r.Name == c.Client.User })
			if at >= 0 {
				c.World.Roles[at].In = []string{group}
				c.World.Roles = slices.Insert(c.World.Roles, 0, matrix.Role{Name: group, NoLogin: true})
			}
		}})
	}
	if len(otherwise) == 0 {
		return nil
	}
	return []guess{{"role " + cell.Client.User + " is a member of no other role", otherwise}}
}

// libraryGuess compares the client with the newest of each other kind, and the oldest libpq.
func libraryGuess(cell *matrix.Cell) guess {
	g := guess{taken: "the client is " + string(cell.Client.Library)}
	newest := map[matrix.ClientKind]matrix.Library{}
	var kinds []matrix.ClientKind
	for _, info := range matrix.Clients {
		if info.Named || info.Kind == matrix.KindPsql {
			continue
		}
		if newest[info.Kind] == "" {
			kinds = append(kinds, info.Kind)
		}
		newest[info.Kind] = info.Name
	}
	for _, k := range kinds {
		if library := newest[k]; k != cell.Client.Library.Kind() {
			g.otherwise = append(g.otherwise, changed{"it is " + string(library), func(c *matrix.Cell) { c.Client.Library = library }})
		}
	}
	return g
}

package audit

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// Credential is what the client of a class has.
type Credential string

// The credentials, from the cheapest to get on.
const (
	Nothing       Credential = "nothing"
	AnyTicket     Credential = "ticket of anybody"            // of a principal of the realm with another name
	AnyCert       Credential = "certificate of anybody"       // of a CA that the server trusts, with another name
	AccountItself Credential = "operating system account"     // of the role's name, on the server's machine
	OwnPassword   Credential = "password"                     // the role's
	OwnTicket     Credential = "ticket"                       // of the principal with the role's name
	OwnCert       Credential = "certificate"                  // with the role's name
	PasswordCert  Credential = "password and certificate"     // the role's, and one of the CA with the role's name
	PasswordOther Credential = "password and any certificate" // the role's, and one of the CA with another name
)

// credentials are all of them.
var credentials = []Credential{Nothing, AnyTicket, AnyCert, AccountItself, OwnPassword, OwnTicket, OwnCert, PasswordOther, PasswordCert}

// stranger is the name of the principal and of the certificate of anybody.
const stranger = "anybody"

// Credentials of a name that a line of a map has are these words and the name.
const (
	ticketOf  = "ticket of "
	certOf    = "certificate of "
	accountOf = "operating system account "
)

// rank orders credentials: those that maps name come last.
func (c Credential) rank() int {
	if i := slices.Index(credentials, c); i >= 0 {
		return i
	}
	return len(credentials)
}

// includes says what a client with a credential has besides.
var includes = map[Credential][]Credential{
	OwnPassword:   {Nothing},
	AnyTicket:     {Nothing},
	AnyCert:       {Nothing},
	OwnTicket:     {Nothing, AnyTicket},
	OwnCert:       {Nothing, AnyCert},
	PasswordOther: {Nothing, AnyCert, OwnPassword},
	PasswordCert:  {Nothing, AnyCert, OwnPassword, OwnCert, PasswordOther},
	AccountItself: {Nothing},
}

// strangersCert is a certificate of the trusted CA with the stranger's name.
var strangersCert = matrix.Certificate{Name: "anybodys", Subject: []matrix.Attribute{{Type: "CN", Value: stranger}}, Issuer: "right", Key: matrix.ECDSA, Validity: matrix.Valid, Usage: matrix.ForClients, Version: 3}

// attempt makes the cell of a class and a credential: with a client that asks for the class's channel and no other.
func (x *side) attempt(c Class, have Credential) *matrix.Cell {
	k := matrix.Client{Library: "libpq18", Transport: "tcp", Address: c.Address, Hosts: matrix.OneHost, User: c.User, Database: c.Database, Principal: c.User,
		Ticket: "none", Cert: "none", Root: "none", CRL: "none", Password: "none", Attack: matrix.NoAttack, GSSEncMode: "disable", SSLMode: "disable"}
	switch c.Channel {
	case Local:
		k.Transport, k.OSUser = "unix", stranger
	case matrix.TLS:
		k.SSLMode = "require"
	case matrix.GSS: // which needs a ticket: the cheapest is anybody's
		k.GSSEncMode, k.Ticket, k.Principal = "require", "valid", stranger
	}
	switch have {
	case AccountItself:
		k.OSUser = c.User
	case OwnTicket:
		k.Ticket, k.Principal = "valid", c.User
	case AnyTicket:
		k.Ticket, k.Principal = "valid", stranger
	case OwnCert:
		k.Cert = "good"
	case AnyCert:
		k.Cert = strangersCert.Name
	case OwnPassword:
		k.Password = "right"
	case PasswordCert:
		k.Password, k.Cert = "right", "good"
	case PasswordOther:
		k.Password, k.Cert = "right", strangersCert.Name
	}
	cell := &matrix.Cell{World: x.world, Client: k}
	if name, ok := strings.CutPrefix(string(have), ticketOf); ok && have != AnyTicket {
		cell.Client.Ticket, cell.Client.Principal = "valid", name
		cell.World = withPrincipal(x.world, name)
	} else if name, ok := strings.CutPrefix(string(have), certOf); ok && have != AnyCert {
		cert := strangersCert
		cert.Name, cert.Subject = "mapped", []matrix.Attribute{{Type: "CN", Value: name}}
		cell.Client.Cert = cert.Name
		w := *x.world
		w.Certificates = append(slices.Clone(w.Certificates), cert)
		cell.World = &w
	} else if name, ok := strings.CutPrefix(string(have), accountOf); ok && have != AccountItself {
		w := *x.world
		w.OSUsers = append(slices.Clone(w.OSUsers), name)
		cell.World, cell.Client.OSUser = &w, name
	}
	return cell
}

// withPrincipal is the world with a principal NAME or NAME@REALM; a realm that it does not have is one that it trusts.
func withPrincipal(world *matrix.World, principal string) *matrix.World {
	w := *world
	w.Realms = slices.Clone(w.Realms)
	name, realm, _ := strings.Cut(principal, "@")
	at := slices.IndexFunc(w.Realms, func(r matrix.Realm) bool { return r.Name == cmp.Or(realm, w.Realms[0].Name) })
	if at < 0 {
		at = len(w.Realms)
		w.Realms = append(w.Realms, matrix.Realm{Name: realm, Trusted: true})
	}
	if !slices.Contains(w.Realms[at].Principals, name) {
		w.Realms[at].Principals = append(slices.Clone(w.Realms[at].Principals), name)
	}
	return &w
}

// mapped are the credentials of the names that lines of the record's map have for the user: those of literal names, and of one that stands for an expression; and
// of the user's name in the other realms that the server's trusts.
func (x *side) mapped(c Class, record int) (list []Credential) {
	r := &x.rules.Records[record]
	kind := mappedKind(r.Method, c.Channel)
	if kind == "" {
		return nil
	}
	for _, realm := range x.world.Realms[1:] {
		if kind == ticketOf {
			list = append(list, Credential(kind+c.User+"@"+realm.Name))
		}
	}
	if r.Map() == "" {
		return list
	}
	for _, m := range x.rules.Mappings {
		reaches := m.Role.Text == c.User || m.Role.Regex || m.Role.Keyword("all") || strings.Contains(m.Role.Text, `\1`)
		if _, group := m.Role.Group(); m.Map != r.Map() || !reaches && !group {
			continue
		}
		name := m.System.Text
		if m.System.Regex || strings.HasPrefix(name, "/") {
			user := c.User
			if before, after, ok := strings.Cut(m.Role.Text, `\1`); ok {
				user = strings.TrimSuffix(strings.TrimPrefix(c.User, before), after)
			}
			name = exampleOf(strings.TrimPrefix(name, "/"), user)
		}
		realm := x.world.Realms[0].Name
		if local, in, ok := strings.Cut(name, "@"); kind == ticketOf && ok && in == realm {
			name = local
		}
		own := name == c.User || name == stranger
		if have := Credential(kind + name); name != "" && !own && !slices.Contains(list, have) && (kind != ticketOf || !strings.HasSuffix(name, "@")) {
			list = append(list, have)
		}
	}
	return list
}

// mappedKind is the kind of credential whose name a map is asked for; "" if there is none on this channel.
func mappedKind(method matrix.Method, channel matrix.Channel) string {
	switch {
	case method == matrix.MethodGSS && channel != Local:
		return ticketOf
	case method == matrix.MethodCert && channel == matrix.TLS:
		return certOf
	case method == matrix.MethodPeer && channel == Local:
		return accountOf
	}
	return ""
}

// admissions remembers what was asked: many classes differ in nothing that the methods look at.
type admissions struct {
	x     *side
	known map[asked]admission
}

// admission is whom a record lets in, or why that cannot be said.
type admission struct {
	lets    []Credential
	unknown string
}

type asked struct {
	record  int
	channel matrix.Channel
	user    string
}

// admitted are the credentials with which a client of the class gets in by the record, of those that include one another the least. unknown is why that
// cannot be said, where it cannot.
func (m *admissions) admitted(c Class, record int) (lets []Credential, unknown string, err error) {
	if record < 0 {
		return nil, "", nil
	}
	key := asked{record, c.Channel, c.User}
	a, ok := m.known[key]
	if !ok {
		if a, err = m.ask(c, record); err != nil {
			return nil, "", err
		}
		m.known[key] = a
	}
	return a.lets, a.unknown, nil
}

// ask tries one credential after the other.
func (m *admissions) ask(c Class, record int) (a admission, err error) {
	has := map[Credential]bool{}
	for _, have := range slices.Concat(credentials, m.x.mapped(c, record)) {
		if !possible(c.Channel, have) || implied(c.Channel, has, have) {
			continue
		}
		p, err := oracle.Predict(m.x.attempt(c, have))
		if cannot := (*oracle.CannotPredict)(nil); errors.As(err, &cannot) {
			return admission{unknown: err.Error()}, nil
		}
		if err != nil {
			return admission{}, err
		}
		if p.Outcome.End == matrix.Connected {
			has[have] = true
			a.lets = append(a.lets, have)
		}
	}
	return a, nil
}

// possible says whether a client with the credential can have the channel, and the credential a meaning there.
func possible(channel matrix.Channel, have Credential) bool {
	switch have {
	case AccountItself:
		return channel == Local
	case AnyTicket, OwnTicket:
		return channel != Local
	case Nothing:
		return channel != matrix.GSS
	case AnyCert, OwnCert, PasswordCert, PasswordOther:
		return channel == matrix.TLS
	}
	return true
}

// implied says whether a client gets in with less. A client that encrypts with GSSAPI has a ticket, of one principal or another.
func implied(channel matrix.Channel, has map[Credential]bool, have Credential) bool {
	if channel == matrix.GSS && has[AnyTicket] {
		return true
	}
	less, known := includes[have]
	if !known && have.rank() == len(credentials) { // of a name that a map has
		less = []Credential{Nothing, AnyTicket, AnyCert}
	}
	return slices.ContainsFunc(less, func(l Credential) bool { return has[l] })
}

func newAdmissions(x *side) *admissions { return &admissions{x, map[asked]admission{}} }

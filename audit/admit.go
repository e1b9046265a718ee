package audit

import (
	"errors"

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
	return &matrix.Cell{World: x.world, Client: k}
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
		if a, err = m.ask(c); err != nil {
			return nil, "", err
		}
		m.known[key] = a
	}
	return a.lets, a.unknown, nil
}

// ask tries one credential after the other.
func (m *admissions) ask(c Class) (a admission, err error) {
	has := map[Credential]bool{}
	for _, have := range credentials {
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
	for _, less := range includes[have] {
		if has[less] {
			return true
		}
	}
	return false
}

func newAdmissions(x *side) *admissions { return &admissions{x, map[asked]admission{}} }

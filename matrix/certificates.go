package matrix

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Certificate describes an X.509 certificate: fixtures makes what it says, and the oracle reasons from it. In the texts of its names,
// {user} stands for the role that the client requests and {host} for the server's host name.
type Certificate struct {
	Name     string // as axes name it
	Doc      string // one line, for docs/scenarios.md; of the catalogues only
	Subject  []Attribute
	DNS      []string // alternative names
	IP       []string
	URI      []string
	Email    []string
	Issuer   string // of Issuers
	Key      Key
	PSS      bool // signed with RSASSA-PSS; of RSA keys only
	Validity Validity
	Usage    Usage
	KeyUsage KeyUsage
	Version  int  // 3, or 1: no extensions, and so no alternative names and no usage
	Revoked  bool // on its issuer's revocation list
	Chain    bool // the certificate of the intermediate that issued it is sent with it
}

// Attribute is one relative distinguished name of a subject.
type Attribute struct{ Type, Value string }

// AttributeTypes are the types of attributes, by the short names with which PostgreSQL prints them, and their object identifiers.
var AttributeTypes = []struct {
	Name string
	OID  []int
}{
	{"CN", []int{2, 5, 4, 3}}, {"O", []int{2, 5, 4, 10}}, {"OU", []int{2, 5, 4, 11}}, {"L", []int{2, 5, 4, 7}}, {"ST", []int{2, 5, 4, 8}}, {"C", []int{2, 5, 4, 6}},
	{"DC", []int{0, 9, 2342, 19200300, 100, 1, 25}}, {"UID", []int{0, 9, 2342, 19200300, 100, 1, 1}}, {"emailAddress", []int{1, 2, 840, 113549, 1, 9, 1}},
}

// Issuer is a CA of the PKI.
type Issuer struct {
	Name   string
	Parent string // the CA that certified it; empty: it is a root
	Like   string // the CA whose name it has; empty: its own
	Doc    string
}

// Issuers are the CAs. The name of the first is that of the CA of the axes root, crl and servercrl.
var Issuers = []Issuer{
	{"right", "", "", "the CA that the server trusts for clients, and that signs the server's certificate where nothing else is said"},
	{"other", "", "", "a CA that neither side knows"},
	{"system", "", "", "a CA among the system's roots of the clients"},
	{"intermediate", "right", "", "an intermediate CA that CA right certified"},
	{"impostor", "", "right", "a CA that neither side knows, with the name of CA right and another key"},
	{SelfIssued, "", "", "none: the certificate is signed with its own key, and names itself as its issuer"},
}

// SelfIssued is the issuer of certificates that have none.
const SelfIssued = "self"

// RootOf is the root above an issuer, and whether there is an intermediate between the root and what the issuer signs.
func RootOf(issuer string) (root string, between bool) {
	for _, i := range Issuers {
		if i.Name == issuer && i.Parent != "" {
			return i.Parent, true
		}
	}
	return issuer, false
}

// NameOf is the name that an issuer's certificate has: its own, or that of the CA for which it passes itself off.
func NameOf(issuer string) string {
	for _, i := range Issuers {
		if i.Name == issuer && i.Like != "" {
			return i.Like
		}
	}
	return issuer
}

// Key is the kind of a certificate's key. The issuer signs with a key of the same kind, and with SHA-256 where the kind leaves a choice.
type Key string

// The kinds of keys.
const (
	ECDSA   Key = "ecdsa"   // P-256
	RSA     Key = "rsa"     // 2048 bits
	Ed25519 Key = "ed25519" // its signature names no hash
)

// Keys are all kinds of keys.
var Keys = []Key{ECDSA, RSA, Ed25519}

// Usage is the extended key usage.
type Usage string

// The usages.
const (
	ForServers Usage = "server"
	ForClients Usage = "client"
	ForBoth    Usage = "both"
	ForAny     Usage = "none" // the certificate does not say
)

// KeyUsage is the key usage, an extension beside the extended one.
type KeyUsage string

// The key usages.
const (
	Signature    KeyUsage = "signature"    // digitalSignature
	Encipherment KeyUsage = "encipherment" // keyEncipherment alone
)

// KeyUsages are all key usages.
var KeyUsages = []KeyUsage{Signature, Encipherment}

// Usages are all usages.
var Usages = []Usage{ForServers, ForClients, ForBoth, ForAny}

// Validity is the period in which a certificate is valid.
type Validity string

// The periods.
const (
	Valid       Validity = "valid"
	Expired     Validity = "expired"
	NotYetValid Validity = "not-yet-valid"
)

// Validities are all periods, as offsets from the time at which the certificate is made.
var Validities = []struct {
	Name        Validity
	From, Until time.Duration
}{
	{Valid, -time.Hour, 7 * 24 * time.Hour},
	{Expired, -48 * time.Hour, -24 * time.Hour},
	{NotYetValid, 24 * time.Hour, 7 * 24 * time.Hour},
}

// Period is the certificate's period.
func (c *Certificate) Period() (from, until time.Duration) {
	for _, v := range Validities {
		if v.Name == c.Validity {
			return v.From, v.Until
		}
	}
	panic("matrix: no validity " + string(c.Validity)) // the loader and the catalogues have no other
}

func commonName(name string) []Attribute { return []Attribute{{"CN", name}} }

var (
	aServers = Certificate{Subject: commonName("{host}"), DNS: []string{"{host}"}, Issuer: "right", Key: ECDSA, Validity: Valid, Usage: ForServers, KeyUsage: Signature, Version: 3}
	aClients = Certificate{Subject: commonName("{user}"), Issuer: "right", Key: ECDSA, Validity: Valid, Usage: ForClients, KeyUsage: Signature, Version: 3}
)

// as is an entry of a catalogue: a certificate that differs in what change says.
func (c Certificate) as(name, doc string, change func(*Certificate)) Certificate {
	c.Name, c.Doc = name, doc
	change(&c)
	return c
}

// ServerCertificates are the certificates that a server can have: the values of the axis servercert.
var ServerCertificates = []Certificate{
	aServers.as("good", "no fault, ECDSA", func(*Certificate) {}),
	aServers.as("other-ca", "signed by another CA", func(c *Certificate) { c.Issuer = "other" }),
	aServers.as("expired", "no longer valid", func(c *Certificate) { c.Validity = Expired }),
	aServers.as("wrong-name", "for another host name", func(c *Certificate) {
		c.Subject, c.DNS = commonName("wrong-name.{host}"), []string{"wrong-name.{host}"}
	}),
	aServers.as("cn-only", "host name in the subject only", func(c *Certificate) { c.DNS = nil }),
	aServers.as("revoked", "on its CA's revocation list", func(c *Certificate) { c.Revoked = true }),
	aServers.as("system-ca", "signed by a CA that is among the system's roots of the clients", func(c *Certificate) { c.Issuer = "system" }),
	aServers.as("rsa", "no fault, RSA", func(c *Certificate) { c.Key = RSA }),
	aServers.as("rsa-pss", "no fault, RSA, signed with RSASSA-PSS", func(c *Certificate) { c.Key, c.PSS = RSA, true }),
	aServers.as("ed25519", "no fault, Ed25519", func(c *Certificate) { c.Key = Ed25519 }),
}

// ClientCertificates are the certificates that a client can have: values of the axis cert. A new one is an entry here.
var ClientCertificates = []Certificate{
	aClients.as("good", "no fault: it names the user", func(*Certificate) {}),
	aClients.as("expired", "no longer valid", func(c *Certificate) { c.Validity = Expired }),
	aClients.as("not-yet-valid", "not valid before tomorrow", func(c *Certificate) { c.Validity = NotYetValid }),
	aClients.as("other-ca", "signed by a CA that the server does not know", func(c *Certificate) { c.Issuer = "other" }),
	aClients.as("impostor", "signed by a CA that has the name of the one that the server knows, and another key", func(c *Certificate) { c.Issuer = "impostor" }),
	aClients.as("self-signed", "signed with its own key", func(c *Certificate) { c.Issuer = SelfIssued }),
	aClients.as("revoked", "on its CA's revocation list", func(c *Certificate) { c.Revoked = true }),
	aClients.as("other-user", "for another user", func(c *Certificate) { c.Subject = commonName("not-{user}") }),
	aClients.as("server-usage", "for servers only, by its extended key usage", func(c *Certificate) { c.Usage = ForServers }),
	aClients.as("any-usage", "without extended key usage", func(c *Certificate) { c.Usage = ForAny }),
	aClients.as("encipherment", "for encipherment only, by its key usage: its key must not sign, which is what a client does with it", func(c *Certificate) { c.KeyUsage = Encipherment }),
	aClients.as("dn", "a subject of several attributes", func(c *Certificate) {
		c.Subject = []Attribute{{"C", "DE"}, {"O", "Example, Inc."}, {"OU", "Data + Analysis"}, {"CN", "{user}"}}
	}),
	aClients.as("spiffe", "a SPIFFE ID, and no common name", func(c *Certificate) {
		c.Subject, c.URI = []Attribute{{"C", "US"}, {"O", "SPIRE"}}, []string{"spiffe://example.test/{user}"}
	}),
	aClients.as("no-subject", "an empty subject; the user is an alternative name", func(c *Certificate) { c.Subject, c.Email = nil, []string{"{user}@example.test"} }),
	aClients.as("intermediate", "signed by an intermediate CA whose certificate is sent with it", func(c *Certificate) { c.Issuer, c.Chain = "intermediate", true }),
	aClients.as("intermediate-alone", "signed by an intermediate CA whose certificate is not sent", func(c *Certificate) { c.Issuer = "intermediate" }),
	aClients.as("version-1", "X.509 version 1, without extensions", func(c *Certificate) { c.Version, c.Usage = 1, ForAny }),
	aClients.as("rsa", "RSA", func(c *Certificate) { c.Key = RSA }),
	aClients.as("rsa-pss", "RSA, signed with RSASSA-PSS", func(c *Certificate) { c.Key, c.PSS = RSA, true }),
	aClients.as("ed25519", "Ed25519", func(c *Certificate) { c.Key = Ed25519 }),
}

// certificateNames are the names of a catalogue.
func certificateNames(catalogue []Certificate) (names []string) {
	for _, c := range catalogue {
		names = append(names, c.Name)
	}
	return names
}

// certificate finds a certificate by name: the scenario's own, or one of a catalogue. It is nil if there is none. user and host stand for
// {user} and {host}.
func (w *World) certificate(name string, catalogue []Certificate, user string) *Certificate {
	c, ok := described(name, func(c *Certificate) string { return c.Name }, w.Certificates, catalogue)
	if !ok {
		return nil
	}
	return c.named(user, w.Host)
}

// ServerCertificate is the server's certificate; nil if there is none of that name.
func (w *World) ServerCertificate() *Certificate {
	name := w.ServerCert
	if name == "" {
		name = "good"
	}
	return w.certificate(name, ServerCertificates, "")
}

// ClientCertificate is the certificate that the client has, ambient or not; nil if it has none, or if there is none of that name.
func (w *World) ClientCertificate(c *Client) *Certificate {
	if c.Cert == Ambient {
		return w.certificate("good", ClientCertificates, ServiceAccount)
	}
	return w.certificate(c.Cert, ClientCertificates, c.User)
}

// named is a copy with the names of user and host.
func (c *Certificate) named(user, host string) *Certificate {
	names, named := strings.NewReplacer("{user}", user, "{host}", host), *c
	replace := func(texts []string) (replaced []string) {
		for _, t := range texts {
			replaced = append(replaced, names.Replace(t))
		}
		return replaced
	}
	named.Subject = nil
	for _, a := range c.Subject {
		named.Subject = append(named.Subject, Attribute{a.Type, names.Replace(a.Value)})
	}
	named.DNS, named.IP, named.URI, named.Email = replace(c.DNS), replace(c.IP), replace(c.URI), replace(c.Email)
	return &named
}

// mentions says whether one of the certificate's names contains the text.
func (c *Certificate) mentions(text string) bool {
	names := slices.Concat(c.DNS, c.IP, c.URI, c.Email)
	for _, a := range c.Subject {
		names = append(names, a.Value)
	}
	return slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, text) })
}

// CommonName is the first common name of the subject, or "".
func (c *Certificate) CommonName() string {
	for _, a := range c.Subject {
		if a.Type == "CN" {
			return a.Value
		}
	}
	return ""
}

// Digest identifies the certificate among all that can be described.
func (c *Certificate) Digest() string {
	whole := *c
	whole.Doc = ""
	sum := sha256.Sum256(fmt.Appendf(nil, "%#v", whole))
	return hex.EncodeToString(sum[:8])
}

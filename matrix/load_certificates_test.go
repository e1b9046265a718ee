package matrix

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// certScenario has lines of one certificate, which a cell has.
func certScenario(lines ...string) string {
	return top + "  certificates:\n    pooler:\n      " + strings.Join(lines, "\n      ") + "\nclient:\n  cert: [good, pooler]\n"
}

func TestOwnCertificates(t *testing.T) {
	s := load(t, top+`  servercert: [good, web]
  certificates:
    pooler:
      subject: "{user}"
    web:
      subject: {C: DE, OU: [a, b], CN: "{host}"}
      dns: ["*.example.test", "{host}"]
      ip: 192.0.2.1
      uri: spiffe://{host}/db
      email: dba@{host}
      issuer: intermediate
      key: rsa
      signature: pss
      validity: not-yet-valid
      usage: none
      key_usage: encipherment
      revoked: true
      chain: true
    old:
      subject: {}
      version: 1
client:
  cert: [none, pooler, old, spiffe]
expect:
  - when: {cert: [pooler, old], servercert: web}
    then: connected
`)
	want := []Certificate{
		{Name: "pooler", Subject: []Attribute{{"CN", "{user}"}}, Issuer: "right", Key: ECDSA, Validity: Valid, Usage: ForBoth, KeyUsage: Signature, Version: 3},
		{Name: "web", Subject: []Attribute{{"C", "DE"}, {"OU", "a"}, {"OU", "b"}, {"CN", "{host}"}}, DNS: []string{"*.example.test", "{host}"}, IP: []string{"192.0.2.1"}, URI: []string{"spiffe://{host}/db"}, Email: []string{"dba@{host}"},
			Issuer: "intermediate", Key: RSA, PSS: true, Validity: NotYetValid, Usage: ForAny, KeyUsage: Encipherment, Version: 3, Revoked: true, Chain: true},
		{Name: "old", Issuer: "right", Key: ECDSA, Validity: Valid, Usage: ForAny, KeyUsage: Signature, Version: 1},
	}
	if d := cmp.Diff(want, s.Certificates); d != "" {
		t.Error(d)
	}
	for i := range reflect.TypeFor[Certificate]().NumField() { // a property that no key sets would be in no description
		field := reflect.TypeFor[Certificate]().Field(i).Name
		if reflect.ValueOf(want[1]).Field(i).IsZero() && field != "Doc" {
			t.Errorf("this test sets no %s", field)
		}
	}
	cells := s.Expand()
	if len(cells) != 8 {
		t.Fatalf("%d cells", len(cells))
	}
	for _, c := range cells {
		server, client := c.World.ServerCertificate(), c.World.ClientCertificate(&c.Client)
		if server == nil || server.Name != c.World.ServerCert || server.mentions("{") {
			t.Errorf("%s: server %+v", c.ID, server)
		}
		if c.Client.Cert == "none" != (client == nil) || client != nil && (client.Name != c.Client.Cert || client.mentions("{")) {
			t.Errorf("%s: client %+v", c.ID, client)
		}
		if claimed := c.World.ServerCert == "web" && (c.Client.Cert == "pooler" || c.Client.Cert == "old"); claimed != (c.Expect != nil) {
			t.Errorf("%s: expect %v", c.ID, c.Expect)
		}
	}
}

// TestCertificateMistakes has the whole text of each error. Where the schema takes the file, only Load knows.
func TestCertificateMistakes(t *testing.T) {
	schema := compiledSchema(t)
	for _, m := range []struct {
		source, want string
		onlyLoad     bool
	}{
		{top + "  certificates: pooler\n", "a/b.yaml:5:17: certificates is text; want a mapping", false},
		{certScenario("subject: a", "sans: b"), `a/b.yaml:8:7: unknown key "sans" of a certificate; want subject, dns, ip, uri, email, issuer, key, signature, validity, usage, key_usage, version, revoked or chain`, false},
		{certScenario("subject: a", "isuer: other"), `a/b.yaml:8:7: unknown key "isuer" of a certificate; did you mean "issuer"?`, false},
		{certScenario("usage: client"), `a/b.yaml:6:5: certificate pooler has no subject; want subject: NAME, as in subject: "{user}", or {} for none`, false},
		{certScenario("subject: {cn: a}"), `a/b.yaml:7:17: unknown attribute "cn" of a subject; did you mean "CN"?`, false},
		{certScenario("subject: {C: Germany}"), `a/b.yaml:7:20: "Germany" is no country; want two capital letters, as in DE`, true},
		{certScenario("subject: {DC: Köln}"), `a/b.yaml:7:21: DC is "Köln", which is not ASCII; write it in ASCII`, true},
		{certScenario("subject: ' '"), "a/b.yaml:7:16: a name in a certificate is empty; want text", false},
		{certScenario(`subject: "a\0b"`), `a/b.yaml:7:16: "a\x00b" has a control character; leave it out`, true},
		{certScenario("subject: '{role}'"), "a/b.yaml:7:16: {role} stands for nothing; want {user} or {host}", true},
		{certScenario("subject: a", "dns: Upper.test"), `a/b.yaml:8:12: "Upper.test" is no alternative name of type dns; want a host name in lower case, as in db.example.test or *.example.test`, true},
		{certScenario("subject: a", "ip: 300.1.1.1"), `a/b.yaml:8:11: "300.1.1.1" is no alternative name of type ip; want an IPv4 or IPv6 address`, true},
		{certScenario("subject: a", "uri: 'spiffe://a b'"), `a/b.yaml:8:12: "spiffe://a b" is no alternative name of type uri; want an absolute URI, as in spiffe://example.test/db`, true},
		{certScenario("subject: a", "uri: [db]"), `a/b.yaml:8:13: "db" is no alternative name of type uri; want an absolute URI, as in spiffe://example.test/db`, true},
		{certScenario("subject: a", "uri: spiffe://é.test/a"), `a/b.yaml:8:12: "spiffe://é.test/a" is no alternative name of type uri; write it in ASCII`, true},
		{certScenario("subject: a", "email: dba"), `a/b.yaml:8:14: "dba" is no alternative name of type email; want NAME@HOST`, true},
		{certScenario("subject: a", "issuer: wrong"), `a/b.yaml:8:15: impossible value "wrong" of issuer; want right, other, system, intermediate, impostor or self`, false},
		{certScenario("subject: a", "key: dsa"), `a/b.yaml:8:12: impossible value "dsa" of key; did you mean "rsa"?`, false},
		{certScenario("subject: a", "signature: pss"), "a/b.yaml:8:7: signature is a choice of key: rsa only; leave it out, or write key: rsa", true},
		{certScenario("subject: a", "validity: 30d"), `a/b.yaml:8:17: impossible value "30d" of validity; want valid, expired or not-yet-valid`, false},
		{certScenario("subject: a", "version: 2"), `a/b.yaml:8:16: impossible value "2" of version; want 1 or 3`, false},
		{certScenario("subject: a", "version: 1", "usage: client"), "a/b.yaml:9:7: version 1 has no extensions, and so no usage; leave it out, or write usage: none", true},
		{certScenario("subject: a", "version: 1", "dns: a.test"), "a/b.yaml:8:7: version 1 has no extensions, and so no alternative names; leave them out, or write version: 3", true},
		{certScenario("subject: a", "revoked: yes"), `a/b.yaml:8:16: impossible value "yes" of revoked; want true or false`, false},
		{certScenario("subject: a", "chain: true"), "a/b.yaml:8:7: chain: true, and the issuer is a root: there is no intermediate to send; leave it out, or write issuer: intermediate", true},
		{certScenario("subject: a", "subject: b"), `a/b.yaml:8:7: key "subject" is there twice; keep this one or the one in line 7`, true},
		{top + "  certificates:\n    expired: {subject: a}\n", "a/b.yaml:6:5: expired is a certificate that every scenario has; choose another name", true},
		{top + "  certificates:\n    Pooler: {subject: a}\n", `a/b.yaml:6:5: "Pooler" is no name for a certificate; want a-z, 0-9 and single hyphens, as in two-hosts`, false},
		{top + "  certificates:\n    pooler: {subject: a}\n", "a/b.yaml:6:5: no cell has the certificate pooler; name it under world as servercert or under client as cert, or leave it out", true},
		{top + "  servercert: pooler\n  certificates:\n    pooler: {subject: '{user}'}\n", "a/b.yaml:7:5: the server's certificate pooler names {user}, and a server has no user; write the name itself, or {host}", true},
		{client + "  cert: pooler\n", `a/b.yaml:6:9: impossible value "pooler" of cert; want none, good, ambient, ` + strings.Join(certificateNames(ClientCertificates)[1:len(ClientCertificates)-1], ", ") + " or ed25519", true},
		{top + "certificates: {}\n", "a/b.yaml:5:1: certificates does not belong at the top level; move it under world", false},
		{top + "  settings: {ssl_crl_file: x}\n", "a/b.yaml:5:14: the setting ssl_crl_file belongs to the harness; use the world axis servercrl", false},
	} {
		_, err := Load(fstest.MapFS{"a/b.yaml": {Data: []byte(m.source)}})
		if err == nil || err.Error() != m.want {
			t.Errorf("%s\n got %v\nwant %s", m.source, err, m.want)
			continue
		}
		v, err := asEditorsRead([]byte(m.source))
		if err == nil && (schema.Validate(v) == nil) != m.onlyLoad {
			t.Errorf("%s\nthe schema says %v", m.source, schema.Validate(v))
		}
	}
}

// TestCatalogues: a certificate has all that Certificate describes, and its names are not those of other values.
func TestCatalogues(t *testing.T) {
	for _, catalogue := range [][]Certificate{ServerCertificates, ClientCertificates} {
		seen := map[string]bool{}
		for _, c := range catalogue {
			digest := c.Digest()
			if seen[c.Name] || seen[digest] || !kebabCase.MatchString(c.Name) || c.Doc == "" {
				t.Errorf("%s is there twice, or has no name or no description", c.Name)
			}
			seen[c.Name], seen[digest] = true, true
			if !slices.Contains(Keys, c.Key) || !slices.Contains(Usages, c.Usage) || !slices.Contains(issuerNames(), c.Issuer) || c.PSS && c.Key != RSA {
				t.Errorf("%s: %+v", c.Name, c)
			}
			if from, until := c.Period(); from >= until {
				t.Errorf("%s is valid from %s until %s", c.Name, from, until)
			}
			if c.Version == 1 && (c.Usage != ForAny || len(slices.Concat(c.DNS, c.IP, c.URI, c.Email)) > 0) || c.Version != 1 && c.Version != 3 {
				t.Errorf("%s is of version %d", c.Name, c.Version)
			}
			if _, between := RootOf(c.Issuer); c.Chain && !between {
				t.Errorf("%s sends an intermediate and has none", c.Name)
			}
		}
	}
	if slices.ContainsFunc(ServerCertificates, func(c Certificate) bool { return c.mentions("{user}") }) {
		t.Error("a server's certificate names a user")
	}
}

// TestDigest: two certificates that differ in anything but what is said about them have different digests.
func TestDigest(t *testing.T) {
	w := &World{Host: DefaultHost}
	alice, bob := w.ClientCertificate(&Client{Cert: "good", User: "alice"}), w.ClientCertificate(&Client{Cert: "good", User: "bob"})
	if alice.Digest() == bob.Digest() {
		t.Error("the certificates of two users have one digest")
	}
	if service := w.ClientCertificate(&Client{Cert: Ambient, User: "alice"}); service.CommonName() != ServiceAccount {
		t.Errorf("the ambient certificate names %q", service.CommonName())
	}
	described := *alice
	described.Doc = "another"
	if described.Digest() != alice.Digest() {
		t.Error("what is said about a certificate changes its digest")
	}
}

// TestKeyOfOwnCertificates: two scenarios may give one name to two certificates, and their worlds are two.
func TestKeyOfOwnCertificates(t *testing.T) {
	a := &World{Server: 18, SSL: "on", ServerCert: "web", Host: DefaultHost, Certificates: []Certificate{{Name: "web", Issuer: "right"}}}
	b := &World{Server: 18, SSL: "on", ServerCert: "web", Host: DefaultHost, Certificates: []Certificate{{Name: "web", Issuer: "other"}}}
	c := *a
	c.ServerCRL = "right"
	if a.Key() == b.Key() || a.Key() == c.Key() || a.EnvKey() != b.EnvKey() {
		t.Errorf("keys:\n%s\n%s\n%s", a.Key(), b.Key(), c.Key())
	}
	plain := &World{Server: 18, SSL: "on", ServerCert: "good", ServerCRL: "none", ServerCA: "right", Host: DefaultHost}
	own := *plain
	own.Certificates = a.Certificates // of clients only
	if plain.Key() != own.Key() {
		t.Errorf("the clients' certificates make two worlds:\n%s\n%s", plain.Key(), own.Key())
	}
}

func TestCertificatesOnTheCommandLine(t *testing.T) {
	if v, err := ParseAxisValues("cert=pooler,good"); err != nil || !slices.Equal(v.Values, []string{"pooler", "good"}) {
		t.Errorf("%v, %v", v, err)
	}
	if _, err := ParseAxisValues("cert=Pooler"); err == nil {
		t.Error("a name that no certificate can have")
	}
}

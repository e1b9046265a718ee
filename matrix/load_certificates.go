package matrix

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// certificateKeys are the keys of a certificate under world.certificates, in the order of docs/scenarios.md.
var certificateKeys = []struct {
	name, doc string
	read      func(l *loading, c *Certificate, v *value)
	schema    func() object // without the description
}{
	{"subject", "the common name, or a mapping of attributes in their order (CN, O, OU, L, ST, C, DC, UID, emailAddress), each with a value or several; {} is an empty subject. Required", (*loading).subject, subjectSchema},
	{"dns", "alternative names: host names", namesKey("dns", func(c *Certificate) *[]string { return &c.DNS }, wrongDNS), alternativeNamesSchema},
	{"ip", "alternative names: IP addresses", namesKey("ip", func(c *Certificate) *[]string { return &c.IP }, wrongIP), alternativeNamesSchema},
	{"uri", "alternative names: URIs", namesKey("uri", func(c *Certificate) *[]string { return &c.URI }, wrongURI), alternativeNamesSchema},
	{"email", "alternative names: mail addresses", namesKey("email", func(c *Certificate) *[]string { return &c.Email }, wrongEmail), alternativeNamesSchema},
	{"issuer", "the CA that signs it; default: right", wordKey("issuer", issuerNames(), func(c *Certificate, word string) { c.Issuer = word }), wordSchema(issuerNames())},
	{"key", "the kind of its key, and of the CA's key that signs it: ecdsa (default, P-256), rsa (2048 bits) or ed25519", wordKey("key", stringsOf(Keys), func(c *Certificate, word string) { c.Key = Key(word) }), wordSchema(stringsOf(Keys))},
	{"signature", "of key: rsa: pkcs1 (default) or pss", wordKey("signature", signatures, func(c *Certificate, word string) { c.PSS = word == "pss" }), wordSchema(signatures)},
	{"validity", "valid (default), expired, or not-yet-valid: valid from tomorrow on", wordKey("validity", validityNames(), func(c *Certificate, word string) { c.Validity = Validity(word) }), wordSchema(validityNames())},
	{"usage", "the extended key usage: server, client, both (default), or none: the certificate does not say (default of version 1)", wordKey("usage", stringsOf(Usages), func(c *Certificate, word string) { c.Usage = Usage(word) }), wordSchema(stringsOf(Usages))},
	{"key_usage", "the key usage: signature (default), or encipherment: no signatures", wordKey("key_usage", stringsOf(KeyUsages), func(c *Certificate, word string) { c.KeyUsage = KeyUsage(word) }), wordSchema(stringsOf(KeyUsages))},
	{"version", "the X.509 version, 3 (default) or 1, which has no extensions", wordKey("version", []string{"1", "3"}, func(c *Certificate, word string) { c.Version = int(word[0] - '0') }), func() object { return object{"enum": []int{1, 3}} }},
	{"revoked", "whether it is on its CA's revocation list; default: false", wordKey("revoked", booleans, func(c *Certificate, word string) { c.Revoked = word == "true" }), booleanSchema},
	{"chain", "whether the certificate of an intermediate issuer is sent with it; default: false", wordKey("chain", booleans, func(c *Certificate, word string) { c.Chain = word == "true" }), booleanSchema},
}

var (
	signatures = []string{"pkcs1", "pss"}
	booleans   = []string{"true", "false"}
)

func issuerNames() (names []string) {
	for _, i := range Issuers {
		names = append(names, i.Name)
	}
	return names
}

func validityNames() (names []string) {
	for _, v := range Validities {
		names = append(names, string(v.Name))
	}
	return names
}

func attributeTypes() (names []string) {
	for _, t := range AttributeTypes {
		names = append(names, t.Name)
	}
	return names
}

func certificateKeyNames() (names []string) {
	for _, k := range certificateKeys {
		names = append(names, k.name)
	}
	return names
}

// certificates reads the scenario's own certificates, which are values of two axes.
func (l *loading) certificates(v *value) {
	for _, e := range l.ownNames(v, "certificates", "certificate", "servercert", "cert") {
		l.certificate(e)
	}
}

// certificate reads one certificate. With a mistake in it, it is known all the same: the mistake is not that an axis names it.
func (l *loading) certificate(named entry) {
	c := Certificate{Name: named.key, Issuer: "right", Key: ECDSA, Validity: Valid, KeyUsage: Signature, Version: 3}
	entries := l.entriesOnce(named.value, "key")
	at := map[string]position{}
	for _, e := range entries {
		at[e.key] = e.position
		i := slices.Index(certificateKeyNames(), e.key)
		if i < 0 {
			l.problem(e.position, fmt.Sprintf("unknown key %q of a certificate", e.key), suggest(e.key, certificateKeyNames()))
			continue
		}
		certificateKeys[i].read(l, &c, e.value)
	}
	if !hasKey(entries, "subject") {
		l.problem(named.position, "certificate "+c.Name+" has no subject", "want subject: NAME, as in subject: \"{user}\", or {} for none")
	}
	if c.Usage == "" {
		if c.Usage = ForBoth; c.Version == 1 {
			c.Usage = ForAny
		}
	}
	_, between := RootOf(c.Issuer)
	for _, wrong := range []struct {
		key   string
		is    bool
		what  string
		right string
	}{
		{"signature", hasKey(entries, "signature") && c.Key != RSA, "signature is a choice of key: rsa only", "leave it out, or write key: rsa"},
		{"chain", c.Chain && !between, "chain: true, and the issuer is a root: there is no intermediate to send", "leave it out, or write issuer: intermediate"},
		{"usage", c.Version == 1 && c.Usage != ForAny, "version 1 has no extensions, and so no usage", "leave it out, or write usage: none"},
		{"key_usage", c.Version == 1 && hasKey(entries, "key_usage"), "version 1 has no extensions, and so no key usage", "leave it out, or write version: 3"},
		{"revoked", c.Revoked && c.Issuer == SelfIssued, "a certificate without a CA is on no CA's list", "leave it out, or write another issuer"},
		{"version", c.Version == 1 && len(slices.Concat(c.DNS, c.IP, c.URI, c.Email)) > 0, "version 1 has no extensions, and so no alternative names", "leave them out, or write version: 3"},
	} {
		if wrong.is {
			l.problem(at[wrong.key], wrong.what, wrong.right)
		}
	}
	l.Certificates = append(l.Certificates, c)
}

// usedCertificates wants each of the scenario's own certificates to be a value of an axis, and the server's not to name a user.
func (l *loading) usedCertificates(v *value) {
	if v == nil || v.kind != mapping {
		return
	}
	for _, e := range v.entries {
		i := slices.IndexFunc(l.Certificates, func(c Certificate) bool { return c.Name == e.key })
		if i < 0 {
			continue
		}
		server := slices.Contains(l.values["servercert"], e.key) || l.hostsMention(e.key)
		switch {
		case server && l.Certificates[i].mentions("{user}"):
			l.problem(e.position, "the server's certificate "+e.key+" names {user}, and a server has no user", "write the name itself, or {host}")
		case !server && !slices.Contains(l.values["cert"], e.key) && !l.bad["servercert"] && !l.bad["cert"]:
			l.problem(e.position, "no cell has the certificate "+e.key, "name it under world as servercert or under client as cert, or leave it out")
		}
	}
}

func (l *loading) subject(c *Certificate, v *value) {
	attribute := func(name string, v *value) {
		wrong, right := wrongName(v.text)
		if name == "CN" && v.text == "" {
			wrong = "" // a common name may be empty, and to a server that is another thing than none
		}
		switch {
		case wrong == "" && name == "C" && !countryCode.MatchString(v.text):
			wrong, right = fmt.Sprintf("%q is no country", v.text), "want two capital letters, as in DE"
		case wrong == "" && (name == "DC" || name == "emailAddress") && !isASCII(v.text):
			wrong, right = fmt.Sprintf("%s is %q, which is not ASCII", name, v.text), "write it in ASCII"
		}
		if wrong != "" {
			l.problem(v.position, wrong, right)
		}
		c.Subject = append(c.Subject, Attribute{name, v.text})
	}
	switch {
	case v.kind == scalar:
		attribute("CN", v)
	case l.want(v, "subject", scalar, mapping):
		for _, e := range l.entriesOnce(v, "attribute") {
			if !slices.Contains(attributeTypes(), e.key) {
				l.problem(e.position, fmt.Sprintf("unknown attribute %q of a subject", e.key), suggest(e.key, attributeTypes()))
				continue
			}
			for _, item := range l.scalars(e.value, e.key) {
				attribute(e.key, item)
			}
		}
	}
}

var (
	countryCode  = regexp.MustCompile(`^[A-Z]{2}$`)
	dnsName      = regexp.MustCompile(`^(\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	uri          = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:([A-Za-z0-9._~:/?#@!$&'()*+,;=-]|\[|\]|%[0-9A-Fa-f]{2})+$`) // RFC 3986
	nameInBraces = regexp.MustCompile(`\{[^{}]*\}`)
)

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c > unicode.MaxASCII })
}

// wrongName says what is wrong with a text that names somebody.
func wrongName(text string) (wrong, right string) {
	if strings.TrimSpace(text) == "" {
		return "a name in a certificate is empty", "want text"
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Sprintf("%q has a control character", text), "leave it out"
	}
	for _, t := range nameInBraces.FindAllString(text, -1) {
		if t != "{user}" && t != "{host}" {
			return t + " stands for nothing", "want {user} or {host}"
		}
	}
	return "", ""
}

// namesKey reads alternative names of one type; wrong says what is wrong with one in which {user} and {host} have been replaced.
func namesKey(key string, of func(*Certificate) *[]string, wrong func(string) string) func(*loading, *Certificate, *value) {
	return func(l *loading, c *Certificate, v *value) {
		for _, item := range l.scalars(v, key) {
			what, right := wrongName(item.text)
			if example := wrong(strings.NewReplacer("{user}", "user", "{host}", DefaultHost).Replace(item.text)); what == "" && (example != "" || !isASCII(item.text)) {
				what, right = fmt.Sprintf("%q is no alternative name of type %s", item.text, key), example
				if !isASCII(item.text) {
					right = "write it in ASCII"
				}
			}
			if what != "" {
				l.problem(item.position, what, right)
				continue
			}
			*of(c) = append(*of(c), item.text)
		}
	}
}

func wrongDNS(text string) string {
	if dnsName.MatchString(text) {
		return ""
	}
	return "want a host name in lower case, as in db.example.test or *.example.test"
}

func wrongIP(text string) string {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return ""
	}
	return "want an IPv4 or IPv6 address"
}

func wrongURI(text string) string {
	if uri.MatchString(text) {
		return ""
	}
	return "want an absolute URI, as in spiffe://example.test/db"
}

func wrongEmail(text string) string {
	if name, host, ok := strings.Cut(text, "@"); ok && name != "" && dnsName.MatchString(host) && !strings.ContainsAny(text, " \"") {
		return ""
	}
	return "want NAME@HOST"
}

// wordKey reads one of several words.
func wordKey(key string, words []string, set func(*Certificate, string)) func(*loading, *Certificate, *value) {
	return func(l *loading, c *Certificate, v *value) {
		switch {
		case !l.want(v, key, scalar):
		case !slices.Contains(words, v.text):
			l.problem(v.position, fmt.Sprintf("impossible value %q of %s", v.text, key), suggest(v.text, words))
		default:
			set(c, v.text)
		}
	}
}

func wordSchema(words []string) func() object { return func() object { return object{"enum": words} } }
func booleanSchema() object                   { return object{"type": "boolean"} }
func alternativeNamesSchema() object          { return oneOrMore(object{"type": "string", "pattern": `\S`}) }

func subjectSchema() object {
	name, attributes := object{"type": "string", "pattern": `\S`}, object{}
	for _, t := range attributeTypes() {
		attributes[t] = oneOrMore(name)
	}
	attributes["CN"] = oneOrMore(object{"type": "string"})
	return object{"oneOf": []any{name, closed("", attributes)}}
}

func certificatesSchema() object {
	keys := object{}
	for _, k := range certificateKeys {
		o := k.schema()
		o["description"] = k.doc
		keys[k.name] = o
	}
	return describedSchema(closed("", keys, "subject"))
}

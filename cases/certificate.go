package cases

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Certificate takes what decides from a certificate in PEM, or from what `openssl x509 -text` prints of it. It has no name yet; its issuer is "right" and it is valid:
// see certificates.
func Certificate(text []byte) (*matrix.Certificate, error) {
	parsed, _, err := parsePEM(text)
	switch {
	case err != nil:
		return nil, err
	case parsed != nil:
		return fromX509(parsed)
	case bytes.Contains(text, []byte("Certificate:\n")) && bytes.Contains(text, []byte("Subject:")):
		return fromText(string(text))
	}
	return nil, errors.New("the certificate's file has no PEM block CERTIFICATE: want one that begins with -----BEGIN CERTIFICATE-----, or what openssl x509 -text prints")
}

// parsePEM is the first certificate of a file, and those that follow it; nil if it has none. A private key is an error: nobody should send one.
func parsePEM(text []byte) (first *x509.Certificate, more []*x509.Certificate, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case strings.Contains(block.Type, "PRIVATE KEY"):
			return nil, nil, errors.New("the file has a private key: take it out, and tell the customer that it was sent")
		case block.Type == "CERTIFICATE":
			parsed, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, fmt.Errorf("the certificate cannot be read: %w", err)
			}
			if first == nil {
				first = parsed
			} else {
				more = append(more, parsed)
			}
		}
	}
	return first, more, nil
}

func fromX509(parsed *x509.Certificate) (*matrix.Certificate, error) {
	c := &matrix.Certificate{Issuer: "right", Key: matrix.ECDSA, Validity: matrix.Valid, KeyUsage: matrix.Signature, Version: parsed.Version, DNS: parsed.DNSNames, Email: parsed.EmailAddresses}
	for _, name := range parsed.Subject.Names {
		at := slices.IndexFunc(matrix.AttributeTypes, func(t struct {
			Name string
			OID  []int
		}) bool {
			return slices.Equal(t.OID, []int(name.Type))
		})
		text, isText := name.Value.(string)
		if at < 0 || !isText {
			return nil, fmt.Errorf("the certificate's subject has an attribute %s that is not modelled", name.Type)
		}
		c.Subject = append(c.Subject, matrix.Attribute{Type: matrix.AttributeTypes[at].Name, Value: text})
	}
	for _, ip := range parsed.IPAddresses {
		c.IP = append(c.IP, ip.String())
	}
	for _, uri := range parsed.URIs {
		c.URI = append(c.URI, uri.String())
	}
	switch parsed.PublicKey.(type) {
	case *rsa.PublicKey:
		c.Key = matrix.RSA
	case *ecdsa.PublicKey:
	case ed25519.PublicKey:
		c.Key = matrix.Ed25519
	default:
		return nil, fmt.Errorf("a key %s is not modelled", parsed.PublicKeyAlgorithm)
	}
	c.PSS = c.Key == matrix.RSA && slices.Contains([]x509.SignatureAlgorithm{x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS}, parsed.SignatureAlgorithm)
	if parsed.KeyUsage != 0 && parsed.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		c.KeyUsage = matrix.Encipherment
	}
	usages := parsed.ExtKeyUsage
	c.Usage = usage(slices.Contains(usages, x509.ExtKeyUsageClientAuth), slices.Contains(usages, x509.ExtKeyUsageServerAuth),
		slices.Contains(usages, x509.ExtKeyUsageAny) || len(usages) == 0 && len(parsed.UnknownExtKeyUsage) == 0)
	return c, nil
}

func usage(clients, servers, any bool) matrix.Usage {
	switch {
	case any:
		return matrix.ForAny
	case clients && servers:
		return matrix.ForBoth
	case clients:
		return matrix.ForClients
	}
	return matrix.ForServers
}

// Lines of what `openssl x509 -text` prints.
var (
	textSubject = regexp.MustCompile(`(?m)^\s*Subject: ?(.*)$`)
	textVersion = regexp.MustCompile(`(?m)^\s*Version: (\d)`)
	textKey     = regexp.MustCompile(`(?m)^\s*Public Key Algorithm: (\S+)`)
	textNames   = regexp.MustCompile(`X509v3 Subject Alternative Name:[^\n]*\n\s*([^\n]*)`)
	textUsage   = regexp.MustCompile(`X509v3 Extended Key Usage:[^\n]*\n\s*([^\n]*)`)
	textKeyUse  = regexp.MustCompile(`X509v3 Key Usage:[^\n]*\n\s*([^\n]*)`)
)

// fromText reads what OpenSSL prints, 1.1 and 3 alike: CN = alice, or CN=alice.
func fromText(text string) (*matrix.Certificate, error) {
	c := &matrix.Certificate{Issuer: "right", Key: matrix.ECDSA, Validity: matrix.Valid, KeyUsage: matrix.Signature, Version: 3, Usage: matrix.ForAny}
	for _, part := range commas(match(textSubject, text)) {
		name, value, ok := strings.Cut(part, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf("%q in the certificate's subject is no ATTRIBUTE = VALUE", part)
		}
		if !slices.ContainsFunc(matrix.AttributeTypes, func(t struct {
			Name string
			OID  []int
		}) bool {
			return t.Name == name
		}) {
			return nil, fmt.Errorf("the certificate's subject has an attribute %s that is not modelled", name)
		}
		c.Subject = append(c.Subject, matrix.Attribute{Type: name, Value: strings.Trim(strings.TrimSpace(value), `"`)})
	}
	if match(textVersion, text) == "1" {
		c.Version = 1
	}
	switch algorithm := match(textKey, text); algorithm {
	case "rsaEncryption", "rsassaPss":
		c.Key = matrix.RSA
	case "ED25519":
		c.Key = matrix.Ed25519
	case "id-ecPublicKey", "":
	default:
		return nil, fmt.Errorf("a key %s is not modelled", algorithm)
	}
	c.PSS = c.Key == matrix.RSA && strings.Contains(text, "Signature Algorithm: rsassaPss")
	for _, name := range commas(match(textNames, text)) {
		kind, value, _ := strings.Cut(strings.TrimSpace(name), ":")
		switch kind {
		case "DNS":
			c.DNS = append(c.DNS, value)
		case "IP Address":
			c.IP = append(c.IP, strings.ToLower(value))
		case "URI":
			c.URI = append(c.URI, value)
		case "email":
			c.Email = append(c.Email, value)
		}
	}
	if uses := match(textUsage, text); uses != "" {
		c.Usage = usage(strings.Contains(uses, "Client Authentication"), strings.Contains(uses, "Server Authentication"), strings.Contains(uses, "Any Extended Key Usage"))
	}
	if uses := match(textKeyUse, text); uses != "" && !strings.Contains(uses, "Digital Signature") {
		c.KeyUsage = matrix.Encipherment
	}
	return c, nil
}

// match is the first group of a match; empty if there is none.
func match(re *regexp.Regexp, text string) string {
	if m := re.FindStringSubmatch(text); m != nil {
		return strings.TrimSpace(m[1])
	}
	return ""
}

// commas cuts at ", " outside quotes, and is nothing of an empty text.
func commas(text string) (parts []string) {
	inQuotes, start := false, 0
	for i := range len(text) {
		switch {
		case text[i] == '"':
			inQuotes = !inQuotes
		case text[i] == ',' && !inQuotes && i+1 < len(text) && text[i+1] == ' ':
			parts, start = append(parts, text[start:i]), i+2
		}
	}
	if text != "" {
		parts = append(parts, text[start:])
	}
	return parts
}

// certificateFiles are the endings of files with certificates.
var certificateFiles = []string{".x509.txt", ".crt", ".pem"}

var notKebab = regexp.MustCompile(`[^a-z0-9]+`)

func setValidity(cert *matrix.Certificate, now, notBefore, notAfter time.Time) {
	switch {
	case now.After(notAfter):
		cert.Validity = matrix.Expired
	case now.Before(notBefore):
		cert.Validity = matrix.NotYetValid
	}
}

// certificates reads the certificates in the folder: files whose names end in .crt, .pem, or .x509.txt. A certificate is called as its file is, without the ending. now says
// which have expired; with the zero time none has.
func (r *reading) certificates(now time.Time) (list []matrix.Certificate, err error) {
	type found struct {
		file   string
		parsed *x509.Certificate   // nil: only printed
		sent   []*x509.Certificate // with it
		cert   matrix.Certificate
	}
	var all []found
	names, err := r.names(certificateFiles...)
	if err != nil {
		return nil, err
	}
	for _, file := range names {
		short := file
		for _, ending := range certificateFiles {
			short = strings.TrimSuffix(short, ending)
		}
		text, _, err := r.text(file)
		if err != nil {
			return nil, err
		}
		cert, err := Certificate([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		cert.Name = strings.Trim(notKebab.ReplaceAllString(strings.ToLower(short), "-"), "-")
		parsed, sent, _ := parsePEM([]byte(text))
		notBefore, notAfter := dates(parsed, text)
		if !now.IsZero() && !notAfter.IsZero() {
			setValidity(cert, now, notBefore, notAfter)
		}
		all = append(all, found{file, parsed, sent, *cert})
	}
	slices.SortFunc(all, func(a, b found) int { return strings.Compare(a.file, b.file) })
	var authorities []*x509.Certificate
	for _, f := range all {
		for _, o := range append(f.sent, f.parsed) {
			if o != nil && o.IsCA {
				authorities = append(authorities, o)
			}
		}
	}
	issuerOf := func(cert *x509.Certificate, among []*x509.Certificate) *x509.Certificate {
		i := slices.IndexFunc(among, func(o *x509.Certificate) bool { return !o.Equal(cert) && cert.CheckSignatureFrom(o) == nil })
		if i < 0 {
			return nil
		}
		return among[i]
	}
	for _, f := range all {
		if f.parsed != nil && f.parsed.IsCA {
			continue // a CA of the customer's: the world has its own
		}
		if f.parsed == nil {
			r.gap("certificate "+f.file+" is a text", "whether a CA that the other side knows signed it is not looked at: it is taken for granted")
		} else if selfIssued := bytes.Equal(f.parsed.RawIssuer, f.parsed.RawSubject); selfIssued {
			f.cert.Issuer = matrix.SelfIssued
		} else if issuer := issuerOf(f.parsed, authorities); issuer == nil {
			r.gap("the CA of certificate "+f.file+" is not in the folder", "that the other side knows it is taken for granted; write issuer: other under certificates if it does not")
		} else if !bytes.Equal(issuer.RawIssuer, issuer.RawSubject) {
			f.cert.Issuer, f.cert.Chain = "intermediate", issuerOf(f.parsed, f.sent) != nil
		}
		if slices.ContainsFunc(list, func(o matrix.Certificate) bool { return o.Name == f.cert.Name }) {
			return nil, fmt.Errorf("%s: the folder has another certificate %s; rename one of the two files", f.file, f.cert.Name)
		}
		if slices.Contains(catalogue, f.cert.Name) || f.cert.Name == "" {
			f.cert.Name = strings.Trim("file-"+f.cert.Name, "-")
		}
		list = append(list, f.cert)
	}
	return list, nil
}

// catalogue are the names that the certificates of every scenario have.
var catalogue = func() (names []string) {
	for _, axis := range []string{"cert", "servercert"} {
		a, _ := matrix.AxisByName(axis)
		names = append(names, a.Values...)
	}
	return names
}()

var (
	textNotBefore = regexp.MustCompile(`(?m)^\s*Not Before\s*: (.*)$`)
	textNotAfter  = regexp.MustCompile(`(?m)^\s*Not After\s*: (.*)$`)
)

// dates are the bounds of a certificate's validity; zero: unknown.
func dates(parsed *x509.Certificate, text string) (notBefore, notAfter time.Time) {
	if parsed != nil {
		return parsed.NotBefore, parsed.NotAfter
	}
	const form = "Jan _2 15:04:05 2006 MST"
	notBefore, _ = time.Parse(form, match(textNotBefore, text))
	notAfter, _ = time.Parse(form, match(textNotAfter, text))
	return notBefore, notAfter
}

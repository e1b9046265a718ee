package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// readCertificate takes the names and the usage of a certificate in PEM.
func readCertificate(text []byte) (*matrix.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("the certificate's file has no PEM block CERTIFICATE: want one that begins with -----BEGIN CERTIFICATE-----")
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the certificate cannot be read: %w", err)
	}
	c := &matrix.Certificate{Usage: matrix.ForAny, Version: parsed.Version, DNS: parsed.DNSNames, Email: parsed.EmailAddresses}
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
	usages := parsed.ExtKeyUsage
	clients, servers := slices.Contains(usages, x509.ExtKeyUsageClientAuth), slices.Contains(usages, x509.ExtKeyUsageServerAuth)
	switch {
	case slices.Contains(usages, x509.ExtKeyUsageAny) || len(usages) == 0 && len(parsed.UnknownExtKeyUsage) == 0:
	case clients && servers:
		c.Usage = matrix.ForBoth
	case clients:
		c.Usage = matrix.ForClients
	default:
		c.Usage = matrix.ForServers
	}
	return c, nil
}

package gssenc

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"

	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
)

// resolver is what this package asks of DNS; *net.Resolver is one.
type resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, found []*net.SRV, err error)
	LookupCNAME(ctx context.Context, host string) (string, error)
	LookupHost(ctx context.Context, host string) ([]string, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// initiateHost is Initiate for a service on a host, whose canonical name is in the service principal: libkrb5's krb5_sname_to_principal
// (lib/krb5/os/sn2princ.c), which libpq uses. With dns_canonicalize_hostname = fallback the name in DNS is tried after the KDC
// did not know the name as written.
func (c *Credentials) initiateHost(ctx context.Context, service, host string, o InitOptions) (*Initiator, error) {
	if err := c.usable(); err != nil {
		return nil, &Error{StageTicket, err}
	}
	initiate := func(host string) (*Initiator, error) {
		server, err := parsePrincipal(service+"/"+host, nametype.KRB_NT_SRV_HST)
		if err != nil {
			return nil, &Error{StageTicket, err}
		}
		return c.initiate(ctx, server, o)
	}
	first := c.conf.canonicalHost(ctx, host, c.conf.canonicalize == canonicalizeAlways)
	i, err := initiate(first)
	var refusal *KRBError
	if c.conf.canonicalize != canonicalizeFallback || !errors.As(err, &refusal) || refusal.Code != errorcode.KDC_ERR_S_PRINCIPAL_UNKNOWN {
		return i, err
	}
	if second := c.conf.canonicalHost(ctx, host, true); second != first {
		return initiate(second)
	}
	return i, err
}

// canonicalHost is a host's name as it stands in a service principal, in lower case: the name that DNS has for it, or for its first
// address if rdns is set, or the host as written where DNS is not asked or knows nothing. That gets a domain if it has none.
func (c *krb5Conf) canonicalHost(ctx context.Context, host string, byDNS bool) string {
	name := ""
	if byDNS {
		ctx, cancel := context.WithTimeout(ctx, kdcTimeout)
		defer cancel()
		name = c.nameInDNS(ctx, host)
	}
	if name == "" {
		name = host
		if !strings.Contains(host, ".") && !isNumericAddress(host) {
			if domain := c.shortnameDomain(); domain != "" {
				name += "." + domain
			}
		}
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

func (c *krb5Conf) nameInDNS(ctx context.Context, host string) string {
	name, addresses := "", []string{host}
	if net.ParseIP(host) == nil {
		var err error
		if name, err = c.resolver.LookupCNAME(ctx, host); err != nil {
			return ""
		}
	}
	if !c.rdns {
		return name
	}
	if name != "" {
		var err error
		if addresses, err = c.resolver.LookupHost(ctx, host); err != nil {
			return name
		}
	}
	if names, err := c.resolver.LookupAddr(ctx, addresses[0]); err == nil && len(names) > 0 {
		return names[0]
	}
	return name
}

// shortnameDomain is appended to a host name of one component: qualify_shortname, else the first domain that the system's resolver
// searches.
func (c *krb5Conf) shortnameDomain() string {
	if domain, ok := c.profile.value("libdefaults", "qualify_shortname"); ok {
		return domain
	}
	if domains := strings.Fields(os.Getenv("LOCALDOMAIN")); len(domains) > 0 {
		return domains[0]
	}
	domain := ""
	if text, err := readBounded("/etc/resolv.conf", maxProfile); err == nil {
		for line := range strings.Lines(string(text)) {
			if words := strings.Fields(line); len(words) > 1 && (words[0] == "search" || words[0] == "domain") {
				domain = words[1] // the last line counts
			}
		}
	}
	if domain == "" {
		if name, err := os.Hostname(); err == nil {
			_, domain, _ = strings.Cut(name, ".")
		}
	}
	return strings.TrimSuffix(domain, ".")
}

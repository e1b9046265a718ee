package gssenc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"
)

// krb5Conf is what this package needs of a krb5.conf(5). What it does not need is not looked at: a value that libkrb5 would not
// read, or that only newer releases know, is no obstacle.
type krb5Conf struct {
	profile      *profile
	defaultRealm string
	dnsLookupKDC bool
	canonicalize canonicalization
	rdns         bool
	tkt, tgs     []int32 // etypes to ask for in AS and TGS exchanges, preferred first

	resolver resolver
}

// canonicalization is a value of dns_canonicalize_hostname.
type canonicalization int

const (
	canonicalizeNever canonicalization = iota
	canonicalizeFallback
	canonicalizeAlways
)

// loadConf reads a configuration: the file of the path, which must be there, or those of $KRB5_CONFIG, a list of paths with
// colons between, or /etc/krb5.conf. Of several files each adds to those before it. Without any such file the configuration is
// empty, as for libkrb5: KDCs then come from DNS. A file that is there and cannot be understood is an error; so is one that may not be
// read, unless there is another.
func loadConf(path string) (*krb5Conf, error) {
	p := new(profile)
	size := 0
	if path != "" {
		if err := p.addFile(path, &size); err != nil {
			return nil, err
		}
		return newConf(p)
	}
	paths := []string{"/etc/krb5.conf"}
	if env := os.Getenv("KRB5_CONFIG"); env != "" {
		paths = strings.Split(env, ":")
	}
	var forbidden error
	for _, path := range paths {
		err := p.addFile(path, &size)
		at := new(fs.PathError)
		switch own := errors.As(err, &at) && at.Path == path; {
		case err == nil, own && errors.Is(err, fs.ErrNotExist):
		case own && errors.Is(err, fs.ErrPermission):
			forbidden = err
		default:
			return nil, err
		}
	}
	if forbidden != nil && len(p.files) == 0 {
		return nil, forbidden
	}
	return newConf(p)
}

// parseConf reads a configuration from its text.
func parseConf(text string) (*krb5Conf, error) {
	root := &profileNode{section: true}
	r := profileReader{root: root, size: new(int)}
	if err := r.parse(text, "krb5.conf", 0); err != nil {
		return nil, err
	}
	return newConf(&profile{files: []*profileNode{root}})
}

func newConf(p *profile) (*krb5Conf, error) {
	c := &krb5Conf{profile: p, resolver: net.DefaultResolver}
	c.defaultRealm, _ = p.value("libdefaults", "default_realm")
	c.dnsLookupKDC = true
	for _, name := range []string{"dns_fallback", "dns_lookup_kdc"} {
		if value, ok := p.value("libdefaults", name); ok {
			c.dnsLookupKDC = isYes(value)
		}
	}
	if value, ok := p.value("libdefaults", "rdns"); !ok || !isNo(value) {
		c.rdns = true
	}
	switch value, ok := p.value("libdefaults", "dns_canonicalize_hostname"); {
	case strings.EqualFold(value, "fallback"):
		c.canonicalize = canonicalizeFallback
	case !ok || !isNo(value):
		c.canonicalize = canonicalizeAlways
	}
	permitted, err := c.etypes("permitted_enctypes", defaultEtypes())
	if err != nil {
		return nil, err
	}
	if c.tkt, err = c.etypes("default_tkt_enctypes", permitted); err != nil {
		return nil, err
	}
	c.tgs, err = c.etypes("default_tgs_enctypes", permitted)
	return c, err
}

// isYes and isNo are libkrb5's ways to write a boolean.
func isYes(value string) bool {
	return slices.Contains([]string{"y", "yes", "true", "t", "1", "on"}, strings.ToLower(value))
}

func isNo(value string) bool {
	return slices.Contains([]string{"n", "no", "false", "nil", "0", "off"}, strings.ToLower(value))
}

// forRealm returns a value of libdefaults that may be given for one realm alone.
func (c *krb5Conf) forRealm(realm, name string) string {
	value, ok := c.profile.value("libdefaults", realm, name)
	if !ok {
		value, _ = c.profile.value("libdefaults", name)
	}
	return value
}

// forwardable says whether tickets are to be asked for that can be forwarded.
func (c *krb5Conf) forwardable(realm string) bool { return isYes(c.forRealm(realm, "forwardable")) }

// ticketLifetime is how long tickets are asked for: a day, where nothing readable is said.
func (c *krb5Conf) ticketLifetime(realm string) time.Duration {
	if d, ok := parseInterval(c.forRealm(realm, "ticket_lifetime")); ok && d > 0 {
		return d
	}
	return 24 * time.Hour
}

// parseInterval reads a time interval of krb5.conf(5): 36000, 10:00, 10:00:00, or a number with d, h, m or s, and such in a row.
func parseInterval(s string) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	if parts := strings.Split(s, ":"); len(parts) == 2 || len(parts) == 3 {
		var total time.Duration
		for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second}[:len(parts)] {
			n, err := strconv.ParseInt(parts[i], 10, 32)
			if err != nil || n < 0 || i > 0 && n > 59 {
				return 0, false
			}
			total += time.Duration(n) * unit
		}
		return total, true
	}
	units := map[byte]time.Duration{'d': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute, 's': time.Second}
	var total time.Duration
	for rest := s; rest != ""; rest = strings.TrimLeft(rest, " \t") {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseInt(rest[:digits], 10, 32)
		if err != nil {
			return 0, false
		}
		unit := time.Second
		if rest = rest[digits:]; rest != "" {
			var ok bool
			if unit, ok = units[rest[0]|0x20]; !ok {
				return 0, false
			}
			rest = rest[1:]
		}
		total += time.Duration(n) * unit
	}
	return total, s != ""
}

// realmOf is the realm that [domain_realm] gives a host: that of the longest match of a.b.c, .b.c, b.c, .c and c, without a match "".
// The host is compared in lower case.
func (c *krb5Conf) realmOf(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if isNumericAddress(host) {
		return ""
	}
	for host != "" {
		if realm, ok := c.profile.value("domain_realm", host); ok {
			return realm
		}
		if host[0] == '.' {
			host = host[1:]
		} else if i := strings.IndexByte(host, '.'); i >= 0 {
			host = host[i:]
		} else {
			host = ""
		}
	}
	return ""
}

// fallbackRealm is the realm of a host of which neither [domain_realm] nor the client's own KDC knows one: the domain of the host
// in upper case, else the default realm; it may be "".
func (c *krb5Conf) fallbackRealm(host string) string {
	host = strings.TrimSuffix(host, ".")
	if _, domain, ok := strings.Cut(host, "."); ok && !isNumericAddress(host) && domain != "" {
		return strings.ToUpper(domain)
	}
	return c.defaultRealm
}

// isNumericAddress is libkrb5's rule.
func isNumericAddress(host string) bool {
	return strings.Contains(host, ":") || strings.Trim(host, "0123456789.") == "" && strings.Count(host, ".") == 3
}

// kdc is where a KDC is to be found.
type kdc struct {
	host string
	port string
}

func (k kdc) String() string { return net.JoinHostPort(k.host, k.port) }

// configuredKDCs are those that a realm's section names, in its order. Said says whether it names any, be they of a kind that this
// package cannot speak to: then DNS is not asked.
func (c *krb5Conf) configuredKDCs(realm string) (kdcs []kdc, said bool, err error) {
	entries := c.profile.values("realms", realm, "kdc")
	for _, entry := range entries {
		entry = strings.TrimPrefix(entry, "tcp/") // Heimdal's way to write it
		if strings.Contains(entry, "/") {         // HTTPS proxies, Heimdal's udp/, sockets
			continue
		}
		k, err := parseKDC(entry)
		if err != nil {
			return nil, true, fmt.Errorf("krb5.conf, realm %s: kdc = %q: %w", realm, entry, err)
		}
		if !slices.Contains(kdcs, k) {
			kdcs = append(kdcs, k)
		}
	}
	return kdcs, len(entries) > 0, nil
}

// parseKDC reads host, host:port, [address] and [address]:port, and nothing after a blank.
func parseKDC(s string) (kdc, error) {
	k := kdc{port: "88"}
	rest := ""
	if end := strings.IndexByte(s, ']'); strings.HasPrefix(s, "[") && end > 0 {
		k.host, rest = s[1:end], s[end+1:]
	} else {
		end := strings.IndexAny(s, " \t:")
		if end < 0 {
			end = len(s)
		}
		k.host, rest = s[:end], s[end:]
	}
	if port, ok := strings.CutPrefix(rest, ":"); ok {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return k, errors.New("not a port number after the colon")
		}
		k.port = strconv.FormatUint(n, 10)
	}
	if k.host == "" {
		return k, errors.New("names no host")
	}
	return k, nil
}

// kdcs returns the KDCs of a realm, from the configuration or else from DNS.
func (c *krb5Conf) kdcs(ctx context.Context, realm string) ([]kdc, error) {
	kdcs, said, err := c.configuredKDCs(realm)
	switch {
	case err != nil:
		return nil, &Error{StageConfig, err}
	case len(kdcs) > 0:
		return kdcs, nil
	case said:
		return nil, fmt.Errorf("krb5.conf names for realm %s only ways to a KDC that are not implemented: TCP to a host is", realm)
	case !c.dnsLookupKDC:
		return nil, fmt.Errorf("krb5.conf names no kdc for realm %s, and forbids dns_lookup_kdc", realm)
	}
	ctx, cancel := context.WithTimeout(ctx, kdcTimeout)
	defer cancel()
	_, found, err := c.resolver.LookupSRV(ctx, "kerberos", "tcp", realm)
	if err != nil {
		return nil, fmt.Errorf("krb5.conf names no kdc for realm %s, nor does DNS: %w", realm, err)
	}
	for _, srv := range found {
		if target := strings.TrimSuffix(srv.Target, "."); target != "" { // "." says that there is none (RFC 2782)
			kdcs = append(kdcs, kdc{target, strconv.Itoa(int(srv.Port))})
		}
	}
	if len(kdcs) == 0 {
		return nil, fmt.Errorf("DNS says that realm %s has no KDC for TCP", realm)
	}
	return kdcs, nil
}

// expand replaces the variables in the name of a cache or a keytab.
func expand(name string) string {
	if strings.Contains(name, "%{username}") {
		if u, err := user.Current(); err == nil {
			name = strings.ReplaceAll(name, "%{username}", u.Username)
		}
	}
	uid := strconv.Itoa(os.Getuid())
	return strings.NewReplacer("%{uid}", uid, "%{USERID}", uid, "%{euid}", strconv.Itoa(os.Geteuid()),
		"%{TEMP}", cmp.Or(os.Getenv("TEMP"), "/tmp"), "%{null}", "").Replace(name)
}

// defaultCCache is the name of the cache of libkrb5's default: $KRB5CCNAME, default_ccache_name, /tmp/krb5cc_UID.
func (c *krb5Conf) defaultCCache() string {
	if name := os.Getenv("KRB5CCNAME"); name != "" {
		return name
	}
	if name, ok := c.profile.value("libdefaults", "default_ccache_name"); ok && name != "" {
		return expand(name)
	}
	return "/tmp/krb5cc_" + strconv.Itoa(os.Getuid())
}

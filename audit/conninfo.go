package audit

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Parameter is one parameter of a connection string.
type Parameter struct {
	Name, Value string
	At          int // column of its name in the connection string, from 1
}

// Conninfo reads a connection string as libpq does: keywords and values, or a URI (PostgreSQL manual, "Connection Strings"). An error names the
// column of the mistake.
func Conninfo(s string) ([]Parameter, error) {
	for _, scheme := range []string{"postgresql://", "postgres://"} {
		if strings.HasPrefix(s, scheme) {
			return uri(s)
		}
	}
	return keywords(s)
}

const blanks = " \t\n\r\f\v"

// keywords is fe-connect.c, conninfo_parse.
func keywords(s string) (parameters []Parameter, err error) {
	for i := 0; ; {
		i += len(s[i:]) - len(strings.TrimLeft(s[i:], blanks))
		if i == len(s) {
			return parameters, nil
		}
		start := i
		end := strings.IndexAny(s[i:], "="+blanks)
		if end < 0 {
			end = len(s) - i
		}
		name := s[i : i+end]
		i += end
		i += len(s[i:]) - len(strings.TrimLeft(s[i:], blanks))
		if i == len(s) || s[i] != '=' {
			return nil, conninfoError(start, fmt.Sprintf("%q is followed by no =", name), "write "+name+"=VALUE; values with blanks in single quotes")
		}
		i++
		i += len(s[i:]) - len(strings.TrimLeft(s[i:], blanks))
		value, length, ok := conninfoValue(s[i:])
		if !ok {
			return nil, conninfoError(i, "the quote is not closed", "end the value with '")
		}
		parameters = append(parameters, Parameter{name, value, start + 1})
		i += length
	}
}

// conninfoValue reads a value, in quotes or not; a backslash takes the meaning from the next character.
func conninfoValue(s string) (value string, length int, ok bool) {
	var b strings.Builder
	quoted := strings.HasPrefix(s, "'")
	i := 0
	if quoted {
		i = 1
	}
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case c == '\\':
		case quoted && c == '\'':
			return b.String(), i + 1, true
		case !quoted && strings.IndexByte(blanks, c) >= 0:
			return b.String(), i, true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), i, !quoted
}

// uri is fe-connect.c, conninfo_uri_parse, for one host.
func uri(s string) ([]Parameter, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, conninfoError(0, strings.TrimPrefix(err.Error(), "parse "), "write postgresql://USER@HOST/DATABASE?sslmode=…")
	}
	var parameters []Parameter
	add := func(name, value string) {
		if value != "" {
			parameters = append(parameters, Parameter{name, value, max(0, strings.Index(s, value)) + 1})
		}
	}
	add("host", u.Hostname())
	add("port", u.Port())
	add("user", u.User.Username())
	if password, ok := u.User.Password(); ok {
		parameters = append(parameters, Parameter{"password", password, 1})
	}
	add("dbname", strings.TrimPrefix(u.Path, "/"))
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		if pair == "" {
			continue
		}
		at := strings.Index(s, pair)
		name, value, ok := strings.Cut(pair, "=")
		if value, err = url.PathUnescape(value); err != nil || !ok {
			return nil, conninfoError(at, fmt.Sprintf("%q is no parameter", pair), "write NAME=VALUE, with %20 for a blank")
		}
		if name == "ssl" && value == "true" {
			name, value = "sslmode", "require"
		}
		parameters = append(parameters, Parameter{name, value, at + 1})
	}
	return parameters, nil
}

func conninfoError(at int, wrong, right string) error {
	return &matrix.Problem{File: "connection string", Line: 1, Column: at + 1, Wrong: wrong, Right: right}
}

// parameters of libpq that decide nothing of what is asked here.
var without = []string{
	"application_name", "fallback_application_name", "client_encoding", "connect_timeout", "options", "port", "passfile", "keepalives", "keepalives_idle", "keepalives_interval",
	"keepalives_count", "tcp_user_timeout", "sslcompression", "sslkey", "sslpassword", "sslsni", "load_balance_hosts", "gsslib", "gssdelegation", "sslcertmode",
	"requirepeer", "min_protocol_version", "max_protocol_version", "sslkeylogfile",
}

// replications are the values of the parameter replication, and the axis's for them.
var replications = map[string]string{"database": "logical", "true": "physical", "on": "physical", "yes": "physical", "1": "physical", "false": "", "off": "", "no": "", "0": ""}

// Client makes the client of a connection string, with the host that it names; host is empty where it names a socket directory. The library is not set.
func Client(parameters []Parameter) (c matrix.Client, host string, err error) {
	c = matrix.Client{Transport: "tcp", Hosts: matrix.OneHost, Ticket: "none", Cert: "none", CRL: "none", Password: "none", Attack: matrix.NoAttack, Root: "none"}
	fields := map[string]*string{"gssencmode": &c.GSSEncMode, "sslmode": &c.SSLMode, "sslnegotiation": &c.SSLNegotiation, "channel_binding": &c.ChannelBinding, "require_auth": &c.RequireAuth, "krbsrvname": &c.KrbSrvName,
		"target_session_attrs": &c.TargetSession}
	for _, p := range parameters {
		at := p.At - 1
		switch p.Name {
		case "host":
			if strings.Contains(p.Value, ",") {
				return c, "", conninfoError(at, "the connection string has several hosts", "ask for each host apart")
			}
			if host = p.Value; strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") {
				c.Transport, host = "unix", ""
			}
			continue
		case "hostaddr":
			if _, err := netip.ParseAddr(p.Value); err != nil {
				return c, "", conninfoError(at, fmt.Sprintf("hostaddr %q is no address", p.Value), "want an IPv4 or IPv6 address")
			}
			continue
		case "user":
			c.User = p.Value
			continue
		case "dbname":
			c.Database = p.Value
			continue
		case "password":
			c.Password = "right"
			continue
		case "replication":
			kind, ok := replications[p.Value]
			if !ok {
				return c, "", conninfoError(at, fmt.Sprintf("replication has no value %q", p.Value), "want true, false or database")
			}
			c.Replication = kind
			continue
		case "sslcert":
			c.Cert = "good"
			continue
		case "sslcrl", "sslcrldir":
			c.CRL = "right"
			continue
		case "sslrootcert":
			if c.Root = "right"; p.Value == "system" {
				c.Root = "system"
			}
			continue
		}
		switch field := fields[p.Name]; {
		case slices.Contains(without, p.Name):
		case field == nil:
			return c, "", conninfoError(at, fmt.Sprintf("%q is no connection parameter of libpq", p.Name), "those that change who gets in are host hostaddr user dbname password gssencmode sslmode sslnegotiation sslrootcert sslcert sslcrl channel_binding require_auth krbsrvname target_session_attrs replication")
		default:
			if a, _ := matrix.AxisByName(p.Name); len(a.Values) > 0 && !slices.Contains(a.Values, p.Value) {
				return c, "", conninfoError(at, fmt.Sprintf("%s has no value %q", p.Name, p.Value), "want "+strings.Join(a.Values, ", "))
			}
			*field = p.Value
		}
	}
	if c.User == "" {
		return c, "", conninfoError(0, "no user is given", "add user=NAME: libpq would take the name of the operating system's account")
	}
	if c.Database == "" {
		c.Database = c.User
	}
	c.Principal = c.User
	return c, host, nil
}

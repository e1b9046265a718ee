package oracle

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// cell is a cell with the loader's defaults: alice, a role that exists, asks for database postgres over TCP.
func cell(change ...func(*matrix.Cell)) *matrix.Cell {
	c := &matrix.Cell{
		World: &matrix.World{
			Server: 18, SSL: "on", ServerCert: "good", Keytab: "good", HBA: "host all all all trust\nlocal all all trust\n",
			Roles:  []matrix.Role{{Name: "alice"}, {Name: "bob"}, {Name: "nologin", NoLogin: true}, {Name: "scram", Password: "scram-sha-256"}, {Name: "md5", Password: "md5"}},
			Realms: []matrix.Realm{{Name: "EXAMPLE.TEST", Principals: []string{"alice", "bob"}}},
			Host:   matrix.DefaultHost, Certificates: ownCertificates,
		},
		Client: matrix.Client{Library: "libpq18", Transport: "tcp", User: "alice", Database: "postgres", Ticket: "none", Root: "right", CRL: "none", Cert: "none", Password: "none"},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

// fields are the axes whose values are texts.
var fields = map[string]func(*matrix.Cell) *string{
	"ssl": func(c *matrix.Cell) *string { return &c.World.SSL }, "load": func(c *matrix.Cell) *string { return &c.World.Load }, "servercert": func(c *matrix.Cell) *string { return &c.World.ServerCert },
	"servercrl": func(c *matrix.Cell) *string { return &c.World.ServerCRL }, "serverca": func(c *matrix.Cell) *string { return &c.World.ServerCA },
	"tls_files": func(c *matrix.Cell) *string { return &c.World.TLSFiles }, "opened": func(c *matrix.Cell) *string { return &c.Client.Opened },
	"before-ssl": func(c *matrix.Cell) *string { return &c.World.Before.SSL }, "before-servercert": func(c *matrix.Cell) *string { return &c.World.Before.ServerCert },
	"before-servercrl": func(c *matrix.Cell) *string { return &c.World.Before.ServerCRL }, "before-keytab": func(c *matrix.Cell) *string { return &c.World.Before.Keytab },
	"before-ident": func(c *matrix.Cell) *string { return &c.World.Before.Ident },
	"ident_server": func(c *matrix.Cell) *string { return &c.World.IdentServer },
	"krb5_conf":    func(c *matrix.Cell) *string { return &c.Client.KRB5Conf }, "keytab": func(c *matrix.Cell) *string { return &c.World.Keytab }, "library": func(c *matrix.Cell) *string { return (*string)(&c.Client.Library) },
	"transport": func(c *matrix.Cell) *string { return &c.Client.Transport }, "hosts": func(c *matrix.Cell) *string { return &c.Client.Hosts },
	"user": func(c *matrix.Cell) *string { return &c.Client.User }, "database": func(c *matrix.Cell) *string { return &c.Client.Database },
	"replication": func(c *matrix.Cell) *string { return &c.Client.Replication }, "os_user": func(c *matrix.Cell) *string { return &c.Client.OSUser },
	"principal": func(c *matrix.Cell) *string { return &c.Client.Principal }, "ticket": func(c *matrix.Cell) *string { return &c.Client.Ticket },
	"gssencmode": func(c *matrix.Cell) *string { return &c.Client.GSSEncMode }, "sslmode": func(c *matrix.Cell) *string { return &c.Client.SSLMode },
	"sslnegotiation": func(c *matrix.Cell) *string { return &c.Client.SSLNegotiation }, "root": func(c *matrix.Cell) *string { return &c.Client.Root },
	"ssl_cert_file": func(c *matrix.Cell) *string { return &c.Client.SSLCertFile },
	"crl":           func(c *matrix.Cell) *string { return &c.Client.CRL }, "cert": func(c *matrix.Cell) *string { return &c.Client.Cert },
	"hostname": func(c *matrix.Cell) *string { return &c.Client.HostName }, "key": func(c *matrix.Cell) *string { return &c.Client.Key }, "sslpassword": func(c *matrix.Cell) *string { return &c.Client.SSLPassword },
	"sslcertmode": func(c *matrix.Cell) *string { return &c.Client.SSLCertMode }, "channel_binding": func(c *matrix.Cell) *string { return &c.Client.ChannelBinding }, "require_auth": func(c *matrix.Cell) *string { return &c.Client.RequireAuth },
	"krbsrvname": func(c *matrix.Cell) *string { return &c.Client.KrbSrvName }, "password": func(c *matrix.Cell) *string { return &c.Client.Password },
	"target_session_attrs": func(c *matrix.Cell) *string { return &c.Client.TargetSession },
	"gssdelegation":        func(c *matrix.Cell) *string { return &c.Client.GSSDelegation }, "asks": func(c *matrix.Cell) *string { return &c.Client.Asks },
	"attack": func(c *matrix.Cell) *string { return (*string)(&c.Client.Attack) },
}

// setAxis changes one axis of a cell. In hba and ident "; " stands for the end of a line.
func setAxis(c *matrix.Cell, name, value string) {
	switch name {
	case "hba":
		c.World.HBA = strings.ReplaceAll(value, "; ", "\n") + "\n"
	case "ident":
		c.World.Ident = strings.ReplaceAll(value, "; ", "\n") + "\n"
	case "before":
		c.World.Before.HBA = strings.ReplaceAll(value, "; ", "\n") + "\n"
	case "file":
		name, text, _ := strings.Cut(value, "=")
		c.World.Files = append(c.World.Files, matrix.File{Path: name, Text: strings.ReplaceAll(text, "; ", "\n") + "\n"})
	case "setting":
		k, v, _ := strings.Cut(value, "=")
		c.World.Settings = append(c.World.Settings, matrix.Setting{Name: k, Value: v})
	case "server":
		version, err := strconv.Atoi(value)
		if err != nil {
			panic(err)
		}
		c.World.Server = version
	default:
		field := fields[name]
		if field == nil {
			panic("no axis " + name)
		}
		*field(c) = value
	}
}

// set changes a cell by axis names, as in set("server=15 ssl=off hba='host all all all gss' user=bob").
func set(text string) func(*matrix.Cell) {
	return func(c *matrix.Cell) {
		for text := strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
			name, rest, _ := strings.Cut(text, "=")
			var value string
			if quoted, ok := strings.CutPrefix(rest, "'"); ok {
				value, text, _ = strings.Cut(quoted, "'")
			} else {
				value, text, _ = strings.Cut(rest, " ")
			}
			setAxis(c, name, value)
		}
	}
}

func predict(t *testing.T, c *matrix.Cell) matrix.Prediction {
	t.Helper()
	p, err := Predict(c)
	if err != nil {
		t.Fatalf("Predict: %v", err)
	}
	if err := p.Outcome.Validate(); err != nil {
		t.Errorf("%s: %v", p.Outcome, err)
	}
	return p
}

func explain(p matrix.Prediction) string {
	var b strings.Builder
	for i, r := range p.Because {
		fmt.Fprintf(&b, "\n%3d %s   [%s]", i+1, r.Text, r.Source)
	}
	return b.String()
}

// checkRows checks rows of "cell => outcome", the whole outcome in matrix's text form.
func checkRows(t *testing.T, base, rows string) {
	t.Helper()
	for row := range strings.Lines(rows) {
		row = strings.TrimSpace(row)
		if row == "" || strings.HasPrefix(row, "//") {
			continue
		}
		given, want, ok := strings.Cut(row, "=> ")
		if !ok {
			t.Fatalf("no outcome in %q", row)
		}
		t.Run(strings.TrimSpace(given), func(t *testing.T) {
			p := predict(t, cell(set(base), set(given)))
			if got := p.Outcome.String(); got != strings.TrimSpace(want) {
				t.Errorf("\n got %s\nwant %s%s", got, strings.TrimSpace(want), explain(p))
			}
		})
	}
}

// negotiation is PostgreSQL's own table for libpq 17 and later (src/interfaces/libpq/t/005_negotiate_encryption.pl),
// in another form: server and ticket, user, gssencmode, sslmode, then trace and channel; | separates values for
// which the same is expected. Rows with sslnegotiation=direct are in negotiationDirect.
const negotiation = `
neither testuser disable|prefer disable|allow : connect authok = plain
neither testuser disable|prefer prefer        : connect sslreject authok = plain
neither testuser disable|prefer require       : connect sslreject = fail
neither testuser require disable|allow|prefer|require : = fail

tls testuser  disable disable|allow  : connect authok = plain
tls testuser  disable prefer|require : connect sslaccept authok = tls
tls ssluser   disable disable        : connect authfail = fail
tls ssluser   disable allow          : connect authfail reconnect sslaccept authok = tls
tls ssluser   disable prefer|require : connect sslaccept authok = tls
tls nossluser disable disable|allow  : connect authok = plain
tls nossluser disable prefer         : connect sslaccept authfail reconnect authok = plain
tls nossluser disable require        : connect sslaccept authfail = fail

gss testuser  disable disable|allow : connect authok = plain
gss testuser  disable prefer        : connect sslreject authok = plain
gss testuser  disable require       : connect sslreject = fail
gss testuser|gssuser prefer|require disable|allow|prefer|require : connect gssaccept authok = gss
gss gssuser   disable disable       : connect authfail = fail
gss gssuser   disable allow         : connect authfail reconnect sslreject = fail
gss gssuser   disable prefer        : connect sslreject authfail = fail
gss gssuser   disable require       : connect sslreject = fail
gss nogssuser disable disable|allow : connect authok = plain
gss nogssuser disable prefer        : connect sslreject authok = plain
gss nogssuser disable require       : connect sslreject = fail
gss nogssuser prefer disable|allow  : connect gssaccept authfail reconnect authok = plain
gss nogssuser prefer prefer         : connect gssaccept authfail reconnect sslreject authok = plain
gss nogssuser prefer require        : connect gssaccept authfail reconnect sslreject = fail
gss nogssuser require disable|allow|prefer|require : connect gssaccept authfail = fail

both testuser  disable disable|allow   : connect authok = plain
both testuser  disable prefer|require  : connect sslaccept authok = tls
both testuser|gssuser|nossluser prefer|require disable|allow|prefer|require : connect gssaccept authok = gss
both gssuser   disable disable         : connect authfail = fail
both gssuser   disable allow           : connect authfail reconnect sslaccept authfail = fail
both gssuser   disable prefer          : connect sslaccept authfail reconnect authfail = fail
both gssuser   disable require         : connect sslaccept authfail = fail
both ssluser   disable disable         : connect authfail = fail
both ssluser   disable allow           : connect authfail reconnect sslaccept authok = tls
both ssluser   disable prefer|require  : connect sslaccept authok = tls
both ssluser   prefer disable          : connect gssaccept authfail reconnect authfail = fail
both ssluser   prefer allow            : connect gssaccept authfail reconnect authfail reconnect sslaccept authok = tls
both ssluser   prefer prefer|require   : connect gssaccept authfail reconnect sslaccept authok = tls
both ssluser   require disable|allow|prefer|require : connect gssaccept authfail = fail
both nogssuser disable disable|allow   : connect authok = plain
both nogssuser disable prefer|require  : connect sslaccept authok = tls
both nogssuser prefer disable|allow    : connect gssaccept authfail reconnect authok = plain
both nogssuser prefer prefer|require   : connect gssaccept authfail reconnect sslaccept authok = tls
both nogssuser require disable|allow|prefer|require : connect gssaccept authfail = fail
both nossluser disable disable|allow   : connect authok = plain
both nossluser disable prefer          : connect sslaccept authfail reconnect authok = plain
both nossluser disable require         : connect sslaccept authfail = fail

unix localuser prefer prefer  : connect authok = plain
unix localuser require prefer : = fail
`

// negotiationDirect has the rows with sslnegotiation=direct and sslmode=require.
const negotiationDirect = `
neither testuser disable|prefer require : connect directreject = fail
neither testuser require require        : = fail
tls  testuser|ssluser disable require   : connect directaccept authok = tls
tls  nossluser disable require          : connect directaccept authfail = fail
gss  testuser|gssuser|nogssuser disable require : connect directreject = fail
gss  testuser|gssuser prefer|require require    : connect gssaccept authok = gss
gss  nogssuser prefer require           : connect gssaccept authfail reconnect directreject = fail
gss  nogssuser require require          : connect gssaccept authfail = fail
both testuser|ssluser|nogssuser disable require : connect directaccept authok = tls
both gssuser|nossluser disable require  : connect directaccept authfail = fail
both testuser|gssuser|nossluser prefer|require require : connect gssaccept authok = gss
both ssluser|nogssuser prefer require   : connect gssaccept authfail reconnect directaccept authok = tls
both ssluser|nogssuser require require  : connect gssaccept authfail = fail
`

type negotiationRow struct {
	config, user, gssencmode, sslmode string
	want                              string // trace = channel or fail
}

func (r negotiationRow) cell(library string) *matrix.Cell {
	c := cell(set("library="+library+" user="+r.user+" gssencmode="+r.gssencmode+" sslmode="+r.sslmode), set(map[string]string{
		"neither": "ssl=off", "tls": "ssl=on", "gss": "ssl=off ticket=valid", "both": "ssl=on ticket=valid", "unix": "transport=unix ticket=valid",
	}[r.config]), set(`hba='local postgres localuser trust; host postgres testuser all trust; hostnossl postgres nossluser all trust; `+
		`hostnogssenc postgres nogssuser all trust; hostssl postgres ssluser all trust; hostgssenc postgres gssuser all trust'`))
	c.Client.Principal = "alice"
	for _, name := range []string{"localuser", "testuser", "nossluser", "nogssuser", "ssluser", "gssuser"} {
		c.World.Roles = append(c.World.Roles, matrix.Role{Name: name})
	}
	return c
}

func negotiationRows(t *testing.T, table string) (rows []negotiationRow) {
	t.Helper()
	for line := range strings.Lines(table) {
		left, want, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		f := strings.Fields(left)
		for _, user := range strings.Split(f[1], "|") {
			for _, gss := range strings.Split(f[2], "|") {
				for _, ssl := range strings.Split(f[3], "|") {
					rows = append(rows, negotiationRow{f[0], user, gss, ssl, strings.TrimSpace(want)})
				}
			}
		}
	}
	return rows
}

func traceAndChannel(p matrix.Prediction) string {
	channel := "fail"
	if p.Outcome.End == matrix.Connected {
		channel = string(p.Outcome.Channel)
	}
	return strings.TrimSpace(p.Outcome.Get(matrix.FieldTrace) + " = " + channel)
}

func TestNegotiationTableOfPostgreSQL(t *testing.T) {
	rows := negotiationRows(t, negotiation)
	if len(rows) != 12+12+36+60+2 {
		t.Fatalf("%d rows, not the product of users and modes that PostgreSQL's test tries", len(rows))
	}
	direct := negotiationRows(t, negotiationDirect)
	if len(direct) != 3+3+9+15 {
		t.Fatalf("%d direct rows", len(direct))
	}
	for _, library := range []string{"libpq17", "libpq18", "psql17", "psql18"} {
		for _, r := range rows {
			if got := traceAndChannel(predict(t, r.cell(library))); got != r.want {
				t.Errorf("%s %+v: got %s", library, r, got)
			}
		}
		for _, r := range direct {
			c := r.cell(library)
			c.Client.SSLNegotiation = "direct"
			if got := traceAndChannel(predict(t, c)); got != r.want {
				t.Errorf("%s direct %+v: got %s", library, r, got)
			}
			for _, weak := range []string{"disable", "allow", "prefer", ""} {
				c.Client.SSLMode = weak
				if got := predict(t, c).Outcome.String(); got != "refused at options, bad-options" {
					t.Errorf("%s direct, sslmode=%s: %s", library, weak, got)
				}
			}
		}
	}
}

// Before 17 the outcomes of that table are the same and nine traces differ (measured with a client of 15.20).
func TestNegotiationBefore17(t *testing.T) {
	differences := map[string]string{
		"neither testuser require disable": "connect = fail", "neither testuser require allow": "connect = fail",
		"neither testuser require prefer": "connect = fail", "neither testuser require require": "connect = fail",
		"unix localuser require prefer": "connect = fail",
		"gss gssuser disable allow":     "connect authfail reconnect sslreject authfail = fail",
		"gss nogssuser require allow":   "connect gssaccept authfail reconnect gssaccept authfail = fail",
		"both nogssuser require allow":  "connect gssaccept authfail reconnect gssaccept authfail = fail",
		"both ssluser require allow":    "connect gssaccept authfail reconnect gssaccept authfail = fail",
	}
	for _, library := range []string{"libpq13", "libpq14", "libpq15", "libpq16", "psql13", "psql15"} {
		differ := 0
		for _, r := range negotiationRows(t, negotiation) {
			want := r.want
			if other, ok := differences[strings.Join([]string{r.config, r.user, r.gssencmode, r.sslmode}, " ")]; ok {
				want = other
				differ++
			}
			if got := traceAndChannel(predict(t, r.cell(library))); got != want {
				t.Errorf("%s %+v: got %s, want %s", library, r, got, want)
			}
		}
		if differ != len(differences) {
			t.Errorf("%s: %d of %d differences tried", library, differ, len(differences))
		}
	}
}

// Cases measured with PostgreSQL 18.6.
func TestProbedOnALiveServer(t *testing.T) {
	checkRows(t, "", `
hba='hostssl all all all reject; host all all all trust' sslmode=prefer => connected plain, method trust, role alice, hba:2, trace connect sslaccept authfail reconnect authok
hba='hostssl all all all reject; host all all all trust' sslmode=require => refused at hba, hba-reject, channel tls, method reject, hba:1, trace connect sslaccept authfail
root=other sslmode=prefer => connected plain, method trust, role alice, hba:1, trace connect sslaccept reconnect authok
root=other sslmode=allow => connected plain, method trust, role alice, hba:1, trace connect authok
root=other sslmode=require => refused at tls, server-cert-untrusted, trace connect sslaccept
root=other sslmode=verify-ca => refused at tls, server-cert-untrusted, trace connect sslaccept
hba='hostssl all all all cert' sslmode=prefer => refused at hba, no-hba-entry, channel plain, trace connect sslaccept authfail reconnect authfail
hba='hostssl all all all cert' sslmode=require => refused at auth, cert-missing, channel tls, method cert, hba:1, trace connect sslaccept authfail
channel_binding=require ticket=valid sslmode=require => refused at auth, channel-binding, channel gss, method trust, hba:1, trace connect gssaccept authok
channel_binding=require ticket=valid sslmode=require hba='host all all all scram-sha-256' user=scram principal=alice password=right => refused at auth, channel-binding, channel gss, method scram-sha-256, hba:1, trace connect gssaccept
hba='host all all all gss' ticket=valid gssencmode=require => refused at ident, map-no-match, channel gss, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect gssaccept authfail
ticket=expired sslmode=require => connected tls, method trust, role alice, hba:1, trace connect gssaccept reconnect sslaccept authok
ticket=expired gssencmode=require => refused at gssenc, ticket-expired, trace connect gssaccept
krbsrvname=nosuch ticket=valid => connected tls, method trust, role alice, hba:1, trace connect gssaccept reconnect sslaccept authok
krbsrvname=nosuch ticket=valid gssencmode=require => refused at gssenc, spn-unknown, trace connect gssaccept
keytab=none ticket=valid => connected tls, method trust, role alice, hba:1, trace connect gssaccept reconnect sslaccept authok
keytab=none ticket=valid gssencmode=require => refused at gssenc, keytab-missing, trace connect gssaccept
keytab=stale ticket=valid gssencmode=require => refused at gssenc, keytab-mismatch, trace connect gssaccept
keytab=other ticket=valid gssencmode=require => refused at gssenc, keytab-mismatch, trace connect gssaccept
// GSS encryption is used before TLS even with verify-full, and then no certificate is verified
ticket=valid sslmode=verify-full root=missing => connected gss, method trust, role alice, hba:1, trace connect gssaccept authok
// GSS encryption satisfies require_auth=gss although the method is trust; so does none
ticket=valid require_auth=gss => connected gss, method trust, role alice, hba:1, trace connect gssaccept authok
ticket=valid require_auth=none => connected gss, method trust, role alice, hba:1, trace connect gssaccept authok
ticket=valid require_auth=scram-sha-256 => refused at auth, method-rejected, channel gss, method trust, hba:1, trace connect gssaccept authok
`)
}

func TestWhatEndsAnAttempt(t *testing.T) {
	checkRows(t, "", `
// after AuthenticationOk nothing is tried again: the role before the database
user=nobody sslmode=prefer => refused at startup, role-missing, channel tls, method trust, hba:1, trace connect sslaccept authok startfail
user=nologin sslmode=prefer => refused at startup, role-no-login, channel tls, method trust, hba:1, trace connect sslaccept authok startfail
user=nologin database=nodb sslmode=disable => refused at startup, role-no-login, channel plain, method trust, hba:1, trace connect authok startfail
database=nodb => refused at startup, database-missing, channel tls, method trust, hba:1, trace connect sslaccept authok startfail
user=nobody library=libpq15 sslmode=allow => refused at startup, role-missing, channel plain, method trust, hba:1, trace connect authok startfail
database=template1 user=postgres => connected tls, method trust, role postgres, hba:1, trace connect sslaccept authok
// a server's error before it is followed by the next method, whatever the error is
hba='host all all all scram-sha-256' user=scram password=wrong sslmode=prefer => refused at auth, password, channel plain, method scram-sha-256, hba:1, trace connect sslaccept authfail reconnect authfail
hba='host all all all scram-sha-256' user=scram password=wrong sslmode=prefer library=libpq13 => refused at auth, password, channel plain, method scram-sha-256, hba:1, trace connect sslaccept authfail reconnect authfail
// what the client refuses is final; a server that waits for a GSS token then logs a failure
hba='host all all all scram-sha-256' user=scram sslmode=prefer => refused at auth, no-password, channel tls, method scram-sha-256, hba:1, trace connect sslaccept
hba='host all all all gss' sslmode=prefer => refused at auth, no-ticket, channel tls, method gss, hba:1, trace connect sslaccept authfail
hba='host all all all gss' sslmode=disable gssencmode=disable ticket=expired => refused at auth, ticket-expired, channel plain, method gss, hba:1, trace connect authfail
// the last connection decides; what an earlier one authenticated does not count
hba='hostgssenc all all all gss; hostssl all all all trust' ticket=valid sslmode=disable => refused at hba, no-hba-entry, channel plain, trace connect gssaccept authfail reconnect authfail
hba='hostgssenc all all all gss' ssl=off ticket=valid sslmode=require => refused at tls, tls-refused, trace connect gssaccept authfail reconnect sslreject
// a refusal for which the client did not wait is in the server's trace
user=nobody require_auth=scram-sha-256 sslmode=disable => refused at auth, method-rejected, channel plain, method trust, hba:1, trace connect authok startfail
`)
}

func TestUnixSocket(t *testing.T) {
	checkRows(t, "transport=unix ticket=valid", `
sslmode=verify-full root=missing => connected plain, method trust, role alice, hba:2, trace connect authok
sslmode=require sslnegotiation=direct => connected plain, method trust, role alice, hba:2, trace connect authok
sslmode=prefer sslnegotiation=direct => refused at options, bad-options
gssencmode=require => refused at options, gss-on-unix-socket
gssencmode=require ticket=none => refused at options, gss-on-unix-socket
gssencmode=require library=libpq16 => refused at options, gss-on-unix-socket, trace connect
sslmode=allow hba='host all all all trust' => refused at hba, no-hba-entry, channel plain, trace connect authfail
sslmode=allow hba='host all all all trust' library=libpq14 => refused at hba, no-hba-entry, channel plain, trace connect authfail
hba='local all all scram-sha-256' user=scram password=right => connected plain, method scram-sha-256, identity scram, role scram, hba:1, trace connect authok
library=pgx sslmode=verify-full root=missing sslnegotiation=direct => connected plain, method trust, role alice, hba:2, trace connect authok
`)
}

func TestDirectTLSOnOlderServers(t *testing.T) {
	checkRows(t, "sslnegotiation=direct sslmode=require", `
server=17 => connected tls, method trust, role alice, hba:1, trace connect directaccept authok
server=16 => refused at tls, direct-tls-refused, trace connect directreject
server=13 => refused at tls, direct-tls-refused, trace connect directreject
server=18 ssl=off => refused at tls, direct-tls-refused, trace connect directreject
server=15 ticket=expired => refused at tls, direct-tls-refused, trace connect gssaccept reconnect directreject
// the root file is read before the first byte is sent
sslmode=verify-ca root=missing => refused at tls, root-missing, trace connect
sslmode=verify-ca root=other => refused at tls, server-cert-untrusted, trace connect directaccept
`)
}

func TestServerCertificate(t *testing.T) {
	checkRows(t, "gssencmode=disable", `
sslmode=verify-full => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=verify-full servercert=wrong-name => refused at tls, server-cert-name, trace connect sslaccept
sslmode=verify-ca servercert=wrong-name => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=verify-full servercert=cn-only => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=verify-full servercert=cn-only library=pgx => refused at tls, server-cert-name, trace connect sslaccept
sslmode=verify-full servercert=cn-only library=pq => refused at tls, server-cert-name, trace connect sslaccept
sslmode=verify-ca servercert=cn-only library=pgx => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=require servercert=expired => refused at tls, server-cert-expired, trace connect sslaccept
sslmode=require servercert=expired root=other => refused at tls, server-cert-untrusted, trace connect sslaccept
sslmode=verify-full servercert=wrong-name root=other => refused at tls, server-cert-untrusted, trace connect sslaccept
sslmode=verify-full servercert=expired root=missing => refused at tls, root-missing, trace connect sslaccept
sslmode=require servercert=expired root=missing => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=prefer servercert=expired => connected plain, method trust, role alice, hba:1, trace connect sslaccept reconnect authok
sslmode=prefer servercert=expired library=libpq13 => connected plain, method trust, role alice, hba:1, trace connect sslaccept reconnect authok
sslmode=allow servercert=expired hba='hostssl all all all trust' => refused at tls, server-cert-expired, trace connect authfail reconnect sslaccept
sslmode=allow servercert=expired hba='hostssl all all all trust' library=libpq15 => refused at tls, server-cert-expired, trace connect authfail reconnect sslaccept
sslmode=verify-full servercert=other-ca => refused at tls, server-cert-untrusted, trace connect sslaccept
sslmode=verify-full servercert=other-ca root=other => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
`)
	checkRows(t, "library=pgx", `
sslmode=verify-full => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=verify-full servercert=wrong-name => refused at tls, server-cert-name, trace connect sslaccept
// Go verifies time and name before the issuer
sslmode=verify-full servercert=wrong-name root=other => refused at tls, server-cert-name, trace connect sslaccept
sslmode=verify-ca servercert=wrong-name root=other => refused at tls, server-cert-untrusted, trace connect sslaccept
sslmode=require servercert=expired root=other => refused at tls, server-cert-expired, trace connect sslaccept
sslmode=require root=other => refused at tls, server-cert-untrusted, trace connect sslaccept
// prefer and allow do not verify, even with a root file
sslmode=prefer root=other => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=prefer servercert=expired => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
// a root file that is missing is an error in any mode
sslmode=disable root=missing => refused at options, bad-options
sslmode=require root=missing => refused at options, bad-options
`)
}

func TestRevocationList(t *testing.T) {
	checkRows(t, "gssencmode=disable servercert=revoked", `
crl=right sslmode=verify-full => refused at tls, server-cert-revoked, trace connect sslaccept
crl=right sslmode=verify-full library=libpq13 => refused at tls, server-cert-revoked, trace connect sslaccept
crl=right sslmode=verify-full servercert=good => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
// a revocation list is read only with a root file
crl=right sslmode=require => refused at tls, server-cert-revoked, trace connect sslaccept
crl=right sslmode=require root=none => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
crl=right sslmode=prefer => connected plain, method trust, role alice, hba:1, trace connect sslaccept reconnect authok
crl=right sslmode=verify-full root=system servercert=system-ca => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
// it says nothing of other CAs, and is itself verified before the certificate
crl=right sslmode=verify-ca servercert=other-ca root=other => refused at tls, server-cert-untrusted, trace connect sslaccept
crl=stale sslmode=verify-full servercert=good => refused at tls, server-cert-expired, trace connect sslaccept
crl=stale sslmode=verify-full => refused at tls, server-cert-expired, trace connect sslaccept
crl=stale sslmode=verify-full root=other => refused at tls, server-cert-untrusted, trace connect sslaccept
crl=missing sslmode=verify-full => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
crl=none sslmode=verify-full => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
// the drivers have no revocation list, and send the parameter to the server
crl=none sslmode=verify-full library=pgx => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
crl=none sslmode=verify-full library=pq => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
crl=right sslmode=verify-full library=pgx => refused at startup, setting-unknown, channel tls, method trust, hba:1, trace connect sslaccept authok startfail
crl=missing sslmode=disable library=pgx => refused at startup, setting-unknown, channel plain, method trust, hba:1, trace connect authok startfail
crl=right sslmode=prefer library=pgx => refused at startup, setting-unknown, channel plain, method trust, hba:1, trace connect sslaccept authok startfail reconnect authok startfail
crl=right sslmode=prefer library=pq => refused at startup, setting-unknown, channel tls, method trust, hba:1, trace connect sslaccept authok startfail
crl=right sslmode=disable library=pq transport=unix => refused at startup, setting-unknown, channel plain, method trust, hba:2, trace connect authok startfail
// the server finds it after everything else
crl=right sslmode=require library=pgx database=nodb => refused at startup, database-missing, channel tls, method trust, hba:1, trace connect sslaccept authok startfail
`)
}

func TestSystemRoots(t *testing.T) {
	checkRows(t, "gssencmode=disable root=system", `
sslmode=verify-full => refused at tls, server-cert-untrusted, trace connect sslaccept
sslmode=verify-full servercert=system-ca => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=verify-full servercert=system-ca root=right => refused at tls, server-cert-untrusted, trace connect sslaccept
// verify-full is the default and the only sslmode
 => refused at tls, server-cert-untrusted, trace connect sslaccept
 servercert=system-ca => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=verify-ca => refused at options, bad-options
sslmode=disable library=libpq16 => refused at options, bad-options
sslmode=require transport=unix => refused at options, bad-options
transport=unix => connected plain, method trust, role alice, hba:2, trace connect authok
sslnegotiation=direct servercert=system-ca => connected tls, method trust, role alice, hba:1, trace connect directaccept authok
// before 16 it is the name of a file, which does not exist
sslmode=verify-full library=libpq15 => refused at tls, root-missing, trace connect sslaccept
sslmode=require library=libpq15 => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
 library=libpq13 => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
// pgx takes any sslmode for verify-full, where there is TLS
 library=pgx => refused at tls, server-cert-untrusted, trace connect sslaccept
sslmode=disable library=pgx => refused at tls, server-cert-untrusted, trace connect sslaccept
sslmode=disable library=pgx servercert=system-ca => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=disable library=pgx ssl=off => refused at tls, tls-refused, trace connect sslreject
sslmode=disable library=pgx transport=unix => connected plain, method trust, role alice, hba:2, trace connect authok
// lib/pq compares after it has made sslmode disable on a unix socket
 library=pq servercert=system-ca => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=verify-ca library=pq => refused at options, bad-options
sslmode=verify-full library=pq transport=unix => refused at options, bad-options
 library=pq transport=unix => refused at tls, tls-refused, trace connect sslreject
// without a root Go uses the system's
sslmode=verify-full root=none library=pgx servercert=system-ca => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=verify-full root=none library=pq servercert=system-ca => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=verify-full root=none servercert=system-ca => refused at tls, root-missing, trace connect sslaccept
`)
}

func TestChannelBindingAndTheSignature(t *testing.T) {
	const base = "gssencmode=disable sslmode=require user=scram password=right hba='host all all all scram-sha-256' "
	for _, kind := range []string{"good", "rsa", "rsa-pss"} {
		for _, library := range []string{"libpq13", "libpq18", "pgx"} {
			checkRows(t, base+"servercert="+kind+" library="+library, `
channel_binding=disable => connected tls, method scram-sha-256, identity scram, role scram, hba:1, trace connect sslaccept authok
channel_binding=prefer => connected tls, method scram-sha-256, identity scram, role scram, hba:1, trace connect sslaccept authok
channel_binding=require => connected tls, method scram-sha-256, identity scram, role scram, hba:1, trace connect sslaccept authok
`)
		}
	}
	checkRows(t, base+"servercert=ed25519", `
channel_binding=disable => connected tls, method scram-sha-256, identity scram, role scram, hba:1, trace connect sslaccept authok
 => refused at auth, channel-binding, channel tls, method scram-sha-256, hba:1, trace connect sslaccept
channel_binding=require => refused at auth, channel-binding, channel tls, method scram-sha-256, hba:1, trace connect sslaccept
// the client ends it, and does not go on
sslmode=prefer library=libpq13 => refused at auth, channel-binding, channel tls, method scram-sha-256, hba:1, trace connect sslaccept
password=none => refused at auth, no-password, channel tls, method scram-sha-256, hba:1, trace connect sslaccept
password=wrong => refused at auth, channel-binding, channel tls, method scram-sha-256, hba:1, trace connect sslaccept
// md5 is not bound to anything, unless what is stored is a SCRAM secret
user=md5 hba='host all all all md5' => connected tls, method md5, identity md5, role md5, hba:1, trace connect sslaccept authok
hba='host all all all md5' => refused at auth, channel-binding, channel tls, method md5, hba:1, trace connect sslaccept
// pgx says that it could bind and the server could not: the server ends it, and prefer goes on in the clear
library=pgx => refused at auth, channel-binding, channel tls, method scram-sha-256, hba:1, trace connect sslaccept authfail
library=pgx password=wrong => refused at auth, channel-binding, channel tls, method scram-sha-256, hba:1, trace connect sslaccept authfail
library=pgx sslmode=prefer => connected plain, method scram-sha-256, identity scram, role scram, hba:1, trace connect sslaccept authfail reconnect authok
library=pgx channel_binding=require => refused at auth, channel-binding, channel tls, method scram-sha-256, hba:1, trace connect sslaccept
library=pgx channel_binding=disable => connected tls, method scram-sha-256, identity scram, role scram, hba:1, trace connect sslaccept authok
// lib/pq never binds
library=pq => connected tls, method scram-sha-256, identity scram, role scram, hba:1, trace connect sslaccept authok
`)
	// The server compares the binding before the proof of the password.
	checkRows(t, base+"attack=impersonate root=none", `
password=wrong => refused at auth, channel-binding, channel tls, method scram-sha-256, hba:1, trace connect sslaccept authfail, obtains plaintext
password=wrong channel_binding=disable => refused at auth, password, channel tls, method scram-sha-256, hba:1, trace connect sslaccept authfail, obtains plaintext
`)
}

func TestPgx(t *testing.T) {
	checkRows(t, "library=pgx", `
 => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
gssencmode=disable ticket=valid => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=allow => connected plain, method trust, role alice, hba:1, trace connect authok
// after N pgx opens a new connection
ssl=off => connected plain, method trust, role alice, hba:1, trace connect sslreject reconnect authok
ssl=off sslmode=require => refused at tls, tls-refused, trace connect sslreject
ssl=off sslmode=allow hba='hostssl all all all trust' => refused at tls, tls-refused, trace connect authfail reconnect sslreject
hba='hostnossl all all all trust' => connected plain, method trust, role alice, hba:1, trace connect sslaccept authfail reconnect authok
hba='hostssl all all all trust' sslmode=allow => connected tls, method trust, role alice, hba:1, trace connect authfail reconnect sslaccept authok
// direct
sslnegotiation=direct => connected tls, method trust, role alice, hba:1, trace connect directaccept authok
sslnegotiation=direct ssl=off => refused at tls, direct-tls-refused, trace connect directreject
sslnegotiation=direct sslmode=allow => connected plain, method trust, role alice, hba:1, trace connect authok
sslnegotiation=direct sslmode=disable => connected plain, method trust, role alice, hba:1, trace connect authok
sslnegotiation=direct root=other => refused at tls, server-cert-untrusted, trace connect directaccept
sslnegotiation=direct sslmode=allow hba='hostssl all all all trust' server=16 => refused at tls, direct-tls-refused, trace connect authfail reconnect directreject
// a wrong password and a missing database are final; a missing role is not, even after AuthenticationOk
hba='host all all all scram-sha-256' user=scram password=wrong => refused at auth, password, channel tls, method scram-sha-256, hba:1, trace connect sslaccept authfail
hba='host all all all scram-sha-256' user=scram => refused at auth, password, channel tls, method scram-sha-256, hba:1, trace connect sslaccept authfail
hba='host all all all password' user=scram => refused at auth, no-password, channel tls, method password, hba:1, trace connect sslaccept authfail
hba='host all all all md5' user=md5 => refused at auth, password, channel tls, method md5, hba:1, trace connect sslaccept authfail
database=nodb => refused at startup, database-missing, channel tls, method trust, hba:1, trace connect sslaccept authok startfail
user=nobody => refused at startup, role-missing, channel plain, method trust, hba:1, trace connect sslaccept authok startfail reconnect authok startfail
// GSS authentication; after a failure of its own pgx goes on, too
hba='host all all all gss include_realm=0' ticket=valid sslmode=disable => connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok
hba='host all all all gss include_realm=0' ticket=valid => connected tls, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect sslaccept authok
hba='host all all all gss include_realm=0' => refused at auth, no-ticket, channel plain, method gss, hba:1, trace connect sslaccept authfail reconnect authfail
hba='host all all all gss include_realm=0' ticket=expired sslmode=disable => refused at auth, ticket-expired, channel plain, method gss, hba:1, trace connect authfail
hba='host all all all gss include_realm=0' ticket=valid keytab=none sslmode=require => refused at auth, keytab-missing, channel tls, method gss, hba:1, trace connect sslaccept authfail
hba='hostgssenc all all all gss' ticket=valid => refused at hba, no-hba-entry, channel plain, trace connect sslaccept authfail reconnect authfail
// require_auth and channel_binding
require_auth=scram-sha-256 => refused at auth, method-rejected, channel plain, method trust, hba:1, trace connect sslaccept authok reconnect authok
require_auth=!none sslmode=require => refused at auth, method-rejected, channel tls, method trust, hba:1, trace connect sslaccept authok
require_auth='gss, md5' sslmode=disable hba='host all all all scram-sha-256' user=scram => refused at auth, method-rejected, channel plain, method scram-sha-256, hba:1, trace connect
require_auth=gss,gss => refused at options, bad-options
channel_binding=require hba='host all all all scram-sha-256' user=scram password=right => connected tls, method scram-sha-256, identity scram, role scram, hba:1, trace connect sslaccept authok
channel_binding=require hba='host all all all scram-sha-256' user=scram password=right sslmode=disable => refused at auth, channel-binding, channel plain, method scram-sha-256, hba:1, trace connect
channel_binding=require require_auth=md5 sslmode=require hba='host all all all password' user=scram => refused at auth, channel-binding, channel tls, method password, hba:1, trace connect sslaccept
`)
}

// The rows of attacks and of channel_binding=require are those observed with gssenc and real servers.
func TestPgxWithGssenc(t *testing.T) {
	checkRows(t, "library=pgx ticket=valid gssencmode=prefer", `
 => connected gss, method trust, role alice, hba:1, trace connect gssaccept authok
ticket=none => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
ticket=expired => connected tls, method trust, role alice, hba:1, trace connect gssaccept reconnect sslaccept authok
ticket=expired ssl=off => connected plain, method trust, role alice, hba:1, trace connect gssaccept reconnect sslreject reconnect authok
keytab=stale sslmode=require => connected tls, method trust, role alice, hba:1, trace connect gssaccept reconnect sslaccept authok
krbsrvname=nosuch sslmode=disable => connected plain, method trust, role alice, hba:1, trace connect gssaccept reconnect authok
gssencmode=disable => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
transport=unix hba='local all all trust' => connected plain, method trust, role alice, hba:1, trace connect authok
sslnegotiation=direct ticket=expired => connected tls, method trust, role alice, hba:1, trace connect gssaccept reconnect directaccept authok
hba='hostssl all all all trust' sslmode=allow => connected tls, method trust, role alice, hba:1, trace connect gssaccept authfail reconnect authfail reconnect sslaccept authok
// unlike libpq, pgx goes on after an error after AuthenticationOk, and stops at a wrong password
user=nobody sslmode=disable => refused at startup, role-missing, channel plain, method trust, hba:1, trace connect gssaccept authok startfail reconnect authok startfail
database=nodb => refused at startup, database-missing, channel gss, method trust, hba:1, trace connect gssaccept authok startfail
hba='host all all all scram-sha-256' user=scram password=wrong => refused at auth, password, channel gss, method scram-sha-256, hba:1, trace connect gssaccept authfail
// what the client lacks is found before what the server refuses
root=missing => refused at options, bad-options
gssencmode=require root=missing => refused at options, bad-options
gssencmode=require ticket=none => refused at credentials, no-ticket
gssencmode=require transport=unix => refused at options, gss-on-unix-socket
gssencmode=require sslmode=verify-full => connected gss, method trust, role alice, hba:1, trace connect gssaccept authok
gssencmode=require ticket=expired => refused at gssenc, ticket-expired, trace connect gssaccept
gssencmode=require krbsrvname=nosuch => refused at gssenc, spn-unknown, trace connect gssaccept
gssencmode=require keytab=none => refused at gssenc, keytab-missing, trace connect gssaccept
gssencmode=require hba='hostssl all all all trust' => refused at hba, no-hba-entry, channel gss, trace connect gssaccept authfail
// for require_auth only GSS encryption counts as gss
require_auth=gss => connected gss, method trust, role alice, hba:1, trace connect gssaccept authok
require_auth=!none => connected gss, method trust, role alice, hba:1, trace connect gssaccept authok
require_auth=gss ticket=expired sslmode=require => refused at auth, method-rejected, channel tls, method trust, hba:1, trace connect gssaccept reconnect sslaccept authok
require_auth=!none,!gss gssencmode=require => refused at auth, method-rejected, channel gss, method trust, hba:1, trace connect gssaccept authok
require_auth=scram-sha-256 gssencmode=require => refused at auth, method-rejected, channel gss, method trust, hba:1, trace connect gssaccept authok
require_auth=gss hba='host all all all scram-sha-256' user=scram password=right gssencmode=require => refused at auth, method-rejected, channel gss, method scram-sha-256, hba:1, trace connect gssaccept
// channel_binding=require ends at G, before a token, even if another method is left
channel_binding=require hba='host all all all scram-sha-256' user=scram password=right => refused at gssenc, channel-binding, trace connect gssaccept
channel_binding=require hba='host all all all scram-sha-256' user=scram password=right ticket=expired => refused at gssenc, channel-binding, trace connect gssaccept
channel_binding=require hba='host all all all scram-sha-256' user=scram password=right ticket=none => connected tls, method scram-sha-256, identity scram, role scram, hba:1, trace connect sslaccept authok
`)
	for _, row := range []struct{ attack, given, want string }{
		// N leaves the connection usable, but not for direct TLS
		{"strip", "sslmode=prefer", "connected plain, method trust, role alice, hba:1, trace connect gssreject sslreject reconnect authok, obtains downgrade"},
		{"strip", "gssencmode=require", "refused at gssenc, gss-refused, trace connect gssreject, obtains nothing"},
		{"strip-gss", "sslmode=require", "connected tls, method trust, role alice, hba:1, trace connect gssreject sslaccept authok, obtains nothing"},
		{"strip-gss", "sslmode=require sslnegotiation=direct", "connected tls, method trust, role alice, hba:1, trace connect gssreject reconnect directaccept authok, obtains nothing"},
		{"strip-gss", "channel_binding=require hba='host all all all scram-sha-256' user=scram password=right", "connected tls, method scram-sha-256, identity scram, role scram, hba:1, trace connect gssreject sslaccept authok, obtains nothing"},
		{"error", "gssencmode=require", "refused at gssenc, answer-error, trace connect gsserror, obtains nothing"},
		// libpq shows this text; gssenc does not
		{"error-unterminated", "gssencmode=require", "refused at gssenc, answer-error, trace connect gssaccept, obtains nothing"},
		{"error-unterminated", "gssencmode=require channel_binding=require", "refused at gssenc, channel-binding, trace connect gssaccept, obtains nothing"},
		{"stuff-client", "gssencmode=require", "refused at gssenc, protocol-violation, channel gss, trace connect gssaccept authfail, obtains nothing"},
		// unlike libpq's, its failure is not final
		{"stuff-server", "gssencmode=require", "refused at gssenc, protocol-violation, trace connect gssaccept, obtains nothing"},
		{"stuff-server", "sslmode=disable", "connected plain, method trust, role alice, hba:1, trace connect gssaccept reconnect authok, obtains downgrade"},
	} {
		c := cell(set("library=pgx ticket=valid gssencmode=prefer"), set(row.given))
		c.Client.Attack = matrix.Attack(row.attack)
		p := predict(t, c)
		if got := p.Outcome.String(); got != row.want {
			t.Errorf("attack=%s %s\n got %s\nwant %s%s", row.attack, row.given, got, row.want, explain(p))
		}
	}
}

func TestPq(t *testing.T) {
	checkRows(t, "library=pq", `
// the default is require
 => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
ssl=off => refused at tls, tls-refused, trace connect sslreject
gssencmode=disable ticket=valid sslmode=disable => connected plain, method trust, role alice, hba:1, trace connect authok
// prefer goes on after any failure up to the handshake, each time on a new connection, and after none that follows it
sslmode=prefer => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=prefer ssl=off => connected plain, method trust, role alice, hba:1, trace connect sslreject reconnect authok
sslmode=prefer root=other => connected plain, method trust, role alice, hba:1, trace connect sslaccept reconnect authok
sslmode=prefer servercert=expired => connected plain, method trust, role alice, hba:1, trace connect sslaccept reconnect authok
sslmode=prefer servercert=wrong-name => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=prefer hba='hostnossl all all all trust' => refused at hba, no-hba-entry, channel tls, trace connect sslaccept authfail
// allow goes on after any failure, even after AuthenticationOk, and then verifies like require
sslmode=allow => connected plain, method trust, role alice, hba:1, trace connect authok
sslmode=allow hba='hostssl all all all trust' => connected tls, method trust, role alice, hba:1, trace connect authfail reconnect sslaccept authok
sslmode=allow hba='hostssl all all all trust' ssl=off => refused at tls, tls-refused, trace connect authfail reconnect sslreject
sslmode=allow hba='hostssl all all all trust' root=other => refused at tls, server-cert-untrusted, trace connect authfail reconnect sslaccept
sslmode=allow user=nobody => refused at startup, role-missing, channel tls, method trust, hba:1, trace connect authok startfail reconnect sslaccept authok startfail
sslmode=allow hba='hostnossl all all all gss; hostssl all all all trust' => connected tls, method trust, role alice, hba:2, trace connect authfail reconnect sslaccept authok
// the server's certificate
root=other => refused at tls, server-cert-untrusted, trace connect sslaccept
root=missing => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
root=missing sslmode=verify-ca => refused at tls, root-missing, trace connect
root=missing sslmode=verify-full => refused at tls, root-missing, trace connect
root=missing sslmode=disable => connected plain, method trust, role alice, hba:1, trace connect authok
root=missing sslmode=allow hba='hostssl all all all trust' => connected tls, method trust, role alice, hba:1, trace connect authfail reconnect sslaccept authok
servercert=wrong-name sslmode=verify-ca => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
servercert=wrong-name sslmode=verify-full => refused at tls, server-cert-name, trace connect sslaccept
servercert=wrong-name sslmode=verify-full root=other => refused at tls, server-cert-name, trace connect sslaccept
servercert=expired root=other sslmode=verify-ca => refused at tls, server-cert-expired, trace connect sslaccept
// direct: no ALPN, and a unix socket turns any sslmode into disable before they are compared
sslnegotiation=direct => refused at tls, direct-tls-refused, trace connect directaccept
sslnegotiation=direct sslmode=verify-full => refused at tls, direct-tls-refused, trace connect directaccept
sslnegotiation=direct root=other => refused at tls, server-cert-untrusted, trace connect directaccept
sslnegotiation=direct root=missing sslmode=verify-ca => refused at tls, root-missing, trace connect
sslnegotiation=direct server=15 => refused at tls, direct-tls-refused, trace connect directreject
sslnegotiation=direct ssl=off => refused at tls, direct-tls-refused, trace connect directreject
sslnegotiation=direct sslmode=prefer => refused at options, bad-options
sslnegotiation=direct sslmode=allow => refused at options, bad-options
sslnegotiation=direct sslmode=disable => refused at options, bad-options
transport=unix hba='local all all trust' sslmode=verify-full root=missing => connected plain, method trust, role alice, hba:1, trace connect authok
transport=unix hba='local all all trust' sslmode=require sslnegotiation=direct => refused at options, bad-options
transport=unix hba='local all all trust' sslmode=nonsense => refused at options, bad-options
// what the server asks for
hba='host all all all scram-sha-256' user=scram password=right channel_binding=disable => connected tls, method scram-sha-256, identity scram, role scram, hba:1, trace connect sslaccept authok
hba='host all all all scram-sha-256' user=scram => refused at auth, password, channel tls, method scram-sha-256, hba:1, trace connect sslaccept authfail
hba='host all all all password' user=scram => refused at auth, no-password, channel tls, method password, hba:1, trace connect sslaccept authfail
hba='host all all all password' user=scram password=wrong => refused at auth, password, channel tls, method password, hba:1, trace connect sslaccept authfail
hba='host all all all scram-sha-256' user=scram password=wrong sslmode=allow => refused at auth, password, channel tls, method scram-sha-256, hba:1, trace connect authfail reconnect sslaccept authfail
hba='host all all all gss include_realm=0' ticket=valid => connected tls, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect sslaccept authok
hba='host all all all gss' => refused at auth, no-ticket, channel tls, method gss, hba:1, trace connect sslaccept authfail
hba='host all all all gss' ticket=valid keytab=stale => refused at auth, keytab-mismatch, channel tls, method gss, hba:1, trace connect sslaccept authfail
hba='hostgssenc all all all gss' ticket=valid => refused at hba, no-hba-entry, channel tls, trace connect sslaccept authfail
database=nodb => refused at startup, database-missing, channel tls, method trust, hba:1, trace connect sslaccept authok startfail
`)
	// It does not close the connection after the server's error token, as libpq and pgx do.
	p := predict(t, cell(set("library=pq hba='host all all all gss' ticket=valid keytab=stale")))
	for _, b := range p.Because {
		if strings.Contains(b.Text, "closes the connection") || strings.Contains(b.Text, "error token") {
			t.Errorf("lib/pq is said to close the connection:%s", explain(p))
		}
	}
}

func TestWhatIsNotPredicted(t *testing.T) {
	for _, given := range []string{
		"hba='host all all all pam'", "hba='host all all 10.0.0.0/24 trust'", "hba='host all all db.example.test trust'",
		"hba='host all all all ldap ldapprefix=x'", "hba='include pg_hba.conf'", "hba='host all @../users all trust'", "load=later",
		"load=restart hba='hos' hosts=twice", "load=restart hba='hos' attack=strip", "load=reload hba='host all /(?x all trust'", "transport=unix hba='local all all peer'",
		"library=libpq16 sslnegotiation=direct", "library=libpq15 require_auth=gss", "library=pq gssencmode=require", "library=pq channel_binding=prefer", "library=pq require_auth=gss", "library=jdbc", "server=12",
		"setting=ssl_ca_file=", "setting=max_connections=1", "database=template0", "replication=both", "ticket=renewable", "cert=unknown", "servercert=unknown", "servercrl=missing", "setting=ssl_max_protocol_version=TLSv1.1", "setting=ssl_min_protocol_version=TLSv2", "setting=session_preload_libraries=auth_delay", "setting=gss_accept_delegation=yes", "gssdelegation=2", "asks=anything", "asks=write setting=default_transaction_read_only=on", "setting=ssl_max_protocol_version=TLSv1.2 attack=replay ticket=none sslmode=require", "cert=expired attack=flip-client sslmode=require", "servercert=two-names", "servercert=top-level", "hosts=three", "hosts=twice attack=strip", "hosts=twice transport=unix",
		"ticket=valid principal=alice@OTHER.TEST", "hba='host all all all gss' require_auth=!sspi", "hba='host all /al(?=ice) all trust'",
	} {
		p, err := Predict(cell(set(given)))
		var cannot *CannotPredict
		if !errors.As(err, &cannot) || cannot.What == "" || cannot.Why == "" {
			t.Errorf("%s: %v, %v; want a CannotPredict", given, p.Outcome, err)
		}
	}
	// Nothing listens on the Ident port of a client.
	checkRows(t, "", `
hba='host all all all ident' => refused at auth, peer-mismatch, channel plain, method ident, hba:1, trace connect sslaccept authfail reconnect authfail
hba='hostssl all all all ident clientcert=verify-ca map=m; host all all all trust' sslmode=require cert=good => refused at auth, peer-mismatch, channel tls, method ident, hba:1, trace connect sslaccept authfail
hba='hostssl all all all ident clientcert=verify-ca; host all all all trust' sslmode=require => refused at auth, cert-missing, channel tls, method ident, hba:1, trace connect sslaccept authfail
`)
	// A record that is not reached does not matter.
	checkRows(t, "", `
hba='host all bob 10.0.0.0/24 trust; host other all all pam; hostnossl all all all ident; host all all all trust' sslmode=require => connected tls, method trust, role alice, hba:4, trace connect sslaccept authok
setting='work_mem=4MB' => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
`)
}

func TestBecause(t *testing.T) {
	p := predict(t, cell(set("hba='hostgssenc all all all reject; hostssl all ssluser all trust' user=ssluser principal=alice ticket=valid"),
		func(c *matrix.Cell) { c.World.Roles = append(c.World.Roles, matrix.Role{Name: "ssluser"}) }))
	want := []matrix.Because{
		{Text: "gssencmode=prefer and a ticket: GSS encryption is tried first", Source: "libpq, gssencmode"},
		{Text: "sslmode=prefer: TLS first, then no encryption", Source: "libpq, sslmode"},
		{Text: "over TCP the server answers G to every GSSENCRequest, with or without a keytab", Source: "backend_startup.c, ProcessStartupPacket"},
		{Text: "ticket and keytab agree on postgres/pg.example.test: the context is established, for alice@EXAMPLE.TEST", Source: "gss_accept_sec_context"},
		{Text: "the first record that matches a GSS-encrypted connection of ssluser to database postgres: hostgssenc all all all reject", Source: "pg_hba.conf:1"},
		{Text: "a failure before AuthenticationOk: TLS is next, on a new connection", Source: "fe-connect.c, connection_failed"},
		{Text: "ssl=on: the server answers S to SSLRequest", Source: "backend_startup.c, ProcessStartupPacket"},
		{Text: "sslmode=prefer and a root file that exists: the issuer is verified as with verify-ca", Source: "libpq, sslrootcert"},
		{Text: "the first record that matches a TLS connection of ssluser to database postgres: hostssl all ssluser all trust", Source: "pg_hba.conf:2"},
	}
	if !slices.Equal(p.Because, want) {
		t.Errorf("got%s", explain(p))
	}
	p = predict(t, cell(set("hba='hostssl all all all trust' sslmode=disable")))
	if last := p.Because[len(p.Because)-2]; !strings.HasSuffix(last.Text, "; line 1 is hostssl") {
		t.Errorf("the record that fits but for the channel is not named:%s", explain(p))
	}
}

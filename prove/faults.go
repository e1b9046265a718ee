package prove

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// The cells that faults are shown on: one scenario's cells by client options, with the libraries that differ most.
const (
	anyLib    = "/*/"
	plainOnly = "ticket=none,gssencmode=disable,sslmode=disable,sslnegotiation=postgres"
	tlsOnly   = "ticket=none,gssencmode=disable,sslmode=require,sslnegotiation=postgres"
	gssOnly   = "ticket=valid,gssencmode=require,sslmode=disable,sslnegotiation=postgres"
	preferTLS = "ticket=none,gssencmode=disable,sslmode=prefer,sslnegotiation=postgres"
	preferAll = "ticket=valid,gssencmode=prefer,sslmode=prefer,sslnegotiation=postgres"
	ticketAny = "ticket=valid,gssencmode=disable,sslmode=disable,sslnegotiation=postgres"
)

func cells(world string, options ...string) []string {
	var patterns []string
	for _, lib := range []string{"libpq13", "libpq17"} {
		for _, o := range options {
			patterns = append(patterns, "negotiation/"+world+"/"+lib+"/"+o)
		}
	}
	return patterns
}

// byHostName are the cells of a server that has pg_hosts.conf.
const byHostName = "clientcert/certificate-by-host-name/pg19/servercert=expired,"

// client is the library that process faults are planted on.
const client = matrix.Library("libpq17")

// What Broken cells and differences say when a fault was noticed by those who must notice it.
const (
	contradiction = "witnesses contradict: "
	anyCause      = "." // an attempt that is under way when the fault strikes ends in its own way
	endRefused    = "^end connected, observed refused$"
	endConnected  = "^end refused, observed connected$"
)

func faults() []fault {
	on := func(scenario string) string { return scenario + "/pg17/ssl=on" }
	const differ, broken = verdict.Differ, verdict.Broken
	return append([]fault{
		{"hostssl became hostnossl", cells(on("hostssl-alone"), plainOnly, tlsOnly), cells(on("host-alone"), plainOnly, tlsOnly),
			differ, "^end (connected, observed refused|refused, observed connected)$", hba("hostssl ", "hostnossl ")},
		{"trust became reject", cells(on("host-alone"), plainOnly, tlsOnly, gssOnly), cells(on("hostssl-gss"), plainOnly),
			differ, "^reason , observed hba-reject$", hba("host  all  all  all  trust", "host  all  all  all  reject")},
		{"hostgssenc became host", cells(on("hostgssenc-gss"), ticketAny), cells(on("hostgssenc-gss"), gssOnly),
			differ, endConnected, hba("hostgssenc ", "host ")},
		{"include_realm=0 became include_realm=1", cells(on("hostgssenc-gss"), gssOnly), cells(on("hostgssenc-gss"), plainOnly),
			differ, "^reason , observed map-no-match$", hba("include_realm=0", "include_realm=1")},
		{"TLS silently off", cells(on("host-alone"), tlsOnly), cells(on("host-alone"), plainOnly),
			differ, "^stage session, observed tls$", wrong(func(w *matrix.World) { w.SSL = "off" })},
		{"stale keytab", cells(on("hostgssenc-gss"), gssOnly), cells(on("hostgssenc-gss"), plainOnly),
			differ, "^reason , observed keytab-mismatch$", wrong(func(w *matrix.World) { w.Keytab = "stale" })},
		{"keytab of another SPN", cells(on("hostgssenc-gss"), gssOnly), cells(on("hostgssenc-gss"), plainOnly),
			differ, "^reason , observed keytab-mismatch$", wrong(func(w *matrix.World) { w.Keytab = "other" })},
		{"server certificate of another CA",
			cells("server-certificate/pg17/ssl=on,servercert=good", "ticket=none,gssencmode=disable,sslmode=verify-full,root=right"),
			cells("server-certificate/pg17/ssl=on,servercert=good", "ticket=none,gssencmode=disable,sslmode=disable,root=right"),
			differ, "^reason , observed server-cert-untrusted$", wrong(func(w *matrix.World) { w.ServerCert = "other-ca" })},
		{"the server's revocation list is not set",
			[]string{"clientcert/faults/pg17/servercrl=right/libpq17/user=alice,sslmode=require,cert=revoked"},
			[]string{"clientcert/faults/pg17/servercrl=right/libpq17/user=alice,sslmode=require,cert=good"},
			differ, endConnected, wrong(func(w *matrix.World) { w.ServerCRL = "none" })},
		{"the server's directory of revocation lists is not set",
			[]string{"clientcert/faults/pg17/servercrl=directory/libpq17/user=alice,sslmode=require,cert=revoked"},
			[]string{"clientcert/faults/pg17/servercrl=directory/libpq17/user=alice,sslmode=require,cert=good"},
			differ, endConnected, wrong(func(w *matrix.World) { w.ServerCRL = "none" })},
		{"the server's CAs are there, and should not be",
			[]string{"clientcert/cas-of-the-server/pg17/servercrl=none,serverca=none,hba=cert,tls=TLSv1.3/libpq18/user=alice,sslmode=require,cert=good,password=right"},
			[]string{"clientcert/cas-of-the-server/pg17/servercrl=none,serverca=none,hba=password,tls=TLSv1.3/libpq18/user=alice,sslmode=require,cert=good,password=right"},
			differ, endConnected, wrong(func(w *matrix.World) { w.ServerCA = "right" })},
		{"a key file without the fault that its name says",
			[]string{"clientcert/key-files/pg17/hba=cert/libpq17/user=alice,sslmode=require,cert=good,key=world-readable,sslpassword=none", "clientcert/key-files/pg17/hba=cert/libpq17/user=alice,sslmode=require,cert=good,key=encrypted,sslpassword=none"},
			[]string{"clientcert/key-files/pg17/hba=cert/libpq17/user=alice,sslmode=require,cert=good,key=good,sslpassword=none"},
			differ, endConnected, plant{client: func(c *matrix.Client) { c.Key = "good" }}},
		{"sslcertmode is not given",
			[]string{"clientcert/sslcertmode/pg17/serverca=none,hba=trust/libpq18/user=alice,sslmode=require,cert=good,sslcertmode=require,password=right"},
			[]string{"clientcert/sslcertmode/pg17/serverca=none,hba=trust/libpq18/user=alice,sslmode=require,cert=good,sslcertmode=allow,password=right"},
			differ, endConnected, plant{client: func(c *matrix.Client) { c.SSLCertMode = "" }}},
		{"the server is called by its name, and should be called by another",
			[]string{"clientcert/names-of-the-server/pg17/servercert=dns/libpq17/hostname=localhost,sslmode=verify-full", "clientcert/names-of-the-server/pg17/servercert=dns/libpq17/hostname=address,sslmode=verify-full"},
			[]string{"clientcert/names-of-the-server/pg17/servercert=dns/libpq17/hostname=name,sslmode=verify-full"},
			differ, endConnected, plant{client: func(c *matrix.Client) { c.HostName = "name" }}},
		{"pg_hosts.conf is not there",
			[]string{byHostName + "sni=on,named=good,others=none,nameless=none/libpq19/hostname=name,sslmode=verify-full,sslnegotiation=default,root=right,sslsni=default"},
			[]string{byHostName + "sni=off,named=good,others=none,nameless=none/libpq19/hostname=name,sslmode=verify-full,sslnegotiation=default,root=right,sslsni=default"},
			differ, endRefused, wrong(func(w *matrix.World) { w.Files = nil })},
		{"sslsni is not given",
			[]string{byHostName + "sni=on,named=good,others=none,nameless=none/libpq19/hostname=name,sslmode=require,sslnegotiation=default,root=right,sslsni=0"},
			[]string{byHostName + "sni=on,named=good,others=none,nameless=none/libpq19/hostname=name,sslmode=require,sslnegotiation=default,root=right,sslsni=default"},
			differ, endConnected, plant{client: func(c *matrix.Client) { c.SSLSNI = "" }}},
		{"a client certificate without the fault that its name says",
			[]string{"clientcert/faults/pg17/servercrl=none/libpq17/user=alice,sslmode=require,cert=expired"},
			[]string{"clientcert/faults/pg17/servercrl=none/libpq17/user=alice,sslmode=require,cert=good"},
			differ, endConnected, plant{client: func(c *matrix.Client) { c.Cert = "good" }}},
		{"target_session_attrs is not given to the client",
			[]string{"negotiation/target-session-attrs/pg17/libpq17/hosts=one,ticket=valid,gssencmode=prefer,sslmode=disable,target_session_attrs=standby"},
			[]string{"negotiation/target-session-attrs/pg17/libpq17/hosts=one,ticket=valid,gssencmode=prefer,sslmode=disable,target_session_attrs=any"},
			differ, endConnected, plant{client: func(c *matrix.Client) { c.TargetSession = "" }}},
		{"client image without GSSAPI", cells(on("host-alone"), plainOnly, gssOnly), nil,
			broken, "control cell .*An unsupported mechanism was requested", plant{plan: func(p *fixtures.Plan) { p.ClientImage = pgimages.ClientWithoutGSS }}},
		{"KDC stopped in mid-run", cells(on("hostgssenc-gss"), gssOnly, plainOnly, preferAll), nil,
			broken, "the KDC is not healthy", strike(func(ctx context.Context, env *fixtures.Env) error { return env.StopKDC(ctx) })},
		{"tickets gone in mid-run, where no cell needs one", cells(on("host-alone"), plainOnly), nil,
			broken, "is not valid any more", strike(func(ctx context.Context, env *fixtures.Env) error {
				return program(ctx, env.Client(client), "rm", env.CCache("pgam_control", matrix.Ticket{}))
			})},
		{"krb5.conf emptied in mid-run, where no cell needs it", cells(on("host-alone"), plainOnly), nil,
			broken, "control cell .*libpq17", strike(func(ctx context.Context, env *fixtures.Env) error {
				return program(ctx, env.Client(client), "truncate", "-s", "0", pgimages.KRB5Conf)
			})},
		{"server killed in mid-run", cells(on("host-alone"), plainOnly, tlsOnly, gssOnly), nil,
			broken, anyCause, strike(func(ctx context.Context, env *fixtures.Env) error {
				return program(ctx, env.Server(), "pkill", "-9", "postgres")
			})},
		{"network cut in mid-run", cells(on("host-alone"), plainOnly, tlsOnly, gssOnly), nil,
			broken, anyCause, strike(func(ctx context.Context, env *fixtures.Env) error { return env.CutNetwork(ctx) })},
		{"client's agent killed in mid-run", cells(on("host-alone"), plainOnly, tlsOnly, gssOnly), nil,
			broken, anyCause, strike(func(ctx context.Context, env *fixtures.Env) error {
				_ = program(ctx, env.Client(client), "pkill", "-9", "pgauthmatrix")
				return nil // the agent dies before it can answer
			})},
		{"a bad line of an included file is mended", loading("load=reload"), nil, differ, `^load conf\.d/20-second\.conf:3: `, wrong(func(w *matrix.World) {
			w.Files = slices.Clone(w.Files)
			for i := range w.Files {
				w.Files[i].Text = strings.Replace(w.Files[i].Text, "hos ", "host", 1)
			}
		})},
		{"the server starts, and should not", loading("load=restart"), nil, differ, endConnected, wrong(func(w *matrix.World) { w.HBA, w.Files = "host all all all trust\n", nil })},
		{"nobody has found that no server runs", loading("load=restart"), nil, broken, contradiction, witness(func(e *matrix.Evidence) { e.Down = "" })},
		{"the postmaster's words are lost", loading("load=reload"), nil, broken, "does not show that it has loaded", witness(func(e *matrix.Evidence) { e.Load = nil })},
		{"session row says no encryption", cells(on("host-alone"), tlsOnly, gssOnly), nil, broken, contradiction, witness(func(e *matrix.Evidence) {
			e.Client.Session.SSL, e.Client.Session.GSSEncrypted = false, false
		})},
		{"client says connected, server refused", cells(on("hostssl-alone"), plainOnly), nil, broken, contradiction, witness(func(e *matrix.Evidence) {
			e.Client.Connected, e.Client.Message = true, ""
			e.Client.AuthRequests = []string{"ok"}
			e.Client.Session = &matrix.Session{PID: e.Connections[0].PID, SessionUser: "alice"}
		})},
		{"client says refused, server connected", cells(on("host-alone"), plainOnly), nil, broken, contradiction, witness(func(e *matrix.Evidence) {
			e.Client.Connected, e.Client.Session = false, nil
			e.Client.Message = `FATAL:  no pg_hba.conf entry for host "172.18.0.3", user "alice", database "postgres", no encryption`
		})},
		{"server's log lost", cells(on("host-alone"), plainOnly, tlsOnly), nil, broken, "the server's log is missing", witness(func(e *matrix.Evidence) {
			for i := range e.Connections {
				e.Connections[i].Log = nil
			}
		})},
		{"relay's record lost", cells(on("host-alone"), plainOnly, tlsOnly), nil, broken, "the wire record does not begin", witness(func(e *matrix.Evidence) {
			for i := range e.Connections {
				e.Connections[i].Wire = nil
			}
		})},
		{"relay strips where nobody asked it to", cells(on("host-alone"), preferTLS), nil, differ, "^trace ", plant{
			client: func(c *matrix.Client) { c.Attack = matrix.Strip }}},
		{"relay does not say what it did", attacked("sslmode=prefer", "strip"), nil, broken, "the relay does not say what became of the attack", witness(func(e *matrix.Evidence) {
			for i := range e.Connections {
				e.Connections[i].Wire = slices.DeleteFunc(e.Connections[i].Wire, func(w matrix.WireEvent) bool { return w.From == "attacker" })
			}
		})},
		{"relay hides that it stripped", attacked("sslmode=prefer", "strip"), nil, broken, contradiction, witness(hide)},
		{"relay hides that it impersonated", attacked("sslmode=prefer", "impersonate"), nil, broken, "witnesses contradict: |the wire shows a startup packet in the clear", witness(hide)},
		{"relay hides that it injected", attacked("sslmode=disable", "inject"), nil, broken, contradiction, witness(hide)},
		{"relay hides that it cut at the answer", attackedIn("connection-cut/pg17", "sslmode=prefer", "cut-answer"), nil, broken, contradiction, witness(hide)},
		{"relay hides that it cut a handshake", attackedIn("connection-cut/pg17", "sslmode=prefer", "cut-handshake"), nil, broken, contradiction, witness(hide)},
		{"relay hides that it held", attackedIn("answer-held/pg18", "sslmode=prefer", "hold-answer"), nil, broken, contradiction, witness(hide)},
		{"relay claims to have injected", attacked("sslmode=verify-full", "inject"), nil, broken, contradiction, witness(func(e *matrix.Evidence) {
			for i := range e.Connections {
				for j, w := range e.Connections[i].Wire {
					if w.From == "attacker" {
						e.Connections[i].Wire[j] = matrix.WireEvent{Micros: w.Micros, From: w.From, Kind: string(wire.Injected), Deed: &matrix.WireDeed{SQL: "SELECT 1", Tag: "SELECT 1"}}
					}
				}
			}
		})},
		{"client connects from another address", addressed("one-host", "10.20.0.7"), addressed("all", "10.30.5.9"), differ, endRefused, plant{
			client: func(c *matrix.Client) { c.Address = "10.30.5.9" }}},
		{"server's log names another address", addressed("all", "10.20.0.7"), nil, broken, contradiction, witness(func(e *matrix.Evidence) {
			for i := range e.Connections {
				for j := range e.Connections[i].Log {
					line := &e.Connections[i].Log[j]
					line.Text = strings.ReplaceAll(line.Text, "host=10.20.0.7 ", "host=10.20.0.8 ")
				}
			}
		})},
		{"names of addresses gone", []string{"core/host-names/pg17/hba=exact/libpq18/address=10.20.0.7"}, []string{"core/host-names/pg17/hba=exact/libpq18/address=10.20.0.8"},
			differ, endRefused, wrong(func(w *matrix.World) { w.Names = nil })},
		{"relay records of two attempts swapped", cells(on("host-alone"), plainOnly, tlsOnly), nil, broken, contradiction, swapped(func(a, b *matrix.Evidence) {
			for i := range min(len(a.Connections), len(b.Connections)) {
				a.Connections[i].Wire, b.Connections[i].Wire = b.Connections[i].Wire, a.Connections[i].Wire
			}
		})},
		{"log lines of two attempts swapped", cells(on("host-alone"), plainOnly, tlsOnly), nil, broken, contradiction, swapped(func(a, b *matrix.Evidence) {
			for i := range min(len(a.Connections), len(b.Connections)) {
				a.Connections[i].Log, b.Connections[i].Log = b.Connections[i].Log, a.Connections[i].Log
			}
		})},
		{"agent answers for another attempt", cells(on("host-alone"), plainOnly, tlsOnly), nil, broken, contradiction, swapped(func(a, b *matrix.Evidence) {
			*a, *b = *b, *a
		})},
		{"agent answers for another attempt, both refused", cells(on("hostssl-alone"), plainOnly), nil, broken, contradiction, swapped(func(a, b *matrix.Evidence) {
			*a, *b = *b, *a
		})},
	}, append(described(), acrossLoads()...)...)
}

// loading are cells of rules that do not load.
func loading(how string) []string {
	return []string{"loading/bad-line-in-a-directory/pg17/" + how + "/libpq17/user=alice,sslmode=disable"}
}

// addressed is a cell whose client has an address.
func addressed(hba, address string) []string {
	return []string{"core/addresses/pg17/hba=" + hba + "/libpq18/address=" + address}
}

// attacked are cells of the attacks family, on a server that logs the negotiation itself.
func attacked(sslmode, attack string) []string {
	var patterns []string
	for _, lib := range []string{"libpq13", "libpq17"} {
		patterns = append(patterns, "attacks/what-an-attacker-obtains/pg17/"+lib+"/user=alice,ticket=none,gssencmode=disable,"+sslmode+",root=right,password=right,attack="+attack)
	}
	return patterns
}

// attackedIn are cells of another scenario of that family, and of a server.
func attackedIn(world, sslmode, attack string) []string {
	var patterns []string
	for _, lib := range []string{"libpq13", "libpq17"} {
		patterns = append(patterns, "attacks/"+world+"/"+lib+"/user=alice,ticket=none,gssencmode=disable,"+sslmode+",password=right,attack="+attack)
	}
	return patterns
}

// hide says that there was no occasion for the attack, and nothing else on the way to the server than at the client's side.
func hide(e *matrix.Evidence) {
	for i := range e.Connections {
		n := &e.Connections[i]
		n.Upstream = nil
		for j := range n.Wire {
			if n.Wire[j].From == "attacker" {
				n.Wire[j] = matrix.WireEvent{Micros: n.Wire[j].Micros, From: "attacker", Kind: string(wire.Idle), Text: "nothing to do"}
			}
		}
	}
}

func program(ctx context.Context, conn *agent.Conn, argv ...string) error {
	r, err := conn.Run(ctx, agent.Run{Argv: argv})
	if err == nil && r.Exit != 0 {
		err = fmt.Errorf("%v ended with status %d: %s", argv, r.Exit, r.Stderr)
	}
	return err
}

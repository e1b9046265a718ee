package reports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

var sampleStart = time.Date(2026, 11, 23, 22, 50, 0, 0, time.UTC)

func sampleHeader(cells int) Header {
	return Header{Run: "r7f3a", Start: sampleStart, Tool: "0.1.0", Engine: "Docker Engine 20.10.24, linux/amd64, 2 CPUs",
		Selection: "pairwise, seed 1, family negotiation", Coverage: "pairwise: 41,250 of 41,250 pairs", Cells: cells,
		Images: []Image{
			{Name: "server-17", Version: "17.12-0+deb13u1", Source: "built on trixie from the Debian mirror"},
			{Name: "server-14", Unavailable: "postgres:14: no registry answers and no Debian release carries it", Cells: 812},
			{Name: "client-14", Unavailable: "no registry answers and no Debian release carries it", Cells: 640},
			{Name: "client-16", Unavailable: "no registry answers and no Debian release carries it", Cells: 12},
		},
		Lost: 1460,
		Scenarios: []Scenario{{Name: "negotiation/both-enabled", Question: "With a ticket and a record for each channel, which channel does the client get, and which does it try next?",
			Claims: []string{"S1", "S4"}, Museum: []string{"CVE-2026-6479"}}}}
}

// generate makes records of as many cells as wanted, spread over scenarios, worlds, servers and libraries as those of the
// negotiation family are; about failEvery cells apart one fails, 0: none does.
func generate(cells, failEvery int, each func(*Record)) {
	random := rand.New(rand.NewPCG(1, 2))
	names := strings.Fields("channel-binding-and-tickets defaults direct-tls gssenc-before-ssl host-alone host-gss hostgssenc-alone hostgssenc-gss hostnogssenc-alone hostnossl-alone hostssl-alone hostssl-gss keytab-faults local-socket mixed-orders password-downgrade principal-is-not-the-role psql-negotiation refused-after-authentication reject-before-wider server-certificate service-principal-unknown ssl-before-gssenc users-by-channel")
	sets := strings.Fields("plain-gss-tls tls-only-then-reject gss-only-then-reject encrypted-only other-user-first")
	libraries := strings.Fields("libpq13 libpq15 libpq17 libpq18 psql17 psql18 pgx")
	servers := []int{13, 15, 17, 18}
	tickets, modes, sslmodes := strings.Fields("none valid expired"), strings.Fields("disable prefer require"), strings.Fields("disable allow prefer require verify-ca verify-full")
	at := sampleStart.Add(30 * time.Second)
	for i := range cells {
		scenario := names[i*len(names)/cells]
		client := matrix.Client{Library: matrix.Library(libraries[i%len(libraries)]), Transport: "tcp", User: "alice", Database: "postgres",
			Ticket: tickets[i/7%3], GSSEncMode: modes[i/21%3], SSLMode: sslmodes[i/63%6], Cert: "none", Root: "right", Password: "none"}
		world := &matrix.World{Server: servers[i/3%4], SSL: []string{"on", "off"}[i/11%2], ServerCert: "good", Keytab: []string{"good", "none"}[i/13%2], Host: matrix.DefaultHost,
			HBA: "hostgssenc  all  alice  all  gss    include_realm=0\nhostssl     all  alice  all  trust\n"}
		if scenario == "mixed-orders" {
			world.HBAName = sets[i/5%len(sets)]
		}
		cell := &matrix.Cell{Scenario: "negotiation/" + scenario, World: world, Client: client}
		cell.ID = fmt.Sprintf("%s/pg%d/ssl=%s,keytab=%s/%s/ticket=%s,gssencmode=%s,sslmode=%s,n=%d", cell.Scenario, world.Server, world.SSL, world.Keytab, client.Library, client.Ticket, client.GSSEncMode, client.SSLMode, i)
		p, o := connectedByTLS(world.Server)
		switch random.IntN(10) {
		case 0, 1, 2:
			p, o = refusedAtHBA()
		case 3:
			p, o = downgraded()
		}
		var observed *matrix.Observation = &o
		divergences := []matrix.Divergence(nil)
		golden := (*matrix.Outcome)(nil)
		if failEvery > 0 && i%failEvery == failEvery-1 {
			switch random.IntN(6) {
			case 0, 1:
				p, _ = refusedAtHBA()
				_, o = connectedByTLS(world.Server)
			case 2:
				p, _ = connectedByTLS(world.Server)
				_, o = downgraded()
			case 3:
				o.Fault = "relay: connection 2 has no record of port 41" + strconv.Itoa(i%10) + "22"
			case 4:
				approved := o.Outcome
				approved.Rule = "pg_hba.conf:7"
				golden = &approved
			case 5:
				divergences = []matrix.Divergence{{Pattern: cell.ID, Cause: "libpq 15 sends the startup packet twice", Link: "semantics.md", Pos: "scenarios/divergences.yaml:3:3"}}
				o.Outcome.Trace = append(o.Outcome.Trace, matrix.StepAuthFail)
			}
		}
		if matrix.NotApplicable(cell) != "" {
			observed = nil
		}
		v := verdict.Judge(cell, p, observed, golden, divergences)
		took := time.Duration(1+random.IntN(9)) * time.Millisecond
		each(NewRecord(cell, p, observed, v, at, took))
		at = at.Add(4 * time.Millisecond)
	}
}

func connectedByTLS(server int) (matrix.Prediction, matrix.Observation) {
	p := matrix.Prediction{
		Outcome: matrix.Outcome{End: matrix.Connected, Stage: matrix.StageSession, Channel: matrix.TLS, Method: matrix.MethodTrust, Role: "alice", Rule: "pg_hba.conf:2",
			Trace: []matrix.Step{matrix.StepConnect, matrix.StepGSSAccept, matrix.StepAuthFail, matrix.StepReconnect, matrix.StepSSLAccept, matrix.StepAuthOK}},
		Because: []matrix.Because{
			{Text: "gssencmode=prefer and a ticket at hand: GSS encryption is tried first", Source: "libpq, gssencmode"},
			{Text: "the only hba line for alice is hostssl: a GSS channel does not match", Source: "pg_hba.conf:2"},
			{Text: "prefer, not require: reconnect without GSS; sslmode=require: TLS", Source: "libpq, sslmode"},
		}}
	o := matrix.Observation{Outcome: p.Outcome, Evidence: matrix.Evidence{
		Client: matrix.ClientEvidence{Conninfo: "host=pg.example.test hostaddr=127.0.0.1 port=39211 user=alice dbname=postgres gssencmode=prefer sslmode=require", Connected: true, SSLInUse: true, AuthRequests: []string{"ok"}, Micros: 6120,
			Session: &matrix.Session{PID: 812, SessionUser: "alice", SSL: true, SSLVersion: "TLSv1.3"}},
		Connections: []matrix.ConnectionEvidence{
			{ServerPort: 41020, PID: 811, Exit: "exit code 1", Wire: []matrix.WireEvent{{Micros: 120, From: "relay", Kind: "open", Text: "172.20.0.3:5432"}, {Micros: 180, From: "client", Kind: "gssencrequest"}, {Micros: 420, From: "server", Kind: "answer", Answer: "G"}, {Micros: 2010, From: "client", Kind: "gss-token", Bytes: 1672}, {Micros: 2650, From: "server", Kind: "gss-token", Bytes: 156}, {Micros: 2700, From: "client", Kind: "gss-data"}, {Micros: 2950, From: "server", Kind: "gss-data"}, {Micros: 2980, From: "client", Kind: "close"}},
				Log: []matrix.LogLine{{Severity: "LOG", Text: "connection received: host=172.20.0.4 port=41020"}, {Severity: "FATAL", SQLState: "28000", Text: `no pg_hba.conf entry for host "172.20.0.4", user "alice", database "postgres", GSS encryption`}}},
			{ServerPort: 41022, PID: 812, Exit: "exit code 0", Wire: []matrix.WireEvent{{Micros: 3100, From: "relay", Kind: "open", Text: "172.20.0.3:5432"}, {Micros: 3150, From: "client", Kind: "sslrequest"}, {Micros: 3300, From: "server", Kind: "answer", Answer: "S"}, {Micros: 3420, From: "client", Kind: "client-hello", TLS: &matrix.WireTLS{Version: "TLSv1.3", ALPN: []string{"postgresql"}, SNI: "pg.example.test"}}, {Micros: 4100, From: "server", Kind: "server-hello", TLS: &matrix.WireTLS{Version: "TLSv1.3"}}, {Micros: 4300, From: "client", Kind: "tls-data"}, {Micros: 6000, From: "client", Kind: "close"}},
				Log: []matrix.LogLine{{Severity: "LOG", Text: "connection received: host=172.20.0.4 port=41022"}, {Severity: "LOG", Text: `connection authenticated: user="alice" method=trust (/data/pg_hba.conf:2)`}, {Severity: "LOG", Text: "connection authorized: user=alice database=postgres SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)"}}},
		},
		KRB5Trace: "[812] 1763938200.120: ccselect module realm chose cache FILE:/tmp/cc\n[812] 1763938200.121: Getting credentials alice@EXAMPLE.TEST -> postgres/pg.example.test@EXAMPLE.TEST\n",
	}}
	if server < 17 {
		o.Outcome.Rule = ""
		o.Unseen = []matrix.Field{matrix.FieldRule}
	}
	return p, o
}

func refusedAtHBA() (matrix.Prediction, matrix.Observation) {
	p := matrix.Prediction{
		Outcome: matrix.Outcome{End: matrix.Refused, Stage: matrix.StageHBA, Reason: matrix.NoHBAEntry, Channel: matrix.GSS, Trace: []matrix.Step{matrix.StepConnect, matrix.StepGSSAccept, matrix.StepAuthFail}},
		Because: []matrix.Because{{Text: "gssencmode=require: GSS encryption and nothing else", Source: "libpq, gssencmode"}, {Text: "no line matches a GSS channel", Source: "pg_hba.conf"}}}
	_, o := connectedByTLS(18)
	o.Outcome = p.Outcome
	o.Because = []matrix.Because{{Text: `refused at hba (no-hba-entry): FATAL 28000 "no pg_hba.conf entry for host …"`, Source: "server log"}, {Text: "channel gss: the wire shows a GSSAPI handshake and then wrapped data", Source: "wire"}}
	o.Evidence.Connections = o.Evidence.Connections[:1]
	o.Evidence.Client.Connected, o.Evidence.Client.Session = false, nil
	o.Evidence.Client.Message = "connection to server at \"pg.example.test\" (127.0.0.1), port 39211 failed: FATAL:  no pg_hba.conf entry for host \"172.20.0.4\", user \"alice\", database \"postgres\", GSS encryption\n"
	return p, o
}

func downgraded() (matrix.Prediction, matrix.Observation) {
	p, o := connectedByTLS(18)
	p.Outcome.Channel, p.Outcome.Rule = matrix.Plain, "pg_hba.conf:3"
	p.Outcome.Trace = []matrix.Step{matrix.StepConnect, matrix.StepSSLReject, matrix.StepAuthOK}
	o.Outcome = p.Outcome
	o.Evidence.Connections = o.Evidence.Connections[1:]
	o.Evidence.Client.Session = &matrix.Session{PID: 9, SessionUser: "alice"}
	return p, o
}

// saved writes a generated run and opens it.
func saved(t testing.TB, cells, failEvery int) *Run {
	t.Helper()
	var file bytes.Buffer
	w, err := NewWriter(&file, sampleHeader(cells))
	if err != nil {
		t.Fatal(err)
	}
	generate(cells, failEvery, func(r *Record) {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	})
	if err := w.Close(Trailer{End: sampleStart.Add(3*time.Minute + 12*time.Second), Envs: 12, Provision: 34 * time.Second, Attempt: 150 * time.Second}); err != nil {
		t.Fatal(err)
	}
	return opened(t, file.Bytes())
}

func view(t testing.TB, run *Run) *View {
	t.Helper()
	v, err := NewView(run)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// lines are a run's file without its compression.
func lines(t testing.TB, file []byte) []byte {
	t.Helper()
	var text bytes.Buffer
	var killed *Incomplete
	if err := opened(t, file).Lines(&text); err != nil && !errors.As(err, &killed) {
		t.Fatal(err)
	}
	return text.Bytes()
}

func opened(t testing.TB, file []byte) *Run {
	t.Helper()
	run, err := Read(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(file)), nil })
	if err != nil {
		t.Fatal(err)
	}
	return run
}

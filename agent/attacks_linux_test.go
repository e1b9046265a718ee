package agent

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/moby/moby/client"

	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// The relay and the raw client of wire against real servers and clients. The relay runs here and listens where the
// client containers' network reaches this machine.

func (w *world) gateway() string {
	w.t.Helper()
	made, err := w.cli.NetworkInspect(w.t.Context(), w.network, client.NetworkInspectOptions{})
	if err != nil || len(made.Network.IPAM.Config) == 0 {
		w.t.Fatalf("network %s has no gateway: %v", w.network, err)
	}
	return made.Network.IPAM.Config[0].Gateway.String()
}

// forge makes a certificate for the server's name that nobody vouches for.
func forge(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: liveHost}, DNSNames: []string{liveHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// attacked is a relay that tampers, and what came of one attempt through it.
type attacked struct {
	w    *world
	addr string // where the relay listens
}

func (a attacked) through(t *testing.T, tamper *wire.Tamper, attempt func(port int) string) (client string, records []wire.Record) {
	t.Helper()
	r, err := wire.Listen(t.Context(), wire.Options{Addr: "0.0.0.0:0", Tamper: tamper, Dial: func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", a.w.address)
	}})
	if err != nil {
		t.Fatal(err)
	}
	client = attempt(r.Addr().Port)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return client, r.Close(ctx)
}

func (a attacked) psql(t *testing.T, conn *Conn, conninfo string, env map[string]string) func(int) string {
	return func(port int) string {
		all := map[string]string{"KRB5_CONFIG": "/pgam/krb5.conf", "KRB5CCNAME": "FILE:/tmp/none", "PGCONNECT_TIMEOUT": "5", "PATH": "/usr/bin:/bin"}
		for k, v := range env {
			all[k] = v
		}
		r, err := conn.Run(t.Context(), Run{Argv: []string{"sh", "-c", `exec /usr/lib/postgresql/*/bin/psql -XAtc "select 'mine'" "$0"`,
			fmt.Sprintf("host=%s hostaddr=%s port=%d dbname=postgres %s", liveHost, a.addr, port, conninfo)}, Env: all, Timeout: 30})
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(r.Stdout) + string(r.Stderr))
	}
}

func (a attacked) pgx(t *testing.T, conninfo string) func(int) string {
	return func(port int) string {
		config, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d dbname=postgres connect_timeout=5 %s", liveHost, port, conninfo))
		if err != nil {
			t.Fatal(err)
		}
		config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{a.addr}, nil }
		conn, err := pgx.ConnectConfig(t.Context(), config)
		if err != nil {
			return err.Error()
		}
		defer func() { _ = conn.Close(context.Background()) }()
		var answer string
		if err := conn.QueryRow(t.Context(), "select 'mine'").Scan(&answer); err != nil {
			return err.Error()
		}
		return answer
	}
}

func did(records []wire.Record) string {
	var all []string
	for _, r := range records {
		var words []string
		for _, e := range r.Events {
			if e.From == "attacker" {
				words = append(words, e.String())
			}
		}
		if r.Error != "" {
			words = append(words, "ERROR "+r.Error)
		}
		all = append(all, strings.Join(words, ", "))
	}
	return strings.Join(all, " / ")
}

func loot(records []wire.Record) string {
	l := wire.Obtained(records)
	var words []string
	for _, f := range []struct {
		word string
		is   bool
	}{{"startup", l.Startup}, {"query", l.Query}, {"downgraded", l.Downgraded}, {"client-session", l.ClientSession},
		{"server-session", l.ServerSession}, {"believed", l.Believed}, {"injected", l.Injected}, {"text", l.Text}} {
		if f.is {
			words = append(words, f.word)
		}
	}
	for _, p := range l.Passwords {
		words = append(words, "password:"+p)
	}
	return strings.Join(words, " ")
}

// Every attack on psql 17 and pgx. The user's password is asked for in the clear, so that what an attacker could read
// is what the attacker read. A client that verifies knows the server's certificate; the others know none.
func TestLiveAttacks(t *testing.T) {
	w := newWorld(t, "local all postgres trust\nhostgssenc all alice all gss include_realm=0\nhost all alice all gss include_realm=0\nhost all clear all password\nhost all scram all scram-sha-256\n")
	conn := w.start("client-17", "client17")
	w.realm(conn)
	w.shell(w.server, `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=`+liveHost+` -addext subjectAltName=DNS:`+liveHost+` -keyout /pgam/conf/server.key -out /pgam/conf/server.crt
		chown postgres /pgam/conf/server.key; chmod 600 /pgam/conf/server.key`)
	w.write("/pgam/conf/postgresql.conf", "ssl = on\nssl_cert_file = '/pgam/conf/server.crt'\nssl_key_file = '/pgam/conf/server.key'\nkrb_server_keyfile = '/pgam/service.keytab'\n")
	w.reload()
	w.sql("CREATE ROLE clear LOGIN PASSWORD 'open sesame'")
	root := w.shell(w.server, "cat /pgam/conf/server.crt")
	if err := conn.Write(t.Context(), Write{Path: "/pgam/root.crt", Data: []byte(root), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	rootFile := filepath.Join(t.TempDir(), "root.crt")
	if err := os.WriteFile(rootFile, []byte(root), 0o600); err != nil {
		t.Fatal(err)
	}
	cert := forge(t)
	a := attacked{w, w.gateway()}
	const (
		read   = "startup query server-session password:password"
		plain  = "startup query downgraded server-session password:password"
		owned  = "startup query client-session server-session password:password"
		gssEnc = "user=alice gssencmode=prefer sslmode=prefer"
	)
	clear := func(mode string) string {
		return "user=clear password='open sesame' gssencmode=disable sslmode=" + mode
	}
	strip, impersonate := wire.Tamper{Attack: wire.Strip}, wire.Tamper{Attack: wire.Impersonate, Certificate: &cert}
	stuffClient := wire.Tamper{Attack: wire.StuffClient, SQL: "select 'yours'", User: "clear"}
	stuffServer := wire.Tamper{Attack: wire.StuffServer, Text: "call 555"}
	forgedError, unterminated := wire.Tamper{Attack: wire.Error, Text: "call 555"}, wire.Tamper{Attack: wire.ErrorUnterminated, Text: "call 555"}
	inject := wire.Tamper{Attack: wire.Inject, SQL: "select 'yours'"}
	forged := func(attack wire.Attack) wire.Tamper {
		return wire.Tamper{Attack: attack, Certificate: &cert, Row: [][2]string{{"answer", "yours"}}}
	}
	for _, tc := range []struct {
		tamper   wire.Tamper
		conninfo string
		psql     string // part of what it says, and the loot behind "; "
		pgx      string
	}{
		{strip, clear("prefer"), "mine; " + plain, "mine; " + plain},
		{strip, clear("require"), "server does not support SSL, but SSL was required; ", "server refused TLS connection; "},
		{strip, clear("verify-full"), "server does not support SSL, but SSL was required; ", "server refused TLS connection; "},
		{strip, clear("require sslnegotiation=direct"), "EOF detected; ", "EOF; "},
		{strip, gssEnc, "mine; startup query downgraded server-session password:gss", ""},
		{strip, "user=alice gssencmode=require", "server doesn't support GSSAPI encryption, but it was required; ", ""},
		{wire.Tamper{Attack: wire.StripGSS}, gssEnc, "mine; ", ""},

		{impersonate, clear("prefer"), "mine; " + owned, "mine; " + owned},
		{impersonate, clear("require"), "mine; " + owned, "mine; " + owned},
		{impersonate, clear("verify-full"), "certificate verify failed; ", "certificate signed by unknown authority; "},
		{impersonate, clear("require sslnegotiation=direct"), "mine; " + owned, "mine; " + owned},
		{impersonate, gssEnc, "mine; startup query client-session server-session password:gss", ""},
		{impersonate, "user=alice gssencmode=require", "server doesn't support GSSAPI encryption, but it was required; ", ""},
		{impersonate, `user=scram password='it\'s a secret' gssencmode=disable sslmode=require`,
			"channel binding check failed; startup client-session password:sasl password:sasl-continue",
			"channel binding check failed; startup client-session password:sasl password:sasl-continue"},
		{wire.Tamper{Attack: wire.Impersonate, Certificate: &cert, SQL: "select 'yours'"}, clear("require"),
			"mine; startup query client-session server-session injected password:password", "mine; startup query client-session server-session injected password:password"},

		{stuffClient, clear("prefer"), "mine; " + plain, "mine; " + plain},
		{stuffClient, clear("require"), "; ", "failed; "},
		{stuffClient, clear("verify-full"), "; ", "failed; "},
		{stuffClient, "user=alice gssencmode=require", "received unencrypted data after GSSAPI encryption request; ", ""},
		{stuffServer, clear("prefer"), "received unencrypted data after SSL response; ", "mine; " + plain},
		{stuffServer, clear("require"), "received unencrypted data after SSL response; ", "first record does not look like a TLS handshake; "},
		{stuffServer, clear("verify-full"), "received unencrypted data after SSL response; ", "first record does not look like a TLS handshake; "},
		{stuffServer, gssEnc, "received unencrypted data after GSSAPI encryption response; ", ""},

		{forgedError, clear("prefer"), "server sent an error response during SSL exchange; text", "mine; startup query downgraded server-session text password:password"},
		{forgedError, clear("require"), "server sent an error response during SSL exchange; text", "server refused TLS connection; text"},
		{forgedError, clear("verify-full"), "server sent an error response during SSL exchange; text", "server refused TLS connection; text"},
		{forgedError, "user=alice gssencmode=require", "server sent an error response during GSS encryption exchange; text", ""},
		{unterminated, clear("require"), "server sent an error response during SSL exchange; text", "server refused TLS connection; text"},
		{unterminated, "user=alice gssencmode=require", "failed: call 555; text", ""}, // shown: the error came after G

		{inject, clear("disable"), "mine; startup query server-session injected password:password", "mine; startup query server-session injected password:password"},
		{inject, clear("require"), "mine; ", "mine; "},
		{inject, gssEnc, "mine; ", ""},
		{wire.Tamper{Attack: wire.Inject, SQL: "select nonsense"}, clear("disable"), "mine; " + read, "mine; " + read},

		{forged(wire.ForgeOK), clear("disable"), "yours; startup query believed", "yours; startup query believed"},
		{forged(wire.ForgeOK), clear("require"), "yours; startup query client-session believed", "yours; startup query client-session believed"},
		{forged(wire.ForgeOK), clear("verify-full"), "certificate verify failed; ", "certificate signed by unknown authority; "},
		{forged(wire.ForgeOK), "user=alice gssencmode=require", "server doesn't support GSSAPI encryption, but it was required; ", ""},
		{forged(wire.ForgeGSSOK), gssEnc, "yours; startup query client-session believed password:gss", ""},
		{forged(wire.ForgeAPRep), "user=alice gssencmode=disable sslmode=disable", "GSSAPI continuation error: Unspecified GSS failure.  Minor code may provide more information: Decrypt integrity check failed; startup password:gss", ""},
		{forged(wire.ForgeAPRep), "user=alice gssencmode=require", "Decrypt integrity check failed; ", ""},

		{wire.Tamper{Attack: wire.CutReset}, clear("prefer"), "server closed the connection unexpectedly; ", "mine; " + plain},
		{wire.Tamper{Attack: wire.CutClose, At: "server-hello"}, clear("require"), "EOF detected; ", "EOF; "},
		{wire.Tamper{Attack: wire.Hold}, clear("require"), "timeout expired; ", "timeout; "},
		{wire.Tamper{Attack: wire.Delay, Delay: 20 * time.Millisecond}, clear("verify-full"), "mine; ", "mine; "},
		{wire.Tamper{Attack: wire.Flip, From: "server"}, clear("require"), "decryption failed or bad record mac; ", "bad record MAC; "},
		{wire.Tamper{Attack: wire.Flip, From: "client"}, clear("require"), "bad record mac; ", "bad record MAC; "},
		{wire.Tamper{Attack: wire.Flip, From: "server"}, gssEnc, "Message Integrity Check; ", ""},
		{wire.Tamper{Attack: wire.Replay}, clear("require"), "illegal parameter; ", "failed to connect; "}, // pgx may find the connection closed before it reads the alert
		{wire.Tamper{Attack: wire.Replay}, "user=alice gssencmode=require", "server closed the connection unexpectedly; ", ""},
	} {
		for _, kind := range []string{"psql", "pgx"} {
			want, attempt := tc.psql, a.psql(t, conn, tc.conninfo, nil)
			if strings.Contains(tc.conninfo, "alice") {
				attempt = a.psql(t, conn, tc.conninfo, map[string]string{"KRB5CCNAME": "FILE:/pgam/alice.cc"})
			}
			verifies := strings.Contains(tc.conninfo, "verify-full")
			if kind == "psql" && verifies {
				attempt = a.psql(t, conn, tc.conninfo+" sslrootcert=/pgam/root.crt", nil)
			}
			if kind == "pgx" {
				if want = tc.pgx; want == "" {
					continue // pgx has no GSS encryption
				}
				conninfo := strings.ReplaceAll(tc.conninfo, "gssencmode=disable ", "") + " default_query_exec_mode=simple_protocol" // which is all that a forger speaks
				if verifies {
					conninfo += " sslrootcert=" + rootFile
				}
				attempt = a.pgx(t, conninfo)
			}
			t.Run(fmt.Sprintf("%s/%s %s/%s", tc.tamper.Attack, tc.tamper.At, kind, tc.conninfo), func(t *testing.T) {
				said, records := a.through(t, &tc.tamper, attempt)
				text, obtained, _ := strings.Cut(want, "; ")
				if !strings.Contains(said, text) || text != "mine" && strings.Contains(said, "mine") || loot(records) != obtained {
					t.Errorf("%s\nloot %q, want %q\nthe attacker: %s", said, loot(records), want, did(records))
				}
				if strings.Contains(fmt.Sprint(records), "sesame") || strings.Contains(did(records), "ERROR") || did(records) == "" {
					t.Errorf("records %+v", records)
				}
			})
		}
	}
}

// Every sequence against every server, without and with a certificate. Each is followed by a login in the clear: the
// server must have survived.
func TestLiveRaw(t *testing.T) {
	const (
		noRequest  = "0A000 unsupported frontend protocol 1234.5680"
		unsealed   = "received unencrypted data after SSL request"
		modern     = 17 // knows direct TLS
		gone       = "gone "
		plaintext  = "plain"
		encryption = "tls"
	)
	for _, major := range liveLibpq {
		t.Run(strconv.Itoa(major), func(t *testing.T) {
			w := newWorldOf(t, major, "local all all trust\nhost all trusted all trust\nhost all scram all scram-sha-256\n")
			w.t = t
			w.realm()
			w.sql("CREATE TABLE public.stuffed (n int); GRANT ALL ON public.stuffed TO PUBLIC")
			volume, err := w.cli.VolumeInspect(t.Context(), w.volume, client.VolumeInspectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			socket := filepath.Join(volume.Volume.Mountpoint, ".s.PGSQL.5432")
			for _, channel := range []string{plaintext, encryption} {
				if channel == encryption {
					w.tls()
				}
				secure := channel == encryption
				either := func(yes bool, a, b string) string {
					if yes {
						return a
					}
					return b
				}
				direct := secure && major >= modern
				newest := either(major >= 18, "3.2", "3.0")
				for _, tc := range []struct {
					what wire.Sequence
					want string // ending, error, TLS, "answers N", negotiated version, what was executed: those that there are
				}{
					{wire.GSSENCInTLS, either(secure, gone+noRequest, "open tls:the server answered N") + " answers 1"},
					{wire.GSSENCInDirectTLS, either(direct, "open answers 1", gone+"tls:EOF")},
					{wire.Alternate, either(secure, "open answers 1", "open answers 2")}, // G
					{wire.SecondStartup, gone + "08P01 expected SASL response, got message type 0"},
					{wire.SSLWithQuery, gone + either(direct, "tls:EOF", unsealed) + " answers 1"},
					{wire.SSLWithStartup, gone + either(direct, "tls:EOF", unsealed) + " answers 1"},
					{wire.GSSENCWithQuery, "open answers 1"}, // it waits for a token
					{wire.GSSENCWithStartup, "open answers 1"},
					{wire.GSSENCGarbage, gone + "answers 1"},
					{wire.GSSENCEmpty, either(secure, "open ", gone) + "answers 1"}, // the keytab comes with TLS here: without one there is no mechanism to name
					{wire.GSSENCOversize, gone + "answers 1"},
					{wire.DirectNoALPN, gone + either(direct, "", "tls:EOF")},
					{wire.DirectWrongALPN, gone + either(direct, "tls:remote error: tls: no application protocol", "tls:EOF")},
					{wire.CancelWrongKey, gone},
					{wire.LongStartup, gone},
					{wire.Protocol2, either(major == 13, "open", gone+"- FATAL:  unsupported frontend protocol 2.0")},
					{wire.Protocol39, "session v" + newest},
				} {
					raw := wire.Raw{Address: w.address, User: "trusted", Database: "postgres", SQL: "INSERT INTO public.stuffed VALUES (1)", Count: 2000, Wait: 2 * time.Second}
					if tc.what == wire.SecondStartup {
						raw.User = "scram"
					}
					got, err := raw.Play(t.Context(), tc.what)
					if err != nil {
						t.Fatal(err)
					}
					if words := summary(got); words != strings.TrimSpace(tc.want) {
						t.Errorf("%s %s: %s\nwant %s\n%v", channel, tc.what, words, tc.want, got.Record.Events)
					}
					if after, err := raw.Play(t.Context(), wire.Protocol39); err != nil || tc.what != wire.SecondStartup && after.End != wire.EndSession {
						t.Errorf("%s %s: the server does not work after it: %+v, %v", channel, tc.what, after, err)
					}
				}
			}
			if rows := w.sql("SELECT count(*) FROM public.stuffed"); *rows[0][0] != "0" {
				t.Errorf("%s stuffed queries were executed", *rows[0][0])
			}
			// Over a unix socket both requests are answered N: once each, and for ever where CVE-2026-6479 is not mended.
			raw := wire.Raw{Address: socket, User: "trusted", Database: "postgres", Count: 2000, Wait: 2 * time.Second}
			got, err := raw.Play(t.Context(), wire.Alternate)
			if err != nil {
				t.Fatal(err)
			}
			if words, want := summary(got), "gone 0A000 unsupported frontend protocol 1234.5679 answers 2"; words != want {
				t.Errorf("alternate over the unix socket: %s, want %s", words, want)
			}
			if after, err := raw.Play(t.Context(), wire.Protocol39); err != nil || after.End != wire.EndSession {
				t.Errorf("the server does not work after it: %+v, %v", after, err)
			}
		})
	}
}

// summary is what came of a sequence. Whether the end is a reset is chance: it depends on what the server left unread.
func summary(got wire.Played) string {
	words := []string{string(got.End)}
	if got.End == wire.EndClosed || got.End == wire.EndReset {
		words[0] = "gone"
	}
	if got.Error != "" {
		text, _, _ := strings.Cut(got.Error, ": server supports")
		if strings.HasSuffix(text, "received unencrypted data after SSL request") { // 13 writes it in the form before protocol 3.0
			text = "received unencrypted data after SSL request"
		}
		words = append(words, text)
	}
	if got.TLS != "" {
		if strings.HasSuffix(got.TLS, "connection reset by peer") {
			got.TLS = "EOF"
		}
		words = append(words, "tls:"+got.TLS)
	}
	if got.Answers > 0 {
		words = append(words, fmt.Sprint("answers ", got.Answers))
	}
	if got.Version != "" {
		words = append(words, "v"+got.Version)
	}
	if got.Executed != nil {
		words = append(words, fmt.Sprint("executed ", got.Executed))
	}
	return strings.Join(words, " ")
}

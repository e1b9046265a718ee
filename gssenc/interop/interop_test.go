package interop_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/pgauthmatrix/pgauthmatrix/gssenc"
)

// Every way to an identity, to a server that lets in nothing but GSS encryption; AuthenticationOk follows without a further token.
func TestIdentities(t *testing.T) {
	pgconn.RegisterGSSProvider(func() (pgconn.GSS, error) {
		return nil, errors.New("a session under GSS encryption is not to authenticate again")
	})
	eachVersion(t, func(t *testing.T, w *world, v int) {
		password, err := w.realm.Password("alice")
		if err != nil {
			t.Fatal(err)
		}
		for name, s := range map[string]gssenc.Source{
			"ccache":   w.ccache(),
			"keytab":   {Config: w.file("krb5.conf"), Keytab: w.file("alice.keytab"), Principal: "alice"},
			"password": {Config: w.file("krb5.conf"), Password: password, Principal: "alice@" + realm},
		} {
			conn := connect(t, w.config(t, v, "user=alice gssencmode=require", gssenc.Options{Source: s}))
			if got := channel(t, conn); got != "gss alice@EXAMPLE.TEST" {
				t.Errorf("%s: %s", name, got)
			}
		}
	})
}

func TestEtypes(t *testing.T) {
	eachVersion(t, func(t *testing.T, w *world, v int) {
		for n, enctype := range enctypes {
			conn := connect(t, w.config(t, v, fmt.Sprintf("user=alice gssencmode=require host=et%d.example.test", n),
				gssenc.Options{Source: gssenc.Source{Config: w.file(fmt.Sprintf("krb5.et%d.conf", n)), CCache: w.file("alice.ccache")}}))
			if got := channel(t, conn); got != "gss alice@EXAMPLE.TEST" {
				t.Errorf("%s: %s", enctype, got)
			}
			x := conn.PgConn().Conn().(*gssenc.Conn).Context()
			if int(x.EType()) != n {
				t.Errorf("service keys and session key of etype %d: the context is of etype %v", n, x.EType())
			}
			echo(t, conn, 3<<20)
		}
	})
}

// echo sends n bytes and gets them back.
func echo(t *testing.T, conn *pgx.Conn, n int) {
	t.Helper()
	data := make([]byte, n)
	if _, err := rand.Read(data); err != nil {
		t.Error(err)
	}
	var got []byte
	if err := conn.QueryRow(context.Background(), "SELECT $1::bytea", data).Scan(&got); err != nil {
		t.Errorf("%d bytes: %v", n, err)
	} else if !bytes.Equal(got, data) {
		t.Errorf("%d bytes came back changed", n)
	}
}

func TestRowsOfAnyLength(t *testing.T) {
	eachVersion(t, func(t *testing.T, w *world, v int) {
		conn := connect(t, w.config(t, v, "user=alice gssencmode=require", gssenc.Options{}))
		for _, n := range []int{1, 2, 1000, 8191, 8192, 16000, 16300, 16319, 16320, 16321, 16384, 65535, 1 << 20, 16 << 20, 64 << 20} {
			echo(t, conn, n)
		}
		for n := 16200; n < 16400; n += 7 { // around the length of a packet, with PostgreSQL's own headers in front
			echo(t, conn, n)
		}
		var rows int
		if err := conn.QueryRow(context.Background(), "SELECT count(*) FROM (SELECT repeat('x', i % 30000) FROM generate_series(1, 100) i) s").Scan(&rows); err != nil || rows != 100 {
			t.Error(rows, err)
		}
	})
}

func TestCopyBothWays(t *testing.T) {
	eachVersion(t, func(t *testing.T, w *world, v int) {
		ctx := context.Background()
		conn := connect(t, w.config(t, v, "user=alice gssencmode=require", gssenc.Options{}))
		if _, err := conn.Exec(ctx, "CREATE TEMP TABLE c (line text)"); err != nil {
			t.Fatal(err)
		}
		var in bytes.Buffer
		for i := range 100000 {
			fmt.Fprintf(&in, "%d %s\n", i, strings.Repeat("y", i%500))
		}
		want := in.String()
		if tag, err := conn.PgConn().CopyFrom(ctx, &in, "COPY c FROM STDIN"); err != nil || tag.RowsAffected() != 100000 {
			t.Fatal(tag, err)
		}
		var out bytes.Buffer
		if _, err := conn.PgConn().CopyTo(ctx, &out, "COPY (SELECT line FROM c ORDER BY split_part(line, ' ', 1)::int) TO STDOUT"); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%d bytes went in, %d others came out", len(want), out.Len())
		}
	})
}

// watched is a transport that notes what is written.
type watched struct {
	net.Conn
	mu  *sync.Mutex
	out *bytes.Buffer
}

func (c watched) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.out.Write(p)
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// A cancel request reaches the server, and neither it nor anything else is sent in the clear.
func TestCancel(t *testing.T) {
	eachVersion(t, func(t *testing.T, w *world, v int) {
		for _, mode := range []string{"require", "prefer"} {
			c := w.unconfigured(t, v, "user=alice sslmode=prefer gssencmode="+mode)
			var mu sync.Mutex
			var sent []*bytes.Buffer
			c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				mu.Lock()
				defer mu.Unlock()
				sent = append(sent, new(bytes.Buffer))
				return watched{conn, &mu, sent[len(sent)-1]}, nil
			}
			if err := gssenc.Configure(&c.Config, gssenc.Options{Source: w.ccache()}); err != nil {
				t.Fatal(err)
			}
			conn := connect(t, c)
			done := make(chan error)
			go func() {
				_, err := conn.Exec(context.Background(), "SELECT pg_sleep(60)")
				done <- err
			}()
			watcher := connect(t, w.config(t, v, "user=alice gssencmode=require", gssenc.Options{}))
			for running := false; !running; {
				if err := watcher.QueryRow(context.Background(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep')", conn.PgConn().PID()).Scan(&running); err != nil {
					t.Fatal(err)
				}
			}
			if err := conn.PgConn().CancelRequest(context.Background()); err != nil {
				t.Fatal(err)
			}
			var pg *pgconn.PgError
			if err := <-done; !errors.As(err, &pg) || pg.Code != "57014" {
				t.Errorf("%s: the query ends with %v", mode, err)
			}
			mu.Lock()
			if len(sent) != 2 {
				t.Errorf("%s: %d connections, want the session and the cancel request", mode, len(sent))
			}
			for _, b := range sent {
				if !bytes.HasPrefix(b.Bytes(), []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30}) {
					t.Errorf("%s: the connection begins with %x", mode, b.Bytes()[:8])
				}
				if cancel := binary.BigEndian.AppendUint32(nil, 80877102); bytes.Contains(b.Bytes(), cancel) {
					t.Errorf("%s: a cancel request in the clear", mode)
				}
			}
			mu.Unlock()
			echo(t, conn, 10) // the session goes on
		}
		// A context that ends in the middle of a large result.
		conn := connect(t, w.config(t, v, "user=alice gssencmode=require", gssenc.Options{}))
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		if _, err := conn.Exec(ctx, "SELECT repeat('x', 100000) FROM generate_series(1, 100000000)"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a context that ends: %v", err)
		}
		<-conn.PgConn().CleanupDone()
	})
}

func TestBatch(t *testing.T) {
	eachVersion(t, func(t *testing.T, w *world, v int) {
		conn := connect(t, w.config(t, v, "user=alice gssencmode=require", gssenc.Options{}))
		b := &pgx.Batch{}
		for i := range 500 {
			b.Queue("SELECT $1::int, repeat('z', $2)", i, i*100)
		}
		r := conn.SendBatch(context.Background(), b)
		for i := range 500 {
			var n int
			var s string
			if err := r.QueryRow().Scan(&n, &s); err != nil || n != i || len(s) != i*100 {
				t.Fatalf("%d: %d, %d bytes, %v", i, n, len(s), err)
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		// Both directions full at once: queries are sent while results wait to be read.
		p := conn.PgConn().StartPipeline(context.Background())
		big := bytes.Repeat([]byte("q"), 1<<20)
		for range 32 {
			p.SendQueryParams("SELECT $1::text", [][]byte{big}, nil, nil, nil)
		}
		if err := p.Sync(); err != nil {
			t.Fatal(err)
		}
		for range 32 {
			result, err := p.GetResults()
			if err != nil {
				t.Fatal(err)
			}
			if read := result.(*pgconn.ResultReader).Read(); read.Err != nil || len(read.Rows) != 1 || !bytes.Equal(read.Rows[0][0], big) {
				t.Fatalf("pipeline: %v", read.Err)
			}
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

// One configuration, many connections at once, as a pool makes them.
func TestManyConnections(t *testing.T) {
	eachVersion(t, func(t *testing.T, w *world, v int) {
		c := w.config(t, v, "user=alice gssencmode=require", gssenc.Options{})
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				conn, err := pgx.ConnectConfig(context.Background(), c)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close(context.Background())
				for range 3 {
					echo(t, conn, 200000)
				}
			})
		}
		wg.Wait()
	})
}

// Two pools of two identities in one process at once: connections are lent, come back and are lent again, each with its own.
func TestPools(t *testing.T) {
	eachVersion(t, func(t *testing.T, w *world, v int) {
		ctx := context.Background()
		password, err := w.realm.Password("bob")
		if err != nil {
			t.Fatal(err)
		}
		const borrowers, lent, size = 12, 5, 3
		var wg sync.WaitGroup
		for user, source := range map[string]gssenc.Source{
			"alice": w.ccache(),
			"bob":   {Config: w.file("krb5.conf"), Password: password, Principal: "bob"},
		} {
			config, err := pgxpool.ParseConfig("pool_max_conns=" + strconv.Itoa(size))
			if err != nil {
				t.Fatal(err)
			}
			config.ConnConfig = w.config(t, v, "gssencmode=require user="+user, gssenc.Options{Source: source})
			pool, err := pgxpool.NewWithConfig(ctx, config)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			var mu sync.Mutex
			seen := map[uint32]int{} // how often a backend was lent
			for range borrowers {
				wg.Go(func() {
					for range lent {
						conn, err := pool.Acquire(ctx)
						if err != nil {
							t.Error(err)
							return
						}
						if got := channel(t, conn.Conn()); got != "gss "+user+"@EXAMPLE.TEST" {
							t.Errorf("a connection of %s: %s", user, got)
						}
						echo(t, conn.Conn(), 50000)
						mu.Lock()
						seen[conn.Conn().PgConn().PID()]++
						mu.Unlock()
						conn.Release()
					}
				})
			}
			defer func() {
				if total := pool.Stat().AcquireCount(); len(seen) > size || total != borrowers*lent {
					t.Errorf("%s: %d connections in a pool of %d, lent %d times", user, len(seen), size, total)
				}
				pool.Reset() // new ones, after all were closed
				if err := pool.Ping(ctx); err != nil {
					t.Errorf("%s: %v", user, err)
				}
			}()
		}
		wg.Wait()
	})
}

func TestDatabaseSQL(t *testing.T) {
	eachVersion(t, func(t *testing.T, w *world, v int) {
		ctx := context.Background()
		db := stdlib.OpenDB(*w.config(t, v, "user=alice gssencmode=require", gssenc.Options{}))
		defer db.Close()
		db.SetMaxOpenConns(3)
		var wg sync.WaitGroup
		for n := range 12 {
			wg.Go(func() {
				tx, err := db.BeginTx(ctx, nil)
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = tx.Rollback() }()
				var got int
				var principal string
				const query = "SELECT $1::int, principal FROM pg_stat_gssapi WHERE encrypted AND pid = pg_backend_pid()"
				if err := tx.QueryRowContext(ctx, query, n).Scan(&got, &principal); err != nil || got != n || principal != "alice@EXAMPLE.TEST" {
					t.Errorf("%d comes back as %d to %s, %v", n, got, principal, err)
				}
			})
		}
		wg.Wait()
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		if _, err := db.ExecContext(short, "SELECT pg_sleep(60)"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a context that ends: %v", err)
		}
		if err := db.PingContext(ctx); err != nil {
			t.Errorf("after that: %v", err)
		}
	})
}

// What the server says of a login that it refuses inside GSS encryption is the caller's, unchanged.
func TestLoginErrors(t *testing.T) {
	eachVersion(t, func(t *testing.T, w *world, v int) {
		for settings, want := range map[string][2]string{
			"user=plainonly":                       {"28000", "pg_hba.conf rejects connection"},
			"user=sslonly":                         {"28000", "no pg_hba.conf entry"},
			"user=bob":                             {"28000", `GSSAPI authentication failed for user "bob"`},
			"user=gsstrust dbname=none":            {"3D000", `database "none" does not exist`},
			"user=gsspw password=wrong":            {"28P01", "password authentication failed"},
			"user=gsstrust options='-c nothing=1'": {"42704", `unrecognized configuration parameter "nothing"`},
		} {
			_, err := pgx.ConnectConfig(context.Background(), w.config(t, v, "gssencmode=require "+settings, gssenc.Options{}))
			var pg *pgconn.PgError
			if !errors.As(err, &pg) || pg.Code != want[0] || !strings.Contains(pg.Message, want[1]) {
				t.Errorf("%s: %v", settings, err)
			}
		}
	})
}

// What gssencmode and sslmode come to, as the server sees it.
func TestOrderAndFallback(t *testing.T) {
	eachVersion(t, func(t *testing.T, w *world, v int) {
		for _, tt := range []struct {
			settings string
			source   gssenc.Source
			want     string // "" refused
		}{
			{"user=anyway gssencmode=prefer sslmode=prefer", w.ccache(), "gss"},
			{"user=anyway gssencmode=prefer sslmode=require", w.ccache(), "gss"},
			{"user=anyway gssencmode=prefer sslmode=disable", w.ccache(), "gss"},
			{"user=anyway gssencmode=require sslmode=disable", w.ccache(), "gss"},
			{"user=anyway gssencmode=disable sslmode=prefer", w.ccache(), "tls"},
			{"user=anyway gssencmode=disable sslmode=allow", w.ccache(), "plain"},
			{"user=anyway gssencmode=disable sslmode=disable", w.ccache(), "plain"},
			{"user=anyway sslmode=prefer", gssenc.Source{Config: w.file("krb5.conf"), CCache: w.file("none")}, "tls"},
			{"user=anyway gssencmode=require", gssenc.Source{Config: w.file("krb5.conf"), CCache: w.file("none")}, ""},
			{"user=anyway sslmode=prefer", gssenc.Source{Config: w.file("krb5.conf"), CCache: w.file("expired.ccache")}, "tls"},
			{"user=anyway gssencmode=require", gssenc.Source{Config: w.file("krb5.conf"), CCache: w.file("expired.ccache")}, ""},
			{"user=anyway sslmode=prefer host=unknown.example.test", w.ccache(), "tls"},
			{"user=anyway sslmode=prefer krbsrvname=nobody", w.ccache(), "tls"},
			{"user=anyway krbsrvname=nobody gssencmode=require", w.ccache(), ""},
			{"user=anyway krbsrvname=nobody krbspn=postgres/et18.example.test gssencmode=require host=unknown", w.ccache(), "gss"},
			{"user=sslonly sslmode=prefer", w.ccache(), "tls"},
			{"user=sslonly sslmode=allow", w.ccache(), "tls"},
			{"user=sslonly gssencmode=require", w.ccache(), ""},
			{"user=plainonly sslmode=prefer", w.ccache(), "plain"},
			{"user=plainonly sslmode=require", w.ccache(), ""},
			{"user=gsstrust require_auth=gss", w.ccache(), "gss"},
			{"user=gsstrust require_auth=scram-sha-256", w.ccache(), ""},
			{"user=gsspw password='not a secret' gssencmode=require", w.ccache(), "gss"},
			{"user=gsspw password='not a secret' gssencmode=require require_auth=gss", w.ccache(), ""},
			{"user=anyway require_auth=gss", gssenc.Source{Config: w.file("krb5.conf"), CCache: w.file("none")}, ""},
			{"user=anyway channel_binding=require sslmode=require", w.ccache(), ""},
			{"user=alice host=dead.example.test,et19.example.test gssencmode=require", w.ccache(), "gss alice@EXAMPLE.TEST"},
			{"user=alice host=unknown.example.test,et20.example.test,pg.example.test sslmode=prefer", w.ccache(), "gss alice@EXAMPLE.TEST"},
		} {
			c := w.config(t, v, tt.settings, gssenc.Options{Source: tt.source})
			conn, err := pgx.ConnectConfig(context.Background(), c)
			got := ""
			if err == nil {
				got = channel(t, conn)
				_ = conn.Close(context.Background())
			}
			if got != tt.want {
				t.Errorf("%s: %q, want %q (%v)", tt.settings, got, tt.want, err)
			}
		}
	})
}

func TestDelegation(t *testing.T) {
	eachVersion(t, func(t *testing.T, w *world, v int) {
		if v < 16 {
			// The server takes no credentials; to send them does no harm.
			conn := connect(t, w.config(t, v, "user=alice gssencmode=require gssdelegation=1", gssenc.Options{}))
			if got := channel(t, conn); got != "gss alice@EXAMPLE.TEST" {
				t.Error(got)
			}
			return
		}
		for settings, want := range map[string]bool{"gssdelegation=1": true, "gssdelegation=0": false, "": false} {
			conn := connect(t, w.config(t, v, "user=alice gssencmode=require "+settings, gssenc.Options{}))
			var delegated bool
			if err := conn.QueryRow(context.Background(), "SELECT credentials_delegated FROM pg_stat_gssapi WHERE pid = pg_backend_pid()").Scan(&delegated); err != nil {
				t.Fatal(err)
			}
			if delegated != want {
				t.Errorf("%q: delegated %v", settings, delegated)
			}
		}
	})
}

// A service in Go connects to the server in the name of the client that has forwarded its ticket.
func TestDelegatedCredentials(t *testing.T) {
	ctx := context.Background()
	w := theWorld(t)
	alice, err := gssenc.Acquire(ctx, w.ccache())
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close()
	i, err := alice.Initiate(ctx, gssenc.InitOptions{SPN: "postgres/pg.example.test", RequireDelegation: true})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := i.Step(nil)
	if err != nil {
		t.Fatal(err)
	}
	// The service: gokrb5 verifies the AP-REQ with the keytab.
	keys, err := keytab.Load(w.file("service.keytab"))
	if err != nil {
		t.Fatal(err)
	}
	var received spnego.KRB5Token
	if err := received.Unmarshal(token); err != nil {
		t.Fatal(err)
	}
	name := types.NewPrincipalName(nametype.KRB_NT_SRV_INST, "postgres/pg.example.test")
	if ok, err := received.APReq.Verify(keys, time.Minute, types.HostAddress{}, &name); !ok || err != nil {
		t.Fatal(ok, err)
	}
	delegated, err := gssenc.AcquireDelegated(received.APReq.Authenticator, received.APReq.Ticket.DecryptedEncPart.Key, gssenc.Source{Config: w.file("krb5.conf")})
	if err != nil {
		t.Fatal(err)
	}
	defer delegated.Close()
	eachVersion(t, func(t *testing.T, w *world, v int) {
		conn := connect(t, w.config(t, v, "user=alice gssencmode=require", gssenc.Options{Credentials: delegated}))
		if got := channel(t, conn); got != "gss alice@EXAMPLE.TEST" {
			t.Error(got)
		}
	})
}

// Method gss without encryption: pgx's own authentication, by Kerberos' token and by SPNEGO's.
func TestProvider(t *testing.T) {
	eachVersion(t, func(t *testing.T, w *world, v int) {
		alice, err := gssenc.Acquire(context.Background(), w.ccache())
		if err != nil {
			t.Fatal(err)
		}
		defer alice.Close()
		for _, spnego := range []bool{false, true} {
			for _, channelWanted := range []string{"plain", "tls"} {
				pgconn.RegisterGSSProvider(gssenc.Provider(alice, gssenc.InitOptions{SPNEGO: spnego}))
				sslmode := map[string]string{"plain": "disable", "tls": "require"}[channelWanted]
				conn := connect(t, w.config(t, v, "user=gssauth gssencmode=disable require_auth=gss sslmode="+sslmode, gssenc.Options{}))
				if got := channel(t, conn); got != channelWanted+" alice@EXAMPLE.TEST" {
					t.Errorf("SPNEGO %v, %s: %s", spnego, sslmode, got)
				}
			}
		}
		pgconn.RegisterGSSProvider(gssenc.ProviderFor(func(spn string) (*gssenc.Credentials, gssenc.InitOptions, error) {
			if spn != "postgres/pg.example.test" {
				return nil, gssenc.InitOptions{}, fmt.Errorf("no identity for %s", spn)
			}
			return alice, gssenc.InitOptions{}, nil
		}))
		connect(t, w.config(t, v, "user=gssauth gssencmode=disable sslmode=disable host=PG.example.test", gssenc.Options{}))
		if _, err := pgx.ConnectConfig(context.Background(), w.config(t, v, "user=gssauth gssencmode=disable sslmode=disable krbspn=postgres/else", gssenc.Options{})); err == nil || !strings.Contains(err.Error(), "no identity for postgres/else") {
			t.Error(err)
		}
	})
}

// SPNEGO under GSS encryption, by the library's own verb.
func TestClientWithSPNEGO(t *testing.T) {
	eachVersion(t, func(t *testing.T, w *world, v int) {
		alice, err := gssenc.Acquire(context.Background(), w.ccache())
		if err != nil {
			t.Fatal(err)
		}
		defer alice.Close()
		transport, err := net.Dial("tcp", net.JoinHostPort(w.servers[v].Addr.String(), "5432"))
		if err != nil {
			t.Fatal(err)
		}
		defer transport.Close()
		conn, err := gssenc.Client(context.Background(), transport, alice, gssenc.InitOptions{SPN: "postgres/pg.example.test", SPNEGO: true})
		if err != nil {
			t.Fatal(err)
		}
		startup := "\x00\x03\x00\x00user\x00alice\x00database\x00postgres\x00\x00"
		if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(4+len(startup))), startup...)); err != nil {
			t.Fatal(err)
		}
		var ok [9]byte
		if _, err := io.ReadFull(conn, ok[:]); err != nil || string(ok[:]) != "R\x00\x00\x00\x08\x00\x00\x00\x00" {
			t.Errorf("the server answers the startup message with %q, %v", ok, err)
		}
	})
}

// A ccache that appears, and is replaced, is seen by the next connection.
func TestCCacheIsReadAgain(t *testing.T) {
	w := theWorld(t)
	file := filepath.Join(t.TempDir(), "cc")
	c := w.config(t, 17, "user=anyway sslmode=disable", gssenc.Options{Source: gssenc.Source{Config: w.file("krb5.conf"), CCache: file}})
	for i, tt := range []struct{ put, want string }{{"", "plain"}, {"alice.ccache", "gss"}, {"expired.ccache", "plain"}, {"alice.ccache", "gss"}} {
		if tt.put != "" {
			content, err := os.ReadFile(w.file(tt.put))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file+".new", content, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(file+".new", file); err != nil {
				t.Fatal(err)
			}
		}
		if got := channel(t, connect(t, c)); got != tt.want {
			t.Errorf("step %d, %s: %s, want %s", i, tt.put, got, tt.want)
		}
	}
}

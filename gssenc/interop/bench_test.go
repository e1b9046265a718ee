package interop_test

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgauthmatrix/pgauthmatrix/gssenc"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

//go:embed testdata/libpqbench.c
var libpqBench []byte

// rounds is how often either side does a piece of work, in turn; the medians are compared.
const rounds = 5

// TestBesideLibpq measures pgx over gssenc beside libpq's GSS encryption: the same work, against the same server, in turn, in one
// run. It fails only if the work fails. GSSENC_BENCH is the major version of both; without it, a small amount of work shows that
// the comparison itself is sound.
func TestBesideLibpq(t *testing.T) {
	version, connects, lines := 17, 10, 3000
	if v, err := strconv.Atoi(os.Getenv("GSSENC_BENCH")); err == nil {
		version, connects, lines = v, 200, 64000
	}
	w := theWorld(t)
	ctx := context.Background()
	images, err := pgimages.Ensure(ctx, []pgimages.Spec{pgimages.Client(version)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := pgimages.Start(ctx, pgimages.StartSpec{Image: images[0].Tag, RunID: "gssenc-interop", Network: w.network, Hostname: "bench"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := client.Remove(ctx); err != nil {
			t.Error(err)
		}
	}()
	ccache, err := os.ReadFile(w.file("alice.ccache"))
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{"/tmp/bench.c": libpqBench, "/tmp/krb5.conf": []byte(krb5Conf(w.realm.Address(), "")), "/tmp/cc": ccache} {
		if err := exec(ctx, client, content, "sh", "-c", "cat >"+path); err != nil {
			t.Fatal(err)
		}
	}
	if err := exec(ctx, client, nil, "sh", "-c", `gcc -O2 -I"$(pg_config --includedir)" /tmp/bench.c -o /tmp/bench -lpq`); err != nil {
		t.Fatal(err)
	}
	byLibpq := func(what string, count int) time.Duration {
		conninfo := fmt.Sprintf("host=pg.example.test hostaddr=%s user=alice dbname=postgres gssencmode=require", w.servers[version].Addr)
		exit, stdout, stderr, err := client.Exec(ctx, nil, "env", "KRB5CCNAME=/tmp/cc", "KRB5_CONFIG=/tmp/krb5.conf", "/tmp/bench", what, strconv.Itoa(count), conninfo)
		seconds, parseErr := strconv.ParseFloat(strings.TrimSpace(string(stdout)), 64)
		if err != nil || exit != 0 || parseErr != nil {
			t.Fatalf("%s: %v %d %v %s", what, err, exit, parseErr, stderr)
		}
		return time.Duration(seconds * float64(time.Second))
	}
	c := w.config(t, version, "user=alice gssencmode=require", gssenc.Options{})
	for _, tt := range []struct {
		what  string
		count int
		work  func(conn *pgx.Conn, count int) error
	}{
		{"connect", connects, func(_ *pgx.Conn, count int) error {
			for range count {
				conn, err := pgconn.ConnectConfig(ctx, &c.Config)
				if err != nil {
					return err
				}
				if _, err := conn.Exec(ctx, "SELECT 1").ReadAll(); err != nil {
					return err
				}
				if err := conn.Close(ctx); err != nil {
					return err
				}
			}
			return nil
		}},
		{"result", lines, func(conn *pgx.Conn, count int) error {
			total := 0
			r := conn.PgConn().Exec(ctx, fmt.Sprintf("SELECT repeat('x', 1000) FROM generate_series(1, %d)", count))
			for r.NextResult() {
				for rows := r.ResultReader(); rows.NextRow(); {
					total += len(rows.Values()[0])
				}
			}
			return whole(total, count, r.Close())
		}},
		{"copyout", lines, func(conn *pgx.Conn, count int) error {
			var n counter
			_, err := conn.PgConn().CopyTo(ctx, &n, fmt.Sprintf("COPY (SELECT repeat('x', 1000) FROM generate_series(1, %d)) TO STDOUT", count))
			return whole(int(n)-count, count, err)
		}},
		{"copyin", lines, func(conn *pgx.Conn, count int) error {
			if _, err := conn.Exec(ctx, "DROP TABLE IF EXISTS t; CREATE TEMP TABLE t (line text)"); err != nil {
				return err
			}
			line := append(bytes.Repeat([]byte("x"), 1000), '\n')
			tag, err := conn.PgConn().CopyFrom(ctx, io.LimitReader(&endless{line: line}, int64(count*len(line))), "COPY t FROM STDIN")
			return whole(int(tag.RowsAffected())*1000, count, err)
		}},
	} {
		conn := connect(t, c)
		var ours, theirs []time.Duration
		for range rounds {
			theirs = append(theirs, byLibpq(tt.what, tt.count))
			began := time.Now()
			if err := tt.work(conn, tt.count); err != nil {
				t.Fatalf("%s: %v", tt.what, err)
			}
			ours = append(ours, time.Since(began))
		}
		slices.Sort(ours)
		slices.Sort(theirs)
		a, b := ours[rounds/2], theirs[rounds/2]
		unit, per := "MB/s", float64(tt.count)/1000
		if tt.what == "connect" {
			unit, per = "connections/s", float64(tt.count)
		}
		t.Logf("%-8s gssenc %8.1f %s, libpq %d %8.1f %s: ratio %.2f (fastest rounds: %.2f)", tt.what, per/a.Seconds(), unit, version, per/b.Seconds(), unit,
			b.Seconds()/a.Seconds(), theirs[0].Seconds()/ours[0].Seconds())
	}
}

func whole(got, lines int, err error) error {
	if err == nil && got != lines*1000 {
		err = fmt.Errorf("%d bytes, want %d", got, lines*1000)
	}
	return err
}

// counter counts what is written.
type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

// endless reads as one line again and again.
type endless struct {
	line []byte
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k := copy(p[n:], e.line[e.at:])
		n, e.at = n+k, (e.at+k)%len(e.line)
	}
	return n, nil
}

//go:build unix

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
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgauthmatrix/pgauthmatrix/gssenc"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

//go:embed testdata/libpqbench.c
var libpqBench []byte

// TestBesideLibpq measures pgx over gssenc beside libpq's GSS encryption: the same work against the same server, in pairs of one
// round of either. What else the machine does changes slowly beside a pair, so it is the ratios of pairs that are compared; who
// begins takes turns, and a tenth of the work goes before, unmeasured: by its end the other's round has left nothing behind. It
// fails only if the work fails. GSSENC_BENCH is the major version of both; without it, a small amount of work shows that the
// comparison itself is sound.
func TestBesideLibpq(t *testing.T) {
	version, pairs, connects, lines := 17, 2, 10, 3000
	if v, err := strconv.Atoi(os.Getenv("GSSENC_BENCH")); err == nil {
		version, pairs, connects, lines = v, 21, 100, 64000
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
	byLibpq := func(t *testing.T, what string, count int) (r round) {
		conninfo := fmt.Sprintf("host=pg.example.test hostaddr=%s user=alice dbname=postgres gssencmode=require connect_timeout=20", w.servers[version].Addr)
		exit, stdout, stderr, err := client.Exec(ctx, nil, "env", "KRB5CCNAME=/tmp/cc", "KRB5_CONFIG=/tmp/krb5.conf", "/tmp/bench", what, strconv.Itoa(count), conninfo)
		if _, scanErr := fmt.Sscan(string(stdout), &r.clock, &r.processor); err != nil || exit != 0 || scanErr != nil {
			t.Fatalf("%s: %v %d %v %s", what, err, exit, scanErr, stderr)
		}
		return r
	}
	c := w.config(t, version, "user=alice gssencmode=require", gssenc.Options{})
	for _, tt := range []struct {
		what  string
		count int
		work  func(conn *pgconn.PgConn, count int) error
	}{
		{"connect", connects, func(_ *pgconn.PgConn, count int) error {
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
		{"result", lines, func(conn *pgconn.PgConn, count int) error {
			total := 0
			r := conn.Exec(ctx, fmt.Sprintf("SELECT repeat('x', 1000) FROM generate_series(1, %d)", count))
			for r.NextResult() {
				for rows := r.ResultReader(); rows.NextRow(); {
					total += len(rows.Values()[0])
				}
			}
			return whole(total, count, r.Close())
		}},
		{"copyout", lines, func(conn *pgconn.PgConn, count int) error {
			var n counter
			_, err := conn.CopyTo(ctx, &n, fmt.Sprintf("COPY (SELECT repeat('x', 1000) FROM generate_series(1, %d)) TO STDOUT", count))
			return whole(int(n)-count, count, err)
		}},
		{"copyin", lines, func(conn *pgconn.PgConn, count int) error {
			line := append(bytes.Repeat([]byte("x"), 1000), '\n')
			tag, err := conn.CopyFrom(ctx, io.LimitReader(&endless{line: line}, int64(count*len(line))), "COPY t FROM STDIN")
			return whole(int(tag.RowsAffected())*1000, count, err)
		}},
	} {
		byUs := func(t *testing.T) round {
			conn, err := pgconn.ConnectConfig(ctx, &c.Config)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(ctx)
			work := func(count int) {
				if err := tt.work(conn, count); err != nil {
					t.Fatal(err)
				}
			}
			query := func(sql string) {
				if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
					t.Fatalf("%s: %v", sql, err)
				}
			}
			query("CREATE TEMP TABLE t (line text)")
			defer query("DROP TABLE t")
			work(tt.count / 10)
			used, began := processor(t), time.Now()
			work(tt.count)
			return round{time.Since(began).Seconds(), processor(t) - used}
		}
		t.Run(tt.what, func(t *testing.T) {
			var ours, theirs []float64 // seconds by the clock
			var clock, used []float64  // theirs by ours
			for pair := range pairs {
				var a, b round
				if pair%2 == 0 {
					a, b = byUs(t), byLibpq(t, tt.what, tt.count)
				} else {
					b, a = byLibpq(t, tt.what, tt.count), byUs(t)
				}
				ours, theirs = append(ours, a.clock), append(theirs, b.clock)
				clock, used = append(clock, b.clock/a.clock), append(used, b.processor/a.processor)
			}
			slices.Sort(clock)
			unit, per := "MB/s", float64(tt.count)/1000
			if tt.what == "connect" {
				unit, per = "connections/s", float64(tt.count)
			}
			t.Logf("%-7s gssenc %.1f %s, libpq %d %.1f: ratio %.2f (quartiles %.2f and %.2f, all %.2f to %.2f), of the fastest rounds %.2f, of the client's processor time %.2f",
				tt.what, per/median(ours), unit, version, per/median(theirs), median(clock), clock[pairs/4], clock[pairs-1-pairs/4],
				clock[0], clock[pairs-1], slices.Min(theirs)/slices.Min(ours), median(used))
		})
	}
}

// round is what one round took, in seconds.
type round struct{ clock, processor float64 }

// processor is the processor time of this process, in seconds.
func processor(t *testing.T) float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
}

func median(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }

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

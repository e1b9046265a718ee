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
	"golang.org/x/sync/errgroup"

	"github.com/pgauthmatrix/pgauthmatrix/gssenc"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

//go:embed testdata/libpqbench.c
var libpqBench []byte

// TestBesideLibpq measures pgx over gssenc beside libpq's GSS encryption: the same work against the same server, in pairs of one
// round of either. What else the machine does changes slowly beside a pair, so it is the ratios of pairs that are compared; who
// begins takes turns, and a tenth of the work goes before, unmeasured: by its end the other's round has left nothing. It
// fails only if the work fails. GSSENC_BENCH is the major version of both; without it, a small amount of work shows that the
// comparison itself is sound.
//
// One session alone waits for the server most of the time, whose speed then depends on how it wakes its client; two at a time
// keep two processors busy, and what either client leaves to the server shows. The same without encryption is what pgx and
// Go's runtime are beside libpq before gssenc comes in.
func TestBesideLibpq(t *testing.T) {
	version, pairs, connects, lines := 17, 2, 10, 3000
	if v, err := strconv.Atoi(os.Getenv("GSSENC_BENCH")); err == nil {
		version, pairs, connects, lines = v, 21, 100, 64000
	}
	w := theWorld(t)
	ctx := context.Background()
	images, err := pgimages.Ensure(ctx, []pgimages.Spec{pgimages.Client(fmt.Sprintf("client-%d", version))}, nil)
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
	for path, content := range map[string][]byte{"/tmp/bench.c": libpqBench, "/tmp/krb5.conf": []byte(krb5Conf(w.realm.Addresses()[0], "")), "/tmp/cc": ccache} {
		if err := exec(ctx, client, content, "sh", "-c", "cat >"+path); err != nil {
			t.Fatal(err)
		}
	}
	if err := exec(ctx, client, nil, "sh", "-c", `gcc -O2 -I"$(pg_config --includedir)" /tmp/bench.c -o /tmp/bench -lpq`); err != nil {
		t.Fatal(err)
	}
	byLibpq := func(what, settings string, count int) (r round, err error) {
		conninfo := fmt.Sprintf("host=pg.example.test hostaddr=%s dbname=postgres connect_timeout=20 %s", w.servers[version].Addr, settings)
		stdout, err := output(ctx, client, nil, "env", "KRB5CCNAME=/tmp/cc", "KRB5_CONFIG=/tmp/krb5.conf", "/tmp/bench", what, strconv.Itoa(count), conninfo)
		if err == nil {
			_, err = fmt.Sscan(string(stdout), &r.clock, &r.processor)
		}
		return r, err
	}
	for _, kind := range []struct {
		what  string
		count int
		work  func(config *pgconn.Config, conn *pgconn.PgConn, count int) error
	}{
		{"connect", connects, func(config *pgconn.Config, _ *pgconn.PgConn, count int) error {
			for range count {
				conn, err := pgconn.ConnectConfig(ctx, config)
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
		{"result", lines, func(_ *pgconn.Config, conn *pgconn.PgConn, count int) error {
			total := 0
			r := conn.Exec(ctx, fmt.Sprintf("SELECT repeat('x', 1000) FROM generate_series(1, %d)", count))
			for r.NextResult() {
				for rows := r.ResultReader(); rows.NextRow(); {
					total += len(rows.Values()[0])
				}
			}
			return whole(total, count, r.Close())
		}},
		{"copyout", lines, func(_ *pgconn.Config, conn *pgconn.PgConn, count int) error {
			var n counter
			_, err := conn.CopyTo(ctx, &n, fmt.Sprintf("COPY (SELECT repeat('x', 1000) FROM generate_series(1, %d)) TO STDOUT", count))
			return whole(int(n)-count, count, err)
		}},
		{"copyin", lines, func(_ *pgconn.Config, conn *pgconn.PgConn, count int) error {
			line := append(bytes.Repeat([]byte("x"), 1000), '\n')
			tag, err := conn.CopyFrom(ctx, io.LimitReader(&endless{line: line}, int64(count*len(line))), "COPY t FROM STDIN")
			return whole(int(tag.RowsAffected())*1000, count, err)
		}},
	} {
		for _, how := range []struct {
			name, settings string
			sessions       int
		}{
			{"alone", "user=alice gssencmode=require", 1},
			{"two at a time", "user=alice gssencmode=require", 2},
			{"without encryption", "user=anyway gssencmode=disable sslmode=disable", 1},
		} {
			c := w.config(t, version, how.settings, gssenc.Options{})
			byUs := func(t *testing.T) round {
				var sessions []*pgconn.PgConn
				for range how.sessions {
					conn, err := pgconn.ConnectConfig(ctx, &c.Config)
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close(ctx)
					if _, err := conn.Exec(ctx, "CREATE TEMP TABLE t (line text)").ReadAll(); err != nil {
						t.Fatal(err)
					}
					if err := kind.work(&c.Config, conn, kind.count/10); err != nil {
						t.Fatal(err)
					}
					sessions = append(sessions, conn)
				}
				used := processor(t)
				r := together(t, kind.count, how.sessions, func(i int) (round, error) {
					began := time.Now()
					err := kind.work(&c.Config, sessions[i], kind.count)
					return round{clock: time.Since(began).Seconds()}, err
				})
				r.processor = (processor(t) - used) / float64(how.sessions*kind.count)
				for _, conn := range sessions { // before the next round
					if _, err := conn.Exec(ctx, "DROP TABLE t").ReadAll(); err != nil {
						t.Fatal(err)
					}
				}
				return r
			}
			byThem := func(t *testing.T) round {
				return together(t, kind.count, how.sessions, func(int) (round, error) { return byLibpq(kind.what, how.settings, kind.count) })
			}
			t.Run(kind.what+" "+how.name, func(t *testing.T) {
				var ours, theirs, clock, used []float64
				for pair := range pairs {
					var a, b round
					if pair%2 == 0 {
						a, b = byUs(t), byThem(t)
					} else {
						b, a = byThem(t), byUs(t)
					}
					ours, theirs = append(ours, a.clock), append(theirs, b.clock)
					clock, used = append(clock, b.clock/a.clock), append(used, b.processor/a.processor)
				}
				slices.Sort(clock)
				unit := "lines of 1 kB/s"
				if kind.what == "connect" {
					unit = "connections/s"
				}
				t.Logf("%.0f %s, libpq %d %.0f: ratio %.2f (quartiles %.2f and %.2f, all %.2f to %.2f), of the client's processor time %.2f",
					1/median(ours), unit, version, 1/median(theirs), median(clock), clock[pairs/4], clock[pairs-1-pairs/4], clock[0], clock[pairs-1], median(used))
			})
		}
	}
}

// round is what one round took, in seconds: each connection or line of it, in what together returns.
type round struct{ clock, processor float64 }

// together does the work of count units in several sessions at once, and adds up their rates.
func together(t *testing.T, count, sessions int, work func(i int) (round, error)) (each round) {
	t.Helper()
	rounds := make([]round, sessions)
	var group errgroup.Group
	for i := range sessions {
		group.Go(func() (err error) {
			rounds[i], err = work(i)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	rate := 0.0
	for _, r := range rounds {
		rate += float64(count) / r.clock
		each.processor += r.processor / float64(sessions*count)
	}
	each.clock = 1 / rate
	return each
}

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

package gssenc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// hungKDC takes connections and never answers. It counts those of all that hang.
func hungKDC(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			hung.Add(1)
			go func() {
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			}()
		}
	}()
	return l.Addr().String()
}

var hung atomic.Int64

// realmAt is a configuration for A.TEST with these KDCs; the realm B.TEST has a KDC that hangs.
func realmAt(t *testing.T, kdcs ...string) string {
	t.Helper()
	return writeFile(t, "krb5.conf", "[libdefaults]\n default_realm = A.TEST\n"+withoutDNS+"[realms]\n A.TEST = {\n  kdc = "+strings.Join(kdcs, "\n  kdc = ")+
		"\n }\n B.TEST = {\n  kdc = "+hungKDC(t)+"\n }\n")
}

func took(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

// A KDC that hangs costs a second, once: the next is asked, its answer counts, and it is asked first from then on.
func TestHungKDCIsPassedOver(t *testing.T) {
	lastAnswered.Clear()
	good, _ := startKDC(t)
	conf := realmAt(t, hungKDC(t), hungKDC(t), good.address)
	var c *Credentials
	if d := took(func() { c = acquireAlice(t, conf) }); d < 2*time.Second || d > 5*time.Second {
		t.Errorf("the login took %v", d)
	}
	asked := hung.Load()
	if _, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg@A.TEST"}); err != nil {
		t.Error(err)
	}
	acquireAlice(t, conf)
	if hung.Load() != asked || asked == 0 {
		t.Errorf("KDCs that hang were asked %d times, and %d times more after another had answered", asked, hung.Load()-asked)
	}
	// One that is remembered and no longer answers stands in the way of none.
	another, _ := startKDC(t)
	stale := hungKDC(t)
	host, port, _ := net.SplitHostPort(stale)
	lastAnswered.Store("A.TEST", kdc{host, port})
	if d := took(func() { acquireAlice(t, realmAt(t, another.address, stale)) }); d > 5*time.Second {
		t.Errorf("after the remembered one hung: %v", d)
	}
}

// The slow answer of one that was passed over counts if it is the first.
func TestSlowKDC(t *testing.T) {
	var order []string
	var mu sync.Mutex
	_, reply, err := race(t.Context(), []string{"slow", "hung"}, func(ctx context.Context, k string) ([]byte, error) {
		mu.Lock()
		order = append(order, k)
		mu.Unlock()
		if k == "hung" {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		time.Sleep(1500 * time.Millisecond)
		return []byte(k), nil
	})
	mu.Lock()
	defer mu.Unlock()
	if err != nil || string(reply) != "slow" || !slices.Equal(order, []string{"slow", "hung"}) {
		t.Errorf("%s, %v, tried %q", reply, err, order)
	}
}

func TestRace(t *testing.T) {
	fail := errors.New("failed")
	for name, tt := range map[string]struct {
		candidates []string
		want       string
		tried      int
	}{
		"the first":                {[]string{"good", "good2"}, "good", 1},
		"the next at once":         {[]string{"bad", "bad", "good"}, "good", 3},
		"none":                     {[]string{"bad", "bad"}, "", 2},
		"one":                      {[]string{"good"}, "good", 1},
		"no candidates but itself": {[]string{"bad"}, "", 1},
	} {
		tried := 0
		d := took(func() {
			_, reply, err := race(t.Context(), tt.candidates, func(_ context.Context, c string) ([]byte, error) {
				tried++
				if c == "bad" {
					return nil, fail
				}
				return []byte(c), nil
			})
			if string(reply) != tt.want || (err == nil) != (tt.want != "") || err != nil && !errors.Is(err, fail) {
				t.Errorf("%s: %s, %v", name, reply, err)
			}
		})
		if tried != tt.tried || d > time.Second*9/10 {
			t.Errorf("%s: %d tried in %v", name, tried, d)
		}
	}
}

// A host with several addresses, of which the first hangs.
func TestHungAddressOfAKDC(t *testing.T) {
	lastAnswered.Clear()
	good, _ := startKDC(t)
	_, port, _ := net.SplitHostPort(good.address)
	l, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Skip(err) // not every platform has all of 127.0.0.0/8
	}
	defer l.Close()
	conf, err := parseConf("[libdefaults]\n default_realm = A.TEST\n" + withoutDNS + "[realms]\n A.TEST = {\n  kdc = kdc.a.test:" + port + "\n }\n")
	if err != nil {
		t.Fatal(err)
	}
	conf.resolver = &fakeDNS{hosts: map[string][]string{"kdc.a.test": {"127.0.0.2", "127.0.0.1"}}}
	client, err := parsePrincipal("alice@A.TEST", 1)
	if err != nil {
		t.Fatal(err)
	}
	if d := took(func() {
		if _, err := conf.login(t.Context(), client, password{client, "sesame seeds"}); err != nil {
			t.Error(err)
		}
	}); d > 4*time.Second {
		t.Errorf("the login took %v", d)
	}
}

// What answers with something else than a Kerberos message is no KDC.
func TestGarbageIsNoAnswer(t *testing.T) {
	lastAnswered.Clear()
	odd, _ := startKDC(t)
	odd.raw = func([]byte) []byte { return []byte("\x00\x00\x00\x04HTTP") }
	good, _ := startKDC(t)
	acquireAlice(t, realmAt(t, odd.address, good.address))
}

// A ticket that is there waits for no KDC, and every wait ends with its context.
func TestNoWaitForAnotherRealm(t *testing.T) {
	lastAnswered.Clear()
	good, _ := startKDC(t)
	c := acquireAlice(t, realmAt(t, good.address))
	if _, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg@A.TEST"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer cancel()
	for range 3 {
		waiting.Go(func() {
			if _, err := c.Initiate(ctx, InitOptions{SPN: "postgres/pg@B.TEST"}); !errors.Is(err, context.Canceled) {
				t.Errorf("the KDC that hangs: %v", err)
			}
		})
	}
	for range 500 { // the KDC of A.TEST has been asked for the way to B.TEST
		if slices.Contains(good.seen(), "TGS krbtgt/B.TEST@A.TEST") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if d := took(func() {
		if _, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg@A.TEST"}); err != nil {
			t.Error(err)
		}
		if _, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/new@A.TEST"}); err != nil {
			t.Error(err)
		}
	}); d > 5*time.Second {
		t.Errorf("tickets of a realm that answers took %v", d)
	}
	for _, spn := range []string{"postgres/pg@B.TEST", "postgres/other@B.TEST"} {
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if d := took(func() {
			if _, err := c.Initiate(short, InitOptions{SPN: spn}); !errors.Is(err, context.DeadlineExceeded) || stageOf(err) != StageTicket {
				t.Error(err)
			}
		}); d > 5*time.Second {
			t.Errorf("a context of 50 ms returned after %v", d)
		}
	}
	if d := took(func() { _ = c.Close() }); d > 5*time.Second {
		t.Errorf("Close took %v", d)
	}
}

// A login that hangs does not keep other connections of the configuration longer than their context.
func TestNoWaitForAnotherLogin(t *testing.T) {
	f := (&fakeServer{gss: "G", ssl: 'S'}).start(t)
	c := f.config(t, "gssencmode=require")
	conf := writeFile(t, "krb5.conf", "[libdefaults]\n default_realm = A.TEST\n"+withoutDNS+"[realms]\n A.TEST = {\n  kdc = "+hungKDC(t)+"\n }\n")
	if err := Configure(c, Options{Source: alice(conf)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer cancel()
	waiting.Go(func() { _, _ = c.DialFunc(ctx, "tcp", "127.0.0.1%gss0.1:1") })
	for range 5 {
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if d := took(func() {
			if _, err := c.DialFunc(short, "tcp", "127.0.0.1%gss0.1:1"); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}); d > 5*time.Second {
			t.Errorf("a context of 50 ms returned after %v", d)
		}
	}
}

// One piece of work for all who want it at the same time; it ends when none of them waits any more.
func TestFlights(t *testing.T) {
	var f flights[int]
	began, finish, ended := make(chan struct{}, 9), make(chan struct{}), make(chan error, 9)
	work := func(ctx context.Context) (int, error) {
		began <- struct{}{}
		select {
		case <-finish:
			return 7, nil
		case <-ctx.Done():
			ended <- ctx.Err()
			return 0, ctx.Err()
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { // the first leaves, the others are served all the same
		if _, err := f.do(ctx, "k", work); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	<-began
	for range 4 {
		all.Go(func() {
			if n, err := f.do(t.Context(), "k", work); n != 7 || err != nil {
				t.Error(n, err)
			}
		})
	}
	for waiting := 0; waiting < 5; {
		f.mu.Lock()
		waiting = f.running["k"].waiting
		f.mu.Unlock()
	}
	cancel()
	finish <- struct{}{}
	all.Wait()
	if len(began) != 0 || len(f.running) != 0 {
		t.Errorf("the work was begun %d times more, %d under way", len(began), len(f.running))
	}
	// When the last leaves, the work is cancelled, and the next caller does not get its end.
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := f.do(ctx, "k", work); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n, err := f.do(t.Context(), "k", func(context.Context) (int, error) { return 3, nil }); n != 3 || err != nil {
		t.Error(n, err)
	}
	// Different keys do not wait for each other.
	for n := range 3 {
		if got, err := f.do(t.Context(), fmt.Sprint(n), func(context.Context) (int, error) { return n, nil }); got != n || err != nil {
			t.Error(got, err)
		}
	}
}

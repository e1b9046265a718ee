package kdc

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/keytab"

	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

const (
	service = "postgres/pg.example.test"
	other   = "postgres/other.example.test"
)

// place has an image and a network for a test's KDC, and takes the network away at its end.
func place(t *testing.T) Placement {
	t.Helper()
	ctx := t.Context()
	images, err := pgimages.Ensure(ctx, []pgimages.Spec{pgimages.KDC()}, func(name, line string) { t.Log(name, line) })
	if err != nil {
		t.Fatal(err)
	}
	if images[0].Unavailable != "" {
		t.Fatal(images[0])
	}
	run := "kdc-test-" + strings.ToLower(t.Name())
	network, err := pgimages.NewNetwork(ctx, run)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := network.Remove(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	labels, err := pgimages.Labels(run)
	if err != nil {
		t.Fatal(err)
	}
	return Placement{Image: images[0].Tag, Network: network.Name, Alias: "kdc", Labels: labels}
}

func keys(t *testing.T, r Realm, name string) (kvnos, enctypes map[int]int) {
	t.Helper()
	data, err := r.Keytab(name)
	if err != nil {
		t.Fatal(err)
	}
	k := keytab.New()
	if err := k.Unmarshal(data); err != nil {
		t.Fatal(err)
	}
	kvnos, enctypes = map[int]int{}, map[int]int{}
	for _, e := range k.Entries {
		kvnos[int(e.KVNO)]++
		enctypes[int(e.Key.KeyType)]++
	}
	return kvnos, enctypes
}

func TestRealm(t *testing.T) {
	livetest.NeedsContainers(t)
	ctx, at := t.Context(), place(t)
	began := time.Now()
	trust := NewTrust("B.TEST", "EXAMPLE.TEST")
	r, err := Start(ctx, at,
		Spec{
			Trusts: []Trust{trust},
			Realm:  "EXAMPLE.TEST",
			Principals: []Principal{{Name: "alice"}, {Name: "o'b\"x y"}, {Name: service}, {Name: other},
				{Name: "carol", Password: true, Attributes: []string{"+requires_preauth"}, MaxLife: time.Minute}},
			Keytabs: []Keytab{{Name: "good", Principals: []string{service}}, {Name: "stale", Principals: []string{service}, Keys: matrix.PreviousKeys}, {Name: "all", Principals: []string{service}, Keys: matrix.AllKeys},
				{Name: "aes128", Principals: []string{service, other}, Enctypes: []int32{17}}},
			Tickets: []Ticket{{Name: "alice", Principal: "alice"}, {Name: "gone", Principal: "alice", Expired: true},
				{Name: "odd", Principal: "o'b\"x y"}, {Name: "carol", Principal: "carol", Options: []string{"-f"}}},
		})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	at.Alias = "kdc-b"
	b, err := Start(ctx, at, Spec{Trusts: []Trust{trust}, Realm: "B.TEST", Enctypes: []string{"aes128-cts-hmac-sha1-96"}, Principals: []Principal{{Name: "bob"}},
		Tickets: []Ticket{{Name: "bob", Principal: "bob"}, {Name: "gone", Principal: "bob", Expired: true}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	t.Logf("up in %s at %s", time.Since(began).Round(time.Millisecond), r.Addresses())

	good, _ := keys(t, r, "good")
	stale, _ := keys(t, r, "stale")
	if all, _ := keys(t, r, "all"); len(all) != 2 || all[1] == 0 || all[2] == 0 {
		t.Errorf("kvnos: all has %v; it should have 1 and 2", all)
	}
	if len(good) != 1 || good[2] == 0 || len(stale) != 1 || stale[1] == 0 {
		t.Errorf("kvnos: good has %v, stale has %v; they should have 2 and 1", good, stale)
	}
	if _, types := keys(t, r, "aes128"); len(types) != 1 || types[17] != 2 {
		t.Errorf("aes128 has keys of types %v; it should have two of type 17", types)
	}
	for _, c := range []struct {
		realm   Realm
		ticket  string
		enctype int32
		life    time.Duration
		expired bool
	}{
		{r, "alice", 18, time.Hour, false},
		{r, "odd", 18, time.Hour, false},
		{r, "carol", 18, time.Minute, false},
		{r, "gone", 18, time.Hour, true},
		{b, "bob", 17, time.Hour, false},
		{b, "gone", 17, time.Hour, true},
	} {
		data, err := c.realm.Ticket(c.ticket)
		if err != nil {
			t.Fatal(err)
		}
		cache := new(credentials.CCache)
		if err := cache.Unmarshal(data); err != nil {
			t.Fatalf("%s/%s: %v", c.realm.Name(), c.ticket, err)
		}
		entries := cache.GetEntries()
		if len(entries) != 1 {
			t.Fatalf("%s/%s has %d tickets; it should have the ticket-granting ticket alone", c.realm.Name(), c.ticket, len(entries))
		}
		e := entries[0]
		// kinit and KDC each cut the seconds of their own reading of the clock
		if life := e.EndTime.Sub(e.StartTime); (life-c.life).Abs() > time.Second || e.EndTime.Before(time.Now()) != c.expired || e.Key.KeyType != c.enctype {
			t.Errorf("%s/%s: %s from %s, key of type %d; wanted %s %s, type %d", c.realm.Name(), c.ticket, life, e.StartTime, e.Key.KeyType, c.life, c.ticket, c.enctype)
		}
		if c.expired && time.Since(e.EndTime) < time.Hour {
			t.Errorf("%s/%s ended at %s: too near to now for all tolerances", c.realm.Name(), c.ticket, e.EndTime)
		}
	}
	if p, err := r.Password("carol"); err != nil || len(p) < 20 {
		t.Errorf("carol's password has %d characters: %v", len(p), err)
	}
	if _, err := r.Password("alice"); err == nil {
		t.Error("alice has a random key, yet a password")
	}
	if _, err := r.Ticket("bob"); err == nil {
		t.Error("a ticket that was not asked for is there")
	}

	if err := r.ChangeKey(ctx, service, true); err != nil {
		t.Fatal(err)
	}
	if err := r.ChangeKey(ctx, "nobody", false); err == nil {
		t.Error("the key of a principal that does not exist was changed")
	}
	err = r.Add(ctx, Spec{Realm: "EXAMPLE.TEST", Principals: []Principal{{Name: "dave"}},
		Keytabs: []Keytab{{Name: "both", Principals: []string{service}}, {Name: "newest", Principals: []string{service}, KVNOs: []uint32{3}}},
		Tickets: []Ticket{{Name: "dave", Principal: "dave", Lifetime: time.Minute}}})
	if err != nil {
		t.Fatal(err)
	}
	both, _ := keys(t, r, "both")
	newest, _ := keys(t, r, "newest")
	if len(both) != 2 || both[2] == 0 || both[3] == 0 || len(newest) != 1 || newest[3] == 0 {
		t.Errorf("kvnos after a change of key: both has %v, newest has %v", both, newest)
	}
	if _, err := r.Ticket("dave"); err != nil {
		t.Error(err)
	}
	if _, err := r.Ticket("alice"); err != nil {
		t.Errorf("what was there before Add is gone: %v", err)
	}

	if err := r.Healthy(ctx); err != nil {
		t.Error(err)
	}
	log, err := r.Log(ctx)
	if err != nil || !strings.Contains(log, "alice@EXAMPLE.TEST for krbtgt/EXAMPLE.TEST@EXAMPLE.TEST") || strings.Contains(log, "shutting down") {
		t.Errorf("the log is not the KDC's: %v\n%s", err, log)
	}
	if err := r.Stop(ctx); err != nil {
		t.Error(err)
	}
	if err := r.Healthy(ctx); err == nil {
		t.Error("a KDC that was stopped is healthy")
	}
}

// A KDC that hangs takes every connection and every request, also after many clients have come and gone, and answers none.
func TestHungKDC(t *testing.T) {
	livetest.NeedsContainers(t)
	ctx := t.Context()
	realm, err := Start(ctx, place(t), Spec{Realm: "HUNG.TEST", Hung: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = realm.Close(context.WithoutCancel(ctx)) })
	hung := realm.Addresses()[0]
	request := []byte{0, 0, 0, 1, 0x6A}
	dialer := net.Dialer{Timeout: 2 * time.Second}
	var open []net.Conn
	for n := range 400 {
		conn, err := dialer.DialContext(ctx, "tcp", hung)
		if err != nil {
			t.Fatalf("connection %d: %v", n+1, err)
		}
		defer conn.Close()
		if _, err := conn.Write(request); err != nil {
			t.Fatalf("connection %d: %v", n+1, err)
		}
		if open = append(open, conn); n == 199 {
			for _, old := range open {
				_ = old.Close()
			}
			open = nil
		}
	}
	udp, err := dialer.DialContext(ctx, "udp", hung)
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	if _, err := udp.Write(request[4:]); err != nil {
		t.Fatal(err)
	}
	for _, conn := range append(open[len(open)-20:], udp) {
		if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %d bytes, %v", conn.LocalAddr(), n, err)
		}
	}
	if err := realm.Healthy(ctx); err != nil {
		t.Errorf("the KDC after it: %v", err)
	}
}

func TestWhatKadminRefusesIsAnError(t *testing.T) {
	livetest.NeedsContainers(t)
	ctx, at := t.Context(), place(t)
	for want, spec := range map[string]Spec{
		"modify_principal|add_principal|usage": {Realm: "A.TEST", Principals: []Principal{{Name: "alice", Attributes: []string{"+no_such_attribute"}}}},
		"already exists":                       {Realm: "A.TEST", Principals: []Principal{{Name: "alice"}, {Name: "alice"}}},
		"is not among":                         {Realm: "A.TEST", Tickets: []Ticket{{Name: "x", Principal: "alice"}}},
		"realm":                                {Realm: "a b"},
		"two realms":                           {Realm: "A.TEST", Trusts: []Trust{NewTrust("B.TEST", "C.TEST")}},
		"of kind":                              {Realm: "A.TEST", Kind: "heimdal"},
		"more than a line":                     {Realm: "A.TEST", Principals: []Principal{{Name: "alice\naddprinc -pw x mallory"}}},
		"file's":                               {Realm: "A.TEST", Principals: []Principal{{Name: "alice"}}, Keytabs: []Keytab{{Name: "../x", Principals: []string{"alice"}}}},
	} {
		r, err := Start(ctx, at, spec)
		if err == nil {
			t.Errorf("%+v was made", spec)
			_ = r.Close(ctx)
			continue
		}
		found := false
		for _, w := range strings.Split(want, "|") {
			found = found || strings.Contains(err.Error(), w)
		}
		if !found {
			t.Errorf("%+v: the error does not say %q: %v", spec, want, err)
		}
	}
}

func TestEveryKindOfRealmCanBeStarted(t *testing.T) {
	for _, kind := range matrix.RealmKinds {
		if k := kinds[kind]; k.start == nil || k.image == (pgimages.Spec{}) {
			t.Errorf("no KDC of kind %s can be started", kind)
		}
	}
	if len(kinds) != len(matrix.RealmKinds) {
		t.Errorf("%d kinds can be started, matrix has %d", len(kinds), len(matrix.RealmKinds))
	}
}

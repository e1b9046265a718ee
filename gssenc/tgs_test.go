package gssenc

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

func acquireAlice(t *testing.T, conf string) *Credentials {
	t.Helper()
	c, err := Acquire(t.Context(), alice(conf))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TGS requests in the order of libkrb5: one that allows referrals first; a plain one, perhaps to the realm of the host's domain, where
// the KDC refuses it, rewrites the name or refers to itself.
func TestTGSRequests(t *testing.T) {
	named := func(name ...string) types.PrincipalName { return types.PrincipalName{NameType: 2, NameString: name} }
	unknown := refuse(7, nil)
	for _, tt := range []struct {
		name, spn string
		issue     func(req messages.KDCReqBody, canonicalize bool) (types.PrincipalName, error)
		asked     []string
		acceptor  string // "": an error
	}{
		{
			"a KDC that takes no referral request", "postgres/pg@A.TEST",
			func(req messages.KDCReqBody, canonicalize bool) (types.PrincipalName, error) {
				if canonicalize {
					return req.SName, refuse(13, nil)
				}
				return req.SName, nil
			},
			[]string{"TGS postgres/pg@A.TEST", "TGS postgres/pg@A.TEST"}, "postgres/pg@A.TEST",
		},
		{
			"the name is rewritten", "postgres/pg",
			func(req messages.KDCReqBody, canonicalize bool) (types.PrincipalName, error) {
				if canonicalize {
					return named("PG$"), nil
				}
				return req.SName, nil
			},
			[]string{"TGS postgres/pg@A.TEST", "TGS postgres/pg@A.TEST"}, "postgres/pg@A.TEST",
		},
		{
			"the KDC refers to itself", "postgres/pg",
			func(req messages.KDCReqBody, canonicalize bool) (types.PrincipalName, error) {
				if canonicalize {
					return named("krbtgt", "A.TEST"), nil
				}
				return req.SName, nil
			},
			[]string{"TGS postgres/pg@A.TEST", "TGS postgres/pg@A.TEST"}, "postgres/pg@A.TEST",
		},
		{
			"the realm of the host's domain", "postgres/pg.c.test",
			func(req messages.KDCReqBody, _ bool) (types.PrincipalName, error) {
				if req.Realm == "A.TEST" {
					return req.SName, unknown
				}
				return req.SName, nil
			},
			[]string{"TGS postgres/pg.c.test@A.TEST", "TGS krbtgt/C.TEST@A.TEST", "TGS postgres/pg.c.test@C.TEST"}, "postgres/pg.c.test@C.TEST",
		},
		{
			"a host without a domain: the default realm", "postgres/pg",
			func(req messages.KDCReqBody, canonicalize bool) (types.PrincipalName, error) {
				if canonicalize {
					return req.SName, unknown
				}
				return req.SName, nil
			},
			[]string{"TGS postgres/pg@A.TEST", "TGS postgres/pg@A.TEST"}, "postgres/pg@A.TEST",
		},
		{
			"no such service", "postgres/pg",
			func(req messages.KDCReqBody, _ bool) (types.PrincipalName, error) { return req.SName, unknown },
			[]string{"TGS postgres/pg@A.TEST", "TGS postgres/pg@A.TEST"}, "",
		},
		{
			"another name without being asked to", "postgres/pg@A.TEST",
			func(messages.KDCReqBody, bool) (types.PrincipalName, error) { return named("PG$"), nil },
			[]string{"TGS postgres/pg@A.TEST", "TGS postgres/pg@A.TEST"}, "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, conf := startKDC(t)
			c := acquireAlice(t, conf)
			k.seen()
			k.plain = tt.issue
			i, err := c.Initiate(t.Context(), InitOptions{SPN: tt.spn})
			if (err == nil) != (tt.acceptor != "") || err == nil && i.acceptor != tt.acceptor {
				t.Errorf("%+v, %v", i, err)
			}
			if seen := k.seen(); !slices.Equal(seen, tt.asked) {
				t.Errorf("asked: %q", seen)
			}
			if err != nil {
				return
			}
			if _, err := c.Initiate(t.Context(), InitOptions{SPN: tt.spn}); err != nil || len(k.seen()) != 0 {
				t.Errorf("again: %v", err)
			}
		})
	}
}

// A ticket that the service does not take is not used again.
func TestRefusedTicketIsDropped(t *testing.T) {
	k, conf := startKDC(t)
	c := acquireAlice(t, conf)
	asked := func() int {
		t.Helper()
		if _, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg.a.test"}); err != nil {
			t.Fatal(err)
		}
		return len(k.seen())
	}
	k.seen()
	if n := asked(); n != 1 {
		t.Fatalf("%d requests", n)
	}
	if n := asked(); n != 0 {
		t.Fatalf("%d requests for a ticket that is there", n)
	}
	i, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg.a.test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := i.Step(nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := i.Step(krbErrorToken(t, 44)); err == nil {
		t.Fatal("KRB_AP_ERR_BADKEYVER is no error")
	}
	if n := asked(); n != 1 {
		t.Errorf("after a KRB-ERROR: %d requests", n)
	}
	// PostgreSQL hangs up without a word.
	ours, theirs := tcpPair(t)
	go func() {
		_, _ = theirs.Write([]byte("G"))
		_, _ = theirs.Read(make([]byte, 8))
		_, _ = readToken(theirs)
		_ = theirs.Close()
	}()
	if _, err := Client(t.Context(), ours, c, InitOptions{SPN: "postgres/pg.a.test"}); stageOf(err) != StageToken {
		t.Fatal(err)
	}
	if n := asked(); n != 1 {
		t.Errorf("after the server hung up: %d requests", n)
	}
	// A caller that gives up says nothing about the ticket.
	ours, _ = tcpPair(t)
	i, err = c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg.a.test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := i.establish(ctx, ours); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if n := asked(); n != 0 {
		t.Errorf("after a timeout: %d requests", n)
	}
}

// Credentials that cannot get another ticket keep the one they have.
func TestLastTicketIsKept(t *testing.T) {
	service := fakeTicket(t, 18)
	c := withTicket(emptyConf, service).Credentials
	c.drop(service)
	if len(c.tickets) != 1 {
		t.Error("it is gone")
	}
}

// A KDC that no longer takes the ticket-granting ticket: with a password, there is a new login.
func TestRefusedGrantingTicket(t *testing.T) {
	for _, code := range []int32{20, 31, 32, 41, 44} {
		k, conf := startKDC(t)
		c := acquireAlice(t, conf)
		k.seen()
		k.refused = code
		if _, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg.a.test"}); err == nil {
			t.Fatal("it is taken")
		}
		seen := k.seen()
		if n := slices.Index(seen, "AS krbtgt/A.TEST@A.TEST"); n < 1 || len(seen)-n < 3 {
			t.Errorf("code %d: asked %q", code, seen)
		}
	}
	k, conf := startKDC(t)
	c := acquireAlice(t, conf)
	k.seen()
	k.refused = 7 // says nothing about the ticket
	_, _ = c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg.a.test"})
	if seen := k.seen(); slices.Contains(seen, "AS krbtgt/A.TEST@A.TEST") {
		t.Errorf("asked %q", seen)
	}
}

// At half of their time tickets are replaced, without anybody waiting for it.
func TestRefreshAtHalfLife(t *testing.T) {
	k, conf := startKDC(t)
	c := acquireAlice(t, conf)
	initiate := func() {
		t.Helper()
		if _, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg.a.test"}); err != nil {
			t.Fatal(err)
		}
	}
	initiate()
	k.seen()
	initiate()
	if seen := k.seen(); len(seen) != 0 {
		t.Errorf("fresh tickets: asked %q", seen)
	}
	for _, ticket := range c.tickets {
		ticket.start = time.Now().Add(-2 * time.Hour)
	}
	initiate() // with the old one
	for range 500 {
		if t := c.find(ticketGranting("A.TEST", "")); t.start.After(time.Now().Add(-time.Hour)) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	seen := k.seen()
	for range 500 {
		if seen = append(seen, k.seen()...); slices.Contains(seen, "TGS postgres/pg.a.test@A.TEST") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !slices.Equal(seen, []string{"AS krbtgt/A.TEST@A.TEST", "AS krbtgt/A.TEST@A.TEST", "TGS postgres/pg.a.test@A.TEST"}) {
		t.Errorf("asked %q", seen)
	}
	for _, ticket := range c.tickets {
		ticket.start = time.Now().Add(-2 * time.Hour)
	}
	initiate()
	if seen := k.seen(); len(seen) != 0 {
		t.Errorf("again, within refreshPause: asked %q", seen)
	}
}

// A TGT that cannot be forwarded is left out, for any reason, unless it was demanded.
func TestDelegationThatCannotBeHad(t *testing.T) {
	k, conf := startKDC(t)
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	forwardable := writeFile(t, "krb5.conf", strings.Replace(string(text), "[realms]", " forwardable = true\n[realms]", 1))
	for name, tt := range map[string]struct {
		conf  string
		spoil func(c *Credentials)
	}{
		"not forwardable": {conf, func(*Credentials) {}},
		"refused":         {forwardable, func(*Credentials) { k.refused = 12 }},
		"no KDC": {forwardable, func(c *Credentials) {
			var err error
			if c.conf, err = parseConf("[libdefaults]\ndefault_realm = A.TEST\n" + withoutDNS); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		k.refused = 0
		c := acquireAlice(t, tt.conf)
		if _, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg.a.test@A.TEST"}); err != nil {
			t.Fatal(err)
		}
		tt.spoil(c)
		i, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg.a.test@A.TEST", Delegate: true})
		if err != nil || i.Delegated() {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg.a.test@A.TEST", RequireDelegation: true}); stageOf(err) != StageTicket {
			t.Errorf("%s, demanded: %v", name, err)
		}
	}
}

// An authenticator has the time of the clock, also after that was set back.
func TestClockSetBack(t *testing.T) {
	last := lastMoment.Load()
	t.Cleanup(func() { lastMoment.Store(last) })
	lastMoment.Store(time.Now().Add(time.Hour).UnixMicro())
	if ahead := time.Until(moment()); ahead > time.Second {
		t.Errorf("%v ahead", ahead)
	}
	if a, b := moment(), moment(); !b.After(a) {
		t.Errorf("%v, then %v", a, b)
	}
}

// fakeDNS answers from tables.
type fakeDNS struct {
	srv   []*net.SRV
	cname map[string]string
	hosts map[string][]string
	addrs map[string][]string
	asked int
}

var errNoSuchName = errors.New("no such name")

func (d *fakeDNS) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", d.srv, nil
}

func (d *fakeDNS) LookupCNAME(_ context.Context, host string) (string, error) {
	d.asked++
	if name, ok := d.cname[host]; ok {
		return name, nil
	}
	return "", errNoSuchName
}

func (d *fakeDNS) LookupHost(_ context.Context, host string) ([]string, error) {
	if a, ok := d.hosts[host]; ok {
		return a, nil
	}
	return nil, errNoSuchName
}

func (d *fakeDNS) LookupAddr(_ context.Context, addr string) ([]string, error) {
	if names, ok := d.addrs[addr]; ok {
		return names, nil
	}
	return nil, errNoSuchName
}

// An SRV record with the target "." says that there is no KDC.
func TestSRVWithoutService(t *testing.T) {
	conf, err := parseConf("")
	if err != nil {
		t.Fatal(err)
	}
	conf.resolver = &fakeDNS{srv: []*net.SRV{{Target: ".", Port: 0}}}
	if kdcs, err := conf.kdcs(t.Context(), "A.TEST"); err == nil || !strings.Contains(err.Error(), "no KDC for TCP") {
		t.Errorf("%v, %v", kdcs, err)
	}
	conf.resolver = &fakeDNS{srv: []*net.SRV{{Target: ".", Port: 0}, {Target: "kdc.a.test.", Port: 88}}}
	if kdcs := kdcNames(t, conf, "A.TEST"); !slices.Equal(kdcs, []string{"kdc.a.test:88"}) {
		t.Error(kdcs)
	}
}

// The name of a host in its service principal, as libkrb5's krb5_sname_to_principal has it.
func TestCanonicalHost(t *testing.T) {
	dns := func() *fakeDNS {
		return &fakeDNS{
			cname: map[string]string{"db": "pg1.a.test.", "DB.example.test": "PG1.a.test."},
			hosts: map[string][]string{"db": {"10.0.0.1", "10.0.0.2"}, "DB.example.test": {"10.0.0.3"}},
			addrs: map[string][]string{"10.0.0.1": {"Node1.a.test."}, "10.0.0.9": {"nine.a.test."}},
		}
	}
	for _, tt := range []struct{ settings, host, want string }{
		{"", "db", "node1.a.test"},
		{"", "DB.example.test", "pg1.a.test"}, // its address has no name
		{"", "10.0.0.9", "nine.a.test"},
		{"", "10.0.0.8", "10.0.0.8"},
		{"", "Unknown.test.", "unknown.test"},
		{"rdns = false", "db", "pg1.a.test"},
		{"rdns = false", "10.0.0.9", "10.0.0.9"},
		{"dns_canonicalize_hostname = false", "DB.Example.test.", "db.example.test"},
		{"dns_canonicalize_hostname = fallback", "DB.example.test", "db.example.test"},
		{"dns_canonicalize_hostname = false\n qualify_shortname = lab.test", "DB", "db.lab.test"},
		{"dns_canonicalize_hostname = false\n qualify_shortname = \"\"", "DB", "db"},
		{"dns_canonicalize_hostname = false\n qualify_shortname = lab.test", "::1", "::1"},
		{"qualify_shortname = lab.test", "nowhere", "nowhere.lab.test"},
	} {
		conf, err := parseConf("[libdefaults]\n " + tt.settings + "\n")
		if err != nil {
			t.Fatal(err)
		}
		conf.resolver = dns()
		if got := conf.canonicalHost(t.Context(), tt.host, conf.canonicalize == canonicalizeAlways); got != tt.want {
			t.Errorf("%q, %s: %s, want %s", tt.settings, tt.host, got, tt.want)
		}
	}
}

// With fallback DNS is asked only if the KDC does not know the name as written.
func TestCanonicalHostAsFallback(t *testing.T) {
	k, path := startKDC(t)
	k.plain = func(req messages.KDCReqBody, _ bool) (types.PrincipalName, error) {
		if req.SName.NameString[1] == "alias.a.test" {
			return req.SName, refuse(7, nil)
		}
		return req.SName, nil
	}
	c := acquireAlice(t, path)
	c.conf.canonicalize = canonicalizeFallback
	dns := &fakeDNS{cname: map[string]string{"alias.a.test": "pg.a.test."}}
	c.conf.resolver, c.conf.rdns = dns, false
	for host, asked := range map[string]int{"pg.a.test": 0, "alias.a.test": 1} {
		dns.asked = 0
		i, err := c.initiateHost(t.Context(), "postgres", host, InitOptions{})
		if err != nil || i.acceptor != "postgres/pg.a.test@A.TEST" || dns.asked != asked {
			t.Errorf("%s: %v, DNS asked %d times", host, err, dns.asked)
		}
	}
}

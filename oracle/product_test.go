package oracle

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// axis is one dimension of the products below: an axis of the matrix and those of its values that are combined.
type axis struct {
	name   string
	values []string
}

var hbaTexts = []string{
	"host all all all trust; local all all trust",
	"hostssl all all all trust",
	"hostnossl all all all trust",
	"hostgssenc all all all trust",
	"hostnogssenc all all all trust",
	"hostgssenc all all all gss include_realm=0; hostssl all all all trust",
	"hostssl all all all scram-sha-256; host all all all reject; local all all scram-sha-256",
	"host all all all gss; local all all md5",
	"hostssl all alice all reject; host all alice,bob all trust; hostgssenc all all all gss map=m",
	"hostssl all all all cert; hostnossl all all all md5",
	"hostssl all all all trust clientcert=verify-full; hostgssenc all all all scram-sha-256; host all all all password",
}

// libraries are the versions of libpq that differ, one psql, and every other client that a real server can meet.
var libraries = func() []string {
	names := []string{"libpq13", "libpq15", "libpq16", "libpq17", "libpq18", "psql17"}
	for _, c := range matrix.Clients {
		if c.Libpq == 0 && !c.Named {
			names = append(names, string(c.Name))
		}
	}
	return names
}()

var negotiationAxes = []axis{
	{"server", []string{"13", "14", "15", "16", "17", "18"}},
	{"ssl", []string{"off", "on"}},
	{"hba", hbaTexts},
	{"library", libraries},
	{"transport", []string{"tcp", "unix"}},
	{"ticket", []string{"none", "valid", "expired"}},
	{"gssencmode", []string{"", "disable", "prefer", "require"}},
	{"sslmode", []string{"", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"}},
	{"sslnegotiation", []string{"", "direct"}},
}

var otherAxes = []axis{
	{"servercert", []string{"good", "other-ca", "expired", "wrong-name", "revoked", "system-ca", "ed25519"}},
	{"keytab", []string{"good", "none", "stale", "other"}},
	{"ident", []string{"", `m /^(.*)@EXAMPLE\.TEST$ \1`}},
	{"user", []string{"alice", "bob", "nobody", "nologin", "scram", "md5"}},
	{"principal", []string{"", "alice"}},
	{"hosts", []string{"one", "dead-first", "twice"}},
	{"ticket", []string{"none", "valid", "expired", "ambient"}}, // replaces the one above
	{"database", []string{"postgres", "nodb", "template1"}},
	{"root", []string{"right", "other", "missing", "none", "system"}},
	{"crl", []string{"none", "right", "stale", "missing"}},
	{"cert", []string{"none", "good", "ambient"}},
	{"channel_binding", []string{"", "disable", "prefer", "require"}},
	{"require_auth", []string{"", "gss", "none", "scram-sha-256,gss", "!password,!none", "!gss", "gss,gss"}},
	{"krbsrvname", []string{"", "nosuch"}},
	{"password", []string{"none", "right", "wrong"}},
}

func apply(axes []axis, index []int) *matrix.Cell {
	c := cell()
	for i, a := range axes {
		setAxis(c, a.name, a.values[index[i]])
	}
	return c
}

// product calls f for every combination of the axes' values.
func product(axes []axis, f func(*matrix.Cell)) {
	index := make([]int, len(axes))
	for {
		f(apply(axes, index))
		i := len(axes) - 1
		for ; i >= 0; i-- {
			if index[i]++; index[i] < len(axes[i].values) {
				break
			}
			index[i] = 0
		}
		if i < 0 {
			return
		}
	}
}

// TestWholeNegotiationProduct checks what must hold of every prediction, over the whole product of the axes of
// negotiation and a seeded sample of the product of all axes.
func TestWholeNegotiationProduct(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive: make test runs it")
	}
	var mu sync.Mutex
	seen := map[string]int{}
	texts := map[string]bool{}
	check := func(t *testing.T, c *matrix.Cell, cells *int) {
		p, err := Predict(c)
		if matrix.NotApplicable(c) != "" {
			if err == nil {
				t.Errorf("%s: predicted although %s", axesOf(c), matrix.NotApplicable(c))
			}
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", axesOf(c), err)
		}
		*cells++
		broken := invariants(c, p)
		text := p.Outcome.String()
		mu.Lock()
		known := texts[text]
		texts[text] = true
		seen[string(p.Outcome.End)+" "+string(p.Outcome.Stage)+" "+string(p.Outcome.Reason)+" "+string(p.Outcome.Channel)]++
		mu.Unlock()
		if !known {
			if parsed, err := matrix.ParseOutcome(text); err != nil || !reflect.DeepEqual(parsed.Outcome, p.Outcome) {
				broken = append(broken, "its text form does not say the same")
			}
		}
		if *cells%16 == 0 {
			if again, err := Predict(c); err != nil || !reflect.DeepEqual(again, p) {
				broken = append(broken, "a second prediction differs")
			}
		}
		for _, broken := range broken {
			t.Errorf("%s: %s: %s%s", axesOf(c), broken, p.Outcome, explain(p))
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Run("cells", func(t *testing.T) { // returns after both of its subtests
		t.Run("negotiation", func(t *testing.T) {
			t.Parallel()
			cells := 0
			product(negotiationAxes, func(c *matrix.Cell) { check(t, c, &cells) })
			clients := 0 // libraries with what they can express of gssencmode and sslnegotiation
			product(slices.DeleteFunc(slices.Clone(negotiationAxes), func(a axis) bool {
				return !slices.Contains([]string{"library", "gssencmode", "sslnegotiation"}, a.name)
			}), func(c *matrix.Cell) {
				if matrix.NotApplicable(c) == "" {
					clients++
				}
			})
			if want := 6 * 2 * len(hbaTexts) * 2 * 3 * 7 * clients; cells != want || clients < 3*4+3*4*2+4*2+2*2 {
				t.Errorf("%d cells tried of %d", cells, want)
			}
		})
		t.Run("sample", func(t *testing.T) {
			t.Parallel()
			cells := 0
			all := slices.Concat(negotiationAxes, otherAxes)
			random := rand.New(rand.NewPCG(1, 2))
			for range 200_000 {
				index := make([]int, len(all))
				for i, a := range all {
					index[i] = random.IntN(len(a.values))
				}
				check(t, apply(all, index), &cells)
			}
		})
	})
	for _, want := range []string{
		"connected session  plain", "connected session  tls", "connected session  gss", "refused options bad-options ", "refused options gss-on-unix-socket ",
		"refused credentials no-ticket ", "refused gssenc ticket-expired ", "refused gssenc spn-unknown ", "refused gssenc keytab-missing ", "refused gssenc keytab-mismatch ",
		"refused tls tls-refused ", "refused tls direct-tls-refused ", "refused tls root-missing ", "refused tls server-cert-untrusted ", "refused tls server-cert-name ", "refused tls server-cert-expired ", "refused tls server-cert-revoked ",
		"refused hba no-hba-entry plain", "refused hba no-hba-entry tls", "refused hba no-hba-entry gss", "refused hba hba-reject plain",
		"refused auth no-password tls", "refused auth password plain", "refused auth cert-missing tls", "refused auth no-ticket plain", "refused auth method-rejected gss",
		"refused auth channel-binding tls", "refused auth keytab-missing plain", "refused ident map-no-match gss", "refused startup no-connect-privilege tls", "refused ident map-no-match tls", "refused auth cert-name-mismatch tls", "refused auth spn-unknown plain", "refused startup role-missing tls", "refused startup role-no-login gss", "refused startup database-missing plain", "refused startup setting-unknown plain", "refused startup setting-unknown tls",
	} {
		if seen[want] == 0 {
			t.Errorf("no cell of the product ends %q", want)
		}
	}
}

func axesOf(c *matrix.Cell) string {
	var parts []string
	for _, a := range c.World.Axes() {
		if v := c.Value(a.Name); v != "" {
			parts = append(parts, a.Name+"="+v)
		}
	}
	return strings.Join(parts, " ") + fmt.Sprintf(" hba=%q ident=%q", c.World.HBA, c.World.Ident)
}

// habit is what the invariants know of a client.
type habit struct {
	connections        int    // at most, to one host
	nextHost           bool   // after any failure it goes on to the next host
	afterOK            bool   // it may go on after AuthenticationOk
	afterStartFail     bool   // it may go on after the server's error that follows AuthenticationOk
	connectsFirst      bool   // it may find out that its settings are wrong after it has connected
	sslmode            string // that it takes if none is given
	rootIsFile         bool   // root=system is a file to it, and there is none
	systemBeatsDisable bool   // root=system makes it use TLS with sslmode=disable, too
	hasCRL             bool   // it can be given a revocation list
	binds              bool   // it binds SCRAM to TLS
	laxBelowRequire    bool   // allow and prefer verify nothing, even with a root file
	againOnSocket      bool   // sslmode=allow has two attempts on a unix socket, too
}

var habits = map[matrix.ClientKind]func(*matrix.Client) habit{
	matrix.KindLibpq: libpqHabit,
	matrix.KindPsql:  libpqHabit,
	matrix.KindPGX: func(l *matrix.Client) habit {
		h := habit{connections: 2, nextHost: true, afterOK: true, afterStartFail: true, sslmode: "prefer", systemBeatsDisable: true, binds: true}
		if l.GSSEncMode == "prefer" {
			h.connections++
		}
		return h
	},
	matrix.KindPQ: func(l *matrix.Client) habit {
		return habit{connections: 2, nextHost: true, afterStartFail: l.SSLMode == "allow" || l.Hosts == "twice", sslmode: "require"}
	},
	matrix.KindAsyncpg: func(*matrix.Client) habit {
		return habit{connections: 2, nextHost: true, afterStartFail: true, sslmode: "prefer", rootIsFile: true, hasCRL: true, laxBelowRequire: true, againOnSocket: true}
	},
}

func libpqHabit(l *matrix.Client) habit {
	v := l.Library.Libpq()
	return habit{connections: 3, connectsFirst: v < 17, sslmode: "prefer", rootIsFile: v < 16, hasCRL: true, binds: true}
}

// checked is a prediction whose invariants are checked.
type checked struct {
	o           matrix.Outcome
	w           *matrix.World
	l           *matrix.Client
	habit       habit
	connections [][]matrix.Step // the trace: the steps of each connection
	broken      []string
}

func (c *checked) must(holds bool, what string) {
	if !holds {
		c.broken = append(c.broken, what)
	}
}

// last are the steps of the last connection.
func (c *checked) last() []matrix.Step {
	if len(c.connections) == 0 {
		return nil
	}
	return c.connections[len(c.connections)-1]
}

func (c *checked) endsWith(s matrix.Step) bool {
	return len(c.last()) > 0 && c.last()[len(c.last())-1] == s
}

// early: the client's own settings or credentials have ended the attempt.
func (c *checked) early() bool {
	return c.o.Stage == matrix.StageOptions || c.o.Stage == matrix.StageCredentials
}

// invariants lists what a prediction breaks that holds of every attempt.
func invariants(cell *matrix.Cell, p matrix.Prediction) (broken []string) {
	habitOf := habits[cell.Client.Library.Kind()]
	if habitOf == nil {
		return []string{"the table habits has no entry for the client's kind"}
	}
	c := &checked{o: p.Outcome, w: cell.World, l: &cell.Client, habit: habitOf(&cell.Client)}
	c.must(c.o.Validate() == nil, "the outcome is invalid")
	c.must(len(p.Because) > 0 && !slices.ContainsFunc(p.Because, func(b matrix.Because) bool { return b.Text == "" || b.Source == "" }), "a rule has no text or no source")
	for i, s := range c.o.Trace {
		switch {
		case s == matrix.StepConnect || s == matrix.StepReconnect:
			c.must((s == matrix.StepConnect) == (i == 0), "connect is first and only first")
			c.connections = append(c.connections, nil)
		case len(c.connections) == 0:
			return append(c.broken, "a step before connect")
		default:
			last := len(c.connections) - 1
			c.connections[last] = append(c.connections[last], s)
		}
	}
	c.trace()
	c.end()
	c.channel()
	c.decision()
	if c.o.End == matrix.Connected && c.l.Transport != "unix" {
		c.encryption()
		c.verification()
	}
	return c.broken
}

// trace: how many connections there are, and the order of their steps.
func (c *checked) trace() {
	c.must(len(c.connections) > 0 || c.early(), "no connection")
	c.must(len(c.connections) == 0 || !c.early() || c.habit.connectsFirst && len(c.connections) == 1, "a connection although the client's own settings refused")
	limit := c.habit.connections
	if c.l.Hosts == "twice" && c.habit.nextHost {
		limit *= 2
	}
	c.must(len(c.connections) <= limit, "too many connections")
	for i, steps := range c.connections {
		for j, s := range steps {
			final := j == len(steps)-1
			switch s {
			case matrix.StepAuthOK:
				c.must(final || j == len(steps)-2 && steps[j+1] == matrix.StepStartFail, "something after authok")
				c.must(i == len(c.connections)-1 || c.habit.afterOK || c.habit.afterStartFail && !final, "the client went on after authok")
			case matrix.StepAuthFail:
				c.must(final, "something after authfail")
			case matrix.StepStartFail:
				c.must(j > 0 && steps[j-1] == matrix.StepAuthOK && final, "startfail without authok")
			case matrix.StepDirectAccept, matrix.StepDirectReject, matrix.StepGSSAccept:
				c.must(j == 0, string(s)+" is not first on its connection")
			}
		}
	}
}

// end: the last step of the trace agrees with the outcome.
func (c *checked) end() {
	oks := 0
	for _, s := range c.o.Trace {
		if s == matrix.StepAuthOK {
			oks++
		}
	}
	switch {
	case c.o.End == matrix.Connected:
		c.must(c.endsWith(matrix.StepAuthOK), "connected without authok at the end")
		c.must(oks == 1 || c.habit.afterOK, "connected with two authok")
	case c.o.Stage == matrix.StageStartup:
		c.must(c.endsWith(matrix.StepStartFail), "refused at startup without startfail at the end")
	case c.o.Stage == matrix.StageHBA || c.o.Stage == matrix.StageIdent:
		c.must(c.endsWith(matrix.StepAuthFail), "refused by the rules without authfail at the end")
	}
}

// channel: it is that of the last connection.
func (c *checked) channel() {
	channel := matrix.Plain
	switch {
	case slices.Contains(c.last(), matrix.StepGSSAccept):
		channel = matrix.GSS
	case slices.Contains(c.last(), matrix.StepSSLAccept), slices.Contains(c.last(), matrix.StepDirectAccept):
		channel = matrix.TLS
	}
	if c.early() || c.o.Stage == matrix.StageGSSEnc || c.o.Stage == matrix.StageTLS {
		c.must(c.o.Channel == "", "a channel before there was one")
	} else {
		c.must(c.o.Channel == channel, "not the channel of the last connection")
	}
	once := len(c.connections) == 1 || c.habit.againOnSocket && c.l.SSLMode == "allow"
	c.must(c.l.Transport != "unix" || c.o.Channel == "" || c.o.Channel == matrix.Plain && once, "a unix socket is plain, and tried once")
}

// decision: method, rule, identity and role agree with one another.
func (c *checked) decision() {
	o := &c.o
	c.must((o.Method == "") == (o.Rule == ""), "method and rule go together")
	c.must(o.Reason != matrix.NoHBAEntry || o.Rule == "", "no record matched, and a rule is named")
	c.must(o.Method != matrix.MethodTrust || o.Identity == "", "trust authenticates no identity")
	if o.End != matrix.Connected {
		return
	}
	c.must(o.Role == c.l.User && o.Rule != "", "connected as another role or by no rule")
	c.must(o.Method == matrix.MethodTrust || o.Identity != "", "connected without an identity")
	c.must(o.Method != matrix.MethodReject, "connected by reject")
	c.must(c.l.RequireAuth != "gss" || o.Method == matrix.MethodGSS || o.Channel == matrix.GSS, "require_auth=gss without GSS")
}

// encryption: what the client insists on holds of every session over TCP.
func (c *checked) encryption() {
	tls, gss := c.o.Channel == matrix.TLS, c.o.Channel == matrix.GSS
	c.must(!c.insists() || c.o.Channel != matrix.Plain, "sslmode insists on TLS, and the session is plain")
	c.must(c.l.GSSEncMode != "require" || gss, "gssencmode=require, and the session is not GSS-encrypted")
	c.must(c.l.GSSEncMode != "disable" || !gss, "gssencmode=disable, and the session is GSS-encrypted")
	c.must(c.l.SSLMode != "disable" || !tls || c.habit.systemBeatsDisable && c.l.Root == "system", "sslmode=disable, and the session is TLS")
	c.must(!tls || c.w.SSL == "on", "TLS with ssl=off")
	c.must(!gss || (c.l.Ticket == "valid" || c.l.Ticket == "ambient") && c.w.Keytab == "good", "GSS encryption without ticket and keytab")
	c.must(c.l.ChannelBinding != "require" || tls && (c.o.Method == matrix.MethodScram || c.o.Method == matrix.MethodMD5), "channel_binding=require, and nothing to bind")
	c.must(!tls || !c.habit.binds || c.w.ServerCert != "ed25519" || c.o.Method != matrix.MethodScram || c.l.ChannelBinding == "disable", "SCRAM was not bound, and the client said nothing")
}

// insists: sslmode, given or by default, does without TLS only inside GSS encryption.
func (c *checked) insists() bool {
	return slices.Contains([]string{"require", "verify-ca", "verify-full"}, cmp.Or(c.l.SSLMode, c.habit.sslmode))
}

// verification: the server of a session inside TLS is the one that the client verifies.
func (c *checked) verification() {
	c.must(c.habit.hasCRL || c.l.CRL == "none", "a client without sslcrl connected with one")
	if c.o.Channel != matrix.TLS {
		return
	}
	roots := map[string]string{"none": "system"} // of a client that is given none
	signers := map[string]string{"other-ca": "other", "system-ca": "system"}
	trusted := cmp.Or(signers[c.w.ServerCert], "right") == cmp.Or(roots[c.l.Root], c.l.Root) && c.w.ServerCert != "expired"
	rootless := c.l.Root == "missing" || c.l.Root == "none" || c.l.Root == "system" && c.habit.rootIsFile
	unverified := cmp.Or(c.l.SSLMode, c.habit.sslmode) == "require" && rootless
	c.must(!c.insists() || unverified || trusted, "an unverified server where the client insists on it")
	c.must(c.l.Root != "system" || trusted || rootless, "an unverified server although the system's roots are to verify it")
	lax := c.habit.laxBelowRequire && !c.insists()
	c.must(lax || c.l.Root != "right" || c.w.ServerCert != "revoked" || c.l.CRL != "right", "a server whose certificate is on the revocation list")
	c.must(c.l.SSLMode != "verify-full" || c.w.ServerCert != "wrong-name", "a server of another name under verify-full")
}

func TestConcurrentPredictions(t *testing.T) {
	c := cell(set("hba='hostgssenc all all all gss map=m; hostssl all /^al all trust' ident='m /^(.*)@ \\1' ticket=valid"))
	want := predict(t, c)
	errs := make(chan error)
	for range 8 {
		go func() {
			for range 500 {
				if p, err := Predict(c); err != nil || !reflect.DeepEqual(p, want) {
					errs <- errors.Join(err, errors.New(p.Outcome.String()))
					return
				}
			}
			errs <- nil
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkPredict(b *testing.B) {
	var cells []*matrix.Cell
	product(slices.DeleteFunc(slices.Clone(negotiationAxes), func(a axis) bool { return a.name == "server" || a.name == "transport" }), func(c *matrix.Cell) {
		if matrix.NotApplicable(c) == "" {
			cells = append(cells, c)
		}
	})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := Predict(cells[i%len(cells)]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "predictions/s")
}

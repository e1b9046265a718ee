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

// axis is one dimension of the products below: an axis of the matrix and values worth meeting each other.
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

var negotiationAxes = []axis{
	{"server", []string{"13", "14", "15", "16", "17", "18"}},
	{"ssl", []string{"off", "on"}},
	{"hba", hbaTexts},
	{"library", []string{"libpq13", "libpq15", "libpq16", "libpq17", "libpq18", "psql17", "pgx", "pq"}},
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
	{"ticket", []string{"none", "valid", "expired", "ambient"}}, // in the place of the one above
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
		if a.name == "hba" || a.name == "ident" {
			set(a.name + "='" + a.values[index[i]] + "'")(c)
		} else {
			set(a.name + "=" + a.values[index[i]])(c)
		}
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
	t.Run("cells", func(t *testing.T) { // returns when both in it have
		t.Run("negotiation", func(t *testing.T) {
			t.Parallel()
			cells := 0
			product(negotiationAxes, func(c *matrix.Cell) { check(t, c, &cells) })
			if want := 6 * 2 * len(hbaTexts) * 2 * 3 * 7 * (3*4 + 3*4*2 + 4*2 + 2*2); cells != want {
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
	for _, a := range matrix.Axes {
		if v := c.Value(a.Name); v != "" {
			parts = append(parts, a.Name+"="+v)
		}
	}
	return strings.Join(parts, " ") + fmt.Sprintf(" hba=%q ident=%q", c.World.HBA, c.World.Ident)
}

// invariants lists what a prediction breaks that holds of every attempt.
func invariants(c *matrix.Cell, p matrix.Prediction) (broken []string) {
	must := func(holds bool, what string) {
		if !holds {
			broken = append(broken, what)
		}
	}
	o, l := p.Outcome, c.Client
	must(o.Validate() == nil, "the outcome is invalid")
	must(len(p.Because) > 0 && !slices.ContainsFunc(p.Because, func(b matrix.Because) bool { return b.Text == "" || b.Source == "" }), "a rule has no text or no source")

	// The trace: one list of steps per connection.
	var connections [][]matrix.Step
	for i, s := range o.Trace {
		switch {
		case s == matrix.StepConnect || s == matrix.StepReconnect:
			must((s == matrix.StepConnect) == (i == 0), "connect is first and only first")
			connections = append(connections, nil)
		case len(connections) == 0:
			return append(broken, "a step before connect")
		default:
			connections[len(connections)-1] = append(connections[len(connections)-1], s)
		}
	}
	early := o.Stage == matrix.StageOptions || o.Stage == matrix.StageCredentials
	older := l.Library.UsesLibpq() && l.Library.Libpq() < 17
	must(len(connections) > 0 || early, "no connection")
	must(len(connections) == 0 || !early || older && len(connections) == 1, "a connection although the client's own settings refused")
	limit := 3
	if l.Library == matrix.PGX && l.GSSEncMode != "prefer" || l.Library == matrix.PQ {
		limit = 2
	}
	goesOn := l.Hosts == "twice" && !l.Library.UsesLibpq() // to the second host, behind whatever
	if goesOn {
		limit *= 2
	}
	must(len(connections) <= limit, "too many connections")
	var last []matrix.Step
	oks := 0
	for i, steps := range connections {
		last = steps
		for j, s := range steps {
			final := j == len(steps)-1
			switch s {
			case matrix.StepAuthOK:
				oks++
				must(final || j == len(steps)-2 && steps[j+1] == matrix.StepStartFail, "something after authok")
				must(i == len(connections)-1 || l.Library == matrix.PGX || l.Library == matrix.PQ && (l.SSLMode == "allow" || goesOn) && !final, "the client went on after authok")
			case matrix.StepAuthFail:
				// libpq before 17 and sslmode=allow: a second startup packet is sent behind N, never behind a failure
				must(final, "something after authfail")
			case matrix.StepStartFail:
				must(j > 0 && steps[j-1] == matrix.StepAuthOK && final, "startfail without authok")
			case matrix.StepDirectAccept, matrix.StepDirectReject, matrix.StepGSSAccept:
				must(j == 0, string(s)+" is not first on its connection")
			}
		}
	}
	switch {
	case o.End == matrix.Connected:
		must(oks > 0 && last[len(last)-1] == matrix.StepAuthOK, "connected without authok at the end")
		must(oks == 1 || l.Library == matrix.PGX, "connected with two authok")
	case o.Stage == matrix.StageStartup:
		must(last[len(last)-1] == matrix.StepStartFail, "refused at startup without startfail at the end")
	case o.Stage == matrix.StageHBA || o.Stage == matrix.StageIdent:
		must(last[len(last)-1] == matrix.StepAuthFail, "refused by the rules without authfail at the end")
	}

	// The channel is the last connection's.
	channel := matrix.Plain
	switch {
	case slices.Contains(last, matrix.StepGSSAccept):
		channel = matrix.GSS
	case slices.Contains(last, matrix.StepSSLAccept), slices.Contains(last, matrix.StepDirectAccept):
		channel = matrix.TLS
	}
	if early || o.Stage == matrix.StageGSSEnc || o.Stage == matrix.StageTLS {
		must(o.Channel == "", "a channel before there was one")
	} else {
		must(o.Channel == channel, "not the channel of the last connection")
	}
	unix := l.Transport == "unix"
	must(!unix || o.Channel == "" || o.Channel == matrix.Plain && len(connections) == 1, "a unix socket is plain, and tried once")

	// Who decided.
	must((o.Method == "") == (o.Rule == ""), "method and rule go together")
	must(o.Reason != matrix.NoHBAEntry || o.Rule == "", "no record matched, and a rule is named")
	must(o.Method != matrix.MethodTrust || o.Identity == "", "trust authenticates nobody")
	if o.End == matrix.Connected {
		must(o.Role == l.User && o.Rule != "", "connected as another role or by no rule")
		must(o.Method == matrix.MethodTrust || o.Identity != "", "connected as nobody")
		must(o.Method != matrix.MethodReject, "connected by reject")
	}

	// What the client insisted on holds of every session.
	if o.End == matrix.Connected && !unix {
		insists := slices.Contains([]string{"require", "verify-ca", "verify-full"}, l.SSLMode)
		must(!insists || o.Channel != matrix.Plain, "sslmode insists on TLS, and the session is plain")
		must(l.Library != matrix.PQ || l.SSLMode != "" || o.Channel == matrix.TLS, "lib/pq's default is require, and the session is not TLS")
		must(l.GSSEncMode != "require" || o.Channel == matrix.GSS, "gssencmode=require, and the session is not GSS-encrypted")
		must(l.GSSEncMode != "disable" || o.Channel != matrix.GSS, "gssencmode=disable, and the session is GSS-encrypted")
		must(l.SSLMode != "disable" || o.Channel != matrix.TLS || l.Library == matrix.PGX && l.Root == "system", "sslmode=disable, and the session is TLS")
		must(o.Channel != matrix.TLS || c.World.SSL == "on", "TLS with ssl=off")
		must(o.Channel != matrix.GSS || (l.Ticket == "valid" || l.Ticket == "ambient") && c.World.Keytab == "good", "GSS encryption without ticket and keytab")
		roots := map[string]string{"none": "system"} // what a client has that is given none
		signers := map[string]string{"other-ca": "other", "system-ca": "system"}
		trusted := cmp.Or(signers[c.World.ServerCert], "right") == cmp.Or(roots[l.Root], l.Root) && c.World.ServerCert != "expired"
		rootless := l.Root == "missing" || l.Root == "none" || l.Root == "system" && l.Library.UsesLibpq() && l.Library.Libpq() < 16
		must(o.Channel != matrix.TLS || !insists || l.SSLMode == "require" && rootless || trusted, "an unverified server where the client insists on it")
		must(o.Channel != matrix.TLS || l.Root != "system" || trusted || rootless, "an unverified server although the system's roots are to verify it")
		must(o.Channel != matrix.TLS || l.Root != "right" || c.World.ServerCert != "revoked" || l.CRL != "right", "a server whose certificate is on the revocation list")
		must(l.Library.UsesLibpq() || l.CRL == "none", "a driver without sslcrl got in with one")
		must(o.Channel != matrix.TLS || l.SSLMode != "verify-full" || c.World.ServerCert != "wrong-name", "a server of another name under verify-full")
		must(l.ChannelBinding != "require" || o.Channel == matrix.TLS && (o.Method == matrix.MethodScram || o.Method == matrix.MethodMD5), "channel_binding=require, and nothing to bind")
		must(o.Channel != matrix.TLS || c.World.ServerCert != "ed25519" || o.Method != matrix.MethodScram || l.ChannelBinding == "disable" || l.Library == matrix.PQ, "SCRAM fell from the binding in silence")
	}
	if o.End == matrix.Connected && l.RequireAuth == "gss" {
		must(o.Method == matrix.MethodGSS || o.Channel == matrix.GSS, "require_auth=gss without GSS")
	}
	return broken
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

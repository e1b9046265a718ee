package cases

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// Answer is what there is to say about a case.
type Answer struct {
	*Case
	Tried       bool // on real servers; otherwise only predicted
	Connections []Connection
	Changes     []Change // whom the advised rules treat otherwise than those as reported
	Nobody      bool     // the server does not start as reported: nobody got in, and the changes are all who get in
	Probes      Proof
}

// Connection is one connection of the case, at the server as reported and as advised.
type Connection struct {
	matrix.CaseConnection
	Reported Try
	Advised  *Try           // nil: nothing is advised
	Facts    []audit.Fact   // what the outcome as reported depends on and nobody has said
	Would    []audit.Change // what would let it in; of a connection that is refused and for which nothing is advised
}

// Try is one attempt: what is predicted of it and, where it was made, what was observed.
type Try struct {
	Cell       *matrix.Cell
	Prediction matrix.Prediction
	Cannot     string    // why nothing is predicted
	Observed   *Observed // nil: it was not made
}

// Observed is what a run says of a cell.
type Observed struct {
	Outcome matrix.Outcome
	Unseen  []matrix.Field
	Status  string // of package verdict
	Why     string // where the status is none that agrees
	Agrees  bool   // the observation is as predicted and as written by hand
	Valid   bool   // there is an observation: the status is neither Broken nor NotApplicable
}

// Change is a difference that the advised rules make, with what becomes of it.
type Change struct {
	audit.Difference
	Wanted   bool // it is a connection that is to get in
	Accepted bool // case.yaml names it under admits
}

// Key names the change in case.yaml.
func (c *Change) Key() string { return fmt.Sprintf("%s with %s by %s", c.Channel, c.Have, c.By) }

// Proof says how many probes real clients have made, before and after.
type Proof struct {
	All, Live int
	NotLive   []string // why the others were not, each reason once
	Tried     int      // cells of probes that were tried
	Otherwise []string // cells of probes that did not end as predicted
}

// Outcome is what was observed or, where nothing was, what is predicted. ok is false if there is neither.
func (t *Try) Outcome() (o matrix.Outcome, ok bool) {
	if t.Observed != nil {
		return t.Observed.Outcome, t.Observed.Valid
	}
	return t.Prediction.Outcome, t.Cannot == ""
}

// Shown says whether the connection as reported ended as it was seen to; known is false if nobody has said how, or there is no outcome.
func (c *Connection) Shown() (shown, known bool) { return satisfies(c.Seen, &c.Reported) }

// Cured says whether the connection as advised ends as wanted.
func (c *Connection) Cured() (cured, known bool) {
	if c.Advised == nil {
		return false, false
	}
	if c.Wanted == nil {
		o, ok := c.Advised.Outcome()
		return o.End == matrix.Connected, ok
	}
	return satisfies(c.Wanted, c.Advised)
}

func satisfies(p *matrix.Partial, t *Try) (yes, known bool) {
	o, ok := t.Outcome()
	if p == nil || !ok {
		return false, false
	}
	differs := p.Differs(o)
	if t.Observed != nil {
		differs = slices.DeleteFunc(differs, func(f matrix.Field) bool {
			return slices.Contains(t.Observed.Unseen, f) && p.Get(f) == t.Prediction.Outcome.Get(f)
		})
	}
	return len(differs) == 0, true
}

// Families of the scenarios of a case.
const (
	Reported = "as-reported"
	Advised  = "as-advised"
	Before   = "before"
	After    = "after"
)

// advises says whether the case has another server or other options to try.
func (c *Case) advises(one *matrix.CaseConnection) bool {
	return c.Advised != c.Server || one.Advised != nil
}

// Attempts are the connections of the case, as reported or as advised, each a scenario of one cell. Its question says who connects.
func (c *Case) Attempts(advised bool) (list []*matrix.Scenario) {
	for i := range c.Connections {
		if !advised {
			list = append(list, c.asReported(i))
		} else if c.advises(&c.Connections[i]) {
			list = append(list, c.asAdvised(i))
		}
	}
	return list
}

// Cells are the scenarios of the case: the connections as reported and as advised, and the probes before and after.
func (c *Case) Cells() (list []*matrix.Scenario) {
	for _, s := range slices.Concat(c.Attempts(false), c.Attempts(true)) { // what is not predicted cannot be judged
		cell := s.Expand()[0]
		if _, err := oracle.Predict(&cell); err == nil || matrix.NotApplicable(&cell) != "" {
			list = append(list, s)
		}
	}
	if c.Advised != c.Server {
		list = slices.Concat(list, c.before(), c.after())
	}
	return list
}

func (c *Case) asReported(i int) *matrix.Scenario {
	s := *c.Connections[i].Scenario
	s.Name, s.Question = fmt.Sprintf("%s/connection-%d", Reported, i+1), c.Connections[i].Who
	c.inWorld(&s, c.Server)
	return &s
}

func (c *Case) asAdvised(i int) *matrix.Scenario {
	one := &c.Connections[i]
	s := *one.Scenario
	if one.Advised != nil {
		s = *one.Advised
	}
	s.Name, s.Question, s.Expect = fmt.Sprintf("%s/connection-%d", Advised, i+1), one.Who, nil
	if one.Wanted != nil {
		s.Expect = []matrix.Expect{{Then: *one.Wanted, Pos: one.Pos}}
	}
	c.inWorld(&s, c.Advised)
	return &s
}

// Answer answers the case. observed gives what a run says of a cell by its ID, or nil; it is nil where nothing was tried.
func (c *Case) Answer(observed func(id string) *Observed) (*Answer, error) {
	a := &Answer{Case: c, Tried: observed != nil}
	if observed == nil {
		observed = func(string) *Observed { return nil }
	}
	try := func(s *matrix.Scenario) Try {
		cell := s.Expand()[0]
		t := Try{Cell: &cell, Observed: observed(cell.ID)}
		if t.Cannot = matrix.NotApplicable(&cell); t.Cannot != "" {
			return t
		}
		var err error
		if t.Prediction, err = oracle.Predict(&cell); err != nil {
			t.Cannot = err.Error()
		}
		return t
	}
	for i := range c.Connections {
		one := Connection{CaseConnection: c.Connections[i], Reported: try(c.asReported(i))}
		advised := c.advises(&one.CaseConnection)
		if advised {
			t := try(c.asAdvised(i))
			one.Advised = &t
		}
		if one.Reported.Cannot == "" && c.NotLoaded == nil {
			of, err := c.Server.About(one.Reported.Cell)
			if err != nil {
				return nil, err
			}
			if one.Facts = of.Facts; !advised {
				if one.Would, err = of.WhyNot(); err != nil {
					return nil, err
				}
			}
		}
		a.Connections = append(a.Connections, one)
	}
	if c.Advised == c.Server || c.AdvisedNotLoaded != nil {
		return a, nil
	}
	if err := a.changes(); err != nil {
		return nil, err
	}
	a.proof(observed)
	return a, nil
}

// changes finds whom the advised rules treat otherwise.
func (a *Answer) changes() error {
	before := a.Deciding
	if a.Nobody = before == nil; a.Nobody {
		nobody := *a.Server
		nobody.HBA, nobody.Ident, nobody.Files = matrix.RulesBefore, "", nil
		before = &nobody
	}
	list, err := audit.Compare(before, a.Case.Advised)
	if err != nil {
		return err
	}
	for _, d := range list {
		change := Change{Difference: d}
		for i := range a.Connections {
			change.Wanted = change.Wanted || a.Connections[i].is(&d)
		}
		change.Accepted = slices.Contains(a.Admits, change.Key())
		a.Changes = append(a.Changes, change)
	}
	return nil
}

// is says whether a difference is that this connection gets in, over whatever channel.
func (c *Connection) is(d *audit.Difference) bool {
	if c.Advised == nil || !d.Admitted || d.AsAnyone {
		return false
	}
	k := &c.Advised.Cell.Client
	if !slices.Equal(d.Users, []string{k.User}) {
		return false
	}
	have := map[matrix.Method][]audit.Credential{
		matrix.MethodGSS:      {audit.OwnTicket, audit.Credential("ticket of " + k.Principal)},
		matrix.MethodScram:    {audit.OwnPassword, audit.PasswordCert, audit.PasswordOther},
		matrix.MethodMD5:      {audit.OwnPassword, audit.PasswordCert, audit.PasswordOther},
		matrix.MethodPassword: {audit.OwnPassword, audit.PasswordCert, audit.PasswordOther},
		matrix.MethodPeer:     {audit.AccountItself, audit.Credential("operating system account " + k.OSUser)},
		matrix.MethodCert:     {audit.OwnCert},
		matrix.MethodTrust:    {audit.Nothing},
	}[c.Advised.Prediction.Outcome.Method]
	if cert := c.Advised.Cell.World.ClientCertificate(k); cert != nil && c.Advised.Prediction.Outcome.Method == matrix.MethodCert {
		have = append(have, audit.Credential("certificate of "+cert.CommonName()))
	}
	return slices.Contains(have, d.Have)
}

// proof counts the probes and what came of them.
func (a *Answer) proof(observed func(id string) *Observed) {
	a.Probes.All = len(a.Case.Probes)
	for i := range a.Case.Probes {
		if why := a.Case.Probes[i].NotLive; why == "" {
			a.Probes.Live++
		} else if !slices.Contains(a.Probes.NotLive, why) {
			a.Probes.NotLive = append(a.Probes.NotLive, why)
		}
	}
	for _, s := range a.Cells() {
		if family, _, _ := strings.Cut(s.Name, "/"); family != Before && family != After {
			continue
		}
		for _, cell := range s.Expand() {
			if o := observed(cell.ID); o != nil && o.Valid {
				if a.Probes.Tried++; !o.Agrees {
					a.Probes.Otherwise = append(a.Probes.Otherwise, cell.ID)
				}
			}
		}
	}
}

// Else are the changes by which somebody gets in whom nobody wanted and nobody has accepted.
func (a *Answer) Else() (list []Change) {
	for _, c := range a.Changes {
		if c.Admitted && !c.Wanted && !c.Accepted && !a.Nobody {
			list = append(list, c)
		}
	}
	return list
}

// ErrNoConnection is a case in which nobody connects.
var ErrNoConnection = errors.New("case.yaml names no connection: `pgauthmatrix repro --init DIR` writes one to start from; say who connects, and what was seen")

// Wrong says why the case is not reproduced and cured, a line each; none: it is.
func (a *Answer) Wrong() (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for i := range a.Connections {
		c := &a.Connections[i]
		for _, t := range []*Try{&c.Reported, c.Advised} {
			switch {
			case t == nil:
			case t.Cannot != "":
				add("%s: %s", c.Who, t.Cannot)
			case a.Tried && t.Observed == nil:
				add("%s: %s was not reached", c.Who, t.Cell.ID)
			case t.Observed != nil && !t.Observed.Agrees:
				add("%s: %s: %s", c.Who, t.Observed.Status, t.Observed.Why)
			}
		}
		if shown, known := c.Shown(); known && !shown {
			add("%s: what was seen is not shown", c.Who)
		}
		if cured, known := c.Cured(); known && !cured {
			add("%s: what is advised does not cure it", c.Who)
		}
	}
	for _, c := range a.Else() {
		add("what is advised lets in somebody else: %s", c.Key())
	}
	if n := len(a.Probes.Otherwise); n > 0 {
		add("%d probes did not end as predicted, the first is %s", n, a.Probes.Otherwise[0])
	}
	if a.Case.AdvisedNotLoaded != nil {
		add("the server does not load what is advised: %v", a.Case.AdvisedNotLoaded)
	}
	return list
}

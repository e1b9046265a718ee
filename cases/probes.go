package cases

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// Probe is a client that stands for all that the rules as reported and as advised treat like it.
type Probe struct {
	audit.Probe
	Client  matrix.Client // in the case's world
	NotLive string        // why no real client can be it; empty: one can
}

// servers are those of the case that run, with the rules that decide: as reported, and where they are others as advised.
func (c *Case) servers() (list []*audit.Server) {
	if c.Deciding != nil {
		list = append(list, c.Deciding)
	}
	if c.Advised != c.Server && c.AdvisedNotLoaded == nil {
		list = append(list, c.Advised)
	}
	return list
}

// inForce is the server as reported with the rules that decide; nil: it does not start.
func (c *Case) inForce() *audit.Server {
	if c.NotLoaded == nil {
		return c.Server
	}
	s := *c.Server
	s.Ident = "" // a server that starts has none, and one that runs keeps its maps
	if valueIn(c.world, "load") == matrix.Reload {
		s.Ident = c.world.Before.Ident
	}
	w := s.World()
	if _, err := oracle.LoadRules(&w); err == nil {
		return &s
	}
	if valueIn(c.world, "load") != matrix.Reload {
		return nil
	}
	s.HBA, s.Files = c.world.Before.HBA, nil
	return &s
}

// probe finds the probes, and builds the world in which they can be tried.
func (c *Case) probe() error {
	for _, s := range []struct {
		server *audit.Server
		to     **oracle.RulesError
	}{{c.Server, &c.NotLoaded}, {c.Advised, &c.AdvisedNotLoaded}} {
		w := s.server.World()
		if _, err := oracle.LoadRules(&w); err != nil && !errors.As(err, s.to) {
			return err
		}
	}
	c.Deciding = c.inForce()
	sample := &audit.Sample{}
	if servers := c.servers(); len(servers) > 0 {
		probes, of, err := audit.Probes(servers, func(k audit.Class) bool { return notLive(k) == "" })
		if err != nil {
			return err
		}
		sample = of
		for _, p := range probes {
			c.Probes = append(c.Probes, Probe{Probe: p, Client: p.Cells[0].Client, NotLive: notLive(p.Class)})
		}
	}
	c.build(sample)
	for i := range c.Probes {
		c.place(&c.Probes[i])
	}
	for _, scenario := range append(c.before(), c.after()...) {
		for _, cell := range scenario.Expand() {
			if _, err := oracle.Predict(&cell); err != nil {
				c.cannot(&cell, err)
			}
		}
	}
	return nil
}

// before are the probes at the server as reported, if it runs.
func (c *Case) before() []*matrix.Scenario {
	if c.Deciding == nil {
		return nil
	}
	return c.ProbeScenarios(c.Server, Before)
}

// after are the probes at the server as advised, if it is another and loads its rules.
func (c *Case) after() []*matrix.Scenario {
	if c.Advised == c.Server || c.AdvisedNotLoaded != nil {
		return nil
	}
	return c.ProbeScenarios(c.Advised, After)
}

// cannot leaves out a probe whose end is not predicted: it could not be judged.
func (c *Case) cannot(cell *matrix.Cell, why error) {
	for i := range c.Probes {
		if p := &c.Probes[i]; p.Is(cell) {
			p.NotLive = why.Error()
		}
	}
}

// notLive says why no real client can be of the class.
func notLive(k audit.Class) string {
	if k.Channel == audit.Local {
		return ""
	}
	a, err := netip.ParseAddr(k.Address)
	switch {
	case err != nil:
		return "it has no address"
	case a.IsLoopback():
		return "a client of the harness does not connect from the server's own machine"
	case len(matrix.NetworksOf(nil, []netip.Addr{a})) == 0:
		return "no client can have the address " + k.Address
	}
	return ""
}

// place gives the world what a probe's client has.
func (c *Case) place(p *Probe) {
	r, world := &c.rest, p.Cells[0].World
	if p.Client.Address != "" && p.NotLive == "" {
		r.networks = matrix.NetworksOf(r.networks, appendAddress(nil, p.Client.Address))
		if a, _ := netip.ParseAddr(p.Client.Address); !slices.ContainsFunc(r.networks, func(n netip.Prefix) bool { return n.Contains(a) }) {
			p.NotLive = "no network can have the address " + p.Client.Address + " beside the others of the case"
		}
	}
	if p.Client.Ticket != "none" {
		r.principal(p.Client.Principal)
		if name, realm, ok := strings.Cut(p.Client.Principal, "@"); ok && !slices.ContainsFunc(r.realms, func(o matrix.Realm) bool { return o.Name == realm && slices.Contains(o.Principals, name) }) ||
			!ok && !slices.Contains(r.realms[0].Principals, p.Client.Principal) {
			p.NotLive = "no KDC can have the principal " + p.Client.Principal
		}
	}
	if cert := world.ClientCertificate(&p.Client); cert != nil && p.Client.Cert != "good" && p.Client.Cert != "none" {
		own := *cert
		own.Name = ""
		for _, known := range r.certs {
			if len(known.Subject) == 1 && known.Subject[0].Value == cert.CommonName() && strings.HasPrefix(known.Name, "probe-") {
				own = known
			}
		}
		if own.Name == "" {
			own.Name = fmt.Sprintf("probe-%d", len(r.certs)+1)
			r.certs = append(r.certs, own)
		}
		p.Client.Cert = own.Name
	}
	if u := p.Client.OSUser; u != "" {
		if r.osUser(u); !slices.Contains(r.osUsers, u) {
			p.NotLive = "the containers cannot have the operating system account " + u
		}
	}
}

// axes are the values of the client axes of a probe that are not the defaults.
func (p *Probe) axes() (list []matrix.AxisValues) {
	cell := &matrix.Cell{World: &matrix.World{}, Client: p.Client}
	for _, a := range matrix.Axes {
		if value := cell.Value(a.Name); a.Kind == matrix.ClientAxis && value != "" && value != a.Default && !(a.Name == "principal" && p.Client.Ticket == "none") || slices.Contains(inRows, a.Name) {
			list = append(list, matrix.AxisValues{Axis: a.Name, Values: []string{value}})
		}
	}
	return list
}

// inRows are the axes by which probes with the same channel and credential differ.
var inRows = []string{"address", "os_user", "user", "database", "principal"}

// ProbeScenarios are the probes that a real client can be, as scenarios with one cell each probe, in the world of a server of the case: FAMILY/CHANNEL-CREDENTIAL.
func (c *Case) ProbeScenarios(server *audit.Server, family string) (list []*matrix.Scenario) {
	for i := range c.Probes {
		p := &c.Probes[i]
		if p.NotLive != "" {
			continue
		}
		name := family + "/" + p.group()
		n := slices.IndexFunc(list, func(s *matrix.Scenario) bool { return s.Name == name })
		if n < 0 {
			s := c.Scenario(server, name, p.axes()...)
			s.Question = fmt.Sprintf("Who gets in over %s with %s?", p.Channel, p.Have)
			n, list = len(list), append(list, s)
		}
		var row []matrix.AxisValues
		for _, a := range p.axes() {
			if !slices.Contains(inRows, a.Axis) {
				continue
			}
			row = append(row, a)
			at := slices.IndexFunc(list[n].Axes, func(o matrix.AxisValues) bool { return o.Axis == a.Axis })
			if values := &list[n].Axes[at].Values; !slices.Contains(*values, a.Values[0]) {
				*values = append(*values, a.Values[0])
			}
		}
		list[n].Only = append(list[n].Only, row)
	}
	return list
}

// group names the channel and the credential.
func (p *Probe) group() string {
	words := strings.FieldsFunc(strings.ToLower(string(p.Channel)+" "+string(p.Have)), func(c rune) bool { return !('a' <= c && c <= 'z' || '0' <= c && c <= '9') })
	if strings.HasPrefix(string(p.Have), "certificate of ") && p.Have != audit.AnyCert {
		words = append(words, p.Client.Cert)
	}
	return strings.Join(words, "-")
}

// Is says whether a cell of ProbeScenarios is the probe.
func (p *Probe) Is(cell *matrix.Cell) bool {
	_, name, _ := strings.Cut(cell.Scenario, "/")
	k := &cell.Client
	return name == p.group() && k.User == p.Client.User && k.Database == p.Client.Database && k.Address == p.Client.Address && k.OSUser == p.Client.OSUser &&
		(p.Client.Ticket == "none" || k.Principal == p.Client.Principal)
}

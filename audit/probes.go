package audit

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// Sample is what a world needs so that every probe of it can be tried.
type Sample struct {
	Users, Databases []string
	Names            []matrix.AddressName // of the addresses that stand for host names
	Networks         []netip.Prefix       // the server's own
}

// Probe is a client that stands for all that the rules of some servers treat like it.
type Probe struct {
	Class
	Have  Credential
	Cells []*matrix.Cell // by server: the client in its world, as the audit sees it; a certificate that it has is among those of the world
	By    []string       // by server: FILE:LINE of the record that decides; "": none
}

// Probes are clients between whom the rules of the servers tell a difference: for each way in which records decide over a class and let in who has what, one
// class, with every credential that has a meaning there. Of classes that are alike the first counts for which live says that its client can be made, else the
// first. Rules that do not load are an *oracle.RulesError.
func Probes(servers []*Server, live func(Class) bool) ([]Probe, *Sample, error) {
	var rules []*oracle.Rules
	for _, s := range servers {
		w := s.World()
		r, err := oracle.LoadRules(&w)
		if err != nil {
			return nil, nil, err
		}
		rules = append(rules, r)
	}
	sample := sampleOf(servers, rules...)
	var sides []*side
	var admits []*admissions
	for _, s := range servers {
		x, err := sample.side(s)
		if err != nil {
			return nil, nil, err
		}
		sides, admits = append(sides, x), append(admits, newAdmissions(x))
	}
	type kind struct {
		class   Class
		decides []int
		live    bool
	}
	kinds, order := map[string]*kind{}, []*kind(nil)
	err := sample.walk(sides, func(v *visit) error {
		key := fmt.Sprint(v.Channel, v.decides, v.User == OtherUser)
		for i, m := range admits {
			lets, why, err := m.admitted(v.Class, v.decides[i])
			if err != nil {
				return err
			}
			key += fmt.Sprintf("|%q %s", lets, why)
		}
		k := kinds[key]
		if k == nil {
			k = &kind{class: v.Class, decides: slices.Clone(v.decides), live: live(v.Class)}
			kinds[key], order = k, append(order, k)
		} else if !k.live && live(v.Class) {
			k.class, k.live = v.Class, true
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	var probes []Probe
	for _, k := range order {
		have := slices.Clone(credentials)
		by := make([]string, len(sides))
		for i, x := range sides {
			if n := k.decides[i]; n >= 0 {
				by[i] = at(&x.rules.Records[n])
				for _, mapped := range x.mapped(k.class, n) {
					if !slices.Contains(have, mapped) {
						have = append(have, mapped)
					}
				}
			}
		}
		for _, h := range have {
			if !possible(k.class.Channel, h) {
				continue
			}
			p := Probe{Class: k.class, Have: h, By: by}
			for _, x := range sides {
				p.Cells = append(p.Cells, x.attempt(k.class, h))
			}
			probes = append(probes, p)
		}
	}
	return probes, &Sample{sample.users, sample.databases, sample.names, sample.own}, nil
}

package audit

import (
	"cmp"
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// Difference is a kind of connection that one rule set lets in and the other does not.
type Difference struct {
	Admitted bool // now, and not before; false: before, and not now
	Channel  matrix.Channel
	Have     Credential
	By       string // FILE:LINE of the record that lets it in
	Users    []string
	AsAnyone bool // a role that no rule names is among them
	Example  Class
	Classes  int
}

// Compare finds who gets in after a change of the rules and did not before, and who no longer does; the new ones first, those with the cheapest credential
// before the others. Rules that do not load are an *oracle.RulesError.
func Compare(before, after *Server) ([]Difference, error) {
	var rules [2]*oracle.Rules
	for i, s := range []*Server{before, after} {
		w := s.World()
		var err error
		if rules[i], err = oracle.LoadRules(&w); err != nil {
			return nil, err
		}
	}
	sample := sampleOf([]*Server{before, after}, rules[:]...)
	var sides []*side
	var admits []*admissions
	for _, s := range []*Server{before, after} {
		x, err := sample.side(s)
		if err != nil {
			return nil, err
		}
		sides, admits = append(sides, x), append(admits, newAdmissions(x))
	}
	var list []Difference
	err := sample.walk(sides, func(v *visit) error {
		var lets [2][]Credential
		for i, m := range admits {
			var why string
			var err error
			if lets[i], why, err = m.admitted(v.Class, v.decides[i]); err != nil {
				return err
			}
			if why != "" { // what a record does that is not modelled is the same on both sides, if it is the same record
				lets[i] = []Credential{Credential("what " + string(sides[i].rules.Records[v.decides[i]].Method) + " accepts")}
			}
		}
		for i, now := range []bool{false, true} { // i has it, the other does not
			for _, have := range lets[i] {
				if slices.Contains(lets[1-i], have) || impliedBy(v.Channel, lets[1-i], have) {
					continue
				}
				list = addDifference(list, Difference{Admitted: now, Channel: v.Channel, Have: have, By: at(&sides[i].rules.Records[v.decides[i]]), Example: v.Class})
			}
		}
		return nil
	})
	slices.SortStableFunc(list, func(a, b Difference) int {
		if a.Admitted != b.Admitted {
			if a.Admitted {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Have.rank(), b.Have.rank())
	})
	return list, err
}

// addDifference adds one class to those that differ in the same way.
func addDifference(list []Difference, d Difference) []Difference {
	i := slices.IndexFunc(list, func(o Difference) bool {
		return o.Admitted == d.Admitted && o.Channel == d.Channel && o.Have == d.Have && o.By == d.By
	})
	if i < 0 {
		i, list = len(list), append(list, d)
	}
	o := &list[i]
	o.Classes++
	if d.Example.User == OtherUser {
		o.AsAnyone = true
	} else if !slices.Contains(o.Users, d.Example.User) {
		o.Users = append(o.Users, d.Example.User)
	}
	return list
}

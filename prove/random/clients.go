package random

import (
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// maxCells is about the number of cells of a scenario.
const maxCells = 36

// axis is a client axis with the values from which a scenario takes some. A value that is there several times is as much likelier.
type axis struct {
	name   string
	odds   int // it is named once in so many scenarios, if there is room
	values []string
}

// axes are those beside library, user and address, in the order in which they are offered room.
var axes = []axis{
	{"sslmode", 1, []string{"disable", "prefer", "require", "require", "verify-full", "allow", "verify-ca", "default"}},
	{"password", 1, []string{"right", "none", "right", "wrong"}},
	{"ticket", 2, []string{"none", "valid", "valid", "valid", "expired"}},
	{"cert", 2, []string{"none", "good", "good", "good", "dn", "other-user", "expired", "spiffe", "revoked", "other-ca", "no-subject", "rsa", "intermediate", "server-usage", "not-yet-valid", "version-1"}},
	{"gssencmode", 2, []string{"disable", "prefer", "require", "default"}},
	{"database", 3, []string{"postgres", "postgres", "template1", "shop"}},
	{"channel_binding", 8, []string{"disable", "prefer", "require"}},
	{"require_auth", 8, []string{"scram-sha-256", "password,md5", "!none", "none", "gss", "!password,!md5", "!scram-sha-256"}},
	{"sslnegotiation", 12, []string{"postgres", "direct"}},
	{"hosts", 20, []string{"one", "dead-first", "twice"}},
}

// clients chooses the client axes.
func (g *generator) clients() {
	var libraries []string
	for _, c := range matrix.Clients {
		if !c.Named {
			libraries = append(libraries, string(c.Name))
		}
	}
	room := maxCells
	name := func(axis string, values []string) {
		values = distinct(values)
		room /= len(values)
		g.Axes = append(g.Axes, matrix.AxisValues{Axis: axis, Values: values})
	}
	name("library", []string{anyOf(g, libraries), anyOf(g, libraries)})
	name("user", g.likely())
	if g.Networks != nil {
		name("address", some(g, 3, clientAddresses))
	} else {
		name("transport", anyOf(g, [][]string{{"tcp"}, {"tcp"}, {"tcp", "unix"}, {"unix"}}))
	}
	for _, a := range axes {
		a.values = g.expressible(a)
		if g.IntN(a.odds) > 0 || len(a.values) == 0 || g.clientHas("transport", "unix") && a.name == "hosts" {
			continue
		}
		values := []string{anyOf(g, a.values)}
		if room > 1 {
			values = append(values, anyOf(g, a.values), anyOf(g, a.values))[:min(room, anyOf(g, []int{1, 2, 2, 3}))]
		}
		name(a.name, values)
		if a.name == "ticket" && slices.ContainsFunc(values, func(v string) bool { return v != "none" }) {
			principals := some(g, 2, []string{"alice", "bob", "alice-admin", "ALICE"})
			name("principal", principals[:min(len(principals), max(room, 1))])
		}
	}
}

// expressible are the values that each of the scenario's clients can express.
func (g *generator) expressible(a axis) []string {
	return slices.DeleteFunc(slices.Clone(a.values), func(value string) bool {
		return slices.ContainsFunc(g.Axes[0].Values, func(library string) bool {
			info, _ := matrix.Library(library).Info()
			return slices.ContainsFunc(info.Lacks, func(l matrix.Lack) bool {
				return l.Axis == a.name && (slices.Contains(l.Values, value) || l.Values == nil && value != matrix.NotGiven)
			})
		})
	})
}

// likely are users whom the rules name, as often as not.
func (g *generator) likely() []string {
	users := []string{anyOf(g, g.users)}
	text := g.HBA.String() + g.Ident.String()
	for range 4 {
		if u := anyOf(g, g.users); strings.Contains(text, u) {
			users = append(users, u)
			break
		}
	}
	if g.one(3) {
		users = append(users, "alice")
	}
	return users
}

func (g *generator) clientHas(axis, value string) bool {
	return slices.ContainsFunc(g.Axes, func(a matrix.AxisValues) bool { return a.Axis == axis && slices.Contains(a.Values, value) })
}

func distinct(values []string) (kept []string) {
	for _, v := range values {
		if !slices.Contains(kept, v) {
			kept = append(kept, v)
		}
	}
	return kept
}

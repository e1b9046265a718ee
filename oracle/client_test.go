package oracle

import (
	"reflect"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestEveryClientHasAModel: the registry has every kind of matrix.Clients, and no other.
func TestEveryClientHasAModel(t *testing.T) {
	kinds := map[matrix.ClientKind]bool{}
	for _, c := range matrix.Clients {
		kinds[c.Kind] = true
		if models[c.Kind] == nil {
			t.Errorf("client %s: there is no model of kind %s", c.Name, c.Kind)
			continue
		}
		change := set("library=" + string(c.Name))
		if c.Kind == matrix.KindRaw {
			change = set("library=raw attack=protocol-3.9")
		}
		if p, err := Predict(cell(change)); err != nil || p.Outcome.End != matrix.Connected {
			t.Errorf("client %s under the rule trust: %s, %v", c.Name, p.Outcome, err)
		}
	}
	for kind := range models {
		if !kinds[kind] {
			t.Errorf("a model of kind %s, which no client is of", kind)
		}
	}
}

// TestEveryAttackHasARow: the table has every attack of the matrix, and no other; a sequence is the raw client's.
func TestEveryAttackHasARow(t *testing.T) {
	for _, info := range matrix.Attacks {
		row := attacks[info.Name]
		if row == nil {
			t.Errorf("attack %s has no row", info.Name)
			continue
		}
		if sends := row.sequence != nil; sends != (info.Player == matrix.RawClient) {
			t.Errorf("attack %s: played by %s, a sequence of the raw client: %t", info.Name, info.Player, sends)
		}
	}
	for name := range attacks {
		if name.Info() == nil && name != matrix.NoAttack {
			t.Errorf("a row for %s, which is not an attack of the matrix", name)
		}
	}
}

// TestReactionsAreWhole: a client that can meet an attacker says how it reacts to everything that it can be sent. Only the old form
// of an error may be a gap.
func TestReactionsAreWhole(t *testing.T) {
	for _, info := range matrix.Clients {
		c := cell(set("library=" + string(info.Name) + " attack=listen"))
		if matrix.NotApplicable(c) != "" {
			continue // no attacker can stand before it
		}
		a := attempt{w: c.World, c: &c.Client}
		model := models[info.Kind](&a)
		c.Client.GSSEncMode = "require"
		encryptsGSS := matrix.NotApplicable(c) == ""
		var whole func(v reflect.Value, name string)
		whole = func(v reflect.Value, name string) {
			optional := name == ".oldError" || !encryptsGSS && (strings.HasPrefix(name, ".gss") || name == ".tokenError" || name == ".unwrapSource")
			switch {
			case v.IsZero() && optional:
			case v.Type() == reflect.TypeFor[reaction]():
				because := v.FieldByName("because")
				goesOn := v.FieldByName("how").Int() == int64(opened)
				if because.FieldByName("Text").IsZero() || because.FieldByName("Source").IsZero() || goesOn != v.FieldByName("reason").IsZero() {
					t.Errorf("%s: reactions%s: %+v", info.Name, name, v)
				}
			case v.Kind() == reflect.Struct:
				for i := range v.NumField() {
					whole(v.Field(i), name+"."+v.Type().Field(i).Name)
				}
			case v.IsZero():
				t.Errorf("%s: reactions%s is empty", info.Name, name)
			}
		}
		whole(reflect.ValueOf(*model.reactions()), "")
		if model.service() == "" || model.ambientTicket().source == "" || model.ambientCertificate().source == "" {
			t.Errorf("%s: credentials without a source", info.Name)
		}
	}
}

// TestReactionThatIsMissing: what a model does not say is a gap, and never a prediction.
func TestReactionThatIsMissing(t *testing.T) {
	c := cell(set("attack=error"))
	a := attempt{w: c.World, c: &c.Client}
	a.reacts(&reaction{}, matrix.StageTLS)
	if a.gap == nil || !strings.Contains(a.gap.Error(), "libpq18 with attack=error") {
		t.Errorf("gap %v", a.gap)
	}
}

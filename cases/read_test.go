package cases

import (
	"os"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// read reads a case of the catalogue.
func read(t *testing.T, name string) *Case {
	t.Helper()
	c, err := Read(os.DirFS("../scenarios/customers/" + name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// outcome is what the oracle predicts of a connection of the case at a server.
func outcome(t *testing.T, c *Case, number int, server *audit.Server) matrix.Outcome {
	t.Helper()
	s := *c.Connections[number].Scenario
	c.inWorld(&s, server)
	p, err := oracle.Predict(&s.Expand()[0])
	if err != nil {
		t.Fatal(err)
	}
	return p.Outcome
}

func TestReadCase(t *testing.T) {
	c := read(t, "realm-cut-off-before-the-map")
	if got := strings.Join(c.Found, " "); got != "case.yaml krb5.conf more.conf pg_hba.conf pg_ident.conf postgresql.conf" {
		t.Errorf("found %s", got)
	}
	var out []string
	for _, l := range c.LeftOut {
		out = append(out, l.Name+": "+string(l.Fate))
	}
	if got := strings.Join(out, ", "); got != "archive_command: side effects, listen_addresses: left out" {
		t.Errorf("left out %s", got)
	}
	one := c.Connections[0]
	if o := outcome(t, c, 0, c.Server); len(one.Seen.Differs(o)) > 0 {
		t.Errorf("as reported: %s", o)
	}
	if o := outcome(t, c, 0, c.Advised); len(one.Wanted.Differs(o)) > 0 {
		t.Errorf("as advised: %s", o)
	}
}

// Every probe is one cell, at both servers, and the oracle predicts it.
func TestProbes(t *testing.T) {
	c := read(t, "realm-cut-off-before-the-map")
	if len(c.Probes) < 50 {
		t.Fatalf("%d probes", len(c.Probes))
	}
	for _, server := range []*audit.Server{c.Server, c.Advised} {
		cells := map[*Probe]int{}
		for _, s := range c.ProbeScenarios(server, "probes") {
			for _, cell := range s.Expand() {
				if why := matrix.NotApplicable(&cell); why != "" {
					t.Errorf("%s: %s", cell.ID, why)
				}
				if _, err := oracle.Predict(&cell); err != nil {
					t.Errorf("%s: %v", cell.ID, err)
				}
				for i := range c.Probes {
					if p := &c.Probes[i]; p.Is(&cell) {
						cells[p]++
					}
				}
			}
		}
		for i := range c.Probes {
			want := 1
			if c.Probes[i].NotLive != "" {
				want = 0
			}
			if p := &c.Probes[i]; cells[p] != want {
				t.Errorf("%s %s %s: %d cells, want %d (%s)", p.Channel, p.User, p.Have, cells[p], want, p.NotLive)
			}
		}
	}
}

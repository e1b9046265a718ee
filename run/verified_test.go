package run

import (
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/scenarios"
)

// Reports read in the rules of a prediction whether the client verifies the server's certificate: every prediction of a TLS session says it.
func TestPredictionsOfTLSSayWhetherItIsVerified(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive: make test runs it")
	}
	all, err := matrix.Load(scenarios.Files)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[[2]bool]int{}
	clients := map[matrix.ClientKind]bool{}
	for _, s := range all {
		cells := s.Expand()
		for i := 0; i < len(cells); i += 7 { // a prime: all values of every axis are among them
			c := &cells[i]
			if c.ByHand || matrix.NotApplicable(c) != "" {
				continue
			}
			p, err := Predict(c)
			if err != nil {
				t.Fatal(err)
			}
			if p.Outcome.End != matrix.Connected || p.Outcome.Channel != matrix.TLS {
				continue
			}
			yes, told := reports.CertificateVerified(p.Because)
			if !told {
				t.Errorf("%s: no rule says whether the certificate is verified: %v", c.ID, p.Because)
			}
			seen[[2]bool{yes, told}]++
			clients[c.Client.Library.Kind()] = true
		}
	}
	t.Log(seen)
	if seen[[2]bool{true, true}] < 1000 || seen[[2]bool{false, true}] < 1000 || len(clients) < 5 {
		t.Errorf("too few: %v of %v", seen, clients)
	}
}

package prove

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle/corpus"
)

// corpusVersions are the servers that the corpus is asked of, as far as the chosen depth goes.
func corpusVersions(t *testing.T) []int {
	if livetest.Chosen(t) == livetest.Full {
		return matrix.ServerVersions
	}
	return livetest.Versions(t)
}

// TestCorpus asks real servers how they read the corpus. With -update what they say is recorded.
func TestCorpus(t *testing.T) {
	livetest.NeedsContainers(t)
	groups, err := corpus.Load()
	if err != nil {
		t.Fatal(err)
	}
	var recording sync.Mutex
	t.Cleanup(func() {
		if !*update || t.Failed() {
			return
		}
		for _, g := range groups {
			if err := os.WriteFile(filepath.Join("..", "oracle", "corpus", g.Name+".txt"), []byte(g.Text()), 0o644); err != nil {
				t.Error(err)
			}
		}
	})
	for _, version := range corpusVersions(t) {
		t.Run(strconv.Itoa(version), func(t *testing.T) {
			t.Parallel()
			r := newTestReader(t, version)
			asked := 0
			for _, g := range groups {
				var cases []corpus.Case
				var of []int
				for i := range g.Cases {
					if survives(&g.Cases[i], version) {
						cases, of = append(cases, g.Cases[i]), append(of, i)
					}
				}
				answers, err := r.Ask(t.Context(), cases)
				if err != nil {
					t.Fatalf("%s: %v", g.Name, err)
				}
				asked += len(cases)
				recording.Lock()
				for i, a := range answers {
					c := &g.Cases[of[i]]
					was := c.By(version)
					switch {
					case *update:
						c.Record(version, a)
					case was == nil:
						t.Errorf("%s: %s: nothing is recorded: go test ./prove -run TestCorpus -update", g.Name, c.Name)
					case !was.Equal(&a):
						t.Errorf("%s: %s\n%s", g.Name, c.Name, corpus.Differences("recorded", was, "said", &a))
					}
				}
				recording.Unlock()
			}
			if asked < 300 && !*update {
				t.Errorf("%d cases were asked", asked)
			}
			askWithoutSSL(t, r, groups)
		})
	}
}

// askWithoutSSL holds the rows of a server without ssl against the oracle: nothing of them is recorded.
func askWithoutSSL(t *testing.T, r *Reader, groups []corpus.Group) {
	if err := r.withoutSSL(t.Context()); err != nil {
		t.Fatal(err)
	}
	var cases []corpus.Case
	var want []*corpus.Answer
	hostssl := 0
	for _, g := range groups {
		for i := range g.Cases {
			w := g.Cases[i].World(r.version)
			w.SSL = "off"
			if p, err := predictedIn(w); err == nil {
				p.Log = nil
				cases, want = append(cases, g.Cases[i]), append(want, p)
				hostssl += strings.Count(strings.Join(p.Rules, "\n"), "SSL is disabled")
			}
		}
	}
	answers, err := r.Views(t.Context(), cases)
	if err != nil {
		t.Fatal(err)
	}
	for i := range answers {
		if !want[i].Equal(&answers[i]) {
			t.Errorf("ssl=off: %s\n%s", cases[i].Name, corpus.Differences("predicted", want[i], "said", &answers[i]))
		}
	}
	if len(cases) < 300 || hostssl < 20 {
		t.Errorf("%d cases were asked without ssl, with %d records that need it", len(cases), hostssl)
	}
}

// newTestReader starts a server, for as long as the test runs. A version of which there is no image is left out.
func newTestReader(t *testing.T, version int) *Reader {
	t.Helper()
	r, err := NewReader(t.Context(), version, "corpus-"+strconv.Itoa(version)+"-"+strconv.Itoa(os.Getpid()))
	var none *Unavailable
	if errors.As(err, &none) && !isDebians(version) {
		livetest.LeftOut(t, "%s: %v", t.Name(), none)
		t.SkipNow()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// isDebians says whether every machine can have the server.
func isDebians(version int) bool {
	return version == 13 || version == 15 || version == 17 || version == 18
}

// Package compliance says which controls of security benchmarks a server's rules satisfy, from the records of a run: what was observed of the server's
// behaviour, and beside it what the text of the control's check would conclude from the configuration. The controls are data (controls.yaml files);
// questions.yaml says what is asked of the records. Nothing here touches anything live.
package compliance

import (
	"embed"
	"sync"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

//go:embed *.yaml
var files embed.FS

// Conclusion is the result of a control or of a question. The zero value is invalid.
type Conclusion string

const (
	Satisfied Conclusion = "satisfied"
	Violated  Conclusion = "violated"
	NotShown  Conclusion = "not shown" // evidence is missing, broken, or leaves it open. It is never satisfied by the absence of a cell
)

// Conclusions lists them, the worst first.
var Conclusions = []Conclusion{Violated, NotShown, Satisfied}

// Proof says how a control can be shown at all.
type Proof string

const (
	ByBehaviour     Proof = "behaviour"     // by attempts against a server
	ByConfiguration Proof = "configuration" // by what the files say: no attempt can show it
	ByHand          Proof = "manual"        // by neither
)

// Proofs lists them.
var Proofs = []Proof{ByBehaviour, ByConfiguration, ByHand}

// Framework is a set of controls: a file of this package.
type Framework struct {
	ID        string     `yaml:"id"`     // of its controls' OSCAL properties: cis, stig, nist, pci
	Title     string     `yaml:"title"`  // with the version that the paraphrases are of
	Source    string     `yaml:"source"` // who publishes it
	Benchmark *Benchmark `yaml:"cklb"`   // for the checklist of STIG Viewer; nil: it has none
	Controls  []*Control `yaml:"controls"`
}

// Benchmark is how STIG Viewer names a STIG.
type Benchmark struct {
	ID      string `yaml:"id"`
	Name    string `yaml:"name"`
	Version string `yaml:"version"`
	Release string `yaml:"release"`
}

// Control is one control of a framework. Its text is a paraphrase: that of CIS is copyrighted.
type Control struct {
	ID         string     `yaml:"id"`
	Title      string     `yaml:"title"`
	Paraphrase string     `yaml:"paraphrase"`
	Rule       string     `yaml:"rule"`     // of a STIG: the rule's version, CD16-00-…
	Severity   string     `yaml:"severity"` // of a STIG: high, medium, low
	Aliases    []string   `yaml:"aliases"`  // numbers in other editions
	NIST       []string   `yaml:"nist"`     // controls of SP 800-53 r5, by the ids of OSCAL: sc-8.1
	CCI        []string   `yaml:"cci"`
	Proof      Proof      `yaml:"proof"`
	Asks       []word     `yaml:"asks"`    // ids of questions: their answers together are the behaviour's conclusion
	Literal    []Check    `yaml:"literal"` // all have to hold; none: the check reads no configuration
	ByHand     string     `yaml:"by hand"` // what neither attempts nor files can show
	Apart      string     `yaml:"apart"`   // where a literal reading and the behaviour part
	Tried      *Tried     `yaml:"tried"`   // what became of the text's own remediation on real servers
	Framework  *Framework `yaml:"-"`
	questions  []*Question
}

// Tried is a scenario of this repository that tries what a control's text prescribes.
type Tried struct {
	Scenario string `yaml:"scenario"`
	Shows    string `yaml:"shows"` // one sentence
}

// Question is what is asked of a run's records.
type Question struct {
	ID       string    `yaml:"id"`
	Asks     string    `yaml:"asks"`     // as a sentence that is true if the answer is satisfied
	Cells    condition `yaml:"cells"`    // the evidence; on axes only, so that a cell without an outcome belongs to it, too
	Violated []finding `yaml:"violated"` // one such cell violates
	Open     []finding `yaml:"open"`     // one such cell leaves the question open
	Needs    []finding `yaml:"needs"`    // without at least one cell of each it is not shown
	Covers   []word    `yaml:"covers"`   // channels: each record that lets a client in over one of them has decided over a connection there
	Settings []Check   `yaml:"settings"` // what the server must be configured to do: the harness's server does it in any case
	Limit    string    `yaml:"limit"`    // why no cell can satisfy it; it can be violated
}

// finding is cells that match a condition, and what they show.
type finding struct {
	Says string    `yaml:"says"` // a sentence; of Needs: what is missing without
	When condition `yaml:"when"`
}

// word is a scalar with its place.
type word struct {
	text         string
	line, column int
}

// Catalogue is everything that the files of this package say.
type Catalogue struct {
	Frameworks []*Framework
	Questions  []*Question
}

var builtin = sync.OnceValues(func() (*Catalogue, error) { return Load(files) })

// Controls is the catalogue of this package. It panics if a file is wrong, which a test would have found.
func Controls() *Catalogue {
	c, err := builtin()
	if err != nil {
		panic(err)
	}
	return c
}

// localSocket and loopback are words of Question.Covers beside those of channels: the unix-domain socket, and connections from the server's own machine, which a
// record may take and no other.
const (
	localSocket matrix.Channel = "local"
	loopback    matrix.Channel = "loopback"
)

// coverWords are the words of Question.Covers.
var coverWords = words(matrix.Plain, matrix.TLS, matrix.GSS, localSocket, loopback)

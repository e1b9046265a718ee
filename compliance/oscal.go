package compliance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
)

// OSCAL assessment results, as NIST's JSON schema names them (oscal_complete_schema.json). Only what is valid under 1.1.2 and 1.2.2 alike.
const (
	oscalVersion = "1.1.2" // the oldest of which this is a valid document; later ones read it
	oscalNS      = "https://github.com/pgauthmatrix/pgauthmatrix/ns/oscal"
)

// oscalLimit is the size, in bytes, above which an OSCAL file is not written: some consumers do not take it.
const oscalLimit = 5 << 20

type (
	oscalDocument struct {
		Results oscalResults `json:"assessment-results"`
	}
	oscalResults struct {
		UUID     string          `json:"uuid"`
		Metadata oscalMetadata   `json:"metadata"`
		Plan     oscalRef        `json:"import-ap"`
		Results  []oscalResult   `json:"results"`
		Back     oscalBackMatter `json:"back-matter"`
	}
	oscalMetadata struct {
		Title    string      `json:"title"`
		Modified time.Time   `json:"last-modified"`
		Version  string      `json:"version"`
		OSCAL    string      `json:"oscal-version"`
		Props    []oscalProp `json:"props,omitempty"`
	}
	oscalRef struct {
		Href string `json:"href"`
	}
	oscalProp struct {
		Name  string `json:"name"`
		NS    string `json:"ns,omitempty"`
		Value string `json:"value"`
	}
	oscalResult struct {
		UUID         string             `json:"uuid"`
		Title        string             `json:"title"`
		Description  string             `json:"description"`
		Start        time.Time          `json:"start"`
		End          *time.Time         `json:"end,omitempty"`
		Props        []oscalProp        `json:"props,omitempty"`
		Reviewed     oscalReviewed      `json:"reviewed-controls"`
		Observations []oscalObservation `json:"observations,omitempty"`
		Findings     []oscalFinding     `json:"findings,omitempty"`
	}
	oscalReviewed struct {
		Selections []oscalSelection `json:"control-selections"`
	}
	oscalSelection struct {
		Include []oscalControl `json:"include-controls"`
	}
	oscalControl struct {
		ID string `json:"control-id"`
	}
	oscalObservation struct {
		UUID        string          `json:"uuid"`
		Title       string          `json:"title,omitempty"`
		Description string          `json:"description"`
		Props       []oscalProp     `json:"props,omitempty"`
		Methods     []string        `json:"methods"`
		Evidence    []oscalEvidence `json:"relevant-evidence,omitempty"`
		Collected   time.Time       `json:"collected"`
	}
	oscalEvidence struct {
		Href        string      `json:"href,omitempty"`
		Description string      `json:"description"`
		Props       []oscalProp `json:"props,omitempty"`
	}
	oscalFinding struct {
		UUID        string         `json:"uuid"`
		Title       string         `json:"title"`
		Description string         `json:"description"`
		Props       []oscalProp    `json:"props,omitempty"`
		Target      oscalTarget    `json:"target"`
		Related     []oscalRelated `json:"related-observations,omitempty"`
	}
	oscalTarget struct {
		Type   string      `json:"type"`
		ID     string      `json:"target-id"`
		Title  string      `json:"title,omitempty"`
		Status oscalStatus `json:"status"`
	}
	oscalStatus struct {
		State  string `json:"state"`
		Reason string `json:"reason"`
	}
	oscalRelated struct {
		UUID string `json:"observation-uuid"`
	}
	oscalBackMatter struct {
		Resources []oscalResource `json:"resources"`
	}
	oscalResource struct {
		UUID        string      `json:"uuid"`
		Title       string      `json:"title"`
		Description string      `json:"description,omitempty"`
		Props       []oscalProp `json:"props,omitempty"`
		Links       []oscalLink `json:"rlinks,omitempty"`
	}
	oscalLink struct {
		Href   string      `json:"href"`
		Hashes []oscalHash `json:"hashes,omitempty"`
	}
	oscalHash struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"value"`
	}
)

// namespace is that of the identifiers; they are derived from it, the run and what they identify, so that two renderings are equal.
var namespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte(oscalNS))

// id is a UUID of version 5.
func (s *Statement) id(parts ...string) string {
	return uuid.NewSHA1(namespace, []byte(s.Header.Run+"\x00"+s.Subject.Name+"\x00"+strings.Join(parts, "\x00"))).String()
}

// The names of properties that Earlier reads again.
const (
	propFramework  = "framework"
	propControl    = "control"
	propConclusion = "conclusion"
	propLiteral    = "literal"
)

func prop(name, value string) oscalProp { return oscalProp{Name: name, NS: oscalNS, Value: value} }

// OSCAL writes the statement as OSCAL assessment results, with as many examples of each class, up to three, as there is room for.
func OSCAL(w io.Writer, s *Statement) error {
	for examples := examplesKept; ; examples-- {
		text, err := json.MarshalIndent(oscalDocument{s.oscal(examples)}, "", " ")
		if err != nil {
			return err
		}
		if len(text) <= oscalLimit {
			_, err = w.Write(append(text, '\n'))
			return err
		}
		if examples == 0 {
			return fmt.Errorf("the OSCAL file would have %d bytes; at most %d are written: make the statement about fewer cells", len(text), oscalLimit)
		}
	}
}

func (s *Statement) oscal(examples int) oscalResults {
	modified := s.End
	if modified.IsZero() {
		modified = s.Header.Start
	}
	title := "Compliance of " + s.Subject.Name
	result := oscalResult{UUID: s.id("result"), Title: title, Description: s.Sentence(), Start: s.Header.Start.UTC(),
		Props: []oscalProp{prop("run", s.Header.Run), prop("server", fmt.Sprintf("PostgreSQL %d", s.Subject.Server.Version)), prop("cells", fmt.Sprint(s.Counts.Total()))}}
	if !s.End.IsZero() {
		end := s.End.UTC()
		result.End = &end
	}
	reviewed := map[string]bool{}
	for _, a := range s.AnswersInOrder() { // controls share them
		for _, c := range a.Classes {
			result.Observations = append(result.Observations, s.observation(a, c, modified, examples))
		}
	}
	for _, r := range s.Results() {
		for _, n := range r.controls() {
			if !reviewed[n] {
				reviewed[n] = true
				if len(result.Reviewed.Selections) == 0 {
					result.Reviewed.Selections = []oscalSelection{{}}
				}
				include := &result.Reviewed.Selections[0].Include
				*include = append(*include, oscalControl{n})
			}
		}
		observations, finding := s.finding(r, modified)
		result.Observations = append(result.Observations, observations...)
		result.Findings = append(result.Findings, finding)
	}
	plan := oscalResource{UUID: s.id("plan"), Title: "What was tried", Description: "The scenarios of the run, which are its plan: " + s.Header.Selection + ". Repeat: " + s.Repeat}
	records := oscalResource{UUID: s.id("records"), Title: "Records of the run", Description: "A record for each attempt, with its evidence.",
		Links: []oscalLink{{Href: filepath.Base(s.Path), Hashes: hashes(s.SHA256)}}}
	back := []oscalResource{plan, records}
	for _, f := range s.Subject.Files {
		back = append(back, oscalResource{UUID: s.id("file", f.Name), Title: f.Name, Description: "A file of the subject.", Links: []oscalLink{{Href: f.Name, Hashes: hashes(f.SHA256)}}})
	}
	return oscalResults{UUID: s.id(), Plan: oscalRef{"#" + plan.UUID}, Results: []oscalResult{result}, Back: oscalBackMatter{back},
		Metadata: oscalMetadata{Title: title, Modified: modified.UTC(), Version: s.Header.Run, OSCAL: oscalVersion}}
}

func hashes(sha256 string) []oscalHash {
	if sha256 == "" {
		return nil
	}
	return []oscalHash{{"SHA-256", sha256}}
}

// controls are those of SP 800-53 to which the control belongs, by the ids of OSCAL.
func (c *Control) controls() []string {
	if c.Framework.ID == "nist" {
		return []string{strings.ToLower(strings.NewReplacer("(", ".", ")", "").Replace(c.ID))}
	}
	return c.NIST
}

// finding makes a finding of a result, and an observation of what its check reads.
func (s *Statement) finding(r *Result, collected time.Time) (observations []oscalObservation, f oscalFinding) {
	key := r.Framework.ID + " " + r.ID
	f = oscalFinding{UUID: s.id("finding", key), Title: r.ID + " " + r.Title, Description: r.Paraphrase,
		Props: []oscalProp{prop(propFramework, r.Framework.ID), prop(propControl, r.ID), prop(propConclusion, token(r.Behaviour)), prop("proof", string(r.Proof))}}
	if r.Literal != "" {
		f.Props = append(f.Props, prop(propLiteral, token(r.Literal)))
	}
	for _, a := range r.Aliases {
		f.Props = append(f.Props, prop("alias", a))
	}
	for _, c := range r.CCI {
		f.Props = append(f.Props, prop("cci", c))
	}
	for _, n := range r.controls() {
		f.Props = append(f.Props, prop("sp-800-53", n))
	}
	if r.Rule != "" {
		f.Props = append(f.Props, prop("rule", r.Rule))
	}
	// OSCAL has no third state: what is not shown is not-satisfied, with the reason other.
	status := oscalStatus{"not-satisfied", "other"}
	switch r.Behaviour {
	case Satisfied:
		status = oscalStatus{"satisfied", "pass"}
	case Violated:
		status.Reason = "fail"
	}
	f.Target = oscalTarget{Type: "objective-id", ID: r.controls()[0] + "_obj", Status: status}
	for _, a := range r.Answers {
		f.Description += " " + strings.TrimSuffix(a.Question.Asks, ".") + ": " + string(a.Conclusion) + ". " + strings.Join(a.Why, " ")
		for _, c := range a.Classes {
			f.Related = append(f.Related, oscalRelated{s.classID(a, c)})
		}
	}
	if len(r.Readings) > 0 {
		o := oscalObservation{UUID: s.id("observation", key, "literal"), Title: r.ID + ": what the check reads", Methods: []string{"EXAMINE"}, Collected: collected.UTC(),
			Props: []oscalProp{prop(propLiteral, token(r.Literal))}}
		for i, reading := range r.Readings {
			if i > 0 {
				o.Description += " "
			}
			o.Description += reading.Says
		}
		observations, f.Related = append(observations, o), append(f.Related, oscalRelated{o.UUID})
	}
	if r.ByHand != "" {
		f.Description += " By hand: " + r.ByHand
	}
	return observations, f
}

// classID is the identifier of the observation of a class.
func (s *Statement) classID(a *Answer, c *Class) string {
	return s.id("observation", a.Question.ID, string(c.Role), c.Says, c.Outcome)
}

// observation is one class of cells.
func (s *Statement) observation(a *Answer, c *Class, collected time.Time, examples int) oscalObservation {
	o := oscalObservation{UUID: s.classID(a, c), Title: a.Question.Asks, Methods: []string{"TEST"}, Collected: collected.UTC(),
		Description: fmt.Sprintf("%s: %s.", cells(c.Count), c.Outcome),
		Props:       []oscalProp{prop("role", token(c.Role)), prop("question", a.Question.ID), prop("cells", fmt.Sprint(c.Count)), prop("query", c.Query)}}
	if c.Says != "" {
		o.Description += " " + c.Says + "."
	}
	for _, rule := range c.Rules {
		o.Props = append(o.Props, prop("rule", rule))
	}
	for _, e := range c.Examples[:min(examples, len(c.Examples))] {
		evidence := oscalEvidence{Href: "#" + s.id("records"), Description: "One of these cells, as the run has it.",
			Props: []oscalProp{prop("cell", e.Cell.ID), prop("server", fmt.Sprint(e.Cell.World.Server)), prop("client", e.Cell.Client.Name()), prop("status", string(e.Record.Verdict.Status))}}
		if e.Record.Predicted.End != "" {
			evidence.Props = append(evidence.Props, prop("predicted", e.Record.Predicted.String()))
		}
		if observed := e.outcome(); observed != nil {
			evidence.Props = append(evidence.Props, prop("observed", observed.String()))
		}
		if !e.Record.Start.IsZero() {
			o.Collected = e.Record.Start.UTC()
		}
		o.Evidence = append(o.Evidence, evidence)
	}
	return o
}

// token is a word without blanks, as tools compare it.
func token[T ~string](c T) string { return strings.ReplaceAll(string(c), " ", "-") }

// Earlier is what an OSCAL file of an earlier statement concluded.
type Earlier struct {
	Run         string
	Conclusions map[string]EarlierConclusion // by framework and control, with a blank between
}

// EarlierConclusion is that of one control.
type EarlierConclusion struct{ Behaviour, Literal Conclusion }

// ReadEarlier reads a file that OSCAL wrote.
func ReadEarlier(r io.Reader) (*Earlier, error) {
	var d oscalDocument
	if err := json.NewDecoder(r).Decode(&d); err != nil {
		return nil, fmt.Errorf("not an OSCAL file of this program: %w", err)
	}
	e := &Earlier{Conclusions: map[string]EarlierConclusion{}}
	for _, result := range d.Results.Results {
		for _, f := range result.Findings {
			named := map[string]string{}
			for _, p := range f.Props {
				if p.NS == oscalNS {
					named[p.Name] = p.Value
				}
			}
			c := EarlierConclusion{conclusionOf(named[propConclusion]), conclusionOf(named[propLiteral])}
			if c.Behaviour == "" || named[propFramework] == "" {
				return nil, errors.New("a finding has no conclusion: want an OSCAL file that this program wrote")
			}
			e.Conclusions[named[propFramework]+" "+named[propControl]] = c
		}
	}
	if e.Run = d.Results.Metadata.Version; len(e.Conclusions) == 0 {
		return nil, errors.New("no findings: want an OSCAL file that this program wrote")
	}
	return e, nil
}

func conclusionOf(text string) Conclusion {
	for _, c := range Conclusions {
		if token(c) == text {
			return c
		}
	}
	return ""
}

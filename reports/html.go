package reports

import (
	"bufio"
	"cmp"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/docs"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// The page's parts. html/app.js is made of html/*.ts.
//
//go:generate go test . -run TestScript -update
//go:embed html/page.html html/style.css html/app.js
var pageParts embed.FS

var pageTemplate = template.Must(template.ParseFS(pageParts, "html/page.html"))

// htmlLimit is the size of a page in bytes: more than a mail server or a reader's patience takes. A page that would be larger leaves
// out the times of events, and then the evidence of scenarios without a failure; it says so.
const htmlLimit = 10_000_000

// htmlRest is set aside for style and summary.
const htmlRest = 100_000

// htmlFailures is the number of groups of failures that the top of the page lists when Options.Failures does not say.
const htmlFailures = 10

// HTML writes one page that needs no other file and no network: a summary, and with it every cell in compressed tables, which the page's
// script draws.
func HTML(w io.Writer, v *View, o Options) error {
	return writePage(w, v, o, htmlLimit)
}

func writePage(w io.Writer, v *View, o Options, limit int) error {
	cells := newHTMLCells(v.Header.Start)
	if err := cells.collectBefore(v.Baseline, v.baseline); err != nil {
		return err
	}
	if err := cells.collect(v.run); err != nil {
		return err
	}
	scenarios := cells.sort()
	about, err := json.Marshal(aboutPage(v, o, scenarios))
	if err != nil {
		return err
	}
	script, err := pageParts.ReadFile("html/app.js")
	if err != nil {
		return err
	}
	segments, leftOut, err := segmentsOf(cells, scenarios, limit-len(about)-len(script)-htmlRest)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 1<<16)
	if err := pageTemplate.Execute(out, pageTop(v, o, leftOut)); err != nil {
		return err
	}
	// encoding/json has escaped <, > and &.
	fmt.Fprintf(out, "<script type=\"application/json\" id=\"about\">%s</script>\n", about)
	for _, s := range segments {
		fmt.Fprintf(out, segmentElement, s.id, base64.StdEncoding.EncodeToString(s.data))
	}
	fmt.Fprintf(out, "<script>%s</script>\n</body>\n</html>\n", script)
	return out.Flush()
}

// segment is a compressed table under the ID of its element: index, or evidence-N, N being the scenario's place.
type segment struct {
	id    string
	data  []byte
	fails bool
}

const segmentElement = "<script type=\"application/octet-stream\" id=\"%s\">%s</script>\n"

func (s segment) size() int {
	return len(segmentElement) + len(s.id) + base64.StdEncoding.EncodedLen(len(s.data))
}

// segmentsOf makes the tables, and says what had no room.
func segmentsOf(cells *htmlCells, scenarios []*htmlScenario, limit int) (segments []segment, leftOut string, err error) {
	index, err := cells.index(scenarios).compressed()
	if err != nil {
		return nil, "", err
	}
	for _, room := range rooms {
		segments = []segment{{id: "index", data: index, fails: true}}
		total := segments[0].size()
		for i, s := range scenarios {
			data, err := s.evidence(room).compressed()
			if err != nil {
				return nil, "", err
			}
			segments = append(segments, segment{fmt.Sprintf("evidence-%d", i), data, s.fails(cells)})
			total += segments[len(segments)-1].size()
		}
		if total <= limit {
			if room.leftOut != "" {
				leftOut = room.leftOut + " are left out: the page would be too large."
			}
			return segments, leftOut, nil
		}
	}
	return dropEvidence(segments, limit)
}

// room is what a page has room for, besides what it always says.
type room struct {
	before, times bool
	leftOut       string
}

// rooms are tried in this order.
var rooms = []room{{before: true, times: true}, {before: true, leftOut: "The times of events"}, {leftOut: "The times of events and the evidence of the baseline"}}

// dropEvidence leaves out the evidence of whole scenarios: the largest first, those with failing cells last.
func dropEvidence(segments []segment, limit int) (kept []segment, leftOut string, err error) {
	order := slices.Clone(segments[1:])
	slices.SortStableFunc(order, func(a, b segment) int {
		if a.fails != b.fails {
			if a.fails {
				return 1
			}
			return -1
		}
		return cmp.Compare(b.size(), a.size())
	})
	total := 0
	for _, s := range segments {
		total += s.size()
	}
	dropped := map[string]bool{}
	for _, s := range order {
		if total <= limit {
			break
		}
		dropped[s.id] = true
		total -= s.size()
	}
	kept = slices.DeleteFunc(segments, func(s segment) bool { return dropped[s.id] })
	return kept, fmt.Sprintf("%s and the evidence of %s are left out: the page would be too large.", rooms[1].leftOut, count(len(dropped), "scenario", "scenarios")), nil
}

func (s *htmlScenario) fails(h *htmlCells) bool {
	return slices.ContainsFunc(s.cells, func(c *htmlCell) bool {
		status := h.statuses.list[c.status]
		return status != gone && verdict.Status(status).Fails()
	})
}

// top is what the page says without script.
type top struct {
	Run, Start, Selection, Times, Tool, Engine, Word, Why, Dir, File, Total, More, LeftOut string
	Style                                                                                  template.CSS
	Nav                                                                                    []topLink
	Counts                                                                                 []topCount
	Since, MoreChanges                                                                     string
	Changes                                                                                []topChange
	AllChanges                                                                             template.URL
	Worst                                                                                  []topFailure
	Notes                                                                                  []Note
	NotesOpen                                                                              bool
	Images                                                                                 []string
}

type topLink struct {
	Link template.URL
	Text string
}

type topCount struct {
	Name, Class, Number string
	Link                template.URL
}

type topFailure struct {
	Status, Glyph, Where, Cells, Message, ID, Since string
	Link, All                                       template.URL
}

// pages are the page's parts, with their fragments.
var pages = []topLink{{"#/", "Heat map"}, {"#/downgrade", "Downgrade map"}, {"#/attacks", "Attacks"}, {"#/cost", "Cost"}, {"#/cells", "Cells"}, {"#/scenarios", "Scenarios"}, {"#/claims", "Claims"}, {"#/museum", "Museum"}}

// fragment makes a link to a state of the page.
func fragment(page, query string) template.URL {
	if query != "" {
		page += "?q=" + url.QueryEscape(query)
	}
	return template.URL("#/" + page) //nolint:gosec // it begins with # and is escaped
}

func cellLink(id string) template.URL {
	elements := strings.Split(id, "/")
	for i := range elements {
		elements[i] = url.PathEscape(elements[i])
	}
	return fragment("cell/"+strings.Join(elements, "/"), "")
}

func pageTop(v *View, o Options, leftOut string) top {
	style, _ := pageParts.ReadFile("html/style.css") // embedded
	word, why := v.Judgement()
	h := v.Header
	t := top{Run: h.Run, Start: h.Start.UTC().Format("2006-01-02 15:04 MST"), Selection: h.Selection, Times: v.Times(), Tool: h.Tool, Engine: h.Engine, Word: word, Why: why,
		File: cmp.Or(v.Path, FileName), Dir: dirOf(v), Total: thousands(v.Counts.Total()), LeftOut: leftOut, Nav: pages, Notes: v.Notes(),
		Style: template.CSS(styleVariables() + string(style))} //nolint:gosec // ours
	for _, s := range verdict.Statuses {
		n := topCount{Name: string(s), Number: thousands(v.Counts[s]), Link: fragment("cells", "status:"+string(s))}
		if s.Fails() && v.Counts[s] > 0 {
			n.Class = "bad"
		}
		t.Counts = append(t.Counts, n)
	}
	t.Counts = append(t.Counts, topCount{Name: "total", Number: t.Total, Link: fragment("cells", "")},
		topCount{Name: "connected", Number: thousands(v.Ends[matrix.Connected]), Link: fragment("cells", "end:connected")},
		topCount{Name: "downgraded", Number: thousands(v.Descents[matrix.Downgrade]), Link: fragment("cells", "descent:downgrade")},
		topCount{Name: "refused", Number: thousands(v.Ends[matrix.Refused]), Link: fragment("cells", "end:refused")})
	t.NotesOpen = slices.ContainsFunc(t.Notes, func(n Note) bool { return n.Fails })
	t.Since, t.Changes, t.MoreChanges = v.topBaseline()
	t.AllChanges = fragment("cells", "is:changed | is:new | is:gone")
	limit := cmp.Or(o.Failures, htmlFailures)
	for i, f := range v.Failures {
		if limit >= 0 && i == limit {
			t.More = "… and " + count(len(v.Failures)-i, "other group", "other groups")
			break
		}
		worst := topFailure{Status: string(f.Verdict.Status), Glyph: glyphOf(f.Verdict.Status), Cells: f.extent(), Message: printable(f.Message()), ID: f.First, Link: cellLink(f.First)}
		worst.Since = v.sinceOf(f.Record)
		if f.Explained {
			worst.Where, worst.All = f.Where.String(), fragment("cells", f.Where.query()+" is:failing")
		}
		t.Worst = append(t.Worst, worst)
	}
	for _, i := range h.Images {
		if i.Unavailable == "" {
			t.Images = append(t.Images, i.Name+" "+i.dated())
		}
	}
	return t
}

// query is the conjunction as the page's script reads it.
func (c Conjunction) query() string {
	var terms []string
	for _, p := range c {
		values := strings.Join(p.Values, ",")
		if len(p.Values) == 1 && strings.ContainsAny(values, " \t()|\",*") {
			values = `"` + values + `"`
		}
		terms = append(terms, p.Axis+":"+values)
	}
	return strings.Join(terms, " ")
}

func dirOf(v *View) string {
	if v.Path == "" {
		return "RUN"
	}
	return filepath.Dir(v.Path)
}

func glyphOf(s verdict.Status) string {
	for _, g := range glyphs {
		if g.status == s {
			return g.glyph
		}
	}
	return "?"
}

// about is what the page's script has to know besides the cells.
type about struct {
	Run       string               `json:"run"`
	Dir       string               `json:"dir"`
	Repeat    string               `json:"repeat"`
	Classes   []class              `json:"classes"`
	Statuses  []aboutStatus        `json:"statuses"`
	Fields    []matrix.Field       `json:"fields"`
	Axes      []aboutAxis          `json:"axes"`
	Versions  map[string]string    `json:"versions"` // package versions by image
	Dates     map[string]string    `json:"dates"`    // of these packages; empty: not known
	Clients   []aboutClient        `json:"clients"`
	Reasons   map[string]string    `json:"reasons"`
	Obtains   []matrix.Obtained    `json:"obtains"`
	Bound     string               `json:"bound"`     // the legend of tables about channel binding
	Scenarios []aboutScenario      `json:"scenarios"` // in the order of evidence-N
	Claims    map[string][2]string `json:"claims"`
	Museum    map[string][2]string `json:"museum"`
	Baseline  *aboutBaseline       `json:"baseline,omitempty"`
	Measured  *Measured            `json:"measured,omitempty"`
}

type aboutStatus struct {
	Name  verdict.Status `json:"name"`
	Glyph string         `json:"glyph"`
	Fails bool           `json:"fails"`
}

type aboutAxis struct {
	Name string          `json:"name"`
	Kind matrix.AxisKind `json:"kind"`
	Doc  string          `json:"doc"`
}

type aboutClient struct {
	Name  matrix.Library    `json:"name"`
	Kind  matrix.ClientKind `json:"kind"`
	Image string            `json:"image,omitempty"`
}

type aboutScenario struct {
	Scenario
	Obtained *Table `json:"obtained,omitempty"`
	Bound    *Table `json:"bound,omitempty"`
}

func aboutPage(v *View, o Options, scenarios []*htmlScenario) about {
	a := about{Run: v.Header.Run, Dir: dirOf(v), Repeat: o.filled().Repeat, Classes: classes, Fields: matrix.Fields, Versions: map[string]string{}, Dates: map[string]string{}, Reasons: map[string]string{},
		Obtains: matrix.Obtaineds, Bound: boundLegend, Claims: map[string][2]string{}, Museum: map[string][2]string{}}
	for _, s := range verdict.Statuses {
		a.Statuses = append(a.Statuses, aboutStatus{s, glyphOf(s), s.Fails()})
	}
	for _, x := range matrix.Axes {
		a.Axes = append(a.Axes, aboutAxis{x.Name, x.Kind, x.Doc})
	}
	for _, i := range v.Header.Images {
		if i.Unavailable == "" {
			a.Versions[i.Name], a.Dates[i.Name] = i.Version, i.Date
		}
	}
	for _, c := range matrix.Clients {
		a.Clients = append(a.Clients, aboutClient{c.Name, c.Kind, c.Image})
	}
	for _, r := range matrix.Reasons {
		a.Reasons[string(r.Reason)] = r.Meaning
	}
	a.Baseline, a.Measured = v.aboutBaseline(), v.Measured
	claims, museum := docs.Claims(), docs.Museum()
	for _, s := range scenarios {
		of := aboutScenario{Scenario: Scenario{Name: s.name}}
		if i := slices.IndexFunc(v.Scenarios, func(x *ScenarioView) bool { return x.Name == s.name }); i >= 0 {
			of.Obtained, of.Bound = v.Scenarios[i].Obtained, v.Scenarios[i].Bound
			if seen := v.Scenarios[i].About; seen != nil {
				of.Scenario = *seen
			}
		} else if i := slices.IndexFunc(v.Baseline.Old.Scenarios, func(x Scenario) bool { return x.Name == s.name }); i >= 0 {
			of.Scenario = v.Baseline.Old.Scenarios[i] // all its cells are gone
		}
		for _, id := range of.Claims {
			a.Claims[id] = claims[id]
		}
		for _, id := range of.Museum {
			a.Museum[id] = museum[id]
		}
		a.Scenarios = append(a.Scenarios, of)
	}
	return a
}

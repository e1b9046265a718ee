package reports

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Class is what an attempt obtained, as the heat map colours it.
type class struct {
	Name   string `json:"name"` // in queries: obtained:gss
	Letter string `json:"letter"`
	Label  string `json:"label"`
}

// classes are in the order of their strength; the last two obtained no session.
var classes = []class{
	{"gss", "G", "GSS encryption"},
	{"verified", "V", "TLS, the server's certificate verified"},
	{"unverified", "U", "TLS, not verified"},
	{"plain", "P", "plaintext"},
	{"refused", "R", "refused"},
	{"none", "–", "not attempted, or no outcome"},
}

const (
	classGSS = iota
	classVerified
	classUnverified
	classPlain
	classRefused
	classNone
)

// classOf says what the attempt of a record obtained.
func classOf(r *Record) uint32 {
	o := outcomeOf(r)
	switch {
	case o == nil:
		return classNone
	case o.End != matrix.Connected:
		return classRefused
	case o.Channel == matrix.GSS:
		return classGSS
	case o.Channel == matrix.TLS && verified(r):
		return classVerified
	case o.Channel == matrix.TLS:
		return classUnverified
	}
	return classPlain
}

// verified says whether a client with the settings of a TLS session verifies the server's certificate. A cell that is judged by hand has
// no prediction: there it is what its sslmode asks for.
func verified(r *Record) bool {
	if r.ByHand != "" {
		return strings.HasPrefix(r.Axes["sslmode"], "verify-")
	}
	yes, _ := CertificateVerified(r.Because)
	return yes
}

// CertificateVerified reads in the rules of a prediction whether the client verifies the server's certificate. Clients read the same
// sslmode differently, and the rule about it says how this one does. told is false where no rule says so.
func CertificateVerified(rules []matrix.Because) (yes, told bool) {
	for _, b := range rules {
		if says, about := verification(b.Text); about {
			yes, told = says, true
		}
	}
	return yes, told
}

// verification reads a rule of a prediction: does it say whether the server's certificate is verified, and is it?
func verification(rule string) (yes, told bool) {
	switch {
	case !strings.HasPrefix(rule, "sslmode="):
		return false, false
	case strings.Contains(rule, "is not verified"):
		return false, true
	}
	told = strings.Contains(rule, " verified") || strings.Contains(rule, "the roots are those of the system")
	return told, told
}

// htmlCell is a row of the page's tables: places in dictionaries, and numbers.
type htmlCell struct {
	name                        uint32
	axes                        []uint32 // by htmlCells.axes; shorter than that if the last have no value
	status, class, cause        uint32
	predicted, observed         uint32
	connections, rounds, micros uint32
	was                         uint32 // what it was in the baseline
	before                      uint32 // place of the baseline's evidence in htmlScenario.before, plus one; 0: none
	evidence                    htmlEvidence
}

// htmlCells collects what a page says of every cell, in one pass over the records.
type htmlCells struct {
	begin     time.Time
	axes      []string      // names
	values    []*dictionary // of each axis; the first is "", no value
	names     *dictionary   // forms of IDs, see idForm
	statuses  *dictionary
	outcomes  *dictionary // JSON arrays of the fields, in the order of matrix.Fields; the first is ""
	causes    *dictionary // the first is ""
	scenarios map[string]*htmlScenario
	literal   int         // cells whose evidence is kept as it is
	was       *dictionary // JSON texts of was; the first is "": as it is now
	baseline  *Diff       // nil: none
	old       map[string]oldCell
}

// htmlScenario has the cells of a scenario and the dictionaries of their evidence.
type htmlScenario struct {
	name   string
	cells  []*htmlCell
	before []*htmlEvidence // of the baseline, of cells that are not as they were
	words  evidenceWords
}

func newHTMLCells(begin time.Time) *htmlCells {
	return &htmlCells{begin: begin, names: newDictionary(), statuses: newDictionary(), outcomes: newDictionary(""), causes: newDictionary(""), was: newDictionary(""), scenarios: map[string]*htmlScenario{}, old: map[string]oldCell{}}
}

// collect reads the run's records. A run that was killed has those before its end.
func (h *htmlCells) collect(run *Run) error {
	for r, err := range run.Records() {
		var killed *Incomplete
		if errors.As(err, &killed) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := h.add(r); err != nil {
			return err
		}
	}
	return nil
}

func (h *htmlCells) scenario(name string) *htmlScenario {
	s := h.scenarios[name]
	if s == nil {
		s = &htmlScenario{name: name, words: newEvidenceWords()}
		h.scenarios[name] = s
	}
	return s
}

// cell is a row that has its name and axes.
func (h *htmlCells) cell(r *Record) *htmlCell {
	c := &htmlCell{name: h.names.add(idForm(r))}
	for _, name := range slices.Sorted(maps.Keys(r.Axes)) {
		i := h.axis(name)
		c.axes = append(c.axes, make([]uint32, max(0, i+1-len(c.axes)))...)
		c.axes[i] = h.values[i].add(r.Axes[name])
	}
	return c
}

func (h *htmlCells) add(r *Record) error {
	s, c := h.scenario(r.Scenario), h.cell(r)
	c.status, c.class, c.cause = h.statuses.add(string(r.Verdict.Status)), classOf(r), h.causes.add(r.Verdict.Cause)
	var err error
	if c.was, c.before, err = h.wasOf(r.ID); err != nil {
		return err
	}
	if r.Predicted.End != "" {
		if c.predicted, err = h.outcomes.addJSON(fieldsOf(r.Predicted)); err != nil {
			return err
		}
	}
	if o := outcomeOf(r); o != nil {
		if c.observed, err = h.outcomes.addJSON(fieldsOf(*o)); err != nil {
			return err
		}
	}
	if o := r.Observation; o != nil {
		c.micros = uint32(max(0, o.Evidence.Client.Micros)) //nolint:gosec // an attempt takes seconds
		c.connections = uint32(len(o.Evidence.Connections)) //nolint:gosec // a few
		for _, connection := range o.Evidence.Connections {
			c.rounds += roundTrips(connection.Wire)
		}
	}
	literal := r.Verdict.Status != verdict.Agree && r.Observation != nil && h.literal < casesKept
	if literal {
		h.literal++
	}
	if c.evidence, err = s.words.add(r, h.begin, literal); err != nil {
		return err
	}
	s.cells = append(s.cells, c)
	return nil
}

// axis is the place of an axis.
func (h *htmlCells) axis(name string) int {
	i := slices.Index(h.axes, name)
	if i < 0 {
		i = len(h.axes)
		h.axes, h.values = append(h.axes, name), append(h.values, newDictionary(""))
	}
	return i
}

func fieldsOf(o matrix.Outcome) []string {
	fields := make([]string, len(matrix.Fields))
	for i, f := range matrix.Fields {
		fields[i] = o.Get(f)
	}
	return fields
}

// roundTrips counts how often the client waited for an answer of the server's, as far as the relay can tell without reading what is
// encrypted.
func roundTrips(events []matrix.WireEvent) (n uint32) {
	asked := false
	for _, e := range events {
		switch {
		case e.Kind == "close" || e.Kind == "reset":
		case e.From == "client":
			asked = true
		case e.From == "server" && asked:
			n++
			asked = false
		}
	}
	return n
}

// idForm is a record's ID with * in place of the values that the record's axes repeat; idOf puts them back. An ID that has another form
// stays as it is.
func idForm(r *Record) string {
	rest, ok := strings.CutPrefix(r.ID, r.Scenario+"/")
	if !ok {
		return "=" + r.ID
	}
	elements := strings.Split(rest, "/")
	for i, element := range elements {
		switch element {
		case "pg" + r.Axes["server"]:
			elements[i] = "pg*"
			continue
		case idValue(r.Axes["library"]):
			elements[i] = "*"
			continue
		}
		parts := strings.Split(element, ",")
		for j, part := range parts {
			if name, value, named := strings.Cut(part, "="); named && value == idValue(r.Axes[name]) {
				parts[j] = name + "=*"
			}
		}
		elements[i] = strings.Join(parts, ",")
	}
	if form := strings.Join(elements, "/"); idOf(form, r.Scenario, r.Axes) == r.ID {
		return form
	}
	return "=" + r.ID
}

// idOf is the ID that idForm has abbreviated. The page's script does the same.
func idOf(form, scenario string, axes map[string]string) string {
	if id, literal := strings.CutPrefix(form, "="); literal {
		return id
	}
	elements := strings.Split(form, "/")
	for i, element := range elements {
		switch element {
		case "pg*":
			elements[i] = "pg" + axes["server"]
			continue
		case "*":
			elements[i] = idValue(axes["library"])
			continue
		}
		parts := strings.Split(element, ",")
		for j, part := range parts {
			if name, short := strings.CutSuffix(part, "=*"); short {
				parts[j] = name + "=" + idValue(axes[name])
			}
		}
		elements[i] = strings.Join(parts, ",")
	}
	return scenario + "/" + strings.Join(elements, "/")
}

// idValue is a value as it stands in an ID.
func idValue(value string) string {
	if value == "" {
		return matrix.NotGiven
	}
	var b strings.Builder
	for i := range len(value) {
		switch c := value[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("._@+-", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// sort brings everything into an order in which neighbours are alike: cells by their axes, server and client last, so that cells which
// differ only in their client stand together, and values in the order of their axes.
func (h *htmlCells) sort() []*htmlScenario {
	for i, name := range h.axes {
		h.renumber(i, name)
	}
	last := func(name string) int { return slices.Index([]string{"server", "library"}, name) }
	order := make([]int, len(h.axes))
	for i := range order {
		order[i] = i
	}
	place := func(i int) int {
		return slices.IndexFunc(matrix.Axes, func(a matrix.Axis) bool { return a.Name == h.axes[i] })
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(last(h.axes[a])-last(h.axes[b]), place(a)-place(b), strings.Compare(h.axes[a], h.axes[b]))
	})
	var list []*htmlScenario
	for _, s := range h.scenarios {
		slices.SortStableFunc(s.cells, func(a, b *htmlCell) int {
			for _, i := range order {
				if x, y := valueAt(a.axes, i), valueAt(b.axes, i); x != y {
					return cmp.Compare(x, y)
				}
			}
			return cmp.Compare(a.name, b.name)
		})
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *htmlScenario) int { return strings.Compare(a.name, b.name) })
	return list
}

func valueAt(axes []uint32, i int) uint32 {
	if i < len(axes) {
		return axes[i]
	}
	return 0
}

// renumber sorts the dictionary of an axis.
func (h *htmlCells) renumber(i int, name string) {
	axis, _ := matrix.AxisByName(name)
	rank := func(value string) int {
		if value == "" {
			return -1
		}
		if at := slices.Index(axis.Words(), value); at >= 0 {
			return at
		}
		return len(axis.Values) + len(axis.More)
	}
	sorted := slices.Clone(h.values[i].list)
	slices.SortFunc(sorted, func(a, b string) int {
		x, errX := strconv.Atoi(a)
		y, errY := strconv.Atoi(b)
		if errX == nil && errY == nil {
			return cmp.Or(rank(a)-rank(b), x-y)
		}
		return cmp.Or(rank(a)-rank(b), strings.Compare(a, b))
	})
	ordered := newDictionary(sorted...)
	for _, s := range h.scenarios {
		for _, c := range s.cells {
			if i < len(c.axes) {
				c.axes[i] = ordered.at[h.values[i].list[c.axes[i]]]
			}
		}
	}
	h.values[i] = ordered
}

// index is the table that the heat map, the filters and the lists need.
func (h *htmlCells) index(scenarios []*htmlScenario) *blob {
	b := &blob{Lists: map[string][]string{}}
	names := newDictionary()
	var scenario []uint32
	for _, s := range scenarios {
		place := names.add(s.name)
		for range s.cells {
			scenario = append(scenario, place)
		}
	}
	b.Rows = len(scenario)
	column := func(of func(*htmlCell) uint32) []uint32 {
		values := make([]uint32, 0, b.Rows)
		for _, s := range scenarios {
			for _, c := range s.cells {
				values = append(values, of(c))
			}
		}
		return values
	}
	b.text("scenario", names, scenario)
	b.text("name", h.names, column(func(c *htmlCell) uint32 { return c.name }))
	b.text("status", h.statuses, column(func(c *htmlCell) uint32 { return c.status }))
	b.text("cause", h.causes, column(func(c *htmlCell) uint32 { return c.cause }))
	b.text("outcome", h.outcomes, nil)
	b.Columns = b.Columns[:len(b.Columns)-1] // two columns share the dictionary
	b.columns("predicted", "outcome", column(func(c *htmlCell) uint32 { return c.predicted }))
	b.columns("observed", "outcome", column(func(c *htmlCell) uint32 { return c.observed }))
	b.columns("obtained", "", column(func(c *htmlCell) uint32 { return c.class }))
	b.columns("connections", "", column(func(c *htmlCell) uint32 { return c.connections }))
	b.columns("rounds", "", column(func(c *htmlCell) uint32 { return c.rounds }))
	b.columns("tenths", "", column(func(c *htmlCell) uint32 { return c.micros / 100 }))
	if h.baseline != nil {
		b.text("was", h.was, column(func(c *htmlCell) uint32 { return c.was }))
	}
	for i, name := range h.axes {
		b.text("axis:"+name, h.values[i], column(func(c *htmlCell) uint32 { return valueAt(c.axes, i) }))
	}
	return b
}

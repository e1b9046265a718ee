package reports

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// ScenarioView is one scenario in the matrix.
type ScenarioView struct {
	Name  string
	About *Scenario // nil if the run does not say
	Block
	Worlds   []*WorldView // in the order of their axes' values
	Cases    []Case       // in the order of the records
	Obtained *Table       // what the attacker obtains; nil where no setting was tried with every attack
	Admitted *Table       // who gets in by which rules; nil where no rules were tried with every credential and setting
	Bound    *Table       // what clients obtain by channel_binding and the key of the server's certificate; nil where the scenario is about more, or about less

	attacks obtained
	binding bound
	rules   admitted
	byKey   map[string]*WorldView
	values  map[string][]string // seen of each world axis but the server
	axes    []string            // these axes: all cells of a scenario have the same
	own     []string            // those of them that are the scenario's own
}

// WorldView is one world of a scenario, whatever the server's version.
type WorldView struct {
	Label string // the axes on which the scenario's worlds differ: "hba=wide ssl=on"
	Block
	Blocks map[Column]*Block

	axes map[string]string
}

// Column is one column of the matrix.
type Column struct {
	Server  int
	Library matrix.Library
}

func (c Column) compare(other Column) int {
	return cmp.Or(c.Server-other.Server, libraryRank(c.Library)-libraryRank(other.Library), strings.Compare(string(c.Library), string(other.Library)))
}

// Block counts the cells of one place in the matrix.
type Block struct {
	Cells     int
	Connected int
	Downgrade int // connected in plaintext after encryption was tried
	byRank    [len(ranking)]int
}

// ranking orders the statuses, the worse the later: a place in the matrix shows the worst of its cells, and is not
// applicable only if all of them are.
var ranking = [...]verdict.Status{verdict.NotApplicable, verdict.Agree, verdict.Known, verdict.Drift, verdict.Broken, verdict.Differ}

// rank is the status's place in ranking. A status that is none ranks as the worst.
func rank(s verdict.Status) int {
	if i := slices.Index(ranking[:], s); i >= 0 {
		return i
	}
	return len(ranking) - 1
}

func (b *Block) add(r *Record) {
	b.Cells++
	b.byRank[rank(r.Verdict.Status)]++
	if o := outcomeOf(r); o != nil && o.End == matrix.Connected {
		b.Connected++
		if o.Descent() == matrix.Downgrade {
			b.Downgrade++
		}
	}
}

func (b *Block) merge(other *Block) {
	for i, n := range other.byRank {
		b.byRank[i] += n
	}
	b.Cells += other.Cells
	b.Connected += other.Connected
	b.Downgrade += other.Downgrade
}

// Worst is the worst status of the cells; ok is false where there is no cell.
func (b *Block) Worst() (s verdict.Status, ok bool) {
	for i := len(ranking) - 1; i >= 0; i-- {
		if b.byRank[i] > 0 {
			return ranking[i], true
		}
	}
	return "", false
}

// Failing is the number of cells that fail the run.
func (b *Block) Failing() int {
	n := 0
	for i, s := range ranking {
		if s.Fails() {
			n += b.byRank[i]
		}
	}
	return n
}

func newScenarioView(r *Record) *ScenarioView {
	return &ScenarioView{Name: r.Scenario, About: r.About, byKey: map[string]*WorldView{}, values: map[string][]string{}, own: r.ownAxes(), axes: append(slices.Clip(worldAxes), r.ownAxes()...)}
}

// add counts one record and returns its column.
func (s *ScenarioView) add(r *Record) Column {
	s.Block.add(r)
	if o := outcomeOf(r); o != nil && o.Obtains != "" && r.Axes["library"] != string(matrix.Raw) {
		s.attacks.add(r, o)
	}
	if o := outcomeOf(r); o != nil {
		s.rules.add(r, o, s.own)
		s.binding.add(r, o)
	}
	var key strings.Builder
	for _, a := range s.axes {
		value := r.Axes[a]
		key.WriteString(value + "\x00")
		if !slices.Contains(s.values[a], value) {
			s.values[a] = append(s.values[a], value)
		}
	}
	world := s.byKey[key.String()]
	if world == nil {
		world = &WorldView{axes: r.Axes, Blocks: map[Column]*Block{}}
		s.byKey[key.String()], s.Worlds = world, append(s.Worlds, world)
	}
	world.Block.add(r)
	server, _ := strconv.Atoi(r.Axes["server"])
	at := Column{server, matrix.Library(r.Axes["library"])}
	if world.Blocks[at] == nil {
		world.Blocks[at] = &Block{}
	}
	world.Blocks[at].add(r)
	return at
}

// close sorts the worlds, names them, and draws up the tables of what attackers and clients obtain.
func (s *ScenarioView) close() {
	slices.SortStableFunc(s.Worlds, func(a, b *WorldView) int { return compareAxes(s.axes, a.axes, b.axes) })
	for _, w := range s.Worlds {
		var parts []string
		for _, a := range s.axes {
			if len(s.values[a]) > 1 {
				parts = append(parts, a+"="+w.axes[a])
			}
		}
		w.Label = strings.Join(parts, " ")
	}
	s.Obtained, s.Admitted = s.attacks.table(), s.rules.table(s.values, s.own)
	s.Bound = s.binding.table()
	s.rules, s.binding = admitted{}, bound{}
}

// worldAxes are the world axes but the server: they tell the worlds of a scenario apart.
var worldAxes = func() []string {
	var names []string
	for _, a := range matrix.Axes {
		if a.Kind == matrix.WorldAxis && a.Name != "server" {
			names = append(names, a.Name)
		}
	}
	return names
}()

// compareAxes orders by the first of the named axes that differs.
func compareAxes(names []string, a, b map[string]string) int {
	for _, name := range names {
		if c := compareValues(name, a[name], b[name]); c != 0 {
			return c
		}
	}
	return 0
}

// libraryRank is the place of a client in the table of clients; a client that the table does not have comes last.
func libraryRank(l matrix.Library) int {
	if i := slices.IndexFunc(matrix.Clients, func(c matrix.ClientInfo) bool { return c.Name == l }); i >= 0 {
		return i
	}
	return len(matrix.Clients)
}

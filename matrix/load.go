package matrix

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
)

var (
	kebabCase   = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	claimID     = regexp.MustCompile(`^S[1-9][0-9]*$`)
	museumID    = regexp.MustCompile(`^[A-Z][A-Za-z]*-?[0-9][0-9-]*$`)
	settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*$`)
	realmName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*$`)
	hostName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)
)

// The keys of a scenario file that are not axes.
var (
	scenarioKeys = []string{"question", "source", "why", "claims", "museum", "world", "client", "exclude", "judge", "expect"}
	rowKeys      = []string{"when", "then"}
)

// judgeExpect is the value of judge: rows written by hand judge every cell, and the oracle is not asked.
const judgeExpect = "expect"

// maxCells limits the size of a scenario. A larger one is a mistake: a few axes with all their values make millions of cells.
const maxCells = 250_000

// loading is a scenario that is being read.
type loading struct {
	reader
	Scenario
	values    map[string][]string // by axis that the file names; of hba and ident the names of the texts
	meant     map[string]bool     // known keys for which unknown keys in the file are probably misspellings
	bad       map[string]bool     // axes with a mistake in their values
	own       map[string][]string // by axis: the names of values that the scenario describes itself
	worldAt   position
	inWorld   map[string]*value // by key of worldKeys
	words     map[string]*value // by axis that the file names: its value or values, as written
	folder    fs.FS             // of the scenario file
	varyAt    []position        // of the axes of vary
	templates []template
	expectAt  []position // of the rows of expect, and of their outcomes
	thenAt    []position
}

// parse reads a scenario. Messages name file; path, which may be longer, gives the scenario its name. folder is the one that the file is in.
func parse(file, path string, source []byte, folder fs.FS) (*Scenario, []*Problem) {
	l := &loading{reader: reader{file: file}, folder: folder, values: map[string][]string{}, meant: map[string]bool{}, bad: map[string]bool{}, own: map[string][]string{}, inWorld: map[string]*value{}, words: map[string]*value{}}
	l.Name = l.scenarioName(path)
	l.Pos = l.pos(position{1, 1})
	if root := l.readYAML(source); root != nil && l.want(root, "the file", mapping) {
		l.scenario(root)
	}
	return &l.Scenario, l.problems
}

func (l *loading) scenario(root *value) {
	l.worldAt = position{1, 1}
	parts := l.topLevel(root)
	l.world(parts["world"])
	if client := parts["client"]; client != nil && l.want(client, "client", mapping) {
		l.axes(client, ClientAxis, nil)
	}
	l.inOrder(l.Axes)
	l.readWorldKeys(afterClient)
	l.usedCertificates(l.inWorld["certificates"])
	broken := len(l.problems) > 0 // the axes: mistakes in expect do not hide what else is wrong with the cells
	before := len(l.problems)
	l.exclude(parts["exclude"])
	broken = broken || len(l.problems) > before
	l.expect(parts["expect"])
	if l.ByHand && parts["expect"] == nil && !l.meant["expect"] {
		l.problem(position{1, 1}, "judge: expect, and there is no expect", "write the rows that judge the cells")
		broken = true
	}
	if !broken {
		l.checkCells()
	}
}

// topLevel reads the keys that stand alone, and returns the values of those that hold more.
func (l *loading) topLevel(root *value) map[string]*value {
	parts := map[string]*value{}
	entries := l.entriesOnce(root, "key")
	for _, e := range entries {
		switch e.key {
		case "question":
			l.Question, _ = l.nonEmptyText(e.value, e.key)
		case "source":
			l.Source, _ = l.nonEmptyText(e.value, e.key)
		case "why":
			l.Why, _ = l.nonEmptyText(e.value, e.key)
		case "claims":
			l.Claims = l.ids(e, claimID, "want the letter S and a number, as in S16")
		case "museum":
			l.Museum = l.ids(e, museumID, "want a letter and a number, as in B14 or CVE-2026-6479")
		case "judge":
			if l.want(e.value, e.key, scalar) && e.value.text != judgeExpect {
				l.problem(e.value.position, fmt.Sprintf("judge is %q", e.value.text), "want "+judgeExpect+", or leave the key out: the oracle then predicts every cell")
			}
			l.ByHand = true
		case "world", "client", "exclude", "expect":
			parts[e.key] = e.value
			if e.key == "world" {
				l.worldAt = e.position
			}
		default:
			l.unknownKey(e, "", scenarioKeys)
		}
	}
	if !hasKey(entries, "question") && !l.meant["question"] {
		l.problem(position{1, 1}, "question is missing", "say what the scenario shows, one sentence, as in question: Who falls back to what?")
	}
	return parts
}

// world reads the world axes, and what all worlds of the scenario have in common, apart from the keys that default to values of client
// axes.
func (l *loading) world(v *value) {
	if v != nil && l.want(v, "world", mapping) {
		for _, e := range slices.Backward(v.entries) { // of a key that is there twice, which axes reports, the first counts
			l.inWorld[e.key] = e.value
		}
		l.readWorldKeys(beforeAxes)
		l.axes(v, WorldAxis, worldKeyNames())
	}
	if len(l.HBA) == 0 && !l.bad["hba"] && !l.meant["hba"] && !l.meant["world"] {
		l.problem(l.worldAt, "hba is missing", "write the server's pg_hba.conf under world, as in hba: |")
	}
	l.readWorldKeys(afterWorld)
	l.checkTemplates()
	l.checkHosts()
}

func (l *loading) readWorldKeys(when phase) {
	for _, k := range worldKeys {
		if k.when == when {
			k.read(l, l.inWorld[k.name])
		}
	}
}

func hasKey(entries []entry, key string) bool {
	return slices.ContainsFunc(entries, func(e entry) bool { return e.key == key })
}

// axisNames are the names of the axes of a kind; of all if the kind is empty.
func axisNames(kind AxisKind) []string {
	var names []string
	for _, a := range Axes {
		if kind == "" || a.Kind == kind {
			names = append(names, a.Name)
		}
	}
	return names
}

// unknownKey reports a key that is unknown, or known elsewhere. The heading of the top level is empty.
func (l *loading) unknownKey(e entry, heading string, known []string) {
	here := "under " + heading
	if heading == "" {
		here = "at the top level"
	}
	axis, isAxis := AxisByName(e.key)
	switch {
	case isAxis:
		l.problem(e.position, fmt.Sprintf("%s is a %s axis and does not belong %s", e.key, axis.Kind, here), fmt.Sprintf("move it under %s", axis.Kind))
	case slices.Contains(worldKeyNames(), e.key):
		l.problem(e.position, fmt.Sprintf("%s does not belong %s", e.key, here), "move it under world")
	case slices.Contains(scenarioKeys, e.key):
		l.problem(e.position, fmt.Sprintf("%s does not belong %s", e.key, here), "move it to the top level")
	case slices.ContainsFunc(harnessSettings, func(s struct{ name, right string }) bool { return s.name == e.key }):
		l.problem(e.position, fmt.Sprintf("unknown key %q %s", e.key, here), l.harnessOwns(e.key))
	default:
		l.meant[nearest(e.key, known)] = true
		l.problem(e.position, fmt.Sprintf("unknown key %q %s", e.key, here), suggest(e.key, known))
	}
}

// ids reads an id or a list of ids.
func (l *loading) ids(e entry, form *regexp.Regexp, right string) []string {
	return l.distinct(e, func(text string) (string, string) {
		if form.MatchString(text) {
			return "", ""
		}
		return fmt.Sprintf("%q is no id of %s", text, e.key), right
	})
}

// wordsOf reads words of a closed list. unknown is the message about any other, with %q for it.
func (l *loading) wordsOf(e entry, unknown string, known []string) []string {
	return l.distinct(e, func(text string) (string, string) {
		if slices.Contains(known, text) {
			return "", ""
		}
		return fmt.Sprintf(unknown, text), suggest(text, known)
	})
}

// distinct reads a text or a list of texts, each once. check says what is wrong with one, and what would be right; "" if nothing is.
func (l *loading) distinct(e entry, check func(text string) (wrong, right string)) (texts []string) {
	for _, v := range l.scalars(e.value, e.key) {
		switch wrong, right := check(v.text); {
		case wrong != "":
			l.problem(v.position, wrong, right)
		case slices.Contains(texts, v.text):
			l.problem(v.position, fmt.Sprintf("%s is there twice", v.text), "name it once")
		default:
			texts = append(texts, v.text)
		}
	}
	return texts
}

// scalars reads a scalar, or a list of them.
func (r *reader) scalars(v *value, what string) []*value {
	if v.kind == scalar {
		return []*value{v}
	}
	if !r.want(v, what, scalar, list) {
		return nil
	}
	if len(v.items) == 0 {
		r.problem(v.position, what+" is an empty list", "name a value, or leave the key out")
		return nil
	}
	var items []*value
	for _, item := range v.items {
		if r.want(item, "a value of "+what, scalar) {
			items = append(items, item)
		}
	}
	return items
}

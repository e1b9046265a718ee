package matrix

import (
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Scenario is one scenario file: a question, the worlds and clients that answer it, and the answers expected by hand.
type Scenario struct {
	Name         string         // FAMILY/NAME, from the path FAMILY/NAME.yaml
	Question     string         // what the scenario shows, one sentence
	Source       string         // where the behaviour is specified; may be empty
	Why          string         // why the question matters; may be empty
	Claims       []string       // ids of the claims that it tests: rows of docs/claims.md
	Museum       []string       // ids of the past defects that it would show: rows of docs/museum.md
	Axes         []AxisValues   // the axes that the file names, in the order of IDs, values in the order of the file; NotGiven is ""
	Vary         []OwnAxis      // its own axes; they are among Axes, too
	HBA          []Text         // at least one; a single text without a name is not an axis
	Ident        []Text         // like HBA; none: pg_ident.conf is empty
	Files        []File         // sorted by path
	Before       State          // only with load
	Settings     []Setting      // in the order of the file
	Roles        []Role         // default: the users
	Databases    []Database     // besides those of every cluster
	OSUsers      []string       // default: the values of os_user
	Realms       []Realm        // default: DefaultRealm with the users and the principals
	ClientRealm  string         // default realm of the clients; empty: the server's
	Keytabs      []Keytab       // those that the file describes
	KRB5Confs    []KRB5Conf     // those that the file describes
	IdentServers []IdentServer  // those that the file describes
	Tickets      []Ticket       // those that the file describes
	Certificates []Certificate  // those that the file describes
	Host         string         // default: DefaultHost
	Networks     []netip.Prefix // see World
	Names        []AddressName
	Exclude      [][]AxisValues // combinations that have no cell: rows like Expect.When
	Only         [][]AxisValues // the combinations that have cells, of scenarios that are made and not read; none: all
	ByHand       bool           // judge: expect; each cell that a client can express is claimed by a row of Expect
	Expect       []Expect
	Pos          string // FILE:1:1
}

// Text is a configuration file, byte for byte.
type Text struct {
	Name string // empty if the scenario has one text only
	Text string
}

// NotGiven is the word of scenario files, IDs and command lines for an option that is not passed to the client, so that the client's
// own default applies. In a Client it is the empty string.
const NotGiven = "default"

// Optional says whether the axis has the value NotGiven.
func (a Axis) Optional() bool {
	return a.Kind == ClientAxis && a.Default == "" && a.Name != "principal"
}

// Text is how files, IDs and reports write a value of the axis.
func (a Axis) Text(value string) string {
	if value == "" && a.Optional() {
		return NotGiven
	}
	return value
}

// value is the inverse of Text.
func (a Axis) value(text string) string {
	if text == NotGiven && a.Optional() {
		return ""
	}
	return text
}

// CaseName is the name of the file that makes the folder of a pg_hba.conf a customer's case: see ParseCase.
const CaseName = "case.yaml"

// isCase says whether a folder is a customer's case.
func isCase(fsys fs.FS, folder string) bool {
	for _, name := range []string{CaseName, HBAFile} {
		if _, err := fs.Stat(fsys, path.Join(folder, name)); err != nil {
			return false
		}
	}
	return true
}

// Load reads every scenario file FAMILY/NAME.yaml at or below the paths; without paths, all of fsys. Folders of customers' cases are passed over. The scenarios are sorted by
// name. The error joins every mistake in every file, in order, each a *Problem that reads
// FILE:LINE:COLUMN: what is wrong; what would be right. With an error no scenario is returned: nothing may run until everything loads.
func Load(fsys fs.FS, paths ...string) ([]*Scenario, error) {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	var files []string
	for _, p := range paths {
		err := fs.WalkDir(fsys, p, func(file string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return fmt.Errorf("scenarios: %w", err)
			case entry.IsDir() && file != p && isCase(fsys, file):
				return fs.SkipDir
			case entry.IsDir() || path.Join(p, path.Base(file)) == file && slices.Contains([]string{DivergencesFile, ClaimsFile}, path.Base(file)):
			case slices.Contains([]string{".yaml", ".yml"}, path.Ext(file)) || file == p:
				files = append(files, file)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(files)
	files = slices.Compact(files)
	if len(files) == 0 {
		return nil, fmt.Errorf("no scenario files at or below %s; want FAMILY/NAME.yaml", strings.Join(paths, ", "))
	}
	var scenarios []*Scenario
	var problems []*Problem
	for _, file := range files {
		source, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, fmt.Errorf("scenarios: %w", err)
		}
		folder, err := fs.Sub(fsys, path.Dir(file))
		if err != nil {
			return nil, fmt.Errorf("scenarios: %w", err)
		}
		s, p := parse(file, file, source, folder)
		scenarios = append(scenarios, s)
		problems = append(problems, p...)
	}
	byName := map[string]string{}
	for i, s := range scenarios {
		if s == nil {
			continue
		}
		if first, ok := byName[s.Name]; ok {
			problems = append(problems, &Problem{files[i], 1, 1, fmt.Sprintf("%s is a scenario already, in %s", s.Name, first), "rename one of the two files"})
		}
		byName[s.Name] = files[i]
	}
	if err := joinProblems(problems); err != nil {
		return nil, err
	}
	slices.SortFunc(scenarios, func(a, b *Scenario) int { return strings.Compare(a.Name, b.Name) })
	return scenarios, nil
}

// Parse reads the text of a scenario file FAMILY/NAME.yaml that has no files beside it.
func Parse(file string, source []byte) (*Scenario, error) {
	s, problems := parse(file, file, source, nothing{})
	if err := joinProblems(problems); err != nil {
		return nil, err
	}
	return s, nil
}

// nothing is a folder without files.
type nothing struct{}

func (nothing) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// LoadFile reads one scenario file from disk. The family is the name of its folder.
func LoadFile(name string) (*Scenario, error) {
	source, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	folder, err := os.OpenRoot(filepath.Dir(absolute)) // a link out of it is no file beside the scenario
	if err != nil {
		return nil, err
	}
	defer func() { _ = folder.Close() }()
	s, problems := parse(filepath.ToSlash(name), filepath.ToSlash(absolute), source, folder.FS())
	if err := joinProblems(problems); err != nil {
		return nil, err
	}
	return s, nil
}

// scenarioName is FAMILY/NAME of a path that ends in FAMILY/NAME.yaml.
func (r *reader) scenarioName(file string) string {
	const right = "name it FAMILY/NAME.yaml, FAMILY and NAME of a-z, 0-9 and single hyphens"
	elements := strings.Split(file, "/")
	name, isYAML := strings.CutSuffix(elements[len(elements)-1], ".yaml")
	elements[len(elements)-1] = name
	elements = elements[max(0, len(elements)-2):]
	switch {
	case !isYAML:
		r.problem(position{1, 1}, fmt.Sprintf("the file name %q does not end in .yaml", path.Base(file)), right)
	case len(elements) < 2:
		r.problem(position{1, 1}, "the file is in no family folder", right)
	default:
		for _, e := range elements {
			if !kebabCase.MatchString(e) {
				r.problem(position{1, 1}, fmt.Sprintf("%q in the file's path is not kebab-case", e), right)
			}
		}
	}
	return strings.Join(elements, "/")
}

package pgauthmatrix_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/pgauthmatrix/pgauthmatrix/"

// rooms says what each folder may import of this module, and why no more. A folder that is not listed fails the test:
// a new room is entered here on purpose, and in docs/architecture.md.
var rooms = map[string]struct {
	may    []string
	reason string
}{
	".":                        {nil, "only tests live here"},
	"scenarios":                {nil, "data"},
	"matrix":                   {nil, "the vocabulary stands below everything"},
	"oracle":                   {[]string{"matrix", "oracle/corpus"}, "an opinion that shares no code with the probe; its tests read the corpus"},
	"oracle/corpus":            {[]string{"matrix"}, "files and what servers said of them, with no opinion; tests and random files begin from it"},
	"classify":                 {[]string{"matrix", "wire"}, "an opinion that shares no code with the oracle, made from evidence alone"},
	"verdict":                  {[]string{"matrix"}, "the judge knows neither how a prediction nor how an observation is made"},
	"audit":                    {[]string{"matrix", "oracle"}, "questions about a server's own files, answered by the oracle; it is compiled for browsers, too"},
	"cases":                    {[]string{"matrix", "oracle", "audit"}, "a customer's folder becomes a world; it has no opinion about what real servers did with it"},
	"playground":               {[]string{"matrix"}, "one page, with the oracle as WebAssembly"},
	"playground/answer":        {[]string{"matrix", "oracle", "audit"}, "the playground's answers"},
	"playground/wasm":          {[]string{"playground/answer"}, "thin: the answers as a function of the browser"},
	"docs":                     {nil, "texts that reports quote"},
	"reports":                  {[]string{"matrix", "verdict", "audit", "cases", "docs"}, "drawn from records and audits alone, without anything live"},
	"reports/browser":          {[]string{"livetest", "pgimages", "reports", "matrix", "verdict", "playground"}, "pages in a real browser; only tests"},
	"compliance":               {[]string{"matrix", "oracle", "audit", "cases", "verdict", "reports", "scenarios"}, "conclusions from records and configuration files alone, without anything live; a test looks for the scenarios that controls name"},
	"wire":                     {nil, "a library for others"},
	"gssenc":                   {nil, "a library for others"},
	"livetest":                 {nil, "only tests and the command line ask how deep to sample"},
	"gssenc/interop":           {[]string{"livetest", "gssenc", "fixtures", "kdc", "pgimages", "matrix", "agent"}, "the library against real servers; only tests"},
	"agent":                    {[]string{"livetest", "agent/process", "wire", "gssenc"}, "runs in containers; fixtures and probe use it"},
	"agent/process":            {nil, "starts programs in containers; the agent and its drivers use it"},
	"agent/drivers":            {[]string{"livetest", "agent", "agent/process", "wire", "gssenc"}, "a file per client; runs in containers"},
	"agent/drivers/pgx511":     {nil, "a module of its own, for a version of pgx that the agent does not have"},
	"docs/driver-example":      {nil, "an example for authors of drivers; it knows nothing of the harness"},
	"agent/pgauthmatrix-agent": {[]string{"agent", "agent/drivers"}, "thin"},
	"pgimages":                 {[]string{"livetest", "matrix"}, "images and servers know no scenario"},
	"doctor":                   {[]string{"livetest", "pgimages"}, "asks about a machine, whatever is run on it"},
	"kdc":                      {[]string{"livetest", "pgimages", "matrix"}, "a realm knows no scenario"},
	"fixtures":                 {[]string{"livetest", "matrix", "classify", "kdc", "pgimages", "agent"}, "a running world has no opinion about outcomes; it reads records with the tokenizer of the classifier"},
	"testenv":                  {[]string{"livetest", "fixtures", "matrix", "pgimages", "gssenc"}, "a library for others over fixtures; gssenc in tests"},
	"probe":                    {[]string{"livetest", "matrix", "fixtures", "agent", "agent/drivers", "classify", "wire"}, "makes attempts and collects what was seen of them; a test asks whether the agent has every client"},
	"standing":                 {[]string{"livetest", "matrix", "fixtures", "pgimages", "probe", "agent", "scenarios", "cases"}, "environments that stay up; it tries and judges nothing"},
	"pack":                     {[]string{"livetest", "matrix", "fixtures", "kdc", "pgimages", "probe", "classify", "verdict", "standing", "agent", "oracle", "scenarios"}, "one cell written down for those who have only Docker; it starts nothing and judges nothing"},
	"run":                      {[]string{"docs", "doctor", "matrix", "oracle", "verdict", "reports", "fixtures", "kdc", "pgimages", "classify", "probe", "agent", "scenarios"}, "the path that data takes; a test holds the claims of docs against the cells"},
	"prove":                    {[]string{"livetest", "matrix", "wire", "oracle", "verdict", "reports", "fixtures", "kdc", "pgimages", "classify", "probe", "agent", "run", "scenarios", "prove/random", "oracle/corpus"}, "plants faults in a real run, and runs random rules"},
	"prove/random":             {[]string{"matrix", "oracle/corpus"}, "pure: it writes scenarios and has no opinion about them"},
	"deploy":                   {[]string{"livetest", "pgimages", "reports", "verdict"}, "an image of the tool and a Job; only tests"},
	"deploy/lint":              {nil, "a module of its own, for what checks workflows and manifests"},
	"mutants":                  {[]string{"mutants/points"}, "rewrites sources and starts programs; it has no opinion about what they say"},
	"mutants/points":           {nil, "what rewritten sources call; only they and what judges them"},
	"mutants/judge":            {[]string{"mutants/points", "matrix", "oracle", "oracle/corpus", "classify", "verdict", "reports", "run"}, "judges a saved run again, as run does"},
	"bench":                    {[]string{"matrix", "oracle", "fixtures", "probe", "agent", "run", "reports", "verdict"}, "measures a real run"},
	"suites":                   {[]string{"livetest", "matrix", "reports", "run", "scenarios", "verdict", "prove"}, "thin: ginkgo over run"},
	"cmd/pgauthmatrix":         {[]string{"doctor", "livetest", "matrix", "oracle", "verdict", "reports", "pgimages", "run", "scenarios", "prove", "bench", "audit", "playground", "compliance", "standing", "cases", "pack"}, "thin: a command line over run"},
}

// bans are imports from outside that a room must not have, by prefix.
var bans = []struct{ room, prefix, reason string }{
	{"matrix", "net", "pure: no network"},
	{"matrix", "github.com/jackc", "pure: the vocabulary is not a client"},
	{"matrix", "github.com/testcontainers", "pure: no containers"},
	{"oracle", "time", "pure: the oracle has no clock"},
	{"oracle", "os", "pure: the oracle reads no files"},
	{"oracle", "net/", "pure: the oracle has no network"},
	{"oracle", "github.com/", "the oracle uses the standard library and matrix only"},
	{"audit", "os", "pure: files come in as an fs.FS"},
	{"audit", "time", "pure: no clock"},
	{"audit", "github.com/", "the audit uses the standard library, matrix and oracle only"},
	{"cases", "os", "pure: files come in as an fs.FS"},
	{"cases", "github.com/", "cases uses the standard library, matrix, oracle and audit only"},
	{"classify", "os", "pure: evidence comes in as values"},
	{"classify", "net/", "pure: no network"},
	{"classify", "github.com/", "the classifier uses the standard library, matrix and wire only"},
	{"verdict", "os", "pure: the judge reads no files"},
	{"verdict", "net", "pure: the judge has no network"},
	{"verdict", "github.com/", "the judge uses the standard library and matrix only"},
	{"compliance", "os", "pure: records and files come in as values"},
	{"compliance", "net", "pure: no network"},
	{"compliance", "github.com/testcontainers", "pure: no containers"},
	{"reports", "net", "reports are drawn from records, nothing live"},
	{"reports", "github.com/testcontainers", "reports are drawn from records, nothing live"},
	{"reports", "github.com/jackc", "reports are drawn from records, nothing live"},
	{"wire", "github.com/", "a library for others: standard library only"},
}

func TestImportsGoOneWay(t *testing.T) {
	fset := token.NewFileSet()
	seen := 0
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && file != "." || entry.Name() == "testdata" || entry.Name() == "bin") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		room := filepath.ToSlash(filepath.Dir(file))
		rule, known := rooms[room]
		if !known {
			t.Errorf("%s: folder %s is not a room that this test knows", file, room)
			return nil
		}
		parsed, err := parser.ParseFile(fset, file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		seen++
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			pos := fset.Position(spec.Pos())
			if ours, ok := strings.CutPrefix(name, module); ok {
				if ours != room && !slices.Contains(rule.may, ours) {
					t.Errorf("%s: %s must not import %s (%s)", pos, room, ours, rule.reason)
				}
				continue
			}
			if name == "net/netip" || name == "net/url" || strings.HasSuffix(file, "_test.go") {
				continue // netip and url are values, no network; tests may use any library; of our own rooms only those of their room
			}
			for _, ban := range bans {
				if ban.room == room && (name == strings.TrimSuffix(ban.prefix, "/") || strings.HasPrefix(name, path.Clean(ban.prefix)+"/") || strings.HasSuffix(ban.prefix, "/") && strings.HasPrefix(name, ban.prefix)) {
					t.Errorf("%s: %s must not import %s (%s)", pos, room, name, ban.reason)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 10 {
		t.Fatalf("only %d files seen: the test did not walk the module", seen)
	}
}

package reports

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
)

// The page's script is what its sources give; -update makes it.
func TestScript(t *testing.T) {
	made := api.Build(api.BuildOptions{
		EntryPoints: []string{"html/main.ts"}, Bundle: true, Format: api.FormatIIFE, Target: api.ES2022, Charset: api.CharsetUTF8, LegalComments: api.LegalCommentsNone,
		MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true, LogLevel: api.LogLevelSilent, TsconfigRaw: "{}",
	})
	for _, m := range append(made.Errors, made.Warnings...) {
		t.Error(m.Location, m.Text)
	}
	if t.Failed() || len(made.OutputFiles) != 1 {
		t.FailNow()
	}
	script := made.OutputFiles[0].Contents
	if strings.Contains(strings.ToLower(string(script)), "</script") {
		t.Error("the script would end its element")
	}
	for _, banned := range []string{"innerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "XMLHttpRequest", "new Worker", "import("} {
		if bytes.Contains(script, []byte(banned)) {
			t.Errorf("the script uses %s", banned)
		}
	}
	const path = "html/app.js"
	if *update {
		if err := os.WriteFile(path, script, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if there, err := os.ReadFile(path); err != nil || !bytes.Equal(there, script) {
		t.Errorf("%s is not made of the sources beside it (%v): go generate ./reports", path, err)
	}
}

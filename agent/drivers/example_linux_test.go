package drivers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
)

// The example of docs/your-own-driver.md is what the document shows, and speaks the protocol.
func TestExampleOfADriver(t *testing.T) {
	source, err := os.ReadFile("../../docs/driver-example/main.go")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../../docs/your-own-driver.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(document), "```go\n"+string(source)+"```\n") {
		t.Error("docs/your-own-driver.md shows another program than docs/driver-example/main.go")
	}
	driver := foreign{filepath.Join(t.TempDir(), "driver-example")}
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", driver.program, "../../docs/driver-example").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	attempt := func(more ...agent.Option) (*agent.AttemptResult, error) {
		options := append([]agent.Option{{Name: "host", Value: "pg.example.test"}, {Name: "user", Value: "it's me"}, {Name: "sslmode", Value: "disable"}}, more...)
		return driver.Attempt(t.Context(), &agent.Prepared{Attempt: &agent.Attempt{Query: "SELECT 1", Options: options}, Targets: agent.Targets{Relay: "127.0.0.1:1"},
			Dir: t.TempDir(), Environ: []string{"HOME=/nonexistent", "PATH=/usr/bin:/bin"}, Given: options, Limit: 20 * time.Second})
	}
	// Nothing listens on port 1.
	r, err := attempt()
	if err != nil || r.Connected || r.Connects != 0 || !strings.Contains(r.Message, "user=it's me") || !strings.Contains(r.Message, "connection refused") {
		t.Errorf("got %+v, %v", r, err)
	}
	if r, err := attempt(agent.Option{Name: "gssencmode", Value: "require"}); err == nil || !strings.Contains(err.Error(), "cannot express this attempt") {
		t.Errorf("an option that it does not have: %+v, %v", r, err)
	}
}

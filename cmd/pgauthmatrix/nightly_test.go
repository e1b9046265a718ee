package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// What workflows, scripts and the page about them call exists, with its flags.
func TestNightlyCommands(t *testing.T) {
	call := regexp.MustCompile(`(?m)(?:^|[\s\[` + "`" + `])(?:bin/)?pgauthmatrix ([a-z][a-z-]+)(.*)$`)
	flag := regexp.MustCompile(`(?:^|\s)--([a-z][a-z-]*)`)
	top := filepath.Join("..", "..")
	for name, least := range map[string]int{
		".github/workflows/nightly.yml": 3, "deploy/k8s/base/shard.sh": 1, "deploy/k8s/base/merge.sh": 1, "docs/nightly.md": 3,
	} {
		text, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		calls := call.FindAllStringSubmatch(string(text), -1)
		if len(calls) < least {
			t.Errorf("%s: %d calls found, want at least %d", name, len(calls), least)
		}
		for _, c := range calls {
			cmd, _, err := root().Find(c[1:2])
			if err != nil || cmd.Name() != c[1] {
				t.Errorf("%s: %s: no such command", name, c[0])
				continue
			}
			for _, f := range flag.FindAllStringSubmatch(c[2], -1) {
				if cmd.Flags().Lookup(f[1]) == nil {
					t.Errorf("%s: %s has no --%s", name, c[1], f[1])
				}
			}
		}
	}
}

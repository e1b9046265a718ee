// Package scenarios holds the scenario files, the approved outcomes beside them, and divergences.yaml.
package scenarios

import "embed"

// Files is this folder: FAMILY/NAME.yaml and FAMILY/NAME.golden, texts that scenarios read from FAMILY/FOLDER, divergences.yaml,
// schema.json.
// The patterns match files only: a pattern that matches an empty folder does not compile.
//
//go:embed *.* */*.* */*/*.*
var Files embed.FS

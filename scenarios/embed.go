// Package scenarios holds the scenario files, the approved outcomes beside them, and divergences.yaml.
package scenarios

import "embed"

// Files is this folder: FAMILY/NAME.yaml, FAMILY/NAME.golden, divergences.yaml, schema.json.
// The patterns name files only: a folder that holds none would not compile.
//
//go:embed *.* */*.*
var Files embed.FS

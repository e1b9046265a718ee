// Package scenarios holds the scenario files, the approved outcomes beside them, and divergences.yaml.
package scenarios

import "embed"

// Files is this folder: FAMILY/NAME.yaml and FAMILY/NAME.golden, texts that scenarios read from FAMILY/FOLDER, divergences.yaml,
// schema.json; and customers/CASE, the catalogue of customers' cases, whole.
// The other patterns match files only: a pattern that matches an empty folder does not compile.
//
//go:embed *.* */*.* */*/*.* customers
var Files embed.FS

// Customers is the folder of the catalogue. A folder in it that has a case.yaml is a case.
const Customers = "customers"

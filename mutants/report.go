package main

import (
	"fmt"
	"io"
)

func report(out io.Writer, root string, all []outcome) error {
	for _, r := range rooms {
		var n, cells, tests, explains, left int
		for i := range all {
			o := &all[i]
			if o.Room != r.name {
				continue
			}
			n++
			switch {
			case o.Cell != "":
				cells++
			case o.Test != "":
				tests++
			case o.Explains && o.Kind == swap:
				explains++
			default:
				left++
			}
		}
		if n > 0 {
			fmt.Fprintf(out, "%s: %d mutants, %d noticed by cells, %d by tests, %d only explain, %d left\n", r.name, n, cells, tests, explains, left)
		}
	}
	for i := range all {
		if o := &all[i]; !o.noticed() && !(o.Explains && o.Kind == swap) {
			fmt.Fprintf(out, "%s (%d cells, %d tests%s)\n", o.String(), o.Cells, o.Tests, map[bool]string{true: ", explains"}[o.Explains])
		}
	}
	return nil
}

package reports

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// CSV writes a row for each cell: its ID, its value on every axis that some cell has, what was predicted and observed, and the verdict.
// A run that is incomplete has a last row that says so, without an ID.
func CSV(w io.Writer, v *View, _ Options) error {
	axes := slices.DeleteFunc(v.axes.axes(), func(name string) bool { return name == predictedEndAxis }) // the column predicted has it
	out := csv.NewWriter(w)
	_ = out.Write(append(append([]string{"run", "id"}, axes...), "status", "predicted", "observed", "differs_in", "cause", "group", "ms")) // the error is Flush's
	for _, s := range v.Scenarios {
		for i := range s.Cases {
			c := &s.Cases[i]
			row := []string{v.Header.Run, s.Name + "/" + c.Name}
			for _, a := range axes {
				row = append(row, v.axes.value(c.row, a))
			}
			differs, cause, group := "", c.Cause, ""
			if g := c.Group; g != nil {
				differs, cause = strings.Join(differingFields(g.Verdict.Differences), " "), g.Verdict.Cause
				if g.Explained {
					group = g.Where.String()
				}
			}
			_ = out.Write(append(row, string(c.Status), c.Predicted, c.Observed, differs, cause, group, strconv.FormatFloat(float64(c.Micros)/1000, 'f', 1, 64)))
		}
	}
	if v.Incomplete != "" { // part of a table must not pass for the whole
		row := make([]string, 2+len(axes), 2+len(axes)+7)
		row[0] = v.Header.Run
		_ = out.Write(append(row, "Incomplete", "", "", "", v.Incomplete+"; "+v.missing(), "", ""))
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("the table of cells: %w", err)
	}
	return nil
}

// Package docs holds the texts of this folder that reports quote.
package docs

import (
	_ "embed"
	"strings"
)

//go:embed claims.md
var claims string

//go:embed museum.md
var museum string

// Claims is the table of claims: by id the claim, and what is true.
func Claims() map[string][2]string {
	first, _, _ := strings.Cut(claims, "\n## ")
	return table(first)
}

// Unshown says of each claim that no cell shows why.
func Unshown() map[string]string {
	why := map[string]string{}
	for line := range strings.Lines(claims) {
		if row, reason, found := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), " |"), " | none: "); found {
			id, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
			why[id] = reason
		}
	}
	return why
}

// Museum is the table of past defects: by id the defect.
func Museum() map[string][2]string { return table(museum) }

// table reads the first table of a text: of each row the first cell, and the cells between it and the last, at most two.
func table(text string) map[string][2]string {
	rows := map[string][2]string{}
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) < 3 || strings.TrimSpace(cells[0]) == "id" || strings.HasPrefix(cells[0], " -") {
			continue
		}
		row := [2]string{strings.TrimSpace(cells[1])}
		if len(cells) > 3 {
			row[1] = strings.TrimSpace(cells[2])
		}
		rows[strings.TrimSpace(cells[0])] = row
	}
	return rows
}

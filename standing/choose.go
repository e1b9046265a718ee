// Package standing keeps environments of worlds running for people: one is brought up, entered, listened to and taken down again by name, by
// different calls of the program. What stands is found by the labels of its containers; only the files for the host are kept beside them.
package standing

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/cases"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Choice is a world to bring up, with the cells that are to be tried in it by hand.
type Choice struct {
	Cells []*matrix.Cell // of one world; the first is the one that is shown
	Other []string       // the other worlds that were selected, as their cells' IDs begin
	Who   []string       // of a customer's case: who makes the attempt of each cell, in their order; all are shown
}

// OfCase takes the world of a customer's case: as reported, or as advised. Every connection in it is shown.
func OfCase(c *cases.Case, advised bool) (*Choice, error) {
	rules := c.NotLoaded
	if advised {
		rules = c.AdvisedNotLoaded
	}
	choice := &Choice{}
	for _, s := range c.Attempts(advised) {
		cell := s.Expand()[0]
		if rules != nil && cell.World.Load == "" {
			return nil, fmt.Errorf("the server does not load these rules; say in %s, under world, how it comes by them (load: restart, or load: reload and the rules of before): %w", cases.CaseFile, rules)
		}
		if cannot := matrix.NotApplicable(&cell); cannot != "" {
			return nil, fmt.Errorf("%s: %s", s.Question, cannot)
		}
		choice.Cells, choice.Who = append(choice.Cells, &cell), append(choice.Who, s.Question)
	}
	switch {
	case len(choice.Cells) > 0:
		return choice, nil
	case advised:
		return nil, fmt.Errorf("nothing is advised: the folder has no %s/, and no connection of %s has advised", cases.AdvisedDir, cases.CaseFile)
	}
	return nil, cases.ErrNoConnection
}

// Choose takes the world of the plainest cell that a client can express: of the default server version, or else of the newest, and then with the
// fewest axes that have not their default.
func Choose(cells []matrix.Cell) (*Choice, error) {
	var able []*matrix.Cell
	for i := range cells {
		if matrix.NotApplicable(&cells[i]) == "" {
			able = append(able, &cells[i])
		}
	}
	if len(able) == 0 {
		return nil, fmt.Errorf("no client can express any of the %d selected cells: %s", len(cells), matrix.NotApplicable(&cells[0]))
	}
	rank := make(map[*matrix.Cell]int, len(able))
	for _, c := range able {
		rank[c] = special(c)
	}
	slices.SortStableFunc(able, func(a, b *matrix.Cell) int { return rank[a] - rank[b] })
	choice := &Choice{}
	for _, c := range able {
		if c.World.Key() == able[0].World.Key() {
			choice.Cells = append(choice.Cells, c)
		} else if name := worldOf(c); !slices.Contains(choice.Other, name) {
			choice.Other = append(choice.Other, name)
		}
	}
	return choice, nil
}

// special counts the axes on which a cell has not the default; the server's version counts more than all others.
func special(c *matrix.Cell) (n int) {
	for _, a := range matrix.Axes {
		switch {
		case c.Value(a.Name) == a.Default:
		case a.Name == "server":
			n += 1000 * (100 - c.World.Server)
		default:
			n++
		}
	}
	return n
}

// World is the chosen world, as the IDs of its cells begin.
func (c *Choice) World() string { return worldOf(c.Cells[0]) }

// worldOf is the part of a cell's ID that names its world.
func worldOf(c *matrix.Cell) string {
	if before, _, found := strings.Cut(c.ID, "/"+c.Client.Name()); found {
		return before
	}
	return c.ID
}

// shown is how many other worlds a text names.
const shown = 4

// others says which other worlds there are; "": none.
func (c *Choice) others() string {
	if len(c.Other) == 0 {
		return ""
	}
	text := strings.Join(c.Other[:min(len(c.Other), shown)], ", ")
	if more := len(c.Other) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("this is the first of %d worlds; --server, --axis or a longer name choose another: %s", len(c.Other)+1, text)
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,40}$`)

// checkName says what is wrong with the name of an environment.
func checkName(name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("%q is no name of an environment; want at most 41 of a-z, 0-9 and -, such as gss-17", name)
	}
	return nil
}

// NameOfFolder is the same of a customer's case: the folder's name, as far as it can be one.
func NameOfFolder(folder string) string {
	if whole, err := filepath.Abs(folder); err == nil {
		folder = whole
	}
	name := notInNames.ReplaceAllString(strings.ToLower(filepath.Base(folder)), "-")
	name = strings.Trim(name, "-")
	return strings.TrimRight(name[:min(len(name), 41)], "-")
}

// NameOf is the name of an environment of which nobody gave one: the last element of the scenario's.
func NameOf(c *matrix.Cell) string {
	name := c.Scenario[strings.LastIndexByte(c.Scenario, '/')+1:]
	return strings.TrimRight(name[:min(len(name), 41)], "-")
}

package matrix

import (
	"slices"
	"strconv"
	"strings"
)

// Expand makes the scenario's cells. The axes are nested in the order of Axes, the first outermost; values are in the order of the file.
// Cells of the same world share one *World.
func (s *Scenario) Expand() []Cell {
	cells := make([]Cell, 0, s.size(maxCells))
	var world *World
	var id []byte
	var inWorld int // length of the ID's part that names the world
	s.walk(s.dimensions(), func(p *point) {
		if p.newWorld {
			w := p.world
			w.Vary = slices.Clone(w.Vary)
			world = &w
			id = append(append(id[:0], s.Name...), "/pg"+strconv.Itoa(w.Server)...)
			id = p.appendAxes(id, WorldAxis)
			inWorld = len(id)
		}
		id = append(append(id[:inWorld], '/'), p.client.Library...)
		id = p.appendAxes(id, ClientAxis)
		cell := Cell{ID: string(id), Scenario: s.Name, World: world, Client: p.client, ByHand: s.ByHand}
		if len(p.rows) > 0 {
			cell.Expect = &s.Expect[p.rows[0]]
		}
		cells = append(cells, cell)
	})
	return cells
}

// Matches says whether the row claims the cell.
func (e *Expect) Matches(c *Cell) bool { return matchesAll(e.When, c) }

// matchesAll says whether the cell has one of the values on each of the axes.
func matchesAll(when []AxisValues, c *Cell) bool {
	for _, w := range when {
		if !slices.Contains(w.Values, c.Value(w.Axis)) {
			return false
		}
	}
	return true
}

// dimension is an axis with the values that cells of a scenario have.
type dimension struct {
	Axis
	values []string
	named  bool // IDs name it
	varies bool // the scenario has more than one value of it
}

// dimensions are all axes, in the order of IDs.
func (s *Scenario) dimensions() []dimension {
	axes := s.axes()
	dimensions := make([]dimension, len(axes))
	for i, axis := range axes {
		d := dimension{Axis: axis, values: []string{axis.Default}}
		if n := slices.IndexFunc(s.Axes, func(a AxisValues) bool { return a.Axis == axis.Name }); n >= 0 {
			d.values, d.named = s.Axes[n].Values, axis.Name != "server" && axis.Name != "library"
		}
		d.varies = len(d.values) > 1
		dimensions[i] = d
	}
	return dimensions
}

func dimensionOf(dimensions []dimension, axis string) int {
	return slices.IndexFunc(dimensions, func(d dimension) bool { return d.Name == axis })
}

// size is the number of combinations of values; limit+1 if it is above the limit.
func (s *Scenario) size(limit int) int {
	size := 1
	for _, a := range s.Axes {
		if size *= len(a.Values); size > limit {
			return limit + 1
		}
	}
	return size
}

// point is a cell that a walk visits; it has no ID.
type point struct {
	dimensions []dimension
	at         []int // the value's index, by dimension
	rows       []int // the Expect rows that claim it
	world      World
	client     Client
	newWorld   bool // the last visited cell had another world
}

// value is the point's value on an axis.
func (p *point) value(axis int) string { return p.dimensions[axis].values[p.at[axis]] }

// rowMask is a row of axis values, prepared for matching many points.
type rowMask []struct {
	axis int
	has  []bool // by the value's index
}

// mask prepares a row.
func mask(dimensions []dimension, when []AxisValues) rowMask {
	m := make(rowMask, len(when))
	for i, w := range when {
		m[i].axis = dimensionOf(dimensions, w.Axis)
		for _, value := range dimensions[m[i].axis].values {
			m[i].has = append(m[i].has, slices.Contains(w.Values, value))
		}
	}
	return m
}

// matches says whether the row claims the point.
func (m rowMask) matches(p *point) bool {
	for _, a := range m {
		if !a.has[p.at[a.axis]] {
			return false
		}
	}
	return true
}

// appendAxes writes the element of an ID that has the named axes of a kind; nothing if there are none.
func (p *point) appendAxes(id []byte, kind AxisKind) []byte {
	separator := byte('/')
	for i := range p.dimensions {
		d := &p.dimensions[i]
		if d.Kind != kind || !d.named {
			continue
		}
		id = append(append(append(id, separator), d.Name...), '=')
		id = appendEscaped(id, d.Text(p.value(i)))
		separator = ','
	}
	return id
}

// appendEscaped writes a value so that different values look different, and without the characters that have a meaning in IDs and
// patterns.
func appendEscaped(id []byte, value string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(value) {
		switch c := value[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("._@+-", c) >= 0:
			id = append(id, c)
		default:
			id = append(id, '%', hex[c>>4], hex[c&15])
		}
	}
	return id
}

// masks prepares the rows of exclude and of expect for points with these dimensions.
func (s *Scenario) masks(dimensions []dimension) (exclude, expect []rowMask) {
	for _, row := range s.Exclude {
		exclude = append(exclude, mask(dimensions, row))
	}
	for _, row := range s.Expect {
		expect = append(expect, mask(dimensions, row.When))
	}
	return exclude, expect
}

// walk visits the cells that have values of these dimensions, in order. The point is the same for all visits.
func (s *Scenario) walk(dimensions []dimension, visit func(*point)) {
	p := &point{dimensions: dimensions}
	p.at = make([]int, len(p.dimensions))
	p.world = World{Roles: s.Roles, Databases: s.Databases, OSUsers: s.OSUsers, Realms: s.Realms, ClientRealm: s.ClientRealm, Keytabs: s.Keytabs, Tickets: s.Tickets, KRB5Confs: s.KRB5Confs, IdentServers: s.IdentServers, Certificates: s.Certificates, Host: s.Host, Networks: s.Networks, Names: s.Names}
	for _, own := range s.Vary {
		p.world.Vary = append(p.world.Vary, Variation{Axis: own.Name})
	}
	exclude, expect := s.masks(dimensions)
	var only []rowMask
	for _, row := range s.Only {
		only = append(only, mask(dimensions, row))
	}
	changed := true
	var descend func(int)
	descend = func(i int) {
		if i == len(p.dimensions) {
			claims := func(m rowMask) bool { return m.matches(p) }
			if slices.ContainsFunc(exclude, claims) || len(only) > 0 && !slices.ContainsFunc(only, claims) {
				return
			}
			p.rows = p.rows[:0]
			for i, m := range expect {
				if m.matches(p) {
					p.rows = append(p.rows, i)
				}
			}
			if changed {
				p.world.HBA = s.substitute(textOf(s.HBA, p.world.HBAName), &p.world)
				p.world.Ident = s.substitute(textOf(s.Ident, p.world.IdentName), &p.world)
				p.world.Settings = substituted(s, s.Settings, func(x *Setting) *string { return &x.Value }, &p.world)
				p.world.Files, p.world.Before = substituted(s, s.Files, func(f *File) *string { return &f.Text }, &p.world), State{}
				if p.world.Load != "" {
					p.world.Before = s.earlier(&p.world)
				}
			}
			client := p.client
			if p.client.Principal == "" {
				p.client.Principal = p.client.User
			}
			p.newWorld, changed = changed, false
			visit(p)
			p.client = client
			return
		}
		d := &p.dimensions[i]
		for n, value := range d.values {
			p.at[i] = n
			d.set(&p.world, &p.client, value)
			changed = changed || d.Kind == WorldAxis
			descend(i + 1)
		}
	}
	descend(0)
}

func textOf(texts []Text, name string) string {
	for _, t := range texts {
		if t.Name == name {
			return t.Text
		}
	}
	return ""
}

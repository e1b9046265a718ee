package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// point is a place that can be changed, and the change.
type point struct {
	ID       int
	Room     string
	File     string // relative to the module
	Line     int
	Column   int
	Function string // that holds it; empty: it belongs to a variable of the package
	Kind     kind
	From, To string
	Nth      int `json:",omitempty"` // of those that are otherwise alike in the function; 0: the first
}

func (p *point) String() string {
	return fmt.Sprintf("%s:%d:%d %s: %s -> %s", p.File, p.Line, p.Column, p.Kind, p.From, p.To)
}

// key tells the point from the others after the lines above it have moved.
func (p *point) key() string {
	text := strings.Join([]string{p.File, cmp.Or(p.Function, "(variables)"), string(p.Kind), p.From, p.To}, " | ")
	if p.Nth > 0 {
		text += fmt.Sprintf(" | %d", p.Nth+1)
	}
	return text
}

// edit replaces some bytes of a source.
type edit struct {
	at, length int
	text       string
	closes     bool // it ends what another edit has begun: of several at one place, the last to be planted comes first
}

type rewriter struct {
	fset   *token.FileSet
	info   *types.Info
	pkg    *types.Package
	room   *room
	file   *ast.File
	source []byte
	name   string // relative to the module
	edits  []edit
	stack  []ast.Node
	extra  map[string]string // imports that the file needs, by path
	all    *[]point
	alike  map[string]int // points by key
}

// rewritten are the sources of a room, by file name, with every point of the room.
type rewritten struct {
	files  map[string]string
	points []point
}

// packagePath is the package that rewritten sources call.
const packagePath = module + "/mutants/points"

const module = "github.com/pgauthmatrix/pgauthmatrix"

// rewrite plants the points of a room. The first has the number after first. exports opens the export data of an import.
func rewrite(r *room, sources map[string][]byte, exports func(string) (io.ReadCloser, error), first int) (*rewritten, error) {
	fset := token.NewFileSet()
	var names []string
	for name := range sources {
		names = append(names, name)
	}
	slices.Sort(names)
	var files []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(fset, name, sources[name], parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", exports)}
	pkg, err := conf.Check(module+"/"+r.name, fset, files, info)
	if err != nil {
		return nil, err
	}
	out := &rewritten{files: map[string]string{}, points: make([]point, 0, 4096)}
	points := make([]point, first)
	var order []*types.Initializer
	order = append(order, info.InitOrder...)
	rewriters, alike := map[string]*rewriter{}, map[string]int{}
	for i, f := range files {
		w := &rewriter{fset: fset, info: info, pkg: pkg, room: r, file: f, source: sources[names[i]], name: names[i], extra: map[string]string{}, all: &points, alike: alike}
		ast.Inspect(f, func(n ast.Node) bool {
			if n == nil {
				w.stack = w.stack[:len(w.stack)-1]
				return false
			}
			w.stack = append(w.stack, n)
			if w.visit(n) {
				return true
			}
			w.stack = w.stack[:len(w.stack)-1]
			return false
		})
		rewriters[names[i]] = w
	}
	anew := map[string][]string{} // functions that evaluate variables, by file
	var list []string
	add := func(name, body string) {
		function := fmt.Sprintf("anew%d", len(list))
		list = append(list, function)
		anew[name] = append(anew[name], fmt.Sprintf("func %s() { %s }", function, body))
	}
	for i, f := range files {
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
				for _, s := range g.Specs {
					if v := s.(*ast.ValueSpec); len(v.Values) == 0 {
						for _, id := range v.Names {
							add(names[i], fmt.Sprintf("%s = *new(%s)", id.Name, rewriters[names[i]].text(v.Type)))
						}
					}
				}
			}
		}
	}
	for _, v := range order {
		name := fset.Position(v.Rhs.Pos()).Filename
		var left []string
		for _, l := range v.Lhs {
			left = append(left, l.Name())
		}
		w := rewriters[name]
		if !slices.ContainsFunc(left, func(s string) bool { return s != "_" }) {
			continue
		}
		add(name, strings.Join(left, ", ")+" = "+w.render(w.offset(v.Rhs.Pos()), w.offset(v.Rhs.End())))
	}
	for name, w := range rewriters {
		text := w.render(0, len(w.source))
		at := w.offset(w.file.Name.End())
		imports := fmt.Sprintf("; import %q", packagePath)
		for p, as := range w.extra {
			imports += fmt.Sprintf("; import %s %q", as, p)
		}
		out.files[name] = text[:at] + imports + text[at:] + "\n" + strings.Join(anew[name], "\n") + "\nvar _ = points.Step\n"
	}
	out.files["mutants_anew.go"] = fmt.Sprintf("package %s\n\nimport %q\n\nfunc init() { points.Anew(%s) }\n", pkg.Name(), packagePath, strings.Join(append([]string{strconv.Quote(r.name)}, list...), ", "))
	out.points = points[first:]
	return out, nil
}

func (r *rewriter) offset(p token.Pos) int { return r.fset.Position(p).Offset }

func (r *rewriter) text(n ast.Node) string {
	return strings.Join(strings.Fields(string(r.source[r.offset(n.Pos()):r.offset(n.End())])), " ")
}

// line is the beginning of a statement, for people.
func (r *rewriter) line(n ast.Node) string {
	text := r.text(n)
	if len(text) > 90 {
		text = text[:90] + "…"
	}
	return text
}

// parent is the i-th node above the present one; 0 is itself.
func (r *rewriter) parent(i int) ast.Node {
	if i >= len(r.stack) {
		return nil
	}
	return r.stack[len(r.stack)-1-i]
}

// point records a change and gives its number.
func (r *rewriter) point(n ast.Node, k kind, from, to string) int {
	pos := r.fset.Position(n.Pos())
	p := point{ID: len(*r.all) + 1, Room: r.room.name, File: path.Join(r.room.name, r.name), Line: pos.Line, Column: pos.Column, Kind: k, From: from, To: to}
	for _, s := range r.stack {
		if f, ok := s.(*ast.FuncDecl); ok {
			p.Function = f.Name.Name
		}
	}
	key := p.key()
	p.Nth = r.alike[key]
	r.alike[key]++
	*r.all = append(*r.all, p)
	return p.ID
}

func (r *rewriter) around(n ast.Node, before, after string) {
	r.edits = append(r.edits, edit{at: r.offset(n.Pos()), text: before}, edit{at: r.offset(n.End()), text: after, closes: true})
}

func (r *rewriter) replace(at token.Pos, length int, text string) {
	r.edits = append(r.edits, edit{at: r.offset(at), length: length, text: text})
}

// step makes a body count.
func (r *rewriter) step(body *ast.BlockStmt) {
	if body != nil {
		r.edits = append(r.edits, edit{at: r.offset(body.Lbrace) + 1, text: " points.Step(); "})
	}
}

// render is a part of the source with its edits. Every edit that touches the part must lie within it.
func (r *rewriter) render(from, until int) string {
	type placed struct {
		edit
		order int
	}
	var list []placed
	for i, e := range r.edits {
		if e.at >= from && e.at <= until && (e.at > from || !e.closes) && (e.at < until || e.closes) {
			order := i
			if e.closes {
				order = -i
			}
			list = append(list, placed{e, order})
		}
	}
	slices.SortStableFunc(list, func(a, b placed) int {
		switch {
		case a.at != b.at:
			return a.at - b.at
		case a.closes != b.closes && a.closes:
			return -1
		case a.closes != b.closes:
			return 1
		}
		return a.order - b.order
	})
	var out strings.Builder
	at := from
	for _, e := range list {
		out.Write(r.source[at:e.at])
		out.WriteString(e.text)
		at = e.at + e.length
	}
	out.Write(r.source[at:until])
	return out.String()
}

// typeName is how the file writes the name of a type; what it does not import is imported.
func (r *rewriter) typeName(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string {
		if p == r.pkg {
			return ""
		}
		for _, spec := range r.file.Imports {
			if strings.Trim(spec.Path.Value, `"`) == p.Path() {
				if spec.Name != nil {
					return spec.Name.Name
				}
				return p.Name()
			}
		}
		if r.extra[p.Path()] == "" {
			r.extra[p.Path()] = fmt.Sprintf("extra%d", len(r.extra))
		}
		return r.extra[p.Path()]
	})
}

// sourcesOf reads the sources of a room without its tests.
func sourcesOf(root string, r *room) (map[string][]byte, error) {
	files, err := filepath.Glob(filepath.Join(root, r.name, "*.go"))
	if err != nil {
		return nil, err
	}
	sources := map[string][]byte{}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		if sources[filepath.Base(f)], err = os.ReadFile(f); err != nil {
			return nil, err
		}
	}
	return sources, nil
}

package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// kind is one kind of change.
type kind string

const (
	negate    kind = "negate"    // a condition, or an operand of a condition, is reversed: == becomes !=
	connect   kind = "connect"   // && becomes ||, || becomes &&
	boundary  kind = "boundary"  // < becomes <=, > becomes >=, and the reverse
	dropCase  kind = "case"      // a value or a condition of a switch is never met
	swap      kind = "constant"  // a string becomes empty, or "mutant"; a number one more or one less; a constant of a list the next one of the list; a pattern one that matches nothing
	statement kind = "statement" // an assignment, a call, a return, a break or a continue is left out
)

var boundaries = map[token.Token]struct{ to, function string }{
	token.LSS: {"<=", "Less"},
	token.LEQ: {"<", "LessEqual"},
	token.GTR: {">=", "Greater"},
	token.GEQ: {">", "GreaterEqual"},
}

// visit plants the points of a node. It is false if nothing below the node is to change.
func (r *rewriter) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GenDecl:
		return n.Tok == token.VAR
	case *ast.FuncType, *ast.ArrayType, *ast.MapType, *ast.StructType, *ast.InterfaceType:
		return false
	case *ast.FuncDecl:
		r.step(n.Body)
		if r.room.skips(n.Name.Name) {
			return false
		}
	case *ast.CompositeLit:
		if r.room.explains(lastName(n.Type)) {
			return false
		}
	case *ast.FuncLit:
		r.step(n.Body)
	case *ast.ForStmt:
		r.step(n.Body)
	case *ast.RangeStmt:
		r.step(n.Body)
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && r.room.explainsField(key.Name) && !r.ofMap() {
			return false
		}
	case *ast.CallExpr:
		if r.room.explains(called(n)) {
			return false
		}
	case *ast.TypeSwitchStmt:
		return false
	}
	if s, ok := n.(ast.Stmt); ok {
		return r.statement(s)
	}
	if e, ok := n.(ast.Expr); ok {
		return r.expression(e)
	}
	return true
}

// called is the last name of the function that is called.
func called(call *ast.CallExpr) string { return lastName(call.Fun) }

// lastName is a name, after that of the package where it is one of fmt or errors.
func lastName(e ast.Expr) string {
	switch f := e.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok && x.Name == "fmt" || ok && x.Name == "errors" {
			return x.Name + "." + f.Sel.Name
		}
		return f.Sel.Name
	}
	return ""
}

func (r *rewriter) statement(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.ExprStmt:
		if call, ok := s.X.(*ast.CallExpr); ok && (r.room.explains(called(call)) || called(call) == "panic") {
			return false
		}
	case *ast.AssignStmt:
		if !slices.ContainsFunc(s.Lhs, func(e ast.Expr) bool { return !r.explaining(e) }) {
			return false
		}
		if s.Tok == token.DEFINE {
			return true
		}
	case *ast.IncDecStmt:
	case *ast.ReturnStmt:
		if !r.mayFallThrough() {
			return true
		}
	case *ast.BranchStmt:
		if s.Tok != token.BREAK && s.Tok != token.CONTINUE {
			return true
		}
	default:
		return true
	}
	if r.inList() {
		id := r.point(s, statement, r.line(s), "left out")
		r.around(s, fmt.Sprintf("if points.Do(%d) { ", id), " }")
	}
	return true
}

// explaining: the variable holds a text for people, or nothing.
func (r *rewriter) explaining(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "_" || r.room.explainsField(e.Name)
	case *ast.SelectorExpr:
		return r.room.explainsField(e.Sel.Name)
	}
	return false
}

// inList: the node is a statement of a block or of a case, not a part of another statement.
func (r *rewriter) inList() bool {
	switch r.parent(1).(type) {
	case *ast.BlockStmt, *ast.CaseClause:
		return true
	}
	return false
}

// mayFallThrough: without the statement the function still compiles: some statement around it, or itself, has a next one, or the function has no results.
func (r *rewriter) mayFallThrough() bool {
	for i := 0; ; i++ {
		n := r.parent(i)
		var list []ast.Stmt
		switch p := r.parent(i + 1).(type) {
		case *ast.FuncDecl:
			return p.Type.Results == nil
		case *ast.FuncLit:
			return p.Type.Results == nil
		case *ast.BlockStmt:
			list = p.List
		case *ast.CaseClause:
			list = p.Body
		case *ast.ForStmt, *ast.RangeStmt:
			return true
		}
		at := slices.IndexFunc(list, func(s ast.Stmt) bool { return s == n })
		if _, isCase := n.(*ast.CaseClause); !isCase && at >= 0 && at < len(list)-1 {
			return true
		}
	}
}

func (r *rewriter) expression(e ast.Expr) bool {
	tv, known := r.info.Types[e]
	if !known || !tv.IsValue() {
		return true
	}
	if tv.Value != nil {
		r.constant(e, tv)
		return false
	}
	if clause, ok := r.parent(1).(*ast.CaseClause); ok && slices.Contains(clause.List, e) && r.tagless() {
		id := r.point(e, dropCase, r.text(e), "never")
		r.around(e, fmt.Sprintf("points.When(%d, ", id), ")")
	}
	b, ok := e.(*ast.BinaryExpr)
	if ok && (b.Op == token.LAND || b.Op == token.LOR) {
		name, to := "And", "||"
		if b.Op == token.LOR {
			name, to = "Or", "&&"
		}
		id := r.point(b, connect, r.text(b), to)
		r.around(b, fmt.Sprintf("points.%s(%d, ", name, id), ") })")
		r.replace(b.OpPos, len(b.Op.String()), ", func() bool { return (")
		return true
	}
	if basic, is := tv.Type.Underlying().(*types.Basic); !is || basic.Info()&types.IsBoolean == 0 {
		return true
	}
	compares := ok && (b.Op == token.EQL || b.Op == token.NEQ || boundaries[b.Op].to != "")
	if compares || r.decides(e) {
		to := "not " + r.text(e)
		if ok {
			to = map[token.Token]string{token.EQL: "!=", token.NEQ: "==", token.LSS: ">=", token.LEQ: ">", token.GTR: "<=", token.GEQ: "<"}[b.Op]
		}
		id := r.point(e, negate, r.text(e), to)
		r.around(e, fmt.Sprintf("points.Not(%d, ", id), ")")
	}
	if change := boundaries[opOf(b)]; change.to != "" {
		id := r.point(b, boundary, r.text(b), change.to)
		r.around(b, fmt.Sprintf("points.%s(%d, ", change.function, id), ")")
		r.replace(b.OpPos, len(b.Op.String()), ",")
	}
	return true
}

func opOf(b *ast.BinaryExpr) token.Token {
	if b == nil {
		return token.ILLEGAL
	}
	return b.Op
}

// decides: the expression, which has no operator of its own, is a condition, an operand of one, or a result.
func (r *rewriter) decides(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.ParenExpr, *ast.BinaryExpr:
		return false
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			return false
		}
	}
	var child ast.Node = e
	for i := 1; ; i++ {
		switch p := r.parent(i).(type) {
		case *ast.ParenExpr:
			child = p
		case *ast.UnaryExpr:
			return p.Op == token.NOT
		case *ast.BinaryExpr:
			return p.Op == token.LAND || p.Op == token.LOR
		case *ast.IfStmt:
			return p.Cond == child
		case *ast.ForStmt:
			return p.Cond == child
		case *ast.CaseClause:
			return r.tagless()
		case *ast.ReturnStmt:
			return true
		case *ast.AssignStmt:
			return len(p.Lhs) == len(p.Rhs) && slices.Contains(p.Rhs, e)
		default:
			return false
		}
	}
}

// tagless: the case clause that is the parent belongs to a switch without a value.
func (r *rewriter) tagless() bool {
	for i := 1; ; i++ {
		if _, ok := r.parent(i).(*ast.CaseClause); ok {
			s, ok := r.parent(i + 2).(*ast.SwitchStmt)
			return ok && s.Tag == nil
		}
	}
}

// ofMap: the key and value that are the node belong to a map.
func (r *rewriter) ofMap() bool {
	literal, ok := r.parent(1).(*ast.CompositeLit)
	if !ok {
		return false
	}
	_, ok = r.info.Types[literal].Type.Underlying().(*types.Map)
	return ok
}

// sourceName is the place in a source that explains a prediction.
var sourceName = regexp.MustCompile(`\.(c|go|py|pyx), |^(libpq|OpenSSL|krb5\.conf|crypto/\S+), |^gss_\w+$`)

// constant plants the points of a constant.
func (r *rewriter) constant(e ast.Expr, tv types.TypeAndValue) {
	switch p := r.parent(1).(type) {
	case *ast.KeyValueExpr:
		if literal, ok := r.parent(2).(*ast.CompositeLit); ok && p.Key == e {
			if _, ok := r.info.Types[literal].Type.Underlying().(*types.Map); !ok {
				return
			}
		}
	case *ast.CaseClause:
		r.caseOf(e, tv)
		return
	}
	typ := types.Default(tv.Type)
	basic, ok := typ.Underlying().(*types.Basic)
	if !ok || basic.Info()&types.IsString != 0 && sourceName.MatchString(constant.StringVal(tv.Value)) {
		return
	}
	change := func(to, typed string) {
		id := r.point(e, swap, r.text(e), to)
		r.around(e, fmt.Sprintf("points.Swap%s(%d, ", typed, id), ", "+to+")")
	}
	if next := r.next(e, typ); next != "" {
		change(next, "") // a variable may hide the type's name
		return
	}
	name := "[" + r.typeName(typ) + "]"
	switch info := basic.Info(); {
	case info&types.IsBoolean != 0:
		change(strconv.FormatBool(!constant.BoolVal(tv.Value)), name)
	case info&types.IsString != 0 && r.pattern(e):
		change("`[^\\s\\S]`", name)
	case info&types.IsString != 0 && constant.StringVal(tv.Value) == "":
		change(`"mutant"`, name)
	case info&types.IsString != 0:
		change(`""`, name)
	case info&types.IsInteger != 0:
		value, exact := constant.Int64Val(tv.Value)
		if !exact {
			return
		}
		for _, by := range []int64{+1, -1} {
			if to := value + by; r.worthwhile(e, by) && to >= 0 && (basic.Kind() != types.Uint8 || to <= 255) {
				change(strconv.FormatInt(to, 10), name)
			}
		}
	}
}

// pattern: the constant is a regular expression.
func (r *rewriter) pattern(e ast.Expr) bool {
	call, ok := r.parent(1).(*ast.CallExpr)
	return ok && call.Args[0] == e && (called(call) == "MustCompile" || called(call) == "row")
}

// worthwhile: as an operand of a relation, one neighbour of a number is what another boundary would be.
func (r *rewriter) worthwhile(e ast.Expr, by int64) bool {
	b, ok := r.parent(1).(*ast.BinaryExpr)
	if !ok || b.Y != e {
		return true
	}
	switch b.Op {
	case token.LSS, token.GEQ: // < 3 becomes <= 3, which is < 4; >= 3 becomes > 3, which is >= 4
		return by < 0
	case token.LEQ, token.GTR:
		return by > 0
	}
	return true
}

// caseOf plants the point of a constant of a switch with a value.
func (r *rewriter) caseOf(e ast.Expr, tv types.TypeAndValue) {
	s, ok := r.parent(3).(*ast.SwitchStmt)
	if !ok || s.Tag == nil {
		return
	}
	typ := types.Default(tv.Type)
	basic, ok := typ.Underlying().(*types.Basic)
	if !ok {
		return
	}
	function := "CaseNumber"
	switch {
	case basic.Info()&types.IsString != 0:
		function = "Case"
	case basic.Kind() == types.Uint8:
		function = "CaseByte"
	}
	id := r.point(e, dropCase, "case "+r.text(e), "left out")
	r.around(e, fmt.Sprintf("points.%s[%s](%d, ", function, r.typeName(typ), id), ")")
}

// next is the constant that follows in the list of those of its type, as they are declared; "" where the constant has no name or no list.
func (r *rewriter) next(e ast.Expr, typ types.Type) string {
	named, ok := typ.(*types.Named)
	if !ok || named.Obj().Pkg() == nil {
		return ""
	}
	var id *ast.Ident
	prefix := ""
	switch e := e.(type) {
	case *ast.Ident:
		id = e
	case *ast.SelectorExpr:
		id, prefix = e.Sel, r.text(e.X)+"."
	default:
		return ""
	}
	own, ok := r.info.Uses[id].(*types.Const)
	if !ok || own.Pkg() == nil {
		return ""
	}
	var list []*types.Const
	scope := own.Pkg().Scope()
	for _, name := range scope.Names() {
		if c, ok := scope.Lookup(name).(*types.Const); ok && types.Identical(c.Type(), typ) && (prefix == "" || c.Exported()) {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b *types.Const) int {
		x, y := r.fset.Position(a.Pos()), r.fset.Position(b.Pos())
		if d := strings.Compare(x.Filename, y.Filename); d != 0 {
			return d
		}
		return x.Offset - y.Offset + 1<<20*(x.Line-y.Line)
	})
	if len(list) < 2 {
		return ""
	}
	at := slices.Index(list, own)
	return prefix + list[(at+1)%len(list)].Name()
}

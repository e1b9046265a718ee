// Package points is what rewritten sources call at every place that can be mutated. One mutant at most is in force at a time; with none, the
// rewritten source does what the source does. Only programs of the folder mutants are built with it.
package points

import (
	"cmp"
	"os"
	"strconv"
	"syscall"
)

// Mutant is what the judge reads of one.
type Mutant struct {
	ID   int
	Room string
}

// Result is what the judge writes: what the cells say of one mutant.
type Result struct {
	ID       int
	Cells    int    // that reach the point
	Judged   int    // of them; the first that notices is the last
	Noticed  string `json:",omitempty"` // ID of the cell that notices; empty: none does
	How      string `json:",omitempty"` // what it notices
	Explains bool   `json:",omitempty"` // a cell has other explanations, and no cell notices
}

// Most is the number of points that a program can have, and the size of the map of those that were reached.
const Most = 1 << 15

// The environment of a test program: the mutant in force, a file in which the program notes what it reaches, and the number of steps after which it
// panics. The file has Most bytes, one for each point, and eight more for the number of steps.
const (
	EnvActive  = "PGAUTHMATRIX_MUTANT"
	EnvReached = "PGAUTHMATRIX_MUTANT_REACHED"
	EnvLimit   = "PGAUTHMATRIX_MUTANT_LIMIT"
)

var (
	active  = number(EnvActive)
	limit   = number(EnvLimit)
	reached = noted()
	steps   int64
	inits   = map[string][]func(){} // by room
)

func number(name string) int64 {
	n, _ := strconv.ParseInt(os.Getenv(name), 10, 64)
	return n
}

// noted is the map of what is reached; it lies in a file where the environment names one, so that it outlasts the program.
func noted() []byte {
	name := os.Getenv(EnvReached)
	if name == "" {
		return make([]byte, Most+8)
	}
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		panic(err)
	}
	mapped, err := syscall.Mmap(int(file.Fd()), 0, Most+8, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return mapped
}

// Activate puts a mutant in force, 0 none.
func Activate(id int) { active = int64(id) }

// Anew adds functions that evaluate variables of a room, in their order.
func Anew(room string, f ...func()) { inits[room] = append(inits[room], f...) }

// Again evaluates the variables of a room again, under the mutant in force.
func Again(room string) {
	for _, f := range inits[room] {
		f()
	}
}

// Reached has a byte for each point: not 0, if it was reached since the byte was cleared.
func Reached() []byte { return reached[:Most] }

// Begin counts steps from 0 again, and panics after so many; 0: never.
func Begin(most int) { steps, limit = 0, int64(most) }

// Steps since Begin.
func Steps() int { return int(steps) }

// TooLong is the panic of a mutant that goes on for ever.
type TooLong struct{}

func (TooLong) Error() string { return "too many steps" }

// Step is called by every function and in every loop.
func Step() {
	steps++
	if steps&0xff == 0 { // for the program that reads the file
		for i := range 8 {
			reached[Most+i] = byte(steps >> (8 * i))
		}
	}
	if limit > 0 && steps > limit {
		panic(TooLong{})
	}
}

func mutated(id int64) bool {
	reached[id] = 1
	return active == id
}

// Not is b, reversed by the mutant.
func Not[B ~bool](id int64, b B) B { return b != B(mutated(id)) }

// Where a mutant changes nothing, its point does not count as reached.

// When is b, false by the mutant.
func When[B ~bool](id int64, b B) B { return b && !B(mutated(id)) }

// And is a && b; a || b by the mutant.
func And[B ~bool](id int64, a B, b func() B) B {
	if a {
		return b() || B(mutated(id))
	}
	return B(mutated(id)) && b()
}

// Or is a || b; a && b by the mutant.
func Or[B ~bool](id int64, a B, b func() B) B {
	if a {
		return !B(mutated(id)) || b()
	}
	return b() && !B(mutated(id))
}

// Less is a < b; a <= b by the mutant.
func Less[T cmp.Ordered](id int64, a, b T) bool { return a < b || a == b && mutated(id) }

// LessEqual is a <= b; a < b by the mutant.
func LessEqual[T cmp.Ordered](id int64, a, b T) bool { return a < b || a == b && !mutated(id) }

// Greater is a > b; a >= b by the mutant.
func Greater[T cmp.Ordered](id int64, a, b T) bool { return a > b || a == b && mutated(id) }

// GreaterEqual is a >= b; a > b by the mutant.
func GreaterEqual[T cmp.Ordered](id int64, a, b T) bool { return a > b || a == b && !mutated(id) }

// Swap is a; b by the mutant.
func Swap[T any](id int64, a, b T) T {
	if mutated(id) {
		return b
	}
	return a
}

// Case is a value of a case; by the mutant one that no switch is about.
func Case[T ~string](id int64, a T) T { return Swap(id, a, "\x00 dropped") }

// CaseNumber is Case for numbers.
func CaseNumber[T ~int | ~int32 | ~int64](id int64, a T) T { return Swap(id, a, -987654321) }

// CaseByte is Case for bytes. No switch of this project is about this one.
func CaseByte[T ~uint8](id int64, a T) T { return Swap(id, a, 251) }

// Do says whether a statement is carried out: not by the mutant.
func Do(id int64) bool { return !mutated(id) }

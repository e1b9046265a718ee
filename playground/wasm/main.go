//go:build js && wasm

// The oracle in a browser: one function, which takes a question as JSON and returns the answer as JSON.
package main

import (
	"syscall/js"

	"github.com/pgauthmatrix/pgauthmatrix/playground/answer"
)

func main() {
	js.Global().Set("pgauthmatrixAnswer", js.FuncOf(func(_ js.Value, args []js.Value) any { return answer.Of(args[0].String()) }))
	if ready := js.Global().Get("pgauthmatrixReady"); ready.Type() == js.TypeFunction {
		ready.Invoke()
	}
	select {}
}

// Package playground writes one page on which rules are tried in the browser: the oracle, compiled to WebAssembly, is part of the page, and nothing leaves it.
package playground

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/base64"
	"errors"
	"html/template"
	"io"
	"io/fs"
	"slices"
	"strconv"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

//go:embed assets
var assets embed.FS

//go:embed page.html
var page string

var parsed = template.Must(template.New("page").Parse(page))

// Write writes the page. Without the compiled oracle, which `make build` puts among the assets, it is an error.
func Write(w io.Writer) error {
	oracle, err := fs.ReadFile(assets, "assets/oracle.wasm")
	glue, glueErr := fs.ReadFile(assets, "assets/wasm_exec.js")
	if errors.Join(err, glueErr) != nil {
		return errors.New("this program was built without the oracle for browsers: build it with make build")
	}
	var compressed bytes.Buffer
	z, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(oracle); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	var clients []string
	for _, c := range matrix.Clients {
		if !c.Named && c.Kind != matrix.KindPsql {
			clients = append(clients, string(c.Name))
		}
	}
	slices.Reverse(clients)
	var versions []string
	for _, v := range slices.Backward(matrix.ServerVersions) {
		versions = append(versions, strconv.Itoa(v))
	}
	server, _ := matrix.AxisByName("server")
	library, _ := matrix.AxisByName("library")
	return parsed.Execute(w, map[string]any{"Version": server.Default, "Client": library.Default, "Oracle": base64.StdEncoding.EncodeToString(compressed.Bytes()), "Glue": template.JS(glue), "Versions": versions, "Clients": clients})
}

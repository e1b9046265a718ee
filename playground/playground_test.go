package playground

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
)

// Without the compiled oracle there is an error that says what to do; with it there is a page of a size that can be sent.
func TestWrite(t *testing.T) {
	var b bytes.Buffer
	err := Write(&b)
	if _, missing := fs.Stat(assets, "assets/oracle.wasm"); missing != nil {
		if err == nil || !strings.Contains(err.Error(), "make build") || b.Len() > 0 {
			t.Errorf("%v, %d bytes", err, b.Len())
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if b.Len() > 6e6 || !strings.Contains(text, "<option>17</option>") || !strings.Contains(text, `<option selected>libpq18</option>`) || strings.Contains(text, "http://") {
		t.Errorf("%d bytes", b.Len())
	}
	for _, from := range []string{"src=", "href=", "@import", "fetch("} {
		if strings.Contains(page, from) {
			t.Errorf("the page has %s: it loads something", from)
		}
	}
}

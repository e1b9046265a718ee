package compliance

import "testing"

func TestBuiltin(t *testing.T) {
	c, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range c.Frameworks {
		t.Log(f.ID, len(f.Controls))
	}
}

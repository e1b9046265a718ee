package agent

import (
	"reflect"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	type word string
	type inner struct {
		Text string
		Word word
	}
	type outer struct {
		Text    string
		Number  int
		Pointer *inner
		None    *inner
		List    []inner
		Texts   [2]string
		Map     map[string]string
		Structs map[string]inner
	}
	dirty := func(secret string) *outer {
		in := inner{"a " + secret, word(secret)}
		return &outer{secret, 1, &in, nil, []inner{in, {}}, [2]string{"", secret}, map[string]string{"a": secret, "b": "b"}, map[string]inner{"c": in}}
	}
	got, want := dirty("s3cret"), dirty("***")
	if !Redact(got, strings.NewReplacer("s3cret", "***")) || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if Redact(got, strings.NewReplacer("s3cret", "***")) {
		t.Error("changed what holds no secret")
	}
	defer func() {
		if recover() == nil {
			t.Error("an interface was passed over")
		}
	}()
	Redact(&struct{ Any any }{"s3cret"}, strings.NewReplacer("s3cret", "***"))
}

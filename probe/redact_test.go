package probe

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// fill gives every field of a value something: a text to every string, which it counts, and one element to every slice.
func fill(t *testing.T, v reflect.Value, text string) (strings int) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return 1
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return fill(t, v.Elem(), text)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		return fill(t, v.Index(0), text)
	case reflect.Struct:
		for i := range v.NumField() {
			strings += fill(t, v.Field(i), text)
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	default:
		t.Fatalf("evidence has a %s: teach fill, and agent.Redact if it does not know it", v.Type())
	}
	return strings
}

// TestEveryStringIsRedacted: a field that is added to the evidence cannot be forgotten.
func TestEveryStringIsRedacted(t *testing.T) {
	const secret = "s3cret-of-alice"
	var e matrix.Evidence
	if n := fill(t, reflect.ValueOf(&e).Elem(), "it is "+secret+"!"); n < 25 {
		t.Fatalf("only %d strings", n)
	}
	secrets := secretsOf(&agent.Attempt{Options: []agent.Option{{Name: "user", Value: "alice"}, {Name: "password", Value: secret, Secret: true}, {Name: "sslpassword", Value: "another", Secret: true}}})
	if !agent.Redact(&e, secrets) {
		t.Error("nothing leaked")
	}
	text, err := json.Marshal(e)
	if err != nil || strings.Contains(string(text), secret) {
		t.Errorf("%v: a secret is left: %s", err, text)
	}
	if agent.Redact(&e, secrets) || agent.Redact(&e, secretsOf(&agent.Attempt{})) {
		t.Error("leaked after it was redacted")
	}
	// Each string alone.
	for i := range 1000 {
		var one matrix.Evidence
		if !only(reflect.ValueOf(&one).Elem(), secret, &i) {
			break
		}
		if !agent.Redact(&one, secrets) {
			t.Errorf("string %d leaked unseen: %+v", i, one)
		}
	}
}

// only fills the string that stands at place n and no other; false if there are fewer.
func only(v reflect.Value, text string, n *int) bool {
	switch v.Kind() {
	case reflect.String:
		if *n--; *n < 0 {
			v.SetString(text)
			return true
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return only(v.Elem(), text, n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		return only(v.Index(0), text, n)
	case reflect.Struct:
		for i := range v.NumField() {
			if only(v.Field(i), text, n) {
				return true
			}
		}
	}
	return false
}

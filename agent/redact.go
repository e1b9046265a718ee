package agent

import (
	"fmt"
	"reflect"
	"strings"
)

// Redact applies a replacer to every string that a value holds, and says whether it changed one. The value is a pointer; what it points to is
// changed in place: structs, pointers, slices, arrays and the values of maps, but not their keys, which are names. An unexported field, an
// interface or a function is an error of the program, and panics: what is in it could not be redacted.
func Redact(value any, secrets *strings.Replacer) (changed bool) {
	return redactValue(reflect.ValueOf(value), secrets)
}

func redactValue(v reflect.Value, secrets *strings.Replacer) (changed bool) {
	switch v.Kind() {
	case reflect.String:
		before := v.String()
		after := secrets.Replace(before)
		if changed = after != before; changed {
			v.SetString(after)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return redactValue(v.Elem(), secrets)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			changed = redactValue(v.Field(i), secrets) || changed
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			changed = redactValue(v.Index(i), secrets) || changed
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			element := reflect.New(v.Type().Elem()).Elem()
			element.Set(v.MapIndex(key))
			if redactValue(element, secrets) {
				v.SetMapIndex(key, element)
				changed = true
			}
		}
	case reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
		panic(fmt.Sprintf("agent: cannot redact a %s", v.Type()))
	}
	return changed
}

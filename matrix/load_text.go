package matrix

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"
)

// fileKey is the key under hba and ident, and under each of their named texts, that names a file beside the scenario.
const fileKey = "file"

// textOrFileSchema is that of a text, or of {file: PATH}.
func textOrFileSchema(text object) object {
	return object{"oneOf": []any{text, closed("", object{fileKey: textSchema("a file beside the scenario")}, fileKey)}}
}

// texts reads a configuration file, or several by name.
func (l *loading) texts(axis Axis, e entry) []Text {
	before := len(l.problems)
	defer func() { l.bad[axis.Name] = len(l.problems) > before }()
	if e.value.kind != mapping || len(e.value.entries) == 0 || hasKey(e.value.entries, fileKey) {
		if !l.want(e.value, axis.Name, scalar, mapping) {
			return nil
		}
		return []Text{{"", l.text(axis, e.value)}}
	}
	var texts []Text
	var names []string
	for _, named := range l.entriesOnce(e.value, axis.Name+" text") {
		if !kebabCase.MatchString(named.key) {
			l.problem(named.position, fmt.Sprintf("%q is no name for a text of %s", named.key, axis.Name), "want a-z, 0-9 and single hyphens, as in host-then-reject")
			continue
		}
		texts = append(texts, Text{named.key, l.text(axis, named.value)})
		names = append(names, named.key)
	}
	if len(names) > 0 {
		l.name(axis, names)
	}
	return texts
}

// text reads one configuration text, from the scenario or from a file beside it, and checks it.
func (l *loading) text(axis Axis, v *value) string {
	if v.kind == mapping {
		return l.textFile(axis, v)
	}
	if !l.want(v, "a text of "+axis.Name, scalar, mapping) {
		return v.text
	}
	l.templates = append(l.templates, l.inPlace(axis.Name, v))
	if v.style == folded || v.style == wrapped {
		l.problem(v.position, "YAML joins these lines into one", "write | after the key and the lines below it: the server gets them byte for byte")
		return v.text
	}
	if strings.TrimSpace(v.text) == "" {
		if axis.Name == "hba" {
			l.problem(v.position, "hba is empty", "want at least one pg_hba.conf record")
		}
		return v.text
	}
	if v.style != literal {
		return v.text // a quoted text is meant as it is, and in a single line such a character is easy to see
	}
	indent := -1
	for i, line := range strings.Split(strings.TrimRight(v.text, "\n"), "\n") {
		raw := l.lines[v.line+i] // the text starts in the line after |
		if indent < 0 && strings.TrimSpace(line) != "" {
			indent = len(raw) - len(line)
		}
		if looks, right, at := lookalikeIn(line); looks != "" {
			l.problem(position{v.line + i + 1, indent + at + 1}, looks+" in "+axis.Name, right)
		}
	}
	return v.text
}

// textFile reads the text of {file: PATH}. Mistakes in it are at their place in that file.
func (l *loading) textFile(axis Axis, v *value) string {
	var at position
	name := ""
	entries := l.entriesOnce(v, "key")
	if !hasKey(entries, fileKey) {
		l.problem(v.position, "a text of "+axis.Name+" is a mapping without file", "want a text, or {file: PATH}")
		return ""
	}
	for _, e := range entries {
		if e.key == fileKey {
			name, _ = l.nonEmptyText(e.value, "the file of "+axis.Name)
			at = e.value.position
		} else {
			l.problem(e.position, fmt.Sprintf("unknown key %q beside file", e.key), "want {file: PATH} alone; no text can have the name file")
		}
	}
	if name == "" {
		return ""
	}
	content, ok := l.beside(name, at)
	if !ok {
		return ""
	}
	file := path.Join(path.Dir(l.file), name)
	if !utf8.ValidString(content) {
		line := 1 + strings.Count(content[:invalidUTF8([]byte(content))], "\n")
		l.problemIn(file, position{line, 1}, "the line is not UTF-8", "save the file as UTF-8")
		return ""
	}
	l.templates = append(l.templates, template{name, content, func(offset int) (string, position) {
		before := content[:offset]
		line := strings.LastIndex(before, "\n") + 1
		return file, position{1 + strings.Count(before, "\n"), 1 + utf8.RuneCountInString(before[line:])}
	}})
	if strings.TrimSpace(content) == "" && axis.Name == "hba" {
		l.problem(at, "the file "+name+" is empty", "want at least one pg_hba.conf record")
	}
	for i, line := range strings.Split(content, "\n") {
		code := line[:len(line)-len(comment(line))]
		for at, c := range []rune(code) {
			if looks := invisible(c); looks != "" {
				l.problemIn(file, position{i + 1, at + 1}, fmt.Sprintf("%s (U+%04X)", looks, c), "write a plain space or nothing")
				break
			}
		}
		if looks, right, at := lookalikeIn(line); looks != "" {
			l.problemIn(file, position{i + 1, at + 1}, looks, right)
		}
	}
	return content
}

// beside reads a file of the scenario's folder or of a folder in it.
func (l *loading) beside(name string, at position) (content string, ok bool) {
	folder := path.Dir(l.file)
	switch {
	case path.IsAbs(name):
		l.problem(at, fmt.Sprintf("%s is an absolute path", name), "name the file from the folder of the scenario on, as in customer/pg_hba.conf")
		return "", false
	case !fs.ValidPath(name):
		l.problem(at, fmt.Sprintf("%q is no path below the folder of the scenario", name), "put the file beside the scenario or in a folder there, and name it without . and .., as in customer/pg_hba.conf")
		return "", false
	}
	bytes, err := fs.ReadFile(l.folder, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.problem(at, fmt.Sprintf("there is no file %s in %s", name, folder), "put it there, beside the scenario")
	case err != nil:
		l.problem(at, fmt.Sprintf("the file %s cannot be read: %v", name, reason(err)), "want a file that can be read, in the folder of the scenario or below")
	}
	return string(bytes), err == nil
}

// reason is an error of a file system without the path, which the message has.
func reason(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// lookalikeIn finds the first character outside comments that word processors write for a quote or a hyphen. at counts characters from 0.
func lookalikeIn(line string) (looks, right string, at int) {
	for at, c := range []rune(line[:len(line)-len(comment(line))]) {
		if looks, right := lookalike(c); looks != "" {
			return fmt.Sprintf("%s (U+%04X)", looks, c), "write " + right, at
		}
	}
	return "", "", 0
}

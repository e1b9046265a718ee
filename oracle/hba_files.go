package oracle

import (
	"path"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// maxDepth is how deep files may name one another since 16 (conffiles.h, CONF_FILE_MAX_DEPTH). Before, only the number of files that a
// process may have open limits it; deepBefore16 is far from that.
const (
	maxDepth     = 10
	deepBefore16 = 30
)

// The words of the operating system for a file that cannot be opened.
const (
	noSuchFile   = "No such file or directory"
	notDirectory = "Not a directory"
)

// tokenizer cuts a configuration file, and those that it names, into lines, fields and tokens (hba.c, tokenize_auth_file; tokenize_file
// up to 14). Files are named by their paths relative to the configuration directory.
type tokenizer struct {
	server  int
	files   map[string]string
	logged  []LineError // of the lines that cannot be read, in the order in which the server logs them
	reading []string    // the files that are being read, from the outermost on
	wanted  []string    // the files that lines name and that there are not; the path of a directory ends in a slash
}

func newTokenizer(server int, further []matrix.File) *tokenizer {
	t := &tokenizer{server: server, files: map[string]string{}}
	for _, f := range further {
		t.files[f.Path] = f.Text
	}
	return t
}

// tokenize cuts the text of a file. Backslash at the end of a line continues it since 14, before quotes and comments are looked at.
func (t *tokenizer) tokenize(name, text string, depth int) (lines []line, err error) {
	t.reading = append(t.reading, name)
	defer func() { t.reading = t.reading[:len(t.reading)-1] }()
	physical := physicalLines(text, t.server)
	for i := 0; i < len(physical); {
		number, joined, continued, tooLong := i+1, "", 0, physical[i].tooLong
		for ; i < len(physical); i++ {
			joined += physical[i].text
			// Only a backslash after the last join counts: two in a row do not continue the line twice.
			if t.server < 14 || len(joined) <= continued || !strings.HasSuffix(joined, `\`) {
				break
			}
			joined = joined[:len(joined)-1]
			continued = len(joined)
		}
		i++
		l := line{file: name, number: number, text: joined}
		if tooLong {
			l.wrong = "authentication file line too long"
			t.logged = append(t.logged, LineError{File: name, Line: number, Message: l.wrong, source: "hba.c, tokenize_file"})
		}
		if err := t.fields(&l, depth); err != nil {
			return nil, err
		}
		if len(l.fields) == 0 && l.wrong == "" {
			continue
		}
		directive := false
		if t.server >= 16 && l.wrong == "" && len(l.fields) == 2 {
			var included []line
			if included, directive, err = t.directive(&l, depth); err != nil {
				return nil, err
			}
			lines = append(lines, included...)
		}
		if !directive || l.wrong != "" {
			lines = append(lines, l)
		}
	}
	return lines, nil
}

// fields reads the fields of a line, up to one with a file that cannot be read.
func (t *tokenizer) fields(l *line, depth int) error {
	for rest := l.text; rest != "" && l.wrong == ""; {
		var field []token
		var err error
		if field, rest, err = t.nextField(l, rest, depth); err != nil {
			return err
		}
		if len(field) > 0 {
			l.fields = append(l.fields, field)
		}
	}
	return nil
}

// nextField reads the tokens up to a blank that does not follow a comma, and those of files that are named with @ (hba.c,
// next_field_expand).
func (t *tokenizer) nextField(l *line, s string, depth int) (field []token, rest string, err error) {
	for {
		token, after, comma, ok, tooLong := nextToken(s, t.server)
		if tooLong != "" {
			t.cannotRead(l, `authentication file token too long, skipping: "`+tooLong+`"`)
			l.wrongShown = "authentication file token too long"
		}
		if s = after; !ok {
			return field, s, nil
		}
		if !token.quoted && len(token.text) > 1 && token.text[0] == '@' {
			if field, err = t.expand(l, field, token.text[1:], depth+1); err != nil {
				return nil, "", err
			}
		} else {
			field = append(field, token)
		}
		if !comma || l.wrong != "" {
			return field, s, nil
		}
	}
}

// expand appends the tokens of a file (hba.c, tokenize_expand_file; tokenize_inc_file up to 15).
func (t *tokenizer) expand(l *line, field []token, name string, depth int) ([]token, error) {
	text, file, why, err := t.open(l, name, depth)
	if err != nil {
		return nil, err
	}
	if why != "" {
		message := `could not open file "` + file + `": ` + why
		if t.server < 16 {
			message = `could not open secondary authentication file "@` + name + `" as "` + file + `": ` + why
		}
		t.cannotRead(l, message)
		return field, nil
	}
	lines, err := t.tokenize(file, text, depth)
	if err != nil {
		return nil, err
	}
	for _, inner := range lines {
		if l.wrong, l.wrongShown = inner.wrong, inner.wrongShown; l.wrong != "" {
			break
		}
		for _, f := range inner.fields {
			field = append(field, f...)
		}
	}
	return field, nil
}

// directive obeys a line that names a file or a directory of files; is is false for any other line.
func (t *tokenizer) directive(l *line, depth int) (included []line, is bool, err error) {
	name := l.fields[1][0].text
	switch l.fields[0][0].text {
	case "include":
		included, err = t.include(l, name, depth+1, false)
	case "include_if_exists":
		included, err = t.include(l, name, depth+1, true)
	case "include_dir":
		included, err = t.includeDir(l, name, depth+1)
	default:
		return nil, false, nil
	}
	return included, true, err
}

// include is hba.c, tokenize_include_file.
func (t *tokenizer) include(l *line, name string, depth int, missingOK bool) ([]line, error) {
	text, file, why, err := t.open(l, name, depth)
	switch {
	case err != nil:
		return nil, err
	case why == noSuchFile && missingOK:
		return nil, nil
	case why != "":
		t.cannotRead(l, `could not open file "`+file+`": `+why)
		return nil, nil
	}
	return t.tokenize(file, text, depth)
}

// includeDir takes the files of a directory whose names end in .conf and do not begin with a dot, in the order of their bytes
// (conffiles.c, GetConfFilesInDir).
func (t *tokenizer) includeDir(l *line, name string, depth int) (included []line, err error) {
	if strings.Trim(name, " \t\r\n") == "" {
		t.cannotRead(l, `empty configuration directory name: "`+name+`"`)
		l.wrongShown = "empty configuration directory name"
		return nil, nil
	}
	dir, err := t.resolve(l.file, name)
	if err != nil {
		return nil, err
	}
	var names []string
	exists := false
	for f := range t.files {
		if below, ok := strings.CutPrefix(f, dir+"/"); ok {
			exists = true
			if strings.HasSuffix(below, ".conf") && len(below) > len(".conf") && below[0] != '.' && !strings.Contains(below, "/") {
				names = append(names, f)
			}
		}
	}
	if !exists {
		t.wanted = append(t.wanted, dir+"/")
		t.cannotRead(l, `could not open configuration directory "`+dir+`": `+t.errno(dir+"/"))
		l.wrongShown = `could not open directory "` + dir + `"`
		return nil, nil
	}
	slices.Sort(names)
	var wrong []string
	for _, f := range names {
		lines, err := t.include(l, matrix.ConfDir+"/"+f, depth, false)
		if err != nil {
			return nil, err
		}
		included = append(included, lines...)
		if l.wrong != "" { // once set, it is there for every later file, too
			wrong = append(wrong, l.wrong)
		}
	}
	l.wrong = strings.Join(wrong, "\n")
	return included, nil
}

// cannotRead notes what the server logs of a line whose file it cannot read. Since 16 it says which line that is.
func (t *tokenizer) cannotRead(l *line, message string) {
	l.wrong = message
	source := "hba.c, tokenize_auth_file"
	if t.server < 16 {
		source = "hba.c, tokenize_inc_file"
	}
	t.logged = append(t.logged, LineError{File: l.file, Line: l.number, Message: message, unplaced: t.server < 16, source: source})
}

// open finds the file that a line names; why says why it cannot be opened.
func (t *tokenizer) open(l *line, name string, depth int) (text, file, why string, err error) {
	if file, err = t.resolve(l.file, name); err != nil {
		return "", "", "", err
	}
	switch {
	case t.server >= 16 && depth > maxDepth:
		return "", file, "maximum nesting depth exceeded", nil
	case t.server < 16 && slices.Contains(t.reading, file):
		return "", "", "", unknown("a server before 16 reads a file that names itself until it ends: 15 by a FATAL error, 13 by a signal", "%s:%d: file %s", l.file, l.number, name)
	case t.server < 16 && depth > deepBefore16:
		return "", "", "", unknown("how many files a server before 16 can have open is not modelled", "%s:%d: file %s", l.file, l.number, name)
	}
	text, exists := t.files[file]
	if exists {
		return text, file, "", nil
	}
	for f := range t.files {
		if strings.HasPrefix(f, file+"/") {
			return "", "", "", unknown("a directory in the place of a file is not modelled", "%s:%d: file %s", l.file, l.number, name)
		}
	}
	if t.server < 16 && strings.Contains(name, "..") {
		return "", "", "", unknown("how a server before 16 writes such a path is not modelled", "%s:%d: file %s", l.file, l.number, name)
	}
	t.wanted = append(t.wanted, file)
	return "", file, t.errno(file), nil
}

// errno says why there is no such file, or directory if the path ends in a slash.
func (t *tokenizer) errno(file string) string {
	for i := range file {
		if _, isFile := t.files[file[:i]]; isFile && file[i] == '/' {
			return notDirectory
		}
	}
	return noSuchFile
}

// resolve is the path of a file that another names: relative to the directory of that one (conffiles.c, AbsoluteConfigLocation).
func (t *tokenizer) resolve(from, name string) (string, error) {
	whole := name
	if !path.IsAbs(name) {
		whole = path.Join(matrix.ConfDir, path.Dir(from), name)
	}
	file, inside := strings.CutPrefix(path.Clean(whole), matrix.ConfDir+"/")
	switch {
	case !inside || path.IsAbs(name) && path.Clean(name) != name:
		return "", unknown("only the files of the world are known", "%s: file %q", from, name)
	case file == matrix.HBAFile, file == matrix.IdentFile, file == matrix.ConfigFile:
		return "", unknown("the server's own file, read a second time, is not modelled", "%s: file %q", from, name)
	}
	return file, nil
}

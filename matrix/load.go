package matrix

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	kebabCase   = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	claimID     = regexp.MustCompile(`^S[1-9][0-9]*$`)
	museumID    = regexp.MustCompile(`^[A-Z][A-Za-z]*-?[0-9][0-9-]*$`)
	settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*$`)
	realmName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*$`)
	hostName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)
)

// The keys of a scenario file that are not axes.
var (
	scenarioKeys = []string{"question", "source", "claims", "museum", "world", "client", "exclude", "expect"}
	worldKeys    = []string{"settings", "roles", "realm", "principals", "host"}
	rowKeys      = []string{"when", "then"}
	roleKeys     = []string{"name", "login", "password"}
	storedKinds  = []string{"scram-sha-256", "md5"}
)

// maxCells is the size beyond which a scenario is a mistake: whoever forgets one axis writes millions.
const maxCells = 250_000

// harnessSettings are settings that a scenario cannot give, with what it gives instead. Names ending in _ are prefixes.
var harnessSettings = []struct{ name, right string }{
	{"ssl", "use the world axis ssl"},
	{"ssl_cert_file", "use the world axis servercert"},
	{"ssl_key_file", "use the world axis servercert"},
	{"ssl_ca_file", "use the client axis cert: the server trusts the CA of cert=good"},
	{"krb_server_keyfile", "use the world axis keytab"},
	{"hba_file", "write the records under hba"},
	{"ident_file", "write the maps under ident"},
	{"listen_addresses", "use the client axis transport"},
	{"port", "use the client axis transport"},
	{"unix_socket_", "use the client axis transport"},
	{"log_", "leave it out: the server's log is a witness and stays as it is"},
	{"logging_collector", "leave it out: the server's log is a witness and stays as it is"},
	{"data_directory", "leave it out: the data directory is the image's"},
	{"config_file", "write the settings here, one a line"},
	{"include", "write the settings here, one a line"},
	{"include_dir", "write the settings here, one a line"},
	{"include_if_exists", "write the settings here, one a line"},
}

// loading is a scenario while it is read.
type loading struct {
	reader
	Scenario
	values     map[string][]string // of the axes that the file names, by axis; texts by name
	meant      map[string]bool     // keys that were probably meant by unknown ones
	bad        map[string]bool     // axes whose values are not all known, because of a mistake
	worldAt    position
	principals *value
	expectAt   []position
	thenAt     []position
}

// parse reads a scenario. file is its name in messages, path the one that names the scenario.
func parse(file, path string, source []byte) (*Scenario, []*Problem) {
	l := &loading{reader: reader{file: file}, values: map[string][]string{}, meant: map[string]bool{}, bad: map[string]bool{}}
	l.Name = l.scenarioName(path)
	l.Pos = l.pos(position{1, 1})
	if root := l.readYAML(source); root != nil && l.want(root, "the file", mapping) {
		l.scenario(root)
	}
	return &l.Scenario, l.problems
}

func (l *loading) scenario(root *value) {
	var world, client, exclude, expect *value
	entries := l.entriesOnce(root, "key")
	l.worldAt = position{1, 1}
	for _, e := range entries {
		switch e.key {
		case "question":
			l.Question, _ = l.nonEmptyText(e.value, e.key)
		case "source":
			l.Source, _ = l.nonEmptyText(e.value, e.key)
		case "claims":
			l.Claims = l.ids(e, claimID, "want the letter S and a number, as in S16")
		case "museum":
			l.Museum = l.ids(e, museumID, "want a letter and a number, as in B14 or CVE-2026-6479")
		case "world":
			world, l.worldAt = e.value, e.position
		case "client":
			client = e.value
		case "exclude":
			exclude = e.value
		case "expect":
			expect = e.value
		default:
			l.unknownKey(e, "", scenarioKeys)
		}
	}
	if !hasKey(entries, "question") && !l.meant["question"] {
		l.problem(position{1, 1}, "question is missing", "say what the scenario shows, one sentence, as in question: Who falls back to what?")
	}
	var settings, roles, realm, host *value
	if world != nil && l.want(world, "world", mapping) {
		for _, e := range l.axes(world, WorldAxis, worldKeys) {
			switch e.key {
			case "settings":
				settings = e.value
			case "roles":
				roles = e.value
			case "realm":
				realm = e.value
			case "principals":
				l.principals = e.value
			case "host":
				host = e.value
			}
		}
	}
	if len(l.HBA) == 0 && !l.bad["hba"] && !l.meant["hba"] && !l.meant["world"] {
		l.problem(l.worldAt, "hba is missing", "write the server's pg_hba.conf under world, as in hba: |")
	}
	if client != nil && l.want(client, "client", mapping) {
		l.axes(client, ClientAxis, nil)
	}
	slices.SortFunc(l.Axes, func(a, b AxisValues) int { return axisIndex(a.Axis) - axisIndex(b.Axis) })
	l.settings(settings)
	l.roles(roles)
	l.realm(realm)
	l.host(host)
	broken := len(l.problems) > 0 // of what makes the cells; the rows' own mistakes do not hide others
	before := len(l.problems)
	l.exclude(exclude)
	broken = broken || len(l.problems) > before
	l.expect(expect)
	if !broken {
		l.checkCells()
	}
}

func hasKey(entries []entry, key string) bool {
	return slices.ContainsFunc(entries, func(e entry) bool { return e.key == key })
}

func axisIndex(name string) int {
	return slices.IndexFunc(Axes, func(a Axis) bool { return a.Name == name })
}

// axisNames are the names of the axes of a kind; of all if the kind is empty.
func axisNames(kind AxisKind) []string {
	var names []string
	for _, a := range Axes {
		if kind == "" || a.Kind == kind {
			names = append(names, a.Name)
		}
	}
	return names
}

// unknownKey says where a key belongs that does not belong here. Keys of the top level have an empty heading.
func (l *loading) unknownKey(e entry, heading string, known []string) {
	here := "under " + heading
	if heading == "" {
		here = "at the top level"
	}
	axis, isAxis := AxisByName(e.key)
	switch {
	case isAxis:
		l.problem(e.position, fmt.Sprintf("%s is a %s axis and does not belong %s", e.key, axis.Kind, here), fmt.Sprintf("move it under %s", axis.Kind))
	case slices.Contains(worldKeys, e.key):
		l.problem(e.position, fmt.Sprintf("%s does not belong %s", e.key, here), "move it under world")
	case slices.Contains(scenarioKeys, e.key):
		l.problem(e.position, fmt.Sprintf("%s does not belong %s", e.key, here), "move it to the top level")
	case slices.ContainsFunc(harnessSettings, func(s struct{ name, right string }) bool { return s.name == e.key }):
		l.problem(e.position, fmt.Sprintf("unknown key %q %s", e.key, here), l.harnessOwns(e.key))
	default:
		l.meant[nearest(e.key, known)] = true
		l.problem(e.position, fmt.Sprintf("unknown key %q %s", e.key, here), suggest(e.key, known))
	}
}

// ids reads an id or a list of ids.
func (l *loading) ids(e entry, form *regexp.Regexp, right string) []string {
	var ids []string
	for _, v := range l.scalars(e.value, e.key) {
		switch {
		case !form.MatchString(v.text):
			l.problem(v.position, fmt.Sprintf("%q is no id of %s", v.text, e.key), right)
		case slices.Contains(ids, v.text):
			l.problem(v.position, fmt.Sprintf("%s is there twice", v.text), "say it once")
		default:
			ids = append(ids, v.text)
		}
	}
	return ids
}

// scalars reads a scalar, or a list of them.
func (l *loading) scalars(v *value, what string) []*value {
	if v.kind == scalar {
		return []*value{v}
	}
	if !l.want(v, what, scalar, list) {
		return nil
	}
	if len(v.items) == 0 {
		l.problem(v.position, what+" is an empty list", "name a value, or leave the key out")
		return nil
	}
	var items []*value
	for _, item := range v.items {
		if l.want(item, "a value of "+what, scalar) {
			items = append(items, item)
		}
	}
	return items
}

// axes reads the axes of one heading and returns its other entries.
func (l *loading) axes(v *value, kind AxisKind, others []string) []entry {
	var rest []entry
	for _, e := range l.entriesOnce(v, "key") {
		axis, ok := AxisByName(e.key)
		switch {
		case slices.Contains(others, e.key):
			rest = append(rest, e)
		case !ok || axis.Kind != kind:
			l.unknownKey(e, string(kind), append(axisNames(kind), others...))
		case axis.Name == "hba":
			l.HBA = l.texts(axis, e)
		case axis.Name == "ident":
			l.Ident = l.texts(axis, e)
		default:
			before := len(l.problems)
			values := l.axisValues(axis, e)
			if l.bad[axis.Name] = len(l.problems) > before; len(values) > 0 {
				l.name(axis, values)
			}
		}
	}
	return rest
}

func (l *loading) name(axis Axis, values []string) {
	l.values[axis.Name] = values
	l.Axes = append(l.Axes, AxisValues{axis.Name, values})
}

func (l *loading) axisValues(axis Axis, e entry) []string {
	if e.value.kind == scalar && e.value.text == "all" && e.value.style == plain {
		if axis.Values == nil {
			l.problem(e.value.position, fmt.Sprintf("%s has no closed list that all could stand for", axis.Name), "name the values")
		}
		return axis.Values
	}
	var values []string
	var words []*value // by which each of the values is named
	for _, v := range l.scalars(e.value, axis.Name) {
		if !l.axisValue(axis, v) {
			continue
		}
		for _, member := range axis.members(v.text) {
			if i := slices.Index(values, member); i >= 0 {
				l.twice(axis, member, v, words[i])
				break
			}
			values, words = append(values, member), append(words, v)
		}
	}
	return values
}

// twice reports a value that two words name.
func (l *loading) twice(axis Axis, value string, word, before *value) {
	keep := fmt.Sprintf("keep this one or the one in column %d of line %d", before.column, before.line)
	switch groups := axis.groups(); {
	case word.text == before.text:
		l.problem(word.position, fmt.Sprintf("%s=%s is there twice", axis.Name, word.text), keep)
	case slices.Contains(groups, before.text):
		l.problem(word.position, fmt.Sprintf("%s=%s is there twice: the group %s contains it", axis.Name, value, before.text), keep)
	default:
		l.problem(word.position, fmt.Sprintf("%s=%s is there twice: the group %s contains it", axis.Name, value, word.text), keep)
	}
}

// axisValue says whether a value is possible on an axis, and reports it if not.
func (l *loading) axisValue(axis Axis, v *value) bool {
	wrong, right := axis.check(v.text)
	if wrong != "" {
		l.problem(v.position, wrong, right)
	}
	return wrong == ""
}

// check says what is wrong with the text of a value, and what would be right; nothing if it is a value of the axis.
func (a Axis) check(text string) (wrong, right string) {
	possible := slices.Concat(a.Words(), a.groups())
	if a.Optional() {
		possible = append(possible, NotGiven)
	}
	switch {
	case slices.Contains(possible, text):
		return "", ""
	case a.Values != nil && text == "all":
		return fmt.Sprintf("all stands for every value of %s and cannot be one of several", a.Name), "leave the others out, or name the values"
	case a.Name == "server":
		return fmt.Sprintf("unknown server version %q", text), "want a major version: " + orList(a.Values)
	case a.Values != nil:
		return fmt.Sprintf("impossible value %q of %s", text, a.Name), suggest(text, possible)
	case strings.TrimSpace(text) == "":
		return "empty value of " + a.Name, "name one, or leave the axis out"
	case a.Name == "principal" && strings.Contains(text, "@"):
		principal, realm, _ := strings.Cut(text, "@")
		return fmt.Sprintf("the principal %q has a realm", text), fmt.Sprintf("write %s; the world has the realm, as in realm: %s", principal, realm)
	}
	return "", ""
}

// texts reads a configuration file, or several by name.
func (l *loading) texts(axis Axis, e entry) []Text {
	before := len(l.problems)
	defer func() { l.bad[axis.Name] = len(l.problems) > before }()
	switch {
	case e.value.kind == mapping && len(e.value.entries) > 0:
		var texts []Text
		var names []string
		for _, named := range l.entriesOnce(e.value, axis.Name+" text") {
			if !kebabCase.MatchString(named.key) {
				l.problem(named.position, fmt.Sprintf("%q is no name for a text of %s", named.key, axis.Name), "want a-z, 0-9 and single hyphens, as in host-then-reject")
				continue
			}
			l.text(axis, named.value)
			texts = append(texts, Text{named.key, named.value.text})
			names = append(names, named.key)
		}
		if len(names) > 0 {
			l.name(axis, names)
		}
		return texts
	case l.want(e.value, axis.Name, scalar, mapping):
		l.text(axis, e.value)
		return []Text{{"", e.value.text}}
	}
	return nil
}

// text checks one configuration text.
func (l *loading) text(axis Axis, v *value) {
	if !l.want(v, "a text of "+axis.Name, scalar) {
		return
	}
	if v.style == folded || v.style == wrapped {
		l.problem(v.position, "YAML joins these lines into one", "write | after the key and the lines below it: the server gets them byte for byte")
		return
	}
	if strings.TrimSpace(v.text) == "" {
		if axis.Name == "hba" {
			l.problem(v.position, "hba is empty", "want at least one pg_hba.conf record")
		}
		return
	}
	if v.style != literal {
		return // what is in double quotes is meant, and a single line is seen at a glance
	}
	indent := -1
	for i, line := range strings.Split(strings.TrimRight(v.text, "\n"), "\n") {
		raw := l.lines[v.line+i] // the text starts in the line after the bar
		if indent < 0 && strings.TrimSpace(line) != "" {
			indent = len(raw) - len(line)
		}
		code := line[:len(line)-len(comment(line))]
		for at, c := range []rune(code) {
			if looks, right := lookalike(c); looks != "" {
				l.problem(position{v.line + i + 1, indent + at + 1}, fmt.Sprintf("%s (U+%04X) in %s", looks, c, axis.Name), "write "+right)
				break
			}
		}
	}
}

// lookalike knows what word processors make of quotes and hyphens.
func lookalike(c rune) (looks, right string) {
	switch c {
	case '\u201C', '\u201D', '\u201E', '\u00AB', '\u00BB':
		return "typographic quote", `"`
	case '\u2018', '\u2019':
		return "typographic apostrophe", "'"
	case '\u2010', '\u2011', '\u2012', '\u2013', '\u2014', '\u2212':
		return "typographic hyphen", "-"
	}
	return "", ""
}

// harnessOwns is what to do instead of giving a setting that belongs to the harness; empty for all others.
func (l *loading) harnessOwns(name string) string {
	for _, s := range harnessSettings {
		if name == s.name || strings.HasSuffix(s.name, "_") && strings.HasPrefix(name, s.name) {
			return s.right
		}
	}
	return ""
}

func (l *loading) settings(v *value) {
	if v == nil || !l.want(v, "settings", mapping) {
		return
	}
	var names []entry
	for _, e := range v.entries {
		folded := strings.ToLower(e.key) // PostgreSQL compares names without case
		same := func(o entry) bool { return strings.ToLower(o.key) == folded }
		switch right := l.harnessOwns(folded); {
		case slices.ContainsFunc(names, same):
			l.problem(e.position, fmt.Sprintf("setting %q is there twice", e.key), fmt.Sprintf("keep this one or the one in line %d", names[slices.IndexFunc(names, same)].line))
		case right != "":
			l.problem(e.position, fmt.Sprintf("the setting %s belongs to the harness", e.key), right)
		case !settingName.MatchString(e.key):
			l.problem(e.position, fmt.Sprintf("%q is no name of a setting", e.key), "want a name as in postgresql.conf, then a colon and the value")
		case l.want(e.value, "the setting "+e.key, scalar):
			l.Settings = append(l.Settings, Setting{e.key, e.value.text})
		}
		names = append(names, e)
	}
}

func (l *loading) roles(v *value) {
	if v == nil {
		for _, user := range l.valuesOf("user") {
			l.Roles = append(l.Roles, Role{Name: user})
		}
		return
	}
	if !l.want(v, "roles", list) {
		return
	}
	for _, item := range v.items {
		if role, ok := l.role(item); ok {
			if slices.ContainsFunc(l.Roles, func(r Role) bool { return r.Name == role.Name }) {
				l.problem(item.position, fmt.Sprintf("role %q is there twice", role.Name), "keep one of the two")
				continue
			}
			l.Roles = append(l.Roles, role)
		}
	}
}

func (l *loading) role(v *value) (role Role, ok bool) {
	before := len(l.problems)
	nameAt := v.position
	if v.kind == scalar {
		role.Name = v.text
	} else if l.want(v, "a role", scalar, mapping) {
		entries := l.entriesOnce(v, "key")
		for _, e := range entries {
			switch e.key {
			case "name":
				role.Name, _ = l.nonEmptyText(e.value, "the role's name")
				nameAt = e.value.position
			case "login":
				if l.want(e.value, e.key, scalar) && e.value.text != "true" && e.value.text != "false" {
					l.problem(e.value.position, fmt.Sprintf("login is %q", e.value.text), "want true or false")
				}
				role.NoLogin = e.value.text == "false"
			case "password":
				if l.want(e.value, e.key, scalar) && !slices.Contains(storedKinds, e.value.text) {
					l.problem(e.value.position, fmt.Sprintf("a role cannot store its password as %q", e.value.text), "want "+orList(storedKinds)+"; the password itself is made at run time")
				}
				role.Password = e.value.text
			default:
				l.problem(e.position, fmt.Sprintf("unknown key %q of a role", e.key), suggest(e.key, roleKeys))
			}
		}
		if !hasKey(entries, "name") {
			l.problem(v.position, "a role has no name", "want {name: ROLE, …}")
		}
	}
	if len(l.problems) > before {
		return role, false
	}
	switch { // PostgreSQL manual, "CREATE ROLE" and "Identifiers and Key Words"
	case role.Name == "":
		l.problem(nameAt, "a role has an empty name", "want the role's name")
	case len(role.Name) > 63:
		l.problem(nameAt, fmt.Sprintf("the role name has %d bytes", len(role.Name)), "want at most 63: PostgreSQL cuts the rest off")
	case strings.HasPrefix(role.Name, "pg_"), role.Name == "public", role.Name == "none", role.Name == "postgres":
		l.problem(nameAt, fmt.Sprintf("PostgreSQL reserves the role name %q", role.Name), "choose another")
	}
	return role, len(l.problems) == before
}

// valuesOf are the values that cells have on an axis.
func (l *loading) valuesOf(name string) []string {
	if values, ok := l.values[name]; ok {
		return values
	}
	axis, _ := AxisByName(name)
	if axis.Default == "" {
		return nil
	}
	return []string{axis.Default}
}

func (l *loading) realm(v *value) {
	realm := Realm{Name: DefaultRealm}
	if v != nil && l.want(v, "realm", scalar) {
		realm.Name = v.text
		if !realmName.MatchString(v.text) {
			l.problem(v.position, fmt.Sprintf("%q is no name of a realm", v.text), "want letters, digits, dots and hyphens, upper case by custom, as in EXAMPLE.TEST")
		}
	}
	if l.principals == nil {
		for _, p := range slices.Concat(l.valuesOf("user"), l.valuesOf("principal")) {
			if !slices.Contains(realm.Principals, p) {
				realm.Principals = append(realm.Principals, p)
			}
		}
	} else {
		axis, _ := AxisByName("principal")
		for _, p := range l.scalars(l.principals, "principals") {
			switch {
			case !l.axisValue(axis, p):
			case slices.Contains(realm.Principals, p.text):
				l.problem(p.position, fmt.Sprintf("principal %q is there twice", p.text), "keep one of the two")
			default:
				realm.Principals = append(realm.Principals, p.text)
			}
		}
	}
	l.Realms = []Realm{realm}
}

func (l *loading) host(v *value) {
	l.Host = DefaultHost
	if v != nil && l.want(v, "host", scalar) {
		l.Host = v.text
		if !hostName.MatchString(v.text) {
			l.problem(v.position, fmt.Sprintf("%q is no fully qualified host name", v.text), "want lower case with a dot, as in "+DefaultHost)
		}
	}
}

func (l *loading) exclude(v *value) {
	if v == nil || !l.want(v, "exclude", list) {
		return
	}
	for _, row := range v.items {
		if when, ok := l.when(row, "an exclude row"); ok {
			l.Exclude = append(l.Exclude, when)
		}
	}
}

func (l *loading) expect(v *value) {
	if v == nil || !l.want(v, "expect", list) {
		return
	}
	for _, row := range v.items {
		if !l.want(row, "an expect row", mapping) {
			continue
		}
		expect := Expect{Pos: l.pos(row.position)}
		whenOK, thenOK, thenAt := true, false, row.position
		entries := l.entriesOnce(row, "key")
		for _, e := range entries {
			switch e.key {
			case "when":
				expect.When, whenOK = l.when(e.value, "when")
			case "then":
				expect.Then, thenOK = l.then(e.value)
				thenAt = e.value.position
			default:
				l.problem(e.position, fmt.Sprintf("unknown key %q of an expect row", e.key), suggest(e.key, rowKeys))
			}
		}
		if !hasKey(entries, "then") {
			l.problem(row.position, "the expect row has no then", `say what is expected, as in then: refused at hba, no-hba-entry`)
		}
		if whenOK && thenOK {
			l.Expect = append(l.Expect, expect)
			l.expectAt, l.thenAt = append(l.expectAt, row.position), append(l.thenAt, thenAt)
		}
	}
}

func (l *loading) then(v *value) (Partial, bool) {
	text, ok := l.nonEmptyText(v, "then")
	if !ok {
		return Partial{}, false
	}
	partial, err := ParseOutcome(text)
	if err == nil {
		return partial, true
	}
	var wrong *OutcomeError
	errors.As(err, &wrong) // the only error there is
	at := v.position
	switch offset := len([]rune(text[:wrong.Offset])); {
	case v.style == plain:
		at.column += offset
	case v.style == quoted && !strings.ContainsAny(text, `\"'`): // no escapes, so that columns count on
		at.column += 1 + offset
	}
	l.problem(at, wrong.Wrong, wrong.Right)
	return Partial{}, false
}

// when reads the axes and values that a row claims.
func (l *loading) when(v *value, what string) ([]AxisValues, bool) {
	before, unsure := len(l.problems), false
	if !l.want(v, what, mapping) {
		return nil, false
	}
	var when []AxisValues
	for _, e := range l.entriesOnce(v, "axis") {
		axis, ok := AxisByName(e.key)
		if !ok {
			l.problem(e.position, fmt.Sprintf("no axis %q", e.key), suggest(e.key, l.named()))
			continue
		}
		had, named := l.values[axis.Name]
		unsure = unsure || l.bad[axis.Name]
		if !named {
			if !l.bad[axis.Name] {
				l.problem(e.position, l.notNamed(axis), "leave it out here, or name the axis under "+string(axis.Kind))
			}
			continue
		}
		when = append(when, AxisValues{axis.Name, l.rowValues(axis, e.value, had)})
	}
	slices.SortFunc(when, func(a, b AxisValues) int { return axisIndex(a.Axis) - axisIndex(b.Axis) })
	return when, len(l.problems) == before && !unsure
}

// rowValues reads the values of one axis that a row claims. had are those that the scenario has: of a group a row claims no other.
func (l *loading) rowValues(axis Axis, v *value, had []string) (values []string) {
	var words []*value
	for _, word := range l.scalars(v, axis.Name) {
		members := slices.DeleteFunc(axis.members(word.text), func(m string) bool { return !slices.Contains(had, m) })
		named := slices.IndexFunc(values, func(v string) bool { return slices.Contains(members, v) })
		switch {
		case word.text == "all" && axis.Values != nil:
			l.problem(word.position, "all says nothing here", "leave the axis out: the row then claims every value")
		case named >= 0:
			l.twice(axis, values[named], word, words[named])
		case len(members) == 0 && !l.bad[axis.Name]:
			texts := make([]string, len(had))
			for i, h := range had {
				texts[i] = axis.Text(h)
			}
			l.problem(word.position, fmt.Sprintf("the scenario has no %s=%s", axis.Name, word.text), suggest(word.text, texts))
		default:
			values, words = append(values, members...), append(words, slices.Repeat([]*value{word}, len(members))...)
		}
	}
	return values
}

// named are the axes that the scenario names.
func (l *loading) named() []string {
	var names []string
	for _, a := range l.Axes {
		names = append(names, a.Axis)
	}
	return names
}

func (l *loading) notNamed(axis Axis) string {
	switch {
	case axis.Name == "hba" || axis.Name == "ident" && len(l.Ident) > 0:
		return fmt.Sprintf("the scenario has one %s text, which has no name", axis.Name)
	case axis.Name == "ident":
		return "the scenario has no ident text"
	case axis.Name == "principal":
		return "the scenario does not name principal: it is the user in every cell"
	}
	return fmt.Sprintf("the scenario does not name %s: every cell has %s=%s", axis.Name, axis.Name, axis.Text(axis.Default))
}

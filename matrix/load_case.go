package matrix

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// CaseFile is a case.yaml: what the files of a customer cannot say.
type CaseFile struct {
	Question     string
	Source       string
	Claims       []string  // ids of docs/claims.md
	Museum       []string  // ids of docs/museum.md
	Advice       string    // what is advised, in one sentence
	Admits       []string  // changes that what is advised makes, and that are accepted
	Described    *Scenario // the world, without a client: only what the file says of it
	Advised      *Scenario // the same as it is advised to be
	AdvisesWorld bool      // the file itself advises something of the world
	Said         []string  // the keys under world
	Connections  []CaseConnection
}

// CaseConnection is one connection of a case.yaml.
type CaseConnection struct {
	Who      string
	Conninfo string    // as written; empty: the connection is said by client axes alone
	Scenario *Scenario // one cell in the customer's world; the name is FAMILY/NAME
	Advised  *Scenario // the same with the options that are advised; nil: none are
	Seen     *Partial  // what was seen; nil: it is not said
	Wanted   *Partial  // what is wanted; nil: it is not said
	SeenPos  string    // FILE:LINE:COLUMN
	Pos      string
}

// CaseFolder is what ParseCase has to know of the folder: the files as they are, byte for byte.
type CaseFolder struct {
	HBA, Ident   string
	Files        []File
	Settings     []Setting
	Defaults     []Setting     // what the files say of keys under world; what case.yaml says counts more
	Advised      []Setting     // what advised files say of them otherwise; only what case.yaml says under advised counts more
	Certificates []Certificate // by the names of the axes cert and servercert
	Keytabs      []Keytab      // by the names of axis keytab
	// Conninfo reads a connection string: values of client axes by name. An error is a *Problem whose column counts in the string.
	Conninfo func(text string) (map[string]string, error)
}

var (
	caseKeys       = []string{"question", "source", "claims", "museum", "world", "connections", "advice", "advised", "admits"}
	connectionKeys = []string{"who", "conninfo", "seen", "wanted", "advised"}
	// advisable are the keys of a world that can be advised to be otherwise. The networks, names and realms of a customer stay as they are.
	advisable = []string{"server", "servercert", "servercrl", "serverca", "keytab", "roles"}
	// notOfCase are keys of a scenario's world that a case has from its files.
	notOfCase = map[string]string{
		"hba": "leave it out: it is pg_hba.conf in the folder", "ident": "leave it out: it is pg_ident.conf in the folder", "files": "leave it out: put the files into the folder",
		"settings": "leave it out: it is postgresql.conf in the folder", "vary": "leave it out: a case is one customer's world",
	}
)

// ParseCase reads a case.yaml. Under world it has the keys of a scenario's world except those that the folder's files say; a connection has the
// client axes of a scenario, each with one value. Mistakes are joined, each a *Problem.
func ParseCase(file string, source []byte, folder CaseFolder) (*CaseFile, error) {
	c := &caseLoading{reader: reader{file: file}, folder: folder}
	if root := c.readYAML(source); root != nil && c.want(root, "the file", mapping) {
		c.read(root)
	}
	slices.SortFunc(c.problems, func(a, b *Problem) int { return strings.Compare(a.Error(), b.Error()) })
	c.problems = slices.CompactFunc(c.problems, func(a, b *Problem) bool { return *a == *b }) // the world is read for each connection
	if err := joinProblems(c.problems); err != nil {
		return nil, err
	}
	return &c.CaseFile, nil
}

type caseLoading struct {
	reader
	CaseFile
	folder CaseFolder
	world  *value
	other  *value // the keys of the world that are advised to be otherwise
}

func (c *caseLoading) read(root *value) {
	var connections *value
	l := &loading{reader: reader{file: c.file}}
	for _, e := range c.entriesOnce(root, "key") {
		switch e.key {
		case "question":
			c.Question, _ = c.nonEmptyText(e.value, e.key)
		case "source":
			c.Source, _ = c.nonEmptyText(e.value, e.key)
		case "advice":
			c.Advice, _ = c.nonEmptyText(e.value, e.key)
		case "claims":
			c.Claims = l.ids(e, claimID, "want the letter S and a number, as in S16")
		case "museum":
			c.Museum = l.ids(e, museumID, "want a letter and a number, as in B14")
		case "admits":
			for _, v := range l.scalars(e.value, e.key) {
				c.Admits = append(c.Admits, v.text)
			}
		case "world":
			if e.value.kind != empty && c.want(e.value, e.key, mapping) {
				c.world = e.value
			}
		case "advised":
			if c.want(e.value, e.key, mapping) {
				c.other, c.AdvisesWorld = e.value, true
			}
		case "connections":
			if e.value.kind != empty && c.want(e.value, e.key, list) {
				connections = e.value
			}
		default:
			c.problem(e.position, fmt.Sprintf("unknown key %q at the top level of a case", e.key), suggest(e.key, caseKeys))
		}
	}
	c.problems = append(c.problems, l.problems...)
	c.misplaced()
	if len(c.problems) > 0 {
		return
	}
	c.realmOfTickets(connections)
	c.Described = c.scenario(position{1, 1}, "case/world", nil, nil, position{1, 1})
	reported := c.world
	c.world = c.advisedWorld()
	c.Advised = c.scenario(position{1, 1}, "case/advised", nil, nil, position{1, 1})
	c.world = reported
	if connections == nil {
		return
	}
	for i, item := range connections.items {
		if c.want(item, "a connection", mapping) {
			c.connection(i+1, item)
		}
	}
}

// misplaced reports keys of the world that do not belong where they are.
func (c *caseLoading) misplaced() {
	if c.world != nil {
		for _, e := range c.world.entries {
			c.Said = append(c.Said, e.key)
			if right, ok := notOfCase[e.key]; ok {
				c.problem(e.position, e.key+" does not belong into case.yaml", right)
			}
		}
	}
	if c.other != nil {
		for _, e := range c.entriesOnce(c.other, "key") {
			if !slices.Contains(advisable, e.key) {
				c.problem(e.position, fmt.Sprintf("%q is no key of the world that can be advised", e.key), "files that are advised stand in advised/, options of a client under its connection; here can stand "+strings.Join(advisable, ", "))
			}
		}
	}
}

// advisedWorld is the world of the file with what is advised in the place of what is reported. Roles that are not named stay as they are.
func (c *caseLoading) advisedWorld() *value {
	w := &value{position: position{1, 1}, kind: mapping}
	if c.world != nil {
		*w = *c.world
		w.entries = slices.Clone(w.entries)
	}
	set := func(e entry) {
		if i := slices.IndexFunc(w.entries, func(o entry) bool { return o.key == e.key }); i < 0 {
			w.entries = append(w.entries, e)
		} else if e.key == "roles" && e.value.kind == list && w.entries[i].value.kind == list {
			all := *w.entries[i].value
			all.items = slices.Clone(all.items)
			for _, role := range e.value.items {
				if at := slices.IndexFunc(all.items, func(o *value) bool { return roleName(o) == roleName(role) }); at >= 0 {
					all.items[at] = role
				} else {
					all.items = append(all.items, role)
				}
			}
			w.entries[i].value = &all
		} else {
			w.entries[i] = e
		}
	}
	for _, d := range c.folder.Advised {
		set(entry{w.position, d.Name, &value{position: w.position, kind: scalar, text: d.Value, style: quoted}})
	}
	if c.other != nil {
		for _, e := range c.other.entries {
			set(e)
		}
	}
	return w
}

// roleName is the name of an item of roles.
func roleName(v *value) string {
	for _, e := range v.entries {
		if e.key == "name" {
			return e.value.text
		}
	}
	return v.text
}

// realmOfTickets takes the realm of the first ticket for the server's, where nothing else says it.
func (c *caseLoading) realmOfTickets(connections *value) {
	said := slices.ContainsFunc(c.folder.Defaults, func(d Setting) bool { return d.Name == "realm" }) || c.world != nil && hasKey(c.world.entries, "realm")
	if said || connections == nil {
		return
	}
	for _, one := range connections.items {
		for _, e := range one.entries {
			if _, realm, ok := strings.Cut(e.value.text, "@"); ok && e.key == "principal" && e.value.kind == scalar && realmName.MatchString(realm) {
				c.folder.Defaults = append(c.folder.Defaults, Setting{"realm", realm})
				return
			}
		}
	}
}

func (c *caseLoading) connection(number int, v *value) {
	one := CaseConnection{Pos: c.pos(v.position)}
	var client, advised []entry
	var seenAt position
	hasAdvised := false
	for _, e := range c.entriesOnce(v, "key") {
		switch e.key {
		case "who":
			one.Who, _ = c.nonEmptyText(e.value, e.key)
		case "conninfo":
			var ok bool
			if one.Conninfo, ok = c.nonEmptyText(e.value, e.key); ok {
				client = append(client, c.conninfo(e.value)...)
			}
		case "seen":
			one.Seen, one.SeenPos, seenAt = c.outcome(e.value), c.pos(e.value.position), e.value.position
		case "wanted":
			one.Wanted = c.outcome(e.value)
		case "advised":
			if hasAdvised = c.want(e.value, e.key, mapping); hasAdvised {
				for _, a := range c.entriesOnce(e.value, "key") {
					if a.key == "conninfo" {
						advised = append(advised, c.conninfo(a.value)...)
					} else if c.clientAxis(a) {
						advised = append(advised, a)
					}
				}
			}
		default:
			if c.clientAxis(e) {
				client = append(client, e)
			}
		}
	}
	if one.Who == "" {
		one.Who = fmt.Sprintf("connection %d", number)
	}
	client = lastOnce(client)
	name := fmt.Sprintf("case/connection-%d", number)
	var seen []Expect
	if one.Seen != nil {
		seen = []Expect{{Then: *one.Seen, Pos: one.SeenPos}}
	}
	one.Scenario = c.scenario(v.position, name, client, seen, seenAt)
	if hasAdvised {
		one.Advised = c.scenario(v.position, name, lastOnce(slices.Concat(client, advised)), nil, seenAt)
	}
	c.Connections = append(c.Connections, one)
}

// clientAxis reports a key that is no client axis, or has several values.
func (c *caseLoading) clientAxis(e entry) bool {
	if axis, ok := AxisByName(e.key); !ok || axis.Kind != ClientAxis {
		c.problem(e.position, fmt.Sprintf("unknown key %q of a connection", e.key), suggest(e.key, append(axisNames(ClientAxis), connectionKeys...)))
		return false
	}
	if e.value.kind == scalar && e.value.text == "all" && e.key != "database" && e.key != "user" {
		c.problem(e.value.position, "a connection has one value of "+e.key, "name it")
		return false
	}
	return c.want(e.value, e.key, scalar)
}

// conninfo makes the client axes of a connection string.
func (c *caseLoading) conninfo(v *value) (entries []entry) {
	if v.kind != scalar {
		c.want(v, "conninfo", scalar)
		return nil
	}
	values, err := c.folder.Conninfo(v.text)
	if err != nil {
		at := v.position
		if p, ok := err.(*Problem); ok { //nolint:errorlint // the reader of connection strings returns it as it is
			switch v.style {
			case plain:
				at.column += p.Column - 1
			case quoted:
				at.column += p.Column
			}
			c.problem(at, p.Wrong, p.Right)
			return nil
		}
		c.problem(at, err.Error(), "want a connection string of libpq")
		return nil
	}
	for _, name := range axisNames(ClientAxis) {
		if text, ok := values[name]; ok {
			entries = append(entries, entry{v.position, name, &value{position: v.position, kind: scalar, text: text, style: quoted}})
		}
	}
	return entries
}

func (c *caseLoading) outcome(v *value) *Partial {
	l := &loading{reader: reader{file: c.file}}
	partial, ok := l.then(v)
	c.problems = append(c.problems, l.problems...)
	if !ok {
		return nil
	}
	return &partial
}

// lastOnce keeps of several entries with one key the last.
func lastOnce(entries []entry) (kept []entry) {
	for i, e := range entries {
		if !slices.ContainsFunc(entries[i+1:], func(o entry) bool { return o.key == e.key }) {
			kept = append(kept, e)
		}
	}
	return kept
}

// scenario reads one cell, as if it were a scenario file with the customer's texts; without a client only the world.
func (c *caseLoading) scenario(at position, name string, client []entry, expect []Expect, expectAt position) *Scenario {
	l := &loading{reader: reader{file: c.file, lines: c.lines, suspect: c.suspect}, folder: nothing{}, values: map[string][]string{}, meant: map[string]bool{}, bad: map[string]bool{},
		own: map[string][]string{}, inWorld: map[string]*value{}, words: map[string]*value{}}
	l.Name, l.Pos, l.worldAt = name, c.pos(at), at
	text := func(s string) *value { return &value{position: at, kind: scalar, text: s, style: quoted} }
	world, places := &value{position: at, kind: mapping}, map[string]*value{}
	if c.world != nil {
		world.position = c.world.position
		for _, e := range c.world.entries {
			if e.key == "network" || e.key == "names" || e.key == "os_users" {
				places[e.key] = e.value // a scenario wants clients that use them, a case does not
			} else {
				world.entries = append(world.entries, e)
			}
		}
	}
	realm := DefaultRealm
	for _, d := range c.folder.Defaults {
		if !hasKey(world.entries, d.Name) {
			world.entries = append(world.entries, entry{at, d.Name, text(d.Value)})
		}
	}
	if i := slices.IndexFunc(world.entries, func(e entry) bool { return e.key == "realm" }); i >= 0 {
		realm = world.entries[i].value.text
	}
	client = slices.Clone(client)
	for i, e := range client {
		if name, own := strings.CutSuffix(e.value.text, "@"+realm); e.key == "principal" && own {
			short := *e.value
			short.text, client[i].value = name, &short
		}
	}
	world.entries = append(world.entries, entry{at, "hba", text(c.folder.HBA)})
	if c.folder.Ident != "" {
		world.entries = append(world.entries, entry{at, "ident", text(c.folder.Ident)})
	}
	for _, cert := range c.folder.Certificates {
		l.own["cert"], l.own["servercert"] = append(l.own["cert"], cert.Name), append(l.own["servercert"], cert.Name)
	}
	for _, k := range c.folder.Keytabs {
		l.own["keytab"] = append(l.own["keytab"], k.Name)
	}
	l.world(world)
	l.Keytabs = append(l.Keytabs, c.folder.Keytabs...)
	l.places(places, client)
	l.axes(&value{position: at, kind: mapping, entries: client}, ClientAxis, nil)
	l.inOrder(l.Axes)
	l.readWorldKeys(afterClient)
	if users := places["os_users"]; users != nil {
		l.OSUsers = l.distinct(entry{key: "os_users", value: users}, CheckOSUser)
	}
	l.Files, l.Settings = c.folder.Files, c.folder.Settings
	for _, e := range expect {
		l.Expect, l.expectAt, l.thenAt = append(l.Expect, e), append(l.expectAt, expectAt), append(l.thenAt, expectAt)
	}
	if len(l.problems) == 0 && client != nil {
		l.checkCells()
	}
	c.problems = append(c.problems, l.problems...)
	l.Certificates = append(l.Certificates, c.folder.Certificates...)
	if client == nil && l.inWorld["roles"] == nil {
		l.Roles = nil
	}
	if client == nil && l.inWorld["principals"] == nil {
		l.Realms[0].Principals = nil
	}
	return &l.Scenario
}

// places reads the networks and the names of addresses of a case, and finds networks for the addresses.
func (l *loading) places(v map[string]*value, client []entry) {
	if network := v["network"]; network != nil {
		for _, item := range l.scalars(network, "network") {
			n, wrong, right := checkNetwork(item.text)
			if overlaps := slices.IndexFunc(l.Networks, n.Overlaps); wrong == "" && overlaps >= 0 {
				wrong, right = fmt.Sprintf("the networks %s and %s overlap", l.Networks[overlaps], n), "keep one of the two"
			}
			if wrong != "" {
				l.problem(item.position, wrong, right)
				continue
			}
			l.Networks = append(l.Networks, n)
		}
	}
	var addresses []netip.Addr
	add := func(text string) {
		if a, err := netip.ParseAddr(text); err == nil {
			addresses = append(addresses, a)
		}
	}
	for _, e := range client {
		if e.key == "address" {
			add(e.value.text)
		}
	}
	if names := v["names"]; names != nil && names.kind == mapping {
		for _, e := range names.entries {
			add(e.key)
		}
	}
	l.Networks = NetworksOf(l.Networks, addresses)
	l.names(v["names"])
}

// NetworksOf adds to the networks such ones for addresses that are in none of them: of 24 or 64 bits, or as many as let the address be that of a host and
// keep the networks apart. An address that no client can have gets none.
func NetworksOf(networks []netip.Prefix, addresses []netip.Addr) []netip.Prefix {
	networks = slices.Clone(networks)
	for _, a := range addresses {
		if a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a) }) {
			continue
		}
		usual, longest, shortest := 24, longest4, shortest4
		if a.Is6() {
			usual, longest, shortest = 64, longest6, shortest6
		}
		var lengths []int
		for bits := usual; bits <= longest; bits++ {
			lengths = append(lengths, bits)
		}
		for bits := usual - 1; bits >= shortest; bits-- {
			lengths = append(lengths, bits)
		}
		for _, bits := range lengths {
			n := netip.PrefixFrom(a, bits).Masked()
			_, wrong, _ := checkNetwork(n.String())
			server := slices.ContainsFunc(serverInterfaces(append(slices.Clone(networks), n)), func(s netip.Prefix) bool { return s.Addr() == a })
			if wrong == "" && a != n.Addr() && a != LastAddress(n) && !server && !slices.ContainsFunc(networks, n.Overlaps) {
				networks = append(networks, n)
				break
			}
		}
	}
	return networks
}

package audit

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// Change is a small change after which the connection gets in.
type Change struct {
	What    string // e.g. "the client says sslmode=require", "pg_hba.conf:3: insert hostssl …"
	Server  bool   // the server's files change, and not what the client says or has
	Outcome matrix.Outcome
	Admits  []Difference // who else gets in then; of changes of the server's files
}

// WhyNot finds the smallest changes after which a connection that is refused gets in: one thing that the client says or has, or, where nothing alone
// helps, two; and one record or one line of a map.
func (a *Answer) WhyNot() ([]Change, error) {
	if a.Prediction.Outcome.End == matrix.Connected {
		return nil, nil
	}
	changes, err := a.ofClient()
	if err != nil {
		return nil, err
	}
	of, err := a.ofServer()
	return append(changes, of...), err
}

// ofClient tries what the client can say or have.
func (a *Answer) ofClient() ([]Change, error) {
	options, has := a.options(), couldHave(a.Cell)
	for i := range has {
		has[i].If = "the client has " + has[i].If
	}
	changes, err := a.try(slices.Concat(options, has))
	if err != nil || len(changes) > 0 {
		return changes, err
	}
	var pairs []changed
	for _, o := range options {
		for _, h := range has {
			pairs = append(pairs, changed{o.If + ", and " + h.If, func(c *matrix.Cell) { o.change(c); h.change(c) }})
		}
	}
	return a.try(pairs)
}

// try keeps the changes after which the connection gets in.
func (a *Answer) try(list []changed) (changes []Change, err error) {
	for _, candidate := range list {
		cell := copyOf(a.Cell)
		candidate.change(cell)
		p, err := oracle.Predict(cell)
		if cannot := (*oracle.CannotPredict)(nil); errors.As(err, &cannot) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if p.Outcome.End == matrix.Connected {
			changes = append(changes, Change{What: candidate.If, Outcome: p.Outcome})
		}
	}
	return changes, nil
}

// options are what the client can say otherwise.
func (a *Answer) options() (list []changed) {
	c := &a.Cell.Client
	for _, o := range []struct {
		axis string
		at   func(*matrix.Client) *string
	}{
		{"sslmode", func(c *matrix.Client) *string { return &c.SSLMode }},
		{"gssencmode", func(c *matrix.Client) *string { return &c.GSSEncMode }},
		{"channel_binding", func(c *matrix.Client) *string { return &c.ChannelBinding }},
		{"sslnegotiation", func(c *matrix.Client) *string { return &c.SSLNegotiation }},
	} {
		axis, _ := matrix.AxisByName(o.axis)
		for _, value := range axis.Values {
			if *o.at(c) != value {
				list = append(list, changed{"the client says " + o.axis + "=" + value, func(c *matrix.Cell) { *o.at(&c.Client) = value }})
			}
		}
	}
	if c.RequireAuth != "" {
		list = append(list, changed{"the client does not say require_auth", func(c *matrix.Cell) { c.Client.RequireAuth = "" }})
	}
	for _, user := range a.otherUsers() {
		list = append(list, changed{"the client asks for user=" + user, func(c *matrix.Cell) {
			c.Client.User = user
			c.World.Roles = append(c.World.Roles, matrix.Role{Name: user, Password: "scram-sha-256"})
		}})
	}
	return list
}

// otherUsers are the roles that the client's own credentials name.
func (a *Answer) otherUsers() (users []string) {
	c := &a.Cell.Client
	add := func(user string) {
		if user != "" && user != c.User && !slices.Contains(users, user) {
			users = append(users, user)
		}
	}
	if c.Ticket != "none" {
		name, _, _ := strings.Cut(c.Principal, "@")
		add(name)
		add(c.Principal)
	}
	if cert := a.Cell.World.ClientCertificate(c); cert != nil {
		add(cert.CommonName())
	}
	return users
}

// ofServer tries one record, or one line of a map.
func (a *Answer) ofServer() (changes []Change, err error) {
	// What the client could have besides, unless that alone lets it in.
	has := slices.DeleteFunc(couldHave(a.Cell), func(h changed) bool {
		alone, err := a.try([]changed{h})
		return err != nil || len(alone) > 0
	})
	for _, edit := range a.edits() {
		after, cell := *a.server, copyOf(a.Cell)
		edit.apply(&after)
		cell.World.HBA, cell.World.Ident, cell.World.Files = after.HBA, after.Ident, after.Files
		for _, h := range slices.Concat([]changed{{"", func(*matrix.Cell) {}}}, has) {
			try := copyOf(cell)
			h.change(try)
			p, err := oracle.Predict(try)
			if err != nil || p.Outcome.End != matrix.Connected {
				continue // also where the edit makes a rule that does not load
			}
			change := Change{What: edit.what, Server: true, Outcome: p.Outcome}
			if h.If != "" {
				change.What += ", and the client has " + h.If
			}
			if change.Admits, err = Compare(a.server, &after); err != nil {
				return nil, err
			}
			changes = append(changes, change)
			break
		}
	}
	return changes, nil
}

// edit is a change of the server's files.
type edit struct {
	what  string
	apply func(*Server)
}

// edits are changes that speak to the reason of the refusal.
func (a *Answer) edits() (list []edit) {
	o, c := a.Prediction.Outcome, &a.Cell.Client
	file, line := matrix.HBAFile, 0
	if o.Rule != "" {
		at := strings.LastIndexByte(o.Rule, ':')
		file = o.Rule[:at]
		line, _ = strconv.Atoi(o.Rule[at+1:])
	}
	switch o.Reason {
	case matrix.NoHBAEntry, matrix.HBAReject:
		conn, methods := "host", []string{"scram-sha-256"}
		switch {
		case c.Transport == "unix":
			conn, methods = "local", []string{"peer"}
		case o.Channel == matrix.TLS:
			conn = "hostssl"
		case o.Channel == matrix.GSS:
			conn, methods = "hostgssenc", []string{"gss"}
		}
		if c.Ticket != "none" {
			methods = []string{"gss"}
		}
		if c.Cert != "none" && conn == "hostssl" {
			methods = []string{"cert"}
		}
		for _, method := range methods {
			record := strings.Join([]string{conn, quoted(c.Database), quoted(c.User)}, "  ")
			if c.Transport != "unix" {
				bits := "/32"
				if strings.Contains(c.Address, ":") {
					bits = "/128"
				}
				record += "  " + c.Address + bits
			}
			record += "  " + method
			if line == 0 {
				list = append(list, edit{file + ": add at the end: " + record, func(s *Server) {
					s.HBA = strings.TrimSuffix(s.HBA, "\n") + "\n" + record + "\n"
				}})
			} else {
				list = append(list, edit{fmt.Sprintf("%s:%d: insert above it: %s", file, line, record), func(s *Server) { s.insert(file, line, record) }})
			}
		}
	case matrix.MapNoMatch, matrix.CertNameMismatch:
		return a.mapEdits(file, line)
	}
	return list
}

// mapEdits let the authenticated name become the role: by a line of the record's map, or by a map for a record that has none.
func (a *Answer) mapEdits(file string, line int) []edit {
	rules, err := oracle.LoadRules(a.Cell.World)
	if err != nil {
		return nil
	}
	at := slices.IndexFunc(rules.Records, func(r oracle.Record) bool { return r.File == file && r.Line == line })
	if at < 0 {
		return nil
	}
	r := &rules.Records[at]
	system, _ := a.systemName(r)
	if system == "" {
		return nil
	}
	if name := r.Map(); name != "" {
		text := name + "  " + quoted(system) + "  " + quoted(a.Cell.Client.User)
		return []edit{{matrix.IdentFile + ": add at the end: " + text, func(s *Server) { s.Ident = withLine(s.Ident, text) }}}
	}
	if !slices.Contains([]matrix.Method{matrix.MethodGSS, matrix.MethodCert, matrix.MethodPeer, matrix.MethodIdent}, r.Method) {
		return nil
	}
	const name = "allowed"
	text := name + "  " + quoted(system) + "  " + quoted(a.Cell.Client.User)
	fields := strings.Fields(r.Text)
	if len(fields) < 4 || strings.ContainsAny(r.Text, `"#`) || strings.Contains(r.Text, ", ") {
		return nil // its columns are not simply its words
	}
	fields[1], fields[2] = quoted(a.Cell.Client.Database), quoted(a.Cell.Client.User)
	record := strings.Join(fields, "  ") + "  map=" + name
	return []edit{{fmt.Sprintf("%s:%d: insert above it: %s; and %s: add at the end: %s", file, line, record, matrix.IdentFile, text), func(s *Server) {
		s.insert(file, line, record)
		s.Ident = withLine(s.Ident, text)
	}}}
}

// systemName is the name that the record's map is asked for.
func (a *Answer) systemName(r *oracle.Record) (name string, ok bool) {
	c := &a.Cell.Client
	switch r.Method {
	case matrix.MethodGSS:
		name = c.Principal
		if _, included := r.Realm(); !included {
			name, _, _ = strings.Cut(name, "@")
		}
		return name, true
	case matrix.MethodCert:
		if cert := a.Cell.World.ClientCertificate(c); cert != nil && r.ClientName() == "CN" {
			return cert.CommonName(), true
		}
	}
	return "", false
}

func withLine(text, line string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + line + "\n"
}

// insert puts a line above another.
func (s *Server) insert(file string, line int, text string) {
	above := func(whole string) string {
		lines := strings.Split(whole, "\n")
		return strings.Join(slices.Insert(lines, min(line-1, len(lines)), text), "\n")
	}
	if file == matrix.HBAFile {
		s.HBA = above(s.HBA)
		return
	}
	s.Files = slices.Clone(s.Files)
	for i := range s.Files {
		if s.Files[i].Path == file {
			s.Files[i].Text = above(s.Files[i].Text)
		}
	}
}

// quoted writes a name so that it means itself in a configuration file.
func quoted(name string) string {
	plain := name != "" && !slices.Contains([]string{"all", "sameuser", "samerole", "samegroup", "replication"}, name)
	for _, c := range name {
		plain = plain && (c == '_' || c == '.' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '@' && name[0] != '@')
	}
	if plain {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

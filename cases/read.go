// Package cases reads the folder of a customer's files, as the customer sent them, and makes the nearest world of it: one that the oracle can predict and
// that real servers can be brought to. It is pure: files come in as an fs.FS, and nothing outside it is read.
//
//	c, err := cases.Read(folder)          // pg_hba.conf and what else there is: pg_ident.conf, includes, postgresql.conf, pg_settings, krb5.conf, case.yaml
//	c.Server                              // the rules as audit asks about them: c.Server.Audit(), audit.Compare(c.Server, c.Advised)
//	c.Connections                         // who connects, with what was seen and what is wanted
//	c.Scenario("x/y", client)             // one cell or several in the customer's world
//	c.Probes                              // a client of each class that the rules tell apart, with each credential
//	c.ProbeScenarios(c.Server, "before")  // those that a real client can be, as cells
//	c.Gaps, c.LeftOut                     // what could not be reproduced, with its effect on the verdict
package cases

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// The names of files in a case folder. Only pg_hba.conf must be there.
const (
	CaseFile    = matrix.CaseName
	AutoConf    = "postgresql.auto.conf"
	KRB5Conf    = "krb5.conf"
	VersionFile = "PG_VERSION"
	AdvisedDir  = "advised" // in it the files that are advised in the place of those of the same name
	ServiceFile = "pg_service.conf"
)

// SettingsFiles are the names that a listing of pg_settings can have.
var SettingsFiles = []string{"pg_settings.txt", "pg_settings.csv"}

// Case is a customer's folder.
type Case struct {
	Question, Source, Advice    string
	Claims, Museum              []string      // ids of docs/claims.md and docs/museum.md
	Server                      *audit.Server // as reported
	Advised                     *audit.Server // with what is advised: files of advised/, and the keys under advised in case.yaml; the same as Server: only clients are advised, or nobody
	Deciding                    *audit.Server // as reported, with the rules that decide: those of before where the server does not load the customer's; nil: it does not start
	Connections                 []matrix.CaseConnection
	Probes                      []Probe            // see ProbeScenarios
	Admits                      []string           // keys of changes that are accepted: see Change.Key
	NotLoaded, AdvisedNotLoaded *oracle.RulesError // of the rules as reported and as advised; nil: they load
	Gaps                        []Gap
	LeftOut                     []LeftOut
	Sightings                   []Sighting // of the server's logs in the folder
	Conninfo                    string     // of ConninfoFile; empty: there is none
	Principal                   string     // of TicketFile; empty: nobody has said
	Found                       []string   // the files that were read, sorted

	world   *matrix.Scenario // what case.yaml and the files say of the world
	advised *matrix.Scenario // the same with what is advised

	said        []string             // keys under world, and axes, of which something was said
	hosts       []string             // that connection strings name
	sent        []matrix.Certificate // in the folder
	versionSaid bool                 // the files say which version the server has
	rest        rest                 // of the world
}

// Gap is something that the world does not have as the customer does.
type Gap struct{ What, Effect string }

// LeftOut is a setting that the server of the world does not get.
type LeftOut struct {
	audit.Line
	Fate   Fate
	Effect string // on the verdict; empty: none
}

// Read reads a folder. Mistakes in case.yaml are *matrix.Problem, joined; a file that is no text, is too large or is no regular file is an error that
// names it. Files that the rules include are looked for in the folder and nowhere else.
func Read(fsys fs.FS) (*Case, error) { return ReadAt(fsys, time.Time{}) }

// ReadAt is Read at a time, which says whether the certificates in the folder are valid.
func ReadAt(fsys fs.FS, now time.Time) (*Case, error) {
	r := &reading{fsys: fsys, c: &Case{}}
	if err := r.read(now); err != nil {
		return nil, err
	}
	return r.c, nil
}

type reading struct {
	fsys fs.FS
	c    *Case
}

// text reads a file; there is false if there is none.
func (r *reading) text(name string) (text string, there bool, err error) {
	text, err = audit.ReadFile(r.fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err == nil {
		r.c.Found = append(r.c.Found, name)
	}
	return text, err == nil, err
}

func (r *reading) read(now time.Time) error {
	newest, _ := matrix.AxisByName("server")
	version, _ := strconv.Atoi(newest.Values[len(newest.Values)-1]) // it knows every way of including a file
	server, err := r.server(r.fsys, version)
	if err != nil {
		return err
	}
	folder := matrix.CaseFolder{HBA: server.HBA, Ident: server.Ident, Files: server.Files, Conninfo: r.conninfo}
	if folder.Defaults, err = r.defaults(server); err != nil {
		return err
	}
	advised, err := r.advised(version)
	if err != nil {
		return err
	}
	if advised != nil {
		was := axesOf(server)
		for i, d := range axesOf(advised) {
			if d.Value != was[i].Value {
				folder.Advised = append(folder.Advised, d)
			}
		}
	}
	folder.Settings = taken(server.Conf)
	if folder.Certificates, err = r.certificates(now); err != nil {
		return err
	}
	r.c.sent = folder.Certificates
	keytab, host, err := r.keytab()
	if err != nil {
		return err
	}
	if keytab != nil {
		folder.Keytabs = []matrix.Keytab{*keytab}
		folder.Defaults = append(folder.Defaults, matrix.Setting{Name: "keytab", Value: keytab.Name})
		if hostName.MatchString(host) {
			r.c.hosts = append(r.c.hosts, host)
		}
	}
	if err := r.ticket(); err != nil {
		return err
	}
	r.leaveOut(server.Conf)
	source, there, err := r.text(CaseFile)
	if err != nil {
		return err
	}
	if !there {
		source = "connections:\n"
	}
	file, err := matrix.ParseCase(CaseFile, []byte(source), folder)
	if err != nil {
		return err
	}
	r.c.Question, r.c.Source, r.c.Advice, r.c.Claims, r.c.Museum = file.Question, file.Source, file.Advice, file.Claims, file.Museum
	r.c.Admits, r.c.Connections, r.c.world, r.c.advised = file.Admits, file.Connections, file.Described, file.Advised
	if r.c.said = file.Said; keytab != nil {
		r.c.said = append(r.c.said, "keytab")
	}
	r.c.findHost()
	r.c.Server = r.c.knowing(server, r.c.world)
	r.c.Advised = r.c.Server
	if advised != nil || file.AdvisesWorld {
		r.c.Advised = r.c.knowing(cmp.Or(advised, server), r.c.advised)
	}
	r.c.LeftOut = slices.DeleteFunc(r.c.LeftOut, func(l LeftOut) bool { return slices.Contains(r.c.Server.Refused(), l.Setting) })
	if err := r.c.probe(); err != nil {
		return err
	}
	if err := r.sighted(); err != nil {
		return err
	}
	slices.Sort(r.c.Found)
	r.c.Found = slices.Compact(r.c.Found)
	r.c.gaps()
	return nil
}

// advised reads the files of a server as they are advised; nil: there is no folder of them. A file that would change nothing is an error.
func (r *reading) advised(version int) (*audit.Server, error) {
	switch info, err := fs.Stat(r.fsys, AdvisedDir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("%s is no folder", AdvisedDir)
	}
	before := r.c.Found
	r.c.Found = nil
	s, err := r.server(over{r.fsys, AdvisedDir}, version)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", AdvisedDir, err)
	}
	err = fs.WalkDir(r.fsys, AdvisedDir, func(name string, entry fs.DirEntry, err error) error {
		short := strings.TrimPrefix(name, AdvisedDir+"/")
		if err != nil || entry.IsDir() || slices.Contains(r.c.Found, short) {
			return err
		}
		return fmt.Errorf("%s changes nothing: advised files are those of the server that have an effect; %s of the world are advised under %s in %s, options of a client under its connection", name,
			"keytab, certificates and roles", AdvisedDir, CaseFile)
	})
	r.c.Found = append(before, r.c.Found...)
	return s, err
}

// server reads the files of a server.
func (r *reading) server(fsys fs.FS, version int) (*audit.Server, error) {
	if _, err := fs.Stat(fsys, matrix.HBAFile); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s in the folder: it must be there; %s, files that they include, %s, a listing of pg_settings (%s), %s and %s can be", matrix.HBAFile,
			matrix.IdentFile, matrix.ConfigFile, strings.Join(SettingsFiles, ", "), KRB5Conf, CaseFile)
	}
	paths := audit.Paths{HBA: matrix.HBAFile}
	for _, f := range []struct {
		to   *string
		name string
	}{{&paths.Ident, matrix.IdentFile}, {&paths.Conf, matrix.ConfigFile}, {&paths.Krb5, KRB5Conf}} {
		if _, err := fs.Stat(fsys, f.name); err == nil {
			*f.to = f.name
			r.c.Found = append(r.c.Found, f.name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	r.c.Found = append(r.c.Found, matrix.HBAFile)
	s, err := audit.ReadServer(fsys, paths, version)
	if err != nil {
		return nil, err
	}
	for _, f := range s.Files {
		r.c.Found = append(r.c.Found, f.Path)
	}
	if strings.TrimSpace(s.HBA) == "" {
		return nil, fmt.Errorf("%s is empty: the server does not load it; want the file that the server has, as it is", matrix.HBAFile)
	}
	if text, there, err := r.text(AutoConf); err != nil {
		return nil, err
	} else if there {
		lines, err := audit.Settings(AutoConf, text)
		if err != nil {
			return nil, err
		}
		s.Conf = append(s.Conf, lines...) // it is read last
	}
	for _, name := range SettingsFiles {
		text, there, err := r.text(name)
		if err != nil {
			return nil, err
		}
		if there {
			lines, err := listing(name, text)
			if err != nil {
				return nil, err
			}
			s.Conf = append(s.Conf, lines...) // what is in force counts more than what is in a file
		}
	}
	return s, nil
}

// defaults are the keys of a world that the files say.
func (r *reading) defaults(s *audit.Server) (list []matrix.Setting, err error) {
	list = axesOf(s)
	add := func(name, value string) { list = append(list, matrix.Setting{Name: name, Value: value}) }
	if s.Realm != "" {
		add("realm", s.Realm)
	}
	text, there, err := r.text(VersionFile)
	if err != nil {
		return nil, err
	}
	if !there {
		for _, l := range s.Conf {
			if l.Name == "server_version" {
				text, there = l.Value, true
			}
		}
	}
	if there {
		major, _, _ := strings.Cut(strings.TrimSpace(text), ".")
		major = strings.TrimRight(major, "abcdefghijklmnopqrstuvwxyz ()") // 19beta1
		if n, err := strconv.Atoi(major); err == nil && slices.Contains(matrix.ServerVersions, n) {
			add("server", major)
			r.c.versionSaid = true
		} else {
			r.gap("the server's version is "+strings.TrimSpace(text), "another version reads rules and certificates otherwise; those that there are are "+fmt.Sprint(matrix.ServerVersions))
		}
	}
	return list, nil
}

// axesOf are the values of axes that a postgresql.conf says.
func axesOf(s *audit.Server) (list []matrix.Setting) {
	w := s.World()
	for _, axis := range []string{"ssl", "servercrl", "serverca"} {
		list = append(list, matrix.Setting{Name: axis, Value: (&matrix.Cell{World: &w}).Value(axis)})
	}
	return list
}

func (r *reading) gap(what, effect string) { r.c.Gaps = append(r.c.Gaps, Gap{what, effect}) }

// taken are the settings that the world's server has, sorted; of a name the last line counts.
func taken(lines []audit.Line) (list []matrix.Setting) {
	for _, l := range inForce(lines) {
		if settings[l.Name].fate == Taken {
			list = append(list, l.Setting)
		}
	}
	return list
}

// leaveOut names the settings that it does not have and that have an effect there.
func (r *reading) leaveOut(lines []audit.Line) {
	for _, l := range inForce(lines) {
		if s := settings[l.Name]; slices.Contains([]Fate{Harness, Program, Unmatched}, s.fate) && l.Value != "" {
			r.c.LeftOut = append(r.c.LeftOut, LeftOut{l, s.fate, s.effect})
		}
	}
}

// inForce are the lines that count, sorted by name.
func inForce(lines []audit.Line) (last []audit.Line) {
	for i, l := range lines {
		if !slices.ContainsFunc(lines[i+1:], func(o audit.Line) bool { return o.Name == l.Name }) {
			last = append(last, l)
		}
	}
	slices.SortFunc(last, func(a, b audit.Line) int { return strings.Compare(a.Name, b.Name) })
	return last
}

// conninfo makes the values of client axes of a connection string; a service is one of pg_service.conf.
func (r *reading) conninfo(text string) (map[string]string, error) {
	parameters, err := audit.Conninfo(text)
	if err != nil {
		return nil, err
	}
	if parameters, err = r.service(parameters); err != nil {
		return nil, err
	}
	client, host, err := audit.Client(parameters)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	cell := &matrix.Cell{World: &matrix.World{}, Client: client}
	for _, a := range matrix.Axes {
		if value := cell.Value(a.Name); a.Kind == matrix.ClientAxis && a.Name != "principal" && a.Name != "library" && value != "" && value != a.Default {
			values[a.Name] = value
		}
	}
	values["user"] = client.User
	switch _, err := netip.ParseAddr(host); {
	case err == nil:
		values["hostname"] = "address"
	case host == "localhost":
		values["hostname"] = host
	case host != "":
		r.c.hosts = append(r.c.hosts, host)
	}
	return values, nil
}

// service puts the parameters of a service before those of the connection string, which count more.
func (r *reading) service(parameters []audit.Parameter) ([]audit.Parameter, error) {
	i := slices.IndexFunc(parameters, func(p audit.Parameter) bool { return p.Name == "service" })
	if i < 0 {
		return parameters, nil
	}
	wanted := parameters[i]
	problem := func(wrong, right string) error {
		return &matrix.Problem{File: "connection string", Line: 1, Column: wanted.At, Wrong: wrong, Right: right}
	}
	text, there, err := r.text(ServiceFile)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, problem(fmt.Sprintf("service=%s, and the folder has no %s", wanted.Value, ServiceFile), "put the file into the folder, or write out what it says")
	}
	var of []audit.Parameter
	section, found := "", false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			found = found || section == wanted.Value
			continue
		}
		if name, value, ok := strings.Cut(line, "="); ok && section == wanted.Value && !strings.HasPrefix(line, "#") {
			name = strings.TrimSpace(name)
			if !slices.ContainsFunc(parameters, func(p audit.Parameter) bool { return p.Name == name }) {
				of = append(of, audit.Parameter{Name: name, Value: strings.TrimSpace(value), At: wanted.At})
			}
		}
	}
	if !found {
		return nil, problem(fmt.Sprintf("%s has no service %q", ServiceFile, wanted.Value), "name one that it has")
	}
	return append(of, slices.Delete(slices.Clone(parameters), i, i+1)...), nil
}

// over is a file system in which the files of a folder lie over those around it.
type over struct {
	fs.FS
	folder string
}

// Open opens the file of the folder, or where it has none the one around it.
func (o over) Open(name string) (fs.File, error) {
	f, err := o.FS.Open(path.Join(o.folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return o.FS.Open(name)
	}
	return f, err
}

// Stat does not open anything.
func (o over) Stat(name string) (fs.FileInfo, error) {
	info, err := fs.Stat(o.FS, path.Join(o.folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return fs.Stat(o.FS, name)
	}
	return info, err
}

// ReadDir has the entries of both.
func (o over) ReadDir(name string) ([]fs.DirEntry, error) {
	advised, err := fs.ReadDir(o.FS, path.Join(o.folder, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	around, err := fs.ReadDir(o.FS, name)
	if errors.Is(err, fs.ErrNotExist) && advised != nil {
		err = nil
	}
	for _, e := range around {
		if !slices.ContainsFunc(advised, func(a fs.DirEntry) bool { return a.Name() == e.Name() }) {
			advised = append(advised, e)
		}
	}
	slices.SortFunc(advised, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return advised, err
}

// Package pack writes one cell down as an archive that reproduces it where there is only Docker: the containers, the configuration byte for byte, scripts
// that make realm, certificates and roles, the attempt as a command of psql, and what is predicted of it. It has no secret; those are made when it is
// run. It starts nothing.
package pack

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/classify"
	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/kdc"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/probe"
	"github.com/pgauthmatrix/pgauthmatrix/standing"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Subject is what an archive is made of.
type Subject struct {
	Cell        *matrix.Cell
	Question    string // of its scenario
	Prediction  matrix.Prediction
	Explanation string // why that is predicted, and what was observed, for people
	Observed    bool   // the explanation has what a run observed
	WithImages  bool   // the archive is to have the images, too
	Version     string // of this program
}

// File is a file of an archive.
type File struct {
	Name string // below the archive's folder
	Data []byte
}

//go:embed files
var texts embed.FS

// scripts are the archive's names of the embedded texts. All are templates over a page.
var scripts = map[string]string{
	"run.sh": "run.sh", "compose.yaml": "compose.yaml", "README.md": "README.md", "kdc/start.sh": "kdc-start.sh", "server/start.sh": "server-start.sh",
	"client/profile": "client-profile", "client/psql.sh": "client-psql.sh", "client/attempt.sh": "client-attempt.sh",
}

// page is what the texts are made of.
type page struct {
	Subject
	ID, Version                        string
	Server, Client                     int // PostgreSQL major versions
	Host, DeadHost                     string
	Load                               string
	Realms                             []kdc.Spec
	Images                             []pgimages.Recipe
	KDCImage, ServerImage, ClientImage string // tags
	KDCBuild, ServerBuild, ClientBuild string // names below images/
	ServerDir, ClientDir               string
	Keytab                             string
	Tickets                            []fixtures.PaperTicket
	CCache                             string
	Default                            bool
	Home                               map[string]string
	UID                                int
	PasswordFile                       string
	Variables                          map[string]string
	Conninfo, Command                  string
	Notes                              []string
	Outcome, Compared                  string
	Trust, Password                    string // marks
}

// Files are the files of an archive, without the images. A cell of which none can be made is a *CannotError.
func Files(s Subject) ([]File, error) {
	c := s.Cell
	if why := Cannot(c); why != "" {
		return nil, &CannotError{c.ID, why}
	}
	plan, err := fixtures.PlanFor([]*matrix.Cell{c})
	if err != nil {
		return nil, err
	}
	var kdcs []string
	for i := range c.World.Realms {
		kdcs = append(kdcs, fmt.Sprintf("kdc-%d:88", i))
	}
	paper, err := fixtures.OnPaper(plan, kdcs)
	if err != nil {
		return nil, &CannotError{c.ID, err.Error()}
	}
	request, err := probe.Request(paper.Env, c)
	if err != nil {
		return nil, err
	}
	files, err := worldFiles(paper)
	if err != nil {
		return nil, &CannotError{c.ID, err.Error()}
	}
	add := func(name, text string) { files = append(files, File{name, []byte(text)}) }
	outcome, compared := expected(c, s.Prediction)
	client, server := classify.Words(s.Prediction.Outcome.Stage, s.Prediction.Outcome.Reason)
	add("expected/outcome", outcome)
	add("expected/client-words", lines(client))
	add("expected/server-words", lines(server))
	add("explanation.txt", s.Explanation)
	add("client/krb5.conf", withLines(paper.ClientKRB5, krb5Lines(&request)))
	add("client/session.sql", request.Query+"\n")
	var users strings.Builder
	for _, u := range c.World.OSUsers {
		fmt.Fprintf(&users, "%s:x:%d:65534::/nonexistent:/usr/sbin/nologin\n", u, matrix.UID(u))
	}
	add("server/passwd", users.String())
	p := newPage(s, paper, &request)
	p.Compared = compared
	for _, r := range p.Images {
		for name, data := range r.Files {
			files = append(files, File{path.Join("images", r.Name, name), data})
		}
	}
	for name, text := range scripts {
		data, err := p.render(text)
		if err != nil {
			return nil, err
		}
		files = append(files, File{name, data})
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return files, nil
}

// worldFiles are those of the KDCs and of the server.
func worldFiles(paper *fixtures.Paper) (files []File, err error) {
	for i, r := range paper.Realms {
		script, err := kdc.Script(r)
		if err != nil {
			return nil, err
		}
		files = append(files, File{fmt.Sprintf("kdc/realm-%d.sh", i), script})
	}
	files = append(files, File{"kdc/pki.sh", []byte(paper.PKI)}, File{"server/krb5.conf", []byte(paper.KRB5)})
	for folder, texts := range map[string]map[string]string{"server/conf": paper.Files, "server/before": paper.Before} {
		for name, text := range texts {
			files = append(files, File{path.Join(folder, strings.TrimPrefix(name, matrix.ConfDir)), []byte(text)})
		}
	}
	statements := ""
	for _, s := range paper.Statements {
		statements += s + ";\n"
	}
	arguments := []string{"-c", "config_file=" + matrix.ConfDir + "/" + matrix.ConfigFile, "-c", "hba_file=" + matrix.ConfDir + "/" + matrix.HBAFile, "-c", "ident_file=" + matrix.ConfDir + "/" + matrix.IdentFile}
	return append(files, File{"server/roles.sql", []byte(statements)}, File{"server/arguments", []byte(standing.Words(append(arguments, paper.Args...)) + "\n")}), nil
}

func newPage(s Subject, paper *fixtures.Paper, request *agent.Attempt) *page {
	c := s.Cell
	p := &page{Subject: s, ID: c.ID, Version: s.Version, Server: c.World.Server, Client: c.Client.Library.Libpq(), Host: c.World.Host, Load: c.World.Load, Realms: paper.Realms,
		ServerDir: fixtures.ServerDir, ClientDir: fixtures.ClientDir, Keytab: paper.Keytab, Tickets: paper.Tickets, CCache: request.CCache, Default: request.Default,
		Home: request.Home, UID: request.UID, Variables: map[string]string{}, Outcome: s.Prediction.Outcome.WithoutTrace().String(),
		Trust: fixtures.PaperTrust, Password: fixtures.PaperPassword}
	for _, major := range Majors(c) {
		r := pgimages.RecipeFor(major)
		p.Images = append(p.Images, r)
		for _, of := range []struct {
			major      int
			tag, build *string
		}{{pgimages.KDCMajor, &p.KDCImage, &p.KDCBuild}, {p.Server, &p.ServerImage, &p.ServerBuild}, {p.Client, &p.ClientImage, &p.ClientBuild}} {
			if of.major == major {
				*of.tag, *of.build = r.Tag, r.Name
			}
		}
	}
	if c.Client.Hosts == matrix.DeadFirst {
		p.DeadHost = c.World.DeadHost()
	}
	if word := c.Client.Password; word == "right" || word == "wrong" {
		p.PasswordFile = fixtures.ClientDir + "/" + strings.TrimPrefix(word+"-password", "right-")
	}
	for name, value := range request.Env {
		if name != "KRB5_CONFIG" {
			p.Variables[name] = value
		}
	}
	var more []string
	if c.Client.Transport == "tcp" && c.NameOfServer() != c.World.Host {
		more = append(more, "hostaddr=$(getent ahostsv4 "+c.World.Host+" | awk '{ print $1; exit }')")
	}
	passphrase := strings.TrimPrefix(c.Client.SSLPassword+"-", "right-") + "passphrase"
	p.Conninfo = standing.Conninfo(request.Options, func(file string) string { return file }, fixtures.ClientDir+"/"+passphrase, more...)
	p.Command = "psql " + p.Conninfo
	if c.Client.Library.Kind() != matrix.KindPsql {
		p.Notes = append(p.Notes, fmt.Sprintf("The cell's client is %s, the library; psql of the same version makes the attempt with it.", c.Client.Name()))
	}
	if c.Client.OSUser != "" {
		p.Notes = append(p.Notes, fmt.Sprintf("It is made by the operating system user %s.", c.Client.OSUser))
	}
	return p
}

// Majors are the PostgreSQL versions of whose images a cell's archive needs: the KDC's, the server's and the client's, each once.
func Majors(c *matrix.Cell) (majors []int) {
	for _, m := range []int{pgimages.KDCMajor, c.World.Server, c.Client.Library.Libpq()} {
		if !slices.Contains(majors, m) {
			majors = append(majors, m)
		}
	}
	return majors
}

func (p *page) render(name string) ([]byte, error) {
	var b bytes.Buffer
	quote := func(s string) string { return standing.Words([]string{s}) }
	text, err := template.New(name).Funcs(template.FuncMap{"quote": quote}).Option("missingkey=error").ParseFS(texts, "files/"+name)
	if err == nil {
		err = text.Execute(&b, p)
	}
	return b.Bytes(), err
}

// krb5Lines are what the client has in [libdefaults] of its own.
func krb5Lines(request *agent.Attempt) []string {
	all := slices.Clone(request.KRB5)
	if request.Default {
		all = append(all, "default_ccache_name = FILE:/pgam/home/ccache")
	}
	return all
}

// withLines puts lines before the others of [libdefaults]: libkrb5 takes the first value of a line.
func withLines(conf string, lines []string) string {
	if len(lines) == 0 {
		return conf
	}
	return strings.Replace(conf, "[libdefaults]\n", "[libdefaults]\n  "+strings.Join(lines, "\n  ")+"\n", 1)
}

func lines(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	return strings.Join(texts, "\n") + "\n"
}

// expected are the fields that the archive's script can tell, a line each, and a text that says what it compares and what not.
func expected(c *matrix.Cell, p matrix.Prediction) (fields, about string) {
	o := p.Outcome
	compared := []matrix.Field{matrix.FieldEnd}
	var not []string
	unseen := verdict.Unseen(c, p)
	switch {
	case o.End == matrix.Connected:
		compared = append(compared, matrix.FieldChannel, matrix.FieldRole)
		for _, f := range []matrix.Field{matrix.FieldMethod, matrix.FieldIdentity, matrix.FieldRule} {
			if c.World.Server < 14 || slices.Contains(unseen, f) {
				not = append(not, fmt.Sprintf("%s, which PostgreSQL %d does not log of such a session", f, c.World.Server))
				continue
			}
			compared = append(compared, f)
		}
	default:
		if client, server := classify.Words(o.Stage, o.Reason); len(client)+len(server) > 0 {
			compared = append(compared, matrix.FieldReason)
		} else {
			not = append(not, fmt.Sprintf("the reason (%s), which no message alone tells: read what is printed", o.Reason))
		}
		logged := o.Stage == matrix.StageAuth || o.Stage == matrix.StageIdent || o.Stage == matrix.StageStartup && c.World.Server >= 17
		if o.Rule != "" && logged && !slices.Contains(unseen, matrix.FieldRule) {
			compared = append(compared, matrix.FieldRule)
		}
		not = append(not, "stage, channel and method of a refusal")
	}
	if o.Load != "" {
		not = append(not, "what the server says of the rules that it does not load")
	}
	var names []string
	for _, f := range compared {
		names = append(names, string(f))
		fields += fmt.Sprintf("%s %s\n", f, o.Get(f))
	}
	about = "Compared: " + strings.Join(names, ", ") + "."
	if len(not) > 0 {
		about += " Not compared: " + strings.Join(not, "; ") + "."
	}
	return fields, about
}

// NameOf is the name of an archive, and of its folder, that nobody has named: the cell's ID with what a file's name cannot have left out.
func NameOf(c *matrix.Cell) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_=", r) {
			return r
		}
		return '-'
	}, c.ID)
	return strings.Trim(name[:min(len(name), 150)], "-.")
}

// Write writes an archive whose files lie in one folder; images is the file of the images, nil: the archive has none. Its times are now.
func Write(w io.Writer, folder string, files []File, images *os.File, now time.Time) error {
	zipped := gzip.NewWriter(w)
	archive := tar.NewWriter(zipped)
	for _, f := range files {
		mode := int64(0o644)
		if path.Ext(f.Name) == ".sh" || path.Base(f.Name) == "prepare" {
			mode = 0o755
		}
		if err := archive.WriteHeader(&tar.Header{Name: path.Join(folder, f.Name), Mode: mode, Size: int64(len(f.Data)), ModTime: now.Truncate(time.Second)}); err != nil {
			return err
		}
		if _, err := archive.Write(f.Data); err != nil {
			return err
		}
	}
	if images != nil {
		info, err := images.Stat()
		if err != nil {
			return err
		}
		if err := archive.WriteHeader(&tar.Header{Name: path.Join(folder, "images.tar"), Mode: 0o644, Size: info.Size(), ModTime: now.Truncate(time.Second)}); err != nil {
			return err
		}
		if _, err := io.Copy(archive, images); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return zipped.Close()
}

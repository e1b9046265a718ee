// Package audit answers questions about a server's own files, without a server: which line decides over a connection, who gets in at all, which
// rules say nothing, and what a change of them admits. It asks package oracle, and adds only what files leave open: what an answer depends on that
// nobody has said.
package audit

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// Server is what is known of a server: its version and its files.
type Server struct {
	Version int
	HBA     string
	Ident   string
	Conf    []Line        // of postgresql.conf and what it includes; the last of a name counts
	Files   []matrix.File // that pg_hba.conf and pg_ident.conf name
	Realm   string        // default realm of krb5.conf; "": nobody said

	// What files do not say, where somebody has said it.
	Roles    []matrix.Role        // with the roles of which they are members, which stand before them
	Networks []netip.Prefix       // the server's own, the first of each family; none: two that no rule is likely to name
	Names    []matrix.AddressName // of clients
	Host     string               // "": nobody said
	Keytab   string               // of axis keytab, or one of Keytabs; "": the right one
	Keytabs  []matrix.Keytab
	Trusted  []matrix.Realm // other realms whose tickets the server's realm accepts
	Said     []string       // keys and axes of a world of which nothing is to be guessed
}

// Paths name a server's files within a file system. An empty one is not read. Files that they name are looked for in the directory of the first that is there.
type Paths struct{ HBA, Ident, Conf, Krb5 string }

// Bounds of what is read: a rule file is data of somebody else's.
const (
	maxFile  = 1 << 20 // bytes
	maxFiles = 1000
	maxTotal = 16 << 20 // bytes of all files that the rules include
)

// ReadServer reads the files. A file that an include directive or an @ names and that does not exist is left out: a server has words for that.
func ReadServer(fsys fs.FS, p Paths, version int) (*Server, error) {
	s := &Server{Version: version}
	var err error
	if p.HBA != "" {
		if s.HBA, err = ReadFile(fsys, p.HBA); err != nil {
			return nil, err
		}
	}
	if p.Ident != "" {
		if s.Ident, err = ReadFile(fsys, p.Ident); err != nil {
			return nil, err
		}
	}
	if p.Conf != "" {
		if err := s.readConf(fsys, p.Conf, 0); err != nil {
			return nil, err
		}
	}
	if p.Krb5 != "" {
		text, err := ReadFile(fsys, p.Krb5)
		if err != nil {
			return nil, err
		}
		s.Realm = defaultRealm(text)
	}
	return s, s.readMentioned(fsys, path.Dir(cmp.Or(p.HBA, p.Ident, p.Conf)))
}

// readMentioned reads the files that the rules name, and those that they name.
func (s *Server) readMentioned(fsys fs.FS, dir string) error {
	tried := map[string]bool{}
	total := 0
	for {
		wanted, err := oracle.Wanted(&matrix.World{Server: s.Version, HBA: s.HBA, Ident: s.Ident, Files: s.Files})
		if err != nil {
			return err
		}
		before := len(tried)
		for _, w := range wanted {
			if tried[w] {
				continue
			}
			tried[w] = true
			names := []string{w}
			if strings.HasSuffix(w, "/") {
				entries, err := fs.ReadDir(fsys, path.Join(dir, w))
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				names = nil
				for _, e := range entries {
					names = append(names, w+e.Name())
				}
			}
			for _, name := range names {
				text, err := ReadFile(fsys, path.Join(dir, name))
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				if err != nil {
					return err
				}
				s.Files = append(s.Files, matrix.File{Path: name, Text: text})
				switch total += len(text); {
				case len(s.Files) > maxFiles:
					return fmt.Errorf("%s: the rules include more than %d files", name, maxFiles)
				case total > maxTotal:
					return fmt.Errorf("%s: the files that the rules include have more than %d bytes", name, maxTotal)
				}
			}
		}
		if len(tried) == before {
			slices.SortFunc(s.Files, func(a, b matrix.File) int { return strings.Compare(a.Path, b.Path) })
			return nil
		}
	}
}

// readConf reads a postgresql.conf and the files that it includes.
func (s *Server) readConf(fsys fs.FS, name string, depth int) error {
	if depth > 10 {
		return fmt.Errorf("%s: files include one another more than 10 deep", name)
	}
	text, err := ReadFile(fsys, name)
	if err != nil {
		return err
	}
	lines, err := Settings(name, text)
	if err != nil {
		return err
	}
	for _, l := range lines {
		file := path.Join(path.Dir(name), l.Value)
		switch l.Name {
		case "include", "include_if_exists":
			err = s.readConf(fsys, file, depth+1)
			if l.Name == "include_if_exists" && errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		case "include_dir":
			var entries []fs.DirEntry
			entries, err = fs.ReadDir(fsys, file)
			for _, e := range entries {
				if err == nil && strings.HasSuffix(e.Name(), ".conf") && !strings.HasPrefix(e.Name(), ".") {
					err = s.readConf(fsys, path.Join(file, e.Name()), depth+1)
				}
			}
		default:
			s.Conf = append(s.Conf, l)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %s: %w", l.File, l.Line, l.Name, err)
		}
	}
	return nil
}

// ReadFile reads a text that somebody else wrote: a regular file of at most 1 MiB without a byte 0.
func ReadFile(fsys fs.FS, name string) (string, error) {
	info, err := fs.Stat(fsys, name) // before it is opened: to open a FIFO is to wait for its writer
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no regular file", name)
	case info.Size() > maxFile:
		return "", fmt.Errorf("%s has %d bytes; at most %d are read", name, info.Size(), maxFile)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxFile)) // it may have grown
	if i := slices.Index(text, 0); err == nil && i >= 0 {
		return "", fmt.Errorf("%s:%d:1: the file has a byte 0: it is no text", name, strings.Count(string(text[:i]), "\n")+1)
	}
	return string(text), err
}

// defaultRealm is default_realm of a krb5.conf.
func defaultRealm(text string) string {
	for l := range strings.Lines(text) {
		if name, value, ok := strings.Cut(l, "="); ok && strings.TrimSpace(name) == "default_realm" {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}

// setting is the line of postgresql.conf that is in force; ok is false if there is none.
func (s *Server) setting(name string) (l Line, ok bool) {
	for _, l := range slices.Backward(s.Conf) {
		if l.Name == name {
			return l, true
		}
	}
	return Line{}, false
}

// modelled are the settings whose values the oracle reads.
var modelled = []string{"password_encryption", "krb_caseins_users", "ssl_max_protocol_version"}

// World is a world with the server's rules and the settings that the oracle knows, without any role.
func (s *Server) World() matrix.World {
	w := matrix.World{Server: s.Version, SSL: "on", ServerCert: "good", ServerCRL: "none", ServerCA: "right", Keytab: cmp.Or(s.Keytab, "good"), Keytabs: s.Keytabs, HBA: s.HBA, Ident: s.Ident,
		Files: s.Files, Realms: append([]matrix.Realm{{Name: cmp.Or(s.Realm, matrix.DefaultRealm)}}, s.Trusted...), Host: cmp.Or(s.Host, matrix.DefaultHost)}
	if l, ok := s.setting("ssl"); ok {
		if on, ok := truth(l.Value); ok && !on {
			w.SSL = "off"
		}
	} else if len(s.Conf) > 0 {
		w.SSL = "off" // the server's default
	}
	if l, ok := s.setting("ssl_crl_file"); ok && l.Value != "" {
		w.ServerCRL = "right"
	}
	if l, ok := s.setting("ssl_ca_file"); len(s.Conf) > 0 && (!ok || l.Value == "") {
		w.ServerCA = "none"
	}
	w.Settings = append(s.settings(modelled), s.refused(w)...)
	return w
}

// settings are those of the names that postgresql.conf gives.
func (s *Server) settings(names []string) (list []matrix.Setting) {
	for _, name := range names {
		if l, ok := s.setting(name); ok && l.Value != "" {
			list = append(list, l.Setting)
		}
	}
	return list
}

// Refused are the lists of ciphers with which the server does not start. Others decide over no connection of a client that has TLS 1.3.
func (s *Server) Refused() []matrix.Setting { return s.refused(s.World()) }

func (s *Server) refused(w matrix.World) []matrix.Setting {
	if w.Settings = s.settings(oracle.CipherSettings); !oracle.RefusesCiphers(&w) {
		return nil
	}
	return w.Settings
}

// AddFiles adds files that pg_ident.conf names to those of pg_hba.conf.
func (s *Server) AddFiles(files []matrix.File) {
	for _, f := range files {
		if !slices.ContainsFunc(s.Files, func(o matrix.File) bool { return o.Path == f.Path }) {
			s.Files = append(s.Files, f)
		}
	}
	slices.SortFunc(s.Files, func(a, b matrix.File) int { return strings.Compare(a.Path, b.Path) })
}

package classify

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// The messages of a postmaster that loads rules and settings (src/backend/postmaster/postmaster.c, libpq/hba.c, libpq/be-secure-openssl.c, libpq/be-secure-common.c and
// utils/misc/guc-file.l of 13 to 19).
var (
	loadHosts    = regexp.MustCompile(`^could not load file ".*pg_hosts\.conf": loading config from ".*" failed due to parsing error$`) // 19
	loadBegun    = regexp.MustCompile(`^(received SIGHUP, reloading configuration files|starting PostgreSQL .*)$`)
	loadQuiet    = regexp.MustCompile(`^(parameter ".*" changed to "(?s:.*)"|parameter ".*" removed from configuration file, reset to default|could not open file ".*/pg_hosts\.conf": No such file or directory|listening on .*|database system is (ready to accept connections|shut down)|hostssl record cannot match because SSL is disabled)$`)
	loadRefused  = regexp.MustCompile(`^(?:.*/)?(pg_hba|pg_ident)\.conf was not reloaded$`)
	loadFatal    = regexp.MustCompile(`^could not load (?:.*/)?pg_hba\.conf$`)
	loadSkipped  = regexp.MustCompile(`^skipping missing authentication file (".*")$`)
	loadUnopened = regexp.MustCompile(`^could not open file (".*"): No such file or directory$`)
	loadUnknown  = regexp.MustCompile(`^(unrecognized configuration parameter ".*") in file "(.*)" line \d+$`)
	loadUnset    = regexp.MustCompile(`^(configuration file ".*" contains errors(; no changes were applied)?|SSL configuration (was not reloaded|not reloaded, SNI remains (on|off)))$`)
	loadCiphers  = regexp.MustCompile(`^could not set the (cipher list|TLSv1\.2 cipher list|TLSv1\.3 cipher suites) \(no valid ciphers available\)$`)
	loadTLS      = regexp.MustCompile(`^(could not (load (server certificate|private key|root certificate|SSL certificate revocation list)|access private key) file "|private key file ".*" has group or world access$)`)
	loadPlace    = regexp.MustCompile(`^line (\d+) of configuration file "(.*)"`)
)

// loaded is what the postmaster said of the world's files.
type loaded struct {
	words []string // FILE:LINE: MESSAGE of each bad line, and what is wrong with a file for TLS
	kept  bool     // pg_hba.conf was not reloaded: the rules of before are in force
	unset bool     // settings, or files for TLS, were not taken over
	fatal bool     // the server did not start
	begun bool     // the log has the first word of a reload, of a start, or of a start that settings ended before that word
}

// readLoading reads what the postmaster said when it loaded the rules of a world that says how they are loaded.
func (c *classifier) readLoading() error {
	w, e := c.cell.World, c.evidence
	if w.Load == "" {
		if len(e.Load) > 0 || e.Down != "" {
			return fmt.Errorf("there is evidence of how rules were loaded, and the world does not say how they are")
		}
		return nil
	}
	if err := c.checkAcross(); err != nil {
		return err
	}
	l, err := readLoad(e.Load)
	if err != nil {
		return err
	}
	switch {
	case !l.begun:
		return fmt.Errorf("the server's log does not show that it has loaded the world's rules")
	case l.fatal != (e.Down != ""):
		return fmt.Errorf("witnesses contradict: the postmaster could not load the files: %t, and no server runs: %q", l.fatal, e.Down)
	case l.fatal && w.Load != matrix.Restart, (l.kept || l.unset) && w.Load != matrix.Reload:
		return fmt.Errorf("witnesses contradict: with load=%s the postmaster said %q", w.Load, e.Load[len(e.Load)-1].Text)
	case len(l.words) == 0 && (l.fatal || l.kept || l.unset):
		return fmt.Errorf("the postmaster did not load the rules, and did not say why")
	}
	c.loaded = l
	c.outcome.Load = strings.Join(l.words, "; ")
	for _, words := range l.words {
		c.note(byLog, words, "load "+words)
	}
	return nil
}

// LoadWords are what a postmaster logged of the rules that it loaded, without debug messages, in the form of matrix.Outcome.Load.
func LoadWords(lines []matrix.LogLine) ([]string, error) {
	l, err := readLoad(lines)
	return l.words, err
}

func readLoad(lines []matrix.LogLine) (l loaded, err error) {
	missing := mayBeMissing(lines)
	for i := 0; i < len(lines); {
		line, place := lines[i], []string(nil)
		for i++; i < len(lines) && isAppendix(lines[i].Severity); i++ {
			if lines[i].Severity == "CONTEXT" {
				place = loadPlace.FindStringSubmatch(lines[i].Text)
			}
		}
		unopened, unknown := loadUnopened.FindStringSubmatch(line.Text), loadUnknown.FindStringSubmatch(line.Text)
		l.begun = l.begun || loadBegun.MatchString(line.Text)
		switch {
		case loadBegun.MatchString(line.Text), loadQuiet.MatchString(line.Text), loadSkipped.MatchString(line.Text):
		case unopened != nil && missing[unopened[1]]:
		case (loadCiphers.MatchString(line.Text) || loadTLS.MatchString(line.Text) || loadUnset.MatchString(line.Text)) && line.Severity == "FATAL":
			l.fatal, l.begun = true, true
			if !loadUnset.MatchString(line.Text) {
				l.words = append(l.words, withoutDir(line.Text))
			}
		case l.readHosts(line, place):
		case loadUnset.MatchString(line.Text):
			l.unset = true
		case unknown != nil: // the number of the line is that of a file that the harness wrote
			l.words = append(l.words, fileOf(unknown[2])+": "+unknown[1])
		case loadFatal.MatchString(line.Text) && line.Severity == "FATAL":
			l.fatal = true
		case loadRefused.MatchString(line.Text):
			l.kept = l.kept || loadRefused.FindStringSubmatch(line.Text)[1] == "pg_hba"
		case line.Severity != "LOG":
			return l, fmt.Errorf("unrecognised line in the postmaster's log: %s:  %s", line.Severity, line.Text)
		case place != nil:
			l.words = append(l.words, fileOf(place[2])+":"+place[1]+": "+withoutDir(line.Text))
		default:
			l.words = append(l.words, withoutDir(line.Text))
		}
	}
	return l, nil
}

// mayBeMissing are the files that a postmaster looked for and passed over.
func mayBeMissing(lines []matrix.LogLine) map[string]bool {
	missing := map[string]bool{}
	for _, line := range lines {
		if m := loadSkipped.FindStringSubmatch(line.Text); m != nil {
			missing[m[1]] = true
		}
	}
	return missing
}

// readHosts reads a message about pg_hosts.conf, if it is one that ends a start, or the last one of a reload. Its lines before say what is wrong.
func (l *loaded) readHosts(line matrix.LogLine, place []string) bool {
	last := loadHosts.MatchString(line.Text)
	if line.Severity != "FATAL" || !last && (place == nil || fileOf(place[2]) != matrix.HostsFile) {
		return last
	}
	l.fatal, l.begun = true, true
	if place != nil {
		l.words = append(l.words, fileOf(place[2])+":"+place[1]+": "+withoutDir(line.Text))
	}
	return true
}

// withoutDir writes the paths in a message from the configuration directory on, or from that of the files for TLS.
func withoutDir(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, matrix.ConfDir+"/", ""), matrix.ServerDir+"/", "")
}

// fileOf is how outcomes name a configuration file: by its path from the configuration directory on.
func fileOf(name string) string {
	if inside, ok := strings.CutPrefix(name, matrix.ConfDir+"/"); ok {
		return inside
	}
	return name[strings.LastIndex(name, "/")+1:]
}

// checkDown holds an attempt at a server that does not run, and only such an attempt, to have met nobody.
func (c *classifier) checkDown() error {
	down := c.evidence.Down != ""
	if c.cell.Client.IsOpenedBefore() { // a server ran when it was begun
		return nil
	}
	if down && (len(c.connections) > 0 || c.evidence.Client.Connected) {
		return fmt.Errorf("witnesses contradict: no server runs (%s), and there is a connection", c.evidence.Down)
	}
	reached := c.outcome.Stage != matrix.StageOptions && c.outcome.Stage != matrix.StageCredentials
	if c.cell.World.Load != "" && reached && down != (c.outcome.Reason == matrix.DialRefused) {
		return fmt.Errorf("witnesses contradict: the attempt ended with %s, and no server runs: %q", c.outcome.Reason, c.evidence.Down)
	}
	return nil
}

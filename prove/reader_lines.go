package prove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle/corpus"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

// readerNames is the file of the names that the server resolves.
const readerNames = "/tmp/names.json"

// surround gives the server's container the networks and names of the corpus. Connections come from the container itself: every address of the
// networks is its own, but the server's interface has one of them alone.
func (r *Reader) surround(ctx context.Context) error {
	w := &matrix.World{Networks: corpus.Networks}
	var n agent.Network
	for _, i := range w.ServerInterfaces() {
		n.Addresses = append(n.Addresses, i.String())
	}
	for _, p := range corpus.Networks {
		n.Local = append(n.Local, p.String())
	}
	if err := r.conn.Network(ctx, n); err != nil {
		return err
	}
	names := agent.HostNames{Reverse: map[string]string{}, Forward: map[string][]string{}}
	for _, a := range corpus.Names {
		names.Reverse[a.Address.String()] = a.Reverse
		if a.Forward != "" {
			names.Forward[a.Forward] = append(names.Forward[a.Forward], a.Address.String())
		}
	}
	text, err := json.Marshal(names)
	if err != nil {
		return err
	}
	if err := r.conn.Write(ctx, agent.Write{Path: readerNames, Data: text, Mode: 0o600}); err != nil {
		return err
	}
	return r.conn.Resolve(ctx, agent.Resolve{Path: readerNames})
}

// addRoles makes the roles of the corpus.
func (r *Reader) addRoles(ctx context.Context) error {
	quoted := func(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
	for _, role := range corpus.Roles {
		statement := "CREATE ROLE " + quoted(role.Name) + " LOGIN"
		for _, in := range role.In {
			statement += " IN ROLE " + quoted(in)
		}
		if _, err := r.rows(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// withoutSSL switches ssl off. From then on the server is asked for Views alone: a reload ends with other words.
func (r *Reader) withoutSSL(ctx context.Context) error {
	for _, statement := range []string{"ALTER SYSTEM SET ssl = off", "SELECT pg_reload_conf()"} {
		if _, err := r.rows(ctx, statement); err != nil {
			return err
		}
	}
	for range 600 {
		ssl, err := r.rows(ctx, "SELECT current_setting('ssl'), pg_sleep(0.05)")
		if err != nil || *ssl[0][0] == "off" {
			return err
		}
	}
	return errors.New("ssl stays on")
}

// Lines are the lines that decide for the connections of each case, when each method is password; none for a case that then does not load.
func (r *Reader) Lines(ctx context.Context, cases []corpus.Case) ([][]string, error) {
	lines := make([][]string, len(cases))
	for i := range cases {
		asked := cases[i].Asked()
		logs, err := r.Logs(ctx, []corpus.Case{asked})
		if err == nil && len(logs[0]) == 0 {
			lines[i], err = r.decided(ctx, cases[i].Connections())
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cases[i].Name, err)
		}
	}
	return lines, nil
}

// decided opens connections under the rules in force.
func (r *Reader) decided(ctx context.Context, connections []corpus.Connection) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readerTimeout, fmt.Errorf("no answer within %s", readerTimeout))
	defer cancel()
	place, err := r.rows(ctx, "SELECT (pg_stat_file('"+pgimages.LogFile+"')).size")
	if err != nil {
		return nil, err
	}
	knocks := make([]agent.Knock, len(connections))
	for i, k := range connections {
		knocks[i] = agent.Knock{Server: "127.0.0.1:5432", From: k.Address, User: k.User, Database: k.Database, Physical: k.Physical}
		if k.Address == "" {
			knocks[i].Server = pgimages.SocketDir
		}
	}
	states, err := r.conn.Knock(ctx, knocks...)
	if err != nil {
		return nil, err
	}
	said, err := r.rows(ctx, "SELECT pg_read_file('"+pgimages.LogFile+"', "+*place[0][0]+", 10000000)")
	if err != nil {
		return nil, err
	}
	return readDecided(connections, states, *said[0][0])
}

// matched is the detail of a password that is wrong (auth.c, auth_failed). It names no file before 16: there is one then.
var matched = regexp.MustCompile(`Connection matched (?:file "` + matrix.ConfDir + `/([^"\n]*)"|(pg_hba\.conf)) line ([0-9]+): "`)

// readDecided reads the log of connections, which were opened one after the other. Each that was not let in has one message, of severity FATAL.
func readDecided(connections []corpus.Connection, states []string, said string) (lines []string, err error) {
	messages := strings.Split(said, readerPrefix+"FATAL:  ")[1:]
	for i, k := range connections {
		if states[i] == "" {
			lines = append(lines, k.Decided("let in"))
			continue
		}
		if len(messages) == 0 {
			return nil, fmt.Errorf("the log does not say why %s is refused: %q", k.Decided(states[i]), said)
		}
		message, _, _ := strings.Cut(messages[0], "\n")
		line := corpus.NoLine
		m := matched.FindStringSubmatch(messages[0])
		switch {
		case m != nil:
			line = m[1] + m[2] + ":" + m[3]
		case !strings.HasPrefix(message, "no pg_hba.conf entry for "):
			line = states[i] + " " + message
		}
		if database := `database "` + k.Database + `"`; !strings.Contains(message, `"`+k.User+`"`) && !strings.Contains(message, database) {
			return nil, fmt.Errorf("the log of %s is that of another connection: %q", k.Decided(""), message)
		}
		lines, messages = append(lines, k.Decided(line)), messages[1:]
	}
	if len(messages) > 0 {
		return nil, fmt.Errorf("the log has more than the connections that were opened: %q", said)
	}
	return lines, nil
}

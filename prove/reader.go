package prove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/classify"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/oracle/corpus"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

// Reader is a real server that is asked how it reads configuration files, and which line decides. One session asks: it writes the
// files, and the views read them anew each time. A Reader is used by one goroutine at a time.
type Reader struct {
	version int
	network *pgimages.Network
	conn    *agent.Conn
	dirty   bool // there are further files
}

// Unavailable says that there is no image of a server.
type Unavailable struct{ Image, Why string }

func (u *Unavailable) Error() string { return "image " + u.Image + " is unavailable: " + u.Why }

// readerTimeout bounds the start of a reader, which takes about a second, and one batch.
const readerTimeout = 5 * time.Minute

// NewReader starts a server of a version, with ssl. What is made carries the label of the run.
func NewReader(ctx context.Context, version int, runID string) (_ *Reader, err error) {
	ctx, cancel := context.WithTimeout(ctx, readerTimeout)
	defer cancel()
	images, err := pgimages.Ensure(ctx, []pgimages.Spec{pgimages.Server(version)}, nil)
	if err != nil {
		return nil, err
	}
	if images[0].Unavailable != "" {
		return nil, &Unavailable{images[0].Name, images[0].Unavailable}
	}
	r := &Reader{version: version}
	if r.network, err = pgimages.NewNetwork(ctx, runID); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("PostgreSQL %d: %w", version, err), r.Close())
		}
	}()
	var args []string
	for _, setting := range []string{"fsync=off", "autovacuum=off", "log_checkpoints=off", "log_line_prefix=" + readerPrefix, "lc_messages=C"} {
		args = append(args, "-c", setting)
	}
	c, err := pgimages.Start(ctx, pgimages.StartSpec{Image: images[0].Tag, RunID: runID, Network: r.network, NetAdmin: true, Hostname: "reader.example.test", Args: args})
	if err != nil {
		return nil, err
	}
	engine, err := pgimages.Engine(ctx)
	if err != nil {
		return nil, err
	}
	if r.conn, err = agent.Start(ctx, engine, c.ID); err != nil {
		return nil, err
	}
	// What makes many small files must not do so on the image's storage driver, where each costs some milliseconds.
	moved, err := r.conn.Run(ctx, agent.Run{Argv: []string{"sh", "-c", "cp -a " + matrix.ConfDir + " /tmp/conf && rm -r " + matrix.ConfDir + " && ln -s /tmp/conf " + matrix.ConfDir}})
	if err != nil {
		return nil, err
	}
	if moved.Exit != 0 {
		return nil, fmt.Errorf("moving %s: %s", matrix.ConfDir, moved.Stderr)
	}
	if err := r.surround(ctx); err != nil {
		return nil, err
	}
	// The server has no certificate: each reload ends with the words of sslNotReloaded, and the records of hostssl are those of a server with ssl.
	for _, statement := range []string{"ALTER SYSTEM SET ssl = on", "ALTER SYSTEM SET ssl_cert_file = '/none'", writeFunction, readFunction(version), reloadFunction, "SELECT pgam_reload('', '')"} {
		if _, err := r.rows(ctx, statement); err != nil {
			return nil, err
		}
	}
	return r, r.addRoles(ctx)
}

// Close removes the server.
func (r *Reader) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), readerTimeout)
	defer cancel()
	if r.conn != nil {
		_ = r.conn.Close() // the container's end is the agent's
	}
	return r.network.Remove(ctx)
}

const (
	readerPrefix   = "pgam:"
	sslNotReloaded = "SSL configuration was not reloaded"
)

// writeFunction writes the two files.
const writeFunction = `
CREATE FUNCTION pgam_write(hba bytea, ident bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE o oid; name text; content bytea;
BEGIN
	FOR name, content IN VALUES ('` + matrix.HBAFile + `', hba), ('` + matrix.IdentFile + `', ident) LOOP
		o := lo_from_bytea(0, content);
		PERFORM lo_export(o, '` + matrix.ConfDir + `/' || name), lo_unlink(o);
	END LOOP;
END $$`

// readFunction gives the rows of the views, each as the JSON of its columns.
func readFunction(version int) string {
	ruleFile, ruleNumber, mapFile, mapNumber := "'"+matrix.HBAFile+"'", "NULL", "'"+matrix.IdentFile+"'", "NULL"
	if version >= 16 {
		ruleFile, ruleNumber, mapFile, mapNumber = "file_name", "rule_number", "file_name", "map_number"
	}
	mappings := ""
	if version >= 15 {
		mappings = "RETURN QUERY SELECT json_build_array('map', " + mapFile + ", line_number, " + mapNumber + ", map_name, sys_name, pg_username, error)::text FROM pg_ident_file_mappings();"
	}
	return `
CREATE FUNCTION pgam_read(hba bytea, ident bytea) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pgam_write(hba, ident);
	RETURN QUERY SELECT json_build_array('rule', ` + ruleFile + `, line_number, ` + ruleNumber + `, type, database, user_name, address, netmask, auth_method, options, error)::text FROM pg_hba_file_rules();
	` + mappings + `
EXCEPTION WHEN OTHERS THEN
	RETURN NEXT json_build_array('fault', SQLERRM)::text;
END $$`
}

// reloadFunction gives what the server logs of a reload.
const reloadFunction = `
CREATE FUNCTION pgam_reload(hba bytea, ident bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE place bigint; said text;
BEGIN
	PERFORM pgam_write(hba, ident);
	place := (pg_stat_file('` + pgimages.LogFile + `')).size;
	PERFORM pg_reload_conf();
	FOR i IN 1..60000 LOOP
		said := pg_read_file('` + pgimages.LogFile + `', place, 10000000);
		IF said LIKE '%` + sslNotReloaded + `' || chr(10) THEN
			RETURN said;
		END IF;
		PERFORM pg_sleep(0.0005);
	END LOOP;
	RAISE 'the log of a reload does not end: %', said;
END $$`

// Views are the rows that the server's views have of each case.
func (r *Reader) Views(ctx context.Context, cases []corpus.Case) ([]corpus.Answer, error) {
	rows, err := r.each(ctx, "pgam_read", cases)
	if err != nil {
		return nil, err
	}
	answers := make([]corpus.Answer, len(cases))
	number := 0
	for _, row := range rows {
		i, err := strconv.Atoi(*row[0])
		if err != nil || i >= len(cases) || row[1] == nil {
			return nil, fmt.Errorf("a row of the views is of no case: %q", *row[0])
		}
		a := &answers[i]
		if len(a.Rules)+len(a.Mappings) == 0 {
			number = 0
		}
		if err := r.readRow(*row[1], a, &number); err != nil {
			return nil, fmt.Errorf("%s: %w", cases[i].Name, err)
		}
	}
	return answers, nil
}

// readRow adds a row to the answer; number is how many rows of its view have been numbered.
func (r *Reader) readRow(text string, a *corpus.Answer, number *int) error {
	var columns []json.RawMessage
	if err := json.Unmarshal([]byte(text), &columns); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	var kind, file, message string
	var line int
	var numbered *int
	into := func(i int, value any) {
		if i < len(columns) && string(columns[i]) != "null" {
			if err := json.Unmarshal(columns[i], value); err != nil {
				message = err.Error() // no error of a server's has these words
			}
		}
	}
	into(0, &kind)
	into(1, &file)
	if kind == "fault" {
		a.Rules = append(a.Rules, "fault: "+file)
		return nil
	}
	into(2, &line)
	into(3, &numbered)
	file, message = strings.TrimPrefix(file, matrix.ConfDir+"/"), ""
	into(len(columns)-1, &message)
	message = withoutDir(message)
	if kind == "map" && len(a.Mappings) == 0 {
		*number = 0
	}
	if r.version >= 16 && message == "" {
		*number++
		if numbered == nil || *numbered != *number {
			return fmt.Errorf("row %d of its view is numbered otherwise: %s", *number, text)
		}
	}
	if kind == "map" {
		row := oracle.FileMapping{File: file, Line: line, Error: message}
		if string(columns[4]) != "null" {
			row.Columns = make([]string, 3)
			for i := range row.Columns {
				into(4+i, &row.Columns[i])
			}
		}
		a.Mappings = append(a.Mappings, row.String())
		return nil
	}
	row := oracle.FileRule{File: file, Line: line, Error: message}
	into(4, &row.Type)
	into(5, &row.Databases)
	into(6, &row.Users)
	into(7, &row.Address)
	into(8, &row.Mask)
	into(9, &row.Method)
	into(10, &row.Options)
	a.Rules = append(a.Rules, row.String())
	return nil
}

// Logs are what the server's postmaster logs of each case, in the form of matrix.Outcome.Load.
func (r *Reader) Logs(ctx context.Context, cases []corpus.Case) ([][]string, error) {
	rows, err := r.each(ctx, "pgam_reload", cases)
	if err != nil {
		return nil, err
	}
	if len(rows) != len(cases) {
		return nil, fmt.Errorf("%d cases were reloaded, %d were asked for", len(rows), len(cases))
	}
	logs := make([][]string, len(cases))
	for i, row := range rows {
		if logs[i], err = readReload(*row[1]); err != nil {
			return nil, fmt.Errorf("%s: %w", cases[i].Name, err)
		}
	}
	return logs, nil
}

// readReload reads the log of a reload.
func readReload(said string) ([]string, error) {
	var lines []matrix.LogLine
	for text := range strings.SplitSeq(strings.TrimSuffix(said, "\n"), "\n") {
		message, begins := strings.CutPrefix(text, readerPrefix)
		severity, message, told := strings.Cut(message, ":  ")
		switch {
		case begins && told:
			lines = append(lines, matrix.LogLine{Severity: severity, Text: message})
		case !begins && strings.HasPrefix(text, "\t") && len(lines) > 0:
			lines[len(lines)-1].Text += "\n" + text[1:]
		default:
			return nil, fmt.Errorf("unrecognised line in the log of a reload: %q", text)
		}
	}
	lines = slices.DeleteFunc(lines, func(l matrix.LogLine) bool {
		return l.Text == sslNotReloaded || strings.HasPrefix(l.Text, "could not load server certificate file ")
	})
	return classify.LoadWords(lines)
}

// each calls a function for every case, in their order. Those without further files that follow one another are one statement.
func (r *Reader) each(ctx context.Context, function string, cases []corpus.Case) (rows [][]*string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readerTimeout, fmt.Errorf("no answer within %s", readerTimeout))
	defer cancel()
	for first := 0; first < len(cases); {
		end := first + 1
		for len(cases[first].Files) == 0 && end < len(cases) && len(cases[end].Files) == 0 {
			end++
		}
		if err := r.further(ctx, cases[first].Files); err != nil {
			return nil, err
		}
		var b strings.Builder
		for i := first; i < end; i++ {
			fmt.Fprintf(&b, `, (%d, '\x%x'::bytea, '\x%x'::bytea)`, i, cases[i].HBA, cases[i].Ident)
		}
		more, err := r.rows(ctx, "SELECT n, a FROM (VALUES "+b.String()[2:]+") AS c(n, hba, ident), LATERAL "+function+"(hba, ident) AS a")
		if err != nil {
			return nil, err
		}
		rows, first = append(rows, more...), end
	}
	// Each case leaves dead rows: without this, writing would become slower and slower.
	_, err = r.rows(ctx, "VACUUM pg_largeobject, pg_largeobject_metadata")
	return rows, err
}

// further replaces the files besides pg_hba.conf and pg_ident.conf.
func (r *Reader) further(ctx context.Context, files []matrix.File) error {
	if r.dirty {
		if err := r.conn.Remove(ctx, agent.Remove{Dir: matrix.ConfDir, Keep: []string{matrix.ConfigFile, matrix.HBAFile, matrix.IdentFile}}); err != nil {
			return err
		}
	}
	r.dirty = len(files) > 0
	for _, f := range files {
		if err := r.conn.Write(ctx, agent.Write{Path: path.Join(matrix.ConfDir, f.Path), Data: []byte(f.Text), Mode: 0o600, UID: pgimages.UID, GID: pgimages.GID}); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reader) rows(ctx context.Context, statement string) ([][]*string, error) {
	result, err := r.conn.SQL(ctx, agent.SQL{Conninfo: "host=" + pgimages.SocketDir + " user=postgres dbname=postgres", Statement: statement})
	if err == nil && result.Error != "" {
		err = errors.New(result.Error)
	}
	if err == nil && len(result.Rows) == 0 {
		err = errors.New("no result")
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL %d: %w", r.version, err)
	}
	return result.Rows[len(result.Rows)-1], nil
}

// Ask is what the server makes of each case: the rows of its views, what it logs when it reloads, and the lines that decide.
func (r *Reader) Ask(ctx context.Context, cases []corpus.Case) ([]corpus.Answer, error) {
	if len(cases) == 0 {
		return nil, nil
	}
	answers, err := r.Views(ctx, cases)
	if err != nil {
		return nil, err
	}
	logs, err := r.Logs(ctx, cases)
	if err != nil {
		return nil, err
	}
	lines, err := r.Lines(ctx, cases)
	if err != nil {
		return nil, err
	}
	for i := range answers {
		answers[i].Log, answers[i].Lines = logs[i], lines[i]
	}
	return answers, nil
}

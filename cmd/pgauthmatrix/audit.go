package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/cases"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/playground"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
)

// serverFiles are the flags that name a server's own files.
type serverFiles struct {
	hba, ident, conf, krb5 string
	server                 int
}

func (f *serverFiles) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.ident, "ident", "", "the server's pg_ident.conf; otherwise it has no maps")
	cmd.Flags().StringVar(&f.conf, "conf", "", "the server's postgresql.conf; otherwise ssl = on is taken for granted")
	cmd.Flags().StringVar(&f.krb5, "krb5", "", "the server's krb5.conf, for its default realm")
	newest, _ := matrix.AxisByName("server")
	version, _ := strconv.Atoi(newest.Default)
	cmd.Flags().IntVar(&f.server, "server", version, "major `VERSION` of the server")
}

// read reads the files from disk. Files that they include are looked for below the directory of pg_hba.conf, and nowhere else.
func (f *serverFiles) read() (*audit.Server, error) {
	if !slices.Contains(matrix.ServerVersions, f.server) {
		return nil, fmt.Errorf("--server %d: want one of %v", f.server, matrix.ServerVersions)
	}
	s := &audit.Server{Version: f.server}
	for _, part := range []struct {
		path string
		set  func(*audit.Paths, string)
		take func(*audit.Server)
	}{
		{f.hba, func(p *audit.Paths, name string) { p.HBA = name }, func(from *audit.Server) { s.HBA, s.Files = from.HBA, from.Files }},
		{f.ident, func(p *audit.Paths, name string) { p.Ident = name }, func(from *audit.Server) { s.Ident = from.Ident; s.AddFiles(from.Files) }},
		{f.conf, func(p *audit.Paths, name string) { p.Conf = name }, func(from *audit.Server) { s.Conf = from.Conf }},
		{f.krb5, func(p *audit.Paths, name string) { p.Krb5 = name }, func(from *audit.Server) { s.Realm = from.Realm }},
	} {
		if part.path == "" {
			continue
		}
		folder, err := os.OpenRoot(filepath.Dir(part.path)) // a name that leads out of it is no file of the server's
		if err != nil {
			return nil, err
		}
		var paths audit.Paths
		part.set(&paths, filepath.Base(part.path))
		from, err := audit.ReadServer(folder.FS(), paths, f.server)
		_ = folder.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Dir(part.path), err)
		}
		part.take(from)
	}
	return s, nil
}

// question are the flags of a question about a server's files.
type question struct {
	serverFiles
	audit.Question
	library, cert string
	whyNot        bool
}

func (q *question) flags(cmd *cobra.Command) {
	q.serverFiles.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&q.hba, "hba", "", "a server's own pg_hba.conf: the argument is then a connection string of libpq")
	f.StringVar(&q.From, "from", "", "the client's `ADDRESS`")
	f.StringVar(&q.library, "client", "", "the `CLIENT`, as docs/scenarios.md names them; default: the newest libpq")
	f.StringVar(&q.OSUser, "os-user", "", "over a socket: the operating system `ACCOUNT` of the client; default: the role's name")
	f.StringVar(&q.Ticket, "ticket", "", "the client has a valid Kerberos ticket of this `PRINCIPAL`, NAME@REALM")
	f.StringVar(&q.cert, "cert", "", "the client's certificate, a `FILE` in PEM")
	f.BoolVar(&q.Password, "password", false, "the client knows the role's password")
	f.BoolVar(&q.whyNot, "why-not", false, "name the smallest changes that would let the connection in, and what else they would admit")
}

// explain answers the question.
func (q *question) explain(out io.Writer, conninfo string) error {
	server, err := q.read()
	if err != nil {
		return err
	}
	q.Conninfo, q.Library = conninfo, matrix.Library(q.library)
	if q.cert != "" {
		text, err := os.ReadFile(q.cert)
		if err != nil {
			return err
		}
		if q.Cert, err = cases.Certificate(text); err != nil {
			return fmt.Errorf("--cert %s: %w", q.cert, err)
		}
	}
	answer, err := server.Ask(q.Question)
	if wrong := (*oracle.RulesError)(nil); errors.As(err, &wrong) {
		return fmt.Errorf("PostgreSQL %d does not load these rules; a start fails, a reload leaves those of before in force:\n%w", q.server, wrong)
	}
	if err != nil {
		return err
	}
	var changes []audit.Change
	if q.whyNot {
		if changes, err = answer.WhyNot(); err != nil {
			return err
		}
	}
	title := fmt.Sprintf("PostgreSQL %d  %s", q.server, conninfo)
	if q.From != "" {
		title += "  from " + q.From
	}
	return reports.ExplainFiles(out, title, answer, changes, options())
}

func auditCommand() *cobra.Command {
	var f serverFiles
	var format, baseline string
	cmd := &cobra.Command{
		Use:   "audit PG_HBA_CONF",
		Short: "Say who gets in by a server's own rules, and what is wrong with them, without a server",
		Long: `Say who gets in by each record of a pg_hba.conf, over which channel and with what, and what is wrong with the rules: records that never decide, maps
that let anybody in, plaintext that a client falls back to. docs/findings.md describes every finding.

  pgauthmatrix audit /etc/postgresql/17/main/pg_hba.conf --ident /etc/postgresql/17/main/pg_ident.conf --server 17

Exit status: 0 no finding, or notes only; 1 a warning or an error; 2 bad input.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.hba = args[0]
			server, err := f.read()
			if err != nil {
				return err
			}
			report, err := server.Audit()
			if err != nil {
				return err
			}
			accepted, err := accept(report, baseline)
			if err != nil {
				return err
			}
			switch format {
			case "text":
				err = reports.AuditText(cmd.OutOrStdout(), report, accepted, options())
			case "json":
				err = reports.AuditJSON(cmd.OutOrStdout(), report)
			case "sarif":
				dir := ""
				if d := filepath.ToSlash(filepath.Dir(f.hba)); d != "." {
					dir = strings.TrimSuffix(d, "/") + "/"
				}
				err = reports.SARIF(cmd.OutOrStdout(), report, dir)
			default:
				return fmt.Errorf("--format %q: want text, json or sarif", format)
			}
			if err == nil && slices.ContainsFunc(report.Findings, func(f audit.Finding) bool { return f.Level != audit.LevelNote }) {
				err = errNotGreen
			}
			return err
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "text, json or sarif")
	cmd.Flags().StringVar(&baseline, "baseline", "", "a `FILE` that audit --format json wrote: its findings are accepted")
	return cmd
}

// accept removes the findings that a baseline has, and counts them.
func accept(report *audit.Report, baseline string) (accepted int, err error) {
	if baseline == "" {
		return 0, nil
	}
	text, err := os.ReadFile(baseline)
	if err != nil {
		return 0, err
	}
	var known struct {
		Findings []struct {
			Key string `json:"key"`
		} `json:"findings"`
	}
	if err := json.Unmarshal(text, &known); err != nil {
		return 0, fmt.Errorf("--baseline %s: %w; want a file that audit --format json wrote", baseline, err)
	}
	before := len(report.Findings)
	for _, k := range known.Findings {
		if k.Key == "" {
			return 0, fmt.Errorf("--baseline %s: a finding has no key; want a file that audit --format json wrote", baseline)
		}
		report.Findings = slices.DeleteFunc(report.Findings, func(f audit.Finding) bool { return f.Key() == k.Key })
	}
	return before - len(report.Findings), nil
}

func diffRulesCommand() *cobra.Command {
	var before, after serverFiles
	var newIdent string
	cmd := &cobra.Command{
		Use:   "diff-rules OLD_HBA NEW_HBA",
		Short: "Say who gets in by new rules and did not by old ones, and the reverse",
		Long: `Say which connections a new pg_hba.conf admits that the old one does not, and the reverse. Every kind of connection that the two files tell apart is
asked about, with every credential.

Exit status: 0 nobody gets in who did not before; 1 somebody does; 2 bad input.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			before.hba = args[0]
			after = before
			after.hba = args[1]
			if newIdent != "" {
				after.ident = newIdent
			}
			old, err := before.read()
			if err != nil {
				return err
			}
			changed, err := after.read()
			if err != nil {
				return err
			}
			list, err := audit.Compare(old, changed)
			if err != nil {
				return err
			}
			if err = reports.DifferencesText(cmd.OutOrStdout(), list, options()); err == nil && slices.ContainsFunc(list, func(d audit.Difference) bool { return d.Admitted }) {
				err = errNotGreen
			}
			return err
		},
	}
	before.flags(cmd)
	cmd.Flags().StringVar(&newIdent, "new-ident", "", "the new pg_ident.conf; otherwise both have that of --ident")
	return cmd
}

func playgroundCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "playground",
		Short: "Write a page on which rules are tried in the browser",
		Long:  "Write one page on which rules and connections are tried as you type. The oracle is part of the page: it works from a file, and nothing leaves the browser.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var page bytes.Buffer
			if err := playground.Write(&page); err != nil {
				return err
			}
			if err := os.WriteFile(to, page.Bytes(), 0o644); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %.1f MB\n", to, float64(page.Len())/1e6)
			return nil
		},
	}
	cmd.Flags().StringVarP(&to, "output", "o", "playground.html", "the `FILE` to write")
	return cmd
}

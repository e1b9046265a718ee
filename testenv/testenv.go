// Package testenv gives a test of another project a Kerberos realm and a PostgreSQL server that accepts its tickets, in containers, for as long as
// the test runs:
//
//	env := testenv.Start(t, testenv.Options{
//		Server: 17, HBA: "hostgssenc all all all gss include_realm=0", Principals: []string{"alice"},
//	})
//	config, err := pgx.ParseConfig(env.DSN("alice"))
//
// It needs a Docker engine, and the go command when the test runs. The first test on a machine builds the images, which takes minutes; later
// ones take seconds. Principals, keys, certificates and passwords are made at run time and vanish with the test.
//
// The server and the KDC are reached through ports that are published on the loopback address of the engine's host, under the name localhost. See View for
// programs in containers.
//
// Within a major version of the module, exported names keep their meaning, and fields are only added.
package testenv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

// Options say what the test needs. Only HBA has to be given.
type Options struct {
	Server       int               // major version of PostgreSQL; 0: DefaultServer
	HBA          string            // pg_hba.conf, byte for byte
	Ident        string            // pg_ident.conf
	Settings     map[string]string // further lines of postgresql.conf
	Realm        string            // empty: EXAMPLE.TEST
	Principals   []string          // without the realm; each has a ticket and a keytab
	Roles        []Role            // those that can log in; nil: one for each principal without a slash
	Certificates []string          // common names of client certificates
	Container    string            // ID or name of the container that the test runs in, on the same engine; empty: it runs on the engine's host
	Progress     func(line string) // told what is done, a line each; nil: Start logs it, New does not
}

// DefaultServer is the version of Options that do not say.
const DefaultServer = 17

// Role is a role that can log in. It owns nothing; see Env.Exec.
type Role struct {
	Name     string
	Password bool // it has one, stored as a SCRAM verifier; View.DSN has it
}

// Env is a running realm with a server. The methods of its View are for the test itself.
type Env struct {
	View
	env     *fixtures.Env
	options Options
	dir     string
}

// Start provisions an environment and removes it when the test ends. What is wrong with the options, or cannot be provisioned, fails the
// test. If the test fails, the logs of the server and the KDC are logged.
func Start(t testing.TB, o Options) *Env {
	t.Helper()
	if o.Progress == nil {
		o.Progress = func(line string) { t.Log("testenv:", line) }
	}
	e, err := New(t.Context(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if t.Failed() {
			logs, err := e.Logs(ctx)
			t.Logf("testenv: logs (%v):\n%s", err, logs)
		}
		if err := e.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return e
}

// New is Start for a program that has no testing.TB, as TestMain. It writes its files into dir, which the caller makes and removes. When it fails or
// ctx ends, it leaves no container. What a program leaves that did not call Close is removed by the next New.
func New(ctx context.Context, dir string, o Options) (*Env, error) {
	world, err := o.world()
	if err != nil {
		return nil, fmt.Errorf("testenv: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("testenv: %w", err)
	}
	if err := sweep(ctx); err != nil {
		return nil, fmt.Errorf("testenv: %w", err)
	}
	plan := fixtures.Plan{World: world, Worlds: []*matrix.World{world}, Open: true, RunID: "testenv-" + strings.ToLower(rand.Text()), Dir: filepath.Join(dir, "provision"), Progress: o.Progress}
	for _, p := range o.Principals {
		plan.Tickets = append(plan.Tickets, fixtures.Ticket{Principal: p})
	}
	for _, name := range o.Certificates {
		cert := clientCertificate(world, name)
		plan.Certs = append(plan.Certs, cert)
		plan.Keys = append(plan.Keys, fixtures.ClientKey{Certificate: cert.Digest(), Form: matrix.KeyForms[0]})
	}
	env, err := fixtures.Provision(ctx, plan)
	if err != nil {
		return nil, fmt.Errorf("testenv: %w", err)
	}
	e := &Env{env: env, options: o, dir: dir}
	if err := e.begin(ctx, world); err != nil {
		return nil, fmt.Errorf("testenv: %w", errors.Join(err, env.Close(ctx)))
	}
	return e, nil
}

// begin brings the server under the world, and writes the files of the views.
func (e *Env) begin(ctx context.Context, world *matrix.World) error {
	if err := e.env.Install(ctx, world); err != nil {
		return err
	}
	if err := e.env.Export(e.dir); err != nil {
		return err
	}
	for name, text := range map[string]string{outsideConf: e.env.OutsideKRB5Conf(localhost), insideConf: e.env.InsideKRB5Conf()} {
		if err := os.WriteFile(filepath.Join(e.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	e.View = View{env: e, dir: e.dir, host: localhost, port: e.env.Published().Port(), krb5Conf: outsideConf}
	if e.options.Container != "" {
		if err := e.env.Connect(ctx, e.options.Container); err != nil {
			return fmt.Errorf("Options.Container: %w", err)
		}
		e.View = e.Inside(e.dir)
	}
	return nil
}

// sweep removes what dead processes left, once in a process.
func sweep(ctx context.Context) error {
	sweeping.Lock()
	defer sweeping.Unlock()
	if swept {
		return nil
	}
	_, err := pgimages.Sweep(ctx)
	swept = err == nil
	return err
}

var (
	sweeping sync.Mutex
	swept    bool
)

// Inside is the environment as a container on Network sees it that has Dir under this path: the server under its own name and port.
func (e *Env) Inside(dir string) View {
	return View{env: e, dir: dir, host: matrix.DefaultHost, port: 5432, krb5Conf: insideConf}
}

// Network is the engine's name of the network with the server and the KDC.
func (e *Env) Network() string { return e.env.NetworkName() }

// Dir has the files of the environment, for their owner to read.
func (e *Env) Dir() string { return e.dir }

// Exec executes a statement as a superuser, in a session that pg_hba.conf does not concern: to make tables, to grant privileges.
func (e *Env) Exec(ctx context.Context, statement string) error { return e.env.Exec(ctx, statement) }

// Logs are the server's log, without debug messages, and then that of the KDC.
func (e *Env) Logs(ctx context.Context) (string, error) {
	server, err := e.env.ServerLog(ctx)
	if err != nil {
		return "", err
	}
	kdc, err := e.env.KDCLog(ctx)
	return server + kdc, err
}

// Close removes the containers, also when ctx has ended. Closing twice is harmless.
func (e *Env) Close(ctx context.Context) error { return e.env.Close(ctx) }

// Package interop_test connects gssenc to real PostgreSQL servers and a real MIT KDC, in containers made for the run. Without a
// container engine its tests fail.
package interop_test

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgauthmatrix/pgauthmatrix/gssenc"
	"github.com/pgauthmatrix/pgauthmatrix/kdc"
	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

// versions are the servers that are connected to.
var versions = []int{13, 15, 17, 18}

const realm = "EXAMPLE.TEST"

// enctypes are those of RFC 3962 and RFC 8009; the service etN.example.test has keys of etype N alone.
var enctypes = map[int]string{17: "aes128-cts-hmac-sha1-96", 18: "aes256-cts-hmac-sha1-96", 19: "aes128-cts-hmac-sha256-128", 20: "aes256-cts-hmac-sha384-192"}

// hba gives every question a role of its own, so that one set of rules serves all.
const hba = `local      all postgres  trust
hostgssenc all alice     all gss include_realm=0
hostgssenc all bob       all gss include_realm=0
hostgssenc all gsstrust  all trust
hostgssenc all gsspw     all scram-sha-256
hostssl    all sslonly   all trust
hostgssenc all plainonly all reject
hostssl    all plainonly all reject
host       all plainonly all trust
hostnogssenc all gssauth all gss include_realm=0 map=any
host       all anyway    all trust
`

// world is a realm with a server of every version.
type world struct {
	dir     string // of krb5.conf and what was made at run time
	network *pgimages.Network
	realm   kdc.Realm
	servers map[int]*pgimages.Running
}

var (
	made    world
	makeErr error
	making  sync.Once
)

func TestMain(m *testing.M) {
	code := m.Run()
	if made.realm != nil {
		_ = made.realm.Close(context.Background()) // the network takes along what is left
	}
	if made.network != nil {
		if err := made.network.Remove(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	_ = os.RemoveAll(made.dir)
	os.Exit(code)
}

func theWorld(t testing.TB) *world {
	t.Helper()
	livetest.NeedsContainers(t)
	making.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		makeErr = made.start(ctx)
	})
	if makeErr != nil {
		t.Fatal(makeErr)
	}
	return &made
}

func (w *world) start(ctx context.Context) (err error) {
	if w.dir, err = os.MkdirTemp("", "gssenc-interop-"); err != nil {
		return err
	}
	specs := []pgimages.Spec{pgimages.KDC()}
	for _, v := range versions {
		specs = append(specs, pgimages.Server(v))
	}
	images, err := pgimages.Ensure(ctx, specs, nil)
	if err != nil {
		return err
	}
	for _, i := range images {
		if i.Unavailable != "" {
			return fmt.Errorf("image %s is unavailable: %s", i.Name, i.Unavailable)
		}
	}
	const run = "gssenc-interop"
	if w.network, err = pgimages.NewNetwork(ctx, run); err != nil {
		return err
	}
	labels, err := pgimages.Labels(run)
	if err != nil {
		return err
	}
	spec := kdc.Spec{
		Realm:      realm,
		Principals: []kdc.Principal{{Name: "alice", Password: true}, {Name: "bob", Password: true}, {Name: "postgres/pg.example.test"}},
		Tickets:    []kdc.Ticket{{Name: "alice", Principal: "alice", Lifetime: 10 * time.Hour, Options: []string{"-f"}}, {Name: "expired", Principal: "alice", Expired: true}},
	}
	service := kdc.Keytab{Name: "service", Principals: []string{"postgres/pg.example.test"}}
	for n, enctype := range enctypes {
		name := fmt.Sprintf("postgres/et%d.example.test", n)
		spec.Principals = append(spec.Principals, kdc.Principal{Name: name, Enctypes: []string{enctype}})
		service.Principals = append(service.Principals, name)
	}
	spec.Keytabs = []kdc.Keytab{service, {Name: "alice", Principals: []string{"alice"}}}
	if w.realm, err = kdc.Start(ctx, kdc.Placement{Image: images[0].Tag, Network: w.network.Name, Alias: "kdc", Labels: labels}, spec); err != nil {
		return err
	}
	conf := krb5Conf(w.realm.Addresses()[0], "")
	files := map[string][]byte{"krb5.conf": []byte(conf)}
	for n, enctype := range enctypes {
		files[fmt.Sprintf("krb5.et%d.conf", n)] = []byte(krb5Conf(w.realm.Addresses()[0], "  default_tgs_enctypes = "+enctype+"\n"))
	}
	for name, get := range map[string]func(string) ([]byte, error){"alice.keytab": w.realm.Keytab, "service.keytab": w.realm.Keytab, "alice.ccache": w.realm.Ticket, "expired.ccache": w.realm.Ticket} {
		if files[name], err = get(strings.TrimSuffix(name, filepath.Ext(name))); err != nil {
			return err
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(w.dir, name), content, 0o600); err != nil {
			return err
		}
	}
	cert, key, err := certificate()
	if err != nil {
		return err
	}
	w.servers = map[int]*pgimages.Running{}
	for i, v := range versions {
		s, err := pgimages.Start(ctx, pgimages.StartSpec{Image: images[1+i].Tag, RunID: run, Network: w.network, Hostname: fmt.Sprintf("pg%d.example.test", v), Args: []string{"-c", "max_connections=200", "-c", "fsync=off"}})
		if err != nil {
			return err
		}
		w.servers[v] = s
		settings := "ssl = on\nssl_cert_file = '" + pgimages.ConfDir + "/server.crt'\nssl_key_file = '" + pgimages.ConfDir + "/server.key'\nkrb_server_keyfile = '" + pgimages.ConfDir + "/service.keytab'\n"
		if v >= 16 {
			settings += "gss_accept_delegation = on\n"
		}
		for _, f := range []struct {
			path    string
			content []byte
		}{
			{pgimages.KRB5Conf, []byte(conf)}, {pgimages.ConfDir + "/service.keytab", files["service.keytab"]},
			{pgimages.ConfDir + "/server.crt", cert}, {pgimages.ConfDir + "/server.key", key},
			{pgimages.ConfDir + "/pg_hba.conf", []byte(hba)}, {pgimages.ConfDir + "/pg_ident.conf", []byte("any /^(.*)$ gssauth\n")},
			{pgimages.ConfDir + "/postgresql.conf", []byte(settings)},
		} {
			if err := exec(ctx, s, f.content, "sh", "-c", "umask 077; cat >"+f.path+" && chown postgres: "+f.path); err != nil {
				return err
			}
		}
		roles := "SET password_encryption = 'scram-sha-256'; CREATE ROLE gsspw LOGIN PASSWORD 'not a secret';"
		for _, r := range []string{"alice", "bob", "gsstrust", "sslonly", "plainonly", "gssauth", "anyway"} {
			roles += " CREATE ROLE " + r + " LOGIN;"
		}
		if v >= 15 {
			roles += " GRANT CREATE ON SCHEMA public TO PUBLIC;"
		}
		// A session begun after the reload has been processed has a later pg_conf_load_time.
		script := `psql() { command psql -XAtq -v ON_ERROR_STOP=1 -h ` + pgimages.SocketDir + ` -U postgres postgres "$@"; }
before=$(psql -c "SELECT pg_conf_load_time()") || exit 1
psql -c "` + roles + `" && psql -c "SELECT pg_reload_conf()" >/dev/null || exit 1
for i in $(seq 500); do [ "$(psql -c "SELECT pg_conf_load_time()")" != "$before" ] && [ "$(psql -c "SHOW ssl")" = on ] && exit 0; sleep 0.02; done
tail -n 20 ` + pgimages.LogFile + ` >&2; exit 1`
		if err := exec(ctx, s, nil, "sh", "-c", script); err != nil {
			return err
		}
	}
	return nil
}

// krb5Conf is for servers and clients; further are lines of libdefaults.
func krb5Conf(address, further string) string {
	return `[libdefaults]
  default_realm = ` + realm + `
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  forwardable = true
  udp_preference_limit = 1
` + further + `
[realms]
  ` + realm + ` = {
    kdc = ` + address + `
  }

[domain_realm]
  .example.test = ` + realm + `
`
}

func exec(ctx context.Context, s *pgimages.Running, stdin []byte, argv ...string) error {
	_, err := output(ctx, s, stdin, argv...)
	return err
}

func output(ctx context.Context, s *pgimages.Running, stdin []byte, argv ...string) ([]byte, error) {
	exit, stdout, stderr, err := s.Exec(ctx, stdin, argv...)
	if err == nil && exit != 0 {
		err = fmt.Errorf("%s: status %d: %s %s", argv[0], exit, stdout, stderr)
	}
	return stdout, err
}

func certificate() (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pg.example.test"}, NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), err
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

// ccache is alice's ticket.
func (w *world) ccache() gssenc.Source {
	return gssenc.Source{Config: w.file("krb5.conf"), CCache: w.file("alice.ccache")}
}

// config is for a server of the version, by any name; what o does not say is alice's ticket.
func (w *world) config(t testing.TB, version int, settings string, o gssenc.Options) *pgx.ConnConfig {
	t.Helper()
	c := w.unconfigured(t, version, settings)
	if o.Credentials == nil && o.Source == (gssenc.Source{}) {
		o.Source = w.ccache()
	}
	if err := gssenc.Configure(&c.Config, o); err != nil {
		t.Fatal(err)
	}
	return c
}

// unconfigured is config before gssenc.Configure.
func (w *world) unconfigured(t testing.TB, version int, settings string) *pgx.ConnConfig {
	t.Helper()
	if !strings.Contains(settings, "host=") {
		settings = "host=pg.example.test " + settings
	}
	c, err := pgx.ParseConfig("dbname=postgres connect_timeout=20 " + settings)
	if err != nil {
		t.Fatal(err)
	}
	address := w.servers[version].Addr.String()
	c.LookupFunc = func(_ context.Context, host string) ([]string, error) {
		if host == "dead.example.test" {
			return []string{"127.0.0.1:1"}, nil
		}
		return []string{address}, nil
	}
	return c
}

func connect(t testing.TB, c *pgx.ConnConfig) *pgx.Conn {
	t.Helper()
	conn, err := pgx.ConnectConfig(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// channel is what the server says of the session: plain, tls or gss, with the principal.
func channel(t testing.TB, conn *pgx.Conn) string {
	t.Helper()
	var gss, tls bool
	var principal *string
	const query = `SELECT g.encrypted, g.principal, s.ssl FROM pg_stat_gssapi g JOIN pg_stat_ssl s USING (pid) WHERE pid = pg_backend_pid()`
	if err := conn.QueryRow(context.Background(), query).Scan(&gss, &principal, &tls); err != nil {
		t.Fatal(err)
	}
	name := ""
	if principal != nil && *principal != "" { // it has one only if the rule asks for gss
		name = " " + *principal
	}
	return cmp.Or(map[[2]bool]string{{true, false}: "gss", {false, true}: "tls", {false, false}: "plain"}[[2]bool{gss, tls}], "both at once") + name
}

// eachVersion runs a test with every server.
func eachVersion(t *testing.T, test func(t *testing.T, w *world, version int)) {
	w := theWorld(t)
	for _, v := range livetest.Versions(t) {
		t.Run(strconv.Itoa(v), func(t *testing.T) { test(t, w, v) })
	}
}

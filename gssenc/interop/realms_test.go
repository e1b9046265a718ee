package interop_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
	tcexec "github.com/testcontainers/testcontainers-go/exec"

	"github.com/pgauthmatrix/pgauthmatrix/gssenc"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

// twoRealms starts a KDC for A.TEST and B.TEST, which trust each other. It refers requests for postgres on hosts of b.test to B.TEST, and
// for no other service. The client's configuration is in the container, too.
const twoRealms = `set -eu
export KRB5_CONFIG=/r/krb5.conf KRB5_KDC_PROFILE=/r/kdc.conf
mkdir -p /r/A.TEST /r/B.TEST
cat >/r/krb5.conf <<'END'
[libdefaults]
  default_realm = A.TEST
  dns_lookup_kdc = false
[domain_realm]
  .b.test = B.TEST
[realms]
  A.TEST = {
  }
[logging]
  kdc = FILE:/r/log
END
cat >/r/kdc.conf <<'END'
[kdcdefaults]
  kdc_tcp_listen = 88
[realms]
  A.TEST = {
    database_name = /r/A.TEST/principal
    key_stash_file = /r/A.TEST/stash
    host_based_services = postgres
  }
  B.TEST = {
    database_name = /r/B.TEST/principal
    key_stash_file = /r/B.TEST/stash
  }
END
for realm in A.TEST B.TEST; do
  kdb5_util -r $realm -P master create -s
  for other in A.TEST B.TEST; do
    [ $other = $realm ] || kadmin.local -r $realm -q "addprinc -pw to$other krbtgt/$other@$realm"
    [ $other = $realm ] || kadmin.local -r $realm -q "addprinc -pw to$realm krbtgt/$realm@$other"
  done
done
kadmin.local -r A.TEST -q "addprinc -pw alice alice@A.TEST"
kadmin.local -r A.TEST -q "addprinc -randkey postgres/pg.a.test@A.TEST"
kadmin.local -r B.TEST -q "addprinc -randkey postgres/pg.b.test@B.TEST"
kadmin.local -r B.TEST -q "addprinc -randkey other/pg.b.test@B.TEST"
krb5kdc -r A.TEST -r B.TEST
`

// kvno asks libkrb5 for the same ticket.
const kvno = `export KRB5_CONFIG=/r/client.conf KRB5CCNAME=/r/cc
echo alice | kinit alice >/dev/null && kvno "$1"
`

type kdcContainer struct{ testcontainers.Container }

func (c kdcContainer) run(ctx context.Context, argv ...string) (string, error) {
	status, reader, err := c.Exec(ctx, argv, tcexec.Multiplexed())
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(reader)
	if err == nil && status != 0 {
		err = fmt.Errorf("%s: status %d: %s", argv[0], status, text)
	}
	return string(text), err
}

// startRealms starts a container in which a script makes KDCs.
func startRealms(ctx context.Context, t *testing.T, script string) (kdc kdcContainer, address string) {
	t.Helper()
	w := theWorld(t)
	images, err := pgimages.Ensure(ctx, []pgimages.Spec{pgimages.KDC()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	labels, err := pgimages.Labels("gssenc-interop")
	if err != nil {
		t.Fatal(err)
	}
	started, err := testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{
		Started: true,
		ContainerRequest: testcontainers.ContainerRequest{
			Image: images[0].Tag, Networks: []string{w.network.Name}, Labels: labels,
			HostConfigModifier: func(h *container.HostConfig) { h.Init = new(true) },
		},
	})
	if started != nil {
		t.Cleanup(func() {
			if err := started.Terminate(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	kdc = kdcContainer{started}
	if out, err := kdc.run(ctx, "sh", "-c", script); err != nil {
		t.Fatal(err, out)
	}
	if address, err = started.ContainerIP(ctx); err != nil {
		t.Fatal(err)
	}
	return kdc, address
}

// Tickets of another realm, by each way that leads there: gssenc gets what libkrb5 gets.
func TestTwoRealms(t *testing.T) {
	ctx := context.Background()
	kdc, address := startRealms(ctx, t, twoRealms)
	conf := func(kdc, further string) string {
		return fmt.Sprintf("[libdefaults]\n default_realm = A.TEST\n dns_lookup_kdc = false\n dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n"+
			"[realms]\n A.TEST = {\n  kdc = %s\n }\n B.TEST = {\n  kdc = %[1]s\n }\n%s", kdc, further)
	}
	for _, tt := range []struct {
		name, spn, conf string
		there           bool
	}{
		{"in the client's own realm", "postgres/pg.a.test@A.TEST", "", true},
		{"the realm is named", "postgres/pg.b.test@B.TEST", "", true},
		{"the KDC refers", "postgres/pg.b.test", "", true},
		{"domain_realm", "other/pg.b.test", "[domain_realm]\n .b.test = B.TEST\n", true},
		{"domain_realm without a dot", "other/pg.b.test", "[domain_realm]\n b.test = B.TEST\n", true},
		{"neither: the domain of the host", "other/pg.b.test", "", true},
		{"no such service", "none/pg.b.test", "", false},
		{"no such realm", "postgres/pg.c.test", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			alice := acquireAlice(ctx, t, conf(address, tt.conf))
			_, ours := alice.Initiate(ctx, gssenc.InitOptions{SPN: tt.spn})
			if err := kdc.CopyToContainer(ctx, []byte(conf("127.0.0.1", tt.conf)), "/r/client.conf", 0o644); err != nil {
				t.Fatal(err)
			}
			// As libpq names it: without a realm, it is a host-based service.
			argv := []string{"sh", "-c", kvno, "kvno", tt.spn}
			if service, host, ok := strings.Cut(tt.spn, "/"); ok && !strings.Contains(tt.spn, "@") {
				argv = []string{"sh", "-c", strings.Replace(kvno, `kvno "$1"`, `kvno -S "$1" "$2"`, 1), "kvno", service, host}
			}
			_, theirs := kdc.run(ctx, argv...)
			if (ours == nil) != tt.there || (theirs == nil) != tt.there {
				t.Errorf("gssenc: %v; libkrb5: %v", ours, theirs)
			}
		})
	}
}

// threeRealms starts a KDC for A.TEST, which trusts B.TEST, and one for B.TEST and C.TEST, which trust each other. The first knows no way to
// C.TEST; the others accept the one by B.TEST.
const threeRealms = `set -eu
mkdir -p /r/A.TEST /r/B.TEST /r/C.TEST
realm() { printf '  %s = {\n    database_name = /r/%s/principal\n    key_stash_file = /r/%s/stash\n  }\n' $1 $1 $1; }
conf() { printf '[libdefaults]\n  default_realm = A.TEST\n  dns_lookup_kdc = false\n[realms]\n  A.TEST = {\n  }\n%s\n' "$1"; }
conf '' >/r/a.conf
conf '[capaths]
  A.TEST = {
    C.TEST = B.TEST
  }' >/r/bc.conf
{ printf '[kdcdefaults]\n  kdc_tcp_listen = 88\n  kdc_listen = 88\n[realms]\n'; realm A.TEST; } >/r/a.kdc.conf
{ printf '[kdcdefaults]\n  kdc_tcp_listen = 1088\n  kdc_listen = 1088\n[realms]\n'; realm B.TEST; realm C.TEST; } >/r/bc.kdc.conf
a() { KRB5_CONFIG=/r/a.conf KRB5_KDC_PROFILE=/r/a.kdc.conf "$@"; }
bc() { KRB5_CONFIG=/r/bc.conf KRB5_KDC_PROFILE=/r/bc.kdc.conf "$@"; }
a kdb5_util -r A.TEST -P master create -s
bc kdb5_util -r B.TEST -P master create -s
bc kdb5_util -r C.TEST -P master create -s
a kadmin.local -r A.TEST -q "addprinc -pw ab krbtgt/B.TEST@A.TEST"
bc kadmin.local -r B.TEST -q "addprinc -pw ab krbtgt/B.TEST@A.TEST"
bc kadmin.local -r B.TEST -q "addprinc -pw bc krbtgt/C.TEST@B.TEST"
bc kadmin.local -r C.TEST -q "addprinc -pw bc krbtgt/C.TEST@B.TEST"
a kadmin.local -r A.TEST -q "addprinc -pw alice alice@A.TEST"
bc kadmin.local -r C.TEST -q "addprinc -randkey postgres/pg.c.test@C.TEST"
a krb5kdc -r A.TEST -P /r/a.pid
bc krb5kdc -r B.TEST -r C.TEST -P /r/bc.pid
`

// acquireAlice logs alice in under a krb5.conf.
func acquireAlice(ctx context.Context, t *testing.T, conf string) *gssenc.Credentials {
	t.Helper()
	file := filepath.Join(t.TempDir(), "krb5.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	alice, err := gssenc.Acquire(ctx, gssenc.Source{Config: file, Principal: "alice", Password: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = alice.Close() })
	return alice
}

// A realm that is trusted only by way of another, and a KDC that does not know the way: gssenc gets what libkrb5 gets.
func TestCapaths(t *testing.T) {
	ctx := context.Background()
	kdc, address := startRealms(ctx, t, threeRealms)
	conf := func(kdc, further string) string {
		return fmt.Sprintf("[libdefaults]\n default_realm = A.TEST\n dns_lookup_kdc = false\n dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n"+
			"[realms]\n A.TEST = {\n  kdc = %s\n }\n B.TEST = {\n  kdc = %[1]s:1088\n }\n C.TEST = {\n  kdc = %[1]s:1088\n }\n%s", kdc, further)
	}
	for _, tt := range []struct {
		name, conf string
		there      bool
	}{
		{"by B.TEST", "[capaths]\n A.TEST = {\n  C.TEST = B.TEST\n }\n", true},
		{"directly", "[capaths]\n A.TEST = {\n  C.TEST = .\n }\n", false},
		{"by a realm that A.TEST does not trust", "[capaths]\n A.TEST = {\n  C.TEST = D.TEST\n }\n", false},
		{"in the other direction", "[capaths]\n C.TEST = {\n  A.TEST = B.TEST\n }\n", false},
		{"no capaths", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			alice := acquireAlice(ctx, t, conf(address, tt.conf))
			_, ours := alice.Initiate(ctx, gssenc.InitOptions{SPN: "postgres/pg.c.test@C.TEST"})
			if err := kdc.CopyToContainer(ctx, []byte(conf("127.0.0.1", tt.conf)), "/r/client.conf", 0o644); err != nil {
				t.Fatal(err)
			}
			_, theirs := kdc.run(ctx, "sh", "-c", kvno, "kvno", "postgres/pg.c.test@C.TEST")
			if (ours == nil) != tt.there || (theirs == nil) != tt.there {
				t.Errorf("gssenc: %v; libkrb5: %v", ours, theirs)
			}
		})
	}
}

// A KDC that hangs in front of the one that answers: a session under GSS encryption within connect_timeout.
func TestHungKDC(t *testing.T) {
	w := theWorld(t)
	hung, err := net.Listen("tcp", "127.0.0.1:0") // accepts, in the kernel, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	file := filepath.Join(t.TempDir(), "krb5.conf")
	text := strings.Replace(krb5Conf(w.realm.Addresses()[0], ""), "kdc = ", "kdc = "+hung.Addr().String()+"\n    kdc = ", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"require", "prefer"} {
		began := time.Now()
		c := w.config(t, 17, "user=anyway sslmode=disable connect_timeout=5 gssencmode="+mode,
			gssenc.Options{Source: gssenc.Source{Config: file, Keytab: w.file("alice.keytab"), Principal: "alice"}})
		if got := channel(t, connect(t, c)); got != "gss" {
			t.Errorf("%s: %s after %v", mode, got, time.Since(began))
		}
	}
}

// A lone primary with target_session_attrs=prefer-standby, and what else rejects it: never in the clear after a session under GSS
// encryption.
func TestTargetSessionAttrs(t *testing.T) {
	eachVersion(t, func(t *testing.T, w *world, v int) {
		for attrs, want := range map[string]string{"prefer-standby": "gss", "primary": "gss", "read-write": "gss", "standby": "", "read-only": ""} {
			c := w.config(t, v, "user=anyway sslmode=prefer target_session_attrs="+attrs, gssenc.Options{})
			conn, err := pgx.ConnectConfig(context.Background(), c)
			got := ""
			if err == nil {
				got = channel(t, conn)
				_ = conn.Close(context.Background())
			}
			if got != want {
				t.Errorf("%s: %q, want %q (%v)", attrs, got, want, err)
			}
		}
	})
}

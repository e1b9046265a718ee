package kdc

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
	tcexec "github.com/testcontainers/testcontainers-go/exec"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

// mit is a realm of MIT krb5, in an image with krb5-kdc, krb5-admin-server and krb5-user.
type mit struct {
	container testcontainers.Container
	address   string
	published []string
	realm     string
	hung      bool

	lock      sync.Mutex
	files     map[string][]byte
	passwords map[string]string // by principal
}

//go:embed start.sh.tmpl
var startText string

// readyPrincipal exists in the realm: the KDC is ready, and healthy, when it issues a ticket to it.
const readyPrincipal = "pgauthmatrix/ready"

// kadminWord quotes a word of a kadmin command (libss: double quotes, doubled inside).
func kadminWord(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func startMIT(ctx context.Context, at Placement, spec Spec) (Realm, error) {
	request := testcontainers.GenericContainerRequest{
		Started: true,
		ContainerRequest: testcontainers.ContainerRequest{
			Image:              at.Image,
			Networks:           []string{at.Network},
			NetworkAliases:     map[string][]string{at.Network: {at.Alias}},
			Labels:             at.Labels,
			Env:                map[string]string{"KRB5_CONFIG": "/pgam/krb5.conf", "KRB5_KDC_PROFILE": "/pgam/kdc.conf"},
			HostConfigModifier: func(h *container.HostConfig) { h.Init = new(true) },
		},
	}
	r := &mit{realm: spec.Realm, hung: spec.Hung, files: map[string][]byte{}, passwords: map[string]string{}}
	if at.Publish {
		pgimages.Publish(&request, r.ports()...)
	}
	container, err := testcontainers.GenericContainer(ctx, request)
	r.container = container
	if err == nil {
		err = r.make(ctx, true, spec)
	}
	if err == nil {
		r.address, err = container.ContainerIP(ctx)
	}
	if err == nil && at.Publish {
		err = r.findPublished(ctx)
	}
	if err != nil && container != nil {
		err = errors.Join(err, r.Close(context.WithoutCancel(ctx)))
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (r *mit) Name() string { return r.realm }

// ports are those of the KDCs, in the order of Addresses.
func (r *mit) ports() []uint16 {
	if r.hung {
		return []uint16{2088, 88}
	}
	return []uint16{88}
}

func (r *mit) Addresses() (addresses []string) {
	for _, port := range r.ports() {
		addresses = append(addresses, fmt.Sprintf("%s:%d", r.address, port))
	}
	return addresses
}

func (r *mit) Published() []string { return r.published }

func (r *mit) findPublished(ctx context.Context) error {
	for _, port := range r.ports() {
		at, err := pgimages.Published(ctx, r.container.GetContainerID(), port)
		if err != nil {
			return err
		}
		r.published = append(r.published, at.String())
	}
	return nil
}

func (r *mit) Add(ctx context.Context, spec Spec) error {
	if spec.Realm != r.realm || spec.Kind != "" || spec.MaxLife != 0 || len(spec.Enctypes) != 0 || len(spec.Trusts) != 0 || spec.Hung {
		return fmt.Errorf("kdc: name, kind, MaxLife, Enctypes, Hung and Trusts of %s are fixed when it starts", r.realm)
	}
	if err := lines(spec); err != nil {
		return err
	}
	return r.make(ctx, false, spec)
}

func (r *mit) ChangeKey(ctx context.Context, principal string, keepOld bool) error {
	query := "cpw -randkey " // kadmin change_password
	if keepOld {
		query += "-keepold "
	}
	out, err := r.run(ctx, "kadmin.local", "-r", r.realm, "-q", query+kadminWord(principal))
	if err == nil && !strings.Contains(out, "randomized") && !strings.Contains(out, "changed") {
		err = errors.New("kadmin did not do it")
	}
	if err != nil {
		return fmt.Errorf("kdc: change of key of %s@%s: %w: %s", principal, r.realm, err, out)
	}
	return nil
}

// make runs the script that makes the realm, or adds to it, and fetches the files.
func (r *mit) make(ctx context.Context, fresh bool, spec Spec) error {
	r.lock.Lock()
	defer r.lock.Unlock()
	script, err := scriptOf(fresh, spec, r.password)
	if err != nil {
		return err
	}
	if err := r.container.CopyToContainer(ctx, script, "/pgam/start.sh", 0o700); err != nil {
		return err
	}
	if out, err := r.run(ctx, "/pgam/start.sh"); err != nil {
		return fmt.Errorf("the realm could not be made: %w\n%s", err, out)
	}
	packed, err := r.container.CopyFileFromContainer(ctx, "/pgam/out.tar")
	if err != nil {
		return fmt.Errorf("its keytabs and tickets could not be fetched: %w", err)
	}
	defer func() { _ = packed.Close() }()
	files, err := unpack(packed)
	if err != nil {
		return fmt.Errorf("its keytabs and tickets could not be read: %w", err)
	}
	for _, k := range spec.Keytabs {
		name := k.Name + ".keytab"
		if files[name], err = pick(files[name], k); err != nil {
			return fmt.Errorf("keytab %s of %s: %w", k.Name, spec.Realm, err)
		}
	}
	maps.Copy(r.files, files)
	return nil
}

// Script is the script that makes a realm of MIT krb5 and starts its KDC, in a container of its image: it leaves keytabs and credential caches in
// /pgam/out. Keytabs with keys of certain types or versions, and principals with passwords, need the harness.
func Script(spec Spec) ([]byte, error) {
	if err := errors.Join(check(spec), lines(spec)); err != nil {
		return nil, err
	}
	for _, k := range spec.Keytabs {
		if len(k.Enctypes) > 0 || len(k.KVNOs) > 0 {
			return nil, fmt.Errorf("kdc: keytab %s of %s has a choice of its principals' keys", k.Name, spec.Realm)
		}
	}
	for _, p := range spec.Principals {
		if p.Password {
			return nil, fmt.Errorf("kdc: principal %s of %s has a password", p.Name, spec.Realm)
		}
	}
	return scriptOf(true, spec, func(Principal) string { return "" })
}

func scriptOf(fresh bool, spec Spec, password func(Principal) string) ([]byte, error) {
	var script bytes.Buffer
	err := template.Must(template.New("start").Funcs(template.FuncMap{
		"seconds":  func(d time.Duration) int { return int(d.Seconds()) },
		"quote":    func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" },
		"kadmin":   kadminWord,
		"password": password,
	}).Parse(startText)).Execute(&script, map[string]any{
		"Fresh": fresh, "Spec": spec, "Ready": readyPrincipal,
		"Old":     withKeys(spec.Keytabs, matrix.PreviousKeys, matrix.AllKeys),
		"Current": withKeys(spec.Keytabs, "", matrix.CurrentKeys, matrix.AllKeys),
		"Change":  changed(spec.Keytabs),
		"Expired": slices.ContainsFunc(spec.Tickets, func(t Ticket) bool { return t.Expired }),
	})
	return script.Bytes(), err
}

// withKeys are the keytabs that have one of these versions of keys.
func withKeys(keytabs []Keytab, versions ...matrix.KeyVersions) (found []Keytab) {
	for _, k := range keytabs {
		if slices.Contains(versions, k.Keys) {
			found = append(found, k)
		}
	}
	return found
}

// changed are the principals of which a keytab has the previous keys: their keys are changed once.
func changed(keytabs []Keytab) (principals []string) {
	for _, k := range withKeys(keytabs, matrix.PreviousKeys, matrix.AllKeys) {
		for _, p := range k.Principals {
			if !slices.Contains(principals, p) {
				principals = append(principals, p)
			}
		}
	}
	return principals
}

// password makes the password of a principal that has one.
func (r *mit) password(p Principal) string {
	if !p.Password {
		return ""
	}
	password := rand.Text()
	r.passwords[p.Name] = password
	return password
}

// pick leaves in a keytab the keys that were asked for.
func pick(data []byte, k Keytab) ([]byte, error) {
	if len(k.Enctypes) == 0 && len(k.KVNOs) == 0 {
		return data, nil
	}
	t := keytab.New()
	if err := t.Unmarshal(data); err != nil {
		return nil, err
	}
	all := t.Entries
	t.Entries = nil
	for _, e := range all {
		if (len(k.Enctypes) == 0 || slices.Contains(k.Enctypes, e.Key.KeyType)) && (len(k.KVNOs) == 0 || slices.Contains(k.KVNOs, e.KVNO)) {
			t.Entries = append(t.Entries, e)
		}
	}
	if len(t.Entries) == 0 {
		return nil, fmt.Errorf("no key has one of the types %v and versions %v", k.Enctypes, k.KVNOs)
	}
	return t.Marshal()
}

func unpack(packed io.Reader) (map[string][]byte, error) {
	files := map[string][]byte{}
	reader := tar.NewReader(packed)
	for {
		h, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if files[path.Clean(h.Name)], err = io.ReadAll(reader); err != nil {
			return nil, err
		}
	}
}

// run executes a program in the container; a status other than 0 is an error.
func (r *mit) run(ctx context.Context, argv ...string) (output string, err error) {
	status, reader, err := r.container.Exec(ctx, argv, tcexec.Multiplexed())
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(reader)
	if err == nil && status != 0 {
		err = fmt.Errorf("%s ended with status %d", argv[0], status)
	}
	return string(text), err
}

func (r *mit) Keytab(name string) ([]byte, error) { return r.file(name + ".keytab") }
func (r *mit) Ticket(name string) ([]byte, error) { return r.file(name + ".ccache") }

func (r *mit) file(name string) ([]byte, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	data, ok := r.files[name]
	if !ok {
		return nil, fmt.Errorf("kdc: %s of %s was not planned", name, r.realm)
	}
	return data, nil
}

func (r *mit) Password(principal string) (string, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	password, ok := r.passwords[principal]
	if !ok {
		return "", fmt.Errorf("kdc: %s@%s has no password", principal, r.realm)
	}
	return password, nil
}

func (r *mit) Healthy(ctx context.Context) error {
	if out, err := r.run(ctx, "timeout", "60", "kinit", "-k", "-t", "/pgam/ready.keytab", "-c", "MEMORY:", readyPrincipal+"@"+r.realm); err != nil {
		return fmt.Errorf("kdc of %s: no ticket is issued: %w: %s", r.realm, err, strings.TrimSpace(out))
	}
	return nil
}

func (r *mit) Log(ctx context.Context) (string, error) {
	reader, err := r.container.CopyFileFromContainer(ctx, pgimages.KDCLogFile)
	if err != nil {
		return "", fmt.Errorf("kdc of %s: the log could not be read: %w", r.realm, err)
	}
	defer func() { _ = reader.Close() }()
	text, err := io.ReadAll(reader)
	return string(text), err
}

func (r *mit) Stop(ctx context.Context) error {
	out, err := r.run(ctx, "sh", "-c", `kill -KILL "$(cat /pgam/kdc.pid)"`)
	if err != nil {
		return fmt.Errorf("kdc of %s: it could not be stopped: %w: %s", r.realm, err, out)
	}
	return nil
}

func (r *mit) Close(ctx context.Context) error {
	if r.container == nil {
		return nil
	}
	err := r.container.Terminate(ctx, testcontainers.StopTimeout(0))
	if err == nil {
		r.container = nil
	}
	return err
}

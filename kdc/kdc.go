// Package kdc runs MIT Kerberos realms in a container: a typed Spec goes in, a Realm comes out whose KDC has issued a
// ticket, with the keytabs and credential caches that were asked for. Keys are random and made at run time.
package kdc

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
	tcexec "github.com/testcontainers/testcontainers-go/exec"

	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

// Spec describes a realm.
type Spec struct {
	Realm      string
	MaxLife    time.Duration // of its tickets; 0: 24 hours
	Enctypes   []string      // of its keys, as krb5.conf spells them; none: MIT krb5's default
	Principals []Principal
	Keytabs    []Keytab
	Tickets    []Ticket
}

// Principal is an entry of the realm's database (MIT krb5, kadmin add_principal).
type Principal struct {
	Name       string        // without the realm: alice, postgres/pg.example.test
	Password   bool          // its keys are those of a password made at run time, see Realm.Password; otherwise they are random
	MaxLife    time.Duration // of its tickets; 0: the realm's
	Attributes []string      // as kadmin spells them: +requires_preauth, -allow_forwardable
	Enctypes   []string      // of its keys; none: the KDC's default
}

// Keytab is a file with keys of principals of the realm.
type Keytab struct {
	Name       string   // by which Realm.Keytab returns it
	Principals []string // without the realm
	Enctypes   []int32  // only keys of these types (RFC 3961 numbers: 17, 18, 19, 20, 23); none: all that the principals have
	KVNOs      []uint32 // only keys of these versions; none: all that the database has
	Stale      bool     // holds the keys of before a change of key: one kvno older than the database has
}

// Ticket is a credential cache with a ticket-granting ticket, obtained from the KDC by kinit.
type Ticket struct {
	Name      string        // by which Realm.Ticket returns it
	Principal string        // without the realm
	Lifetime  time.Duration // 0: an hour
	Expired   bool          // was issued a day ago, by the same KDC with its clock set back; Lifetime is to be below a day
	Options   []string      // further options of kinit: -f, -r 7d
}

// Life is the lifetime to ask for.
func (t Ticket) Life() time.Duration { return cmp.Or(t.Lifetime, time.Hour) }

// Placement says where a KDC runs.
type Placement struct {
	Image   string            // tag of an image with krb5-kdc, krb5-admin-server and krb5-user
	Network string            // name of the container network
	Alias   string            // its name there
	Labels  map[string]string // of the container
}

// Realm is a running KDC with its realms; Start's first Spec is the default.
type Realm struct {
	container testcontainers.Container
	address   string
	realms    []string

	lock      sync.Mutex
	files     map[string][]byte
	passwords map[string]string // by principal with realm
}

//go:embed start.sh.tmpl
var startText string

// readyPrincipal exists in every realm: a KDC is ready, and healthy, when it issues a ticket to it.
const readyPrincipal = "pgauthmatrix/ready"

// kadminWord quotes a word of a kadmin command (libss: double quotes, doubled inside).
func kadminWord(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// Start runs one KDC for these realms; the first is its default. It is ready when it has issued a ticket in each realm,
// besides every ticket that was asked for. On error nothing is left running; the error has the KDC's log.
func Start(ctx context.Context, at Placement, specs ...Spec) (*Realm, error) {
	if len(specs) == 0 {
		return nil, errors.New("kdc: no realm to start")
	}
	if _, err := pgimages.Engine(ctx); err != nil {
		return nil, err
	}
	container, err := testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{
		Started: true,
		ContainerRequest: testcontainers.ContainerRequest{
			Image:              at.Image,
			Networks:           []string{at.Network},
			NetworkAliases:     map[string][]string{at.Network: {at.Alias}},
			Labels:             at.Labels,
			Env:                map[string]string{"KRB5_CONFIG": "/pgam/krb5.conf", "KRB5_KDC_PROFILE": "/pgam/kdc.conf"},
			HostConfigModifier: func(h *container.HostConfig) { h.Init = new(true) },
		},
	})
	r := &Realm{container: container, files: map[string][]byte{}, passwords: map[string]string{}}
	if err == nil {
		err = r.make(ctx, true, specs)
	}
	if err == nil {
		r.address, err = container.ContainerIP(ctx)
	}
	if err != nil {
		err = fmt.Errorf("kdc of %s: %w", specs[0].Realm, err)
		if container != nil {
			err = errors.Join(err, r.Close(context.WithoutCancel(ctx)))
		}
		return nil, err
	}
	return r, nil
}

// Add makes further principals, keytabs and tickets in a running realm. The keytabs and tickets of spec may be of
// principals that were there before. MaxLife and Enctypes cannot be changed.
func (r *Realm) Add(ctx context.Context, spec Spec) error {
	if !slices.Contains(r.realms, spec.Realm) {
		return fmt.Errorf("kdc: realm %s is not one of this KDC's: %s", spec.Realm, strings.Join(r.realms, ", "))
	}
	if spec.MaxLife != 0 || len(spec.Enctypes) != 0 {
		return fmt.Errorf("kdc: MaxLife and Enctypes of %s are fixed when it starts", spec.Realm)
	}
	return r.make(ctx, false, []Spec{spec})
}

// ChangeKey gives a principal new keys, one kvno up; keepOld leaves the old ones in the database, so that tickets
// issued before go on to be valid (kadmin change_password -keepold).
func (r *Realm) ChangeKey(ctx context.Context, realm, principal string, keepOld bool) error {
	query := "cpw -randkey "
	if keepOld {
		query += "-keepold "
	}
	out, err := r.run(ctx, "kadmin.local", "-r", realm, "-q", query+kadminWord(principal))
	if err == nil && !strings.Contains(out, "randomized") && !strings.Contains(out, "changed") {
		err = errors.New("kadmin did not do it")
	}
	if err != nil {
		return fmt.Errorf("kdc: change of key of %s@%s: %w: %s", principal, realm, err, out)
	}
	return nil
}

// check finds mistakes in the specs of new realms before anything is started.
func check(specs []Spec) error {
	for i, s := range specs {
		if !realmName.MatchString(s.Realm) || slices.ContainsFunc(specs[:i], func(o Spec) bool { return o.Realm == s.Realm }) {
			return fmt.Errorf("kdc: realm %q: a realm is a domain name in capitals, and is named once", s.Realm)
		}
		known := map[string]bool{}
		for _, p := range s.Principals {
			known[p.Name] = true
		}
		for _, k := range s.Keytabs {
			for _, p := range k.Principals {
				if !known[p] {
					return fmt.Errorf("kdc: keytab %s names %s@%s, which is not among the realm's principals", k.Name, p, s.Realm)
				}
			}
		}
		for _, t := range s.Tickets {
			if !known[t.Principal] {
				return fmt.Errorf("kdc: ticket %s names %s@%s, which is not among the realm's principals", t.Name, t.Principal, s.Realm)
			}
		}
	}
	return nil
}

// The names of realms and files go into a shell script and into paths.
var (
	realmName = regexp.MustCompile(`^[A-Z0-9][A-Z0-9.-]*$`)
	fileName  = regexp.MustCompile(`^[A-Za-z0-9_@+=,][A-Za-z0-9_.@+=,-]*$`)
)

// lines finds text that would end a line of kadmin's input, and names that cannot be a file's.
func lines(specs []Spec) error {
	for _, s := range specs {
		for _, p := range s.Principals {
			for _, text := range append([]string{p.Name}, append(p.Attributes, p.Enctypes...)...) {
				if text == "" || strings.ContainsAny(text, "\n\r\x00") {
					return fmt.Errorf("kdc: principal %q of %s: %q is empty or more than a line", p.Name, s.Realm, text)
				}
			}
		}
		for _, k := range s.Keytabs {
			if !fileName.MatchString(k.Name) || len(k.Principals) == 0 {
				return fmt.Errorf("kdc: keytab %q of %s: it needs a name that can be a file's, and at least one principal", k.Name, s.Realm)
			}
		}
		for _, t := range s.Tickets {
			if !fileName.MatchString(t.Name) || t.Expired && t.Lifetime >= 24*time.Hour {
				return fmt.Errorf("kdc: ticket %q of %s: it needs a name that can be a file's, and an expired one a Lifetime below a day", t.Name, s.Realm)
			}
		}
	}
	return nil
}

// make runs the script that makes realms, or adds to one, and fetches the files.
func (r *Realm) make(ctx context.Context, fresh bool, specs []Spec) error {
	err := lines(specs)
	if fresh {
		err = errors.Join(err, check(specs))
	}
	if err != nil {
		return err
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	if fresh {
		for _, s := range specs {
			r.realms = append(r.realms, s.Realm)
		}
	}
	var script bytes.Buffer
	err = template.Must(template.New("start").Funcs(template.FuncMap{
		"seconds":  func(d time.Duration) int { return int(d.Seconds()) },
		"quote":    func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" },
		"kadmin":   kadminWord,
		"password": r.password,
	}).Parse(startText)).Execute(&script, map[string]any{
		"Fresh": fresh, "Specs": specs, "All": r.realms, "Ready": readyPrincipal,
		"Expired": slices.ContainsFunc(specs, func(s Spec) bool {
			return slices.ContainsFunc(s.Tickets, func(t Ticket) bool { return t.Expired })
		}),
	})
	if err != nil {
		return err
	}
	if err := r.container.CopyToContainer(ctx, script.Bytes(), "/pgam/start.sh", 0o700); err != nil {
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
	for _, s := range specs {
		for _, k := range s.Keytabs {
			name := s.Realm + "/" + k.Name + ".keytab"
			if files[name], err = pick(files[name], k); err != nil {
				return fmt.Errorf("keytab %s of %s: %w", k.Name, s.Realm, err)
			}
		}
	}
	maps.Copy(r.files, files)
	return nil
}

// password makes the password of a principal that has one.
func (r *Realm) password(realm string, p Principal) string {
	if !p.Password {
		return ""
	}
	password := rand.Text()
	r.passwords[p.Name+"@"+realm] = password
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
func (r *Realm) run(ctx context.Context, argv ...string) (output string, err error) {
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

// Address is the KDC's ADDRESS:PORT in its network; it answers on TCP and UDP.
func (r *Realm) Address() string { return r.address + ":88" }

// Keytab is the content of a keytab of the realm; an error if it was not in the Spec.
func (r *Realm) Keytab(realm, name string) ([]byte, error) { return r.file(realm, name+".keytab") }

// Ticket is the content of a FILE credential cache of the realm; an error if it was not in the Spec.
func (r *Realm) Ticket(realm, name string) ([]byte, error) { return r.file(realm, name+".ccache") }

func (r *Realm) file(realm, name string) ([]byte, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	data, ok := r.files[realm+"/"+name]
	if !ok {
		return nil, fmt.Errorf("kdc: %s of %s was not planned", name, realm)
	}
	return data, nil
}

// Password is that of a principal whose Spec asked for one.
func (r *Realm) Password(realm, principal string) (string, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	password, ok := r.passwords[principal+"@"+realm]
	if !ok {
		return "", fmt.Errorf("kdc: %s@%s has no password", principal, realm)
	}
	return password, nil
}

// Healthy has the KDC issue a ticket in every realm.
func (r *Realm) Healthy(ctx context.Context) error {
	var script strings.Builder
	for _, realm := range r.realms {
		fmt.Fprintf(&script, "timeout 60 kinit -k -t /pgam/%s/ready.keytab -c MEMORY: %s@%s || exit 1\n", realm, readyPrincipal, realm)
	}
	if out, err := r.run(ctx, "sh", "-c", script.String()); err != nil {
		return fmt.Errorf("kdc: no ticket is issued: %w: %s", err, strings.TrimSpace(out))
	}
	return nil
}

// Log is the KDC's log so far: requests and answers.
func (r *Realm) Log(ctx context.Context) (string, error) {
	reader, err := r.container.CopyFileFromContainer(ctx, "/pgam/kdc.log")
	if err != nil {
		return "", fmt.Errorf("kdc: the log could not be read: %w", err)
	}
	defer func() { _ = reader.Close() }()
	text, err := io.ReadAll(reader)
	return string(text), err
}

// Stop ends the KDC as a crash would; its container and log stay.
func (r *Realm) Stop(ctx context.Context) error {
	out, err := r.run(ctx, "sh", "-c", `kill -KILL "$(cat /pgam/kdc.pid)"`)
	if err != nil {
		return fmt.Errorf("kdc: it could not be stopped: %w: %s", err, out)
	}
	return nil
}

// Close removes the container. Closing twice is harmless.
func (r *Realm) Close(ctx context.Context) error {
	if r.container == nil {
		return nil
	}
	err := r.container.Terminate(ctx, testcontainers.StopTimeout(0))
	if err == nil {
		r.container = nil
	}
	return err
}

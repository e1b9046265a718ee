package gssenc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"
)

var _ pq.GSS = NewGSS(nil, InitOptions{})

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// libkrb5 removes a configuration entry by another realm in it; that is no ticket, and no reason to refuse the others.
func TestRemovedConfigurationEntry(t *testing.T) {
	content := readTestdata(t, "ccache.v4")
	removed := bytes.ReplaceAll(content, []byte("X-CACHECONF:"), []byte("X-RMED-CONF:"))
	if bytes.Equal(content, removed) {
		t.Fatal("the ccache has no configuration entry")
	}
	want, err := parseCCache(content)
	if err != nil {
		t.Fatal(err)
	}
	cache, err := parseCCache(removed)
	if err != nil || len(cache.tickets) != len(want.tickets) {
		t.Errorf("%d tickets, %v", len(cache.tickets), err)
	}
}

// A ticket that libkrb5 has removed has no end and began at the end of time.
func TestRemovedTicket(t *testing.T) {
	content := readTestdata(t, "ccache.v4")
	cache, err := parseCCache(content)
	if err != nil {
		t.Fatal(err)
	}
	times := func(t *ticket) []byte {
		var b []byte
		for _, at := range []time.Time{t.auth, t.start, t.end} {
			b = binary.BigEndian.AppendUint32(b, uint32(at.Unix()))
		}
		return b
	}
	last := &cache.tickets[len(cache.tickets)-1]
	at := bytes.LastIndex(content, times(last))
	copy(content[at:], "\xff\xff\xff\xff")
	copy(content[at+8:], "\x00\x00\x00\x00")
	after, err := parseCCache(content)
	if err != nil || len(after.tickets) != len(cache.tickets)-1 {
		t.Errorf("%d tickets of %d, %v", len(after.tickets), len(cache.tickets), err)
	}
}

func TestDirectoryOfCCaches(t *testing.T) {
	conf := writeFile(t, "krb5.conf", "")
	dir := t.TempDir()
	put := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	acquire := func(name string) string {
		c, err := Acquire(t.Context(), Source{Config: conf, CCache: name})
		if err != nil {
			return string(stageOf(err))
		}
		return c.Principal()
	}
	if got := acquire("DIR:" + dir); got != string(StageCredentials) {
		t.Errorf("an empty directory: %s", got)
	}
	content := string(readTestdata(t, "ccache.v4"))
	put("tkt", content)
	if got := acquire("DIR:" + dir); got != "alice@VECTORS.TEST" {
		t.Errorf("without a file primary: %s", got)
	}
	put("tktClara", strings.ReplaceAll(content, "alice", "clara"))
	put("primary", "tktClara\n")
	for name, want := range map[string]string{
		"DIR:" + dir:                   "clara@VECTORS.TEST",
		"DIR::" + dir + "/tkt":         "alice@VECTORS.TEST",
		"DIR::" + dir + "/primary":     string(StageConfig),
		"DIR:" + dir + "/none":         string(StageCredentials),
		"KEYRING:persistent:0":         string(StageConfig),
		"FILE:" + dir + "/tktClara":    "clara@VECTORS.TEST",
		filepath.Join(dir, "tktClara"): "clara@VECTORS.TEST",
		"MEMORY:x":                     string(StageConfig),
		"WRFILE:" + dir + "/tkt":       "alice@VECTORS.TEST",
		"DIR::" + dir + "/tktNotThere": string(StageCredentials),
		"KCM:":                         string(StageCredentials), // no daemon here
	} {
		if got := acquire(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	_, from, err := new(krb5Conf).readCCache(t.Context(), "DIR:"+dir)
	if err != nil || !from.unchanged(t.Context()) {
		t.Error(err)
	}
	put("primary", "tkt\n")
	if from.unchanged(t.Context()) {
		t.Error("another primary cache is no change")
	}
	for _, name := range []string{"../tkt\n", "other\n", "tkt", "", "tkt" + strings.Repeat("x", 80) + "\n"} {
		put("primary", name)
		if got := acquire("DIR:" + dir); got != string(StageCredentials) {
			t.Errorf("primary %q: %s", name, got)
		}
	}
}

// fakeKCM is a daemon with one cache for each name.
type fakeKCM struct {
	mu      sync.Mutex
	caches  map[string][][]byte // by name: the owner and the entries, as a FILE cache has them
	initial string              // the default cache
	status  uint32              // of every operation, if not zero
	raw     []byte              // instead of every reply
}

func (k *fakeKCM) start(t *testing.T) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "kcm") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go k.serve(conn)
		}
	}()
	return socket
}

func (k *fakeKCM) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var head [4]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		request := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(conn, request); err != nil {
			return
		}
		status, reply := k.answer(request)
		if k.raw != nil {
			_, _ = conn.Write(k.raw)
			continue
		}
		out := binary.BigEndian.AppendUint32(nil, uint32(4+len(reply)))
		out = binary.BigEndian.AppendUint32(out, 0)
		_, _ = conn.Write(append(binary.BigEndian.AppendUint32(out, status), reply...))
	}
}

func (k *fakeKCM) answer(request []byte) (status uint32, reply []byte) {
	const noFile = 0x96c73ac3
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.status != 0 {
		return k.status, nil
	}
	if len(request) < 4 || request[0] != 2 || request[1] != 0 {
		return 22, nil
	}
	name, rest, _ := bytes.Cut(request[4:], []byte{0})
	cache := k.caches[string(name)]
	switch operation := binary.BigEndian.Uint16(request[2:]); {
	case operation == kcmGetDefaultCache:
		return 0, append([]byte(k.initial), 0)
	case cache == nil:
		return noFile, nil
	case operation == kcmGetPrincipal:
		return 0, cache[0]
	case operation == kcmGetCredUUIDList:
		for i := range cache[1:] {
			reply = append(reply, bytes.Repeat([]byte{byte(i + 1)}, kcmUUID)...)
		}
		return 0, reply
	case operation == kcmGetCredByUUID && len(rest) == kcmUUID && int(rest[0]) < len(cache):
		return 0, cache[rest[0]]
	}
	return 22, nil
}

// split takes a FILE cache of version 4 apart.
func splitCCache(t *testing.T, content []byte) (parts [][]byte) {
	t.Helper()
	r := reader{rest: content[2:]}
	r.bytes(int(r.uint16()))
	for begin := r.rest; len(r.rest) > 0 && !r.bad; begin = r.rest {
		if parts == nil {
			r.principal()
		} else {
			r.ticket(false)
		}
		parts = append(parts, begin[:len(begin)-len(r.rest)])
	}
	if r.bad {
		t.Fatal("not a ccache")
	}
	return parts
}

func TestKCM(t *testing.T) {
	content := readTestdata(t, "ccache.v4")
	k := &fakeKCM{initial: "0", caches: map[string][][]byte{
		"0":    splitCCache(t, content),
		"0:1":  splitCCache(t, bytes.ReplaceAll(content, []byte("alice"), []byte("clara"))),
		"none": {nil},
	}}
	conf := writeFile(t, "krb5.conf", "[libdefaults]\n kcm_socket = "+k.start(t)+"\n default_ccache_name = KCM:\n")
	t.Setenv("KRB5CCNAME", "")
	t.Setenv("KRB5_CLIENT_KTNAME", "")
	for name, want := range map[string]string{"KCM:": "alice@VECTORS.TEST", "": "alice@VECTORS.TEST", "KCM:0:1": "clara@VECTORS.TEST"} {
		c, err := Acquire(t.Context(), Source{Config: conf, CCache: name})
		if err != nil || c.Principal() != want || len(c.tickets) != 2 {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	for _, name := range []string{"KCM:2", "KCM:none"} {
		if _, err := Acquire(t.Context(), Source{Config: conf, CCache: name}); stageOf(err) != StageCredentials || !errors.Is(err, errNoKCMCache) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A session asks again, and keeps its tickets as long as nothing has changed.
	c, from, err := acquire(t.Context(), Source{Config: conf})
	if err != nil || !from.unchanged(t.Context()) {
		t.Fatal(c, err)
	}
	k.mu.Lock()
	k.caches["0"] = k.caches["0:1"]
	k.mu.Unlock()
	if from.unchanged(t.Context()) {
		t.Error("another cache is no change")
	}
	k.mu.Lock()
	k.status = 22
	k.mu.Unlock()
	if _, err := Acquire(t.Context(), Source{Config: conf}); stageOf(err) != StageCredentials || !strings.Contains(err.Error(), "KCM refuses: error 22") {
		t.Error(err)
	}
	for _, raw := range []string{"\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00", "\xff\xff\xff\xff\x00\x00\x00\x00\x00", "\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00ab", "\x00\x00\x00\x00\x00\x00\x00\x05"} {
		k.raw = []byte(raw)
		if _, err := Acquire(t.Context(), Source{Config: conf}); stageOf(err) != StageCredentials {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

// A daemon that hangs keeps no caller longer than the context.
func TestKCMThatHangs(t *testing.T) {
	socket := (&fakeKCM{}).start(t) + "2"
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conf := writeFile(t, "krb5.conf", "[libdefaults]\n kcm_socket = "+socket+"\n")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if d := took(func() {
		if _, err := Acquire(ctx, Source{Config: conf, CCache: "KCM:"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	}); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}

// keytabEntry is one key in the format of a keytab.
func keytabEntry(name string, etype int16, key []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, 1)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(fakeRealm))), fakeRealm...)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(name))), name...)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = append(binary.BigEndian.AppendUint32(b, 1700000000), 1)
	b = binary.BigEndian.AppendUint16(b, uint16(etype))
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(key))), key...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// aliceKeytab has alice's key, as the fake KDC knows it.
func aliceKeytab(t *testing.T, k *fakeKDC) []byte {
	t.Helper()
	et, err := usableEtype(18)
	if err != nil {
		t.Fatal(err)
	}
	key, err := et.StringToKey(k.password, "pepper", "00002000")
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{5, 2}, keytabEntry("alice", 18, key)...)
}

// The client keytab serves where the default ccache has no valid ticket, as for libpq.
func TestClientKeytab(t *testing.T) {
	k, conf := startKDC(t)
	keytab := writeFile(t, "client.keytab", string(aliceKeytab(t, k)))
	cache := filepath.Join(t.TempDir(), "cc")
	t.Setenv("KRB5CCNAME", cache)
	principal := func() string {
		c, err := Acquire(t.Context(), Source{Config: conf})
		if err != nil {
			return string(stageOf(err))
		}
		return c.Principal()
	}
	if got := principal(); got != string(StageCredentials) {
		t.Errorf("neither: %s", got)
	}
	t.Setenv("KRB5_CLIENT_KTNAME", "FILE:"+keytab)
	if got := principal(); got != "alice@A.TEST" {
		t.Errorf("no ccache: %s", got)
	}
	// The ccache's ticket has expired; it is another's, so that is seen which counts.
	if err := os.WriteFile(cache, readTestdata(t, "ccache.v4"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := principal(); got != "alice@A.TEST" {
		t.Errorf("an expired ticket: %s", got)
	}
	if err := os.WriteFile(cache, lasting(t, readTestdata(t, "ccache.v4")), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := principal(); got != "alice@VECTORS.TEST" {
		t.Errorf("a valid ticket: %s", got)
	}
	c, from, err := acquire(t.Context(), Source{Config: conf})
	if err != nil || from.until.Before(time.Now()) || !from.unchanged(t.Context()) {
		t.Errorf("%v, until %v, %v", c, from.until, err)
	}
	if err := os.Remove(cache); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KRB5_CLIENT_KTNAME", "")
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	conf = writeFile(t, "krb5.conf", strings.Replace(string(text), "[realms]", " default_client_keytab_name = FILE:"+filepath.Dir(keytab)+"/%{null}client.keytab\n[realms]", 1))
	if got := principal(); got != "alice@A.TEST" {
		t.Errorf("default_client_keytab_name: %s", got)
	}
	// Once the keytab was used, a ccache that appears is seen.
	_, from, err = acquire(t.Context(), Source{Config: conf})
	if err != nil || !from.unchanged(t.Context()) {
		t.Fatal(err)
	}
	if err := os.WriteFile(cache, readTestdata(t, "ccache.v4"), 0o600); err != nil {
		t.Fatal(err)
	}
	if from.unchanged(t.Context()) {
		t.Error("a ccache that appears is no change")
	}
}

// lasting is a ccache whose tickets end in an hour.
func lasting(t *testing.T, content []byte) []byte {
	t.Helper()
	cache, err := parseCCache(content)
	if err != nil {
		t.Fatal(err)
	}
	for _, ticket := range cache.tickets {
		old := binary.BigEndian.AppendUint32(nil, uint32(ticket.end.Unix()))
		content = bytes.ReplaceAll(content, old, binary.BigEndian.AppendUint32(nil, uint32(time.Now().Add(time.Hour).Unix())))
	}
	return content
}

func TestCredentialsFromMemory(t *testing.T) {
	k, conf := startKDC(t)
	c, err := AcquireKeytab(t.Context(), aliceKeytab(t, k), Source{Config: conf})
	if err != nil || c.Principal() != "alice@A.TEST" {
		t.Errorf("%v, %v", c, err)
	}
	c, err = AcquireCCache(readTestdata(t, "ccache.v4"), Source{Config: conf})
	if err != nil || c.Principal() != "alice@VECTORS.TEST" {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := AcquireKeytab(t.Context(), aliceKeytab(t, k), Source{Config: conf, Principal: "bob"}); stageOf(err) != StageCredentials {
		t.Error(err)
	}
	if _, err := AcquireCCache([]byte("x"), Source{Config: conf}); stageOf(err) != StageCredentials {
		t.Error(err)
	}
	if _, err := AcquireCCache(nil, Source{Config: filepath.Join(t.TempDir(), "none")}); stageOf(err) != StageConfig {
		t.Error(err)
	}
}

func TestKeytabNames(t *testing.T) {
	k, conf := startKDC(t)
	keytab := writeFile(t, "alice.keytab", string(aliceKeytab(t, k)))
	for _, name := range []string{keytab, "FILE:" + keytab, "WRFILE:" + keytab} {
		if _, err := Acquire(t.Context(), Source{Config: conf, Keytab: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Acquire(t.Context(), Source{Config: conf, Keytab: "MEMORY:x"}); stageOf(err) != StageConfig {
		t.Error(err)
	}
}

// With GODEBUG=fips140=only the etypes of RFC 3962 are an error, not a panic, and those of RFC 8009 work.
func TestFIPSOnly(t *testing.T) {
	if os.Getenv("GSSENC_FIPS") == "" {
		child := exec.Command(os.Args[0], "-test.run=^TestFIPSOnly$")
		child.Env = append(os.Environ(), "GODEBUG=fips140=only", "GSSENC_FIPS=1")
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	for _, etype := range []int32{19, 20} {
		i, err := newInitiator(fakeTicket(t, etype), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := i.Step(nil); err != nil {
			t.Error(err)
		}
	}
	for _, etype := range []int32{17, 18} {
		if _, err := newMessageKey(Etype(etype), make([]byte, profiles[Etype(etype)].key), 24); err == nil {
			t.Errorf("%v is taken", Etype(etype))
		}
		if _, err := usableEtype(etype); err == nil || !strings.Contains(err.Error(), "FIPS") {
			t.Errorf("%v: %v", Etype(etype), err)
		}
		if _, err := newContext(Etype(etype), make([]byte, profiles[Etype(etype)].key), 0, true, 0, 0); err == nil {
			t.Errorf("a context of %v", Etype(etype))
		}
	}
	conf, err := parseConf("")
	if err != nil || len(conf.tkt) != 2 || conf.tkt[0] != 20 || conf.tgs[1] != 19 {
		t.Errorf("%+v, %v", conf, err)
	}
	if _, err := parseConf("[libdefaults]\npermitted_enctypes = aes256-cts rc4\n"); err == nil {
		t.Error("etypes that cannot be used are permitted")
	}
	x, err := newContext(AES256SHA384, make([]byte, 32), 0, true, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Seal(nil, []byte("x"), true); err != nil {
		t.Error(err)
	}
	_, _, err = password{text: "x"}.key(17, nil)
	if err == nil {
		t.Error("a key of aes128-cts-hmac-sha1-96")
	}
	_, _, err = password{text: "a password that is long enough"}.key(20, nil)
	if err != nil {
		t.Error(err)
	}
}

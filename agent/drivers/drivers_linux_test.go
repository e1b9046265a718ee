package drivers

import (
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
)

func TestRequestFrame(t *testing.T) {
	a := &agent.Prepared{Attempt: &agent.Attempt{Query: "select 1", UID: 7}, Dir: "/d", Environ: []string{"A=b"}, Given: []agent.Option{{Name: "host", Value: "h"}, {Name: "user"}}, Limit: 1500 * time.Millisecond}
	frame := requestFrame("3", a)
	if length := binary.BigEndian.Uint32(frame); int(length) != len(frame)-4 {
		t.Errorf("length %d of a frame of %d bytes", length, len(frame))
	}
	want := []string{"3", "7", "/d", "2", "select 1", "1", "A=b", "2", "host", "h", "user", "", ""}
	if diff := cmp.Diff(want, strings.Split(string(frame[4:]), "\x00")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestParseAttempt(t *testing.T) {
	whole := func(pairs ...string) string { return strings.Join(append(pairs, "end", ""), "\x00") + "\x00" }
	good := []string{"id", "3", "connected", "1", "message", "", "ssl", "1", "gss", "0", "connects", "2", "auth", "sasl ok", "column:pid", "42", "column:empty", ""}
	want := &agent.AttemptResult{Connected: true, SSLInUse: true, Connects: 2, AuthRequests: []string{"sasl", "ok"}, Row: map[string]string{"pid": "42", "empty": ""}}
	got, err := parseAttempt("3", []byte(whole(good...)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for name, bad := range map[string]string{
		"another attempt's":   strings.Replace(whole(good...), "id\x003", "id\x004", 1),
		"no id":               whole(good[2:]...),
		"cut":                 whole(good...)[:20],
		"without its end":     strings.TrimSuffix(whole(good...), "end\x00\x00"),
		"empty":               "",
		"a flag that is none": strings.Replace(whole(good...), "ssl\x001", "ssl\x002", 1),
		"an unknown word":     whole(append(slices.Clone(good), "witness", "1")...),
	} {
		if got, err := parseAttempt("3", []byte(bad)); err == nil {
			t.Errorf("a result that is %s was read as %+v", name, got)
		}
	}
}

func TestReadAttempt(t *testing.T) {
	tests := []struct{ how, crash, fault string }{
		{"signal 11", "signal 11 (segmentation fault)", ""},
		{"signal 14", "", "no end after 20s"},
		{"exit 2", "", "exit status 2: words of the process"},
		{"exit 0", "", "left no result"},
		{"error fork: no", "", `says "error fork: no"`},
	}
	for _, test := range tests {
		a := &agent.Prepared{Attempt: &agent.Attempt{}, Dir: t.TempDir(), Limit: 20 * time.Second}
		if err := os.WriteFile(filepath.Join(a.Dir, "stderr"), []byte("words of the process\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := readAttempt("1", test.how, a)
		switch {
		case test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)):
			t.Errorf("%s: got %v, %v, want fault …%s…", test.how, r, err, test.fault)
		case test.fault == "" && (err != nil || r.Crash != test.crash || r.Connected || r.Message != "words of the process"):
			t.Errorf("%s: got %+v, %v, want crash %s", test.how, r, err, test.crash)
		}
	}
}

func TestReadPsql(t *testing.T) {
	exit := func(status int) syscall.WaitStatus { return syscall.WaitStatus(status << 8) }
	tests := []struct {
		name, stdout, stderr string
		status               syscall.WaitStatus
		want                 *agent.AttemptResult // nil: a fault
	}{
		{"connected", psqlConnected + "\na,b,c\n\"x,y\",," + psqlNull + "\n", "", exit(0), &agent.AttemptResult{Connects: -1, Connected: true, Row: map[string]string{"a": "x,y", "b": ""}}},
		{"refused", "", "psql: error: FATAL:  no\n", exit(2), &agent.AttemptResult{Connects: -1, Message: "psql: error: FATAL:  no"}},
		{"the query failed", psqlConnected + "\n", "ERROR:  no\n", exit(1), &agent.AttemptResult{Connects: -1, Connected: true, Message: "ERROR:  no"}},
		{"lost after it connected", psqlConnected + "\n", "lost\n", exit(2), &agent.AttemptResult{Connects: -1, Connected: true, Message: "lost"}},
		{"crashed", "", "", syscall.WaitStatus(syscall.SIGSEGV), &agent.AttemptResult{Connects: -1, Crash: "signal 11 (segmentation fault)"}},
		{"crashed after it connected", psqlConnected + "\n", "", syscall.WaitStatus(syscall.SIGSEGV), &agent.AttemptResult{Connects: -1, Crash: "signal 11 (segmentation fault)"}},
		{"a status of its own", "", "psql: no such option\n", exit(1), nil},
		{"status 0 without a word", "", "", exit(0), nil},
		{"no row", psqlConnected + "\na\n", "", exit(0), nil},
	}
	for _, test := range tests {
		got, err := readPsql(test.status, test.stdout, test.stderr)
		if test.want == nil {
			if err == nil {
				t.Errorf("%s: got %+v, want a fault", test.name, got)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", test.name, diff)
		}
	}
}

// A Go library gets to the relay and to the host that refuses, and nowhere else; only what leads to the relay counts.
func TestTargets(t *testing.T) {
	relay, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := refusing.Addr().String()
	_ = refusing.Close()
	count := 0
	r := &workerRequest{Targets: agent.Targets{Relay: relay.Addr().String(), Dead: dead, DeadHost: "dead"}}
	for address, want := range map[string]string{relay.Addr().String(): "", dead: "connection refused", "127.0.0.1:1": "instead of the relay"} {
		conn, err := newCountingDialer("pgx", r, 0, &count).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	if count != 1 {
		t.Errorf("%d connections to the relay, want 1", count)
	}
	r.Dead = ""
	if _, err := newCountingDialer("pgx", r, 0, &count).DialContext(t.Context(), "tcp", ""); err == nil {
		t.Error("without a host that refuses, an empty address is one")
	}
}

func TestAuthRequestsCutAnywhere(t *testing.T) {
	message := func(kind byte, body string) string {
		return string([]byte{kind, 0, 0, 0, byte(len(body) + 4)}) + body
	}
	code := func(n byte, more string) string { return "\x00\x00\x00" + string([]byte{n}) + more }
	stream := message('N', "notice") + message('R', code(10, "SCRAM-SHA-256\x00\x00")) + message('R', code(11, "r=R")) + message('R', code(12, "v=R")) +
		message('R', code(0, "")) + message('S', "Rname\x00value\x00") + message('K', "12345678") + message('R', code(42, "")) +
		message('Z', "I") + message('R', code(3, ""))
	want := []string{"sasl", "sasl-continue", "sasl-final", "ok", "42"}
	for size := 1; size <= len(stream); size++ {
		var a authRequests
		for at := 0; at < len(stream); at += size {
			if n, err := a.Write([]byte(stream[at:min(at+size, len(stream))])); err != nil || n == 0 {
				t.Fatal(n, err)
			}
		}
		if diff := cmp.Diff(want, a.seen); diff != "" {
			t.Fatalf("cut every %d bytes: -want +got\n%s", size, diff)
		}
	}
	var a authRequests
	_, _ = a.Write([]byte("S\x00\x00\x00\x00\x00R\x00\x00\x00\x08\x00\x00\x00\x00"))
	if len(a.seen) != 0 {
		t.Errorf("bytes that are no messages gave %v", a.seen)
	}
}

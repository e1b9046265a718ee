package agent

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func feedAll(x *logIndex, log string) {
	for line := range strings.Lines(log) {
		x.feed(strings.TrimSuffix(line, "\n"))
	}
}

func peer(address string, port int, since int64) Peer {
	return Peer{Address: address, Port: port, Since: since}
}

func TestLogIndexTake(t *testing.T) {
	logged := func(port, pid int, exit string, texts ...string) LoggedConnection {
		c := LoggedConnection{Port: port, PID: pid, Exit: exit}
		for _, text := range texts {
			severity, rest, _ := strings.Cut(text, " ")
			state := "00000"
			if severity == "FATAL" || severity == "DETAIL" {
				state = "28000"
			}
			c.Lines = append(c.Lines, LogLine{Severity: severity, SQLState: state, Text: rest})
		}
		return c
	}
	tests := []struct {
		name, log string
		ask       Collect
		want      []LoggedConnection
		missing   string // part of the error where it is not complete
	}{
		{
			name: "a refused connection with DEBUG lines between",
			log: `1000.100|20|10.0.0.2(4000)|00000|DEBUG:  forked
1000.101|20|10.0.0.2(4000)|00000|LOG:  connection received: host=10.0.0.2 port=4000
1000.102|20|10.0.0.2(4000)|28000|FATAL:  no pg_hba.conf entry for host "10.0.0.2"
1000.103|20|10.0.0.2(4000)|00000|DEBUG:  shmem_exit(1)
1000.104|10||00000|DEBUG:  server process (PID 20) exited with exit code 1
`,
			ask:  Collect{Peers: []Peer{peer("10.0.0.2", 4000, 1000100)}},
			want: []LoggedConnection{logged(4000, 20, "exit code 1", "LOG connection received: host=10.0.0.2 port=4000", `FATAL no pg_hba.conf entry for host "10.0.0.2"`)},
		},
		{
			name: "two IPv6 addresses with the same port, and an IPv4 address",
			log: `1000.100|20|fd00:20::7(4000)|00000|LOG:  connection received: host=fd00:20::7 port=4000
1000.100|21|fd00:20::8(4000)|00000|LOG:  connection received: host=fd00:20::8 port=4000
1000.100|22|10.20.0.7(4000)|00000|LOG:  connection received: host=10.20.0.7 port=4000
1000.102|10||00000|DEBUG:  server process (PID 20) exited with exit code 0
1000.103|10||00000|DEBUG:  server process (PID 21) exited with exit code 0
1000.104|10||00000|DEBUG:  server process (PID 22) exited with exit code 0
`,
			ask: Collect{Peers: []Peer{peer("10.20.0.7", 4000, 0), peer("fd00:20::8", 4000, 0), peer("fd00:20:0::7", 4000, 0)}},
			want: []LoggedConnection{logged(4000, 22, "exit code 0", "LOG connection received: host=10.20.0.7 port=4000"),
				logged(4000, 21, "exit code 0", "LOG connection received: host=fd00:20::8 port=4000"), logged(4000, 20, "exit code 0", "LOG connection received: host=fd00:20::7 port=4000")},
		},
		{
			name: "two backends interleaved, asked for in the other order",
			log: `1000.100|20|10.0.0.2(4000)|00000|LOG:  one
1000.100|21|10.0.0.2(4001)|00000|LOG:  two
1000.101|20|10.0.0.2(4000)|00000|LOG:  one more
1000.102|10||00000|DEBUG:  server process (PID 21) exited with exit code 0
1000.103|10||00000|DEBUG:  server process (PID 20) exited with exit code 0
`,
			ask:  Collect{Peers: []Peer{peer("10.0.0.2", 4001, 0), peer("10.0.0.2", 4000, 0)}},
			want: []LoggedConnection{logged(4001, 21, "exit code 0", "LOG two"), logged(4000, 20, "exit code 0", "LOG one", "LOG one more")},
		},
		{
			name: "the same port of two clients",
			log: `1000.100|20|10.0.0.2(4000)|00000|LOG:  one
1000.100|21|10.0.0.3(4000)|00000|LOG:  two
1000.102|10||00000|DEBUG:  server process (PID 20) exited with exit code 0
1000.103|10||00000|DEBUG:  server process (PID 21) exited with exit code 0
`,
			ask:  Collect{Peers: []Peer{peer("10.0.0.3", 4000, 0)}},
			want: []LoggedConnection{logged(4000, 21, "exit code 0", "LOG two")},
		},
		{
			name: "a port used again: what began before is nobody's",
			log: `1000.100|20|10.0.0.2(4000)|00000|LOG:  never asked for
1000.101|10||00000|DEBUG:  server process (PID 20) exited with exit code 0
1000.200|21|10.0.0.2(4000)|00000|LOG:  mine
1000.201|10||00000|DEBUG:  server process (PID 21) exited with exit code 0
`,
			ask:  Collect{Peers: []Peer{peer("10.0.0.2", 4000, 1000150)}},
			want: []LoggedConnection{logged(4000, 21, "exit code 0", "LOG mine")},
		},
		{
			name: "a port used again, the later one not complete: the earlier is not handed out for it",
			log: `1000.100|20|10.0.0.2(4000)|00000|LOG:  never asked for
1000.101|10||00000|DEBUG:  server process (PID 20) exited with exit code 0
1000.200|21|10.0.0.2(4000)|00000|LOG:  mine
`,
			ask:     Collect{Peers: []Peer{peer("10.0.0.2", 4000, 1000150)}},
			missing: "no exit logged of process 21, which serves 10.0.0.2:4000; its last line is LOG: mine",
		},
		{
			name: "a port used again within the checked time: the oldest comes first",
			log: `1000.100|20|10.0.0.2(4000)|00000|LOG:  first
1000.101|10||00000|DEBUG:  server process (PID 20) exited with exit code 0
1000.200|21|10.0.0.2(4000)|00000|LOG:  second
1000.201|10||00000|DEBUG:  server process (PID 21) exited with exit code 0
`,
			ask:  Collect{Peers: []Peer{peer("10.0.0.2", 4000, 1000100), peer("10.0.0.2", 4000, 1000100)}},
			want: []LoggedConnection{logged(4000, 20, "exit code 0", "LOG first"), logged(4000, 21, "exit code 0", "LOG second")},
		},
		{
			name: "a process id used again without a logged exit",
			log: `1000.100|20|10.0.0.2(4000)|00000|LOG:  killed with its server
1000.200|20|10.0.0.2(4001)|00000|LOG:  another
1000.201|10||00000|DEBUG:  server process (PID 20) exited with exit code 0
`,
			ask:     Collect{Peers: []Peer{peer("10.0.0.2", 4000, 0)}},
			missing: "no line in the server's log about a connection from 10.0.0.2:4000",
		},
		{
			name: "a crash, as 17 logs it and as 18 names the process",
			log: `1000.100|20|10.0.0.2(4000)|00000|LOG:  one
1000.102|10||00000|DEBUG:  client backend (PID 20) was terminated by signal 11: Segmentation fault
1000.102|10||00000|LOG:  client backend (PID 20) was terminated by signal 11: Segmentation fault
1000.102|10||00000|DETAIL:  Failed process was running: select 1
`,
			ask:  Collect{Peers: []Peer{peer("10.0.0.2", 4000, 0)}},
			want: []LoggedConnection{logged(4000, 20, "terminated by signal 11: Segmentation fault", "LOG one")},
		},
		{
			name: "messages of several lines; the DETAIL of a dropped message is dropped",
			log: `1000.100|20|10.0.0.2(4000)|28000|FATAL:  a message
	of two lines
	and a third
1000.100|20|10.0.0.2(4000)|28000|DETAIL:  its detail
	continued
1000.101|20|10.0.0.2(4000)|00000|DEBUG:  dropped
	with all of it
1000.101|20|10.0.0.2(4000)|00000|DETAIL:  of the dropped one
	and more
1000.101|20|10.0.0.2(4000)|00000|LOG:  kept
1000.102|10||00000|DEBUG:  server process (PID 20) exited with exit code 1
`,
			ask:  Collect{Peers: []Peer{peer("10.0.0.2", 4000, 0)}},
			want: []LoggedConnection{logged(4000, 20, "exit code 1", "FATAL a message\nof two lines\nand a third", "DETAIL its detail\ncontinued", "LOG kept")},
		},
		{
			name: "a user name cannot forge a line",
			log: `1000.100|20|10.0.0.2(4000)|28000|FATAL:  no pg_hba.conf entry for user "x
	1000.100|10||00000|DEBUG:  server process (PID 20) exited with exit code 0"
`,
			ask:     Collect{Peers: []Peer{peer("10.0.0.2", 4000, 0)}},
			missing: "no exit logged of process 20",
		},
		{
			name: "a backend's own text is no exit",
			log: `1000.100|20|10.0.0.2(4000)|00000|LOG:  server process (PID 20) exited with exit code 0
`,
			ask:     Collect{Peers: []Peer{peer("10.0.0.2", 4000, 0)}},
			missing: "no exit logged of process 20",
		},
		{
			name:    "nothing at all",
			log:     "",
			ask:     Collect{Peers: []Peer{peer("10.0.0.2", 4000, 0)}},
			missing: "no line in the server's log",
		},
		{
			name: "one of two complete: nothing is taken",
			log: `1000.100|20|10.0.0.2(4000)|00000|LOG:  one
1000.102|10||00000|DEBUG:  server process (PID 20) exited with exit code 0
`,
			ask:     Collect{Peers: []Peer{peer("10.0.0.2", 4000, 0), peer("10.0.0.2", 4001, 0)}},
			missing: "10.0.0.2:4001",
		},
		{
			name: "IPv6, and IPv4 mapped into it",
			log: `1000.100|20|fd00::2(4000)|00000|LOG:  six
1000.100|21|10.0.0.2(4000)|00000|LOG:  four
1000.102|10||00000|DEBUG:  server process (PID 20) exited with exit code 0
1000.102|10||00000|DEBUG:  server process (PID 21) exited with exit code 0
`,
			ask:  Collect{Peers: []Peer{peer("fd00::2", 4000, 0), peer("::ffff:10.0.0.2", 4000, 0)}},
			want: []LoggedConnection{logged(4000, 20, "exit code 0", "LOG six"), logged(4000, 21, "exit code 0", "LOG four")},
		},
		{
			name: "unix socket: those since the attempt began, not an older one, not the one still open",
			log: `1000.050|19|[local]|00000|LOG:  older
1000.060|10||00000|DEBUG:  server process (PID 19) exited with exit code 0
1000.100|20|[local]|28000|FATAL:  refused
1000.101|18|[local]|00000|LOG:  the admin session
1000.102|10||00000|DEBUG:  server process (PID 20) exited with exit code 1
`,
			ask:  Collect{Local: true, Since: 1000100, Count: 1},
			want: []LoggedConnection{logged(0, 20, "exit code 1", "FATAL refused")},
		},
		{
			name: "unix socket: the process asked for has not ended",
			log: `1000.100|20|[local]|00000|LOG:  another
1000.102|10||00000|DEBUG:  server process (PID 20) exited with exit code 0
1000.103|21|[local]|00000|LOG:  mine
`,
			ask:     Collect{Local: true, Since: 1000000, Count: 1, PID: 21},
			missing: "1 of 1 connections over the unix socket have ended (process 21: false)",
		},
		{
			name: "a server that started again: what it left open is never complete",
			log: `1000.100|20|10.0.0.2(4000)|00000|LOG:  lost
1000.200|11||00000|LOG:  starting PostgreSQL 17.12 on x86_64-pc-linux-gnu
1000.300|10||00000|DEBUG:  server process (PID 20) exited with exit code 0
`,
			ask:     Collect{Peers: []Peer{peer("10.0.0.2", 4000, 0)}},
			missing: "no line in the server's log",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			x := newLogIndex()
			feedAll(x, test.log)
			got, _, err := x.take(test.ask)
			if test.missing != "" {
				if !errors.Is(err, errIncomplete) || !strings.Contains(err.Error(), test.missing) {
					t.Fatalf("got %v with error %v, want incomplete: …%s…", got.Connections, err, test.missing)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got.Connections); diff != "" {
				t.Fatalf("-want +got\n%s", diff)
			}
			if again, _, err := x.take(test.ask); !errors.Is(err, errIncomplete) {
				t.Fatalf("asked again: got %v with error %v; what is taken is gone", again.Connections, err)
			}
		})
	}
}

func TestLogIndexTakesNothingWhenIncomplete(t *testing.T) {
	x := newLogIndex()
	feedAll(x, `1000.100|20|10.0.0.2(4000)|00000|LOG:  one
1000.102|10||00000|DEBUG:  server process (PID 20) exited with exit code 0
`)
	both := Collect{Peers: []Peer{peer("10.0.0.2", 4000, 0), peer("10.0.0.2", 4001, 0)}}
	_, changed, err := x.take(both)
	if !errors.Is(err, errIncomplete) {
		t.Fatal(err)
	}
	feedAll(x, `1000.200|21|10.0.0.2(4001)|00000|LOG:  two
1000.202|10||00000|DEBUG:  server process (PID 21) exited with exit code 0
`)
	select {
	case <-changed:
	default:
		t.Fatal("an exit was logged and nobody was told")
	}
	got, _, err := x.take(both)
	if err != nil || len(got.Connections) != 2 {
		t.Fatalf("got %v, %v", got, err)
	}
}

func TestLogIndexPostmaster(t *testing.T) {
	x := newLogIndex()
	feedAll(x, `1000.100|10||00000|LOG:  received SIGHUP, reloading configuration files
1000.100|10||F0000|LOG:  invalid authentication method "trst"
1000.100|10||F0000|CONTEXT:  line 1 of configuration file "/pg_hba.conf"
1000.101|12||00000|DEBUG:  dropped
1000.101|20|10.0.0.2(4000)|00000|LOG:  a backend's
1000.101|10||00000|LOG:  pg_hba.conf was not reloaded
	with a second line
sh: 1: something of a shell
`)
	late := Collect{Postmaster: true, Until: "later"}
	_, changed, err := x.take(late)
	if !errors.Is(err, errIncomplete) {
		t.Fatalf("before the line that is waited for: %v", err)
	}
	got, _, err := x.take(Collect{Postmaster: true, Until: "received SIGHUP, reloading configuration files"})
	if err != nil {
		t.Fatal(err)
	}
	want := []LogLine{
		{"LOG", "00000", "received SIGHUP, reloading configuration files"},
		{"LOG", "F0000", `invalid authentication method "trst"`},
		{"CONTEXT", "F0000", `line 1 of configuration file "/pg_hba.conf"`},
		{"LOG", "00000", "pg_hba.conf was not reloaded\nwith a second line"},
		{"", "", "sh: 1: something of a shell"},
	}
	if diff := cmp.Diff(want, got.Postmaster); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
	if got, _, err := x.take(Collect{Postmaster: true}); err != nil || len(got.Postmaster) != 0 {
		t.Fatalf("the second time: %v, %v", got, err)
	}
	feedAll(x, "1000.200|10||00000|LOG:  later\n")
	select {
	case <-changed:
	default:
		t.Error("a line of the postmaster wakes nobody")
	}
	if got, _, err := x.take(late); err != nil || len(got.Postmaster) != 1 {
		t.Errorf("after the line that is waited for: %v, %v", got, err)
	}
}

// TestLogIndexPostmasterAlone: a checkpoint that begins during a reload is no part of the reload. A restarted server has another process id.
func TestLogIndexPostmasterAlone(t *testing.T) {
	x := newLogIndex()
	feedAll(x, `1000.100|10||00000|LOG:  starting PostgreSQL 17.5 on x86_64-pc-linux-gnu
1000.101|27||00000|LOG:  checkpoint starting: time
	and a second line
1000.101|27||00000|DETAIL:  of the checkpointer
1000.102|10||00000|LOG:  received SIGHUP, reloading configuration files
1000.103|28||00000|LOG:  automatic vacuum of table "postgres.pg_catalog.pg_authid"
1000.104|10||00000|LOG:  checkpointer process (PID 27) was terminated by signal 9: Killed
1000.105|10||00000|DETAIL:  of the postmaster
a library's words
1001.100|40||00000|LOG:  starting PostgreSQL 17.5 on x86_64-pc-linux-gnu
1001.101|10||00000|LOG:  the process id of the first, used again
1001.102|40||00000|LOG:  database system is ready to accept connections
`)
	got, _, err := x.take(Collect{Postmaster: true})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, l := range got.Postmaster {
		texts = append(texts, l.Text)
	}
	want := []string{"starting PostgreSQL 17.5 on x86_64-pc-linux-gnu", "received SIGHUP, reloading configuration files",
		"checkpointer process (PID 27) was terminated by signal 9: Killed", "of the postmaster", "a library's words",
		"starting PostgreSQL 17.5 on x86_64-pc-linux-gnu", "database system is ready to accept connections"}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
}

// TestLogIndexStartThatFails: what a postmaster says that ends before it says that it starts.
func TestLogIndexStartThatFails(t *testing.T) {
	x := newLogIndex()
	feedAll(x, `1000.100|10||00000|LOG:  starting PostgreSQL 17.5 on x86_64-pc-linux-gnu
1000.101|27||00000|LOG:  shutting down
1000.102|10||00000|LOG:  database system is shut down
1000.103|40||F0000|FATAL:  could not set the cipher list (no valid ciphers available)
1000.104|40||00000|LOG:  database system is shut down
1000.105|41||00000|LOG:  starting PostgreSQL 17.5 on x86_64-pc-linux-gnu
1000.106|42||00000|LOG:  database system was shut down at 2026-11-28 12:44:49 GMT
`)
	got, _, err := x.take(Collect{Postmaster: true})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, l := range got.Postmaster {
		texts = append(texts, l.Text)
	}
	const starting, ended = "starting PostgreSQL 17.5 on x86_64-pc-linux-gnu", "database system is shut down"
	if diff := cmp.Diff([]string{starting, ended, "could not set the cipher list (no valid ciphers available)", ended, starting}, texts); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
}

func TestLogIndexIsBounded(t *testing.T) {
	x := newLogIndex()
	for i := range maxUnclaimed + 10 {
		feedAll(x, fmt.Sprintf("1000.100|%d|10.0.0.2(%d)|00000|LOG:  one\n1000.101|10||00000|DEBUG:  server process (PID %d) exited with exit code 0\n", 100+i, 1000+i, 100+i))
	}
	if len(x.finished) != maxUnclaimed {
		t.Fatalf("%d connections kept, want %d", len(x.finished), maxUnclaimed)
	}
	if _, _, err := x.take(Collect{Peers: []Peer{peer("10.0.0.2", 1000, 0)}}); !errors.Is(err, errIncomplete) {
		t.Fatalf("the oldest is dropped and must be missed: %v", err)
	}
	for range maxConnectionLines + 1 {
		x.feed("1000.100|20|10.0.0.9(4000)|00000|LOG:  one of very many")
	}
	x.feed("1000.101|10||00000|DEBUG:  server process (PID 20) exited with exit code 0")
	if _, _, err := x.take(Collect{Peers: []Peer{peer("10.0.0.9", 4000, 0)}}); err == nil || errors.Is(err, errIncomplete) {
		t.Fatalf("a connection whose lines were dropped must be an error: %v", err)
	}
	for range maxPostmasterLines + 1 {
		x.feed("1000.100|10||00000|LOG:  checkpoint")
	}
	if _, _, err := x.take(Collect{Postmaster: true}); err == nil {
		t.Fatal("dropped lines of the postmaster must be an error")
	}
}

func TestParsePrefixRefuses(t *testing.T) {
	for _, line := range []string{"", "text", "1000|20|x|00000|LOG:  without milliseconds", "1000.1|20||00000|LOG:  one digit", "x.100|20||00000|LOG:  a", "1000.100|x||00000|LOG:  a", "1000.100|20|00000|LOG:  four parts"} {
		if p, ok := parsePrefix(line); ok {
			t.Errorf("%q was read as %+v", line, p)
		}
	}
}

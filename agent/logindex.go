package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Bounds of what the index keeps for nobody: finished connections that were never asked for, lines of one connection,
// lines of the postmaster. What is dropped is missed by the request that wanted it, and so a fault, never another answer.
const (
	maxUnclaimed       = 4096
	maxConnectionLines = 2000
	maxPostmasterLines = 20000
)

// logIndex takes a server's log apart by connection. It is fed line by line and is asked with take.
type logIndex struct {
	mu         sync.Mutex
	pid        int              // of the postmaster, from the line with which it starts; 0: that line was not read, or it has ended
	open       map[int]*backend // by process id
	finished   []*backend       // in the order of their exits, not yet taken
	postmaster []LogLine
	lost       int           // postmaster lines dropped since the last take
	previous   *LogLine      // where a continuation line belongs; nil: it was dropped
	skipping   map[int]bool  // processes whose latest message was dropped, so that its DETAIL is too
	changed    chan struct{} // closed and replaced at every exit and every line of the postmaster
}

// backend is a server process that serves a client.
type backend struct {
	LoggedConnection
	peer  netip.AddrPort // zero: unix socket
	first int64          // epoch milliseconds of its first line
	lost  int            // lines beyond maxConnectionLines
}

func newLogIndex() *logIndex {
	return &logIndex{open: map[int]*backend{}, skipping: map[int]bool{}, changed: make(chan struct{})}
}

// feed takes one line without its newline.
func (x *logIndex) feed(line string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	prefix, ok := parsePrefix(line)
	if !ok {
		if continued, isContinuation := strings.CutPrefix(line, "\t"); isContinuation {
			if x.previous != nil {
				x.previous.Text += "\n" + continued
			}
			return
		}
		if line != "" { // not from the server's logging: a library or a shell that shares its standard error
			x.toPostmaster(LogLine{Text: line})
		}
		return
	}
	severity, text, ok := strings.Cut(prefix.message, ":  ")
	if !ok {
		severity, text = "", prefix.message
	}
	x.previous = nil
	if prefix.peer == "" {
		if pid, how, ok := parseExit(text); ok {
			x.exit(pid, how)
		}
		if strings.HasPrefix(text, "starting PostgreSQL ") {
			clear(x.open) // what a killed server left behind has no exit to wait for
			x.pid = prefix.pid
		}
		if text == "database system is shut down" && prefix.pid == x.pid {
			x.pid = 0 // the next postmaster may end before it says that it starts
		}
	}
	b := x.backendOf(prefix)
	// The checkpointer and the other processes that serve no client write when they please. What they say is not the postmaster's word.
	drop := strings.HasPrefix(severity, "DEBUG") || b == nil && x.pid != 0 && prefix.pid != x.pid
	if isSubordinate(severity) {
		drop = x.skipping[prefix.pid]
	}
	if drop {
		x.skipping[prefix.pid] = true
		return
	}
	delete(x.skipping, prefix.pid)
	entry := LogLine{Severity: severity, SQLState: prefix.sqlState, Text: text}
	switch {
	case b == nil:
		x.toPostmaster(entry)
	case len(b.Lines) >= maxConnectionLines:
		b.lost++
	default:
		b.Lines = append(b.Lines, entry)
		x.previous = &b.Lines[len(b.Lines)-1]
	}
}

// backendOf finds or opens the connection that a line belongs to; nil for a process that serves no client.
func (x *logIndex) backendOf(p prefix) *backend {
	if p.peer == "" {
		return nil
	}
	peer, local := parsePeer(p.peer)
	if !local && !peer.IsValid() {
		return nil // a remote host that is no address: log_hostname is on, or the prefix is another
	}
	if b := x.open[p.pid]; b != nil && b.peer == peer {
		return b
	}
	// A process id that comes with another peer is another process: the exit of the first was never logged.
	b := &backend{LoggedConnection: LoggedConnection{Port: int(peer.Port()), PID: p.pid}, peer: peer, first: p.millis}
	x.open[p.pid] = b
	delete(x.skipping, p.pid)
	return b
}

func (x *logIndex) exit(pid int, how string) {
	b := x.open[pid]
	if b == nil {
		return
	}
	delete(x.open, pid)
	delete(x.skipping, pid)
	b.Exit = how
	x.finished = append(x.finished, b)
	if excess := len(x.finished) - maxUnclaimed; excess > 0 {
		x.finished = slices.Delete(x.finished, 0, excess)
	}
	x.change()
}

// change wakes those who wait for what is not complete.
func (x *logIndex) change() {
	close(x.changed)
	x.changed = make(chan struct{})
}

func (x *logIndex) toPostmaster(line LogLine) {
	if len(x.postmaster) >= maxPostmasterLines {
		x.postmaster = slices.Delete(x.postmaster, 0, maxPostmasterLines/2)
		x.lost += maxPostmasterLines / 2
	}
	x.postmaster = append(x.postmaster, line)
	x.previous = &x.postmaster[len(x.postmaster)-1]
	x.change()
}

// restarted says that the file began anew: open connections will never be complete.
func (x *logIndex) restarted() {
	x.mu.Lock()
	defer x.mu.Unlock()
	clear(x.open)
	clear(x.skipping)
	x.previous = nil
}

// errIncomplete: what was asked for is not all there yet.
var errIncomplete = errors.New("not complete yet")

// take answers a request and removes what it answers with, or returns an error that is errIncomplete and takes nothing;
// changed is closed when asking again makes sense.
func (x *logIndex) take(c Collect) (result CollectResult, changed <-chan struct{}, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	changed = x.changed
	var taken []*backend
	var missing []string
	for _, p := range c.Peers {
		address, err := netip.ParseAddr(p.Address)
		if err != nil {
			return result, changed, fmt.Errorf("collect: address %q: %w", p.Address, err)
		}
		peer := netip.AddrPortFrom(address.Unmap().WithZone(""), uint16(p.Port))
		b := x.oldest(peer, p.Since, taken)
		if b == nil {
			missing = append(missing, x.describe(peer))
			continue
		}
		taken = append(taken, b)
	}
	if len(missing) > 0 {
		return result, changed, fmt.Errorf("%w: %s", errIncomplete, strings.Join(missing, "; "))
	}
	if c.Until != "" && !slices.ContainsFunc(x.postmaster, func(l LogLine) bool { return l.Text == c.Until }) {
		return result, changed, fmt.Errorf("%w: the postmaster has not logged %q", errIncomplete, c.Until)
	}
	if c.Local {
		found := false
		count := 0
		for _, b := range x.finished {
			if b.peer.IsValid() {
				continue
			}
			if b.first >= c.Since {
				count++
				found = found || b.PID == c.PID
				taken = append(taken, b)
			}
		}
		if count < c.Count || c.PID != 0 && !found {
			return result, changed, fmt.Errorf("%w: %d of %d connections over the unix socket have ended (process %d: %t)", errIncomplete, count, c.Count, c.PID, found)
		}
	}
	for _, b := range taken {
		if b.lost > 0 {
			return result, changed, fmt.Errorf("collect: process %d logged %d messages more than the %d that are kept", b.PID, b.lost, maxConnectionLines)
		}
		result.Connections = append(result.Connections, b.LoggedConnection)
	}
	x.finished = slices.DeleteFunc(x.finished, func(b *backend) bool {
		if !b.peer.IsValid() {
			return c.Local // those before Since are nobody's
		}
		return slices.ContainsFunc(taken, func(t *backend) bool { return t.peer == b.peer && b.first <= t.first })
	})
	if c.Postmaster {
		if x.lost > 0 {
			return result, changed, fmt.Errorf("collect: %d lines of the postmaster were dropped because nobody asked for them", x.lost)
		}
		result.Postmaster, x.postmaster, x.previous = x.postmaster, nil, nil
	}
	return result, changed, nil
}

// oldest finds the finished connection from peer that began at since or later and is not among taken.
func (x *logIndex) oldest(peer netip.AddrPort, since int64, taken []*backend) *backend {
	for _, b := range x.finished {
		if b.peer == peer && b.first >= since && !slices.Contains(taken, b) {
			return b
		}
	}
	return nil
}

// describe says what there is of a connection that is not complete.
func (x *logIndex) describe(peer netip.AddrPort) string {
	for _, b := range x.open {
		if b.peer != peer {
			continue
		}
		last := "nothing but DEBUG lines so far"
		if len(b.Lines) > 0 {
			line := b.Lines[len(b.Lines)-1]
			last = "its last line is " + line.Severity + ": " + line.Text
		}
		return fmt.Sprintf("no exit logged of process %d, which serves %s; %s", b.PID, peer, last)
	}
	return fmt.Sprintf("no line in the server's log about a connection from %s", peer)
}

// prefix is LogLinePrefix taken apart.
type prefix struct {
	millis   int64
	pid      int
	peer     string
	sqlState string
	message  string
}

func parsePrefix(line string) (p prefix, ok bool) {
	parts := strings.SplitN(line, "|", 5)
	if len(parts) != 5 {
		return p, false
	}
	seconds, millis, ok := strings.Cut(parts[0], ".") // %n is SECONDS.MILLIS
	if !ok || len(millis) != 3 {
		return p, false
	}
	var err error
	if p.millis, err = strconv.ParseInt(seconds+millis, 10, 64); err != nil {
		return p, false
	}
	if p.pid, err = strconv.Atoi(parts[1]); err != nil {
		return p, false
	}
	p.peer, p.sqlState, p.message = parts[2], parts[3], parts[4]
	return p, true
}

// parsePeer reads %r: "ADDRESS(PORT)" or "[local]".
func parsePeer(r string) (peer netip.AddrPort, local bool) {
	if r == "[local]" {
		return netip.AddrPort{}, true
	}
	host, port, ok := strings.Cut(strings.TrimSuffix(r, ")"), "(")
	if !ok {
		return netip.AddrPort{}, false
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(address.Unmap().WithZone(""), uint16(number)), false
}

// Source: LogChildExit in src/backend/postmaster/postmaster.c. To 17 the process is called "server process", since 18 by
// its type, e.g. "client backend".
var exitLine = regexp.MustCompile(`^.+ \(PID (\d+)\) (?:exited with (exit code \d+|unrecognized status -?\d+)|was (terminated by .+))$`)

func parseExit(text string) (pid int, how string, ok bool) {
	if !strings.Contains(text, " (PID ") {
		return 0, "", false
	}
	m := exitLine.FindStringSubmatch(text)
	if m == nil {
		return 0, "", false
	}
	pid, err := strconv.Atoi(m[1])
	return pid, m[2] + m[3], err == nil
}

// isSubordinate is true of lines that belong to the message before them (send_message_to_server_log in elog.c).
func isSubordinate(severity string) bool {
	switch severity {
	case "DETAIL", "HINT", "QUERY", "CONTEXT", "LOCATION", "BACKTRACE", "STATEMENT":
		return true
	}
	return false
}

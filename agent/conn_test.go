package agent

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// fakeAgent is the other end of a Conn.
type fakeAgent struct {
	t        *testing.T
	conn     net.Conn
	requests *bufio.Reader
}

// connect returns a Conn that has heard the first line, and its other end.
func connect(t *testing.T) (*Conn, *fakeAgent) {
	t.Helper()
	mine, theirs := net.Pipe()
	c := newConn("container", client.NewHijackedResponse(mine, ""), func() string { return "it ended with exit status 7" })
	f := &fakeAgent{t: t, conn: theirs, requests: bufio.NewReader(theirs)}
	t.Cleanup(func() { _ = c.Close(); _ = theirs.Close() })
	f.say(1, Response{Version: Version()})
	if version := <-c.hello; version != Version() {
		t.Fatalf("version %s", version)
	}
	return c, f
}

// say writes a response as the engine multiplexes it; stream 1 is standard output.
func (f *fakeAgent) say(stream byte, r Response) {
	line, err := json.Marshal(r)
	if err != nil {
		f.t.Error(err)
	}
	f.raw(stream, string(line)+"\n")
}

func (f *fakeAgent) raw(stream byte, text string) {
	frame := []byte{stream, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(frame[4:], uint32(len(text)))
	if _, err := f.conn.Write(append(frame, text...)); err != nil {
		f.t.Logf("fake agent: %v", err)
	}
}

func (f *fakeAgent) hear() Request {
	line, err := f.requests.ReadBytes('\n')
	if err != nil {
		f.t.Errorf("fake agent: %v", err)
		return Request{}
	}
	var r Request
	if err := json.Unmarshal(line, &r); err != nil {
		f.t.Errorf("fake agent: %v", err)
	}
	return r
}

func TestConnAnswersReachTheirCallers(t *testing.T) {
	c, f := connect(t)
	const n = 20
	go func() {
		var requests []Request
		for range n {
			requests = append(requests, f.hear())
		}
		for i := len(requests) - 1; i >= 0; i-- { // the last first, and cut in the middle of a line
			line, _ := json.Marshal(Response{ID: requests[i].ID, Attempt: &AttemptResult{Token: requests[i].Attempt.Token, Message: "for " + requests[i].Attempt.Token}})
			f.raw(1, string(line[:len(line)/2]))
			f.raw(2, "a word in between\n")
			f.raw(1, string(line[len(line)/2:])+"\n")
		}
	}()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			token := fmt.Sprintf("cell-%d", i)
			r, err := c.Attempt(t.Context(), Attempt{Token: token})
			if err != nil || r.Message != "for "+token {
				t.Errorf("%s: got %q, %v", token, r.Message, err)
			}
		})
	}
	wg.Wait()
}

func TestConnRefusesWrongAnswers(t *testing.T) {
	attempt := func(c *Conn) error {
		_, err := c.Attempt(context.Background(), Attempt{Token: "mine"})
		return err
	}
	collect := func(c *Conn) error {
		_, err := c.Collect(context.Background(), Collect{Peers: []Peer{{Port: 1}, {Port: 2}}})
		return err
	}
	tests := []struct {
		name   string
		call   func(*Conn) error
		answer func(f *fakeAgent, r Request)
		want   string
		dead   bool // the Conn can no longer be used
	}{
		{"another attempt's token", attempt, func(f *fakeAgent, r Request) {
			f.say(1, Response{ID: r.ID, Attempt: &AttemptResult{Token: "another", Connected: true}})
		}, `asked for attempt "mine", the answer is that of "another"`, false},
		{"another request's ID", attempt, func(f *fakeAgent, r Request) {
			f.say(1, Response{ID: r.ID + 1, Attempt: &AttemptResult{Token: "mine", Connected: true}})
		}, "an answer to request 2, which is not open", true},
		{"an answer given twice", attempt, func(f *fakeAgent, r Request) {
			line, _ := json.Marshal(Response{ID: r.ID, Fault: "first"})
			f.raw(1, string(line)+"\n"+string(line)+"\n")
		}, "", true},
		{"a result of another kind", attempt, func(f *fakeAgent, r Request) {
			f.say(1, Response{ID: r.ID, Run: &RunResult{}})
		}, "holds no attempt result", false},
		{"a fault", attempt, func(f *fakeAgent, r Request) {
			f.say(1, Response{ID: r.ID, Fault: "no credential cache"})
		}, "no credential cache", false},
		{"no JSON", attempt, func(f *fakeAgent, _ Request) { f.raw(1, "panic: oh\n") }, "not a response", true},
		{"a second first line", attempt, func(f *fakeAgent, _ Request) {
			f.say(1, Response{Version: Version()})
			f.say(1, Response{Version: Version()})
		}, "a second first line", true},
		{"the agent dies", attempt, func(f *fakeAgent, _ Request) { f.raw(2, "panic: its last words\n"); _ = f.conn.Close() },
			"it ended with exit status 7; its last words: panic: its last words", true},
		{"the log of other ports", collect, func(f *fakeAgent, r Request) {
			f.say(1, Response{ID: r.ID, Collect: &CollectResult{Connections: []LoggedConnection{{Port: 2}, {Port: 1}}}})
		}, "asked for the log of port 1, the answer is that of port 2", false},
		{"the log of too few ports", collect, func(f *fakeAgent, r Request) {
			f.say(1, Response{ID: r.ID, Collect: &CollectResult{Connections: []LoggedConnection{{Port: 1}}}})
		}, "2 connections of the log were asked for, 1 are in the answer", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, f := connect(t)
			go func() { test.answer(f, f.hear()) }()
			err := test.call(c)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want …%s…", err, test.want)
			}
			if !test.dead {
				go func() { r := f.hear(); f.say(1, Response{ID: r.ID}) }()
				if err := c.Write(t.Context(), Write{}); err != nil {
					t.Fatalf("the next call: %v", err)
				}
				return
			}
			<-c.done
			if err := c.Write(t.Context(), Write{}); err == nil {
				t.Fatal("a later call succeeded")
			}
		})
	}
}

func TestConnDropsAnAnswerThatComesTooLate(t *testing.T) {
	c, f := connect(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	heard := make(chan Request)
	go func() { heard <- f.hear() }()
	result := make(chan error)
	go func() { result <- c.Write(ctx, Write{}) }()
	late := <-heard
	cancel(errors.New("enough"))
	if err := <-result; err == nil || !strings.Contains(err.Error(), "enough") {
		t.Fatalf("got %v", err)
	}
	f.say(1, Response{ID: late.ID})
	go func() { r := f.hear(); f.say(1, Response{ID: r.ID}) }()
	if err := c.Write(t.Context(), Write{}); err != nil {
		t.Fatalf("the next call: %v", err)
	}
}

func TestConnCloseFailsPendingCalls(t *testing.T) {
	c, f := connect(t)
	result := make(chan error)
	go func() { result <- c.Write(t.Context(), Write{}) }()
	f.hear()
	_ = c.Close()
	select {
	case err := <-result:
		if err == nil {
			t.Fatal("a pending call succeeded")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("a pending call hangs")
	}
}

func TestCollectOfAnAttempt(t *testing.T) {
	peers := []Peer{{Address: "10.0.0.2", Port: 1, Since: 5}}
	tests := []struct {
		name   string
		result AttemptResult
		want   string
	}{
		{"relay", AttemptResult{Peers: peers, Records: []wire.Record{{ServerPort: 1}}, Connects: 1}, `{"peers":[{"address":"10.0.0.2","port":1,"since":5}]}`},
		{"no connection", AttemptResult{}, `{}`},
		{"unix socket", AttemptResult{Unix: true, Started: 7, Connects: 1}, `{"local":true,"since":7,"count":1,"pid":3}`},
		{"unix socket, not counted", AttemptResult{Unix: true, Started: 7, Connects: -1}, `{"local":true,"since":7,"pid":3}`},
	}
	for _, test := range tests {
		got, err := json.Marshal(test.result.Collect(3))
		if err != nil || string(got) != test.want {
			t.Errorf("%s: got %s, %v, want %s", test.name, got, err, test.want)
		}
	}
}

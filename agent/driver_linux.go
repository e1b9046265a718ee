package agent

import (
	"context"
	"strings"
	"time"
)

// Driver makes attempts with one client. Package drivers has one for each.
type Driver interface {
	// Hostaddr is true of a client that is told the relay's address by the options hostaddr and port. Any other is given the
	// host alone, and the driver sees to it that the host's name leads to Prepared.Relay.
	Hostaddr() bool
	// Attempt makes one attempt; several are made concurrently. It fills in what the client says: the agent adds Token, Started,
	// Unix, Peers, Records, KRB5Trace, Conninfo and Micros. An error is a fault of the harness, never a refusal.
	Attempt(ctx context.Context, p *Prepared) (*AttemptResult, error)
	// Close ends what the driver keeps running between attempts. There is no attempt after it.
	Close()
}

// Prepared is one attempt as a driver needs it: everything is resolved, and nothing is shared with another attempt.
type Prepared struct {
	*Attempt
	Targets
	Dir     string        // private; also HOME
	Environ []string      // the whole environment, NAME=VALUE, sorted
	Given   []Option      // what the library is given: Options and, where the driver wants them, hostaddr and port
	Limit   time.Duration // until the attempt is a fault
	redact  *strings.Replacer
}

// Targets are where the hosts that an attempt names lead over TCP.
type Targets struct {
	Relay    string `json:"relay,omitempty"`     // ADDRESS:PORT, where all but DeadHost lead; empty: unix socket
	Dead     string `json:"dead,omitempty"`      // ADDRESS:PORT that refuses; empty: no host does
	DeadHost string `json:"dead_host,omitempty"` // whose name leads there
}

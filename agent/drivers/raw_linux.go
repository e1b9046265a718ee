package drivers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/gssenc"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

const (
	// A server that mends nothing (CVE-2026-6479) answers as often as it is asked, until its stack is used up.
	rawAlternations = 100_000
	rawWait         = 5 * time.Second // for each word of the server
)

// raw has no library: it sends what Attempt.Raw says.
type raw struct{}

func (raw) Hostaddr() bool { return true }

func (raw) Close() {}

// Attempt plays a sequence. That it could not be played is a fault.
func (raw) Attempt(ctx context.Context, p *agent.Prepared) (*agent.AttemptResult, error) {
	if p.Raw == nil {
		return nil, errors.New("client raw is not told what to send")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.Limit, fmt.Errorf("client raw did not end within %s", p.Limit))
	defer cancel()
	given := map[string]string{}
	for _, o := range p.Given {
		given[o.Name] = o.Value
	}
	client := wire.Raw{User: given["user"], Database: given["dbname"], SQL: p.Raw.SQL, Count: rawAlternations, Wait: rawWait}
	if p.CCache != "" {
		client.Seal = func(conn net.Conn) (net.Conn, error) { return seal(ctx, p, conn) }
	}
	if client.Address = net.JoinHostPort(given["hostaddr"], given["port"]); p.Server == "" {
		client.Address = given["host"] + "/.s.PGSQL." + given["port"]
	}
	played, err := client.Play(ctx, wire.Sequence(p.Raw.Name))
	if err != nil {
		return nil, err
	}
	if played.Record.Error != "" {
		return nil, fmt.Errorf("client raw: %s", played.Record.Error)
	}
	result := &agent.AttemptResult{Connects: 1, Message: played.Error, Raw: &played}
	for _, e := range played.Record.Events {
		if e.Kind == wire.AuthRequest {
			result.AuthRequests = append(result.AuthRequests, e.Auth)
		}
	}
	return result, nil
}

// seal begins GSS encryption with the attempt's ticket.
func seal(ctx context.Context, p *agent.Prepared, conn net.Conn) (net.Conn, error) {
	source := gssenc.Source{}
	for _, pair := range p.Environ {
		switch name, value, _ := strings.Cut(pair, "="); name {
		case "KRB5_CONFIG":
			source.Config = value
		case "KRB5CCNAME":
			source.CCache = value
		}
	}
	credentials, err := gssenc.Acquire(ctx, source)
	if err != nil {
		return nil, err
	}
	return gssenc.Client(ctx, conn, credentials, gssenc.InitOptions{SPN: p.Raw.SPN})
}

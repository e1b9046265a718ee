package drivers

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/gssenc"
)

// pgxLibrary is given what a user of it would write. The relay comes in by name look-up: pgx does not know hostaddr, and would
// send it to the server.
var pgxLibrary = goLibrary{name: "pgx", connect: connectPgx,
	register: func() { pgconn.RegisterGSSProvider(func() (pgconn.GSS, error) { return newGSSProvider() }) }}

// connecting marks the context in which pgx connects. pgx dials in another context, too: for a session that is lost during the query,
// pgx sends a cancel request on a connection of its own and in the background (pgconn.go, asyncClose). Whether that comes before the
// end of the attempt is chance, and nothing depends on it.
type connecting struct{}

var errNoCancel = errors.New("pgauthmatrix: no cancel request for a session that is lost")

// connectPgx makes an attempt; an error is a fault.
func connectPgx(ctx context.Context, r *workerRequest) (*agent.AttemptResult, error) {
	result := &agent.AttemptResult{}
	config, err := pgconn.ParseConfig(r.Conninfo)
	if err != nil {
		result.Message = err.Error()
		return result, nil
	}
	if r.Relay != "" {
		config.LookupFunc = func(_ context.Context, host string) ([]string, error) {
			if host == r.DeadHost {
				return []string{r.Dead}, nil
			}
			return []string{r.Relay}, nil
		}
	}
	dialer := newCountingDialer("pgx", r, config.ConnectTimeout, &result.Connects)
	ctx = context.WithValue(ctx, connecting{}, true)
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if ctx.Value(connecting{}) == nil {
			return nil, errNoCancel
		}
		return dialer.DialContext(ctx, network, address)
	}
	// Without gssencmode it is pgx alone.
	if _, given := config.RuntimeParams["gssencmode"]; given {
		if err := gssenc.Configure(config, gssenc.Options{}); err != nil {
			result.Message = err.Error()
			return result, nil
		}
	}
	// Last, so as to see what gssenc reads and does not pass on (require_auth).
	var connections []*authRequests
	build := config.BuildFrontend
	config.BuildFrontend = func(from io.Reader, to io.Writer) *pgproto3.Frontend {
		seen := &authRequests{}
		connections = append(connections, seen)
		return build(io.TeeReader(from, seen), to)
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	for _, c := range connections {
		result.AuthEarlier = len(result.AuthRequests)
		result.AuthRequests = append(result.AuthRequests, c.seen...)
	}
	if err != nil {
		result.Message = err.Error()
		return result, nil
	}
	result.Connected = true
	_, result.SSLInUse = conn.Conn().(*tls.Conn)
	_, result.GSSInUse = conn.Conn().(*gssenc.Conn)
	rows, err := conn.Exec(ctx, r.Query).ReadAll()
	_ = conn.Close(ctx)
	switch {
	case err != nil:
		result.Message = err.Error()
	case len(rows) == 0 || len(rows[0].Rows) == 0:
		result.Message = "the query returned no row"
	default:
		result.Row = map[string]string{}
		for i, column := range rows[0].FieldDescriptions {
			if value := rows[0].Rows[0][i]; value != nil {
				result.Row[column.Name] = string(value)
			}
		}
	}
	return result, nil
}

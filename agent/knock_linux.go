package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// knockTimeout is for one connection: a server that looks the name of an address up, and forks, takes some milliseconds.
const knockTimeout = 30 * time.Second

// knock opens connections one after the other: their order is that of what the server logs.
func knock(ctx context.Context, all []Knock) (states []string, err error) {
	states = make([]string, len(all))
	for i := range all {
		if states[i], err = all[i].knock(ctx); err != nil {
			return nil, fmt.Errorf("connection of %s to %s from %s: %w", all[i].User, all[i].Server, all[i].From, err)
		}
	}
	return states, nil
}

func (k *Knock) knock(ctx context.Context) (state string, err error) {
	ctx, cancel := context.WithTimeout(ctx, knockTimeout)
	defer cancel()
	config, err := pgconn.ParseConfig("host=localhost sslmode=disable password=wrong")
	if err != nil {
		return "", err
	}
	config.User, config.Database, config.Fallbacks = k.User, k.Database, nil
	if k.Physical {
		config.RuntimeParams["replication"] = "true"
	}
	config.Host, config.Port = k.Server, 5432
	if address, err := netip.ParseAddrPort(k.Server); err == nil {
		config.Host, config.Port = address.Addr().String(), address.Port()
	}
	dialer := net.Dialer{}
	if k.From != "" {
		if dialer.LocalAddr, err = net.ResolveTCPAddr("tcp", net.JoinHostPort(k.From, "0")); err != nil {
			return "", err
		}
	}
	config.DialFunc = dialer.DialContext
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err == nil {
		return "", conn.Close(ctx)
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code, nil
	}
	return "", err
}

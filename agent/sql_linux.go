package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// admin is the one session that looks after the server. It is opened once, and again where the harness asks for it: the rules under test
// would not let it in.
type admin struct {
	mu   sync.Mutex
	conn *pgconn.PgConn
	gone error // why there is no session any more
}

func (a *admin) run(ctx context.Context, s SQL) (*SQLResult, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.Reopen {
		if a.conn != nil {
			_ = a.conn.Close(ctx)
		}
		a.conn, a.gone = nil, nil
	}
	if a.gone != nil {
		return nil, fmt.Errorf("sql: the admin session is gone and is not opened again: %w", a.gone)
	}
	if a.conn == nil {
		conn, err := pgconn.Connect(ctx, s.Conninfo)
		if err != nil {
			return nil, fmt.Errorf("sql: open the admin session: %w", err)
		}
		a.conn = conn
	}
	results, err := a.conn.Exec(ctx, s.Statement).ReadAll()
	if a.conn.IsClosed() {
		a.gone = err
		if err == nil {
			a.gone = errors.New("closed by the server")
		}
		return nil, fmt.Errorf("sql: the admin session is lost: %w", a.gone)
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		text := refused.Error()
		if refused.Detail != "" {
			text += "; " + refused.Detail
		}
		return &SQLResult{Error: text}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sql: %w", err)
	}
	answer := &SQLResult{Rows: make([][][]*string, len(results))}
	for n, result := range results {
		for _, row := range result.Rows {
			texts := make([]*string, len(row))
			for i, value := range row {
				if value != nil {
					text := string(value)
					texts[i] = &text
				}
			}
			answer.Rows[n] = append(answer.Rows[n], texts)
		}
	}
	return answer, nil
}

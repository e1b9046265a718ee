package drivers

import (
	"bufio"
	"context"
	"crypto/tls"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
)

// pqTraced has lib/pq write every message of the protocol to os.Stderr. lib/pq decrypts the messages itself, so this is the
// only place where its authentication requests can be seen. lib/pq reads the variable when the process starts.
const pqTraced = "PQGO_DEBUG=1"

var pqLibrary = goLibrary{name: "pq", hostaddr: true, env: []string{pqTraced}, connect: connectPq,
	register: func() { pq.RegisterGSSProvider(func() (pq.GSS, error) { return newGSSProvider() }) }}

// connectPq makes an attempt; an error is a fault.
func connectPq(ctx context.Context, r *workerRequest) (result *agent.AttemptResult, err error) {
	trace, err := followPqTrace()
	if err != nil {
		return nil, err
	}
	result = &agent.AttemptResult{}
	defer func() {
		requests, failed := trace.end()
		if failed != nil {
			result, err = nil, errors.Join(err, failed)
		} else if result != nil {
			result.AuthRequests = requests
		}
	}()
	connector, failed := pq.NewConnector(r.Conninfo)
	if failed != nil {
		result.Message = failed.Error()
		return result, nil
	}
	dialer := pqDialer{countingDialer: newCountingDialer("pq", r, 0, &result.Connects)}
	defer dialer.end()
	// Once it is connected, lib/pq waits for connect_timeout and for no context.
	defer context.AfterFunc(ctx, dialer.end)()
	connector.Dialer(&dialer)
	trace.expected = true
	conn, failed := connector.Connect(ctx)
	if failed != nil {
		result.Message = failed.Error()
		return result, nil
	}
	result.Connected = true
	if result.SSLInUse, err = pqUsesTLS(conn); err != nil {
		return nil, err
	}
	result.Row, failed = pqRow(ctx, conn, r.Query)
	_ = conn.Close()
	if failed != nil {
		result.Message = failed.Error()
	}
	return result, nil
}

// pqUsesTLS looks into the connection: lib/pq does not tell whether it is encrypted.
func pqUsesTLS(conn driver.Conn) (bool, error) {
	v := reflect.ValueOf(conn)
	if v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
		if transport := v.Elem().FieldByName("c"); transport.IsValid() && transport.Type() == reflect.TypeFor[net.Conn]() && !transport.IsNil() {
			return transport.Elem().Type() == reflect.TypeFor[*tls.Conn](), nil
		}
	}
	return false, errors.New("this lib/pq keeps its transport elsewhere than in conn.c: see conn.go of the version in go.mod")
}

// pqRow asks the query; SQL null is absent from the row.
func pqRow(ctx context.Context, conn driver.Conn, query string) (map[string]string, error) {
	asker, ok := conn.(driver.QueryerContext)
	if !ok {
		return nil, errors.New("this lib/pq has no QueryContext")
	}
	rows, err := asker.QueryContext(ctx, query, nil)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns := rows.Columns()
	values := make([]driver.Value, len(columns))
	if err := rows.Next(values); errors.Is(err, io.EOF) {
		return nil, errors.New("the query returned no row")
	} else if err != nil {
		return nil, err
	}
	row := map[string]string{}
	for i, column := range columns {
		switch value := values[i].(type) {
		case nil:
		case []byte:
			row[column] = string(value)
		case string:
			row[column] = value
		default:
			row[column] = fmt.Sprint(value)
		}
	}
	return row, nil
}

// pqDialer keeps what it has opened: lib/pq leaves a connection open that sslmode=allow or prefer gives up, and where a
// process of its own would end with the attempt, a worker does not.
type pqDialer struct {
	*countingDialer
	mu     sync.Mutex
	opened []net.Conn
}

func (d *pqDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.countingDialer.DialContext(ctx, network, address)
	if err == nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.opened = append(d.opened, conn)
	}
	return conn, err
}

// Dial and DialTimeout belong to pq.Dialer; lib/pq uses DialContext where there is one.
func (d *pqDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d *pqDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

func (d *pqDialer) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, conn := range d.opened {
		_ = conn.Close()
	}
}

// pqTrace reads lib/pq's trace while an attempt is made. It holds passwords: nothing but the authentication requests is
// kept of it, and none of it reaches the process's own standard error.
type pqTrace struct {
	stderr *os.File
	pipe   *os.File
	read   chan error
	seen   []string
	traced bool // lib/pq has said that it connects

	expected bool
}

func followPqTrace() (*pqTrace, error) {
	from, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	t := &pqTrace{stderr: os.Stderr, pipe: to, read: make(chan error, 1)}
	os.Stderr = to
	go func() {
		defer from.Close()
		lines := bufio.NewReader(from)
		var failed error
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.read <- failed
				return
			}
			if failed == nil {
				failed = t.line(line)
			}
		}
	}()
	return t, nil
}

// line is "SERVER ← (R) AuthRequest LENGTH BODY", the body a quoted Go string (conn.go, recvMessage).
func (t *pqTrace) line(line string) error {
	t.traced = t.traced || strings.HasPrefix(line, "CONNECT ")
	rest, ok := strings.CutPrefix(line, "SERVER ← (R) ")
	if !ok {
		return nil
	}
	body, err := strconv.Unquote(strings.TrimSpace(rest[max(strings.IndexByte(rest, '"'), 0):]))
	if err != nil || len(body) < 4 {
		return errors.New("lib/pq's trace of an authentication request cannot be read: see conn.go, recvMessage, of the version in go.mod")
	}
	t.seen = append(t.seen, authName(binary.BigEndian.Uint32([]byte(body))))
	return nil
}

// end gives os.Stderr back and returns the authentication requests of all connections.
func (t *pqTrace) end() ([]string, error) {
	os.Stderr = t.stderr
	_ = t.pipe.Close()
	err := <-t.read
	if err == nil && t.expected && !t.traced {
		err = errors.New("lib/pq writes no trace: it does not know " + pqTraced + " any more")
	}
	return t.seen, err
}

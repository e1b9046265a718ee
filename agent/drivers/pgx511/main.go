// Command pgx511 is a driver program for pgx 5.11.0, the last version before the vulnerabilities that 5.12.0 mended. It makes one attempt:
// see docs/your-own-driver.md. It has no GSSAPI provider.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// inexpressible is the exit status of an attempt that pgx has no option for.
const inexpressible = 89

// known are the options that pgx has, by libpq's names. Any other would be sent to the server as a setting of the session.
var known = []string{"user", "dbname", "password", "application_name", "connect_timeout", "sslmode", "sslnegotiation", "sslrootcert", "sslcert", "sslkey",
	"channel_binding", "require_auth", "krbsrvname", "target_session_attrs"}

type attempt struct {
	Protocol int               `json:"protocol"`
	Options  map[string]string `json:"options"`
	Hosts    []struct {
		Name    string `json:"name"`
		Address string `json:"address"`
		Port    int    `json:"port"`
	} `json:"hosts"`
	Query string `json:"query"`
}

type result struct {
	Connected bool               `json:"connected"`
	Message   string             `json:"message,omitempty"`
	Row       map[string]*string `json:"row,omitempty"`
	SSLInUse  bool               `json:"ssl_in_use"`
	GSSInUse  bool               `json:"gss_in_use"`
	Connects  int                `json:"connects"`
}

func main() {
	var a attempt
	if err := json.NewDecoder(os.Stdin).Decode(&a); err != nil || a.Protocol != 1 {
		fmt.Fprintf(os.Stderr, "protocol %d, %v\n", a.Protocol, err)
		os.Exit(1)
	}
	for name := range a.Options {
		if !slices.Contains(known, name) {
			fmt.Fprintln(os.Stderr, "pgx has no "+name)
			os.Exit(inexpressible)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(a.make(context.Background())); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (a *attempt) make(ctx context.Context) (r result) {
	config, err := pgconn.ParseConfig(a.conninfo())
	if err != nil {
		r.Message = err.Error()
		return r
	}
	addresses := map[string]string{}
	for _, h := range a.Hosts {
		addresses[h.Name] = h.Address
	}
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{addresses[host]}, nil }
	dialer := net.Dialer{Timeout: config.ConnectTimeout}
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err == nil {
			r.Connects++
		}
		return conn, err
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		r.Message = err.Error()
		return r
	}
	r.Connected = true
	_, r.SSLInUse = conn.Conn().(*tls.Conn)
	results, err := conn.Exec(ctx, a.Query).ReadAll()
	switch {
	case err != nil:
		r.Message = err.Error()
	case len(results) == 0 || len(results[0].Rows) == 0:
		r.Message = "the query returned no row"
	default:
		r.Row = map[string]*string{}
		for i, column := range results[0].FieldDescriptions {
			if value := results[0].Rows[0][i]; value != nil {
				r.Row[column.Name] = new(string(value))
			} else {
				r.Row[column.Name] = nil
			}
		}
	}
	_ = conn.Close(ctx)
	return r
}

// conninfo is the attempt as a connection string.
func (a *attempt) conninfo() string {
	var hosts, ports, words []string
	for _, h := range a.Hosts {
		hosts, ports = append(hosts, h.Name), append(ports, strconv.Itoa(h.Port))
	}
	options := map[string]string{"host": strings.Join(hosts, ","), "port": strings.Join(ports, ",")}
	for name, value := range a.Options {
		options[name] = value
	}
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	for name, value := range options {
		words = append(words, name+"='"+quote.Replace(value)+"'")
	}
	return strings.Join(words, " ")
}

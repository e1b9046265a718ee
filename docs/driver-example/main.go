// Command driver-example is the example of docs/your-own-driver.md: a driver program for pgx.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

type attempt struct {
	Options map[string]string
	Hosts   []struct {
		Name, Address string
		Port          int
	}
	Query string
}

var known = []string{"user", "dbname", "password", "application_name", "connect_timeout", "sslmode", "sslrootcert", "sslcert", "sslkey"}

func main() {
	var a attempt
	if err := json.NewDecoder(os.Stdin).Decode(&a); err != nil {
		panic(err) // exit status 2: a fault, and not a refusal
	}
	result := map[string]any{"connected": false, "ssl_in_use": false, "gss_in_use": false}
	if err := try(a, result); err != nil {
		result["message"] = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		panic(err)
	}
}

func try(a attempt, result map[string]any) error {
	ctx := context.Background()
	conninfo := fmt.Sprintf("host=%s port=%d", a.Hosts[0].Name, a.Hosts[0].Port)
	for name, value := range a.Options {
		if !slices.Contains(known, name) {
			fmt.Fprintln(os.Stderr, "there is no option "+name)
			os.Exit(89) // the driver cannot express this attempt
		}
		conninfo += " " + name + "='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
	}
	config, err := pgconn.ParseConfig(conninfo)
	if err != nil {
		return err
	}
	connects := 0
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{a.Hosts[0].Address}, nil }
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			connects++
		}
		return conn, err
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	result["connects"] = connects
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	result["connected"] = true
	_, result["ssl_in_use"] = conn.Conn().(*tls.Conn)
	results, err := conn.Exec(ctx, a.Query).ReadAll()
	if err != nil {
		return err
	}
	row := map[string]*string{} // SQL null stays null
	for i, column := range results[0].FieldDescriptions {
		if value := results[0].Rows[0][i]; value != nil {
			row[column.Name] = new(string(value))
		}
	}
	result["row"] = row
	return nil
}

package gssenc_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/lib/pq"

	"github.com/pgauthmatrix/pgauthmatrix/gssenc"
)

// A server whose pg_hba.conf has nothing but hostgssenc lines, after kinit.
func Example() {
	ctx := context.Background()
	config, err := pgx.ParseConfig("host=pg.example.com user=alice dbname=app gssencmode=require")
	if err != nil {
		log.Fatal(err)
	}
	if err := gssenc.Configure(&config.Config, gssenc.Options{}); err != nil {
		log.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close(ctx)
	var principal string
	err = conn.QueryRow(ctx, "SELECT principal FROM pg_stat_gssapi WHERE encrypted AND pid = pg_backend_pid()").Scan(&principal)
	fmt.Println(principal, err)
}

// A service that logs in with its own keytab, without kinit and without the process's environment.
func ExampleOptions() {
	config, err := pgx.ParseConfig("host=pg.example.com user=app dbname=app")
	if err != nil {
		log.Fatal(err)
	}
	err = gssenc.Configure(&config.Config, gssenc.Options{
		Mode:   gssenc.Require,
		Source: gssenc.Source{Keytab: "/etc/app/app.keytab", Principal: "app@EXAMPLE.COM"},
	})
	fmt.Println(err)
	// Output: <nil>
}

// A pool, and database/sql over it.
func ExampleConfigure() {
	ctx := context.Background()
	config, err := pgxpool.ParseConfig("host=pg.example.com user=alice dbname=app gssencmode=require pool_max_conns=10")
	if err != nil {
		log.Fatal(err)
	}
	if err := gssenc.Configure(&config.ConnConfig.Config, gssenc.Options{}); err != nil {
		log.Fatal(err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	db := stdlib.OpenDBFromPool(pool)
	fmt.Println(db.PingContext(ctx))
}

// Method gss of pg_hba.conf on connections that are not under GSS encryption: TLS, or plaintext.
func ExampleProvider() {
	alice, err := gssenc.Acquire(context.Background(), gssenc.Source{})
	if err != nil {
		log.Fatal(err)
	}
	pgconn.RegisterGSSProvider(gssenc.Provider(alice, gssenc.InitOptions{}))
}

// The same credentials for lib/pq, which has no GSS encryption: method gss over TLS or plaintext.
func ExampleNewGSS() {
	app, err := gssenc.Acquire(context.Background(), gssenc.Source{Keytab: "/etc/app/app.keytab", Principal: "app@EXAMPLE.COM"})
	if err != nil {
		log.Fatal(err)
	}
	pq.RegisterGSSProvider(func() (pq.GSS, error) { return gssenc.NewGSS(app, gssenc.InitOptions{}), nil })
	db, err := sql.Open("postgres", "host=pg.example.com user=app dbname=app sslmode=verify-full")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	fmt.Println(db.Ping())
}

// Which protection a connection has.
func ExampleFromConn() {
	ctx := context.Background()
	config, err := pgx.ParseConfig("host=pg.example.com user=alice dbname=app")
	if err != nil {
		log.Fatal(err)
	}
	if err := gssenc.Configure(&config.Config, gssenc.Options{Logger: slog.Default()}); err != nil {
		log.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close(ctx)
	if session, ok := gssenc.FromConn(conn.PgConn().Conn()); ok {
		fmt.Println(session.Principal, session.Service, session.EType)
	}
}

// A keytab that comes from a secret store and is in no file.
func ExampleAcquireKeytab() {
	var secret []byte // of the store
	app, err := gssenc.AcquireKeytab(context.Background(), secret, gssenc.Source{Principal: "app@EXAMPLE.COM"})
	if err != nil {
		log.Fatal(err)
	}
	config, err := pgx.ParseConfig("host=pg.example.com user=app dbname=app gssencmode=require")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(gssenc.Configure(&config.Config, gssenc.Options{Credentials: app}))
}

package gssenc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgauthmatrix/pgauthmatrix/gssenc"
)

// benchSource is a ccache with a service ticket that is valid for an hour.
func benchSource(b *testing.B) gssenc.Source {
	b.Helper()
	content, err := os.ReadFile("testdata/ccache.v4")
	if err != nil {
		b.Fatal(err)
	}
	// Times of tickets: authenticated, begins, ends, the first two the same. All that end a day later end in an hour.
	for at := 0; at+12 <= len(content); at++ {
		begin, end := binary.BigEndian.Uint32(content[at+4:]), binary.BigEndian.Uint32(content[at+8:])
		if begin > 1.7e9 && begin < 1.9e9 && end > begin && end-begin <= 86400+300 {
			old := bytes.Clone(content[at+8 : at+12])
			content = bytes.ReplaceAll(content, old, binary.BigEndian.AppendUint32(nil, uint32(time.Now().Add(time.Hour).Unix())))
		}
	}
	dir := b.TempDir()
	conf := "[libdefaults]\n default_realm = VECTORS.TEST\n dns_canonicalize_hostname = false\n qualify_shortname = \"\"\n rdns = false\n dns_lookup_kdc = false\n" +
		"[realms]\n VECTORS.TEST = {\n  kdc = 127.0.0.1:1\n }\n[domain_realm]\n aes256-sha2 = VECTORS.TEST\n"
	for name, text := range map[string][]byte{"cc": content, "krb5.conf": []byte(conf)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return gssenc.Source{Config: filepath.Join(dir, "krb5.conf"), CCache: filepath.Join(dir, "cc")}
}

func BenchmarkAcquire(b *testing.B) {
	s := benchSource(b)
	for b.Loop() {
		if _, err := gssenc.Acquire(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInitiate(b *testing.B) {
	c, err := gssenc.Acquire(b.Context(), benchSource(b))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		i, err := c.Initiate(b.Context(), gssenc.InitOptions{SPN: "test/aes256-sha2"})
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := i.Step(nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkToken is what a connect does up to its first token, without a network: look-up, credentials, request and ticket. There the
// caller gives up; a server that hung up would have the ticket dropped.
func BenchmarkToken(b *testing.B) {
	c, err := pgconn.ParseConfig("host=aes256-sha2 user=alice krbsrvname=test gssencmode=require")
	if err != nil {
		b.Fatal(err)
	}
	c.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	var giveUp context.CancelFunc
	c.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = io.ReadFull(theirs, make([]byte, 8))
			_, _ = theirs.Write([]byte("G"))
			_, _ = io.ReadFull(theirs, make([]byte, 4))
			giveUp() // if the request is answered
		}()
		return ours, nil
	}
	if err := gssenc.Configure(c, gssenc.Options{Source: benchSource(b)}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		addresses, err := c.LookupFunc(b.Context(), c.Host)
		if err != nil {
			b.Fatal(err)
		}
		var ctx context.Context
		ctx, giveUp = context.WithCancel(b.Context())
		if _, err := c.DialFunc(ctx, "tcp", net.JoinHostPort(addresses[0], "5432")); err == nil {
			b.Fatal("a session")
		}
		giveUp()
	}
}

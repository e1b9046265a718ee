//go:build linux

package agent

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// ccache is a FILE credential cache of version 4 with one ticket of alice@EXAMPLE.TEST for a service of that realm
// (https://web.mit.edu/kerberos/krb5-latest/doc/formats/ccache_file_format.html).
func ccache(end time.Time, service ...string) []byte {
	data := func(b []byte, s string) []byte {
		return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
	}
	principal := func(b []byte, names ...string) []byte {
		b = binary.BigEndian.AppendUint32(b, 1)
		b = data(binary.BigEndian.AppendUint32(b, uint32(len(names))), "EXAMPLE.TEST")
		for _, n := range names {
			b = data(b, n)
		}
		return b
	}
	b := principal([]byte{5, 4, 0, 0}, "alice")
	b = principal(principal(b, "alice"), service...)
	b = data(binary.BigEndian.AppendUint16(b, 18), strings.Repeat("k", 32))
	for _, at := range []time.Time{end.Add(-time.Hour), end.Add(-time.Hour), end, end} {
		b = binary.BigEndian.AppendUint32(b, uint32(at.Unix()))
	}
	b = append(b, 0)                      // is_skey
	b = append(b, 0, 0, 0, 0)             // flags
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // addresses, authdata
	ticket := messages.Ticket{TktVNO: 5, Realm: "EXAMPLE.TEST", SName: types.PrincipalName{NameType: 2, NameString: service}, EncPart: types.EncryptedData{EType: 18, Cipher: []byte("sealed")}}
	sealed, err := ticket.Marshal()
	if err != nil {
		panic(err)
	}
	return data(data(b, string(sealed)), "")
}

func TestHealthOfCaches(t *testing.T) {
	now := time.Now()
	tgt := []string{"krbtgt", "EXAMPLE.TEST"}
	config := filepath.Join(t.TempDir(), "krb5.conf")
	if err := os.WriteFile(config, []byte(""), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		content []byte
		expired bool
		wrong   string
	}{
		{"valid", ccache(now.Add(time.Hour), tgt...), false, ""},
		{"expired", ccache(now.Add(-time.Hour), tgt...), true, ""},
		{"valid that expired", ccache(now.Add(-time.Minute), tgt...), false, "is not valid any more: it expired at "},
		{"expired that is valid", ccache(now.Add(time.Minute), tgt...), true, "must have expired, and is valid until "},
		{"of another realm", ccache(now.Add(time.Hour), "krbtgt", "OTHER.TEST"), false, "no ticket-granting ticket"},
		{"of a service", ccache(now.Add(time.Hour), "postgres", "pg.example.test"), false, "no ticket-granting ticket"},
		{"cut off", ccache(now.Add(time.Hour), tgt...)[:120], false, "not a FILE ccache of version 3 or 4, or damaged"},
		{"cut off, and to be expired", ccache(now.Add(-time.Hour), tgt...)[:120], true, "not a FILE ccache of version 3 or 4, or damaged"},
		{"empty", []byte{}, false, "is not valid any more"},
		{"missing", nil, false, "is not valid any more"},
		{"missing, and to be expired", nil, true, "is not valid any more"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cc")
			if tt.content != nil {
				if err := os.WriteFile(path, tt.content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			r := health(t.Context(), Health{Config: config, Caches: []CacheState{{path, tt.expired}}}, now)
			if got := strings.Join(r.Caches, "; "); !strings.Contains(got, tt.wrong) || (got == "") != (tt.wrong == "") {
				t.Errorf("%q, want %q", got, tt.wrong)
			}
		})
	}
}

func TestHealthOfLogins(t *testing.T) {
	dir := t.TempDir()
	r := health(t.Context(), Health{Config: filepath.Join(dir, "no.conf"), Logins: []Login{{Keytab: filepath.Join(dir, "no.keytab"), Principal: "a@B"}}}, time.Now())
	if len(r.Logins) != 1 || !strings.HasPrefix(r.Logins[0], "a@B: ") {
		t.Errorf("%q", r.Logins)
	}
}

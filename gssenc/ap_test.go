package gssenc

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// Two authenticators of the same client and time would be a replay to an acceptor.
func TestMomentsDiffer(t *testing.T) {
	const each = 2000
	before := time.Now().Truncate(time.Microsecond)
	moments := make([][]time.Time, 8)
	var wg sync.WaitGroup
	for i := range moments {
		wg.Go(func() {
			for range each {
				moments[i] = append(moments[i], moment())
			}
		})
	}
	wg.Wait()
	seen := map[time.Time]bool{}
	for _, some := range moments {
		for i, m := range some {
			if seen[m] || m.Before(before) || m.Nanosecond()%1000 != 0 || i > 0 && !m.After(some[i-1]) {
				t.Fatalf("moment %v: seen %v", m, seen[m])
			}
			seen[m] = true
		}
	}
}

// What an AP-REP may leave out or add, and what it may not. The time is that of fixed.
func TestAPRepParts(t *testing.T) {
	const (
		begin = "a011180f32303236313132343032303030305a a105020301e240"
		key   = "a22b 3029 a003020112 a1220420 0101010101010101010101010101010101010101010101010101010101010101"
	)
	for _, tt := range []struct {
		name, part string
		says       string // "" established
		subkey     byte
		seq        uint64
	}{
		{"all", begin + key + "a30302014d", "", flagAcceptorSubkey, 77},
		{"no subkey", begin + "a30302014d", "", 0, 77},
		{"no sequence number: zero", begin + key, "", flagAcceptorSubkey, 0},
		{"neither", begin, "", 0, 0},
		{"highest sequence number", begin + "a3070205 00ffffffff", "", 0, 1<<32 - 1},
		{"sequence number of 32 bits taken for negative", begin + "a30302 01ff", "", 0, 1<<32 - 1},
		{"subkey without octets", begin + "a20b 3009 a003020112 a1020400" + "a30302014d", "this one 0", 0, 0},
		{"subkey without type", begin + "a206 3004 a1020400" + "a30302014d", "cannot be read", 0, 0},
		{"something after the last field", begin + "a30302014d" + "a403020101", "cannot be read", 0, 0},
		{"fields exchanged", begin + "a30302014d" + key, "cannot be read", 0, 0},
		{"twice", begin + "a30302014d" + "a30302014e", "cannot be read", 0, 0},
		{"microseconds missing", "a011180f32303236313132343032303030305a", "cannot be read", 0, 0},
		{"time of day only", "a00d180b303230303030302e30305a" + "a105020301e240", "cannot be read", 0, 0},
		{"microseconds beyond 64 bits", "a011180f32303236313132343032303030305a a10b0209 01000000000001e240", "cannot be read", 0, 0},
		{"microseconds beyond 32 bits", "a011180f32303236313132343032303030305a a10702050100 01e240", "another request", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i, a := fixed(t, 18)
			rep, err := a.sealed(derWrap(0x7B, derWrap(0x30, unhex(t, tt.part))))
			if err != nil {
				t.Fatal(err)
			}
			_, done, err := i.Step(frame(t, tokenAPRep, rep))
			if tt.says != "" {
				if err == nil || done || !strings.Contains(err.Error(), tt.says) {
					t.Fatalf("done %v, %v", done, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			x, err := i.Context()
			if err != nil || x.in.flags != tt.subkey|flagSentByAcceptor || x.in.seq != tt.seq {
				t.Fatalf("flags %#x, sequence number %d: %v", x.in.flags, x.in.seq, err)
			}
		})
	}
}

// What is around the encrypted part.
func TestAPRepFrame(t *testing.T) {
	_, a := fixed(t, 18)
	rep, err := a.answer()
	if err != nil {
		t.Fatal(err)
	}
	enc := rep[bytes.Index(rep, unhex(t, "a003020112")):] // etype, no version of the key, ciphertext
	cipher := enc[5:]
	int1 := func(tag, n byte) []byte { return []byte{tag, 3, 2, 1, n} }
	for _, tt := range []struct {
		name string
		rep  []byte
		says string
	}{
		{"as it was", derWrap(0x6F, derWrap(0x30, bytes.Join([][]byte{int1(0xA0, 5), int1(0xA1, 15), derWrap(0xA2, derWrap(0x30, enc))}, nil))), ""},
		{"with a version of the key", derWrap(0x6F, derWrap(0x30, bytes.Join([][]byte{int1(0xA0, 5), int1(0xA1, 15), derWrap(0xA2, derWrap(0x30, bytes.Join([][]byte{int1(0xA0, 18), int1(0xA1, 3), cipher}, nil)))}, nil))), ""},
		{"another protocol version", derWrap(0x6F, derWrap(0x30, bytes.Join([][]byte{int1(0xA0, 4), int1(0xA1, 15), derWrap(0xA2, derWrap(0x30, enc))}, nil))), "cannot be read"},
		{"another type inside", derWrap(0x6F, derWrap(0x30, bytes.Join([][]byte{int1(0xA0, 5), int1(0xA1, 14), derWrap(0xA2, derWrap(0x30, enc))}, nil))), "cannot be read"},
		{"another type outside", derWrap(0x6E, derWrap(0x30, bytes.Join([][]byte{int1(0xA0, 5), int1(0xA1, 15), derWrap(0xA2, derWrap(0x30, enc))}, nil))), "cannot be read"},
		{"a field more", derWrap(0x6F, derWrap(0x30, bytes.Join([][]byte{int1(0xA0, 5), int1(0xA1, 15), derWrap(0xA2, derWrap(0x30, enc)), int1(0xA3, 1)}, nil))), "cannot be read"},
		{"no ciphertext", derWrap(0x6F, derWrap(0x30, bytes.Join([][]byte{int1(0xA0, 5), int1(0xA1, 15), derWrap(0xA2, derWrap(0x30, int1(0xA0, 18)))}, nil))), "cannot be read"},
		{"octets after the encrypted data", derWrap(0x6F, derWrap(0x30, bytes.Join([][]byte{int1(0xA0, 5), int1(0xA1, 15), derWrap(0xA2, append(derWrap(0x30, enc), 0))}, nil))), "cannot be read"},
	} {
		i, _ := fixed(t, 18)
		_, done, err := i.Step(frame(t, tokenAPRep, tt.rep))
		if done != (tt.says == "") || err != nil && (stageOf(err) != StageAnswer || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: done %v, %v", tt.name, done, err)
		}
	}
}

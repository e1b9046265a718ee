package gssenc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
)

const (
	maxKDCReply = 1 << 20
	kdcTimeout  = 10 * time.Second // for one address of a KDC; the caller's context may end earlier
	kdcPatience = time.Second      // after which the next is asked as well
)

// lastAnswered remembers, for each realm, which KDC answered: it is asked first. A KDC that hangs or drops packets then costs
// kdcPatience once, not with every exchange.
var lastAnswered sync.Map // of realm names, to kdc

// exchange sends a request to the KDCs of a realm until one answers: to the next one when one has failed, or has not answered
// within kdcPatience. The first answer counts. Only TCP is spoken: every KDC must (RFC 4120 7.2.2), and a ticket with a PAC fits
// into no datagram.
func (c *krb5Conf) exchange(ctx context.Context, realm string, request []byte) ([]byte, error) {
	kdcs, err := c.kdcs(ctx, realm)
	if err != nil {
		return nil, err
	}
	if last, ok := lastAnswered.Load(realm); ok {
		if i := slices.Index(kdcs, last.(kdc)); i > 0 {
			kdcs = slices.Concat(kdcs[i:i+1], kdcs[:i], kdcs[i+1:])
		}
	}
	winner, reply, err := race(ctx, kdcs, func(ctx context.Context, k kdc) ([]byte, error) { return c.ask(ctx, k, request) })
	if err != nil {
		return nil, fmt.Errorf("no KDC of realm %s answers: %w", realm, err)
	}
	lastAnswered.Store(realm, kdcs[winner])
	return reply, nil
}

// race tries candidates in their order, the next one when all before it have failed or kdcPatience has passed, and returns the
// first success. The others are cancelled. Without a success it returns all failures, or that ctx has ended.
func race[C any](ctx context.Context, candidates []C, try func(context.Context, C) ([]byte, error)) (winner int, reply []byte, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		candidate int
		reply     []byte
		err       error
	}
	results := make(chan result, len(candidates))
	patience := time.NewTimer(0)
	defer patience.Stop()
	failures := make([]error, len(candidates))
	for started, failed := 0, 0; ; {
		next := patience.C
		if started == len(candidates) {
			next = nil
		}
		select {
		case <-next:
			i := started
			started++
			go func() {
				reply, err := try(ctx, candidates[i])
				results <- result{i, reply, err}
			}()
			patience.Reset(kdcPatience)
		case r := <-results:
			if r.err == nil {
				return r.candidate, r.reply, nil
			}
			failures[r.candidate] = r.err
			if failed++; failed == len(candidates) && ctx.Err() == nil {
				return 0, nil, errors.Join(failures...)
			}
			if failed == started && failed < len(candidates) {
				patience.Reset(0)
			}
		case <-ctx.Done():
			return 0, nil, errors.Join(append(failures, context.Cause(ctx))...)
		}
	}
}

// ask sends a request to a KDC, by each of its addresses until one answers.
func (c *krb5Conf) ask(ctx context.Context, k kdc, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*kdcTimeout)
	defer cancel()
	addresses := []string{k.host}
	if net.ParseIP(k.host) == nil {
		var err error
		if addresses, err = c.resolver.LookupHost(ctx, k.host); err != nil {
			return nil, err
		}
	}
	_, reply, err := race(ctx, addresses, func(ctx context.Context, address string) ([]byte, error) {
		return askAddress(ctx, net.JoinHostPort(address, k.port), request)
	})
	return reply, err
}

func askAddress(ctx context.Context, address string, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, kdcTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	reply, err := transact(conn, request)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return reply, nil
}

// transact sends a request and reads the reply. What is no Kerberos message, and that the KDC cannot serve at the moment, are errors:
// another may be better off.
func transact(conn net.Conn, request []byte) ([]byte, error) {
	if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(request))), request...)); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxKDCReply {
		return nil, fmt.Errorf("a reply of %d octets", n)
	}
	reply := make([]byte, n)
	if _, err := io.ReadFull(conn, reply); err != nil {
		return nil, err
	}
	switch reply[0] { // [APPLICATION 11], 13 and 30
	case 0x6B, 0x6D:
	case 0x7E:
		if refusal, _ := asKRBError(reply); refusal != nil && refusal.Code == errorcode.KDC_ERR_SVC_UNAVAILABLE {
			return nil, refusal
		}
	default:
		return nil, errors.New("a reply that is no Kerberos message")
	}
	return reply, nil
}

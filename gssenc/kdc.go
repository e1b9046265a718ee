package gssenc

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/iana/patype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// The exchanges with a KDC, over gokrb5's messages. gokrb5's own client knows no context, allocates by the length that the
// KDC claims, renews in goroutines of its own, and names the wrong client realm after the first referral.

// asKRBError returns the KRB-ERROR that a KDC's reply is, with the data it carries, or nil.
func asKRBError(reply []byte) (*KRBError, []byte) {
	if len(reply) == 0 || reply[0] != 0x7E { // [APPLICATION 30]
		return nil, nil
	}
	e, data, err := parseKRBError(reply, "KDC")
	if err != nil {
		return nil, nil
	}
	return e, data
}

// parseKRBError reads a KRB-ERROR. Nothing in it is authenticated.
func parseKRBError(b []byte, from string) (*KRBError, []byte, error) {
	var m messages.KRBError
	if err := guard(func() error { return m.Unmarshal(b) }); err != nil {
		return nil, nil, err
	}
	return &KRBError{From: from, Code: m.ErrorCode, Text: printable(m.EText)}, m.EData, nil
}

// printable is what may be shown of a text that anybody could have sent.
func printable(s string) string {
	const most = 200
	out := strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7E {
			return '?'
		}
		return r
	}, s[:min(len(s), most)])
	return strings.TrimSpace(out)
}

func newNonce() (int, error) {
	var b [4]byte
	_, err := rand.Read(b[:])
	return int(binary.BigEndian.Uint32(b[:]) >> 1), err
}

// request is a KDC-REQ-BODY with what every request of this package has.
func (c *krb5Conf) request(client principal, server principal, etypes []int32, options ...int) (messages.KDCReqBody, error) {
	nonce, err := newNonce()
	body := messages.KDCReqBody{
		KDCOptions: types.NewKrbFlags(),
		Realm:      server.realm,
		CName:      client.PrincipalName,
		SName:      server.PrincipalName,
		Till:       time.Now().UTC().Add(c.ticketLifetime(client.realm)),
		Nonce:      nonce,
		EType:      etypes,
	}
	types.SetFlags(&body.KDCOptions, options)
	return body, err
}

// login is the AS exchange (RFC 4120 3.1): it returns the ticket-granting ticket. Of the ways of preauthentication, only the
// encrypted timestamp is known: no FAST, no PKINIT.
func (c *krb5Conf) login(ctx context.Context, client principal, s secret) (*ticket, error) {
	etypes := slices.Clone(c.tkt)
	if have := s.etypes(); have != nil { // those with a key first, as libkrb5 does
		slices.SortStableFunc(etypes, func(a, b int32) int {
			return boolInt(slices.Contains(have, b)) - boolInt(slices.Contains(have, a))
		})
		if !slices.Contains(have, etypes[0]) {
			return nil, fmt.Errorf("the keytab has keys of %v for %v, none of an etype that krb5.conf permits", names(have), client)
		}
	}
	body, err := c.request(client, ticketGranting(client.realm, client.realm), etypes, flags.RenewableOK)
	if err != nil {
		return nil, err
	}
	if c.forwardable(client.realm) {
		types.SetFlag(&body.KDCOptions, flags.Forwardable)
	}
	req := messages.ASReq{KDCReqFields: messages.KDCReqFields{PVNO: iana.PVNO, MsgType: msgtype.KRB_AS_REQ, ReqBody: body}}
	reply, hints, err := c.preauthenticated(ctx, client, s, &req)
	if err != nil {
		return nil, err
	}
	return readASRep(reply, client, s, hints, body)
}

func readASRep(reply []byte, client principal, s secret, hints types.PADataSequence, asked messages.KDCReqBody) (*ticket, error) {
	var rep messages.ASRep
	if err := guard(func() error { return rep.Unmarshal(reply) }); err != nil {
		return nil, fmt.Errorf("the KDC's reply: %w", err)
	}
	if rep.CRealm != client.realm || !rep.CName.Equal(client.PrincipalName) {
		return nil, fmt.Errorf("the KDC answered about %s@%s, not %v", rep.CName.PrincipalNameString(), rep.CRealm, client)
	}
	if salted := types.PADataSequence(rep.PAData); salted.Contains(patype.PA_ETYPE_INFO2) {
		hints = salted
	}
	if !slices.Contains(asked.EType, rep.EncPart.EType) {
		return nil, fmt.Errorf("the KDC's reply is encrypted with %v, which was not asked for", Etype(rep.EncPart.EType))
	}
	key, _, err := s.key(rep.EncPart.EType, hints)
	if err != nil {
		return nil, err
	}
	part, err := openKDCRep(rep.EncPart, key, keyusage.AS_REP_ENCPART)
	if err != nil {
		return nil, fmt.Errorf("the KDC's reply cannot be decrypted with this password or keytab: %w", err)
	}
	t, err := newTicket(client, rep.Ticket, part)
	if err != nil {
		return nil, err
	}
	if part.Nonce != asked.Nonce || !t.server.matches(ticketGranting(client.realm, client.realm)) {
		return nil, errors.New("the KDC's reply belongs to another request")
	}
	return t, nil
}

// preauthenticated sends an AS-REQ, again with an encrypted timestamp if the KDC wants one.
func (c *krb5Conf) preauthenticated(ctx context.Context, client principal, s secret, req *messages.ASReq) ([]byte, types.PADataSequence, error) {
	var hints types.PADataSequence
	for {
		request, err := req.Marshal()
		if err != nil {
			return nil, nil, err
		}
		reply, err := c.exchange(ctx, client.realm, request)
		if err != nil {
			return nil, nil, err
		}
		refusal, data := asKRBError(reply)
		if refusal == nil {
			return reply, hints, nil
		}
		if refusal.Code != errorcode.KDC_ERR_PREAUTH_REQUIRED || req.PAData != nil {
			return nil, nil, refusal
		}
		if err := guard(func() error { return hints.Unmarshal(data) }); err != nil {
			return nil, nil, fmt.Errorf("%w, with data that cannot be read: %w", refusal, err)
		}
		etype, err := preauthEtype(hints, s.etypes(), req.ReqBody.EType)
		if err != nil {
			return nil, nil, err
		}
		key, kvno, err := s.key(etype, hints)
		if err != nil {
			return nil, nil, err
		}
		stamp, err := types.GetPAEncTSEncAsnMarshalled()
		if err != nil {
			return nil, nil, err
		}
		sealed, err := encryptData(stamp, key, keyusage.AS_REQ_PA_ENC_TIMESTAMP, kvno)
		if err != nil {
			return nil, nil, err
		}
		value, err := sealed.Marshal()
		if err != nil {
			return nil, nil, err
		}
		req.PAData = types.PADataSequence{{PADataType: patype.PA_ENC_TIMESTAMP, PADataValue: value}}
	}
}

// preauthEtype is the first that the KDC offers (ETYPE-INFO2, in its order) and the secret can serve.
func preauthEtype(hints types.PADataSequence, have, asked []int32) (int32, error) {
	var offered []int32
	for _, pa := range hints {
		if pa.PADataType != patype.PA_ETYPE_INFO2 {
			continue
		}
		var info types.ETypeInfo2
		if err := guard(func() error { return info.Unmarshal(pa.PADataValue) }); err != nil {
			return 0, fmt.Errorf("the KDC's list of etypes: %w", err)
		}
		for _, entry := range info {
			offered = append(offered, entry.EType)
			if slices.Contains(asked, entry.EType) && (have == nil || slices.Contains(have, entry.EType)) {
				return entry.EType, nil
			}
		}
	}
	return 0, fmt.Errorf("the KDC wants preauthentication with a key of %v; none is at hand, or krb5.conf permits none", names(offered))
}

func openKDCRep(sealed types.EncryptedData, key types.EncryptionKey, usage uint32) (messages.EncKDCRepPart, error) {
	var part messages.EncKDCRepPart
	plain, err := decryptData(sealed, key, usage)
	if err != nil {
		return part, err
	}
	err = guard(func() error { return part.Unmarshal(plain) })
	if err == nil && len(part.SName.NameString) == 0 {
		err = errors.New("no service named")
	}
	return part, err
}

func newTicket(client principal, t messages.Ticket, part messages.EncKDCRepPart) (*ticket, error) {
	encoded, err := t.Marshal()
	var bits uint32
	for i, b := range part.Flags.Bytes[:min(4, len(part.Flags.Bytes))] {
		bits |= uint32(b) << (24 - 8*i)
	}
	return &ticket{
		client: client, server: principal{part.SName, part.SRealm}, encoded: encoded, key: part.Key, flags: bits,
		auth: part.AuthTime, start: part.StartTime, end: part.EndTime, renew: part.RenewTill,
	}, err
}

func names(etypes []int32) []string {
	var s []string
	for _, e := range etypes {
		s = append(s, Etype(e).String())
	}
	return s
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

package gssenc

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/crypto"
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
// KDC claims, renews in goroutines of its own, and names the wrong client realm behind the first referral.

const (
	maxKDCReply   = 1 << 20
	kdcTimeout    = 10 * time.Second // for one KDC; the caller's context may end earlier
	maxReferrals  = 8
	maxIterations = 1 << 20 // of string-to-key; whoever answers first in the AS exchange chooses them
)

// exchange sends a request to the KDCs of a realm, one after the other, until one answers. Only TCP is spoken: every KDC
// must (RFC 4120 7.2.2), and a ticket with a PAC fits into no datagram.
func (c *krb5Conf) exchange(ctx context.Context, realm string, request []byte) ([]byte, error) {
	kdcs, err := c.kdcs(ctx, realm)
	if err != nil {
		return nil, err
	}
	var failures []error
	for _, kdc := range kdcs {
		reply, err := exchangeTCP(ctx, kdc, request)
		if refusal, _ := asKRBError(reply); refusal != nil && refusal.Code == errorcode.KDC_ERR_SVC_UNAVAILABLE {
			err = fmt.Errorf("%s: %w", kdc, refusal) // another may be better off
		}
		if err == nil {
			return reply, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("no KDC of realm %s answers: %w", realm, errors.Join(failures...))
}

func (c *krb5Conf) kdcs(ctx context.Context, realm string) ([]string, error) {
	var kdcs []string
	for _, r := range c.Realms {
		if r.Realm == realm {
			for _, kdc := range r.KDC {
				if kdc = strings.TrimPrefix(kdc, "tcp/"); !strings.Contains(kdc, "/") && !slices.Contains(kdcs, kdc) {
					kdcs = append(kdcs, kdc)
				}
			}
		}
	}
	if len(kdcs) > 0 {
		return kdcs, nil
	}
	if !c.LibDefaults.DNSLookupKDC {
		return nil, fmt.Errorf("krb5.conf names no kdc for realm %s, and forbids dns_lookup_kdc", realm)
	}
	ctx, cancel := context.WithTimeout(ctx, kdcTimeout)
	defer cancel()
	_, found, err := net.DefaultResolver.LookupSRV(ctx, "kerberos", "tcp", realm)
	if err != nil {
		return nil, fmt.Errorf("krb5.conf names no kdc for realm %s, nor does DNS: %w", realm, err)
	}
	for _, srv := range found {
		kdcs = append(kdcs, net.JoinHostPort(strings.TrimSuffix(srv.Target, "."), strconv.Itoa(int(srv.Port))))
	}
	return kdcs, nil
}

func exchangeTCP(ctx context.Context, kdc string, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, kdcTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", kdc)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	failed := func(err error) error {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("%s: %w", kdc, err)
	}
	if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(request))), request...)); err != nil {
		return nil, failed(err)
	}
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, failed(err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxKDCReply {
		return nil, failed(fmt.Errorf("a reply of %d octets", n))
	}
	reply := make([]byte, n)
	if _, err := io.ReadFull(conn, reply); err != nil {
		return nil, failed(err)
	}
	return reply, nil
}

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
		Till:       time.Now().UTC().Add(c.LibDefaults.TicketLifetime),
		Nonce:      nonce,
		EType:      etypes,
	}
	types.SetFlags(&body.KDCOptions, options)
	return body, err
}

// secret gives the key of an etype: of a keytab entry, or made from a password with the salt and parameters of the KDC.
type secret interface {
	etypes() []int32 // that there are keys of; nil: any
	key(etype int32, hints types.PADataSequence) (types.EncryptionKey, int, error)
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
	if c.LibDefaults.Forwardable {
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

// ticketFor is the TGS exchange (RFC 4120 3.3) with the realm that tgt is for. Options are bits of KDCOptions.
func (c *krb5Conf) ticketFor(ctx context.Context, tgt *ticket, server principal, options ...int) (*ticket, error) {
	realm := tgt.server.NameString[len(tgt.server.NameString)-1]
	asked := principal{server.PrincipalName, realm}
	body, err := c.request(tgt.client, asked, c.tgs, options...)
	if err != nil {
		return nil, err
	}
	body.CName = types.PrincipalName{}
	req := messages.TGSReq{KDCReqFields: messages.KDCReqFields{PVNO: iana.PVNO, MsgType: msgtype.KRB_TGS_REQ, ReqBody: body}}
	if req.PAData, err = tgsPreauth(tgt, &body); err != nil {
		return nil, err
	}
	request, err := req.Marshal()
	if err != nil {
		return nil, err
	}
	reply, err := c.exchange(ctx, realm, request)
	if err != nil {
		return nil, err
	}
	if refusal, _ := asKRBError(reply); refusal != nil {
		return nil, refusal
	}
	return readTGSRep(reply, tgt, server, body.Nonce)
}

func readTGSRep(reply []byte, tgt *ticket, server principal, nonce int) (*ticket, error) {
	var rep messages.TGSRep
	if err := guard(func() error { return rep.Unmarshal(reply) }); err != nil {
		return nil, fmt.Errorf("the KDC's reply: %w", err)
	}
	part, err := openKDCRep(rep.EncPart, tgt.key, keyusage.TGS_REP_ENCPART_SESSION_KEY)
	if err != nil {
		return nil, fmt.Errorf("the KDC's reply: %w", err)
	}
	t, err := newTicket(tgt.client, rep.Ticket, part)
	if err != nil {
		return nil, err
	}
	issuer := tgt.server.NameString[len(tgt.server.NameString)-1]
	referral := len(part.SName.NameString) == 2 && part.SName.NameString[0] == "krbtgt"
	switch {
	case part.Nonce != nonce, !rep.CName.Equal(tgt.client.PrincipalName), rep.CRealm != tgt.client.realm:
		return nil, errors.New("the KDC's reply belongs to another request")
	case !part.SName.Equal(server.PrincipalName) && !referral, !rep.Ticket.SName.Equal(part.SName), part.SRealm != issuer:
		return nil, fmt.Errorf("the KDC issued a ticket for %v instead of %v", t.server, server)
	}
	return t, nil
}

// tgsPreauth is the AP-REQ in a TGS-REQ.
func tgsPreauth(tgt *ticket, body *messages.KDCReqBody) (types.PADataSequence, error) {
	encoded, err := body.Marshal()
	if err != nil {
		return nil, err
	}
	et, err := crypto.GetEtype(tgt.key.KeyType)
	if err != nil {
		return nil, fmt.Errorf("the ticket-granting ticket has a session key of %v", Etype(tgt.key.KeyType))
	}
	sum, err := et.GetChecksumHash(tgt.key.KeyValue, encoded, keyusage.TGS_REQ_PA_TGS_REQ_AP_REQ_AUTHENTICATOR_CHKSUM)
	if err != nil {
		return nil, err
	}
	auth := authenticator{time: moment(), sum: types.Checksum{CksumType: et.GetHashID(), Checksum: sum}}
	value, err := apReq(tgt, auth, keyusage.TGS_REQ_PA_TGS_REQ_AP_REQ_AUTHENTICATOR, 0)
	if err != nil {
		return nil, err
	}
	return types.PADataSequence{{PADataType: patype.PA_TGS_REQ, PADataValue: value}}, nil
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

// password makes keys of a password.
type password struct {
	client principal
	text   string
}

func (password) etypes() []int32 { return nil }

func (p password) key(etype int32, hints types.PADataSequence) (types.EncryptionKey, int, error) {
	et, err := crypto.GetEtype(etype)
	if err != nil {
		return types.EncryptionKey{}, 0, fmt.Errorf("cannot make a key of %v", Etype(etype))
	}
	salt, params := p.client.GetSalt(p.client.realm), et.GetDefaultStringToKeyParams()
	for _, pa := range hints {
		if pa.PADataType != patype.PA_ETYPE_INFO2 {
			continue
		}
		var info types.ETypeInfo2
		if err := guard(func() error { return info.Unmarshal(pa.PADataValue) }); err != nil {
			return types.EncryptionKey{}, 0, fmt.Errorf("the KDC's list of etypes: %w", err)
		}
		i := slices.IndexFunc(info, func(e types.ETypeInfo2Entry) bool { return e.EType == etype })
		if i < 0 {
			continue
		}
		if info[i].Salt != "" {
			salt = info[i].Salt
		}
		if _, aes := profiles[Etype(etype)]; aes && len(info[i].S2KParams) > 0 {
			if len(info[i].S2KParams) != 4 {
				return types.EncryptionKey{}, 0, errors.New("the KDC's parameters for the password are malformed")
			}
			if n := binary.BigEndian.Uint32(info[i].S2KParams); n == 0 || n > maxIterations {
				return types.EncryptionKey{}, 0, fmt.Errorf("the KDC wants %d iterations for the password; at most %d are made", n, maxIterations)
			}
			params = hex.EncodeToString(info[i].S2KParams)
		}
	}
	value, err := et.StringToKey(p.text, salt, params)
	if err != nil {
		return types.EncryptionKey{}, 0, errors.New("no key can be made of this password")
	}
	return types.EncryptionKey{KeyType: etype, KeyValue: value}, 0, nil
}

// keytabOf is a keytab's keys of one principal.
type keytabOf []keytabKey

func (k keytabOf) etypes() []int32 {
	var etypes []int32
	for _, key := range k {
		if !slices.Contains(etypes, key.key.KeyType) {
			etypes = append(etypes, key.key.KeyType)
		}
	}
	return etypes
}

func (k keytabOf) key(etype int32, _ types.PADataSequence) (types.EncryptionKey, int, error) {
	best := -1
	for i, key := range k {
		if key.key.KeyType == etype && (best < 0 || key.kvno > k[best].kvno) {
			best = i
		}
	}
	if best < 0 {
		return types.EncryptionKey{}, 0, fmt.Errorf("the keytab has no key of %v for %v, which the KDC uses", Etype(etype), k[0].owner)
	}
	return k[best].key, int(k[best].kvno), nil
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

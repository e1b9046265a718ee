package gssenc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/iana/patype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// maxReferrals bounds a chain of realms.
const maxReferrals = 8

// fetch gets a service ticket from the KDCs, in the order of libkrb5 (lib/krb5/krb/get_creds.c): from the KDC of the service's
// realm, or of the client's own where that is not known, by a request that allows referrals to other realms (RFC 6806 8). If the
// first such request is refused, by one without: to the realm that was named, or to that of the host's domain. So it is, too, where
// Active Directory rewrites the name of the service or refers to the realm that was asked.
func (c *Credentials) fetch(ctx context.Context, server principal) (*ticket, error) {
	tgt, err := c.ticketGranting(ctx)
	if err != nil {
		return nil, err
	}
	if server.realm != "" {
		if tgt, err = c.crossRealm(ctx, tgt, server.realm); err != nil {
			return nil, err
		}
	}
	seen := []string{tgt.target()}
	for {
		t, err := c.ticketFor(ctx, tgt, server, flags.Canonicalize)
		switch {
		case err != nil && len(seen) == 1 && errors.As(err, new(*KRBError)):
			return c.withoutReferral(ctx, tgt, server, err)
		case err != nil:
			return nil, err
		case t.server.Equal(server.PrincipalName):
			return t, nil
		case t.target() == "" || t.target() == tgt.target():
			return c.ticketFor(ctx, tgt, server)
		case len(seen) > maxReferrals || slices.Contains(seen, t.target()):
			return nil, fmt.Errorf("%v: more than %d referrals, or in a circle: %v and %s", server, maxReferrals, seen, t.target())
		}
		seen = append(seen, t.target())
		c.keep(t)
		tgt = t
	}
}

// withoutReferral asks again after the KDC of tgt has refused a request that allows referrals.
func (c *Credentials) withoutReferral(ctx context.Context, tgt *ticket, server principal, refusal error) (*ticket, error) {
	if server.realm == "" {
		if len(server.NameString) < 2 {
			return nil, refusal
		}
		realm := c.conf.fallbackRealm(server.NameString[1])
		if realm == "" {
			return nil, refusal
		}
		var err error
		if tgt, err = c.crossRealm(ctx, tgt, realm); err != nil {
			return nil, refusal
		}
	}
	return c.ticketFor(ctx, tgt, server)
}

// ticketFor asks the realm that tgt is for. Errors name the service.
func (c *Credentials) ticketFor(ctx context.Context, tgt *ticket, server principal, options ...int) (*ticket, error) {
	if c.conf.forwardable(c.client.realm) {
		options = append(options, flags.Forwardable)
	}
	t, err := c.conf.ticketFor(ctx, tgt, server, options...)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", principal{server.PrincipalName, tgt.target()}, err)
	}
	return t, nil
}

// ticketFor is the TGS exchange (RFC 4120 3.3) with the realm that tgt is for. Options are bits of KDCOptions; with Canonicalize the
// ticket may be for another service than was asked for: the caller decides what that means.
func (c *krb5Conf) ticketFor(ctx context.Context, tgt *ticket, server principal, options ...int) (*ticket, error) {
	asked := principal{server.PrincipalName, tgt.target()}
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
	reply, err := c.exchange(ctx, asked.realm, request)
	if err != nil {
		return nil, err
	}
	if refusal, _ := asKRBError(reply); refusal != nil {
		return nil, refusal
	}
	return readTGSRep(reply, tgt, server, body.Nonce, slices.Contains(options, flags.Canonicalize))
}

func readTGSRep(reply []byte, tgt *ticket, server principal, nonce int, canonicalize bool) (*ticket, error) {
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
	another := !part.SName.Equal(server.PrincipalName) && !canonicalize && t.target() == ""
	switch {
	case part.Nonce != nonce, !rep.CName.Equal(tgt.client.PrincipalName), rep.CRealm != tgt.client.realm:
		return nil, errors.New("the KDC's reply belongs to another request")
	case another, !rep.Ticket.SName.Equal(part.SName), part.SRealm != tgt.target():
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
	et, err := usableEtype(tgt.key.KeyType)
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

// rejectsTicket says that a KDC refused a request because of the ticket-granting ticket that came with it: it has new keys, or a new
// database, or another clock than when it issued it.
func rejectsTicket(err error) bool {
	var refusal *KRBError
	if !errors.As(err, &refusal) {
		return false
	}
	switch refusal.Code {
	case errorcode.KDC_ERR_TGT_REVOKED, errorcode.KRB_AP_ERR_BAD_INTEGRITY, errorcode.KRB_AP_ERR_TKT_EXPIRED, errorcode.KRB_AP_ERR_TKT_NYV,
		errorcode.KRB_AP_ERR_NOT_US, errorcode.KRB_AP_ERR_MODIFIED, errorcode.KRB_AP_ERR_BADKEYVER, errorcode.KRB_AP_ERR_NOKEY:
		return true
	}
	return false
}

package gssenc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// AcquireDelegated makes credentials of the ticket-granting ticket that a client has forwarded with its AP-REQ to a service in Go. From is the authenticator
// and session the ticket's session key, as gokrb5's messages.APReq has them after Verify. Of the source, Config is used. A service in
// another language leaves a ccache.
func AcquireDelegated(from types.Authenticator, session types.EncryptionKey, s Source) (*Credentials, error) {
	c, err := s.begin()
	if err != nil {
		return nil, err
	}
	message, err := forwardedIn(from.Cksum)
	if err == nil {
		c.tickets, err = openKRBCred(message, from.SubKey, session)
	}
	if err != nil {
		return nil, at(StageCredentials, err)
	}
	c.client = c.tickets[0].client
	return c, nil
}

// forwardedIn takes the KRB-CRED out of an authenticator's checksum field (RFC 4121 4.1.1): a length and channel bindings, flags, DlgOpt, Dlgth, Deleg.
func forwardedIn(sum types.Checksum) ([]byte, error) {
	b := sum.Checksum
	switch {
	case sum.CksumType != gssChecksum || len(b) < 24 || binary.LittleEndian.Uint32(b) != 16:
		return nil, errors.New("the authenticator is not that of a GSSAPI initiator")
	case binary.LittleEndian.Uint32(b[20:])&gssDelegate == 0:
		return nil, errors.New("the client has not delegated credentials")
	case len(b) < 28 || binary.LittleEndian.Uint16(b[24:]) != 1 || len(b)-28 < int(binary.LittleEndian.Uint16(b[26:])):
		return nil, errors.New("the delegated credentials cannot be read")
	}
	return b[28 : 28+int(binary.LittleEndian.Uint16(b[26:]))], nil
}

// openKRBCred reads ticket-granting tickets. They are encrypted with one of the keys, or not at all: MIT krb5 leaves it to the authenticator.
func openKRBCred(message []byte, keys ...types.EncryptionKey) (tickets []*ticket, err error) {
	var cred messages.KRBCred
	if err := guard(func() error { return cred.Unmarshal(message) }); err != nil {
		return nil, fmt.Errorf("the delegated credentials cannot be read: %w", err)
	}
	plain := cred.EncPart.Cipher
	if cred.EncPart.EType != 0 {
		err = errors.New("no key to open the delegated credentials with")
		for _, key := range keys {
			if len(key.KeyValue) == 0 {
				continue
			}
			if plain, err = decryptData(cred.EncPart, key, keyusage.KRB_CRED_ENCPART); err == nil {
				break
			}
		}
		if err != nil {
			return nil, fmt.Errorf("the delegated credentials cannot be opened: %w", err)
		}
	}
	var part messages.EncKrbCredPart
	if err := guard(func() error { return part.Unmarshal(plain) }); err != nil {
		return nil, fmt.Errorf("the delegated credentials cannot be read: %w", err)
	}
	if len(part.TicketInfo) != len(cred.Tickets) {
		return nil, fmt.Errorf("the delegated credentials have %d tickets and describe %d", len(cred.Tickets), len(part.TicketInfo))
	}
	for i, info := range part.TicketInfo {
		t, err := newTicket(principal{info.PName, info.PRealm}, cred.Tickets[i], messages.EncKDCRepPart{
			Key: info.Key, Flags: info.Flags, AuthTime: info.AuthTime, StartTime: info.StartTime, EndTime: info.EndTime, RenewTill: info.RenewTill,
			SRealm: info.SRealm, SName: info.SName,
		})
		if err != nil {
			return nil, err
		}
		if t.target() != "" && len(t.client.NameString) > 0 {
			tickets = append(tickets, t)
		}
	}
	if len(tickets) == 0 {
		return nil, errors.New("the delegated credentials have no ticket-granting ticket")
	}
	return tickets, nil
}

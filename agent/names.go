package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// HostNames are the names that the agent in the server's container resolves: what the file of Resolve holds, as JSON. What is not there
// does not exist.
type HostNames struct {
	Reverse map[string]string   `json:"reverse"` // ADDRESS: NAME
	Forward map[string][]string `json:"forward"` // NAME: ADDRESSES
}

// answer is the answer to a DNS query (RFC 1035) of one question.
func (n HostNames) answer(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil {
		return nil, fmt.Errorf("a DNS query: %w", err)
	}
	question, err := p.Question()
	if err != nil || header.Response {
		return nil, errors.Join(errors.New("a DNS message that asks nothing"), err)
	}
	m := dnsmessage.Message{Questions: []dnsmessage.Question{question}, Header: dnsmessage.Header{
		ID: header.ID, Response: true, OpCode: header.OpCode, Authoritative: true, RecursionDesired: header.RecursionDesired, RecursionAvailable: true}}
	exists, bodies, err := n.find(question)
	if err != nil {
		return nil, err
	}
	if !exists {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, body := range bodies {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET}, Body: body})
	}
	return m.Pack()
}

// find says whether the name of a question exists, and has the records of its type. A name is compared without case.
func (n HostNames) find(q dnsmessage.Question) (exists bool, bodies []dnsmessage.ResourceBody, err error) {
	asked := strings.TrimSuffix(q.Name.String(), ".")
	for text, name := range n.Reverse {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return false, nil, err
		}
		if !strings.EqualFold(asked, reverseName(address)) {
			continue
		}
		exists = true
		if q.Type == dnsmessage.TypePTR {
			pointed, err := dnsmessage.NewName(name + ".")
			if err != nil {
				return false, nil, fmt.Errorf("name %q: %w", name, err)
			}
			bodies = append(bodies, &dnsmessage.PTRResource{PTR: pointed})
		}
	}
	for name, addresses := range n.Forward {
		if !strings.EqualFold(asked, name) {
			continue
		}
		exists = true
		for _, text := range addresses {
			address, err := netip.ParseAddr(text)
			switch {
			case err != nil:
				return false, nil, err
			case address.Is4() && q.Type == dnsmessage.TypeA:
				bodies = append(bodies, &dnsmessage.AResource{A: address.As4()})
			case address.Is6() && q.Type == dnsmessage.TypeAAAA:
				bodies = append(bodies, &dnsmessage.AAAAResource{AAAA: address.As16()})
			}
		}
	}
	return exists, bodies, nil
}

// reverseName is the name under which the name of an address is asked for: RFC 1035, 3.5, and RFC 3596, 2.5.
func reverseName(a netip.Addr) string {
	b := a.AsSlice()
	slices.Reverse(b)
	var name strings.Builder
	for _, octet := range b {
		if a.Is4() {
			fmt.Fprintf(&name, "%d.", octet)
		} else {
			fmt.Fprintf(&name, "%x.%x.", octet&15, octet>>4)
		}
	}
	if a.Is4() {
		return name.String() + "in-addr.arpa"
	}
	return name.String() + "ip6.arpa"
}

package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"unsafe"
)

// setNetwork gives the container's interface addresses and routes (rtnetlink(7)). The container needs the capability NET_ADMIN.
func setNetwork(n Network) error {
	link, err := ownInterface()
	if err != nil {
		return fmt.Errorf("network: %w", err)
	}
	socket, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("network: netlink: %w", err)
	}
	defer func() { _ = syscall.Close(socket) }()
	for _, text := range n.Addresses {
		p, err := netip.ParsePrefix(text)
		if err == nil {
			err = request(socket, syscall.RTM_NEWADDR, addressMessage(p, link))
		}
		if err != nil {
			return fmt.Errorf("network: address %s: %w", text, err)
		}
	}
	for _, text := range n.Routes {
		p, err := netip.ParsePrefix(text)
		if err == nil {
			err = request(socket, syscall.RTM_NEWROUTE, routeMessage(p, link))
		}
		if err != nil {
			return fmt.Errorf("network: route to %s: %w", text, err)
		}
	}
	for _, text := range n.Local {
		p, err := netip.ParsePrefix(text)
		if err == nil {
			err = request(socket, syscall.RTM_NEWROUTE, localRouteMessage(p))
		}
		if err != nil {
			return fmt.Errorf("network: local route to %s: %w", text, err)
		}
	}
	if n.Closed {
		for _, family := range []byte{syscall.AF_INET, syscall.AF_INET6} {
			if err := removeDefaultRoutes(socket, family); err != nil {
				return fmt.Errorf("network: default routes: %w", err)
			}
		}
	}
	return nil
}

// ConnectFrom makes the container's own address client the one from which it connects to server, for programs that cannot say themselves. Both are on
// the link; client is one of the container's addresses.
func ConnectFrom(client, server string) error {
	from, err := netip.ParseAddr(client)
	if err != nil {
		return err
	}
	to, err := netip.ParseAddr(server)
	if err != nil {
		return err
	}
	link, err := ownInterface()
	if err != nil {
		return err
	}
	socket, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	defer func() { _ = syscall.Close(socket) }()
	route := attribute(routeMessage(netip.PrefixFrom(to, to.BitLen()), link), syscall.RTA_PREFSRC, from.AsSlice())
	if err := request(socket, syscall.RTM_NEWROUTE, route); err != nil {
		return fmt.Errorf("route to %s from %s: %w", to, from, err)
	}
	return nil
}

// removeDefaultRoutes removes the routes of a family that lead everywhere, until there is none. An engine's network without a way out would not do: such a bridge
// drops what has addresses of the world's.
func removeDefaultRoutes(socket int, family byte) error {
	m := []byte{family, 0, 0, 0, syscall.RT_TABLE_MAIN, 0, syscall.RT_SCOPE_NOWHERE, syscall.RTN_UNICAST, 0, 0, 0, 0}
	for range 16 {
		err := request(socket, syscall.RTM_DELROUTE, m)
		if errors.Is(err, syscall.ESRCH) || errors.Is(err, syscall.ENOENT) { // IPv6 finds the entry that stands for no route
			return nil
		}
		if err != nil {
			return err
		}
	}
	return errors.New("there is always one more")
}

// ownInterface is the index of the one interface besides loopback.
func ownInterface() (index int, err error) {
	all, err := net.Interfaces()
	if err != nil {
		return 0, err
	}
	var names []string
	for _, i := range all {
		addresses, err := i.Addrs()
		if err != nil {
			return 0, err
		}
		if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 && len(addresses) > 0 {
			index, names = i.Index, append(names, i.Name)
		}
	}
	if len(names) != 1 {
		return 0, fmt.Errorf("the container has the interfaces %v, want one", names)
	}
	return index, nil
}

func family(a netip.Addr) byte {
	if a.Is4() {
		return syscall.AF_INET
	}
	return syscall.AF_INET6
}

// addressMessage is a struct ifaddrmsg with its attributes. Duplicate address detection would leave an IPv6 address unusable for a second.
func addressMessage(p netip.Prefix, link int) []byte {
	const noDuplicateDetection = 0x02 // IFA_F_NODAD
	flags := byte(0)
	if p.Addr().Is6() {
		flags = noDuplicateDetection
	}
	m := []byte{family(p.Addr()), byte(p.Bits()), flags, syscall.RT_SCOPE_UNIVERSE}
	m = binary.NativeEndian.AppendUint32(m, uint32(link))
	m = attribute(m, syscall.IFA_LOCAL, p.Addr().AsSlice())
	return attribute(m, syscall.IFA_ADDRESS, p.Addr().AsSlice())
}

// routeMessage is a struct rtmsg with its attributes: a route to hosts on the link.
func routeMessage(p netip.Prefix, link int) []byte {
	scope := byte(syscall.RT_SCOPE_UNIVERSE)
	if p.Addr().Is4() {
		scope = syscall.RT_SCOPE_LINK
	}
	m := []byte{family(p.Addr()), byte(p.Bits()), 0, 0, syscall.RT_TABLE_MAIN, syscall.RTPROT_STATIC, scope, syscall.RTN_UNICAST, 0, 0, 0, 0}
	m = attribute(m, syscall.RTA_DST, p.Addr().AsSlice())
	return attribute(m, syscall.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(link)))
}

// localRouteMessage is the same for a route that leads to the machine itself, by loopback.
func localRouteMessage(p netip.Prefix) []byte {
	const loopback = 1 // in every network namespace
	m := routeMessage(p, loopback)
	m[4], m[6], m[7] = syscall.RT_TABLE_LOCAL, syscall.RT_SCOPE_HOST, syscall.RTN_LOCAL
	return m
}

// attribute appends a struct rtattr; the lengths of all values here are multiples of 4.
func attribute(m []byte, kind uint16, value []byte) []byte {
	m = binary.NativeEndian.AppendUint16(m, uint16(4+len(value)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	return append(m, value...)
}

// request sends one message and wants it to be acknowledged.
func request(socket int, kind uint16, body []byte) error {
	flags := uint16(syscall.NLM_F_REQUEST | syscall.NLM_F_ACK)
	if kind != syscall.RTM_DELROUTE {
		flags |= syscall.NLM_F_CREATE | syscall.NLM_F_REPLACE
	}
	m := binary.NativeEndian.AppendUint32(nil, uint32(syscall.NLMSG_HDRLEN+len(body)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	m = binary.NativeEndian.AppendUint16(m, flags)
	m = append(m, make([]byte, 8)...) // sequence and port: one request at a time on a socket of its own
	if err := syscall.Sendto(socket, append(m, body...), 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, syscall.Getpagesize())
	n, _, err := syscall.Recvfrom(socket, answer, 0)
	if err != nil {
		return err
	}
	messages, err := syscall.ParseNetlinkMessage(answer[:n])
	if err != nil {
		return err
	}
	if len(messages) != 1 || messages[0].Header.Type != syscall.NLMSG_ERROR || len(messages[0].Data) < int(unsafe.Sizeof(int32(0))) {
		return errors.New("the kernel did not acknowledge it")
	}
	if errno := int32(binary.NativeEndian.Uint32(messages[0].Data)); errno != 0 {
		return syscall.Errno(-errno)
	}
	return nil
}

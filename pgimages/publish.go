package pgimages

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/moby/moby/api/types/container"
	enginenetwork "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// Publish lets the engine's host reach TCP ports of a container that is to be made, on its loopback address alone. The engine chooses the ports
// of the host.
func Publish(r *testcontainers.GenericContainerRequest, ports ...uint16) {
	bindings := enginenetwork.PortMap{}
	for _, number := range ports {
		port, _ := enginenetwork.PortFrom(number, enginenetwork.TCP) // fails for an unknown protocol only
		bindings[port] = []enginenetwork.PortBinding{{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1})}}
		r.ExposedPorts = append(r.ExposedPorts, port.String())
	}
	modify := r.HostConfigModifier
	r.HostConfigModifier = func(h *container.HostConfig) {
		if modify != nil {
			modify(h)
		}
		h.PortBindings = bindings
	}
}

// Published is where the engine's host reaches a port of a container that was published.
func Published(ctx context.Context, containerID string, port uint16) (netip.AddrPort, error) {
	cli, err := Engine(ctx)
	if err != nil {
		return netip.AddrPort{}, err
	}
	found, err := cli.ContainerInspect(ctx, containerID, client.ContainerInspectOptions{})
	if err != nil {
		return netip.AddrPort{}, err
	}
	wanted, _ := enginenetwork.PortFrom(port, enginenetwork.TCP)
	if s := found.Container.NetworkSettings; s != nil {
		for _, b := range s.Ports[wanted] {
			if at, err := netip.ParseAddrPort(b.HostIP.String() + ":" + b.HostPort); err == nil {
				return at, nil
			}
		}
	}
	return netip.AddrPort{}, fmt.Errorf("port %d of container %.12s is not published", port, containerID)
}

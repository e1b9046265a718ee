//go:build linux

// Command pgauthmatrix-agent is the program that package agent keeps in a container. It is started by agent.Start and not
// meant to be run by hand.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/agent/drivers"
)

func main() {
	err := fmt.Errorf("usage: %s serve | worker LIBRARY | from CLIENT SERVER", os.Args[0])
	if len(os.Args) > 1 {
		switch {
		case len(os.Args) == 2 && os.Args[1] == "serve":
			// What the container's environment says is not for the admin session nor for any attempt.
			os.Clearenv()
			_ = os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
			err = agent.Serve(ctx, os.Stdin, os.Stdout, drivers.New())
			stop()
		case len(os.Args) == 3 && os.Args[1] == "worker":
			err = drivers.Work(os.Args[2], os.Stdin, os.Stdout)
		case len(os.Args) == 4 && os.Args[1] == "from":
			err = agent.ConnectFrom(os.Args[2], os.Args[3])
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Package drivers makes attempts with client libraries, a file for each client. It is part of the agent, which runs in containers.
package drivers

import "github.com/pgauthmatrix/pgauthmatrix/agent"

// New makes the drivers of one agent, by the name that agent.Attempt.Client gives: the client's kind, or agent.Foreign.
func New() map[string]agent.Driver {
	drivers := map[string]agent.Driver{"libpq": &libpqServer{}, "psql": psql{}, "raw": raw{}, agent.Foreign: foreign{agent.DriverProgram}}
	for _, l := range goLibraries {
		drivers[l.name] = &workers{goLibrary: l}
	}
	return drivers
}

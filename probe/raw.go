package probe

import (
	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/classify"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// rawOptions are what the raw client puts into its startup packets.
func rawOptions(cell *matrix.Cell) []agent.Option {
	return option(option(nil, "user", cell.Client.User), "dbname", cell.Client.Database)
}

func rawSequence(cell *matrix.Cell) *agent.RawSequence {
	service := cell.Client.KrbSrvName
	if service == "" {
		service = "postgres"
	}
	return &agent.RawSequence{Name: string(cell.Client.Attack), SQL: classify.AttackersSQL, SPN: service + "/" + cell.World.Host}
}

func rawEvidence(cell *matrix.Cell, p *wire.Played) *matrix.RawEvidence {
	return &matrix.RawEvidence{Sequence: cell.Client.Attack, End: string(p.End), Error: p.Error, TLS: p.TLS, Executed: p.Executed, Events: wireEvents(p.Record.Events)}
}

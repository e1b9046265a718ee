package probe

import (
	"cmp"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/classify"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// askRaw gives the raw client what it puts into its startup packets, and what it sends. The client itself is the attacker: the relay
// only records.
func askRaw(request *agent.Attempt, _ world, cell *matrix.Cell, _ string) {
	request.Options = option(request.Options, "user", cell.Client.User)
	request.Options = option(request.Options, "dbname", cell.Client.Database)
	service := cmp.Or(cell.Client.KrbSrvName, "postgres")
	request.Raw = &agent.RawSequence{Name: string(cell.Client.Attack), SQL: classify.AttackersSQL, SPN: service + "/" + cell.World.Host}
	request.Tamper = nil
}

func rawEvidence(cell *matrix.Cell, p *wire.Played) *matrix.RawEvidence {
	return &matrix.RawEvidence{Sequence: cell.Client.Attack, End: string(p.End), Error: p.Error, TLS: p.TLS, Executed: p.Executed, Events: wireEvents(p.Record.Events)}
}

package probe

import (
	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/classify"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// tamper is what the agent's relay is asked to do besides recording; nil: nothing.
func tamper(c *matrix.Client) *agent.Tamper {
	t := classify.Tampering(c.Attack)
	if t == nil {
		return nil
	}
	return &agent.Tamper{Attack: string(t.Attack), SQL: t.SQL, Text: t.Text, At: t.At, From: t.From, Delay: int(t.Delay.Milliseconds()), Row: classify.ForgedRow(c.User)}
}

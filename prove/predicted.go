package prove

import (
	"errors"

	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/oracle/corpus"
)

// predicted is what the oracle says of a case at a server of a version.
func predicted(c *corpus.Case, version int) (*corpus.Answer, error) {
	r, err := oracle.Read(c.World(version))
	if err != nil {
		return nil, err
	}
	return corpus.NewAnswer(r.Logged, r.Rules, r.Mappings), nil
}

// survives is false where a server may not survive the question: before 16, files that name one another may end the process that reads them.
func survives(c *corpus.Case, version int) bool {
	_, err := predicted(c, version)
	var gap *oracle.CannotPredict
	return version >= 16 || len(c.Files) == 0 || !errors.As(err, &gap)
}

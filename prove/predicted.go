package prove

import (
	"errors"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/oracle/corpus"
)

// predicted is what the oracle says of a case at a server of a version, with ssl.
func predicted(c *corpus.Case, version int) (*corpus.Answer, error) {
	return predictedIn(c.World(version))
}

func predictedIn(w *matrix.World) (*corpus.Answer, error) {
	r, err := oracle.Read(w)
	if err != nil {
		return nil, err
	}
	// The reader writes the paths in messages from the configuration directory on. A text can have that directory in it, too.
	for i := range r.Logged {
		r.Logged[i] = withoutDir(r.Logged[i])
	}
	for i := range r.Rules {
		r.Rules[i].Error = withoutDir(r.Rules[i].Error)
	}
	for i := range r.Mappings {
		r.Mappings[i].Error = withoutDir(r.Mappings[i].Error)
	}
	return corpus.NewAnswer(r.Logged, r.Rules, r.Mappings), nil
}

// predictedLines are the lines that decide for the connections of a case, as the oracle has it; none if the server does not load what is asked.
func predictedLines(c *corpus.Case, version int) ([]string, error) {
	asked := c.Asked()
	r, err := oracle.Read(asked.World(version))
	if err != nil || len(r.Logged) > 0 {
		return nil, err
	}
	return c.PredictLines(version, oracle.Predict), nil
}

func withoutDir(message string) string { return strings.ReplaceAll(message, matrix.ConfDir+"/", "") }

// survives is false where a server may not survive the question: before 16, files that name one another may end the process that reads them.
func survives(c *corpus.Case, version int) bool {
	_, err := predicted(c, version)
	var gap *oracle.CannotPredict
	return version >= 16 || len(c.Files) == 0 || !errors.As(err, &gap)
}

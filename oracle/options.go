package oracle

import (
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// badOptions ends an attempt before any socket is opened.
func (a *attempt) badOptions(source, text string) ending {
	a.why(source, text)
	return refused(neverOpened, matrix.StageOptions, matrix.BadOptions)
}

// choice is a connection parameter with a closed list of values, the first of which is the default.
type choice struct {
	name   string
	values []string
}

var (
	gssencmodes     = choice{"gssencmode", []string{"prefer", "disable", "require"}}
	sslmodes        = choice{"sslmode", []string{"prefer", "disable", "allow", "require", "verify-ca", "verify-full"}}
	sslnegotiations = choice{"sslnegotiation", []string{"postgres", "direct"}}
	channelBindings = choice{"channel_binding", []string{"prefer", "disable", "require"}}
)

// of is the value in force: the given one, or the default.
func (c choice) of(given string) string {
	if given == "" {
		return c.values[0]
	}
	return given
}

func (c choice) knows(given string) bool { return given == "" || slices.Contains(c.values, given) }

// request is an authentication request of the server, by require_auth's names.
type request string

const (
	askPassword request = "password"
	askMD5      request = "md5"
	askGSS      request = "gss"
	askScram    request = "scram-sha-256"
	askNothing  request = "none"
)

// requireAuth is a parsed require_auth (fe-connect.c, pqConnectOptions2; pgx's require_auth.go does the same).
type requireAuth struct {
	text    string
	allowed []request
	// exchange: AuthenticationOk is refused if no exchange came before it.
	exchange bool
	// halfGSS: in libpq "!sspi" also removes AUTH_REQ_GSS_CONT, which gss needs.
	halfGSS bool
}

func parseRequireAuth(list string, known []request, trim bool) (r requireAuth, wrong string) {
	r.text = list
	if list == "" {
		r.allowed = known
		return r, ""
	}
	negated := strings.HasPrefix(strings.TrimSpace(list), "!")
	if !trim {
		negated = strings.HasPrefix(list, "!")
	}
	if negated {
		r.allowed = slices.Clone(known)
	} else {
		r.exchange = true
	}
	for item := range strings.SplitSeq(list, ",") {
		if trim {
			item = strings.TrimSpace(item)
		}
		name, not := strings.CutPrefix(item, "!")
		method := request(name)
		at := slices.Index(r.allowed, method)
		switch {
		case not != negated:
			return r, "negative and positive methods cannot be mixed"
		case !slices.Contains(known, method):
			return r, "there is no method " + name
		case (at >= 0) != negated:
			return r, name + " is specified more than once"
		case negated:
			r.allowed = slices.Delete(r.allowed, at, at+1)
			r.exchange = r.exchange || method == askNothing
			r.halfGSS = r.halfGSS || method == "sspi"
		default:
			r.allowed = append(r.allowed, method)
			r.exchange = r.exchange && method != askNothing
		}
	}
	return r, ""
}

func (r *requireAuth) allows(m request) bool { return slices.Contains(r.allowed, m) }

// walked is how many hosts answer a client that goes on after every failure.
func (a *attempt) walked() int {
	if a.hosts() == matrix.Twice {
		return 2
	}
	return 1
}

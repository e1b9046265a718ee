package classify

import (
	"fmt"
	"regexp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// gssenc, which gives pgx its GSS encryption: {configure,handshake}.go of that package, after what pgx puts before an error of its dialer.
var gssencCauses = []textCause{
	row(`^gssenc: configuration: gssencmode=require, but host \S+ is a unix-domain socket, which GSS encryption does not support$`, matrix.StageOptions, matrix.GSSOnUnixSocket),
	row(`^dial error: gssenc: credentials: stat \S+: no such file or directory$`, matrix.StageCredentials, matrix.NoTicket),
	row(`^dial error: gssenc: request: the server does not offer GSS encryption$`, matrix.StageGSSEnc, matrix.GSSRefused),
	row(`^dial error: gssenc: request: the peer answered with an error message; it is unauthenticated and not shown`, matrix.StageGSSEnc, matrix.AnswerError),
	row(`^dial error: gssenc: answer: the AP-REP was not made with the session key, the acceptor has not shown who it is: `, matrix.StageGSSEnc, matrix.ServerUnproven),
	row(`^dial error: gssenc: token: received unencrypted data after the answer to GSSENCRequest`, matrix.StageGSSEnc, matrix.ProtocolViolation),
	row(`^dial error: gssenc: request: channel binding required, but SSL not in use: the server agreed to GSS encryption`, matrix.StageGSSEnc, matrix.ChannelBinding),
}

var (
	gssencHungUp   = regexp.MustCompile(`^dial error: gssenc: token: none came: (EOF: the server hung up; its log says why .*|read tcp \S+->\S+: read: connection reset by peer)$`)
	gssencNoAnswer = regexp.MustCompile(`^dial error: gssenc: request: no answer to GSSENCRequest: EOF$`)
	gssencOwnMIC   = regexp.MustCompile(`^failed to receive message: gssenc: packet: integrity check failed: `)
)

var gssencSpecial = []specialCause{
	{regexp.MustCompile(`^dial error: gssenc: token: the peer answered with an error message; it is unauthenticated and not shown`), func(c *classifier, said []string, n *connection) (cause, error) {
		if n == nil || !n.did(matrix.StepGSSAccept) { // it came in the place of a token
			return cause{}, fmt.Errorf("witnesses contradict: the client says %q, the wire shows %v", said[0], c.outcome.Trace)
		}
		return cause{matrix.StageGSSEnc, matrix.AnswerError}, nil
	}},
	{regexp.MustCompile(`^dial error: gssenc: ticket: (.*)$`), func(c *classifier, said []string, n *connection) (cause, error) {
		if n == nil || !n.did(matrix.StepGSSAccept) || n.gssFailed != "" {
			return cause{}, fmt.Errorf("witnesses contradict: the client says %q, and there is no gssaccept or the server had its token", said[0])
		}
		return c.contextCause(matrix.StageGSSEnc, said, n)
	}},
}

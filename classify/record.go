package classify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// decidedBy fills in Method, Identity and Rule: the record of pg_hba.conf that decided on the last connection, and whom
// it made of the client. What nobody says goes to unseen.
//
// Who says it: "connection authenticated" (14+; of trust 17+), the DETAIL of a failed authentication (every version),
// the FATAL of a reject record (without the line), the authentication requests that the client received, pg_stat_gssapi.
func (c *classifier) decidedBy(n *connection) error {
	o := &c.outcome
	if len(n.forged) > 0 || o.Reason == matrix.NoHBAEntry || o.Reason == matrix.ProtocolViolation || o.Reason == matrix.ServerStarting || n.fatal != nil && n.fatal.text == "sorry, too many clients already" {
		return nil // no record decided
	}
	method, candidates, err := c.method(n)
	if err != nil {
		return err
	}
	o.Method = method
	if method == "" {
		c.unseen = append(c.unseen, matrix.FieldMethod)
	}
	identity, seen := c.identity(n)
	o.Identity = identity
	if !seen {
		c.unseen = append(c.unseen, matrix.FieldIdentity)
	}
	switch {
	case n.authenticated != nil && n.matched != nil && n.authenticated.rule != n.matched.rule:
		return fmt.Errorf("witnesses contradict: the server authenticated by %s and then matched %s", n.authenticated.rule, n.matched.rule)
	case n.authenticated != nil:
		o.Rule = n.authenticated.rule
	case n.matched != nil:
		o.Rule = n.matched.rule
	default:
		o.Rule = onlyRecord(c.records(), candidates)
		if o.Rule == "" {
			c.unseen = append(c.unseen, matrix.FieldRule)
		}
	}
	return nil
}

// method is the authentication method of the record that decided; "" if several are possible, which candidates then names.
func (c *classifier) method(n *connection) (method matrix.Method, candidates []matrix.Method, err error) {
	requests, complete := c.requests(n)
	possible := possibleMethods(requests, complete)
	switch {
	case c.outcome.Reason == matrix.HBAReject:
		possible = []matrix.Method{matrix.MethodReject}
	case c.outcome.Reason == matrix.CertMissing:
		possible = matrix.Methods // any method may have clientcert
	case c.outcome.Reason == matrix.NoPassword && !complete:
		possible = []matrix.Method{matrix.MethodScram, matrix.MethodMD5, matrix.MethodPassword}
	case n.authenticated != nil:
		if complete && !slices.Contains(possible, n.authenticated.method) && !c.gssWithoutRequest(n, n.authenticated.method) {
			return "", nil, fmt.Errorf("witnesses contradict: the server authenticated by %s, the client received the requests %v", n.authenticated.method, requests)
		}
		possible = []matrix.Method{n.authenticated.method}
	case n.authorized != nil && c.server >= 14:
		// Since 14 every method but trust logs whom it authenticated; since 17 trust does, too.
		if c.server >= 17 {
			return "", nil, fmt.Errorf("the server's log is incomplete: authorized without authenticated")
		}
		if complete && !slices.Contains(possible, matrix.MethodTrust) {
			return "", nil, fmt.Errorf("witnesses contradict: the server authenticated nobody, the client received the requests %v", requests)
		}
		possible = []matrix.Method{matrix.MethodTrust}
	case n.authorized != nil && n.authorized.gssAuthenticated:
		possible = []matrix.Method{matrix.MethodGSS}
	case n.fatal != nil && n.authorized == nil:
		for _, failure := range methodFailures {
			if strings.HasPrefix(n.fatal.text, failure.prefix) {
				possible = failure.methods
			}
		}
		if n.fatal.text == "empty password returned by client" {
			possible = []matrix.Method{matrix.MethodScram, matrix.MethodMD5, matrix.MethodPassword}
		}
		if n.matched != nil {
			if named := recordMethod(n.matched.record); slices.Contains(possible, named) {
				possible = []matrix.Method{named}
			}
		}
	}
	if n.authenticated == nil {
		// What the file does not hold cannot have decided, and some methods are of one kind of connection only.
		channel, records := c.channelOf(n), c.records()
		possible = slices.DeleteFunc(slices.Clone(possible), func(m matrix.Method) bool {
			return !usesMethod(records, m) ||
				m == matrix.MethodPeer && !c.unix() ||
				m == matrix.MethodCert && channel != matrix.TLS ||
				m == matrix.MethodGSS && c.unix()
		})
	}
	switch len(possible) {
	case 0:
		return "", nil, fmt.Errorf("witnesses contradict: no record of pg_hba.conf has a method that fits what the server did (requests %v)", requests)
	case 1:
		return possible[0], possible, nil
	}
	return "", possible, nil
}

// records are those of the cell's pg_hba.conf.
func (c *classifier) records() []hbaRecord { return hbaRecords(c.cell.World.HBA, c.server) }

// gssWithoutRequest is true of gss inside GSS encryption: the context is there already, the client is not asked again.
func (c *classifier) gssWithoutRequest(n *connection, method matrix.Method) bool {
	return method == matrix.MethodGSS && c.channelOf(n) == matrix.GSS
}

// requests are the authentication requests of connection n without "ok", and whether they are known to be all of them:
// in the clear from the wire, else from the client, who numbers all connections through.
func (c *classifier) requests(n *connection) (requests []string, complete bool) {
	if !c.unix() && c.channelOf(n) == matrix.Plain {
		return withoutOK(n.far.requests), true
	}
	if c.kind == matrix.KindPsql {
		return nil, false
	}
	requests = c.evidence.Client.AuthRequests
	if n.authorized == nil && n.fatal == nil { // the client hung up on what it was asked last
		for i := len(requests) - 1; i >= 0; i-- {
			if firstRequests[requests[i]] {
				return requests[i:], true
			}
		}
	}
	if earlier := c.evidence.Client.AuthEarlier; earlier > 0 { // the server logs nothing of a client that hangs up in a sealed channel
		return withoutOK(requests[min(earlier, len(requests)):]), true
	}
	for _, earlier := range c.connections[:len(c.connections)-1] {
		switch {
		case !earlier.reachedStartup():
		case earlier.conversation.channel == matrix.Plain && !c.unix():
			requests = requests[min(len(earlier.conversation.requests), len(requests)):]
		case earlier.fatal != nil && earlier.matched == nil && earlier.authorized == nil: // no record, or one that rejects: nothing is asked
		default:
			return nil, false
		}
	}
	return withoutOK(requests), true
}

// firstRequests begin an exchange; a connection has at most one.
var firstRequests = map[string]bool{"gss": true, "sasl": true, "md5": true, "password": true}

func withoutOK(requests []string) []string {
	return slices.DeleteFunc(slices.Clone(requests), func(r string) bool { return r == "ok" })
}

// possibleMethods are those that begin with the first of these requests (auth.c: sendAuthRequest).
func possibleMethods(requests []string, complete bool) []matrix.Method {
	if !complete {
		return matrix.Methods
	}
	if len(requests) == 0 {
		return []matrix.Method{matrix.MethodTrust, matrix.MethodPeer, matrix.MethodIdent, matrix.MethodCert}
	}
	switch requests[0] {
	case "gss":
		return []matrix.Method{matrix.MethodGSS}
	case "sasl": // md5 does SCRAM where the stored password is a SCRAM secret
		return []matrix.Method{matrix.MethodScram, matrix.MethodMD5}
	case "md5":
		return []matrix.Method{matrix.MethodMD5}
	case "password":
		return []matrix.Method{matrix.MethodPassword}
	}
	return nil
}

// identity is whom the server authenticated, and whether anybody could tell.
func (c *classifier) identity(n *connection) (identity string, seen bool) {
	if n.authenticated != nil {
		return n.authenticated.identity, true
	}
	if c.outcome.Stage == matrix.StageHBA || c.outcome.Stage == matrix.StageAuth && c.outcome.Reason != matrix.RealmMismatch && n.authorized == nil && c.server >= 14 {
		return "", true // nobody was
	}
	if c.server >= 14 {
		return "", c.outcome.Method == matrix.MethodTrust
	}
	// 13 does not log identities. What it says elsewhere:
	switch {
	case n.authorized != nil && n.authorized.gssAuthenticated:
		return n.authorized.principal, n.authorized.principal != ""
	case c.outcome.Method == matrix.MethodTrust:
		return "", true
	case n.authorized != nil && slices.Contains([]matrix.Method{matrix.MethodScram, matrix.MethodMD5, matrix.MethodPassword}, c.outcome.Method):
		return n.authorized.user, true
	case c.outcome.Stage == matrix.StageIdent && c.outcome.Method == matrix.MethodGSS && strings.Contains(n.noMap, "@"):
		return n.noMap, true // the principal; without a realm it may have been cut off (include_realm=0)
	case c.outcome.Stage == matrix.StageIdent && (c.outcome.Method == matrix.MethodPeer || c.outcome.Method == matrix.MethodIdent):
		return n.noMap, true
	case c.outcome.Stage == matrix.StageAuth && n.authorized == nil && c.outcome.Reason != matrix.RealmMismatch && c.outcome.Reason != matrix.CertNameMismatch:
		return "", true
	}
	return "", false
}

// quoteWire writes a value as the relay writes it into the detail of a startup packet.
func quoteWire(value string) string {
	if value == "" || strings.ContainsAny(value, " \"\t\n\\") {
		return strconv.Quote(value)
	}
	return value
}

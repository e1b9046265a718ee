package classify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// decidedBy fills in Method, Identity and Rule: the record of pg_hba.conf that decided on the last connection, and whom
// it made of the client. What nobody says goes to Unseen.
//
// Who says it: "connection authenticated" (since 14; of trust since 17), the DETAIL of a failed authentication (every version),
// the FATAL of a reject record (without the line), the authentication requests that the client received, pg_stat_gssapi.
func (c *classifier) decidedBy(n *connection) error {
	o := &c.outcome
	if len(n.forged) > 0 || o.Reason == matrix.NoHBAEntry || o.Reason == matrix.ProtocolViolation && (n.fatal == nil || n.fatal.text != malformedSCRAM) || o.Reason == matrix.ServerStarting || n.fatal != nil && n.fatal.text == tooManyClients {
		return nil // no record decided
	}
	candidates, err := c.method(n)
	if err != nil {
		return err
	}
	if len(candidates) > 1 {
		c.unseen = append(c.unseen, matrix.FieldMethod)
	}
	identity, seen := c.identity(n)
	if o.Identity = identity; !seen {
		c.unseen = append(c.unseen, matrix.FieldIdentity)
	}
	switch {
	case n.authenticated != nil && n.matched != nil && n.authenticated.rule != n.matched.rule:
		return fmt.Errorf("witnesses contradict: the server authenticated by %s and then matched %s", n.authenticated.rule, n.matched.rule)
	case n.authenticated != nil:
		o.Rule = n.authenticated.rule
		c.note(byLog, n.authenticated.text, "rule "+o.Rule)
	case n.matched != nil:
		o.Rule = n.matched.rule
		c.note(byLog, n.matched.text, "rule "+o.Rule)
	default:
		if o.Rule = onlyRecord(c.records(), candidates); o.Rule == "" {
			c.unseen = append(c.unseen, matrix.FieldRule)
		} else {
			c.note(byRules, "the only record with the method "+methodNames(candidates), "rule "+o.Rule)
		}
	}
	return nil
}

// clearMethods ask for a password in the clear, passwordMethods for any proof of it.
var (
	clearMethods    = slices.DeleteFunc(slices.Clone(matrix.Methods), func(m matrix.Method) bool { return !m.InClear() })
	passwordMethods = append([]matrix.Method{matrix.MethodScram, matrix.MethodMD5}, clearMethods...)
)

// method fills in Method: the authentication method of the record that decided. Where several are possible it stays empty, and candidates names
// them.
func (c *classifier) method(n *connection) (candidates []matrix.Method, err error) {
	possible, witness, text, err := c.possibleMethods(n)
	if err != nil {
		return nil, err
	}
	told := len(possible) == 1
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
		requests, _ := c.requests(n)
		return nil, fmt.Errorf("witnesses contradict: no record of pg_hba.conf has a method that fits what the server did (requests %v)", requests)
	case 1:
		c.outcome.Method = possible[0]
		if !told {
			witness, text = byRules, "no record has another method that fits ("+text+")"
		}
		c.note(witness, text, "method "+string(possible[0]))
	}
	return possible, nil
}

// possibleMethods are the methods that fit what the server did, with the text that told so.
func (c *classifier) possibleMethods(n *connection) (possible []matrix.Method, witness, text string, err error) {
	requests, complete := c.requests(n)
	switch {
	case c.outcome.Reason == matrix.HBAReject:
		return []matrix.Method{matrix.MethodReject}, byLog, "FATAL:  " + n.fatal.text, nil
	case c.outcome.Reason == matrix.CertMissing, c.outcome.Reason == matrix.ClientCAMissing: // any method may have clientcert
		return matrix.Methods, byLog, "FATAL:  " + n.fatal.text, nil
	case c.outcome.Reason == matrix.NoPassword && !complete:
		return passwordMethods, byClient, "no password", nil
	case n.authenticated != nil:
		if complete && !slices.Contains(methodsThatAsk(requests, complete), n.authenticated.method) && !c.gssWithoutRequest(n, n.authenticated.method) {
			return nil, "", "", fmt.Errorf("witnesses contradict: the server authenticated by %s, the client received the requests %v", n.authenticated.method, requests)
		}
		return []matrix.Method{n.authenticated.method}, byLog, n.authenticated.text, nil
	case n.authorized != nil && c.server >= 14:
		// Since 14 every method but trust logs whom it authenticated; since 17 trust does, too.
		if c.server >= 17 {
			return nil, "", "", fmt.Errorf("the server's log is incomplete: authorized without authenticated")
		}
		if complete && !slices.Contains(methodsThatAsk(requests, complete), matrix.MethodTrust) {
			return nil, "", "", fmt.Errorf("witnesses contradict: the server authenticated nobody, the client received the requests %v", requests)
		}
		return []matrix.Method{matrix.MethodTrust}, byLog, "authorized and not authenticated", nil
	case n.authorized != nil && n.authorized.gssAuthenticated:
		return []matrix.Method{matrix.MethodGSS}, byLog, principalText(n), nil
	}
	possible, witness, text = methodsThatAsk(requests, complete), c.requestsBy(n), requestsText(requests)
	if n.fatal == nil || n.authorized != nil {
		return possible, witness, text, nil
	}
	for _, failure := range methodFailures {
		if strings.HasPrefix(n.fatal.text, failure.prefix) {
			possible, witness, text = failure.methods, byLog, "FATAL:  "+n.fatal.text
		}
	}
	if n.fatal.text == emptyPassword {
		possible = slices.DeleteFunc(slices.Clone(possible), func(m matrix.Method) bool { return !slices.Contains(passwordMethods, m) })
		witness, text = byLog, "FATAL:  "+n.fatal.text
	}
	if n.matched != nil {
		if named := recordMethod(n.matched.record); slices.Contains(possible, named) {
			possible, witness, text = []matrix.Method{named}, byLog, n.matched.text
		}
	}
	return possible, witness, text, nil
}

func principalText(n *connection) string {
	return "GSS (authenticated=yes, principal=" + n.authorized.principal + ")"
}

// requestsBy is who tells what the client was asked: see requests.
func (c *classifier) requestsBy(n *connection) string {
	if !c.unix() && c.channelOf(n) == matrix.Plain {
		return byWire
	}
	return byClient
}

func requestsText(requests []string) string {
	if len(requests) == 0 {
		return "no authentication request"
	}
	return "authentication requests " + strings.Join(requests, " ")
}

func methodNames(methods []matrix.Method) string {
	names := make([]string, len(methods))
	for i, m := range methods {
		names[i] = string(m)
	}
	return strings.Join(names, " or ")
}

// records are those of the pg_hba.conf in force.
func (c *classifier) records() []HBARecord {
	if c.loaded.kept || c.cell.Client.IsOpenedBefore() {
		return HBARecords(c.cell.World.Before.HBA, c.server)
	}
	return HBARecords(c.cell.World.HBA, c.server)
}

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
	if !c.client.tells {
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
	if earlier := c.evidence.Client.AuthEarlier; earlier > 0 && n == c.last() { // the server logs nothing of a client that hangs up in a sealed channel
		return withoutOK(requests[min(earlier, len(requests)):]), true
	}
	for i := range c.connections {
		earlier := &c.connections[i]
		if earlier == n {
			break
		}
		switch {
		case !earlier.reachedStartup():
		case c.closedByChoice(i) && slices.Contains(requests, "ok"):
			requests = requests[slices.Index(requests, "ok")+1:]
		case earlier.conversation.channel == matrix.Plain && !c.unix():
			requests = requests[min(len(earlier.conversation.requests), len(requests)):]
		case earlier.fatal != nil && earlier.matched == nil && earlier.authorized == nil: // no record, or one that rejects: nothing is asked
		default:
			return nil, false
		}
	}
	if n != c.last() { // a session that the client closed
		requests = requests[:slices.Index(requests, "ok")+1]
	}
	return withoutOK(requests), true
}

// firstRequests begin an exchange; a connection has at most one.
var firstRequests = map[string]bool{"gss": true, "sasl": true, "md5": true, "password": true}

func withoutOK(requests []string) []string {
	return slices.DeleteFunc(slices.Clone(requests), func(r string) bool { return r == "ok" })
}

// methodsThatAsk are the methods that begin with the first of these requests (auth.c: sendAuthRequest).
func methodsThatAsk(requests []string, complete bool) []matrix.Method {
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
		return clearMethods
	}
	return nil
}

// identity is whom the server authenticated, and whether a witness told.
func (c *classifier) identity(n *connection) (identity string, seen bool) {
	if n.authenticated != nil {
		if n.authenticated.identity != "" {
			c.note(byLog, n.authenticated.text, "identity "+n.authenticated.identity)
		}
		return n.authenticated.identity, true
	}
	if c.outcome.Stage == matrix.StageHBA || c.server >= 14 && c.failedAuth(n) {
		return "", true // nobody was
	}
	if c.server >= 14 {
		return "", c.outcome.Method == matrix.MethodTrust
	}
	identity, text, seen := c.identityOn13(n)
	if identity != "" && seen {
		c.note(byLog, text, "identity "+identity)
	}
	return identity, seen
}

// failedAuth is true where the exchange of the method failed. The realm is compared after it.
func (c *classifier) failedAuth(n *connection) bool {
	return c.outcome.Stage == matrix.StageAuth && c.outcome.Reason != matrix.RealmMismatch && n.authorized == nil
}

// identityOn13 is for servers up to 13, which do not log identities: what they say elsewhere, and the text that does.
func (c *classifier) identityOn13(n *connection) (identity, text string, seen bool) {
	method := c.outcome.Method
	if a := n.authorized; a != nil && a.gssAuthenticated {
		return a.principal, principalText(n), a.principal != ""
	}
	switch {
	case method == matrix.MethodTrust:
		return "", "", true
	case n.authorized != nil && slices.Contains(passwordMethods, method) && method != matrix.MethodLDAP: // there it is a distinguished name
		return n.authorized.user, "authorized: user=" + n.authorized.user, true
	case c.outcome.Stage == matrix.StageIdent && n.noMap != nil:
		// Of gss it is the principal; without a realm that may have been cut off (include_realm=0).
		if method == matrix.MethodGSS && strings.Contains(n.noMap.identity, "@") || method == matrix.MethodPeer || method == matrix.MethodIdent {
			return n.noMap.identity, n.noMap.text, true
		}
	case c.failedAuth(n) && c.outcome.Reason != matrix.CertNameMismatch:
		return "", "", true
	}
	return "", "", false
}

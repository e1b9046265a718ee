package compliance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// What conditions read from the evidence of an attempt. Each function returns unknown where the witnesses that it asks were not there.

func answer(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

// decide finds the record that decided. A server that does not log it (trust before 17, reject) leaves it open; then the prediction's is taken, if
// everything else that was observed agrees with the prediction.
func (a *Attempt) decide(records []oracle.Record) {
	o := a.outcome()
	if o == nil {
		return
	}
	rule := o.Rule
	if rule == "" && slices.Contains(a.Record.Observation.Unseen, matrix.FieldRule) && a.Record.Verdict.Status == verdict.Agree {
		rule = a.Record.Predicted.Rule
	}
	for i := range records {
		if rule == placeOf(&records[i]) {
			a.decided = &records[i]
		}
	}
}

// placeOf is FILE:LINE, as outcomes have it.
func placeOf(r *oracle.Record) string { return fmt.Sprintf("%s:%d", r.File, r.Line) }

// authenticated: a GSS-encrypted connection has proven a principal, but trust does not look at it. A record that compares the certificate's name with
// the role authenticates whatever its method is.
func authenticated(a *Attempt) string {
	o := a.outcome()
	switch {
	case o == nil:
		return unknown
	case o.End != matrix.Connected:
		return ""
	case a.decided != nil && a.decided.ClientCert() == "verify-full":
		return "yes"
	}
	switch method := outcomeField(matrix.FieldMethod)(a); method {
	case unknown, "":
		return unknown
	case string(matrix.MethodTrust):
		if a.decided == nil {
			return unknown
		}
		return "no"
	}
	return "yes"
}

func asksCertificate(a *Attempt) string {
	if a.decided == nil {
		return unknown
	}
	return answer(a.decided.Method == matrix.MethodCert || a.decided.ClientCert() != "")
}

func certificate(a *Attempt) string {
	c := a.Cell.World.ClientCertificate(&a.Cell.Client)
	if c == nil {
		return "none"
	}
	root, _ := matrix.RootOf(c.Issuer)
	if c.Validity != matrix.Valid || c.Revoked || c.Usage == matrix.ForServers || root != "right" {
		return "faulty"
	}
	return "valid"
}

// asked says whether the server made one of the authentication requests, as the relay saw it on connections without encryption.
func asked(a *Attempt, request string) (seen, witnessed bool) {
	for _, c := range a.Record.Observation.Evidence.Connections {
		witnessed = witnessed || len(c.Wire) > 0
		for _, e := range c.Wire {
			seen = seen || e.Kind == "auth-request" && e.Auth == request && e.From == "server"
		}
	}
	return seen, witnessed
}

func passwordInClear(a *Attempt) string {
	if a.outcome() == nil {
		return unknown
	}
	if a.Cell.Client.Transport == "unix" {
		return "no" // the connection does not leave the machine
	}
	seen, witnessed := asked(a, "password")
	if !witnessed && len(a.Record.Observation.Evidence.Connections) > 0 {
		return unknown
	}
	return answer(seen)
}

func md5Exchange(a *Attempt) string {
	if a.outcome() == nil {
		return unknown
	}
	client := a.Record.Observation.Evidence.Client
	if seen, _ := asked(a, "md5"); seen || slices.Contains(client.AuthRequests, "md5") {
		return "yes"
	}
	if info, _ := a.Cell.Client.Library.Info(); info.Silent && outcomeField(matrix.FieldMethod)(a) == string(matrix.MethodMD5) {
		return unknown
	}
	return "no"
}

func tlsVersion(a *Attempt) string {
	if a.outcome() == nil {
		return unknown
	}
	e := a.Record.Observation.Evidence
	if e.Client.Session != nil && e.Client.Session.SSLVersion != "" {
		return e.Client.Session.SSLVersion
	}
	version := "none"
	for _, c := range e.Connections {
		for _, event := range c.Wire {
			if event.Kind == "server-hello" && event.TLS != nil {
				version = event.TLS.Version
			}
		}
	}
	return version
}

// logged looks for the words of the server's log: "connection received" for each connection, then "connection authorized" or a FATAL line.
func logged(a *Attempt) string {
	o := a.outcome()
	if o == nil {
		return unknown
	}
	connections := a.Record.Observation.Evidence.Connections
	if len(connections) == 0 {
		return "" // it did not reach the server
	}
	for _, c := range connections {
		if !hasLine(c, "LOG", "connection received: ") {
			return "no"
		}
	}
	last := connections[len(connections)-1]
	switch {
	case o.End == matrix.Connected:
		return answer(hasLine(last, "LOG", "connection authorized: ") || hasLine(last, "LOG", "replication connection authorized: "))
	case slices.Contains([]matrix.Stage{matrix.StageHBA, matrix.StageIdent, matrix.StageStartup}, o.Stage):
		return answer(hasLine(last, "FATAL", ""))
	}
	return "yes" // the client may have ended it, of which the server has nothing to say but that it was there
}

func endLogged(a *Attempt) string {
	o := a.outcome()
	switch {
	case o == nil:
		return unknown
	case o.End != matrix.Connected:
		return ""
	}
	connections := a.Record.Observation.Evidence.Connections
	if len(connections) == 0 {
		return unknown
	}
	return answer(hasLine(connections[len(connections)-1], "LOG", "disconnection: "))
}

func hasLine(c matrix.ConnectionEvidence, severity, begins string) bool {
	return slices.ContainsFunc(c.Log, func(l matrix.LogLine) bool { return l.Severity == severity && strings.HasPrefix(l.Text, begins) })
}

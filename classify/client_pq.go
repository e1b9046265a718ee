package classify

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// pq: {conn,connector,ssl}.go of lib/pq 1.12, crypto/tls and crypto/x509.
var pq = client{
	settle:      (*classifier).library,
	sayings:     pqSayings,
	causes:      slices.Concat(pqCauses, goX509),
	special:     pqSpecial,
	tells:       true,
	unwanted:    pqUnwanted,
	onlyS:       true,
	unreached:   regexp.MustCompile(`^(?:.*: )?(connection refused|no such file or directory|connection timed out|i/o timeout|no route to host)$`),
	refusedTCP:  regexp.MustCompile(`^dial tcp \S+: connect: connection refused$`),
	hungUp:      regexp.MustCompile(`^(EOF|unexpected EOF|(read|write) tcp \S+->\S+: (read|write): (connection reset by peer|broken pipe))$`),
	gssAuth:     pqGSS,
	sessionLost: "driver: bad connection", // error.go, handleError: of a FATAL
	timedOut:    regexp.MustCompile(`^read tcp \S+->\S+: i/o timeout$`),
	tls:         goTLS(""),
}

var pqCauses = []textCause{
	row(`^weak sslmode ".*" may not be used with (sslnegotiation=direct|sslrootcert=system)`, matrix.StageOptions, matrix.BadOptions),
	row(`^SSL is not enabled on the server$`, matrix.StageTLS, matrix.TLSRefused),
	row(`no GSSAPI provider registered`, matrix.StageAuth, matrix.MethodUnsupported),
}

var pqSpecial = []specialCause{
	{pqGSS, gssAuthCause},
	{regexp.MustCompile(`^(stat .*: no such file or directory|private key has world access; .*|tls: failed to find any PEM data in key input|tls: failed to parse private key|tls: private key does not match public key)$`), func(c *classifier, said []string, n *connection) (cause, error) {
		if n == nil || !n.unused() {
			return cause{}, fmt.Errorf("witnesses contradict: the client says %q, the wire shows %v", said[0], c.outcome.Trace)
		}
		return cause{matrix.StageTLS, matrix.KeyUnusable}, nil
	}},
	// It reads its files between connecting and its first byte.
	{regexp.MustCompile(`^open (.*): no such file or directory$`), func(c *classifier, said []string, n *connection) (cause, error) {
		switch {
		case c.cell.Client.Root != "missing":
			return cause{}, unknownMessage(said[0])
		case n == nil || !n.unused():
			return cause{}, fmt.Errorf("witnesses contradict: the client says %q, the wire shows %v", said[0], c.outcome.Trace)
		}
		return cause{matrix.StageTLS, matrix.RootMissing}, nil
	}},
}

var (
	pqGSS   = regexp.MustCompile(`^(?:kerberos error|failed to get Kerberos ticket): (.*)$`)
	pqHost  = regexp.MustCompile(`^connecting to \S+:\d+: `)
	pqFatal = regexp.MustCompile(`^(.*) \(([0-9A-Z]{5})\)$`)
)

// pqSayings has of each host the last connection's error alone: that is all that lib/pq tells (Connector.open).
func pqSayings(message string) (all []saying) {
	lines, several := strings.CutPrefix(message, "pq: could not connect to any of the hosts:\n")
	if !several {
		return []saying{pqSaying(message)}
	}
	for line := range strings.SplitSeq(lines, "\n") {
		all = append(all, pqSaying(pqHost.ReplaceAllString(line, "")))
	}
	return all
}

func pqSaying(message string) saying {
	text := strings.TrimPrefix(message, "pq: ")
	if m := pqFatal.FindStringSubmatch(text); m != nil && text != message {
		return saying{fatal: true, state: m[2], text: m[1]}
	}
	return saying{text: text}
}

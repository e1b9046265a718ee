package classify

import (
	"fmt"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// A server that chooses its certificate by host names, 19+ (be-secure-openssl.c, sni_clienthello_cb): it has none for a client that sends no name, and why
// OpenSSL ends the handshake then, and where it has none for the name.
const (
	namelessRefused = "no hostname provided in callback, and no fallback configured"
	hostRefused     = "callback failed"
)

// hostUnknown is for a server that chooses its certificate by host names and has none. OpenSSL sends the alert missing_extension as handshake_failure,
// because no version of TLS is agreed upon yet (t1_enc.c, tls1_alert_code).
func (c *classifier) hostUnknown(alert string, n *connection) (cause, error) {
	want, told := "unrecognized name", n.tlsFailed
	if n.noHost {
		want, told = "handshake failure", namelessRefused
	}
	if !strings.Contains(alert, want) {
		return cause{}, fmt.Errorf("witnesses contradict: the server logged %q, the client was sent the alert %q", told, alert)
	}
	c.noteReason(byLog, told, matrix.HostUnknown)
	return cause{matrix.StageTLS, matrix.HostUnknown}, nil
}

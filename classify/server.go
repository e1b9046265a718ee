package classify

import (
	"regexp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// What a server says: the FATAL messages that end a connection, and the reasons that it logs of a connection that ended without one. The
// lines of its log are in serverlog.go.

// fatalCauses are the FATAL messages that end a connection, each with its SQLSTATE before it. Those of a failed method
// are not here: see methodFailures. Sources: auth.c, postmaster.c or backend_startup.c, postinit.c, miscinit.c of 13 to 19.
var fatalCauses = []textCause{
	row(`^28000 no pg_hba\.conf entry for (host|replication connection from host) `, matrix.StageHBA, matrix.NoHBAEntry),
	row(`^28000 pg_hba\.conf rejects (replication )?connection for host `, matrix.StageHBA, matrix.HBAReject),
	row(`^28000 connection requires a valid client certificate$`, matrix.StageAuth, matrix.CertMissing),
	row(`^F0000 client certificates can only be checked if a root certificate store is available$`, matrix.StageAuth, matrix.ClientCAMissing),
	row(`^28P01 empty password returned by client$`, matrix.StageAuth, matrix.NoPassword),
	row(`^28000 SCRAM channel binding (check failed|negotiation error)$`, matrix.StageAuth, matrix.ChannelBinding),
	row(`^28000 role ".*" does not exist$`, matrix.StageStartup, matrix.RoleMissing),
	row(`^28000 role ".*" is not permitted to log in$`, matrix.StageStartup, matrix.RoleNoLogin),
	row(`^3D000 database ".*" does not exist$`, matrix.StageStartup, matrix.DatabaseMissing),
	row(`^42704 unrecognized configuration parameter "(sslcrl|sslpassword|sslcertmode)"$`, matrix.StageStartup, matrix.SettingUnknown),
	row(`^42501 permission denied for database ".*"$`, matrix.StageStartup, matrix.NoPrivilege),
	row(`^42501 (must be superuser or replication role to start walsender|permission denied to start WAL sender)$`, matrix.StageStartup, matrix.NoReplication),
	row(`^08P01 received unencrypted data after SSL request$`, matrix.StageTLS, matrix.ProtocolViolation),
	row(`^08P01 received unencrypted data after GSSAPI encryption request$`, matrix.StageGSSEnc, matrix.ProtocolViolation),
	row(`^08P01 `+malformedSCRAM+`$`, matrix.StageAuth, matrix.ProtocolViolation),
	row(`^53300 (sorry, too many clients already|too many connections for (role|database) ".*"|remaining connection slots are reserved for .*)$`, matrix.StageStartup, matrix.TooManyClients),
	row(`^57P03 the database system is (starting up|shutting down|in recovery mode|not accepting connections|not yet accepting connections)$`, matrix.StageStartup, matrix.ServerStarting),
}

const (
	malformedSCRAM = "malformed SCRAM message"         // the client's, in an exchange that a record asked for
	tooManyClients = "sorry, too many clients already" // before any record is looked for; other limits come after authentication
	emptyPassword  = "empty password returned by client"
)

// methodFailures are the FATAL messages of auth_failed: "METHOD authentication failed for user".
var methodFailures = []struct {
	prefix  string
	state   string
	methods []matrix.Method // one of these failed
}{
	{`GSSAPI authentication failed for user "`, "28000", []matrix.Method{matrix.MethodGSS}},
	{`Peer authentication failed for user "`, "28000", []matrix.Method{matrix.MethodPeer}},
	{`Ident authentication failed for user "`, "28000", []matrix.Method{matrix.MethodIdent}},
	{`certificate authentication failed for user "`, "28000", []matrix.Method{matrix.MethodCert}},
	{`"trust" authentication failed for user "`, "28000", []matrix.Method{matrix.MethodTrust}},
	{`PAM authentication failed for user "`, "28000", []matrix.Method{matrix.MethodPAM}},
	{`LDAP authentication failed for user "`, "28000", []matrix.Method{matrix.MethodLDAP}},
	{`RADIUS authentication failed for user "`, "28000", []matrix.Method{matrix.MethodRADIUS}},
	{`password authentication failed for user "`, "28P01", []matrix.Method{matrix.MethodScram, matrix.MethodMD5, matrix.MethodPassword}},
}

// serviceCauses are what the server logs of a service that it asked about a password, before the FATAL: CheckPAMAuth, CheckLDAPAuth and
// PerformRadiusTransaction in auth.c.
var serviceCauses = []textCause{
	row(`^pam_(authenticate|acct_mgmt) failed: `, matrix.StageAuth, matrix.Password),
	row(`^LDAP login failed for user ".*" on server ".*": Invalid credentials$`, matrix.StageAuth, matrix.Password),
	row(`^LDAP user ".*" does not exist$`, matrix.StageAuth, matrix.Password),
	row(`^(LDAP login failed for user ".*"|could not perform initial LDAP bind for ldapbinddn ".*") on server ".*": Can't contact LDAP server$`, matrix.StageAuth, matrix.NoAuthService),
	row(`^timeout waiting for RADIUS response from `, matrix.StageAuth, matrix.NoAuthService),
}

// receivedEarly begins the FATAL of a server that finds bytes in its buffer that came before the handshake.
const receivedEarly = "received unencrypted data after "

// What a server logs of a client's certificate that it refuses: be_tls_open_server in be-secure-openssl.c, and since 16 verify_cb.
const verifyFailed = "certificate verify failed"

// Where the CA that it names has not signed it, the first error of OpenSSL's queue is another: that of the signature.
var (
	signatureFailed  = regexp.MustCompile(`^(EVP lib|provider signature failure)$`)
	decryptError     = regexp.MustCompile(`(?i)alert[ _]decrypt[ _]error|tls: error decrypting message`) // the alert
	clientCertFailed = regexp.MustCompile(`^Client certificate verification failed at depth \d+: (.*?)\.(?:\n|$)`)
)

const badSignature = "certificate signature failure"

// clientCertCauses are OpenSSL's reasons (crypto/x509/x509_txt.c of 1.1.1 to 3.6).
var clientCertCauses = []textCause{
	row(`^(unable to get (local )?issuer certificate|unable to verify the first certificate|self[- ]signed certificate( in certificate chain)?|unable to get certificate CRL|certificate signature failure)$`, matrix.StageTLS, matrix.CertUntrusted),
	row(`^(unsupported|unsuitable) certificate purpose$`, matrix.StageTLS, matrix.CertPurpose),
	row(`^(certificate|CRL) has expired$`, matrix.StageTLS, matrix.CertExpired),
	row(`^certificate revoked$`, matrix.StageTLS, matrix.CertRevoked),
	row(`^(certificate|CRL) is not yet valid( or the system clock is incorrect)?$`, matrix.StageTLS, matrix.CertBad),
}

// What a server logs of a record that it cannot open, or that the client says it could not open, and of a handshake that comes twice:
// be_tls_open_server in be-secure-openssl.c, by OpenSSL 1.1.1 to 3.6; be_gssapi_read in be-secure-gssapi.c.
var (
	badRecord = regexp.MustCompile(`^((sslv3|ssl/tls) alert bad record mac|decryption failed or bad record mac)$`)
	peerLeft  = regexp.MustCompile(`^(EOF detected|unexpected eof while reading|Connection reset by peer)$`) // without an alert
	badHello  = regexp.MustCompile(`^bad (key share|record type)$`)
	badMIC    = regexp.MustCompile(`^A token had an invalid Message Integrity Check \(MIC\): `)
	badToken  = regexp.MustCompile(`^Invalid token was supplied: `)
)

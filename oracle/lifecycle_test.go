package oracle

import "testing"

// Files for TLS that do not load, and what an attempt meets that comes afterwards.
func TestFilesForTLS(t *testing.T) {
	checkRows(t, "before='host all all all trust' hba='host all all all trust' gssencmode=disable sslmode=verify-full before-servercert=other-ca", `
load=reload => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
load=reload tls_files=no-certificate => refused at tls, server-cert-untrusted, trace connect sslaccept, load "could not load server certificate file \"no-certificate.crt\": No such file or directory"
load=reload tls_files=no-key => refused at tls, server-cert-untrusted, trace connect sslaccept, load "could not access private key file \"no-key.key\": No such file or directory"
load=reload tls_files=other-key => refused at tls, server-cert-untrusted, trace connect sslaccept, load "could not load private key file \"other-key.key\": key values mismatch"
load=reload tls_files=open-key => refused at tls, server-cert-untrusted, trace connect sslaccept, load "private key file \"open-key.key\" has group or world access"
load=reload tls_files=unreadable-key => refused at tls, server-cert-untrusted, trace connect sslaccept, load "could not load private key file \"unreadable-key.key\": Permission denied"
load=reload tls_files=no-ca => refused at tls, server-cert-untrusted, trace connect sslaccept, load "could not load root certificate file \"no-ca.ca\": No such file or directory"
load=reload tls_files=no-list => refused at tls, server-cert-untrusted, trace connect sslaccept, load "could not load SSL certificate revocation list file \"no-list.crl\": No such file or directory"
load=restart tls_files=no-key => refused at dial, dial-refused, load "could not access private key file \"no-key.key\": No such file or directory"
load=restart tls_files=no-key hba='hos' => refused at dial, dial-refused, load "could not access private key file \"no-key.key\": No such file or directory"
load=reload tls_files=no-key hba='hos' sslmode=disable => connected plain, method trust, role alice, hba:1, trace connect authok, load "pg_hba.conf:1: invalid connection type \"hos\"; could not access private key file \"no-key.key\": No such file or directory"
// without TLS none of them is read, and TLS that was off stays off
load=restart ssl=off tls_files=no-key sslmode=disable => connected plain, method trust, role alice, hba:1, trace connect authok
load=reload before-ssl=off tls_files=no-key sslmode=require => refused at tls, tls-refused, trace connect sslreject, load "could not access private key file \"no-key.key\": No such file or directory"
load=reload before-ssl=off sslmode=require => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
load=reload ssl=off tls_files=no-key sslmode=require => refused at tls, tls-refused, trace connect sslreject
`)
}

// An attempt that is begun before meets what was in force then, and a reload leaves its session as it is.
func TestOpenedBefore(t *testing.T) {
	checkRows(t, "opened=before before='host all bob all reject; host all all all trust' hba='host all all all reject' gssencmode=disable sslmode=disable", `
load=reload => connected plain, method trust, role alice, hba:2, trace connect authok
load=reload user=bob => refused at hba, hba-reject, channel plain, method reject, hba:1, trace connect authfail
load=reload hba='hos' => connected plain, method trust, role alice, hba:2, trace connect authok, load "pg_hba.conf:1: invalid connection type \"hos\""
load=reload before-servercert=expired sslmode=require root=none => connected tls, method trust, role alice, hba:2, trace connect sslaccept authok
load=reload before-servercert=expired sslmode=verify-full => refused at tls, server-cert-expired, trace connect sslaccept
load=reload before-servercrl=right servercrl=none before='hostssl all all all cert' sslmode=require cert=revoked ssl=on => refused at tls, cert-revoked, trace connect sslaccept
load=reload before='host all all all gss include_realm=0' before-keytab=stale ticket=valid => refused at auth, keytab-mismatch, channel plain, method gss, hba:1, trace connect authfail
load=reload before='host all all all gss include_realm=0' keytab=stale before-keytab=good ticket=valid => connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok
load=reload before='host all all all gss map=m' before-ident='m alice@EXAMPLE.TEST alice' ticket=valid => connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok
load=restart => refused at session, session-ended, channel plain, method trust, hba:2, trace connect authok
load=restart user=bob => refused at hba, hba-reject, channel plain, method reject, hba:1, trace connect authfail
load=restart tls_files=no-key => refused at session, session-ended, channel plain, method trust, hba:2, trace connect authok, load "could not access private key file \"no-key.key\": No such file or directory"
`)
}

// Maps that do not load leave those of before, which a reload has and a start has not.
func TestMapsOfBefore(t *testing.T) {
	checkRows(t, "before='host all all all trust' hba='host all all all gss map=m' before-ident='m alice@EXAMPLE.TEST alice' ident='m' ticket=valid gssencmode=disable sslmode=disable", `
load=reload => connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok, load pg_ident.conf:1: missing entry at end of line
load=restart => refused at ident, map-no-match, channel plain, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect authfail, load pg_ident.conf:1: missing entry at end of line
`)
}

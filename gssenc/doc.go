// Package gssenc is GSSAPI session encryption for PostgreSQL in Go: a Kerberos 5 initiator (RFC 4121, over gokrb5's messages)
// and the encrypted connection that PostgreSQL speaks over it, without libkrb5 and without cgo.
//
// [Configure] gives a pgx configuration gssencmode. Below it, each part can be used alone: [Acquire] gets an identity,
// [Credentials.Initiate] begins a security context, [Initiator.Step] exchanges its tokens, and a [Context] seals and opens
// wrap tokens.
//
// # What Kerberos can do here
//
//   - Identities: FILE ccaches of versions 3 and 4, keytabs, passwords; several in one process. Tickets that are got are kept
//     in memory and never written to a ccache. KCM, KEYRING, DIR, API and MEMORY caches are refused.
//   - Preauthentication by encrypted timestamp. No FAST, no PKINIT, no OTP.
//   - KDCs from krb5.conf in its order, or from DNS (SRV records), over TCP alone. Every exchange ends with its context, and
//     after ten seconds for each KDC.
//   - Other realms by domain_realm and direct trust, or by the KDC's referrals, eight at most.
//   - krb5.conf: include, includedir, module lines (passed over), lists of etypes with families and removals,
//     default_ccache_name, and the sections libdefaults, realms and domain_realm as gokrb5 reads them. The realms' own
//     defaults, appdefaults, capaths and plugins are not read; nor is kdc_timesync: the machine's clock is taken as it is.
//   - Host names are taken as they are: dns_canonicalize_hostname and rdns are not followed.
//   - Contexts with keys of the etypes 17 to 20. A ticket's session key may be RC4 or DES3: the initiator then proposes AES
//     and needs an acceptor that takes it. No channel bindings; PostgreSQL has none for GSSAPI.
package gssenc

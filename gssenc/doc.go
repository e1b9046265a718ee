// Package gssenc is GSSAPI session encryption for PostgreSQL in Go: a Kerberos 5 initiator (RFC 4121, over gokrb5's messages)
// and the encrypted connection that PostgreSQL speaks over it, without libkrb5 and without cgo.
//
// [Configure] gives a pgx configuration gssencmode. Below it, each part can be used alone: [Acquire] gets an identity,
// [Credentials.Initiate] begins a security context, [Initiator.Step] exchanges its tokens, and a [Context] seals and opens
// wrap tokens.
//
// # What Kerberos can do here
//
//   - Identities: ccaches of the types FILE (versions 3 and 4), DIR and KCM, keytabs, the client keytab, passwords, and the content
//     of a ccache or keytab in memory; several in one process. Tickets that are fetched are kept in memory and never written to a
//     ccache. Caches of the types KEYRING, API and MEMORY are refused by name.
//   - Preauthentication by encrypted timestamp. No FAST, no PKINIT, no OTP.
//   - KDCs from krb5.conf in its order, or from DNS (SRV records), over TCP alone. The next KDC is asked when one has failed, or
//     has not answered within a second; the first answer counts, and the KDC that gave it is asked first from then on. Every
//     exchange ends with its context, and after ten seconds for each address.
//   - Other realms by domain_realm and direct trust, by the KDC's referrals, eight at most, or by the domain of the host. There is
//     no path of realms: capaths are not read.
//   - krb5.conf after the grammar of libkrb5, from all files of $KRB5_CONFIG: default_realm, the kdc entries of realms, domain_realm,
//     dns_lookup_kdc, dns_canonicalize_hostname, rdns, qualify_shortname, the lists of etypes, forwardable, ticket_lifetime,
//     default_ccache_name, default_client_keytab_name, kcm_socket. Everything else is passed over. A file that
//     libkrb5 could not read either is an error of StageConfig. So is a module line. kdc_timesync is not implemented: the machine's
//     clock is taken as it is.
//   - Contexts with keys of the etypes 17 to 20. A ticket's session key may be RC4 or DES3: the initiator then proposes AES
//     and needs an acceptor that takes it. No channel bindings; PostgreSQL has none for GSSAPI. With GODEBUG=fips140=only the etypes
//     are 19 and 20.
//
// # Compatibility
//
// Within a major version of the module, exported names keep their meaning, fields are only added to Options, InitOptions, Source and
// Session, and the zero value of a new field is what was done before. The mode of a configuration is never weakened: a release does
// not make a connection with less protection out of settings that gave more. Texts of errors may change; [Stage], [KRBError] and
// the sentinels are there to be compared. Each release works with the two latest minor versions of pgx v5 and the two latest of Go.
package gssenc

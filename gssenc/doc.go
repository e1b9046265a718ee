// Package gssenc is GSSAPI session encryption for PostgreSQL in Go: a Kerberos 5 initiator (RFC 4121, over gokrb5) and the
// encrypted connection that PostgreSQL speaks over it, without libkrb5 and without cgo.
package gssenc

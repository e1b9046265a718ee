package gssenc

import "net"

// Session says whom a session under GSS encryption is with, and how it is protected.
type Session struct {
	Principal string // the client's: user[/instance]@REALM
	Service   string // the server's, whose key it has shown to hold: service/host@REALM
	EType     Etype  // of the key that seals
	Delegated bool   // a TGT was forwarded
}

// FromConn tells about the session on a connection: of pgx, conn.PgConn().Conn(). It is false of a connection that is not under GSS
// encryption, and of one that AfterNetConnect has put something around that has no method NetConn() net.Conn, as tls.Conn has it.
func FromConn(conn net.Conn) (Session, bool) {
	for range 8 {
		if c, ok := conn.(*Conn); ok {
			return c.info, true
		}
		outer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = outer.NetConn()
	}
	return Session{}, false
}

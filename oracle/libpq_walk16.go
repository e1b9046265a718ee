package oracle

import "github.com/pgauthmatrix/pgauthmatrix/matrix"

// flags16 are the flags by which libpq 13 to 16 chooses its next method (fe-connect.c, PQconnectPoll: try_gss, allow_ssl_try,
// wait_ssl_try).
type flags16 struct {
	*libpq
	tryGSS, tryTLS bool
	waitTLS        bool // TLS only after a failure in the clear
}

// walk16 is the walk of 13 to 16.
func (l *libpq) walk16() (ending, error) {
	f := flags16{
		libpq:   l,
		tryGSS:  l.gssencmode != "disable" && !l.unix(),
		tryTLS:  l.sslmode != "disable" && !l.unix(),
		waitTLS: l.sslmode == "allow",
	}
	l.secondHost()
	if l.unix() {
		l.why("fe-connect.c, PQconnectPoll", "on a unix socket neither TLS nor GSS encryption is tried, for any sslmode")
	} else {
		l.gssFirst()
	}
	l.connect()
	if l.gssencmode == "require" && l.unix() {
		l.why("libpq, gssencmode", "gssencmode=require on a unix socket: libpq before 17 finds out after it has connected")
		return refused(neverOpened, matrix.StageOptions, matrix.GSSOnUnixSocket), nil
	}
	if f.tryGSS && l.ticket.Absent {
		if l.gssencmode == "require" {
			l.why("libpq, gssencmode", "gssencmode=require and no credential cache: libpq before 17 finds out after it has connected")
			return refused(neverOpened, matrix.StageCredentials, matrix.NoTicket), nil
		}
		f.tryGSS = false
	}
	if l.gssencmode != "require" && !l.unix() {
		l.why("libpq, sslmode", "sslmode="+l.sslmode)
	}
	for len(l.trace) <= 20 {
		ch := f.method()
		last, err := l.try(ch)
		if err != nil {
			return last, err
		}
		if final, err := l.final(last); final {
			return last, err
		}
		if !f.goesOn(ch, last) {
			l.why("fe-connect.c, PQconnectPoll", "nothing is left to try")
			return last, nil
		}
	}
	return ending{}, unknown("libpq tries no method more than twice", "a client that never gives up")
}

func (f *flags16) method() matrix.Channel {
	switch {
	case f.tryGSS:
		return matrix.GSS
	case f.tryTLS && !f.waitTLS:
		return matrix.TLS
	}
	return matrix.Plain
}

// goesOn sets the flags after a connection that ended so, and says whether another method is tried. It opens a new
// connection where the present one cannot be used again.
func (f *flags16) goesOn(ch matrix.Channel, last ending) bool {
	if last.how == declined {
		return f.afterN(ch)
	}
	failed := last.how == broken || last.how == errorBeforeOK
	switch {
	case failed && ch == matrix.GSS && f.gssencmode == "prefer":
		f.again("gssencmode=prefer: the client tries without GSS encryption")
		f.tryGSS = false
	case last.how == errorBeforeOK && f.sslmode == "allow" && ch != matrix.TLS && f.tryTLS && f.waitTLS:
		text := "sslmode=allow: the client tries with TLS"
		if f.tryGSS {
			text = "sslmode=allow: the client tries again, and takes GSS encryption a second time"
		}
		f.again(text)
		f.waitTLS = false
	case last.outcome.Reason == matrix.AnswerError && ch == matrix.GSS && f.c.Attack == matrix.SendError:
		f.again("gssencmode=require: libpq before 17 finds out that GSS encryption was all there was to try")
		return false
	case failed && ch == matrix.TLS && f.sslmode == "prefer":
		f.again("sslmode=prefer: the client tries without TLS")
		f.tryTLS = false
	default:
		return false
	}
	return true
}

// afterN: the server does not have the channel that was asked for.
func (f *flags16) afterN(ch matrix.Channel) bool {
	switch {
	case ch == matrix.GSS && f.gssencmode == "prefer":
		f.why("fe-connect.c, PQconnectPoll", "N leaves the connection usable: GSS encryption is given up, on the same connection")
		f.tryGSS = false
	case ch == matrix.TLS && !f.insistsOnTLS():
		f.why("fe-connect.c, PQconnectPoll", "N leaves the connection usable: no encryption is next, on the same connection")
		f.tryTLS = false
	default:
		return false
	}
	return true
}

func (f *flags16) again(text string) {
	f.connect()
	f.why("fe-connect.c, PQconnectPoll", text+", on a new connection")
}

package oracle

import "github.com/pgauthmatrix/pgauthmatrix/matrix"

// try uses one method of encryption on the present connection, which has been opened.
func (l *libpq) try(ch matrix.Channel) (ending, error) {
	var e ending
	switch ch {
	case matrix.GSS:
		e = l.encryptGSS()
	case matrix.TLS:
		e = l.encryptTLS(l.direct, l.verification())
	}
	if e.how != opened {
		return e, nil
	}
	if e, err := l.authenticate(ch); err != nil || l.anySession {
		return e, err
	} else {
		return l.selected(e, "fe-connect.c, PQconnectPoll (CONNECTION_CHECK_TARGET)"), nil
	}
}

// secondHost says what a second host means to libpq. With the server's name twice it is never used: libpq goes on to the next host
// only from one that it cannot reach, or that is starting up.
func (l *libpq) secondHost() {
	switch l.hosts() {
	case matrix.DeadFirst:
		l.why("fe-connect.c, PQconnectPoll (try_next_addr)", "the first host refuses TCP: libpq starts again with the second, whose name is that of SPN and certificate")
	case matrix.Twice:
		l.why("fe-connect.c, PQconnectPoll (error_return)", "libpq goes on to the second host only from one that it cannot reach or whose session it does not want, not from one that refuses it")
	}
}

// final says whether libpq of any version tries nothing after a connection that ended so.
func (l *libpq) final(last ending) (bool, error) {
	switch last.how {
	case opened, unwanted:
		return true, nil
	case errorAfterOK:
		l.why("fe-connect.c, PQconnectPoll", "an error after AuthenticationOk is final")
		return true, nil
	case hungUp:
		l.why("fe-connect.c, PQconnectPoll", "what the client itself refuses is final")
		return true, nil
	case lost, outOfTime:
		l.why("fe-connect.c, PQconnectPoll", "a connection that fails otherwise than by a handshake or the server's error is final")
		return true, nil
	case raced:
		if l.sslmode == "prefer" {
			return true, chance()
		}
	}
	return false, nil
}

// walk17 is the walk of 17 and later: a set of allowed methods, each tried at most once (fe-connect.c,
// init_allowed_encryption_methods and select_next_encryption_method).
func (l *libpq) walk17() (last ending, err error) {
	if l.gssencmode == "require" {
		if l.unix() {
			l.why("libpq, gssencmode", "gssencmode=require on a unix socket: rejected before the socket is opened")
			return refused(neverOpened, matrix.StageOptions, matrix.GSSOnUnixSocket), nil
		}
		if l.ticket.Absent {
			l.why("libpq, gssencmode", "gssencmode=require and no credential cache: rejected before a connection is opened (since 17)")
			return refused(neverOpened, matrix.StageCredentials, matrix.NoTicket), nil
		}
	}
	l.secondHost()
	for i, ch := range l.methods() {
		if i == 0 || last.how != declined || ch == matrix.TLS && l.direct {
			l.connect()
		}
		if i > 0 {
			l.nextMethod(ch, last.how)
		}
		if last, err = l.try(ch); err != nil {
			return last, err
		}
		if final, err := l.final(last); final {
			return last, err
		}
	}
	l.why("fe-connect.c, select_next_encryption_method", "no method is left to try")
	return last, nil
}

func (l *libpq) nextMethod(ch matrix.Channel, before how) {
	text := map[matrix.Channel]string{matrix.Plain: "no encryption", matrix.TLS: "TLS", matrix.GSS: "GSS encryption"}[ch]
	if before == declined {
		l.why("fe-connect.c, encryption_negotiation_failed", "N leaves the connection usable: "+text+" is next, on the same connection")
	} else {
		l.why("fe-connect.c, connection_failed", "a failure before AuthenticationOk: "+text+" is next, on a new connection")
	}
}

// methods lists what libpq 17 and later will try, in order.
func (l *libpq) methods() (methods []matrix.Channel) {
	if l.unix() {
		l.why("fe-connect.c, init_allowed_encryption_methods", "on a unix socket neither TLS nor GSS encryption is tried, for any sslmode")
		return []matrix.Channel{matrix.Plain}
	}
	l.gssFirst()
	if l.gssencmode != "disable" && !l.ticket.Absent {
		methods = append(methods, matrix.GSS)
	}
	if l.gssencmode == "require" {
		return methods
	}
	text := ""
	switch l.sslmode {
	case "disable":
		methods, text = append(methods, matrix.Plain), "sslmode=disable: no encryption"
	case "allow":
		methods, text = append(methods, matrix.Plain, matrix.TLS), "sslmode=allow: no encryption first, then TLS"
	case "prefer":
		methods, text = append(methods, matrix.TLS, matrix.Plain), "sslmode=prefer: TLS first, then no encryption"
	default:
		methods, text = append(methods, matrix.TLS), "sslmode="+l.sslmode+": TLS only"
	}
	l.why("libpq, sslmode", text)
	return methods
}

func (l *libpq) gssFirst() {
	switch {
	case l.gssencmode == "disable":
	case l.gssencmode == "require":
		l.why("libpq, gssencmode", "gssencmode=require: GSS encryption and nothing else")
	case l.ticket.Absent:
		l.why("libpq, gssencmode", "gssencmode=prefer without a ticket: GSS encryption is not tried")
	default:
		l.why("libpq, gssencmode", "gssencmode=prefer and a ticket: GSS encryption is tried first")
	}
}

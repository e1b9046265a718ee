package gssenc

// Context is an established security context. Seal and Open may run concurrently with each other; each of them is for one
// goroutine at a time.
type Context struct{}

// Seal appends the wrap token of plain to dst (RFC 4121 4.2.4): encrypted if conf, else with a checksum only.
func (x *Context) Seal(dst, plain []byte, conf bool) ([]byte, error) {
	return nil, failf(StageContext, "not built yet")
}

// Open appends to dst what a wrap token of the acceptor holds, after checking it and its place in the sequence.
func (x *Context) Open(dst, token []byte) (plain []byte, conf bool, err error) {
	return nil, false, failf(StagePacket, "not built yet")
}

// MaxPlain returns the length of the largest plaintext whose sealed token is at most token bytes long, 0 if there is none.
func (x *Context) MaxPlain(token int) int { return 0 }

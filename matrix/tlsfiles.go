package matrix

// TLSFault is what is wrong with one of the server's files for TLS, so that the server does not load them.
type TLSFault struct {
	Name string
	Doc  string // one line, for docs/scenarios.md
	File TLSFile
	Mode uint32 // of the file; 0 of a file that is not there, or whose mode is that of others
	// Absent: there is no such file. Other: it is the key of another certificate.
	Absent, Other bool
}

// TLSFile is a kind of the server's files for TLS.
type TLSFile string

// The kinds, in the order in which a server loads them (be-secure-openssl.c, be_tls_init).
const (
	CertFile TLSFile = "crt"
	KeyFile  TLSFile = "key"
	CAFile   TLSFile = "ca"
	CRLFile  TLSFile = "crl"
)

// Path is where the file is: its name in ServerDir.
func (f TLSFault) Path() string { return f.Name + "." + string(f.File) }

// GoodTLSFiles is the value of the axis tls_files where nothing is wrong.
const GoodTLSFiles = "good"

// TLSFaults lists them: the further values of the axis tls_files.
var TLSFaults = []TLSFault{
	{Name: "no-certificate", Doc: "there is no certificate", File: CertFile, Absent: true},
	{Name: "no-key", Doc: "there is no key", File: KeyFile, Absent: true},
	{Name: "other-key", Doc: "the key is that of another certificate", File: KeyFile, Mode: 0o600, Other: true},
	{Name: "open-key", Doc: "everybody may read the key", File: KeyFile, Mode: 0o644},
	{Name: "unreadable-key", Doc: "the server may not read the key", File: KeyFile, Mode: 0o200},
	{Name: "no-ca", Doc: "there is no file of CAs for clients", File: CAFile, Absent: true},
	{Name: "no-list", Doc: "there is no revocation list", File: CRLFile, Absent: true},
}

// TLSFaultOf is what is wrong with the server's files for TLS, if anything is.
func (w *World) TLSFaultOf() (TLSFault, bool) {
	for _, f := range TLSFaults {
		if f.Name == w.TLSFiles {
			return f, true
		}
	}
	return TLSFault{}, false
}

func tlsFaultNames() []string {
	names := []string{GoodTLSFiles}
	for _, f := range TLSFaults {
		names = append(names, f.Name)
	}
	return names
}

// OpenedBefore is the value of the axis opened.
const OpenedBefore = "before"

// IsOpenedBefore says whether the attempt is begun before the server gets the files of its world.
func (c *Client) IsOpenedBefore() bool { return c.Opened == OpenedBefore }

// cannotBeOpened says why the cell's session cannot be open while the server gets its files, or "".
func (c *Cell) cannotBeOpened() string {
	switch client := &c.Client; {
	case !client.IsOpenedBefore():
		return ""
	case c.World.Load == "":
		return "opened=before needs load: there is no before"
	case client.Transport == "unix":
		return "attempts over a unix-domain socket are made one at a time"
	case client.Library == Raw, client.Attacked():
		return "only the session of a client library is kept open, and without an attacker"
	case client.Database != DefaultDatabase, client.Replication != "", client.Asks != "":
		return "a session is kept open by a query of its own, in the database " + DefaultDatabase
	}
	return ""
}

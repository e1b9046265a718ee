package matrix

// ConfDir is the directory of a server's configuration files, and ConfigFile, HBAFile and IdentFile are their names in it. Outcomes name
// files by their paths relative to it.
const (
	ConfDir    = "/pgam/conf"
	ConfigFile = "postgresql.conf"
	HBAFile    = "pg_hba.conf"
	IdentFile  = "pg_ident.conf"
)

// File is a further file of the server's configuration directory.
type File struct {
	Path string // relative to the directory
	Text string // byte for byte
}

// The values of the axis load. It is empty where the scenario does not name it: then the rules are reloaded, and must load.
const (
	Reload  = "reload"  // into a running server
	Restart = "restart" // the server starts with them
)

// ServerDir is the directory of a server's certificates, keys, lists and keytabs. Outcomes name files by their paths relative to it.
const ServerDir = "/pgam/server"

// RulesBefore is the default of State.HBA: it refuses every connection.
const RulesBefore = "local all all reject\nhost all all all reject\n"

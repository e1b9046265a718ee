package matrix

import "slices"

// Notes is the table that a session is asked to read and to write, in the database postgres. Role.May says which roles have privileges on it.
const Notes = "pgauthmatrix.notes"

// AnswerOK is the answer to a statement that the server has executed; AnswerNull is SQL null.
const (
	AnswerOK   = "ok"
	AnswerNull = "null"
)

// Ask is something that a session is asked once it exists. The answer is AnswerOK, the value of a query, or the SQLSTATE of the server's error.
// The statement has no effect: it is rolled back.
type Ask struct {
	Name    string
	Meaning string // one line, for docs/scenarios.md
	SQL     string
	Query   bool // it has a value
}

// The values of the axis asks.
const (
	AskRead            = "read"
	AskWrite           = "write"
	AskCreate          = "create"
	AskShortPassword   = "short-password"
	AskLettersPassword = "letters-password"
	AskLongPassword    = "long-password"
	AskHashedPassword  = "hashed-password"
	AskSystemUser      = "system-user"
	AskDelegated       = "delegated"
)

// hashed is the SCRAM secret of the password "abc". Nobody ever has it.
const hashed = "SCRAM-SHA-256$4096:CgsMDQ4PEBESExQVFhcYGQ==$Ij2jAqlm8KuvkfwGUlpkK5F/XbpU8qHCd6fvPvq/Vbo=:Nj6x/984EuLvEh/K4lIiHhEhsiO8Cbd1vvRKt2X1Mjs="

// Asks lists them.
var Asks = []Ask{
	{AskRead, "reads the table " + Notes, "SELECT n FROM " + Notes, false},
	{AskWrite, "adds a row to the table " + Notes, "INSERT INTO " + Notes + " VALUES (1)", false},
	{AskCreate, "creates a table in the schema public", "CREATE TABLE public.pgauthmatrix_own (n int)", false},
	{AskShortPassword, "gives its role a password of three characters", "ALTER ROLE CURRENT_USER PASSWORD 'a-1'", false},
	{AskLettersPassword, "gives its role a long password that has letters only", "ALTER ROLE CURRENT_USER PASSWORD 'correcthorsebattery'", false},
	{AskLongPassword, "gives its role a long password of letters, digits and others", "ALTER ROLE CURRENT_USER PASSWORD 'correct-horse-4-battery'", false},
	{AskHashedPassword, "gives its role a password of three letters, of which it sends the SCRAM secret only", "ALTER ROLE CURRENT_USER PASSWORD '" + hashed + "'", false},
	{AskSystemUser, "asks for SYSTEM_USER, which is there since 16", "SELECT system_user", true},
	{AskDelegated, "asks whether the server has the client's Kerberos credentials, which can be since 16", "SELECT credentials_delegated FROM pg_stat_gssapi WHERE pid = pg_backend_pid()", true},
}

// AskByName is an entry of Asks.
func AskByName(name string) (Ask, bool) {
	if i := slices.IndexFunc(Asks, func(a Ask) bool { return a.Name == name }); i >= 0 {
		return Asks[i], true
	}
	return Ask{}, false
}

func askNames() (names []string) {
	for _, a := range Asks {
		names = append(names, a.Name)
	}
	return names
}

// cannotAsk says why the cell's session cannot be asked, or "".
func (c *Cell) cannotAsk() string {
	switch {
	case c.Client.Asks == "":
		return ""
	case c.Client.Library == Raw, c.Client.Attacked():
		return "only a client library is asked for more than a session, and without an attacker"
	case c.Client.Database != DefaultDatabase || c.Client.Replication != "":
		return "what a session is asked for is in the database " + DefaultDatabase
	}
	return ""
}

// asks says whether something of the world is there only to be asked for.
func (w *World) asks() bool {
	return slices.ContainsFunc(w.Roles, func(r Role) bool { return len(r.May) > 0 })
}

// AsksServer says whether the cell needs the table and the function by which sessions are asked.
func (c *Cell) AsksServer() bool { return c.Client.Asks != "" || c.World.asks() }

package pack

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// CannotError is a cell of which no archive can be made.
type CannotError struct{ Cell, Why string }

func (e *CannotError) Error() string {
	return fmt.Sprintf("%s cannot be packed: %s", e.Cell, e.Why)
}

// limit is what a cell can have and an archive cannot.
type limit struct {
	name string
	why  func(c *matrix.Cell) string // "": the cell has it not
}

var limits = []limit{
	{"not applicable", matrix.NotApplicable},
	{"by hand", func(c *matrix.Cell) string {
		return when(c.ByHand, "it is judged by a row that was written by hand, and nothing is predicted of it")
	}},
	{"attack", func(c *matrix.Cell) string {
		return when(c.Client.Attack != "" && c.Client.Attack != matrix.NoAttack, "the attack %s is made by the harness's relay, which stands between client and server", c.Client.Attack)
	}},
	{"client", func(c *matrix.Cell) string {
		return when(c.Client.Driver != nil || !c.Client.Library.UsesLibpq(), "the client is %s, and the archive's is psql; take the cell of libpq or psql that has the same options", c.Client.Name())
	}},
	{"question", func(c *matrix.Cell) string {
		return when(c.Client.Asks != "", "its session is asked %s, for which the harness makes a table and a function", c.Client.Asks)
	}},
	{"replication", func(c *matrix.Cell) string {
		return when(c.Client.Replication != "", "a replication connection does not answer the query by which the archive looks at its session")
	}},
	{"networks", func(c *matrix.Cell) string {
		return when(len(c.World.Networks) > 0, "its addresses and host names are made by the harness's agents in the containers")
	}},
	{"Ident server", func(c *matrix.Cell) string {
		_, running, _ := c.World.IdentServerOf()
		return when(running, "the Ident server on the client's machine is the harness's agent")
	}},
	{"open session", func(c *matrix.Cell) string {
		return when(c.Client.IsOpenedBefore(), "its session is kept open by the harness while the server gets its files")
	}},
	{"files before", func(c *matrix.Cell) string {
		_, broken := c.World.TLSFaultOf()
		return when(broken || c.World.Before.String() != "", "its server has other files for TLS or another keytab before, or one that is broken, and the archive has one of each")
	}},
	{"certificates by host name", func(c *matrix.Cell) string {
		return when(c.World.ReadsHosts(), "the harness puts the paths of files into its %s, and the archive has one certificate and one file of CAs", matrix.HostsFile)
	}},
	{"hung KDC", func(c *matrix.Cell) string {
		hung := slices.ContainsFunc(c.World.Realms, func(r matrix.Realm) bool { return r.Hung })
		return when(hung, "a realm has a KDC that hangs")
	}},
	{"kind of realm", func(c *matrix.Cell) string {
		for _, r := range c.World.Realms {
			if kind := cmp.Or(r.Kind, matrix.MIT); kind != matrix.MIT {
				return fmt.Sprintf("the KDC of %s is of kind %s, and the archive's is %s", r.Name, kind, matrix.MIT)
			}
		}
		return ""
	}},
	{"choice of keys", func(c *matrix.Cell) string {
		k, _ := c.World.KeytabOf()
		return when(len(k.Enctypes) > 0, "its keytab %s has only keys of certain encryption types, which kadmin.local cannot choose", k.Name)
	}},
	{"old key file", func(c *matrix.Cell) string {
		form, _ := c.World.KeyFormOf(&c.Client)
		return when(form.Legacy && c.Client.Cert != "none" && c.Client.Cert != "", "the key %s is encrypted by a cipher that the image's openssl does not write", form.Name)
	}},
}

func when(is bool, format string, a ...any) string {
	if !is {
		return ""
	}
	return fmt.Sprintf(format, a...)
}

// Cannot says why no archive can be made of a cell; "": one can.
func Cannot(c *matrix.Cell) string {
	for _, l := range limits {
		if why := l.why(c); why != "" {
			return why
		}
	}
	return ""
}

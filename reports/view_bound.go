package reports

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// bound is what clients obtained of one scenario by their channel_binding and the server's certificate.
type bound struct {
	first map[string]string // the axes of the first attempt
	certs []string          // in the order of matrix.ServerCertificates
	rows  []*boundRow
	not   bool // the scenario is about more than these and the client: a run that is a selection would have only a part of what a row says
}

// boundRow is one client with one channel_binding.
type boundRow struct {
	binding string
	library matrix.Library
	had     map[string][]string // words by certificate; several only of a run that repeats cells
}

// Axes on which the attempts of such a table differ.
const (
	bindingAxis    = "channel_binding"
	serverCertAxis = "servercert"
)

// boundLegend explains the table.
const boundLegend = "An entry says how the session was protected, or why there was none. A downgrade is a session in the clear after TLS was tried. Whether a session is bound nobody outside can see: under prefer a client may go without."

func (b *bound) add(r *Record, o *matrix.Outcome) {
	if b.first == nil {
		b.first = r.Axes
	}
	b.not = b.not || o.Obtains != "" || slices.ContainsFunc(matrix.Axes, func(a matrix.Axis) bool {
		return !slices.Contains([]string{bindingAxis, serverCertAxis, "library"}, a.Name) && r.Axes[a.Name] != b.first[a.Name]
	})
	if b.not {
		b.certs, b.rows = nil, nil
		return
	}
	cert, binding, library := r.Axes[serverCertAxis], r.Axes[bindingAxis], matrix.Library(r.Axes["library"])
	if !slices.Contains(b.certs, cert) {
		b.certs = append(b.certs, cert)
	}
	i := slices.IndexFunc(b.rows, func(row *boundRow) bool { return row.binding == binding && row.library == library })
	if i < 0 {
		i = len(b.rows)
		b.rows = append(b.rows, &boundRow{binding, library, map[string][]string{}})
	}
	word := string(o.Reason)
	if o.End == matrix.Connected {
		word = string(o.Channel)
		if o.Descent() == matrix.Downgrade {
			word = string(matrix.Downgrade)
		}
	}
	if had := b.rows[i].had; !slices.Contains(had[cert], word) {
		had[cert] = append(had[cert], word)
	}
}

// table has a row for each client and channel_binding that was tried with every certificate; rows that say the same share one. It is nil where
// there are not several certificates and several values of channel_binding, or the attempts differ in more than these and the client.
func (b *bound) table() *Table {
	axis, _ := matrix.AxisByName(bindingAxis)
	rows := slices.DeleteFunc(b.rows, func(r *boundRow) bool { return len(r.had) < len(b.certs) })
	if b.not || len(b.certs) < 2 || len(rows) == 0 || !slices.ContainsFunc(rows, func(r *boundRow) bool { return r.binding != rows[0].binding }) {
		return nil
	}
	place := func(cert string) int {
		return slices.IndexFunc(matrix.ServerCertificates, func(c matrix.Certificate) bool { return c.Name == cert })
	}
	slices.SortFunc(b.certs, func(x, y string) int { return cmp.Or(place(x)-place(y), strings.Compare(x, y)) })
	slices.SortStableFunc(rows, func(x, y *boundRow) int {
		return cmp.Or(slices.Index(axis.Values, x.binding)-slices.Index(axis.Values, y.binding), libraryRank(x.library)-libraryRank(y.library))
	})
	t := &Table{Settings: 2, Header: []string{bindingAxis, "library"}}
	for _, cert := range b.certs {
		t.Header = append(t.Header, keyOf(cert))
	}
	var libraries [][]matrix.Library
	for _, r := range rows {
		texts := []string{cmp.Or(r.binding, matrix.NotGiven), ""}
		for _, cert := range b.certs {
			texts = append(texts, strings.Join(r.had[cert], ", "))
		}
		i := slices.IndexFunc(t.Rows, func(other []string) bool { return other[0] == texts[0] && slices.Equal(other[2:], texts[2:]) })
		if i < 0 {
			i = len(t.Rows)
			t.Rows, libraries = append(t.Rows, texts), append(libraries, nil)
		}
		libraries[i] = append(libraries[i], r.library)
	}
	for i := range t.Rows {
		t.Rows[i][1] = libraryList(libraries[i])
	}
	return t
}

// keyOf names the kind of a catalogue's certificate's key, and how it is signed.
func keyOf(cert string) string {
	for _, c := range matrix.ServerCertificates {
		switch {
		case c.Name != cert:
		case c.PSS:
			return "RSA-PSS"
		case c.Key == matrix.Ed25519:
			return "Ed25519"
		default:
			return strings.ToUpper(string(c.Key))
		}
	}
	return cert
}

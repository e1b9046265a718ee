package cases

import (
	"regexp"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// The files that have what klist prints: of the server's keytab, and of the client's credential cache.
const (
	KeytabFile = "klist-ke.txt" // klist -ke
	TicketFile = "klist-e.txt"  // klist -e
)

// customersKeytab is the name of the customer's keytab among those of the world.
const customersKeytab = "customers"

var (
	keytabEntry   = regexp.MustCompile(`^\s*(\d+)\s+(?:\d\S*\s+\S+\s+)?(\S+)@(\S+?)(?:\s+\((?:DEPRECATED:)?([^)]*)\))?\s*$`)
	ticketDefault = regexp.MustCompile(`(?m)^Default principal: (\S+)\s*$`)
)

// keytab reads what klist -ke printed: whose keys there are, of which encryption types, and whether of more than one version. host is that of the service principal.
func (r *reading) keytab() (keytab *matrix.Keytab, host string, err error) {
	text, there, err := r.text(KeytabFile)
	if err != nil || !there {
		return nil, "", err
	}
	k := matrix.Keytab{Name: customersKeytab, Keys: matrix.CurrentKeys}
	versions := map[string][]string{}
	var unknown []string
	for line := range strings.Lines(text) {
		m := keytabEntry.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m == nil {
			continue
		}
		principal := m[2]
		if !slices.Contains(k.Principals, principal) {
			k.Principals = append(k.Principals, principal)
		}
		if !slices.Contains(versions[principal], m[1]) {
			versions[principal] = append(versions[principal], m[1])
		}
		if enctype := m[4]; slices.ContainsFunc(matrix.Enctypes, func(e matrix.EncryptionType) bool { return e.Name == enctype }) {
			if !slices.Contains(k.Enctypes, enctype) {
				k.Enctypes = append(k.Enctypes, enctype)
			}
		} else if enctype != "" && !slices.Contains(unknown, enctype) {
			unknown = append(unknown, enctype)
		}
		if service, instance, ok := strings.Cut(principal, "/"); ok && service == "postgres" && host == "" {
			host = strings.ToLower(instance)
		}
	}
	for _, v := range versions {
		if len(v) > 1 {
			k.Keys = matrix.AllKeys
		}
	}
	if len(unknown) > 0 {
		r.gap("the keytab has keys of "+strings.Join(unknown, ", "), "a ticket of such an encryption type is not tried")
	}
	if len(k.Principals) == 0 {
		r.gap(KeytabFile+" has no line with a key", "the server is taken to have the right keytab")
		return nil, "", nil
	}
	return &k, host, nil
}

// ticket reads what klist -e printed: whose ticket the client has.
func (r *reading) ticket() error {
	text, there, err := r.text(TicketFile)
	if there {
		r.c.Principal = match(ticketDefault, text)
	}
	return err
}

package matrix

import (
	"fmt"
	"regexp"
	"slices"
)

// KRB5Conf describes a client's krb5.conf: lines of [libdefaults] that stand before those of the harness.
type KRB5Conf struct {
	Name  string // the value of the axis krb5_conf
	Lines []Setting
}

// The krb5.conf files that the harness makes.
const (
	PlainKRB5Conf     = "plain"
	AnsweringKRB5Conf = "answering" // the same without KDCs that hang: that of controls
)

// KRB5ConfOf are the lines that a client's krb5.conf has beside those of the harness; ok is false if nothing describes it.
func (w *World) KRB5ConfOf(c *Client) (lines []Setting, ok bool) {
	if c.KRB5Conf == "" || c.KRB5Conf == PlainKRB5Conf || c.KRB5Conf == AnsweringKRB5Conf {
		return nil, true
	}
	conf, ok := described(c.KRB5Conf, func(k *KRB5Conf) string { return k.Name }, w.KRB5Confs)
	return conf.Lines, ok
}

// RequestTimeout is the line of krb5.conf that bounds what a request to KDCs may take (MIT krb5 1.22 and newer; a number of seconds).
const RequestTimeout = "request_timeout"

// waitsWithoutEnd says whether the client may ask a KDC that hangs for a ticket, and then waits for nothing else.
func (c *Cell) waitsWithoutEnd() bool {
	info, _ := c.Client.Library.Info()
	ticket, _ := c.World.TicketOf(&c.Client)
	lines, _ := c.World.KRB5ConfOf(&c.Client)
	return info.WaitsForKDC && c.Client.KRB5Conf != AnsweringKRB5Conf && !ticket.Absent && !ticket.Expired && slices.ContainsFunc(c.World.Realms, func(r Realm) bool { return r.Hung }) &&
		!slices.ContainsFunc(lines, func(line Setting) bool { return line.Name == RequestTimeout && line.Value != "0" })
}

// harnessKRB5 are the lines of krb5.conf that a scenario cannot have, and what to do instead.
var harnessKRB5 = map[string]string{
	"default_realm":       "use world.client_realm",
	"default_ccache_name": "use ticket=ambient",
	"default_keytab_name": "leave it out: clients have credential caches",
	"dns_lookup_kdc":      "leave it out: no name is looked up",
	"dns_lookup_realm":    "leave it out: no name is looked up",
}

var krb5Name = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// krb5Confs reads the krb5.conf texts that the scenario describes.
func (l *loading) krb5Confs(v *value) {
	for _, own := range l.ownNames(v, "krb5_confs", "krb5.conf", "krb5_conf") {
		conf := KRB5Conf{Name: own.key}
		for _, e := range l.entriesOnce(own.value, "line") {
			right, harness := harnessKRB5[e.key]
			switch {
			case harness:
				l.problem(e.position, fmt.Sprintf("the line %s of krb5.conf belongs to the harness", e.key), right)
			case !krb5Name.MatchString(e.key):
				l.problem(e.position, fmt.Sprintf("%q is no name of a line of krb5.conf", e.key), "want a name of [libdefaults], then a colon and the value")
			case l.want(e.value, "the line "+e.key, scalar):
				conf.Lines = append(conf.Lines, Setting{e.key, e.value.text})
			}
		}
		l.KRB5Confs = append(l.KRB5Confs, conf)
	}
}

func krb5ConfsSchema() object {
	return describedSchema(object{"type": "object", "propertyNames": object{"pattern": krb5Name.String()},
		"additionalProperties": object{"type": []string{"string", "number", "boolean"}}})
}

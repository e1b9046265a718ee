package matrix

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

var ticketKeys = []string{"expired", "lifetime", "flags"}

// The lifetimes that a scenario can ask for. A shorter one might end during a run, and a ticket that has expired was issued a day ago.
const (
	shortestLife = time.Hour
	longestLife  = 23 * time.Hour
)

// tickets reads the tickets that the scenario describes.
func (l *loading) tickets(v *value) {
	for _, own := range l.ownNames(v, "tickets", "ticket", "ticket") {
		t := Ticket{Name: own.key}
		for _, e := range l.entriesOnce(own.value, "key") {
			switch e.key {
			case "expired":
				t.Expired = l.boolean(e)
			case "lifetime":
				if !l.want(e.value, e.key, scalar) {
					continue
				}
				life, err := time.ParseDuration(e.value.text)
				if err != nil || life < shortestLife || life > longestLife || life%time.Second != 0 {
					l.problem(e.value.position, fmt.Sprintf("lifetime is %q", e.value.text), "want 1h to 23h, as in 10h or 1h30m")
				}
				t.Lifetime = life
			case "flags":
				flags := l.wordsOf(e, "unknown flag %q of a ticket", ticketFlagNames())
				slices.Sort(flags)
				t.Flags = strings.Join(flags, " ")
			default:
				l.problem(e.position, fmt.Sprintf("unknown key %q of a ticket", e.key), suggest(e.key, ticketKeys))
			}
		}
		l.Tickets = append(l.Tickets, t)
	}
}

// boolean reads true or false.
func (l *loading) boolean(e entry) bool {
	if l.want(e.value, e.key, scalar) && e.value.text != "true" && e.value.text != "false" {
		l.problem(e.value.position, fmt.Sprintf("%s is %q", e.key, e.value.text), "want true or false")
	}
	return e.value.text == "true"
}

func ticketFlagNames() (names []string) {
	for _, f := range TicketFlags {
		names = append(names, f.Name)
	}
	return names
}

func ticketsSchema() object {
	return describedSchema(closed("", object{
		"expired":  object{"type": "boolean"},
		"lifetime": object{"type": "string", "pattern": `^[0-9]+h([0-9]+m)?([0-9]+s)?$`},
		"flags":    oneOrMore(object{"enum": ticketFlagNames()}),
	}))
}

package matrix

import "slices"

// before reads the rules that are in force when those of the world are reloaded.
func (l *loading) before(v *value) {
	reloads := slices.Contains(l.values["load"], Reload)
	if reloads {
		l.Before = RulesBefore
	}
	switch {
	case v == nil:
	case !reloads && !l.bad["load"]:
		l.problem(v.position, "before is given, and no cell has load=reload", "add load: reload, or leave before out")
	default:
		l.Before = l.text(Axis{Name: "before"}, v)
	}
}

func beforeSchema() object {
	return textOrFileSchema(object{"type": "string", "pattern": `\S`})
}

package matrix

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// files reads the further files of the configuration directory.
func (l *loading) files(v *value) {
	if v == nil || !l.want(v, "files", mapping) {
		return
	}
	if len(v.entries) == 0 {
		l.problem(v.position, "files names no file", "want {PATH: TEXT}, or leave the key out")
	}
	for _, e := range l.entriesOnce(v, "file") {
		within := func(f File) bool { return strings.HasPrefix(f.Path, e.key+"/") || strings.HasPrefix(e.key, f.Path+"/") }
		switch {
		case !fs.ValidPath(e.key) || e.key == "." || strings.ContainsAny(e.key, "\\\n\x00"):
			l.problem(e.position, fmt.Sprintf("%q is no path below the directory of pg_hba.conf", e.key), "name the file from that directory on, without . and .., as in conf.d/first.conf")
		case slices.Contains([]string{ConfigFile, HBAFile, IdentFile}, e.key):
			l.problem(e.position, e.key+" has a key of its own", "write it under settings, hba or ident")
		case slices.ContainsFunc(l.Files, within):
			l.problem(e.position, e.key+" is a file and the directory of another", "rename one of the two")
		default:
			l.Files = append(l.Files, File{e.key, l.text(Axis{Name: "files"}, e.value)})
		}
	}
	slices.SortFunc(l.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
}

func filesSchema() object {
	return object{"type": "object", "propertyNames": object{"pattern": `^[^/\\]+(/[^/\\]+)*$`, "not": object{"enum": []string{ConfigFile, HBAFile, IdentFile}}},
		"additionalProperties": textOrFileSchema(object{"type": "string"}), "minProperties": 1}
}

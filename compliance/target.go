package compliance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/cases"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Family is that of the scenarios that a folder of files is tried with.
const Family = "target"

// faulty are certificates that must get nobody in.
var faulty = []string{"expired", "revoked", "other-ca", "other-user"}

// Scenarios are the attempts at a server with the files of a folder: a client of each class that the rules tell apart, with each credential and over each channel by
// itself; over TLS also clients that fall back if they can, and clients with certificates that must get nobody in. Of rules that do not load there is one attempt: at a
// server that was to start with them.
func Scenarios(c *cases.Case) []*matrix.Scenario {
	if c.NotLoaded != nil {
		s := c.Scenario(c.Server, Family+"/rules-that-do-not-load", matrix.AxisValues{Axis: "sslmode", Values: []string{"prefer"}})
		client := slices.IndexFunc(s.Axes, func(v matrix.AxisValues) bool { a, _ := matrix.AxisByName(v.Axis); return a.Kind == matrix.ClientAxis })
		s.Axes = slices.Insert(s.Axes, client, matrix.AxisValues{Axis: "load", Values: []string{matrix.Restart}})
		s.Question = "What becomes of a server that starts with rules that it does not load?"
		return []*matrix.Scenario{s}
	}
	probes := c.ProbeScenarios(c.Server, Family)
	all := slices.Clone(probes)
	for _, s := range probes {
		if values(s, "sslmode") != "require" {
			continue
		}
		fallback := with(s, "fallback", "sslmode", []string{"prefer"})
		fallback.Question = strings.TrimSuffix(s.Question, "?") + ", and what does a client fall back to?"
		all = append(all, fallback)
		if values(s, "cert") == "good" && values(s, "password") == "" {
			bad := with(s, "faulty-certificates", "cert", faulty)
			bad.Question = "Who gets in with a certificate that is not valid?"
			all = append(all, bad)
		}
	}
	return all
}

// values are those of an axis, joined.
func values(s *matrix.Scenario, axis string) string {
	for _, a := range s.Axes {
		if a.Axis == axis {
			return strings.Join(a.Values, ",")
		}
	}
	return ""
}

// with is the scenario with other values on an axis that it names.
func with(s *matrix.Scenario, suffix, axis string, to []string) *matrix.Scenario {
	changed := *s
	changed.Name += "-" + suffix
	changed.Axes = slices.Clone(s.Axes)
	for i := range changed.Axes {
		if changed.Axes[i].Axis == axis {
			changed.Axes[i].Values = to
		}
	}
	return &changed
}

// SubjectOfCase is the server that the folder is of.
func SubjectOfCase(name string, c *cases.Case, files []File) Subject {
	s := Subject{Name: name, Server: c.Server, Files: files, Replaced: []string{
		"Certificates, keys and CAs are the harness's, made for the run. The names that rules and maps look at are the subject's.",
		"The realm's KDC, its principals and the server's keytab are the harness's.",
		"Roles are those that the rules and maps name, and one that they do not name, each with a password that is stored as scram-sha-256. Their attributes are not the subject's.",
		"The server writes to its log what the harness needs, whatever the subject's settings say.",
	}}
	for _, g := range c.Gaps {
		s.Replaced = append(s.Replaced, sentence(g.What+": "+g.Effect))
	}
	for _, l := range c.LeftOut {
		if l.Effect != "" {
			s.Replaced = append(s.Replaced, sentence(fmt.Sprintf("The setting %s (%s:%d) is not given to the server: %s", l.Name, l.File, l.Line.Line, l.Effect)))
		}
	}
	return s
}

// sentence has a capital and a full stop.
func sentence(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
}

package compliance

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// A checklist of STIG Viewer 3 (CKLB), as that program writes it.
type (
	checklist struct {
		Title   string   `json:"title"`
		ID      string   `json:"id"`
		Version string   `json:"cklb_version"`
		Active  bool     `json:"active"`
		Mode    int      `json:"mode"`
		HasPath bool     `json:"has_path"`
		Target  ckTarget `json:"target_data"`
		STIGs   []ckSTIG `json:"stigs"`
	}
	ckTarget struct {
		Type           string `json:"target_type"`
		Host           string `json:"host_name"`
		IP             string `json:"ip_address"`
		MAC            string `json:"mac_address"`
		FQDN           string `json:"fqdn"`
		Comments       string `json:"comments"`
		Role           string `json:"role"`
		Web            bool   `json:"is_web_database"`
		Area           string `json:"technology_area"`
		Site           string `json:"web_db_site"`
		Instance       string `json:"web_db_instance"`
		Classification any    `json:"classification"`
	}
	ckSTIG struct {
		Name    string   `json:"stig_name"`
		Display string   `json:"display_name"`
		ID      string   `json:"stig_id"`
		Release string   `json:"release_info"`
		UUID    string   `json:"uuid"`
		Ref     any      `json:"reference_identifier"`
		Size    int      `json:"size"`
		Rules   []ckRule `json:"rules"`
	}
	ckRule struct {
		UUID      string   `json:"uuid"`
		STIG      string   `json:"stig_uuid"`
		Group     string   `json:"group_id"`
		GroupSrc  string   `json:"group_id_src"`
		Rule      string   `json:"rule_id"`
		RuleSrc   string   `json:"rule_id_src"`
		Version   string   `json:"rule_version"`
		Title     string   `json:"rule_title"`
		Group2    string   `json:"group_title"`
		Severity  string   `json:"severity"`
		Weight    string   `json:"weight"`
		Discuss   string   `json:"discussion"`
		Check     string   `json:"check_content"`
		Fix       string   `json:"fix_text"`
		CCIs      []string `json:"ccis"`
		Legacy    []string `json:"legacy_ids"`
		Tree      []any    `json:"group_tree"`
		Overrides struct{} `json:"overrides"`
		Status    string   `json:"status"`
		Details   string   `json:"finding_details"`
		Comments  string   `json:"comments"`
	}
)

// CKLB writes the conclusions about the STIG as a checklist for STIG Viewer 3. Texts of the STIG are paraphrases: the viewer shows its own. What is not shown is
// "not reviewed".
func CKLB(w io.Writer, s *Statement) error {
	list := checklist{Title: "Compliance of " + s.Subject.Name, ID: s.id("cklb"), Version: "1.0", Mode: 1,
		Target: ckTarget{Type: "Computing", Host: s.Subject.Name, Role: "None", Comments: "Made by pgauthmatrix " + s.Header.Tool + " from run " + s.Header.Run}}
	for _, g := range s.Groups {
		if g.Benchmark == nil {
			continue
		}
		stig := ckSTIG{Name: g.Benchmark.Name, Display: g.Benchmark.Name, ID: g.Benchmark.ID, Release: g.Benchmark.Release, UUID: s.id("cklb", g.ID), Size: len(g.Results)}
		for _, r := range g.Results {
			stig.Rules = append(stig.Rules, s.ckRule(stig.UUID, r))
		}
		list.STIGs = append(list.STIGs, stig)
	}
	text, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

func (s *Statement) ckRule(stig string, r *Result) ckRule {
	rule := ckRule{UUID: s.id("cklb", "stig", r.ID), STIG: stig, Group: r.ID, GroupSrc: r.ID, Rule: "S" + r.ID, RuleSrc: "S" + r.ID, Version: r.Rule, Title: r.Title, Group2: r.Title,
		Severity: r.Severity, Weight: "10.0", Discuss: r.Paraphrase, CCIs: r.CCI, Legacy: append([]string{}, r.Aliases...), Tree: []any{}, Status: "not_reviewed"}
	switch r.Behaviour {
	case Satisfied:
		rule.Status = "not_a_finding"
	case Violated:
		rule.Status = "open"
	}
	var details []string
	for _, a := range r.Answers {
		details = append(details, fmt.Sprintf("%s %s.", a.Question.Asks, a.Conclusion))
		details = append(details, a.Why...)
	}
	rule.Details = strings.Join(details, "\n")
	var comments []string
	if r.Literal != "" {
		comments = append(comments, "A literal reading of the check: "+string(r.Literal)+".")
		for _, reading := range r.Readings {
			comments = append(comments, reading.Says)
		}
	}
	for _, more := range []string{r.Apart, r.ByHand} {
		if more != "" {
			comments = append(comments, more)
		}
	}
	rule.Comments = strings.Join(comments, "\n")
	return rule
}

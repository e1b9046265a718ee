package compliance

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// A checklist of STIG Viewer 3 (CKLB), with the keys of that program in its order. There is no published schema: the keys are those of files that it wrote,
// as other programs that read and check such files list them.
type (
	checklist struct {
		Title   string   `json:"title"`
		ID      string   `json:"id"`
		STIGs   []ckSTIG `json:"stigs"`
		Active  bool     `json:"active"`
		Mode    int      `json:"mode"`
		HasPath bool     `json:"has_path"`
		Target  ckTarget `json:"target_data"`
		Version string   `json:"cklb_version"`
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
		Version string   `json:"version"`
		UUID    string   `json:"uuid"`
		Ref     string   `json:"reference_identifier"`
		Size    int      `json:"size"`
		Rules   []ckRule `json:"rules"`
	}
	ckRule struct {
		GroupSrc       string    `json:"group_id_src"`
		Tree           []ckGroup `json:"group_tree"`
		Group          string    `json:"group_id"`
		Severity       string    `json:"severity"`
		Group2         string    `json:"group_title"`
		RuleSrc        string    `json:"rule_id_src"`
		Rule           string    `json:"rule_id"`
		Version        string    `json:"rule_version"`
		Title          string    `json:"rule_title"`
		Fix            string    `json:"fix_text"`
		Weight         string    `json:"weight"`
		Check          string    `json:"check_content"`
		CheckRef       ckRef     `json:"check_content_ref"`
		Classification string    `json:"classification"`
		Discuss        string    `json:"discussion"`
		ckUnused
		Legacy    []string `json:"legacy_ids"`
		CCIs      []string `json:"ccis"`
		Ref       string   `json:"reference_identifier"`
		UUID      string   `json:"uuid"`
		STIG      string   `json:"stig_uuid"`
		Status    string   `json:"status"`
		Overrides struct{} `json:"overrides"`
		Comments  string   `json:"comments"`
		Details   string   `json:"finding_details"`
	}
	ckGroup struct {
		ID          string `json:"id"`
		Title       string `json:"title"`
		Description string `json:"description"`
	}
	ckRef struct {
		Href string `json:"href"`
		Name string `json:"name"`
	}
	// ckUnused are keys of a rule that the STIG leaves empty.
	ckUnused struct {
		Positives      string `json:"false_positives"`
		Negatives      string `json:"false_negatives"`
		Documentable   string `json:"documentable"`
		Guidance       string `json:"security_override_guidance"`
		Impacts        string `json:"potential_impacts"`
		Tools          string `json:"third_party_tools"`
		Controls       string `json:"ia_controls"`
		Responsibility string `json:"responsibility"`
		Mitigations    string `json:"mitigations"`
		Mitigation     string `json:"mitigation_control"`
	}
)

// CKLB writes the conclusions about the STIG as a checklist for STIG Viewer 3. Texts of the STIG are paraphrases: the viewer shows its own. What is not shown is
// "not reviewed".
func CKLB(w io.Writer, s *Statement) error {
	list := checklist{Title: "Compliance of " + s.Subject.Name, ID: s.id("cklb"), Version: "1.0", Mode: 2, Active: true,
		Target: ckTarget{Type: "Computing", Host: s.Subject.Name, Role: "None", Comments: "Made by pgauthmatrix " + s.Header.Tool + " from run " + s.Header.Run}}
	for _, g := range s.Groups {
		if g.Benchmark == nil {
			continue
		}
		stig := ckSTIG{Name: g.Benchmark.Name, Display: g.Benchmark.Name, ID: g.Benchmark.ID, Release: g.Benchmark.Release, Version: g.Benchmark.Version, UUID: s.id("cklb", g.ID), Size: len(g.Results)}
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
		Severity: r.Severity, Weight: "10.0", Discuss: r.Paraphrase, CCIs: r.CCI, Legacy: append([]string{}, r.Aliases...), Tree: []ckGroup{{ID: r.ID, Title: r.Title}},
		CheckRef: ckRef{"by-behaviour", "pgauthmatrix"}, ckUnused: ckUnused{Documentable: "false"}, Status: "not_reviewed"}
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

package matrix

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// String writes the outcome in the form that ParseOutcome reads:
//
//	connected gss, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect gssaccept authok
//	refused at hba, no-hba-entry, channel plain, trace connect gssreject authfail
func (o Outcome) String() string {
	var parts []string
	if o.End == Connected {
		parts = append(parts, "connected "+string(o.Channel))
	} else {
		parts = append(parts, string(o.End)+" at "+string(o.Stage))
		if o.Reason != "" {
			parts = append(parts, string(o.Reason))
		}
		if o.Channel != "" {
			parts = append(parts, "channel "+string(o.Channel))
		}
	}
	if o.Method != "" {
		parts = append(parts, "method "+string(o.Method))
	}
	if o.Identity != "" {
		parts = append(parts, "identity "+quoteIfNeeded(o.Identity))
	}
	if o.Role != "" {
		parts = append(parts, "role "+quoteIfNeeded(o.Role))
	}
	if o.Rule != "" {
		parts = append(parts, shortRule(o.Rule))
	}
	if len(o.Trace) > 0 {
		parts = append(parts, "trace "+joinSteps(o.Trace))
	}
	if o.Answer != "" {
		parts = append(parts, "answer "+quoteIfNeeded(o.Answer))
	}
	if o.Obtains != "" {
		parts = append(parts, "obtains "+string(o.Obtains))
	}
	if o.Load != "" {
		parts = append(parts, "load "+quoteIfNeeded(o.Load))
	}
	return strings.Join(parts, ", ")
}

func shortRule(rule string) string {
	if line, ok := strings.CutPrefix(rule, HBAFile+":"); ok {
		return "hba:" + line
	}
	return "rule " + quoteIfNeeded(rule)
}

// quoteIfNeeded quotes a value that would be read differently without quotes.
func quoteIfNeeded(s string) string {
	if strings.ContainsAny(s, ",\"") || s != strings.TrimSpace(s) || strconv.Quote(s) != `"`+s+`"` {
		return strconv.Quote(s)
	}
	return s
}

// Partial is an outcome of which some fields are stated: the `then` of an expect row, or a golden line, which states all.
type Partial struct {
	descent Descent
	Outcome Outcome
	Stated  []Field
}

// OutcomeError is a mistake in an outcome's text.
type OutcomeError struct {
	Offset int    // of the wrong part, in bytes
	Wrong  string // what is wrong
	Right  string // what would be right
}

func (e *OutcomeError) Error() string { return e.Wrong + "; " + e.Right }

// ParseOutcome reads the text form that String writes. Every part but the first is optional and may be anywhere; a further part is
// `descent first|fallback|downgrade`. The error is an *OutcomeError.
func ParseOutcome(text string) (Partial, error) {
	p := outcomeParser{offsets: map[Field]int{}}
	start := 0
	for i, part := range splitOutsideQuotes(text) {
		offset := start + len(part) - len(strings.TrimLeft(part, " \t\n"))
		start += len(part) + 1
		var err *OutcomeError
		switch words := strings.Fields(part); {
		case i == 0:
			err = p.parseEnd(words)
		case len(words) == 0:
			err = &OutcomeError{Wrong: "nothing between two commas", Right: "leave one comma out"}
		default:
			err = p.parsePart(words, part)
		}
		if err != nil {
			err.Offset = offset
			return p.Partial, err
		}
		for _, f := range p.Stated {
			if _, known := p.offsets[f]; !known {
				p.offsets[f] = offset
			}
		}
	}
	if err := p.check(); err != nil {
		return p.Partial, err
	}
	return p.Partial, nil
}

type outcomeParser struct {
	Partial
	offsets map[Field]int // of the part that states the field
}

func (p *outcomeParser) state(f Field) *OutcomeError {
	if slices.Contains(p.Stated, f) {
		return &OutcomeError{Wrong: string(f) + " is stated twice", Right: "state it once"}
	}
	p.Stated = append(p.Stated, f)
	return nil
}

// oneOf reads a word of a closed list.
func oneOf[T ~string](what string, word string, list []T) (T, *OutcomeError) {
	if slices.Contains(list, T(word)) {
		return T(word), nil
	}
	return "", &OutcomeError{Wrong: fmt.Sprintf("no %s %q", what, word), Right: suggest(word, stringsOf(list))}
}

func stringsOf[T ~string](list []T) []string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	return words
}

func (p *outcomeParser) parseEnd(words []string) (err *OutcomeError) {
	p.Stated = append(p.Stated, FieldEnd)
	switch {
	case len(words) == 1 && words[0] == string(Connected):
		p.Outcome.End, p.Outcome.Stage = Connected, StageSession
		return nil
	case len(words) == 2 && words[0] == string(Connected):
		p.Outcome.End, p.Outcome.Stage = Connected, StageSession
		if p.Outcome.Channel, err = oneOf("channel", words[1], Channels); err != nil {
			return err
		}
		return p.state(FieldChannel)
	case len(words) == 1 && words[0] == string(Refused):
		p.Outcome.End = Refused
		return nil
	case len(words) == 3 && words[0] == string(Refused) && words[1] == "at":
		p.Outcome.End = Refused
		if p.Outcome.Stage, err = oneOf("stage to be refused at", words[2], Stages); err != nil {
			return err
		}
		return p.state(FieldStage)
	}
	return &OutcomeError{
		Wrong: fmt.Sprintf("an outcome cannot start with %q", strings.Join(words, " ")),
		Right: "want \"connected\", \"connected CHANNEL\", \"refused\" or \"refused at STAGE\", as in \"connected gss, role alice\"",
	}
}

func (p *outcomeParser) parsePart(words []string, part string) *OutcomeError {
	word := words[0]
	switch {
	case strings.HasPrefix(word, "hba:") && len(words) == 1:
		return p.parseLine(word)
	case word == string(FieldTrace):
		return p.parseTrace(words[1:])
	case slices.Contains(partWords, word):
		return p.parseField(Field(word), strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(part), word)))
	case len(words) == 1:
		return p.parseReason(word)
	}
	return &OutcomeError{Wrong: fmt.Sprintf("%q does not start a part of an outcome", word), Right: suggest(word, partWords) + ", hba:LINE or a reason"}
}

func (p *outcomeParser) parseLine(word string) *OutcomeError {
	line := strings.TrimPrefix(word, "hba:")
	if n, err := strconv.Atoi(line); err != nil || n < 1 {
		return &OutcomeError{Wrong: fmt.Sprintf("no line number in %q", word), Right: "want hba:LINE, a line of the scenario's hba text, counted from 1"}
	}
	p.Outcome.Rule = HBAFile + ":" + line
	return p.state(FieldRule)
}

func (p *outcomeParser) parseTrace(words []string) *OutcomeError {
	for _, w := range words {
		step, err := oneOf("step", w, Steps)
		if err != nil {
			return err
		}
		p.Outcome.Trace = append(p.Outcome.Trace, step)
	}
	return p.state(FieldTrace)
}

func (p *outcomeParser) parseReason(word string) *OutcomeError {
	if names := reasonNames(); !slices.Contains(names, word) {
		right := "docs/scenarios.md lists the reasons"
		if near := nearest(word, names); near != "" {
			right = fmt.Sprintf("did you mean %q?", near)
		}
		return &OutcomeError{Wrong: fmt.Sprintf("%q is no reason", word), Right: right}
	}
	p.Outcome.Reason = Reason(word)
	return p.state(FieldReason)
}

// parseField reads a part `FIELD VALUE`.
func (p *outcomeParser) parseField(f Field, value string) (err *OutcomeError) {
	if strings.HasPrefix(value, `"`) {
		unquoted, err := strconv.Unquote(value)
		if err != nil {
			return &OutcomeError{Wrong: value + " is not a quoted text", Right: `want "…" with \" and \\ inside, or no quotes`}
		}
		value = unquoted
	} else if value == "" {
		return &OutcomeError{Wrong: string(f) + " has no value", Right: fmt.Sprintf("want \"%s VALUE\", or leave it out", f)}
	}
	o := &p.Outcome
	switch f {
	case FieldChannel:
		o.Channel, err = oneOf("channel", value, Channels)
	case FieldMethod:
		o.Method, err = oneOf("method", value, Methods)
	case FieldIdentity:
		o.Identity = value
	case FieldRole:
		o.Role = value
	case FieldRule:
		o.Rule = value
	case FieldAnswer:
		o.Answer = value
	case FieldObtains:
		o.Obtains, err = oneOf("word for what an attacker obtains", value, Obtaineds)
	case FieldLoad:
		o.Load = value
	case FieldDescent:
		p.descent, err = oneOf("descent", value, []Descent{First, Fallback, Downgrade})
	}
	if err != nil {
		return err
	}
	return p.state(f)
}

// partWords are the first words of the parts that have a value.
var partWords = []string{"channel", "method", "identity", "role", "rule", "trace", "answer", "obtains", "load", "descent"}

func reasonNames() []string {
	names := make([]string, len(Reasons))
	for i, r := range Reasons {
		names[i] = string(r.Reason)
	}
	return names
}

// reasonsAt are the reasons that can end a stage.
func reasonsAt(stage Stage) []string {
	var names []string
	for _, r := range Reasons {
		if slices.Contains(r.Stages, stage) {
			names = append(names, string(r.Reason))
		}
	}
	return names
}

// check applies Outcome.Validate as far as the stated fields allow it.
func (p *outcomeParser) check() *OutcomeError {
	o := p.Outcome
	if o.End == Connected {
		if o.Reason != "" {
			return &OutcomeError{p.offsets[FieldReason], fmt.Sprintf("a connected outcome has no reason, here %s", o.Reason), "leave it out, or say refused"}
		}
		return nil
	}
	switch at := p.offsets; {
	case p.descent != "":
		return &OutcomeError{at[FieldDescent], "descent of a refused outcome", "leave it out: only connected outcomes have one"}
	case o.Role != "":
		return &OutcomeError{at[FieldRole], "role of a refused outcome", "leave it out: there is no session that could have one"}
	case o.Answer != "":
		return &OutcomeError{at[FieldAnswer], "answer of a refused outcome", "leave it out: there is no session that could be asked"}
	case o.Reason == "" && o.Stage == "":
		return &OutcomeError{0, `"refused" alone does not say why`, `name stage and reason, as in "refused at hba, no-hba-entry"`}
	case o.Reason == "":
		return &OutcomeError{0, fmt.Sprintf(`"refused at %s" does not say why`, o.Stage), "add " + orList(reasonsAt(o.Stage))}
	case o.Stage != "" && !slices.Contains(reasonsAt(o.Stage), string(o.Reason)):
		i := slices.IndexFunc(Reasons, func(r ReasonInfo) bool { return r.Reason == o.Reason })
		return &OutcomeError{at[FieldReason], fmt.Sprintf("%s is no reason at stage %s", o.Reason, o.Stage), "say refused at " + orList(stringsOf(Reasons[i].Stages))}
	}
	return nil
}

// Get returns a stated field's text.
func (p Partial) Get(f Field) string {
	if f == FieldDescent {
		return string(p.descent)
	}
	return p.Outcome.Get(f)
}

// Differs lists the stated fields in which an outcome is otherwise.
func (p Partial) Differs(o Outcome) (fields []Field) {
	for _, f := range p.Stated {
		if p.Get(f) != o.Get(f) {
			fields = append(fields, f)
		}
	}
	return fields
}

func splitOutsideQuotes(text string) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quoted:
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == ',' && !quoted:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

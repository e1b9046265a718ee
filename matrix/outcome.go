package matrix

import (
	"fmt"
	"slices"
	"strings"
)

// Outcome is the result of an attempt. Predicted, observed and approved outcomes have the same type; every field is always compared.
type Outcome struct {
	End      End      `json:"end"`
	Stage    Stage    `json:"stage"`
	Reason   Reason   `json:"reason,omitempty"`
	Channel  Channel  `json:"channel,omitempty"`
	Method   Method   `json:"method,omitempty"`
	Identity string   `json:"identity,omitempty"` // what the server authenticated: principal, certificate DN, operating system user or role name; empty for trust
	Role     string   `json:"role,omitempty"`     // session_user of a connected attempt; empty when refused
	Rule     string   `json:"rule,omitempty"`     // FILE:LINE of the record that decided; FILE is relative to the configuration directory: pg_hba.conf, or a file that it includes
	Trace    []Step   `json:"trace,omitempty"`    // as the client experienced it
	Answer   string   `json:"answer,omitempty"`   // of a connected cell that asks: ok, a value, or the SQLSTATE of the server's error
	Obtains  Obtained `json:"obtains,omitempty"`  // empty without an attack
	Load     string   `json:"load,omitempty"`     // what the server said of the world's rules when it did not load them: FILE:LINE: MESSAGE for each bad line, joined by "; "; files are relative to the configuration directory. Empty: it loaded them
}

// Descent derives whether the attempt got what it tried first; empty unless connected.
func (o Outcome) Descent() Descent {
	if o.End != Connected {
		return ""
	}
	trace := o.Trace
	if slices.Contains(trace, StepTargetFail) {
		var same bool
		if trace, same = o.lastConnection(); !same && o.Channel != Plain {
			return Fallback
		}
	}
	tried := 0
	for _, s := range trace {
		switch s {
		case StepGSSAccept, StepGSSReject, StepGSSError, StepSSLAccept, StepSSLReject, StepSSLError, StepDirectAccept, StepDirectReject, StepReconnect:
			tried++
		}
	}
	switch {
	case o.Channel == Plain && slices.ContainsFunc(o.Trace, isEncryptionStep):
		return Downgrade
	case o.Channel == Plain && tried == 0, o.Channel != Plain && tried <= 1:
		return First
	default:
		return Fallback
	}
}

// lastConnection is what was negotiated on the last connection, after sessions that the client closed because of what the server is; same says
// that the first connection had a session in the same way.
func (o Outcome) lastConnection() (last []Step, same bool) {
	connections := slices.Collect(func(yield func([]Step) bool) {
		begin := 1
		for i := 1; i <= len(o.Trace); i++ {
			if i == len(o.Trace) || o.Trace[i] == StepReconnect {
				if !yield(o.Trace[begin:i]) {
					return
				}
				begin = i + 1
			}
		}
	})
	first := connections[0]
	last = connections[len(connections)-1]
	return last, slices.Equal(first, append(slices.Clone(last), StepTargetFail))
}

func isEncryptionStep(s Step) bool {
	return strings.HasPrefix(string(s), "gss") || strings.HasPrefix(string(s), "ssl") || strings.HasPrefix(string(s), "direct")
}

// WithoutTrace is the outcome without the steps that led to it.
func (o Outcome) WithoutTrace() Outcome {
	o.Trace = nil
	return o
}

// Validate reports the first rule of the vocabulary that the outcome breaks. The zero Outcome is invalid.
func (o Outcome) Validate() error {
	switch o.End {
	case Connected:
		if o.Stage != StageSession || o.Reason != "" {
			return fmt.Errorf("a connected outcome ends in stage session and has no reason, not %q %q", o.Stage, o.Reason)
		}
		if o.Channel == "" || o.Role == "" {
			return fmt.Errorf("a connected outcome needs a channel and a role")
		}
	case Refused:
		i := slices.IndexFunc(Reasons, func(r ReasonInfo) bool { return r.Reason == o.Reason })
		if i < 0 {
			return fmt.Errorf("unknown reason %q", o.Reason)
		}
		if !slices.Contains(Reasons[i].Stages, o.Stage) {
			return fmt.Errorf("reason %s cannot end stage %q (only %v)", o.Reason, o.Stage, Reasons[i].Stages)
		}
		if o.Role != "" {
			return fmt.Errorf("a refused outcome has no role")
		}
		if o.Answer != "" {
			return fmt.Errorf("a refused outcome has no answer")
		}
	default:
		return fmt.Errorf("end is %q, not connected or refused", o.End)
	}
	if o.Channel != "" && !slices.Contains(Channels, o.Channel) {
		return fmt.Errorf("unknown channel %q", o.Channel)
	}
	if o.Method != "" && !slices.Contains(Methods, o.Method) {
		return fmt.Errorf("unknown method %q", o.Method)
	}
	for _, s := range o.Trace {
		if !slices.Contains(Steps, s) {
			return fmt.Errorf("unknown step %q in trace", s)
		}
	}
	if o.Obtains != "" && !slices.Contains(Obtaineds, o.Obtains) {
		return fmt.Errorf("unknown word %q for what an attacker obtains", o.Obtains)
	}
	return nil
}

// Field names one field of an Outcome in differences, expect rows and reports.
type Field string

const (
	FieldEnd      Field = "end"
	FieldStage    Field = "stage"
	FieldReason   Field = "reason"
	FieldChannel  Field = "channel"
	FieldMethod   Field = "method"
	FieldIdentity Field = "identity"
	FieldRole     Field = "role"
	FieldRule     Field = "rule"
	FieldTrace    Field = "trace"
	FieldAnswer   Field = "answer"
	FieldObtains  Field = "obtains"
	FieldLoad     Field = "load"
	FieldDescent  Field = "descent"
)

// Fields lists the fields in the order in which they are written. FieldDescent is last: it is derived, so that it is compared only
// where an expect row states it.
var Fields = []Field{FieldEnd, FieldStage, FieldReason, FieldChannel, FieldMethod, FieldIdentity, FieldRole, FieldRule, FieldTrace, FieldAnswer, FieldObtains, FieldLoad, FieldDescent}

// Get returns the text of a field; empty means absent.
func (o Outcome) Get(f Field) string {
	switch f {
	case FieldEnd:
		return string(o.End)
	case FieldStage:
		return string(o.Stage)
	case FieldReason:
		return string(o.Reason)
	case FieldChannel:
		return string(o.Channel)
	case FieldMethod:
		return string(o.Method)
	case FieldIdentity:
		return o.Identity
	case FieldRole:
		return o.Role
	case FieldRule:
		return o.Rule
	case FieldTrace:
		return joinSteps(o.Trace)
	case FieldAnswer:
		return o.Answer
	case FieldObtains:
		return string(o.Obtains)
	case FieldLoad:
		return o.Load
	case FieldDescent:
		return string(o.Descent())
	}
	panic("matrix: no such outcome field: " + string(f))
}

func joinSteps(steps []Step) string {
	words := make([]string, len(steps))
	for i, s := range steps {
		words[i] = string(s)
	}
	return strings.Join(words, " ")
}

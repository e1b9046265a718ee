package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/run"
	"github.com/pgauthmatrix/pgauthmatrix/standing"
)

// status is an exit status of the program.
type status struct {
	Code    int
	Name    string
	Meaning string
	Retry   string // whether a second call with the same arguments may end otherwise
}

// The exit statuses.
var (
	green    = status{0, "green", "every cell agrees; or there was nothing to find", "no"}
	findings = status{1, "findings", "a cell differs or drifts, a known divergence is stale, no cell agreed; `diff`: a regression; `audit`: a finding; `doctor`: a check failed", "no: the findings are there again"}
	badInput = status{2, "bad input", "a flag, a file or a folder is wrong; nothing was tried", "no"}
	news     = status{3, "news", "`diff`: cells changed, none for the worse", "no"}
	broken   = status{4, "broken", "no finding, but a cell is Broken, the run was interrupted, the container engine or an image failed before it began, or the run's folder could not be written; `up`: the environment could not be brought up", "yes, or `run --resume`"}
)

// statuses is the table of exit statuses. docs/nightly.md and the help are made from it.
var statuses = []status{green, findings, badInput, news, broken}

// outcome ends the program with a status other than 0 when what is wrong was already said.
type outcome struct{ status }

func (o *outcome) Error() string { return o.Name }

// These are compared with errors.Is.
var (
	errNotGreen error = &outcome{findings}
	errNews     error = &outcome{news}
	errBroken   error = &outcome{broken}
)

// ended is the error of a command that made or judged a run.
func ended(summary *reports.Summary, err error) error {
	switch {
	case err != nil || summary.Green():
		return err
	case summary.MayAgree():
		return errBroken
	}
	return errNotGreen
}

// statusOf is the status with which an error ends the program.
func statusOf(err error) status {
	var said *outcome
	var died *run.Died
	var failed *standing.Failed
	var engine *pgimages.NoEngine
	switch {
	case err == nil:
		return green
	case errors.As(err, &said):
		return said.status
	case errors.As(err, &died), errors.As(err, &failed), errors.As(err, &engine):
		return broken
	}
	return badInput
}

// statusHelp lists the statuses for the help.
func statusHelp() string {
	text := "Exit status:"
	for _, s := range statuses {
		text += fmt.Sprintf("\n  %d  %-9s  %s", s.Code, s.Name, strings.ReplaceAll(s.Meaning, "`", ""))
	}
	return text
}

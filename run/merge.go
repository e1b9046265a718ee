package run

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Merge joins the shards in these folders into one run, in a new folder, and publishes it. The run is called as its folder is.
func Merge(out io.Writer, input *Input, folders []string, to string, publishing Publishing) (*reports.Summary, error) {
	var shards []*reports.Run
	var all []error
	for _, folder := range folders {
		saved, err := reports.Open(folder)
		all = append(all, err)
		shards = append(shards, saved)
	}
	if err := errors.Join(all...); err != nil {
		return nil, err
	}
	file := filepath.Join(to, reports.FileName)
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has a run already; name a new folder", to)
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(to)), 0o755); err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp(filepath.Dir(filepath.Clean(to)), ".merge-*") // a merge that fails leaves no half of a run
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	f, err := os.Create(filepath.Join(temp, reports.FileName))
	if err != nil {
		return nil, err
	}
	err = reports.Merge(f, filepath.Base(filepath.Clean(to)), shards, func(ids []string) (stale []reports.Stale) {
		for _, d := range verdict.Stale(input.Divergences, ids) {
			stale = append(stale, reports.Stale{Pattern: d.Pattern, Pos: d.Pos})
		}
		return stale
	})
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return nil, err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return nil, err
	}
	return publishing.publish(out, to)
}

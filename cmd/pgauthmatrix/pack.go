package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pack"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/run"
)

// archiveSuffix ends the name of an archive.
const archiveSuffix = ".tar.gz"

func packCommand() *cobra.Command {
	var s selection
	var to, from string
	var images bool
	cmd := &cobra.Command{
		Use:   "pack CELL",
		Short: "Write an archive that reproduces one cell on a machine with only Docker",
		Long: `Write an archive (tar.gz) that reproduces one cell where there is only Docker: its run.sh starts a KDC, a server and a client, makes the attempt with
psql, and compares how it ends with the prediction. The archive has no secret: keys, keytabs and passwords are made when it is run. What is in it, and
which cells cannot be packed, is in docs/packing.md.

  pgauthmatrix pack 'negotiation/hostgssenc-alone/pg17/ssl=on/libpq17/ticket=valid,gssencmode=require,sslmode=default'
  pgauthmatrix pack --run runs/ID --with-images -o for-a-colleague.tar.gz CELL`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			input, _, err := s.load(nil)
			if err != nil {
				return err
			}
			c, err := input.Cell(args[0])
			if err != nil {
				return err
			}
			subject, err := subjectOf(input, c, from)
			if err != nil {
				return err
			}
			subject.WithImages = images
			files, err := pack.Files(subject)
			if err != nil {
				return err
			}
			if to == "" {
				to = pack.NameOf(c) + archiveSuffix
			}
			if err := writePack(cmd, to, c, files, images); err != nil {
				return err
			}
			folder := strings.TrimSuffix(filepath.Base(to), archiveSuffix)
			fmt.Fprintf(cmd.OutOrStdout(), "%s: tar -xzf it where Docker is, and %s\n", to, folder+"/run.sh")
			if !images {
				fmt.Fprintln(cmd.OutOrStdout(), "its images are built there, from Debian's in a registry; with --with-images the archive has them")
			}
			return nil
		},
	}
	f := cmd.Flags()
	s.scenarioFlag(cmd)
	f.StringVarP(&to, "output", "o", "", "the new `FILE.tar.gz`; without it the cell's ID with hyphens, in the current folder")
	f.StringVar(&from, "run", "", "the `FOLDER` of a run: the archive has its observation and evidence, too")
	f.BoolVar(&images, "with-images", false, "put the images into the archive (some 100 MB each), so that nothing is pulled or built where it is run")
	return cmd
}

// subjectOf is what is to be written down of a cell.
func subjectOf(input *run.Input, c *matrix.Cell, from string) (pack.Subject, error) {
	about := &reports.ScenariosOf(input.Scenarios, []matrix.Cell{*c})[0]
	subject := pack.Subject{Cell: c, Question: about.Question}
	if why := pack.Cannot(c); why != "" {
		return subject, &pack.CannotError{Cell: c.ID, Why: why}
	}
	var err error
	if subject.Prediction, err = run.Predict(c); err != nil {
		return subject, err
	}
	record, err := recordOf(from, c.ID)
	if err != nil {
		return subject, err
	}
	subject.Observed = record != nil
	var text bytes.Buffer
	err = reports.Explain(&text, c, about, subject.Prediction, record, reports.Options{Width: 140})
	subject.Explanation = text.String()
	return subject, err
}

// writePack writes a new file, or none.
func writePack(cmd *cobra.Command, to string, c *matrix.Cell, files []pack.File, images bool) (err error) {
	if !strings.HasSuffix(to, archiveSuffix) {
		return fmt.Errorf("--output %s: the archive is a %s", to, archiveSuffix)
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if os.IsExist(err) {
		return fmt.Errorf("%s exists; remove it, or name another file with -o", to)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(to))
		}
	}()
	var saved *os.File
	if images {
		if saved, err = saveImages(cmd.Context(), cmd.ErrOrStderr(), filepath.Dir(to), pack.Majors(c)); err != nil {
			return err
		}
		defer func() { _ = saved.Close() }()
	}
	return pack.Write(f, strings.TrimSuffix(filepath.Base(to), archiveSuffix), files, saved, time.Now())
}

// saveImages writes the images into a file without a name: an archive wants to know its length beforehand.
func saveImages(ctx context.Context, progress io.Writer, dir string, majors []int) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".images-*.tar")
	if err != nil {
		return nil, err
	}
	err = errors.Join(os.Remove(f.Name()), pgimages.SaveSuites(ctx, f, func(name, line string) { fmt.Fprintf(progress, "%s: %s\n", name, line) }, majors...))
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

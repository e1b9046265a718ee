package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/cases"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/run"
)

// folder is that of the server's own files: the one that was named, or with an image a copy that says which version the server has. remove removes a copy.
func (s *statement) folder(ctx context.Context, out io.Writer) (name string, remove func(), err error) {
	if s.image == "" {
		return s.target, func() {}, nil
	}
	if s.target != "" { // before anything is pulled
		if _, err := os.Stat(filepath.Join(s.target, matrix.HBAFile)); err != nil {
			return "", nil, fmt.Errorf("%s: there is no %s in the folder", s.target, matrix.HBAFile)
		}
	}
	if s.server, err = run.OwnServer(ctx, out, s.image); err != nil {
		return "", nil, err
	}
	name, remove, err = pgimages.TempDir("compliance")
	if err != nil {
		return "", nil, err
	}
	if err := s.copyFiles(ctx, name); err != nil {
		remove()
		return "", nil, err
	}
	return name, remove, nil
}

// copyFiles copies the server's files to a folder, which gets the version of the image's server.
func (s *statement) copyFiles(ctx context.Context, to string) error {
	major := strconv.Itoa(s.server.Own.Major)
	if s.target == "" {
		if err := s.filesOfImage(ctx, to); err != nil {
			return err
		}
		s.target = s.image
	} else if err := os.CopyFS(to, os.DirFS(s.target)); err != nil {
		return fmt.Errorf("%s: %w", s.target, err)
	}
	version := filepath.Join(to, cases.VersionFile)
	switch text, err := os.ReadFile(version); {
	case err == nil && strings.TrimSpace(string(text)) != major:
		return fmt.Errorf("%s: %s says %s, and the server of %s is PostgreSQL %s: mend the file, leave it out, or name the image of that version", s.target, cases.VersionFile, strings.TrimSpace(string(text)), s.image, major)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return os.WriteFile(version, []byte(major+"\n"), 0o600)
}

// filesOfImage reads the one directory of the image that has a pg_hba.conf.
func (s *statement) filesOfImage(ctx context.Context, to string) error {
	switch dirs := s.server.Own.Conf; {
	case len(dirs) == 0:
		return fmt.Errorf("the image %s has no %s of its own: name a folder that has yours, as in make compliance IMAGE=%s TARGET=FOLDER", s.image, matrix.HBAFile, s.image)
	case len(dirs) > 1:
		return fmt.Errorf("the image %s has several directories with a %s (%s): copy the files that you mean into a folder, and name it, as in make compliance IMAGE=%s TARGET=FOLDER", s.image, matrix.HBAFile, strings.Join(dirs, ", "), s.image)
	}
	id := filepath.Base(to) // nobody else's
	files, err := pgimages.ConfOf(ctx, *s.server, id, s.server.Own.Conf[0])
	if err = errors.Join(err, pgimages.Release(id)); err != nil {
		return fmt.Errorf("the image %s: %w", s.image, err)
	}
	for name, text := range files {
		path := filepath.Join(to, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

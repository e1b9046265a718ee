package interop_test

import (
	"archive/tar"
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

//go:embed testdata/krb5answers.c
var krb5Answers []byte

// TestConfigurationsAsLibkrb5 asks libkrb5 of every release at hand what it reads of the sample configurations, and compares with
// what gssenc reads, which its own test holds to answers.txt.
func TestConfigurationsAsLibkrb5(t *testing.T) {
	const samples = "../testdata/krb5conf"
	want, err := os.ReadFile(samples + "/answers.txt")
	if err != nil {
		t.Fatal(err)
	}
	files, directories := unpackSamples(t, samples, "/conf")
	ctx := context.Background()
	w := theWorld(t)
	for _, v := range versions {
		images, err := pgimages.Ensure(ctx, []pgimages.Spec{pgimages.Client(fmt.Sprintf("client-%d", v))}, nil)
		if err != nil {
			t.Fatal(err)
		}
		client, err := pgimages.Start(ctx, pgimages.StartSpec{Image: images[0].Tag, RunID: "gssenc-interop", Network: w.network, Hostname: "answers"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := client.Remove(ctx); err != nil {
				t.Error(err)
			}
		}()
		if err := exec(ctx, client, files, "tar", "-xf", "-", "-C", "/"); err != nil {
			t.Fatal(err)
		}
		if err := exec(ctx, client, nil, "gcc", "-O2", "/conf/answers.c", "-o", "/conf/answers", "-l:libkrb5.so.3"); err != nil {
			t.Fatal(err)
		}
		got, err := output(ctx, client, nil, append([]string{"/conf/answers", "/conf/questions.txt"}, directories...)...)
		if err != nil {
			t.Fatal(err)
		}
		release, _ := output(ctx, client, nil, "dpkg-query", "-W", "-f", "${Version}", "libkrb5-3")
		compare(t, "libkrb5 "+string(release), string(want), string(got))
	}
}

// compare reports the lines in which a release answers otherwise, each with the sample that it is about.
func compare(t *testing.T, release, want, got string) {
	t.Helper()
	ours, theirs := strings.Split(want, "\n"), strings.Split(got, "\n")
	sample := ""
	for i := range max(len(ours), len(theirs)) {
		if i >= len(ours) || i >= len(theirs) {
			t.Fatalf("%s: %d lines, gssenc %d", release, len(theirs), len(ours))
		}
		if name, ok := strings.CutPrefix(ours[i], "# "); ok {
			sample = name
		}
		if ours[i] != theirs[i] {
			t.Errorf("%s, %s: %q, gssenc %q", release, sample, theirs[i], ours[i])
			if strings.HasPrefix(ours[i], "# ") != strings.HasPrefix(theirs[i], "# ") {
				return
			}
		}
	}
	t.Logf("%s: %d answers", release, len(ours))
}

// unpackSamples makes a tar archive of the samples below a directory, with the questions and the program that answers them. The
// format of a sample is told at unpack in gssenc's own test.
func unpackSamples(t *testing.T, from, to string) (archive []byte, directories []string) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(name, content string) {
		if err := w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(name, "/"), Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	read := func(file string) string {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	add(to+"/answers.c", string(krb5Answers))
	add(to+"/questions.txt", read(from+"/questions.txt"))
	samples, err := filepath.Glob(from + "/*.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range samples {
		dir := path.Join(to, strings.TrimSuffix(filepath.Base(sample), ".conf"))
		directories = append(directories, dir)
		files, name := map[string]string{}, "krb5.conf"
		config := []string{path.Join(dir, name)}
		for line := range strings.Lines(strings.ReplaceAll(read(sample), "DIR", dir)) {
			if begins, ok := strings.CutPrefix(line, "-- "); ok {
				name = strings.TrimSuffix(strings.TrimSpace(begins), " --")
				if main, ok := strings.CutPrefix(name, ":"); ok {
					name = main
					config = append(config, path.Join(dir, name))
				}
				continue
			}
			files[name] += line
		}
		for name, content := range files {
			add(path.Join(dir, name), content)
		}
		add(dir+"/config", strings.Join(config, ":"))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), directories
}

package pgimages

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// registry is what is known of one: after one failure to answer, it is not asked again in this run.
type registry struct {
	lock sync.Mutex
	down error
}

// pullPatience is how long a registry may take to say the first word, stallPatience how long it may say nothing while it sends.
var pullPatience, stallPatience = 10 * time.Second, 2 * time.Minute

// pull sees to it that an image is here, for what name is made of, and says how it came.
func (b *builder) pull(ctx context.Context, ref, name string) (source string, err error) {
	if _, err := b.cli.ImageInspect(ctx, ref); err == nil {
		if err := b.fits(ctx, ref); err != nil {
			return "", fmt.Errorf("%w; remove it: docker image rm %s", err, ref)
		}
		return fmt.Sprintf("built on %s (local)", ref), nil
	}
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", err
	}
	domain := reference.Domain(named)
	b.lock.Lock()
	r := b.registries[domain]
	if r == nil {
		r = new(registry)
		b.registries[domain] = r
	}
	b.lock.Unlock()

	r.lock.Lock()
	if r.down != nil {
		r.lock.Unlock()
		return "", r.down
	}
	patient, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := func(said string, d time.Duration) *time.Timer {
		return time.AfterFunc(d, func() { cancel(fmt.Errorf("%s %s %s", domain, said, d)) })
	}
	first := silence("did not answer within", pullPatience)
	stream, err := b.cli.ImagePull(patient, ref, client.ImagePullOptions{RegistryAuth: login(ctx, ref)})
	first.Stop()
	if err != nil {
		if cause := context.Cause(patient); cause != nil && ctx.Err() == nil {
			err = cause
		}
		if !errdefs.IsNotFound(err) {
			r.down = err
		}
	}
	r.lock.Unlock()
	if err != nil {
		return "", err
	}
	defer func() { _ = stream.Close() }()
	stalled := silence("sent nothing for", stallPatience)
	defer stalled.Stop()
	for message, err := range stream.JSONMessages(patient) {
		switch cause := context.Cause(patient); {
		case cause != nil && ctx.Err() == nil:
			return "", cause
		case err != nil:
			return "", err
		case message.Error != nil:
			return "", message.Error
		}
		stalled.Reset(stallPatience)
		if message.ID == "" || message.Progress == nil {
			b.progress(name, message.Status)
		}
	}
	if cause := context.Cause(patient); cause != nil && ctx.Err() == nil {
		return "", cause
	}
	if err := b.fits(ctx, ref); err != nil {
		_, removeErr := b.cli.ImageRemove(ctx, ref, client.ImageRemoveOptions{})
		return "", errors.Join(err, removeErr)
	}
	return fmt.Sprintf("built on %s (pulled)", ref), nil
}

// fits returns an error if an image is of another architecture than the engine: its programs would not run, or slowly in an emulator.
func (b *builder) fits(ctx context.Context, image string) error {
	found, err := b.cli.ImageInspect(ctx, image)
	if err != nil {
		return err
	}
	engine, err := b.cli.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return err
	}
	if found.Os != engine.Os || found.Architecture != engine.Arch {
		return fmt.Errorf("it is an image for %s/%s, and the engine's machine is %s/%s", found.Os, found.Architecture, engine.Os, engine.Arch)
	}
	return nil
}

// login is what `docker login` saved for the registry of an image, as the engine takes it; empty if there is nothing.
func login(ctx context.Context, image string) string {
	_, saved, err := testcontainers.DockerImageAuth(ctx, image)
	if err != nil {
		return ""
	}
	text, err := json.Marshal(saved)
	if err != nil {
		return ""
	}
	return base64.URLEncoding.EncodeToString(text)
}

// cause is what an engine says of a pull that failed, without what it was about to do.
func cause(err error) string {
	text := strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "Error response from daemon: ")), " ")
	if strings.HasPrefix(text, `Get "`) || strings.HasPrefix(text, `Head "`) { // http: what was asked of whom: …: what went wrong
		text = text[strings.LastIndex(text, ": ")+2:]
	}
	if len(text) > 300 { // a page of a proxy
		text = text[:300] + "…"
	}
	return text
}

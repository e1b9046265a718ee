// Package browser_test opens report.html in a real Chromium, in a container made for the run. Without a container engine its tests fail.
package browser_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/remote"

	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

// chromium is a browser in a container, and where its debugging protocol is reached from here.
type chromium struct {
	network   *pgimages.Network
	container *pgimages.Running
	listener  net.Listener
	allocator context.Context
	cancel    context.CancelFunc
}

var (
	made    chromium
	makeErr error
	making  sync.Once
)

func TestMain(m *testing.M) {
	code := m.Run()
	if made.cancel != nil {
		made.cancel()
	}
	if made.listener != nil {
		_ = made.listener.Close()
	}
	if made.network != nil {
		if err := made.network.Remove(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

func theBrowser(t testing.TB) *chromium {
	t.Helper()
	livetest.NeedsContainers(t)
	making.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		began := time.Now()
		makeErr = made.start(ctx, func(name, line string) {
			fmt.Fprintf(os.Stderr, "%5.0f s %s: %s\n", time.Since(began).Seconds(), name, line)
		})
	})
	if makeErr != nil {
		t.Fatal(makeErr)
	}
	return &made
}

func (c *chromium) start(ctx context.Context, progress func(name, line string)) error {
	images, err := pgimages.Ensure(ctx, []pgimages.Spec{pgimages.Browser()}, progress)
	if err != nil {
		return err
	}
	if images[0].Unavailable != "" {
		return fmt.Errorf("image %s is unavailable: %s", images[0].Name, images[0].Unavailable)
	}
	run := fmt.Sprintf("report-browser-%d", os.Getpid()) // two of these tests can run at a time
	if c.network, err = pgimages.NewNetwork(ctx, run); err != nil {
		return err
	}
	if c.container, err = pgimages.Start(ctx, pgimages.StartSpec{Image: images[0].Tag, RunID: run, Network: c.network}); err != nil {
		return err
	}
	const program = "chromium-headless-shell --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --remote-debugging-port=9222 >/tmp/chromium.log 2>&1 &"
	if exit, _, stderr, err := c.container.Exec(ctx, nil, "sh", "-c", program); err != nil || exit != 0 {
		return fmt.Errorf("the browser did not start: %w %s", err, stderr)
	}
	if c.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	go c.forward()
	endpoint := "http://" + c.listener.Addr().String()
	for {
		err := answers(ctx, endpoint+"/json/version")
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			_, said, _, _ := c.container.Exec(context.Background(), nil, "cat", "/tmp/chromium.log")
			return fmt.Errorf("the browser does not answer: %w: %s", err, said)
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.allocator, c.cancel = remote.NewAllocator(context.Background(), endpoint)
	return nil
}

func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.ReadAll(response.Body)
	return err
}

// forward carries connections to the browser over the engine: the container's address is not reachable on every machine.
func (c *chromium) forward() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			pipe, err := c.container.Pipe(context.Background(), "socat", "-", "TCP:127.0.0.1:9222")
			if err != nil {
				return
			}
			defer pipe.Close()
			go func() {
				_, _ = io.Copy(pipe, conn)
				_ = pipe.Close()
			}()
			_, _ = io.Copy(conn, pipe)
		}()
	}
}

// put copies a page into the container and gives its address there.
func (c *chromium) put(t testing.TB, name string, page []byte) string {
	t.Helper()
	path := "/tmp/" + name
	exit, _, stderr, err := c.container.Exec(t.Context(), page, "sh", "-c", "cat >"+path)
	if err != nil || exit != 0 {
		t.Fatalf("copying %s: %v %s", name, err, stderr)
	}
	return "file://" + path
}

// tab opens a tab. Whatever the page writes to its console fails the test.
func (c *chromium) tab(t testing.TB, options ...chromedp.Action[chromedp.Void]) context.Context {
	t.Helper()
	ctx, cancel := chromedp.NewContext(c.allocator)
	ctx, cancelTimeout := context.WithTimeout(ctx, 5*time.Minute)
	messages := chromedp.Console(ctx)
	var wait sync.WaitGroup
	wait.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			t.Errorf("console: %s %s:%d", m, m.URL, m.Line)
		}
	})
	t.Cleanup(func() {
		cancelTimeout()
		cancel()
		wait.Wait()
	})
	do(t, ctx, options...)
	return ctx
}

func do(t testing.TB, ctx context.Context, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// eval is what a script gives; it may be a promise.
func eval[T any](t testing.TB, ctx context.Context, script string) T {
	t.Helper()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return value
}

const turn = `document.documentElement?.dataset?.ready ?? ""`

// state brings the page into a state and waits until it is drawn.
func state(t testing.TB, ctx context.Context, fragment string) {
	t.Helper()
	if eval[string](t, ctx, "location.hash") == fragment {
		return
	}
	before := eval[string](t, ctx, turn)
	do(t, ctx, chromedp.Evaluate[chromedp.Void](fmt.Sprintf("location.hash = %q", fragment)))
	drawn(t, ctx, before)
}

// drawn waits until the page has been drawn again.
func drawn(t testing.TB, ctx context.Context, before string) {
	t.Helper()
	for range 1500 {
		if eval[string](t, ctx, turn) != before {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("the page was not drawn: %.500s", eval[string](t, ctx, "document.body.innerText"))
}

func open(t testing.TB, ctx context.Context, url string) {
	t.Helper()
	do(t, ctx, chromedp.Navigate("about:blank"), chromedp.Navigate(url))
	drawn(t, ctx, "")
}

// scheme is the colour scheme that the reader prefers: light or dark.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return err
	})
}

// media is what the page is shown on for a reader who prefers dark colours: screen, where it is empty, or print.
func media(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: name, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
		return err
	})
}

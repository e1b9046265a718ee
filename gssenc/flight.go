package gssenc

import (
	"context"
	"sync"
)

// flights have work that several callers want at the same time done once. No lock is held while it is done: a caller waits for it
// only as long as its context lasts.
type flights[T any] struct {
	mu      sync.Mutex
	running map[string]*flight[T]
}

type flight[T any] struct {
	done    chan struct{}
	value   T
	err     error
	waiting int // callers; when the last has gone, the work is cancelled
	cancel  context.CancelFunc
}

// do returns what work returns, of this call or of one for the same key that is under way. The context that work gets ends when
// no caller waits for it any more; it carries the values of the first caller's.
func (f *flights[T]) do(ctx context.Context, key string, work func(context.Context) (T, error)) (T, error) {
	f.mu.Lock()
	own := f.running[key]
	if own == nil {
		shared, cancel := context.WithCancel(context.WithoutCancel(ctx))
		own = &flight[T]{done: make(chan struct{}), cancel: cancel}
		if f.running == nil {
			f.running = map[string]*flight[T]{}
		}
		f.running[key] = own
		go func() {
			own.value, own.err = work(shared)
			f.forget(key, own)
			cancel()
			close(own.done)
		}()
	}
	own.waiting++
	f.mu.Unlock()
	select {
	case <-own.done:
		return own.value, own.err
	case <-ctx.Done():
	}
	f.mu.Lock()
	if own.waiting--; own.waiting == 0 {
		if f.running[key] == own { // the next caller begins anew
			delete(f.running, key)
		}
		own.cancel()
	}
	f.mu.Unlock()
	var zero T
	return zero, context.Cause(ctx)
}

func (f *flights[T]) forget(key string, own *flight[T]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running[key] == own {
		delete(f.running, key)
	}
}

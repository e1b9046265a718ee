// Package process starts programs in a container and says how they ended. The agent and its drivers use it.
package process

import (
	"strings"
	"sync"
)

// Words keeps the beginning and the end of what is written to it: a Go program that dies says first why, others last.
type Words struct {
	mu         sync.Mutex
	begin, end []byte
	lost       bool
}

const wordsSize = 2 << 10 // of the beginning, and of the end

// Write never fails.
func (w *Words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(wordsSize-len(w.begin), len(p))
	w.begin = append(w.begin, p[:n]...)
	w.end = append(w.end, p[n:]...)
	if len(w.end) > wordsSize {
		w.end, w.lost = append([]byte(nil), w.end[len(w.end)-wordsSize:]...), true
	}
	return len(p), nil
}

// String marks with … that something in between is lost.
func (w *Words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := string(w.begin)
	if w.lost {
		text += "…"
	}
	return strings.TrimSpace(text + string(w.end))
}

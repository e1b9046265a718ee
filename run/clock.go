package run

import (
	"sync"
	"time"
)

// clock adds up the wall time in which some Env attempted cells, and the rest of the time in which one was being
// provisioned, reloaded or proven: Envs overlap, wall time does not.
type clock struct {
	mu                       sync.Mutex
	trying, preparing        int
	last                     time.Time
	provisionTime, cellsTime time.Duration
}

func (c *clock) tick() {
	now := time.Now()
	switch {
	case c.trying > 0:
		c.cellsTime += now.Sub(c.last)
	case c.preparing > 0:
		c.provisionTime += now.Sub(c.last)
	}
	c.last = now
}

func (c *clock) begin(counter *int) (end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick()
	*counter++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.tick()
		*counter--
	}
}

func (c *clock) attempting() (end func())   { return c.begin(&c.trying) }
func (c *clock) provisioning() (end func()) { return c.begin(&c.preparing) }

func (c *clock) read() (provision, cells time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick()
	return c.provisionTime, c.cellsTime
}

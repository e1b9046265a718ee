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

	envs, worlds         int
	envsTime, worldsTime time.Duration
}

// env counts an Env that took so long until its control cells had passed; world, a world that was installed.
func (c *clock) env(took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.envs++
	c.envsTime += took
}

func (c *clock) world(took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.worlds++
	c.worldsTime += took
}

// means are the mean times of an Env and of a world; 0 of what there was none.
func (c *clock) means() (env, world time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.envsTime / time.Duration(max(c.envs, 1)), c.worldsTime / time.Duration(max(c.worlds, 1))
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

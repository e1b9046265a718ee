package reports

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// FileName is the name of a run's file in its directory: lines of JSON, compressed. Older runs have PlainFileName.
const (
	FileName      = "run.jsonl.zst"
	PlainFileName = "run.jsonl"
)

// What was written is in the file after flushDelay, so that a run that is killed loses no more than that. A frame ends at the first flush
// after frameSize: small frames compress badly, and damage to a frame spoils all that follows in it.
const (
	flushDelay = time.Second
	frameSize  = 256 << 10
)

// compressor writes zstd frames. Frames can be appended to a file that has some, and zstdcat reads them.
type compressor struct {
	mu      sync.Mutex
	to      io.Writer
	encoder *zstd.Encoder
	size    int // bytes in the frame, before compression
	pending *time.Timer
	failed  error // of a flush; every write after it fails in the same way
}

func newCompressor(to io.Writer) (*compressor, error) {
	// One at a time: a write returns when its bytes are with the encoder, and a flush when they are with the file.
	encoder, err := zstd.NewWriter(to, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return &compressor{to: to, encoder: encoder}, nil
}

func (c *compressor) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return 0, c.failed
	}
	n, err := c.encoder.Write(p)
	c.size += n
	if err != nil {
		c.failed = err
		return n, err
	}
	if c.pending == nil {
		c.pending = time.AfterFunc(flushDelay, func() { _ = c.Flush() }) // the next write reports the error, and Close does
	}
	return n, nil
}

// Flush brings everything that was written to the underlying writer.
func (c *compressor) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flush(c.size >= frameSize)
}

func (c *compressor) flush(endFrame bool) error {
	if c.pending != nil {
		c.pending.Stop()
		c.pending = nil
	}
	switch {
	case c.failed != nil || c.size == 0:
	case endFrame:
		c.failed = c.encoder.Close()
		c.encoder.Reset(c.to)
		c.size = 0
	default:
		c.failed = c.encoder.Flush()
	}
	return c.failed
}

// Close flushes and ends the frame. It does not close the underlying writer.
func (c *compressor) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flush(true)
}

var zstdMagic = []byte{0x28, 0xB5, 0x2F, 0xFD}

// decompressed reads the lines of a run's file, compressed or not.
func decompressed(source io.ReadCloser) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(source, 1<<16)
	if head, err := buffered.Peek(len(zstdMagic)); err != nil || !bytes.Equal(head, zstdMagic) {
		return both{buffered, source.Close}, nil // what is wrong with it, reading tells
	}
	decoder, err := zstd.NewReader(buffered, zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return nil, errors.Join(err, source.Close())
	}
	return both{decoder, func() error { decoder.Close(); return source.Close() }}, nil
}

type both struct {
	io.Reader
	close func() error
}

func (b both) Close() error { return b.close() }

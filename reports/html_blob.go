package reports

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
)

// blob is a table for the page's script: columns of numbers, which are places in dictionaries or values, and the dictionaries. Before
// compression it is a little-endian uint32, the length of a JSON text; the text; and the columns, each at a multiple of four.
type blob struct {
	Rows    int                 `json:"rows"`
	Columns []*column           `json:"columns"`
	Lists   map[string][]string `json:"lists"` // dictionaries by name; a column's values are places in that of Dict
	Bytes   [][2]int            `json:"bytes"` // place and length of byte strings after the columns

	strings [][]byte
}

// column is one column of a blob.
type column struct {
	Name  string `json:"name"`
	Dict  string `json:"dict,omitempty"` // name of its dictionary; empty: the values are numbers
	Width int    `json:"width"`          // bytes of a value: 1, 2 or 4
	At    int    `json:"at"`             // place of the first value, after the JSON text and its padding

	values []uint32
}

// dictionary has texts, each once, numbered in the order of first use.
type dictionary struct {
	list []string
	at   map[string]uint32
}

func newDictionary(first ...string) *dictionary {
	d := &dictionary{at: map[string]uint32{}}
	for _, s := range first {
		d.add(s)
	}
	return d
}

func (d *dictionary) add(s string) uint32 {
	i, ok := d.at[s]
	if !ok {
		i = uint32(len(d.list)) //nolint:gosec // a run has fewer texts
		d.list = append(d.list, s)
		d.at[s] = i
	}
	return i
}

// addJSON adds the JSON text of a value.
func (d *dictionary) addJSON(v any) (uint32, error) {
	text, err := json.Marshal(v)
	return d.add(string(text)), err
}

// text adds a column whose values are places in a dictionary.
func (b *blob) text(name string, texts *dictionary, values []uint32) {
	b.columns(name, name, values)
	b.Lists[name] = texts.list
}

func (b *blob) columns(name, dictionary string, values []uint32) {
	b.Columns = append(b.Columns, &column{Name: name, Dict: dictionary, values: values})
}

// padding to a multiple of four.
func padding(n int) int { return -n & 3 }

// encode is the blob before compression.
func (b *blob) encode() ([]byte, error) {
	at := 0
	for _, c := range b.Columns {
		highest := uint32(0)
		for _, v := range c.values {
			highest = max(highest, v)
		}
		switch {
		case highest < 1<<8:
			c.Width = 1
		case highest < 1<<16:
			c.Width = 2
		default:
			c.Width = 4
		}
		c.At = at
		at += c.Width * len(c.values)
		at += padding(at)
	}
	for _, s := range b.strings {
		b.Bytes = append(b.Bytes, [2]int{at, len(s)})
		at += len(s) + padding(len(s))
	}
	head, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(head))) //nolint:gosec // far below 4 GiB
	out = append(out, head...)
	out = append(out, make([]byte, padding(len(head)))...)
	for _, c := range b.Columns {
		for _, v := range c.values {
			switch c.Width {
			case 1:
				out = append(out, byte(v))
			case 2:
				out = binary.LittleEndian.AppendUint16(out, uint16(v)) //nolint:gosec // checked above
			default:
				out = binary.LittleEndian.AppendUint32(out, v)
			}
		}
		out = append(out, make([]byte, padding(c.Width*len(c.values)))...)
	}
	for _, s := range b.strings {
		out = append(out, s...)
		out = append(out, make([]byte, padding(len(s)))...)
	}
	return out, nil
}

// compressed is the blob as the page holds it, before base64.
func (b *blob) compressed() ([]byte, error) {
	text, err := b.encode()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level is valid
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

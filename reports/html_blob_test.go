package reports

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// decodeBlob reads what compressed made. The page's script does the same in the browser.
func decodeBlob(data []byte) (*blob, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	length := int(binary.LittleEndian.Uint32(text))
	var b blob
	if err := json.Unmarshal(text[4:4+length], &b); err != nil {
		return nil, fmt.Errorf("the head of a table: %w", err)
	}
	body := text[4+length+padding(length):]
	for _, c := range b.Columns {
		for i := range b.Rows {
			switch at := body[c.At+i*c.Width:]; c.Width {
			case 1:
				c.values = append(c.values, uint32(at[0]))
			case 2:
				c.values = append(c.values, uint32(binary.LittleEndian.Uint16(at)))
			default:
				c.values = append(c.values, binary.LittleEndian.Uint32(at))
			}
		}
	}
	for _, s := range b.Bytes {
		b.strings = append(b.strings, body[s[0]:s[0]+s[1]])
	}
	return &b, nil
}

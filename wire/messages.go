package wire

import (
	"encoding/binary"
	"strings"
)

// Messages that the attacker and the raw client make; PostgreSQL manual, "Message Formats".

func requestPacket(code uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), code)
}

// startupPacket is one of protocol 3.0; params are names and values in turn.
func startupPacket(params ...string) []byte {
	body := strings.Join(params, "\x00") + "\x00\x00"
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(binary.BigEndian.AppendUint32(b, 3<<16), body...)
}

func typedMessage(kind byte, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body))), body...)
}

func queryMessage(sql string) []byte { return typedMessage('Q', sql+"\x00") }

// errorMessage is an ErrorResponse as a server writes one. 08004 is what it says when it rejects a connection.
func errorMessage(text string) []byte {
	return typedMessage('E', "SFATAL\x00VFATAL\x00C08004\x00M"+text+"\x00\x00")
}

// bodySize is the length of what follows the five bytes in front of a message.
func bodySize(head []byte) (int, bool) {
	size := binary.BigEndian.Uint32(head[1:])
	return int(size) - 4, size >= 4 && size <= maxMessage
}

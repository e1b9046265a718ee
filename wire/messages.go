package wire

import (
	"bytes"
	"encoding/binary"
	"slices"
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

// welcome is what follows AuthenticationOk where a session comes about.
func welcome() []byte {
	var b []byte
	for _, p := range []string{"server_version\x0018.0", "server_encoding\x00UTF8", "client_encoding\x00UTF8", "DateStyle\x00ISO, MDY", "TimeZone\x00UTC", "integer_datetimes\x00on", "standard_conforming_strings\x00on"} {
		b = append(b, typedMessage('S', p+"\x00")...)
	}
	b = append(b, typedMessage('K', "\x00\x00\x00\x01\x00\x00\x00\x01")...)
	return append(b, typedMessage('Z', "I")...)
}

// rowAnswers answer, by the type of each message of the client, a query with one row of texts, given as name and value: Query, or Parse, Describe
// of the statement, Bind, Execute, Flush and Sync.
func rowAnswers(row [][2]string) map[byte][]byte {
	const textOID = 25 // pg_type.dat
	names := binary.BigEndian.AppendUint16(nil, uint16(len(row)))
	values := bytes.Clone(names)
	for _, column := range row {
		names = append(names, column[0]+"\x00\x00\x00\x00\x00\x00\x00"...) // of no table
		names = binary.BigEndian.AppendUint32(names, textOID)
		names = append(names, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0) // of any length, no modifier, as text
		values = binary.BigEndian.AppendUint32(values, uint32(len(column[1])))
		values = append(values, column[1]...)
	}
	columns, ready := typedMessage('T', string(names)), typedMessage('Z', "I")
	data := slices.Concat(typedMessage('D', string(values)), typedMessage('C', "SELECT 1\x00"))
	return map[byte][]byte{
		'Q': slices.Concat(columns, data, ready),
		'P': typedMessage('1', ""),
		'D': slices.Concat(typedMessage('t', "\x00\x00"), columns), // no parameters
		'B': typedMessage('2', ""),
		'E': data,
		'H': nil,
		'S': ready,
	}
}

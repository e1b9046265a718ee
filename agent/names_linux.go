package agent

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
)

// resolverConf lets the container's programs ask the agent and nobody else, and for no other name than the one given.
const resolverConf = "nameserver 127.0.0.1\nsearch .\n"

// resolve makes the agent the container's name server, as long as it lives. No server elsewhere is asked: a name that does not exist must
// not cost seconds.
func resolve(r Resolve) error {
	if _, err := readNames(r.Path); err != nil {
		return fmt.Errorf("resolve: %w", err)
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 53})
	if err != nil {
		return fmt.Errorf("resolve: %w", err)
	}
	go answerNames(conn, r.Path)
	// Written in place: the engine has mounted the file, and it cannot be replaced.
	if err := os.WriteFile("/etc/resolv.conf", []byte(resolverConf), 0o644); err != nil {
		return fmt.Errorf("resolve: %w", err)
	}
	return nil
}

func readNames(path string) (names HostNames, err error) {
	content, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(content, &names)
	}
	return names, err
}

func answerNames(conn *net.UDPConn, path string) {
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		var names HostNames
		if err == nil {
			names, err = readNames(path)
		}
		var answer []byte
		if err == nil {
			answer, err = names.answer(buf[:n])
		}
		if err == nil {
			_, err = conn.WriteToUDPAddrPort(answer, from)
		}
		if err != nil { // to the server a question without an answer is a name that does not exist, and the outcome would be wrong
			panic(fmt.Sprintf("the container's name server cannot answer: %v", err))
		}
	}
}

package agent

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// identPort is where Ident servers listen (RFC 1413).
const identPort = ":113"

// identTimeout bounds one question.
const identTimeout = 10 * time.Second

// identServer is the container's Ident server, if it has one.
type identServer struct {
	mu       sync.Mutex
	listener net.Listener
}

// answer replaces what is answered.
func (s *identServer) answer(i Ident) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		err := s.listener.Close()
		if s.listener = nil; err != nil {
			return fmt.Errorf("ident: %w", err)
		}
	}
	if i.Answer == "" {
		return nil
	}
	listener, err := net.Listen("tcp", identPort)
	if err != nil {
		return fmt.Errorf("ident: %w", err)
	}
	s.listener = listener
	go serveIdent(listener, i.Answer)
	return nil
}

func serveIdent(listener net.Listener, answer string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // another answer has replaced this one
		}
		go func() {
			defer conn.Close()
			// A question without an answer is no refusal: the server logs it in other words, which are a fault of the attempt.
			if err := answerIdent(conn, answer); err != nil {
				fmt.Fprintf(os.Stderr, "ident: %v\n", err)
			}
		}()
	}
}

var identQuestion = regexp.MustCompile(`^(\d{1,5}) ?, ?(\d{1,5})\r\n$`)

// answerIdent reads one question and answers it.
func answerIdent(conn net.Conn, answer string) error {
	if err := conn.SetDeadline(time.Now().Add(identTimeout)); err != nil {
		return err
	}
	question, err := bufio.NewReader(io.LimitReader(conn, 32)).ReadString('\n')
	if err != nil {
		return err
	}
	ports := identQuestion.FindStringSubmatch(question)
	if ports == nil {
		return fmt.Errorf("%q is no question", question)
	}
	_, err = io.WriteString(conn, strings.ReplaceAll(answer, "{ports}", ports[1]+", "+ports[2]))
	return err
}

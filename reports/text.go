package reports

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// paint colours text with ANSI escapes, or leaves it alone.
type paint bool

const (
	bold        = "1"
	dim         = "2"
	red         = "31"
	green       = "32"
	yellow      = "33"
	magenta     = "35"
	cyan        = "36"
	loudRed     = "1;31"
	loudGreen   = "1;32"
	loudMagenta = "1;35"
)

func (on paint) text(style, s string) string {
	if !on || style == "" || s == "" {
		return s
	}
	return "\x1b[" + style + "m" + s + "\x1b[0m"
}

// printable makes control characters visible: what clients and servers say must not steer a terminal or break a file.
func printable(s string) string {
	clean := func(r rune) bool { return r != utf8.RuneError && (unicode.IsPrint(r) || r == '\n' || r == '\u00a0') }
	if strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\t':
			b.WriteString("    ")
		case r == '\r':
		case r == utf8.RuneError:
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				b.WriteString(`\x` + strconv.FormatUint(uint64(s[i]), 16))
				continue
			}
			b.WriteRune(r)
		case clean(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

func width(s string) int { return utf8.RuneCountInString(s) }

// pad fills up to a width on the right; longer text is left alone.
func pad(s string, to int) string { return s + strings.Repeat(" ", max(0, to-width(s))) }

// trimEnd removes blanks from the end of a line, also where escapes for colours are between them.
func trimEnd(line string) string {
	end, escapes := 0, ""
	for i := 0; i < len(line); {
		if rest, ok := strings.CutPrefix(line[i:], "\x1b["); ok {
			length := len("\x1b[") + strings.IndexByte(rest, 'm') + 1
			escapes += line[i : i+length]
			i += length
			continue
		}
		_, size := utf8.DecodeRuneInString(line[i:])
		if line[i] != ' ' {
			end, escapes = i+size, ""
		}
		i += size
	}
	return line[:end] + escapes
}

// shorten cuts text in its middle, where names differ least.
func shorten(s string, to int) string {
	if width(s) <= to {
		return s
	}
	runes := []rune(s)
	head := (to - 1) / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(to-1-head):])
}

// wrap breaks text at spaces (not at U+00A0), and inside words that are wider than a line, into lines of at most so
// many columns.
func wrap(s string, columns int) []string {
	var lines []string
	for paragraph := range strings.SplitSeq(printable(s), "\n") {
		current := ""
		for word := range strings.FieldsFuncSeq(paragraph, func(r rune) bool { return r == ' ' }) {
			switch {
			case current == "":
				current = word
			case width(current)+1+width(word) <= columns:
				current += " " + word
			default:
				lines, current = append(lines, current), word
			}
			for width(current) > columns {
				runes := []rune(current)
				lines, current = append(lines, string(runes[:columns])), string(runes[columns:])
			}
		}
		if current != "" {
			lines = append(lines, current)
		}
	}
	for i, l := range lines {
		lines[i] = strings.ReplaceAll(l, "\u00a0", " ")
	}
	return lines
}

// thousands writes 12,345.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// clock writes 3.2s, 42s, 4m05s, 1h02m.
func clock(d time.Duration) string {
	if d < 9950*time.Millisecond {
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	}
	d = d.Round(time.Second)
	switch seconds := int(d.Seconds()); {
	case d < time.Minute:
		return strconv.Itoa(seconds) + "s"
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", seconds/60, seconds%60)
	default:
		return fmt.Sprintf("%dh%02dm", seconds/3600, seconds%3600/60)
	}
}

// millis writes microseconds as milliseconds: 6.1 ms.
func millis(us int64) string {
	return fmt.Sprintf("%.1f ms", float64(us)/float64(time.Millisecond/time.Microsecond))
}

// count writes a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// quoteShell quotes an ID for a command line.
func quoteShell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds the nesting of values that are skipped.
const maxDepth = 32

// scanner reads JSON from the left to the right. It is our own because a key that is
// there twice must be seen, where encoding/json takes the last one in silence, and
// because its tokens cost many times their length.
type scanner struct {
	text []byte
	at   int
}

// scan parses text, which must be one object and nothing after it but white space.
func scan(text []byte, field func(s *scanner, key string) error) error {
	if !utf8.Valid(text) {
		return errors.New("the JSON is not UTF-8")
	}
	if len(text) == 0 || text[0] != '{' {
		return errors.New("the JSON does not begin with {")
	}
	s := &scanner{text: text}
	if err := s.object(func(key string) error { return field(s, key) }); err != nil {
		return err
	}
	if c := s.peek(); s.at < len(text) {
		return fmt.Errorf("%q after the JSON's end", c)
	}
	return nil
}

// peek is the next byte that is not white space, 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// take passes over the byte c, which must be next.
func (s *scanner) take(c byte) error {
	if got := s.peek(); got != c || s.at == len(s.text) {
		return s.unexpected(strconv.QuoteRune(rune(c)))
	}
	s.at++
	return nil
}

// unexpected is the error for what is next.
func (s *scanner) unexpected(want string) error {
	if s.peek(); s.at == len(s.text) {
		return fmt.Errorf("the JSON ends, want %s", want)
	}
	word := s.word()
	return fmt.Errorf("%s at byte %d of the JSON, want %s", word[:min(len(word), 40)], s.at, want)
}

// word is a number or another bare word as it is written.
func (s *scanner) word() []byte {
	rest := s.text[s.at:]
	n := bytes.IndexAny(rest[1:], ",:{}[] \t\r\n\"")
	if n < 0 {
		n = len(rest) - 1
	}
	return rest[:n+1]
}

// list calls item before each item between two brackets. item must take it.
func (s *scanner) list(first, last byte, item func() error) error {
	if err := s.take(first); err != nil {
		return err
	}
	if s.peek() == last {
		return s.take(last)
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if s.peek() != ',' {
			return s.take(last)
		}
		s.at++
	}
}

// object calls field for every key; field must take the value.
func (s *scanner) object(field func(key string) error) error {
	seen := map[string]struct{}{}
	return s.list('{', '}', func() error {
		key, err := s.str()
		if err != nil {
			return err
		}
		if _, twice := seen[key]; twice {
			return fmt.Errorf("key %q is there twice", key)
		}
		seen[key] = struct{}{}
		if err := s.take(':'); err != nil {
			return err
		}
		return field(key)
	})
}

func (s *scanner) str() (string, error) {
	if s.peek() != '"' {
		return "", s.unexpected("a string")
	}
	escaped := false
	for i := s.at + 1; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c < ' ':
			return "", fmt.Errorf("byte %d of the JSON is a control character in a string", i)
		case c == '\\':
			escaped, i = true, i+1
		case c == '"':
			quoted := s.text[s.at : i+1]
			s.at = i + 1
			if !escaped {
				return string(quoted[1 : len(quoted)-1]), nil
			}
			var v string
			err := json.Unmarshal(quoted, &v)
			return v, err
		}
	}
	return "", errors.New("the JSON ends in a string")
}

// numbers is a list of at most limit integers that are not negative.
func (s *scanner) numbers(limit int) ([]int, error) {
	list := []int{}
	err := s.list('[', ']', func() error {
		n, err := s.number()
		if err == nil && len(list) == limit {
			err = fmt.Errorf("a list of more than %d numbers", limit)
		}
		list = append(list, n)
		return err
	})
	return list, err
}

func (s *scanner) number() (int, error) {
	if s.peek(); s.at == len(s.text) {
		return 0, s.unexpected("an integer")
	}
	word := s.word()
	v, err := strconv.ParseUint(string(word), 10, 63)
	if err != nil || len(word) > 1 && word[0] == '0' {
		return 0, s.unexpected("an integer from 0 to 2⁶³-1")
	}
	s.at += len(word)
	return int(v), nil
}

// skip takes a value of any kind, still looking for keys that are there twice.
func (s *scanner) skip(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("values nest more than %d deep", maxDepth)
	}
	switch s.peek() {
	case '{':
		return s.object(func(string) error { return s.skip(depth + 1) })
	case '[':
		return s.list('[', ']', func() error { return s.skip(depth + 1) })
	case '"':
		_, err := s.str()
		return err
	}
	if s.at == len(s.text) {
		return s.unexpected("a value")
	}
	word := s.word()
	if !json.Valid(word) {
		return s.unexpected("a value")
	}
	s.at += len(word)
	return nil
}

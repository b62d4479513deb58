package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds the nesting of values that are skipped.
const maxDepth = 32

// scanner reads JSON token by token, so that a key that is there twice is seen:
// encoding/json's own decoding takes the last one in silence.
type scanner struct{ d *json.Decoder }

// scan parses text, which must be one object and nothing after it but white space.
func scan(text []byte, field func(s scanner, key string) error) error {
	if !utf8.Valid(text) {
		return errors.New("the JSON is not UTF-8")
	}
	if len(text) == 0 || text[0] != '{' {
		return errors.New("the JSON does not begin with {")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	s := scanner{d}
	if err := s.object(func(key string) error { return field(s, key) }); err != nil {
		return err
	}
	if t, err := d.Token(); err != io.EOF {
		if err == nil {
			err = fmt.Errorf("%v after the JSON's end", t)
		}
		return err
	}
	return nil
}

// token is the next token; the end of the text is an error.
func (s scanner) token() (json.Token, error) {
	t, err := s.d.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("the JSON at byte %d: %w", s.d.InputOffset(), err)
	}
	return t, nil
}

func (s scanner) delim(want json.Delim) error {
	t, err := s.token()
	if err == nil && t != want {
		err = fmt.Errorf("%v, want %v", t, want)
	}
	return err
}

// object calls field for every key; field must take the value.
func (s scanner) object(field func(key string) error) error {
	if err := s.delim('{'); err != nil {
		return err
	}
	return s.fields(field)
}

// fields is the rest of an object whose brace is taken already.
func (s scanner) fields(field func(key string) error) error {
	seen := map[string]bool{}
	for s.d.More() {
		t, err := s.token()
		if err != nil {
			return err
		}
		key := t.(string) // the decoder allows nothing else in this place
		if seen[key] {
			return fmt.Errorf("key %q is there twice", key)
		}
		seen[key] = true
		if err := field(key); err != nil {
			return err
		}
	}
	return s.delim('}')
}

func (s scanner) text() (string, error) {
	t, err := s.token()
	if err != nil {
		return "", err
	}
	v, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("%v, want a string", t)
	}
	return v, nil
}

// numbers is a list of at most limit integers that are not negative.
func (s scanner) numbers(limit int) ([]int, error) {
	if err := s.delim('['); err != nil {
		return nil, err
	}
	list := []int{}
	for s.d.More() {
		t, err := s.token()
		if err != nil {
			return nil, err
		}
		n, ok := t.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%v, want an integer", t)
		}
		v, err := strconv.ParseUint(n.String(), 10, 63)
		if err != nil {
			return nil, fmt.Errorf("%v, want an integer from 0 to 2⁶³-1", n)
		}
		if len(list) == limit {
			return nil, fmt.Errorf("a list of more than %d numbers", limit)
		}
		list = append(list, int(v))
	}
	return list, s.delim(']')
}

// skip takes a value of any kind, still looking for keys that are there twice.
func (s scanner) skip(depth int) error {
	t, err := s.token()
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("values nest more than %d deep", maxDepth)
	}
	switch t {
	case json.Delim('{'):
		return s.fields(func(string) error { return s.skip(depth + 1) })
	case json.Delim('['):
		for s.d.More() {
			if err := s.skip(depth + 1); err != nil {
				return err
			}
		}
		return s.delim(']')
	}
	return nil
}

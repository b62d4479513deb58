package disk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// JSON reads the text of a whole file into to. Errors name the fields of the file. A name that an object has twice
// is an error, as readers differ on which counts.
func JSON(text []byte, to any) error {
	if err := json.Unmarshal(text, to); err != nil {
		var t *json.UnmarshalTypeError
		switch {
		case !errors.As(err, &t):
			return err
		case t.Field == "":
			return fmt.Errorf("%s, want an object", t.Value)
		}
		return fmt.Errorf("%s is of type %s", t.Field, t.Value)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // no number is looked at
	return once(d)
}

// once passes over the next value, which must have no name twice. It is nested no deeper than
// encoding/json has read before.
func once(d *json.Decoder) error {
	begin, err := d.Token()
	if _, nested := begin.(json.Delim); !nested || err != nil {
		return err
	}
	seen := map[string]bool{}
	for d.More() {
		if begin == json.Delim('{') {
			t, err := d.Token()
			if err != nil {
				return err
			}
			name := t.(string) // the decoder takes no other
			if seen[name] {
				return fmt.Errorf("%q is there twice", name)
			}
			seen[name] = true
		}
		if err := once(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

package disk

import (
	"strings"
	"testing"
)

// What readers of JSON take in different ways is an error, and says where in the file's own words.
func TestJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": 1, "b": {"a": 1}, "c": [{"a": 1}, {"a": 1}, 1e300, null]}`: "",
		`{"a": 1, "b": {}, "a": 1}`:                                       `"a" is there twice`,
		`{"b": {"x": 1, "y": 2, "x": 1}}`:                                 `"x" is there twice`,
		`{"c": [[{"x": 1, "\u0078": 2}]]}`:                                `"x" is there twice`,
		`{"a": 1} {}`:                                                     "invalid character '{' after top-level value",
		`{"a": "1"}`:                                                      "a is of type string",
		`{"b": {"a": [1]}}`:                                               "b is of type array",
		`[1]`:                                                             "array, want an object",
		``:                                                                "unexpected end of JSON input",
		strings.Repeat("[", 20_000):                                       "exceeded max depth",
		`{"c": ` + strings.Repeat("[", 20_000):                            "exceeded max depth",
	} {
		var to struct {
			A int            `json:"a"`
			B map[string]int `json:"b"`
			C []any          `json:"c"`
		}
		err := JSON([]byte(text), &to)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.60s: %v, want %q", text, err, want)
		}
	}
}

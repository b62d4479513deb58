package main

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// schemas makes the JSON Schemas of what --json prints from the Go structs and the
// comments on their fields, so that neither can say what the other does not.
type schemas struct {
	t        *testing.T
	packages map[string]map[string]declared // by folder, by name
}

// publicDir is the folder of package repfuse.
const publicDir = "../.."

// declared is a type as its source has it.
type declared struct {
	spec    *ast.TypeSpec
	doc     string
	folder  string
	imports map[string]string // the folder of each package of ours, by name
	values  []string          // of its constants, where it is a string
}

// object is a JSON object whose members keep their order.
type object []member

type member struct {
	key   string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for k, m := range o {
		b.WriteByte("{,"[min(k, 1)])
		b.WriteString(strconv.Quote(m.key) + ":")
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(m.value); err != nil {
			return nil, err
		}
	}
	if len(o) == 0 {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (o object) get(key string) any {
	for _, m := range o {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// folder reads the types of a package, once.
func (s *schemas) folder(dir string) map[string]declared {
	if types, ok := s.packages[dir]; ok {
		return types
	}
	types := map[string]declared{}
	s.packages[dir] = types
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			s.t.Fatal(err)
		}
		s.types(dir, file, types)
	}
	return types
}

func (s *schemas) types(dir string, file *ast.File, types map[string]declared) {
	imports := map[string]string{}
	for _, i := range file.Imports {
		if path, ours := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), "repfuse/"); ours {
			imports[filepath.Base(path)] = filepath.Join("../..", path)
		}
	}
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range g.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				doc := spec.Doc
				if doc == nil {
					doc = g.Doc
				}
				types[spec.Name.Name] = declared{spec, sentence(doc), dir, imports, types[spec.Name.Name].values}
			case *ast.ValueSpec:
				constant(spec, types)
			}
		}
	}
}

// constant notes the value of a constant whose type is named.
func constant(spec *ast.ValueSpec, types map[string]declared) {
	name, ok := spec.Type.(*ast.Ident)
	if !ok || len(spec.Values) != 1 {
		return
	}
	if v, ok := spec.Values[0].(*ast.BasicLit); ok && v.Kind == token.STRING {
		d := types[name.Name]
		d.values = append(d.values, strings.Trim(v.Value, `"`))
		types[name.Name] = d
	}
}

func sentence(doc *ast.CommentGroup) string { return strings.Join(strings.Fields(doc.Text()), " ") }

// schema is that of the type of a value.
func (s *schemas) schema(title, about string, value any) object {
	defs := &object{}
	t := reflect.TypeOf(value)
	d := s.folder(filepath.Join(publicDir, strings.TrimPrefix(t.PkgPath(), "repfuse")))[t.Name()]
	o := object{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", title}, {"description", about}}
	of := s.structure(d, defs)
	of[1].value = append(object{{"version", object{{"description", "1: the version of this JSON."}, {"type", "integer"}}}}, of[1].value.(object)...)
	of[2].value = append([]string{"version"}, of[2].value.([]string)...)
	o = append(o, of...)
	return append(o, member{"$defs", *defs})
}

// structure is the schema of a struct; the structs in it go to defs.
func (s *schemas) structure(d declared, defs *object) object {
	fields, required := object{}, []string{}
	s.fields(d, defs, &fields, &required)
	return object{{"type", "object"}, {"properties", fields}, {"required", required}, {"additionalProperties", false}}
}

func (s *schemas) fields(d declared, defs, fields *object, required *[]string) {
	for _, f := range d.spec.Type.(*ast.StructType).Fields.List {
		if len(f.Names) == 0 { // embedded: its fields are here
			inner, _ := s.named(f.Type, d)
			s.fields(inner, defs, fields, required)
			continue
		}
		if !f.Names[0].IsExported() {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			s.t.Fatal(err)
		}
		name, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if name == "-" {
			continue
		}
		schema := s.of(f.Type, d, defs)
		if about := sentence(f.Doc) + sentence(f.Comment); about != "" {
			schema = append(object{{"description", about}}, schema...)
		}
		*fields = append(*fields, member{name, schema})
		if !strings.Contains(options, "omitempty") {
			*required = append(*required, name)
		}
	}
}

// named finds a type of ours.
func (s *schemas) named(e ast.Expr, in declared) (declared, bool) {
	switch e := e.(type) {
	case *ast.Ident:
		d, ok := s.folder(in.folder)[e.Name]
		if ok && d.spec.Assign.IsValid() { // an alias
			return s.named(d.spec.Type, d)
		}
		return d, ok
	case *ast.SelectorExpr:
		d, ok := s.folder(in.imports[e.X.(*ast.Ident).Name])[e.Sel.Name]
		return d, ok
	}
	return declared{}, false
}

// of is the schema of a field's type.
func (s *schemas) of(e ast.Expr, in declared, defs *object) object {
	switch e := e.(type) {
	case *ast.StarExpr:
		return s.of(e.X, in, defs)
	case *ast.ArrayType:
		return object{{"type", "array"}, {"items", s.of(e.Elt, in, defs)}}
	case *ast.MapType:
		return object{{"type", "object"}, {"additionalProperties", s.of(e.Value, in, defs)}}
	case *ast.Ident:
		switch e.Name {
		case "string":
			return object{{"type", "string"}}
		case "bool":
			return object{{"type", "boolean"}}
		case "float64":
			return object{{"type", "number"}}
		case "int", "int64", "uint64":
			return object{{"type", "integer"}}
		}
	}
	d, ok := s.named(e, in)
	if !ok {
		s.t.Fatalf("%#v has no schema", e)
	}
	if _, isStruct := d.spec.Type.(*ast.StructType); !isStruct {
		return object{{"type", "string"}, {"enum", d.values}}
	}
	name := d.spec.Name.Name
	if d.folder != publicDir {
		name = filepath.Base(d.folder) + "." + name
	}
	if defs.get(name) == nil {
		at := len(*defs)
		*defs = append(*defs, member{name, object{}}) // before its own are looked at
		(*defs)[at].value = append(object{{"description", d.doc}}, s.structure(d, defs)...)
	}
	return object{{"$ref", "#/$defs/" + name}}
}

// validate holds a value to a schema of the kind made here, and says where they part.
func validate(value, schema any, root map[string]any, at string) []string {
	s := schema.(map[string]any)
	if ref, ok := s["$ref"].(string); ok {
		return validate(value, root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")], root, at)
	}
	if values, ok := s["enum"].([]any); ok && !slices.Contains(values, value) {
		return []string{at + " is none of its values"}
	}
	var wrong []string
	kind := "null"
	switch v := value.(type) {
	case string:
		kind = "string"
	case bool:
		kind = "boolean"
	case json.Number:
		if kind = "number"; !strings.ContainsAny(v.String(), ".e") && s["type"] == "integer" {
			kind = "integer"
		}
	case []any:
		kind = "array"
		for k, item := range v {
			if s["items"] != nil {
				wrong = append(wrong, validate(item, s["items"], root, at+"["+strconv.Itoa(k)+"]")...)
			}
		}
	case map[string]any:
		kind = "object"
		wrong = members(v, s, root, at)
	}
	if kind != s["type"] {
		return []string{at + " is of type " + kind}
	}
	return wrong
}

// members is validate for the members of an object.
func members(value, schema, root map[string]any, at string) []string {
	var wrong []string
	if required, ok := schema["required"].([]any); ok {
		for _, name := range required {
			if _, there := value[name.(string)]; !there {
				wrong = append(wrong, at+"."+name.(string)+" is missing")
			}
		}
	}
	properties, _ := schema["properties"].(map[string]any)
	for name, v := range value {
		if p, known := properties[name]; known {
			wrong = append(wrong, validate(v, p, root, at+"."+name)...)
		} else if others, ok := schema["additionalProperties"].(map[string]any); ok {
			wrong = append(wrong, validate(v, others, root, at+"."+name)...)
		} else {
			wrong = append(wrong, at+"."+name+" is not in the schema")
		}
	}
	return wrong
}

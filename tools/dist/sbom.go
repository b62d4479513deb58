package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// sbom writes what a binary is made of, as it says itself, in CycloneDX 1.5.
func (r *release) sbom(base, binary string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	type hash struct {
		Alg     string `json:"alg"`
		Content string `json:"content"`
	}
	type component struct {
		Type    string `json:"type"`
		Name    string `json:"name"`
		Version string `json:"version"`
		PURL    string `json:"purl,omitempty"`
		Hashes  []hash `json:"hashes,omitempty"`
	}
	library := func(name, version string) component {
		return component{Type: "library", Name: name, Version: version, PURL: "pkg:golang/" + name + "@" + version}
	}
	parts := []component{library("std", info.GoVersion)}
	for _, m := range info.Deps {
		parts = append(parts, library(m.Path, m.Version))
	}
	text, err := json.MarshalIndent(map[string]any{
		"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
		"metadata": map[string]any{
			"timestamp": r.date.Format(time.RFC3339),
			"component": component{
				Type: "application", Name: "repfuse", Version: r.version,
				Hashes: []hash{{"SHA-256", fmt.Sprintf("%x", sha256.Sum256(data))}},
			},
		},
		"components": parts,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.dir, base+".cdx.json"), append(text, '\n'), 0o644)
}

package checkpoint

import (
	"fmt"
	"path/filepath"
	"slices"

	"repfuse/internal/disk"
	"repfuse/internal/facts"
)

// companions are the files without which a directory of the transformers library does not load.
var companions = []string{
	"config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json",
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
	"vocab.txt", "merges.txt", "tokenizer.model", "spiece.model", "chat_template.json", "chat_template.jinja",
}

// Carry copies what lies with the tensors of c and what their library needs, where a directory
// of .safetensors is made of one of shards.
func (out *Output) Carry(c *Checkpoint) error {
	if !out.dir() || out.format.name != safetensorsName {
		return nil
	}
	return out.carry(c.Path, c.Companions)
}

// CarryFacts copies what lies with the tensors of c about its modules, where directories are made of directories.
func (out *Output) CarryFacts(c *Checkpoint) error {
	if !out.dir() {
		return nil
	}
	return out.carry(c.Path, slices.DeleteFunc([]string{facts.File, facts.Graph}, func(name string) bool {
		return isMissing(filepath.Join(c.Path, name))
	}))
}

func (out *Output) carry(dir string, names []string) error {
	for _, name := range names {
		text, err := disk.SmallBeside(filepath.Join(dir, name))
		if err == nil {
			err = out.AddFile(name, text)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
		}
	}
	return nil
}

// isCompanion reports whether a file of that name is carried along.
func isCompanion(name string) bool { return slices.Contains(companions, name) }

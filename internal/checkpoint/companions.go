package checkpoint

import (
	"fmt"
	"path/filepath"
	"slices"

	"repfuse/internal/disk"
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
	for _, name := range c.Companions {
		text, err := disk.SmallBeside(filepath.Join(c.Path, name))
		if err == nil {
			err = out.AddFile(name, text)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(c.Path, name), err)
		}
	}
	return nil
}

// isCompanion reports whether a file of that name is carried along.
func isCompanion(name string) bool { return slices.Contains(companions, name) }

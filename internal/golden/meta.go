package golden

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"repfuse/internal/facts"
)

// Meta is what is known of a case beside its tensors.
type Meta struct {
	Name  string `json:"name"`
	Repo  string `json:"repo"`  // owner/name@commit
	File  string `json:"file"`  // where in it
	Class string `json:"class"` // of the module that the case is of
	// Args is what the module was made with, by the constructor's own names.
	Args  map[string]any `json:"args"`
	Notes string         `json:"notes"`
	// Block is the path of the block within the state_dict; "" is the root.
	Block string `json:"block"`
	// DeployConv is the path of the fused convolution, where there is one only.
	DeployConv  string `json:"deploy_conv"`
	DeploySteps string `json:"deploy_steps"`
	// DeployError is how the reference's own fusing, or its fused form, crashed.
	DeployError string `json:"deploy_error"`
	// ReferenceBug says that the reference's deploy form computes something else.
	ReferenceBug bool `json:"reference_bug"`
	// DeployDiff is the largest absolute difference between the reference's two forms.
	DeployDiff float64 `json:"deploy_diff"`
	// Eps is ε of every batch norm by path; EpsDeploy of those that are left.
	Eps       map[string]float64 `json:"eps"`
	EpsDeploy map[string]float64 `json:"eps_deploy"`
	// ConvsTrain and ConvsDeploy are the convolutions of the two forms, by path.
	ConvsTrain  map[string]Conv `json:"convs_train"`
	ConvsDeploy map[string]Conv `json:"convs_deploy"`
}

// Conv is the geometry of a convolution. A Linear has channels only.
type Conv struct {
	Class         string `json:"class"`
	In            int    `json:"in"`
	Out           int    `json:"out"`
	Kernel        []int  `json:"kernel"`
	Stride        []int  `json:"stride"`
	Padding       []int  `json:"padding"`
	OutputPadding []int  `json:"output_padding"`
	Dilation      []int  `json:"dilation"`
	Groups        int    `json:"groups"`
	Bias          bool   `json:"bias"`
	PaddingMode   string `json:"padding_mode"`
}

// parse reads the story of a case; a field that Meta lacks is an error.
func (m *Meta) parse(metadata json.RawMessage) error {
	var story struct {
		Case string `json:"case"`
	}
	if err := json.Unmarshal(metadata, &story); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	d := json.NewDecoder(strings.NewReader(story.Case))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	return nil
}

// Facts is what repfuse exporter would have written beside the train form, as far
// as the case tells: classes, ε, geometry, and the constructor's booleans and
// numbers as the block's flags. Children without tensors are not known, and a
// batch norm's class is given as BatchNorm2d whatever it was.
func (c Case) Facts() *facts.Model {
	m := &facts.Model{Version: facts.Version, Modules: map[string]facts.Module{}}
	if block := c.Meta.Block; !strings.Contains(block, "{") {
		outer, inner, wrapped := strings.Cut(c.Meta.trainClass(), "/")
		if !wrapped {
			inner = outer
		} else if at := strings.LastIndexByte(block, '.'); at >= 0 {
			m.Modules[block[:at]] = facts.Module{Class: outer}
		}
		m.Modules[block] = facts.Module{Class: inner, Flags: c.Meta.flags()}
	}
	for path, eps := range c.Meta.Eps {
		m.Modules[path] = facts.Module{Class: "BatchNorm2d", Eps: &eps}
	}
	for path, conv := range c.Meta.ConvsTrain {
		m.Modules[path] = conv.facts()
	}
	return m
}

// trainClass is the class of the train form: a case may name that of the deploy
// form behind an arrow, and Outer/Inner is a block and the module around it.
func (m Meta) trainClass() string {
	class, _, _ := strings.Cut(m.Class, " -> ")
	return class
}

// flags is the constructor's arguments that a module keeps as plain attributes.
func (m Meta) flags() map[string]any {
	flags := maps.Clone(m.Args)
	maps.DeleteFunc(flags, func(_ string, v any) bool {
		switch v.(type) {
		case bool, float64:
			return false
		}
		return true
	})
	return flags
}

func (c Conv) facts() facts.Module {
	return facts.Module{
		Class: c.Class, Kernel: c.Kernel, Stride: c.Stride, Padding: c.Padding,
		PaddingMode: c.PaddingMode, Dilation: c.Dilation, Groups: c.Groups,
		Transposed: strings.HasPrefix(c.Class, "ConvTranspose"),
	}
}

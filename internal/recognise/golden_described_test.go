package recognise_test

// described is the cases of testdata/golden/described.py: blocks whose project's code was
// not run.
var described = map[string]expectation{
	"birder-repvggdw":          {family: "birder-repvit-dw"},
	"conv-bn-indexed":          {family: "conv-bn-indexed", request: []string{"conv-bn-indexed"}},
	"fmen-hfab":                {family: "fmen-hfab"},
	"ghostnetv3-bottleneck-s2": {family: "ghostnetv3-bottleneck"},
	"gmp-linear":               {family: "gmp"},
	"lcnetv3-paddle":           {family: "lcnetv3-paddle"},
	"lcnetv4":                  {family: "lcnetv4"},
	"linear-bn":                {family: "linear-bn", request: []string{"linear-bn"}},
	"loftr-hf-id":              {family: "loftr-hf"},
	"lora-conv":                {family: "lora-conv", asks: "what the low-rank product is multiplied by", told: []string{"scaling=0.5"}},
	"mmyolo-repvgg-alpha":      {family: "mmyolo-repvgg"},
	"nextvit-transformer":      {family: "nextvit-transformer"},
	"qarepvgg-v6-id":           {family: "qarepvgg-v6", request: []string{"qarepvgg-v6"}, told: []string{"identity=yes"}},
	"repvgg-insert-bn":         {family: "repvgg-insert-bn"},
	"slab-merging":             {family: "slab-merging"},
	"slab-model":               {family: "slab"},
	"spectral-norm-conv":       {family: "spectral-norm"},
	"spectral-norm-convt":      {family: "spectral-norm"},
	"spectral-norm-linear":     {family: "spectral-norm"},
	"spectral-norm-new":        {family: "spectral-norm"},
	"textnet-1x3":              {family: "textnet"},
	"textnet-3x1":              {family: "textnet"},
	"textnet-3x3":              {family: "textnet"},
	"unireplknet-block-k3":     {family: "unireplknet-block-small"},
	"vanillanet-stem":          {family: "vanillanet-stem"},
	"weight-norm-all":          {family: "weight-norm"},
	"weight-norm-taps":         {family: "weight-norm"},
}

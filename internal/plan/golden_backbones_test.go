package plan_test

// backbones is the cases of the classification backbones and of the general blocks.
var backbones = map[string]expectation{}

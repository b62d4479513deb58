package plan_test

// detection is the cases of detectors and of super-resolution networks.
var detection = map[string]expectation{}

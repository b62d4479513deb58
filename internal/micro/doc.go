// Package micro is the inner loops that fuse and conv share: products of matrices,
// convolutions over a padded plane, and the passes over stored elements that fusing
// is made of. It knows nothing of networks.
//
// Every loop has a plain Go form. On amd64 with AVX2, FMA and F16C an assembly form takes
// its place; Use chooses one by hand.
//
// The passes over stored elements (Scale, Round, Rescale, Pick) and over sums
// (AddScaled, Settled, Alike) give the same bits on every path: a product and the
// addition after it are rounded separately. So do those that add up (AbsoluteF32, Loss,
// Steps, Near): in Chains parts, however long a vector is. So do the sums of products
// in float64 (Taps64, Gemm64), rounding a product and its addition at once, but on the
// few processors that cannot; for all there is a bound on the error.
package micro

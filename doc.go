// Package repfuse fuses the parallel branches of re-parameterized networks (RepVGG,
// MobileOne, DBB …) in their checkpoints on disk, and proves that nothing changed. The
// command repfuse is flags and printing over this package.
//
// # Verbs
//
// Each verb takes a context, paths and options, whose zero values are what the command
// does without flags, and returns a value: what the command prints with --json.
//
//	Open     path     → Checkpoint   the tensors of a checkpoint, by their keys
//	Plan     src      → Planned      what would be fused, what not, and why
//	Draft    src      → Drafted      families proposed for blocks that none is known of
//	Fuse     src, dst → Fused        each block as one kernel and bias, all else copied
//	Verify   src, dst → Verdict      exact, equivalent or different, with the numbers behind it
//	Inspect  path     → Inspection   what is no finite number, what low precision would spoil
//	Convert  src, dst → Converted    another format, nothing fused
//	Unfuse   src, dst → Unfused      a deploy form as a training form that computes the same
//
// # Pipeline
//
//  1. Headers of SRC are read, no elements (except to hold them to a record beside it): keys,
//     element types and shapes, and what the exporter says of the modules → [Checkpoint].
//  2. Blocks are found by their keys; for each tensor that a block makes there is an
//     expression over stored tensors, such as conv(a) > bn(b) + x → [Block], [Output].
//  3. What becomes of each key is decided: fused, kept or dropped → [Planned]. What no key
//     says is asked for, or is assumed and a [Note] says so.
//  4. The tensors of the result are computed and written in pieces of some hundred
//     kilobytes, beside DST; a record with the plan and checksums is added; all is renamed
//     to DST → [Fused].
//  5. SRC is planned again, and the record is held to that plan; both forms are run on random
//     images → [Measurement], and each stored element is compared with the real fused value →
//     [Certificate]; the two decide → [Verdict].
//
// # What holds for each verb
//
// Nothing is printed, and no state of the process is read or changed, except files. Verbs may
// run at the same time, of one SRC too. SRC is never written. DST, and each other file that is
// written, appears whole or not at all, also where the context ends.
//
// An error says that the work could not be done; a result that is not as it should be is a
// value ([Verdict.Grade], [Planned.Differences], [Inspection.Faults]). Where the user can mend an error, an
// [Error] in its chain has a hint, in the words of the command: the option ShardSize is
// its flag --shard-size.
package repfuse

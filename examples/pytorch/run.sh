#!/bin/sh
# From PyTorch to fused weights and back, for four models: RepVGG-A0 in full size, the smallest
# block there is, blocks of one's own that no family knows, and ordinary residual blocks.
# Each is made with random weights, exported with its graph by what `repfuse exporter` prints,
# fused, verified, checked in the running model, loaded (into the deploy form
# where it has one, else into the model itself), and run on random images.
#
# Needs python3 with torch and numpy, and repfuse: on the PATH, or named by $REPFUSE.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
repfuse=${REPFUSE:-repfuse}
case $repfuse in
/*) ;;
*/*) repfuse=$(pwd)/$repfuse ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
export PYTHONPATH="$work:$here" PYTHONDONTWRITEBYTECODE=1

"$repfuse" exporter >"$work/export.py"
"$repfuse" exporter --load >"$work/load.py"
"$repfuse" exporter --check >"$work/check.py"

# pipeline MODEL [FLAG...]: the flags are for repfuse fuse.
pipeline() {
	model=$1
	shift
	echo
	echo "== $model"
	mkdir "$work/$model"
	cd "$work/$model"
	"$python" "$here/step.py" export "$model" weights
	echo "\$ repfuse fuse weights/ out/${*:+ $*}"
	"$repfuse" fuse weights/ out/ "$@"
	echo "\$ repfuse verify"
	"$repfuse" verify
	"$python" "$here/step.py" check "$model" out
	"$python" "$here/step.py" compare "$model" out
}

pipeline repvgg-a0
# The graph says what is added; the family says the key of the deploy form.
pipeline two-channels --family plain
pipeline own-blocks
pipeline residual

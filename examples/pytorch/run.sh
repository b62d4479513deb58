#!/bin/sh
# From PyTorch to fused weights and back, for two models:
#   RepVGG-A0 in full size, and the smallest block there is (two channels, no batch norm).
# Each is made with random weights, exported by what `repfuse exporter` prints, fused,
# verified, loaded into its deploy form with strict=True, and run on random images.
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
	"$python" "$here/step.py" compare "$model" out
}

pipeline repvgg-a0
# No key and no module says whether the block adds its input: it has to be said.
pipeline two-channels --identity yes

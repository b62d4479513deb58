#!/usr/bin/env bash
# Installs a release in each way that README.md has, as it stands there, on a Debian 13 that has not seen it before.
#
#   install.sh ROOT DIST
#
# ROOT is the directory that holds that Debian, which is made where it is missing and stays as it is; DIST holds the files of a
# release for this platform. Needs root, and Go.
set -euo pipefail

if [ "$1" != --inside ]; then
	at=$(mktemp -d)
	trap 'rm -rf "$at"' EXIT
	git clone -q "$(dirname "$0")/../.." "$at/clone"
	cp -r "$2" "$at/release"
	PACKAGES="python3-pip python3-venv man-db git make gcc libc6-dev ca-certificates" FRESH=1 BIND="$at $(go env GOROOT) /etc/ssl/certs" \
		"$(dirname "$0")/debian13.sh" "$1" env -i HOME=/root LANG=C.UTF-8 GOPROXY="$(go env GOPROXY)" \
		PATH="$(go env GOROOT)/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" "$at/clone/testdata/conformance/install.sh" --inside "$at"
	exit
fi
at=$2

sudo() { "$@"; }
step() { echo "--- $*"; }

# works COMMAND...: it fuses and verifies the small RepVGG.
works() {
	local dir
	dir=$(mktemp -d)
	cp -r "$at/clone/examples/repvgg-tiny/weights" "$dir"
	(cd "$dir" && "$@" --version && "$@" fuse -q weights out && "$@" verify -q)
}
static() { ! ldd "$1" >/dev/null 2>&1 || { echo "$1 is dynamic"; exit 1; }; }
# line WORD: the line of README.md's "Get it" that begins so, without its comment.
line() { sed -n '/^## Get it/,/^## /p' "$at/clone/README.md" | grep "^    $1" | sed 's/ *#.*//'; }

cd "$at/release"
step "SHA256SUMS"
sha256sum --quiet -c SHA256SUMS

step "$(line pip)"
python3 -m venv /root/venv
(
	. /root/venv/bin/activate
	eval "$(line 'pip install') --no-index"
	works repfuse
	works python -m repfuse
	python -c 'import repfuse; assert repfuse.verify.__doc__'
	pip uninstall -q -y repfuse
	! command -v repfuse
)

step "$(line 'sudo dpkg')"
eval "$(line 'sudo dpkg')"
static /usr/bin/repfuse
works repfuse
man -w repfuse repfuse-fuse
test -s /usr/share/bash-completion/completions/repfuse
dpkg -r repfuse
test -z "$(find / -xdev -name '*repfuse*' -not -path "$at/*" -not -path '/tmp/*' -not -path '/repfuse*' -not -path '/proc/*' -not -path '/var/lib/dpkg/*' -not -path '/var/cache/*')"

step "$(line tar)"
eval "$(line tar)"
static repfuse_*/repfuse
works "$PWD"/repfuse_*/repfuse
test -s repfuse_*/man/repfuse.1 -a -s repfuse_*/completions/repfuse.zsh -a -s repfuse_*/LICENSE

cd "$at/clone"
for typed in "make install" "CGO_ENABLED=0 go install ./cmd/repfuse"; do
	grep -qF "\`$typed\`" README.md || { echo "README.md has no $typed"; exit 1; }
	step "$typed"
	eval "$typed"
	static /root/go/bin/repfuse
	works /root/go/bin/repfuse
	rm /root/go/bin/repfuse
done

step "make demo"
make demo 2>/dev/null | grep "^yes: exact"

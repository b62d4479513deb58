#!/usr/bin/env bash
# Runs a command on Debian 13, with its PyTorch 2.6, onnx, onnxruntime, safetensors and numpy 2, in this checkout.
#
#   debian13.sh ROOT [COMMAND...]
#
# ROOT is the directory that holds that Debian. It is made where it is missing (1.3 GB, a minute or two), from the
# mirror in the apt sources of this machine, which has to be a Debian too. Needs root. PACKAGES is what else it has, BIND
# what the command sees of this machine besides; with FRESH=1 all that it writes is gone when it ends.
set -euo pipefail

if [ "$1" != --inside ]; then # with mounts of its own, which end with the command
	exec unshare --mount --propagation private "$0" --inside "$(realpath -m "$1")" "${@:2}"
fi
root=$2
shift 2

make_root() {
	export DEBIAN_FRONTEND=noninteractive
	local part=$root.part install="apt-get install -q -y --no-install-recommends"
	apt-get update -q
	command -v debootstrap >/dev/null || $install debootstrap
	local mirror
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Component: main' 'Label: Debian' | head -n 1)
	mkdir -p "$(dirname "$root")"
	rm -rf --one-file-system "$part"
	debootstrap --variant=minbase trixie "$part" "$mirror"
	cp /etc/apt/apt.conf.d/* "$part/etc/apt/apt.conf.d/" # how this machine reaches its mirror
	cp /etc/resolv.conf "$part/etc/"
	mount -t proc proc "$part/proc"
	chroot "$part" apt-get update -q
	chroot "$part" $install ${PACKAGES:-python3-torch python3-onnx python3-onnxruntime python3-safetensors}
	umount "$part/proc"
	mv "$part" "$root"
}

(
	flock 9
	[ -d "$root" ] || make_root >&2
) 9>"$root.lock"
[ $# -gt 0 ] || exit 0

if [ -n "${FRESH-}" ]; then
	mount -t tmpfs tmpfs /mnt
	mkdir /mnt/upper /mnt/work
	mount -t overlay -o "lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/work" overlay "$root"
fi
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/repfuse"
mount --bind "$(dirname "$0")/../.." "$root/repfuse"
for path in ${BIND-}; do
	mkdir -p "$root$path"
	mount --bind "$path" "$root$path"
done
exec chroot "$root" env -C /repfuse PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 "$@"

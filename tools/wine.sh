#!/bin/sh
# Runs the script tests as a Windows program, under Wine: tools/wine.sh DIR
# DIR, which is made where it is missing, holds Wine's own C: drive.
#
# Needs Debian's wine64 and gcc-mingw-w64-x86-64. Wine 8 lacks bcryptprimitives.dll, from
# which Go takes its random numbers, so one is made that asks advapi32. Scripts that need a shell or
# file names of Unix are skipped, and Wine cannot remove what os.RemoveAll of Go removes, so
# that what an old result leaves behind is Wine's doing. What only Windows itself can show
# (locks, antivirus, long paths) is not tested.
set -eu
test $# = 1 || { echo "usage: $0 DIR"; exit 2; }
mkdir -p "$1"
at=$(cd "$1" && pwd)
wine=/usr/lib/wine/wine64
export WINEPREFIX="$at/prefix" WINEDEBUG=-all WINEDLLOVERRIDES="mscoree=;mshtml="
cat >"$at/random.c" <<'C'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE p, SIZE_T n) { return SystemFunction036(p, (ULONG)n); }
C
test -d "$WINEPREFIX/drive_c/windows/system32" || "$wine" wineboot --init >/dev/null 2>&1 || true
x86_64-w64-mingw32-gcc -shared -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" "$at/random.c" -ladvapi32
cd "$(dirname "$0")/../cmd/repfuse"
GOOS=windows GOARCH=amd64 CGO_ENABLED=0 go test -c -o "$at/scripts.exe" .
# Its exit status is 1 whatever the tests say: Wine cannot remove their directory.
"$wine" "$at/scripts.exe" -test.short -test.run TestScripts -test.v >"$at/log" 2>&1 || true
grep -e '--- ' "$at/log"
! grep -qe '--- FAIL' "$at/log" && grep -qx 'PASS.*' "$at/log"

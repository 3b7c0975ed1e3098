#!/usr/bin/env bash
# The README's commands in a fresh Debian, from nothing but git; as root:
#   tests/debian.sh 12|13 [FOLDER]
# Runs `examples/quickstart.sh` and `tests/run.sh -LE slow` on what is committed. FOLDER: see
# tests/debian_root.sh; it receives the logs, too.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
. "$repository/tests/debian_root.sh"
root=$folder/root-$release
make_root "$root"
git clone -q "$repository" "$root/root/attune"
echo "Debian $release: $(git -C "$root/root/attune" log -1 --format='%h %s')"

status=0
check() {
  local log=$folder/$(basename "$1" .sh)-$release.log result=passed took
  local TIMEFORMAT='%0R s, %0U + %0S s of processors'
  took=$({ time inside "$root" /root/attune "$@" >"$log" 2>&1 </dev/null; } 2>&1) || result=failed status=1
  echo "Debian $release: $* $result in $took"
  [ $result = passed ] || { tail -n 40 "$log"; echo "All of it: $log"; }
}
check examples/quickstart.sh
check tests/run.sh -LE slow
rm -rf --one-file-system "$root"
exit $status

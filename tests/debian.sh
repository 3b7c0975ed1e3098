#!/usr/bin/env bash
# The README's commands in a fresh Debian, from nothing but git; as root:
#   tests/debian.sh 12|13 [FOLDER]
# Runs `examples/quickstart.sh` and `tests/run.sh -LE slow` on what is committed. FOLDER (default:
# build/debian) receives the system, the logs, and what makes the next run quicker: the bare system
# and its packages. The compiler cache of CCACHE_DIR serves inside, where that is set.
set -euo pipefail
fail() { echo "debian.sh: $*" >&2; exit 2; }
case ${1:-} in
  12) codename=bookworm ;;
  13) codename=trixie ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
esac
release=$1
repository=$(cd "$(dirname "$0")/.." && pwd)
folder=${2:-$repository/build/debian}
[ "$(id -u)" -eq 0 ] || fail "needs root, for debootstrap and chroot"
for tool in debootstrap unshare git; do
  command -v $tool >/dev/null || fail "$tool is missing: apt-get install debootstrap util-linux git"
done
mkdir -p "$folder/packages-$release/partial"
folder=$(cd "$folder" && pwd)
root=$folder/root-$release
bare=$folder/bare-$release.tar

rm -rf --one-file-system "$root"
if [ ! -e "$bare" ]; then
  mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' |
    sed -n 1p)}
  [ -n "$mirror" ] || fail "apt knows no Debian mirror: give one, DEBIAN_MIRROR=http://.../debian"
  echo "Debian $release: making the bare system"
  debootstrap --variant=minbase "$codename" "$root" "$mirror" >"$folder/bare-$release.log" 2>&1 ||
    fail "debootstrap failed: $folder/bare-$release.log"
  tar -C "$root" -cf "$bare.new" .
  mv "$bare.new" "$bare"
else
  mkdir "$root"
  tar -C "$root" -xf "$bare"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
git clone -q "$repository" "$root/root/attune"
echo "Debian $release: $(git -C "$root/root/attune" log -1 --format='%h %s')"

# Runs a command in the checkout. Its mounts and processes are its own, and end with it.
inside() {
  unshare --mount --propagation private --pid --fork --kill-child bash -euc '
    bind() { [ ! -d "$1" ] || { mkdir -p "$2"; mount --rbind "$1" "$2"; }; }
    root=$1 packages=$2
    shift 2
    mount -t proc proc "$root/proc"
    bind /dev "$root/dev"
    bind "$packages" "$root/var/cache/apt/archives"
    bind "${CCACHE_DIR:-}" "$root/root/.cache/ccache"
    exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
      chroot "$root" bash -c "cd /root/attune && exec \"\$@\"" bash "$@"
  ' bash "$root" "$folder/packages-$release" "$@"
}

status=0
check() {
  local log=$folder/$(basename "$1" .sh)-$release.log result=passed took
  local TIMEFORMAT='%0R s, %0U + %0S s of processors'
  took=$({ time inside "$@" >"$log" 2>&1 </dev/null; } 2>&1) || result=failed status=1
  echo "Debian $release: $* $result in $took"
  [ $result = passed ] || { tail -n 40 "$log"; echo "All of it: $log"; }
}
check examples/quickstart.sh
check tests/run.sh -LE slow
rm -rf --one-file-system "$root"
exit $status

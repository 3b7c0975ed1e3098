#!/usr/bin/env bash
# The Debian packages in a Debian with nothing else, of the version that they were built on; as root:
#   tests/package/minimal_root.sh PACKAGES [FOLDER]
# PACKAGES is where cmake/debian_packages.sh left them. First the shared library and the command alone,
# then the examples, built on the development package. FOLDER (default: build/debian) has, or receives,
# the bare system of tests/debian.sh.
set -euo pipefail
fail() { echo "minimal_root.sh: $*" >&2; exit 2; }
repository=$(cd "$(dirname "$0")/../.." && pwd)
[ $# -ge 1 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2; }
packages=$(cd "$1" && pwd)
. /etc/os-release
folder=${2:-$repository/build/debian}
[ "$(id -u)" -eq 0 ] || fail "needs root, for debootstrap and chroot"
ls "$packages"/libattune0_*.deb "$packages"/libattune-dev_*.deb "$packages"/attune-tools_*.deb >/dev/null ||
  fail "$packages lacks packages: cmake/debian_packages.sh makes them"
mkdir -p "$folder"
bare=$folder/bare-$VERSION_ID.tar
root=$(mktemp -d "$folder/package-root.XXXXXX")
trap 'rm -rf --one-file-system "$root"' EXIT
if [ ! -e "$bare" ]; then
  mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' | sed -n 1p)}
  [ -n "$mirror" ] || fail "apt knows no Debian mirror: give one, DEBIAN_MIRROR=http://.../debian"
  debootstrap --variant=minbase "$VERSION_CODENAME" "$root" "$mirror" >"$folder/bare-$VERSION_ID.log" 2>&1 ||
    fail "debootstrap failed: $folder/bare-$VERSION_ID.log"
  tar -C "$root" -cf "$bare.new" .
  mv "$bare.new" "$bare"
else
  tar -C "$root" -xf "$bare"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
mkdir "$root/packages" "$root/work"
cp "$packages"/*.deb "$root/packages/"
cp -r "$repository/examples/embedding" "$repository/examples/cartpole/policy.onnx" "$root/work/"
[ ! -d "$repository/examples/c_api" ] || cp -r "$repository/examples/c_api" "$root/work/"

cat >"$root/work/inside.sh" <<'INSIDE'
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -qq -y --no-install-recommends "$@" >log 2>&1 </dev/null || { cat log; exit 1; }; }
apt-get update -qq
install /packages/libattune0_*.deb /packages/attune-tools_*.deb
ldconfig -p | grep -q libattune.so.0
! ldd /usr/bin/attune | grep 'not found'
attune compile policy.onnx -o policy.att --scheme full --loss cross_entropy --quiet
attune inspect policy.att | grep '^total'
awk 'BEGIN { srand(1); print "a,b,c,d,label"
  for (i = 0; i < 100; ++i) { a = 2 * rand() - 1; printf "%f,%f,%f,%f,%d\n", a, rand(), rand(), rand(), (a > 0) } }' >table.csv
attune train policy.att --data table.csv --epochs 3 --learning-rate 0.05 --quiet
install /packages/libattune-dev_*.deb g++ gcc make cmake pkg-config
for shared in OFF ON; do
  cmake -S embedding -B build-$shared -DBUILD_SHARED_LIBS=$shared >log 2>&1 || { cat log; exit 1; }
  cmake --build build-$shared >log 2>&1 || { cat log; exit 1; }
  build-$shared/own_data policy.att
  build-$shared/files policy.att table.csv
done
build-OFF/compile_model policy.onnx compiled.att full
build-ON/own_data compiled.att
g++ -std=c++20 embedding/files.cpp -o files $(pkg-config --cflags --libs attune-io)
./files policy.att table.csv
if [ -d c_api ]; then
  cmake -S c_api -B build-c >log 2>&1 || { cat log; exit 1; }
  cmake --build build-c >log 2>&1 || { cat log; exit 1; }
fi
apt-get remove -qq -y libattune0 >log 2>&1 || { cat log; exit 1; }
! find /usr -name '*attune*' ! -path '*/share/doc/*' | grep . || { echo "left behind"; exit 1; }
INSIDE
unshare --mount --propagation private --pid --fork --kill-child bash -euc '
  mount -t proc proc "$1/proc"
  mount --rbind /dev "$1/dev"
  exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 chroot "$1" bash -c "cd /work && exec bash inside.sh"
' bash "$root"
echo "Debian $VERSION_ID: installed, used and removed"

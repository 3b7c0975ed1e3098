#!/usr/bin/env bash
# Makes the Debian packages of this version for the system that it runs on:
#   cmake/debian_packages.sh [BUILD]
# BUILD (default: build-debian) is a folder to build in; the packages are then in BUILD/debian.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build-debian}
# As Debian links: what is relocated is read-only. Position-independent: a user's shared library may take
# the static ones.
cmake -S "$root" -B "$build" -G Ninja -Wno-dev -DCMAKE_INSTALL_PREFIX=/usr -DATTUNE_TESTS=OFF \
  -DCMAKE_POSITION_INDEPENDENT_CODE=ON ${ATTUNE_WERROR:+-DATTUNE_WERROR="$ATTUNE_WERROR"} \
  -DCMAKE_SHARED_LINKER_FLAGS="$(dpkg-buildflags --get LDFLAGS)" \
  -DCMAKE_EXE_LINKER_FLAGS="$(dpkg-buildflags --get LDFLAGS)"
cmake --build "$build"
cd "$build"
cpack -G DEB
ls -l debian/*.deb

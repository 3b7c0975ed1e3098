#!/bin/bash
# Installs a built Attune, moves it, and builds and runs the examples against it:
# package.sh SOURCE BUILD ATTUNE
set -euo pipefail
source=$1 build=$2 attune=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
. "$source/tests/package/examples.sh"

quietly cmake --install "$build" --prefix "$work/first"
mv first moved
prefix=$work/moved
found=$(grep -rlE "$source|$build|$work/first" moved --include=*.cmake --include=*.pc --include=*.h --include=*.hpp || true)
[ -z "$found" ] || fail "knows folders of the build: $found"
lib=$(dirname "$(find "$prefix" -name libattune.a)")
[ -e "$lib/libattune.so.0" ] || fail "no shared library"

# What the libraries show is what the headers declare, and none of what they are made of.
for library in "$lib"/libattune*.so.0; do nm -DC --defined-only "$library" | cut -d' ' -f3-; done | sort -u >symbols
odd=$(grep -vE '^attune_[a-z0-9_]+$|^attune::' symbols || true)$(grep -E 'flatbuffers|::Parts::|^attune::(reference|format|simd|eigen|xnnpack|checkpoint)::' symbols || true)
[ -z "$odd" ] || fail "the shared libraries show $odd"
grep -hoE '^(ATTUNE_API )?(Status|bool|int|uint64_t|const char\*|std::span<[a-z ]+>) [a-z_0-9]+\(' \
  $(find "$prefix/include/attune" -name '*.h' ! -name compiler.h ! -name attune.h) | sed -E 's/.* ([a-z_0-9]+)\($/\1/' | sort -u >declared
[ "$(wc -l <declared)" -ge 20 ] || fail "finds no functions in the headers"
while read -r name; do
  grep -q "^attune::$name(" symbols || fail "the shared libraries lack $name"
done <declared
grep -oE '^ATTUNE_API .*[ *]attune_[a-z0-9_]+\(' "$prefix/include/attune/attune.h" | sed -E 's/.*[ *](attune_[a-z0-9_]+)\($/\1/' >declared
[ "$(wc -l <declared)" -ge 40 ] || fail "finds no functions in attune.h"
while read -r name; do grep -qx "$name" symbols || fail "the shared library lacks $name"; done <declared
[ "$(objdump -p "$lib/libattune.so.0" | awk '/SONAME/ { print $2 }')" = libattune.so.0 ] || fail "SONAME"

make_inputs
for shared in OFF ON; do
  quietly cmake -S "$source/examples/embedding" -B "cmake-$shared" -DCMAKE_PREFIX_PATH="$prefix" -DBUILD_SHARED_LIBS=$shared
  quietly cmake --build "cmake-$shared"
  runs "cmake-$shared"
  ldd "cmake-$shared/own_data" >out
  if [ $shared = ON ]; then grep -q libattune.so.0 out || fail "not linked to the shared library"
  else ! grep -q libattune out || fail "linked to the shared library"; fi
done
# A component that is not there is said to be missing, and an older Attune is told from this one.
for wrong in "COMPONENTS nothing" "9.9" "0.0.1"; do
  mkdir -p wrong
  printf 'cmake_minimum_required(VERSION 3.22)\nproject(wrong CXX)\nfind_package(attune %s REQUIRED)\n' "$wrong" >wrong/CMakeLists.txt
  ! cmake -S wrong -B wrong/build -DCMAKE_PREFIX_PATH="$prefix" >log 2>&1 || fail "found attune $wrong"
done

export PKG_CONFIG_PATH=$lib/pkgconfig
pkg-config --validate attune attune-io
for name in own_data:attune files:attune-io; do
  program=${name%:*} module=${name#*:}
  mkdir -p pc-shared pc-static
  quietly c++ -std=c++20 -O1 "$source/examples/embedding/$program.cpp" -o pc-shared/$program \
    $(pkg-config --cflags --libs $module) -Wl,-rpath,"$lib"
  # Of Attune the static library, of all else what there is.
  quietly c++ -std=c++20 -O1 "$source/examples/embedding/$program.cpp" -o pc-static/$program \
    $(pkg-config --cflags $module) $(pkg-config --static --libs $module | sed -E "s#-l(attune[_a-z]*)#-l:lib\1.a#g")
done
runs pc-shared
runs pc-static
! ldd pc-static/files | grep libattune >/dev/null || fail "linked to the shared library"
echo "installed, moved, found by CMake and by pkg-config, static and shared"

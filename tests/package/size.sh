#!/bin/bash
# The shared library with reference and simd kernels, made for size: size.sh SOURCE BUILD
set -euo pipefail
source=$1 build=$2
most=1200000  # bytes, stripped
cmake -S "$source" -B "$build" -G Ninja -Wno-dev -DCMAKE_BUILD_TYPE=MinSizeRel -DATTUNE_HOST=OFF -DATTUNE_IO=OFF \
  -DATTUNE_TESTS=OFF "-DATTUNE_BACKENDS=reference;simd" "-DATTUNE_SIMD_TARGETS=avx2;ssse3" >"$build.log" 2>&1 ||
  { cat "$build.log"; exit 1; }
cmake --build "$build" --target attune_engine_shared >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
strip -o "$build/stripped" "$build/package/lib/libattune.so"
bytes=$(stat -c %s "$build/stripped")
echo "libattune.so, for size, of reference and simd kernels for AVX2 and SSSE3: $bytes bytes, of $most allowed"
[ "$bytes" -le "$most" ]

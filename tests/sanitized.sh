#!/usr/bin/env bash
# Builds tests with ASan and UBSan into a folder, and runs them: sanitized.sh FOLDER [TEST...], where
# graph, import and plan take minutes to build. Every finding ends the test that made it.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/.."
tests=("${@:2}")
[ ${#tests[@]} -gt 0 ] || tests=(kernels io training fuzz)

cmake -S . -B "$folder" -G Ninja -Wno-dev -DATTUNE_SANITIZE=address,undefined \
  -DCMAKE_UNITY_BUILD=ON >/dev/null
cmake --build "$folder" --target "${tests[@]/#/test_}"
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_init_order=1
export UBSAN_OPTIONS=print_stacktrace=1
cd "$folder"
exec ctest --output-on-failure -j "$(nproc)" -R "^($(IFS='|'; echo "${tests[*]}"))\$"

#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. Arguments go to ctest: `tests/run.sh -LE slow`
# is the two-minute loop.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake/install_packages.sh build test
cmake -S . -B build -G Ninja -Wno-dev -DATTUNE_PYTHON=ON ${ATTUNE_WERROR:+-DATTUNE_WERROR="$ATTUNE_WERROR"}
cmake --build build
cd build
exec ctest --output-on-failure -j "$(nproc)" "$@"

#!/usr/bin/env bash
# Compares schemes of equal memory on a real task, and writes docs/schemes-TASK.md with it. Arguments go to compare.py:
# `bench/schemes/run.sh --estimate` tells how long it will take, `--trial` is a small run of everything. A run that was
# interrupted goes on where it stopped.
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake/install_packages.sh build test
cmake -S . -B build -G Ninja -Wno-dev >/dev/null
cmake --build build --target attune >/dev/null
exec /usr/bin/python3 bench/schemes/compare.py --attune "$PWD/build/bin/attune" "$@"

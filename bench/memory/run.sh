#!/usr/bin/env bash
# Compiles the networks of "On-Device Training Under 256KB Memory" with less and less memory, and writes
# docs/memory.md with the arena that each plan needs. `bench/memory/run.sh FOLDER`: where their models are.
set -euo pipefail
cd "$(dirname "$0")/../.."
models=${1:-../shared/models}
cmake -S . -B build -G Ninja -Wno-dev >/dev/null
cmake --build build --target attune >/dev/null
python3 bench/memory/table.py build/bin/attune "$models" build/memory >docs/memory.md.new
mv docs/memory.md.new docs/memory.md
echo "wrote docs/memory.md"

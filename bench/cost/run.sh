#!/usr/bin/env bash
# Holds estimates of training steps against measurements, and writes docs/cost.md and docs/cost.json. Arguments go to
# compare.py: `bench/cost/run.sh --configurations 1:best --rounds 1` gives a first idea. OFFLINE=1: installs nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -n "${OFFLINE:-}" ] || cmake/install_packages.sh build bench
cmake -S . -B build -G Ninja -Wno-dev >/dev/null
cmake --build build --target attune >/dev/null
export PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 bench/cost/compare.py --attune "$PWD/build/bin/attune" --folder build/cost \
  --command "$(echo bench/cost/run.sh "$@")" "$@"

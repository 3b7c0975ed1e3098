#!/usr/bin/env bash
# Measures every kernel that a training step may choose, one thread, over the layers of known networks, and writes
# docs/operators.md. Arguments go to bench_operators: `bench/operators/run.sh --models mcunet`.
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake/install_packages.sh build bench
cmake -S . -B build -G Ninja -Wno-dev >/dev/null
cmake --build build --target bench_operators >/dev/null
folder=build/operators
mkdir -p "$folder"
# Turns among all, several times each: what slows the machine down for a while slows all of them.
build/bin/bench_operators --models mobilenet_v2,resnet50,mcunet,ds_cnn --threads 1 --benchmark_filter='/(forward|forward_only|dx|dw)/' \
  --benchmark_repetitions=5 --benchmark_enable_random_interleaving=true --benchmark_min_time=0.01 \
  --benchmark_out_format=json --benchmark_out="$folder/operators.json" "$@" >"$folder/operators.log"
python3 bench/operators/table.py "$folder/operators.json" >docs/operators.md.new
mv docs/operators.md.new docs/operators.md
echo "wrote docs/operators.md"

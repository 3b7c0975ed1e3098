#!/usr/bin/env bash
# Trains the keyword-spotting model that this folder ships, from random weights, on synthesised voices,
# with this project's own tools: train_model.sh [OUT.onnx]. About two minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$(realpath "${1:-$here/kws.onnx}")
"$root/cmake/install_packages.sh" build quickstart test
cmake -S "$root" -B "$root/build" -G Ninja -Wno-dev >/dev/null
cmake --build "$root/build" --target attune
attune=$root/build/bin/attune
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# Twelve native speakers, eight takes of each word to train on and two to watch.
for voice in en-us+m1 en-us+m3 en-us+f1 en-us+f2 en-us+m7 en-gb+m2 en-gb+m4 en-gb+f3 en-gb+f4 \
  en-gb-scotland+m5 en-gb-x-rp+f5 en-gb-x-gbclan+m6; do
  "$here/speak.sh" train "$voice" 8
  "$here/speak.sh" validation "$voice" 2 8
done

/usr/bin/python3 "$here/make_model.py" untrained.onnx
"$attune" compile untrained.onnx -o kws.att --scheme full --optimizer adam --batch-size 16 \
  --preprocess mfcc --labels "$here/keywords.txt"
"$attune" train kws.att --data train --validation validation --epochs 15 \
  --learning-rate 0.003 --schedule cosine --checkpoint kws.atc
rm -f "$out"
"$attune" export kws.att --model untrained.onnx --checkpoint kws.atc -o "$out"

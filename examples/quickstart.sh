#!/usr/bin/env bash
# From a fresh checkout to a model that has learned a new speaker:
#   examples/quickstart.sh
#       a shipped keyword-spotting model adapts to a speaker with an Italian accent, whose recordings
#       are synthesised here
#   examples/quickstart.sh MODEL.onnx FOLDER [options of `attune adapt`]
#       your model adapts to your data: FOLDER/<class>/*.wav, *.flac, *.ogg, *.mp3, or *.png, *.jpg,
#       *.bmp. Images want --preprocess imagenet (or another). Which of the model's classes the
#       folders are is told by what it predicts for them, unless --labels FILE names its classes;
#       where it knows none of them, or with --classes N, they get a fresh classifier
# Installs the packages it needs, builds in ./build, and writes to ./quickstart.
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;; esac
[ $# -ne 1 ] || { echo "quickstart.sh: give a model and a folder, or nothing (--help)" >&2; exit 2; }

if [ $# -ge 2 ]; then
  for path in "$1" "$2"; do
    [ -e "$path" ] || { echo "quickstart.sh: $path: no such file or folder; check the path" >&2; exit 2; }
  done
  model=$(realpath "$1") data=$(realpath "$2")
  shift 2
fi
root=$(cd "$(dirname "$0")/.." && pwd)
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '$ attune %s\n' "$*"; "$root/build/bin/attune" "$@"; }

if [ -n "${model:-}" ]; then "$root/cmake/install_packages.sh" build
else "$root/cmake/install_packages.sh" build quickstart; fi
say 'Building'
cmake -S "$root" -B "$root/build" -G Ninja -Wno-dev >/dev/null
cmake --build "$root/build" --target attune
mkdir -p "$root/quickstart"
cd "$root/quickstart"
# An earlier run's results stay until there is a plan for new ones.
compile() {
  run compile "$@" -o new.att
  rm -f adapted.onnx plan.atc
  mv new.att plan.att
}

if [ -z "${model:-}" ]; then
  example=$root/examples/keyword_spotting
  say 'A new speaker: ten words, three takes to learn from and six to test on'
  rm -rf speaker
  "$example/speak.sh" speaker/train it+f3 3
  "$example/speak.sh" speaker/test it+f3 6 3
  model=$example/kws.onnx
  say 'Compile: the classifier and the biases of the last eight layers may learn'
  compile "$model" --scheme bias:8 --preprocess mfcc --labels "$example/keywords.txt"
  train=(--data speaker/train --epochs 30 --learning-rate 0.005 --schedule cosine --warmup 10)
  test=(--data speaker/test)
else
  say 'Adapt'
  rm -f adapted.onnx adapted.classes.txt
  run adapt "$model" "$data" "$@" -o adapted.onnx
  echo "Everything is in $root/quickstart"
  exit
fi

say 'Before'
run evaluate plan.att "${test[@]}"
say 'Train'
run train plan.att "${train[@]}"
say 'After'
run evaluate plan.att --checkpoint plan.atc "${test[@]}"
say 'What it took'
run inspect plan.att | sed -n '/^\$/p;/^memory/,/^$/p'
say 'The adapted model, for any ONNX runtime'
run export plan.att --model "$model" --checkpoint plan.atc -o adapted.onnx
say 'All of that in one command, which chooses what learns and how fast by itself'
rm -f chosen.onnx chosen.classes.txt
run adapt "$model" speaker/train -o chosen.onnx --preprocess mfcc --labels "$example/keywords.txt"
echo "Everything is in $root/quickstart"

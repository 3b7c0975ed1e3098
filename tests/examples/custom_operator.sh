#!/bin/bash
# Builds examples/custom_operator outside of the tree, against a built Attune, and uses it:
# custom_operator.sh EXAMPLE ATTUNE_BUILD ATTUNE
set -euo pipefail
example=$1 build=$2 attune=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fails_with() {  # fails_with TEXT COMMAND ...
  local text=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "did not fail: $*"
    exit 1
  fi
  if [[ $output != *"$text"* ]]; then
    echo "$output"
    echo "does not say '$text': $*"
    exit 1
  fi
}

cp -r "$example" source
cmake -S source -B build -Dattune_DIR="$build" >cmake.log 2>&1 || { cat cmake.log; exit 1; }
cmake --build build >build.log 2>&1 || { cat build.log; exit 1; }
snake=build/attune_snake model=source/snake.onnx

$snake compile $model -o snake.att --scheme full --loss mse --optimizer adam --quiet
$snake verify snake.att --model $model
$snake inspect snake.att | grep snake1 >/dev/null
build/snake_device snake.att
fails_with "com.example.SnakeGrad is not registered" build/snake_device snake.att --unregistered
fails_with "com.example.SnakeGrad is not registered" "$attune" inspect snake.att
fails_with "the operators of com.example are not supported" "$attune" compile $model -o other.att

# The exported model is the user's, with what was learned in it.
printf 'x,y\n0,0.1\n0.5,0.9\n1,0.2\n1.5,-0.9\n' >wave.csv
$snake train snake.att --data wave.csv --epochs 3 --learning-rate 0.01 --quiet
$snake export snake.att --model $model --checkpoint snake.atc -o learned.onnx --quiet
$snake compile learned.onnx -o learned.att --scheme full --loss mse --quiet
echo "built and used outside of the tree"

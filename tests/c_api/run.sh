#!/bin/bash
# Compiles small plans and runs the C program with them: run.sh ATTUNE MODEL PROGRAM
set -euo pipefail
attune=$1 model=$2 program=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
compile() {
  "$attune" compile "$model" -o "$folder/$1" --scheme "$2" --preprocess mfcc --batch-size 8 \
    --labels "${model%/*}/keywords.txt" "${@:3}" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
}
compile plan.att bias:8
compile keeps.att bias:8 --keep-gradients
compile other.att head
"$program" "$folder/plan.att" "$folder/keeps.att" "$folder/other.att" "$folder"

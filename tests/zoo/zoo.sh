#!/usr/bin/env bash
# Real architectures of torchvision, timm, transformers and PyTorch with random weights: exported, compiled,
# and held against autograd. `zoo.sh` measures all of them, for hours; `zoo.sh --quick` some small ones.
# What is exported and measured is kept in build/zoo: a second run measures anew what the first one left short.
#
# Needs ../shared/zoo, and a Python with PyTorch and those packages: ATTUNE_ZOO_PYTHON, or build/zoo/venv, which
# `zoo.sh` makes from the package index, and `--quick` does not. Exits with 77 where either is absent.
set -euo pipefail
cd "$(dirname "$0")/../.."
zoo=../shared/zoo work=build/zoo
packages=(torch torchvision timm transformers onnx onnxscript onnxruntime)
if [ ! -f "$zoo/zoo.py" ]; then
  echo "skipped: there is no $zoo"
  exit 77
fi
quick=
if [ "${1:-}" = --quick ]; then
  quick=1
  shift
fi
python=${ATTUNE_ZOO_PYTHON:-$work/venv/bin/python}
if [ -z "$quick" ] && [ ! -x "$python" ]; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install -q "${packages[@]}"
fi
if ! "$python" -c 'import torch, torchvision, timm, transformers, onnx, onnxscript, onnxruntime' 2>/dev/null; then
  echo "skipped: $python has not all of ${packages[*]}; tests/zoo/zoo.sh without --quick makes such a Python"
  exit 77
fi
if [ -n "$quick" ]; then
  work=$work/quick
  rm -f "$work/results.jsonl"
  set -- --only "$(paste -sd, tests/zoo/quick.txt)" --variants dynamo "$@"
fi
"$python" "$zoo/zoo.py" --attune build/bin/attune --work "$work" "$@"
[ -n "$quick" ] || "$python" tests/zoo/fed.py "$zoo" build/bin/attune "$work"
exec python3 tests/zoo/judge.py "$work/results.jsonl" ${quick:+tests/zoo/quick.txt}

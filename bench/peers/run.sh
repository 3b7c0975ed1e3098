#!/usr/bin/env bash
# Compares training steps of Attune with those of its peers, and writes docs/peers.md with it. Arguments go to
# compare.py: `bench/peers/run.sh --models mobilenet_v2 --peers pytorch,onednn --rounds 1`.
# TORCH_PYTHON=PYTHON: one with a PyTorch to measure instead of installing one (some gigabytes). OFFLINE=1: no peers
# that are not there already.
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake/install_packages.sh build bench
cmake -S . -B build -G Ninja -Wno-dev >/dev/null
cmake --build build --target attune >/dev/null
folder=build/peers
mkdir -p "$folder"
export PYTHONDONTWRITEBYTECODE=1
if cmake --build build --target onednn_graph >"$folder/onednn.log" 2>&1; then
  found=(--peer "onednn=$PWD/build/bin/onednn_graph")
else
  found=(--missing "onednn=$(tail -n 1 "$folder/onednn.log" | tr -d '|' | cut -c 1-200)")
fi

peers=pytorch,pytorch_debian,onednn,onnxruntime,tensorflow,mnn
for ((i = 1; i < $#; ++i)); do
  [ "${!i}" != --peers ] || { j=$((i + 1)) && peers=${!j}; }
done

# torch.compile, only where asked for: half a minute a process.
[[ ,$peers, != *,pytorch_compiled,* ]] || peers+=,pytorch

# peer NAME MODULE PACKAGES...: in an environment of its own, which later runs find again.
peer() {
  local name=$1 module=$2 python=$folder/venv-$1/bin/python
  [[ ,$peers, == *,$name,* ]] || return 0
  shift 2
  if ! "$python" -c "import $module" >/dev/null 2>&1; then
    if [ -n "${OFFLINE:-}" ]; then
      found+=(--missing "$name=not installed, and OFFLINE is set")
      return
    fi
    echo "Installing $*" >&2
    # ONNX Runtime's training imports PyTorch: Debian's serves.
    local site=()
    [ "$name" != onnxruntime ] || site=(--system-site-packages)
    /usr/bin/python3 -m venv "${site[@]}" "$folder/venv-$name" 2>"$folder/$name.log" &&
      "$python" -m pip install -q "$@" >"$folder/$name.log" 2>&1 || true
  fi
  if "$python" -c "import $module" >"$folder/$name.log" 2>&1; then
    found+=(--peer "$name=$PWD/$python")
  else
    found+=(--missing "$name=$(tail -n 1 "$folder/$name.log" | tr -d '|' | cut -c 1-200)")
  fi
}
if [ -n "${TORCH_PYTHON:-}" ]; then
  found+=(--peer "pytorch=$TORCH_PYTHON")
else
  peer pytorch torch torch==2.5.1 'numpy<3'
fi
for entry in "${found[@]}"; do
  [[ ,$peers, != *,pytorch_compiled,* || $entry != pytorch=/* ]] ||
    found+=(--peer "pytorch_compiled=${entry#pytorch=}")
done
peer onnxruntime onnxruntime.training.api onnxruntime-training-cpu 'onnx<1.17' 'protobuf<5' 'numpy<2'
peer tensorflow tensorflow tensorflow-cpu==2.19.1
peer mnn MNN MNN==3.6.1 'numpy<3'
if [[ ,$peers, == *,pytorch_debian,* || " ${found[*]} " == *" --missing pytorch="* ]]; then
  found+=(--peer pytorch_debian=/usr/bin/python3)
fi
exec /usr/bin/python3 bench/peers/compare.py --attune "$PWD/build/bin/attune" --folder "$folder" \
  --command "$(echo bench/peers/run.sh "$@")" "${found[@]}" "$@"

#!/usr/bin/env bash
# Installs Debian packages that are missing, quietly: install_packages.sh GROUP...
#   build       what the library and the command are built from
#   quickstart  speech synthesis for the quickstart
#   test        what the tests need besides
#   package     what Debian's packages and the Python wheel are made with
#   devices     compilers for other processors, and what runs their programs here
#   fuzz        clang with libFuzzer
#   bench       what bench/ measures with, and peers to compare with
set -euo pipefail

packages=()
for group in "$@"; do
  case $group in
    build) packages+=(g++ cmake ninja-build ccache libeigen3-dev libxnnpack-dev libpthreadpool-dev
                      libhwy-dev libflatbuffers-dev flatbuffers-compiler libfmt-dev libonnx-dev
                      libprotobuf-dev zlib1g-dev libsndfile1-dev libcli11-dev nlohmann-json3-dev
                      libjpeg62-turbo-dev libpng-dev libwebp-dev libtiff-dev libgif-dev libsodium-dev) ;;
    quickstart) packages+=(espeak-ng) ;;
    test) packages+=(doctest-dev libstb-dev espeak-ng python3 python3-dev pybind11-dev python3-numpy
                     python3-onnx python3-torch python3-torchvision python3-matplotlib
                     python3-nbclient python3-ipykernel chromium strace graphviz fonts-dejavu-core) ;;
    package) packages+=(dpkg-dev file pybind11-dev python3-dev python3-pip) ;;
    devices) packages+=(g++-aarch64-linux-gnu g++-arm-linux-gnueabihf gcc-arm-none-eabi
                        libstdc++-arm-none-eabi-newlib emscripten nodejs qemu-user qemu-system-arm) ;;
    fuzz) packages+=(clang libclang-rt-dev) ;;
    bench) packages+=(libbenchmark-dev libdnnl-dev python3 python3-numpy python3-onnx python3-torch
                      python3-torchvision python3-venv) ;;
    *) echo "install_packages.sh: unknown group '$group'" >&2; exit 2 ;;
  esac
done

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] ||
    missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "As root, run: apt-get install ${missing[*]}" >&2; exit 2; }
  as_root=(sudo)
fi
echo "Installing ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
    --no-install-recommends "${missing[@]}" >"$log" 2>&1 </dev/null
}
# The package lists may be missing or old.
"${as_root[@]}" apt-get update -qq >"$log" 2>&1 </dev/null || true
install || { cat "$log" >&2; exit 1; }

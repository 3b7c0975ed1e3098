#!/usr/bin/env bash
# The packages in a Debian with nothing else, from nothing but git; as root:
#   tests/package/minimal_root.sh 12|13 [FOLDER]
# In one bare system Debian's packages and the Python wheel are made of what is committed; in another one
# they are installed, used and removed: the shared library and the command alone, the examples in C, C++
# and Python, the Python package's tests. FOLDER: see tests/debian_root.sh; packages-made-12 in it
# receives what was made.
set -euo pipefail
repository=$(cd "$(dirname "$0")/../.." && pwd)
. "$repository/tests/debian_root.sh"
made=$folder/packages-made-$release
root=$(mktemp -d "$folder/package-root.XXXXXX")
trap 'rm -rf --one-file-system "$root"' EXIT

# fresh: another bare system, with a clone.
fresh() {
  make_root "$root"
  mkdir "$root/made"
  git clone -q "$repository" "$root/root/attune"
}
step() {  # step NAME: runs the script given to it inside.
  local log=$folder/$1-$release.log TIMEFORMAT='%0R s, %0U + %0S s of processors' took
  cat >"$root/made/$1.sh"
  took=$({ time inside "$root" /root bash -euo pipefail "/made/$1.sh" >"$log" 2>&1 </dev/null; } 2>&1) ||
    { tail -n 40 "$log"; echo "Debian $release: $1 failed, all of it: $log"; exit 1; }
  rm "$root/made/$1.sh"
  echo "Debian $release: $1 passed in $took"
}

fresh
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp /etc/ssl/certs/ca-certificates.crt "$root/made/trusted"  # for PyPI
step make_packages <<'INSIDE'
attune/cmake/install_packages.sh build package
attune/cmake/debian_packages.sh /root/attune/build-debian
cp attune/build-debian/debian/*.deb /made/
# With Debian's own scikit-build-core where it has one; else with PyPI's. What was compiled for the packages
# is compiled alike for the wheel.
isolation=
[ ! -e /made/trusted ] || export PIP_CERT=/made/trusted
if apt-get install -qq -y --no-install-recommends python3-scikit-build-core python3-pybind11; then
  isolation=--no-build-isolation
fi
export CC=cc CXX=c++ CMAKE_ARGS="${ATTUNE_WERROR:+-DATTUNE_WERROR=$ATTUNE_WERROR}"
python3 -m pip wheel --no-deps $isolation -w /made attune/python
INSIDE
rm -rf "$made" "$root/made/trusted"
mv "$root/made" "$made"

fresh
cp "$made"/* "$root/made/"
step use_packages <<'INSIDE'
source=/root/attune attune=/usr/bin/attune
. $source/tests/package/examples.sh
mkdir work
cd work
install() { quietly apt-get install -qq -y --no-install-recommends "$@"; }
apt-get update -qq

# The command, and with it the shared library.
install /made/libattune0_*.deb /made/attune-tools_*.deb
ldconfig -p | grep libattune.so.0 >/dev/null
! ldd $attune | grep 'not found'
attune --help | grep ' train ' >/dev/null
attune train --help | grep -- --learning-rate >/dev/null
make_inputs
attune inspect policy.att | grep '^total'
attune train policy.att --data table.csv --epochs 20 --learning-rate 0.05 --quiet
attune evaluate policy.att --checkpoint policy.atc --data table.csv | tee out
grep -qE '^accuracy +(9[0-9]|100)' out
attune export policy.att --model $source/examples/cartpole/policy.onnx --checkpoint policy.atc -o adapted.onnx

# Python: the wheel, beside Debian's NumPy.
install python3 python3-venv python3-numpy
python3 -m venv --system-site-packages venv
quietly venv/bin/pip install --no-index --no-deps /made/attune-*.whl
venv/bin/python $source/examples/embedding/adapt.py $source/examples/cartpole/policy.onnx table.csv adapted.onnx |
  tee out
grep -qE '^accuracy [0-9.]+ % before, (9[0-9]|100)[0-9.]* % after' out
venv/bin/attune inspect policy.att >out
ATTUNE_COMMAND=$attune venv/bin/python -m unittest discover -s $source/tests/python -t $source/tests/python

# C and C++, by CMake and pkg-config.
install /made/libattune-dev_*.deb g++ gcc make cmake pkg-config
for shared in OFF ON; do
  quietly cmake -S $source/examples/embedding -B build-$shared -DBUILD_SHARED_LIBS=$shared
  quietly cmake --build build-$shared
  runs build-$shared
done
build-OFF/compile_model $source/examples/cartpole/policy.onnx compiled.att full
build-ON/own_data compiled.att
ldd build-ON/own_data | grep libattune.so.0 >/dev/null
mkdir pkg-config
for program in own_data:attune files:attune-io; do
  quietly g++ -std=c++20 $source/examples/embedding/${program%:*}.cpp -o pkg-config/${program%:*} \
    $(pkg-config --cflags --libs ${program#*:})
done
runs pkg-config
quietly cmake -S $source/examples/c_api -B build-c
quietly cmake --build build-c
bash $source/tests/c_api/example.sh $attune $source/examples/keyword_spotting/kws.onnx $PWD/build-c/train_keywords

quietly apt-get remove -qq -y libattune0 libattune-dev attune-tools
! find /usr -name '*attune*' ! -path '*/share/doc/*' | grep . || fail "that was left behind"
INSIDE

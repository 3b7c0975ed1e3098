#!/bin/bash
# A library for one plan's operators, in a project that embeds the source: what it takes, that it trains,
# and that it refuses what it lacks by name: slim.sh SOURCE ATTUNE FOLDER, where FOLDER is built in.
set -euo pipefail
source=$1 attune=$2 work=$3
most=120000  # bytes, stripped
mkdir -p "$work"
cd "$work"
. "$source/tests/package/examples.sh"
policy=$source/examples/cartpole/policy.onnx
keywords=$source/examples/keyword_spotting/kws.onnx
"$attune" compile "$policy" -o policy.att --scheme full --loss cross_entropy --quiet
"$attune" compile "$policy" -o adam.att --scheme full --loss cross_entropy --optimizer adam --quiet
"$attune" compile "$keywords" -o keywords.att --scheme bias:8 --preprocess mfcc --quiet

# Nothing is found but FlatBuffers' headers.
mkdir -p root/include
ln -sfn "$(dirname "$(echo '#include <flatbuffers/base.h>' | c++ -E -x c++ - | sed -n 's/^# 1 "\([^"]*base.h\)".*/\1/p' | head -1)")" root/include/flatbuffers
configure() {  # configure FOLDER PLAN
  cmake -G Ninja -S "$source/tests/package/slim" -B "$1" -DATTUNE_SOURCE="$source" -DATTUNE_COMMAND="$attune" \
    -DPLAN="$work/$2" -DCMAKE_FIND_ROOT_PATH="$work/root" -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY \
    -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY -DCMAKE_FIND_ROOT_PATH_MODE_PACKAGE=ONLY \
    -DCMAKE_CXX_COMPILER_LAUNCHER="$(command -v ccache || true)"
}
for plan in policy keywords; do
  quietly configure build-$plan $plan.att
  quietly cmake --build build-$plan --target own_data
  strip -o stripped build-$plan/own_data
  bytes=$(stat -c %s stripped)
  echo "a program of the library for $plan.att: $bytes bytes"
  [ "$bytes" -le $most ] || fail "at most $most are allowed"
done
# Options of Attune's own targets are not those of the project.
grep -A1 '"command".*own_data.cpp' build-policy/compile_commands.json >command
! grep -qE -- '-Wall|-ffp-contract|-fno-exceptions' command || fail "own_data is compiled with options of Attune's: $(cat command)"

build-policy/own_data policy.att >out || { cat out; fail "own_data does not train"; }
grep -qE 'before, (9[0-9]|100)[0-9.]* % after' out || { cat out; fail "own_data learns nothing"; }
refused() {  # refused PROGRAM PLAN TEXT
  ! "$1" "$2" >out 2>&1 || fail "$1 takes $2"
  grep -q -- "this library was built without .*$3" out || { cat out; fail "$1 does not say '$3' of $2"; }
}
refused build-policy/own_data adam.att "adam in f32"
refused build-policy/own_data keywords.att "conv2d in f32"
quietly cmake --build build-policy --target other_type
refused build-policy/other_type policy.att "in f32"

# What there is none of is said when it is asked for.
for wrong in -DATTUNE_OPERATORS=conv3d -DATTUNE_TYPES=f16 "-DATTUNE_BACKENDS=reference;simd" -DATTUNE_BACKENDS=cuda -DATTUNE_PTHREADPOOL=ON; do
  rm -rf wrong
  ! cmake -S "$source" -B wrong -DATTUNE_HOST=OFF -DATTUNE_IO=OFF "$wrong" -DCMAKE_FIND_ROOT_PATH="$work/root" \
    -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY >out 2>&1 || fail "takes $wrong"
  option=${wrong#-D}
  grep -q "${option%%=*}:" out || { cat out; fail "does not say what is wrong with $wrong"; }
done
echo "small, trains, and refuses by name what it lacks"

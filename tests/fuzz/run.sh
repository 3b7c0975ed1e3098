#!/usr/bin/env bash
# Fuzzes every reader of foreign bytes with libFuzzer, under ASan and UBSan.
#   run.sh TOTAL [FOLDER]     TOTAL inputs, spread over all targets: run.sh 10000000
#   run.sh --quick [FOLDER]   what a device reads, a second each; status 77 where clang has no libFuzzer
# FOLDER (build/fuzz) holds the build, what was learned (corpus/TARGET) and what was found (found/): a
# next run goes on there. TARGETS="png tiff" chooses some; each gets its share, as among all.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,7s/^# //p' "$0" >&2; exit 2; }
total=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mkdir -p "${2:-$root/build/fuzz}" && cd "${2:-$root/build/fuzz}" && pwd)
seeder=${ATTUNE_FUZZ_SEEDER:-$root/build/bin/test_fuzz}

clang=${CLANGXX:-$(command -v clang++ || command -v clang++-14 || true)}
echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' >"$folder/try.cpp"
if [ -z "$clang" ] || ! "$clang" -fsanitize=fuzzer,address "$folder/try.cpp" -o "$folder/try" 2>/dev/null; then
  echo "no clang++ with libFuzzer: cmake/install_packages.sh fuzz installs it" >&2
  exit 77
fi
[ -x "$seeder" ] || { echo "$seeder makes the seeds; build it: cmake --build build --target test_fuzz" >&2; exit 2; }

host=ON
[ "$total" != --quick ] || host=OFF
cmake -S "$root" -B "$folder/$host" -G Ninja -Wno-dev -DATTUNE_FUZZ=ON -DATTUNE_HOST=$host \
  -DCMAKE_UNITY_BUILD=ON -DCMAKE_CXX_COMPILER="$clang" >/dev/null
ninja -C "$folder/$host" ${FUZZ_NINJA_OPTIONS:-} fuzz >"$folder/build.log" || { tail -30 "$folder/build.log" >&2; exit 1; }

mkdir -p "$folder/corpus" "$folder/found"
ATTUNE_FUZZ_SEEDS=$folder/corpus "$seeder" --test-case="seeds are written*" >/dev/null
# Shares of a hundred: the fewer, the longer one takes.
device="plan:14 png:11 webp:11 npy:11 pnm:10 checkpoint:6 jpeg:6 tiff:5 npz:4 idx:4 bmp:4 gif:3 csv:2 manifest:2 sound:1"
models="json:2 onnx:2 tflite:2"
[ $host = ON ] || models=
export UBSAN_OPTIONS=print_stacktrace=1
executed=0
bad=0
for share in $device $models; do
  target=${share%:*}
  [[ " ${TARGETS:-$target} " = *" $target "* ]] || continue
  if [ "$total" = --quick ]; then limit=-max_total_time=1; else limit=-runs=$((total * ${share#*:} / 100)); fi
  mkdir -p "$folder/corpus/$target"
  begun=$SECONDS
  if ! "$folder/$host/bin/fuzz_$target" $limit -max_len=65536 -timeout=20 -rss_limit_mb=2048 \
    -print_final_stats=1 -verbosity=1 -artifact_prefix="$folder/found/$target-" "$folder/corpus/$target" \
    >"$folder/$target.log" 2>&1; then
    bad=1
    echo "$target: see $folder/$target.log" >&2
    grep -m3 -E "ERROR|runtime error|SUMMARY" "$folder/$target.log" >&2 || true
  fi
  done_now=$(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/$target.log" | tail -1)
  executed=$((executed + ${done_now:-0}))
  echo "$target ${done_now:-0} in $((SECONDS - begun)) s"
done
echo "total $executed in $SECONDS s"
exit $bad

#!/bin/bash
# The example hears what the command hears, and goes on where it stopped: example.sh ATTUNE MODEL PROGRAM
set -euo pipefail
attune=$1 model=$2 program=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 - "${model%/*}/keywords.txt" <<'PYTHON'
import math, os, struct, sys, wave
words = open(sys.argv[1]).read().split()
for i in range(4 * len(words)):
    word = words[i % len(words)]
    for root in ["all"] + (["held"] if i % 5 == 4 else []):
        os.makedirs(f"{root}/{word}", exist_ok=True)
        with wave.open(f"{root}/{word}/{i:02}.wav", "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(16000)
            pitch = 200 + 150 * (i % len(words)) + 5 * i
            out.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(pitch * n * math.tau / 16000)))
                                     for n in range(9000 + 300 * i)))
PYTHON
"$attune" compile "$model" -o plan.att --scheme bias:8 --preprocess mfcc \
  --labels "${model%/*}/keywords.txt" >log 2>&1 || { cat log; exit 1; }
recordings=$(for i in $(seq -w 0 39); do echo all/*/"$i".wav; done)
# shellcheck disable=SC2086
"$program" plan.att plan.atc 0.001 $recordings | tee first
grep -q '^out of time after 1 steps of 120; ' first
loss=$(sed -n 's/.* \([0-9.]*\) before$/\1/p' first)
"$attune" evaluate plan.att --data held --json >told.json 2>log || { cat log; exit 1; }
python3 -c "import json, sys; loss = json.load(open('told.json'))['loss']; sys.exit(abs(loss - $loss) > 1e-3 * loss)" ||
  { echo "the command measures something else:"; cat told.json; exit 1; }
# shellcheck disable=SC2086
"$program" plan.att plan.atc 60 $recordings | tail -1 | tee second
grep -q '^finished after ' second

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
for i in range(5 * len(words)):
    word, take = sorted(words)[i // 5], i % 5
    for root in ["all"] + (["held"] if take == 4 else []):
        os.makedirs(f"{root}/{word}", exist_ok=True)
        with wave.open(f"{root}/{word}/{take}.wav", "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(16000)
            pitch = 200 + 150 * (i // 5) + 5 * take
            out.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(pitch * n * math.tau / 16000)))
                                     for n in range(9000 + 1500 * take)))
PYTHON
"$attune" compile "$model" -o plan.att --scheme bias:8 --preprocess mfcc \
  --labels "${model%/*}/keywords.txt" >log 2>&1 || { cat log; exit 1; }
"$program" plan.att plan.atc 0.001 all/*/*.wav | tee first
grep -q '^out of time after 1 steps of 150; ' first
loss=$(sed -n 's/.* \([0-9.]*\) before$/\1/p' first)
"$attune" evaluate plan.att --data held --json >told.json 2>log || { cat log; exit 1; }
python3 -c "import json, sys; loss = json.load(open('told.json'))['loss']; sys.exit(abs(loss - $loss) > 1e-3 * loss)" ||
  { echo "the command measures something else:"; cat told.json; exit 1; }
"$program" plan.att plan.atc 60 all/*/*.wav | tail -1 | tee second
grep -q '^finished after ' second
best=$(sed -n 's/.*loss \([0-9.]*\) at best.*/\1/p' second)
python3 -c "import sys; sys.exit(not $best < $loss / 2)" || { echo "it has not learned: $loss before, $best at best"; exit 1; }

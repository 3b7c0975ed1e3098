#!/usr/bin/env bash
# Synthesises one speaker saying every keyword: speak.sh FOLDER VOICE TAKES [FIRST_TAKE] [PITCH]
# FOLDER/<word>/<voice>_<take>.wav; takes differ in pace, pitch, loudness and emphasis, always the
# same ones for the same numbers. Voices are espeak-ng's: en-us+f2, en-gb+m3 ...
set -euo pipefail
folder=$1 voice=$2 takes=$3 first=${4:-0} base_pitch=${5:-50}

for word in down go left no off on right stop up yes; do
  mkdir -p "$folder/$word"
  seed=$(printf '%s %s' "$voice" "$word" | cksum | cut -d' ' -f1)
  for ((take = first; take < first + takes; take++)); do
    # A small generator of its own, so that every take is the same on every machine.
    random=$(((seed + take * 7919) * 1103515245 % 2147483648))
    pace=$((120 + random / 7 % 90))        # words a minute
    pitch=$((base_pitch - 18 + random / 631 % 36))
    loudness=$((60 + random / 22189 % 100))
    espeak-ng -v "$voice" -s "$pace" -p "$pitch" -a "$loudness" \
      -w "$folder/$word/${voice//+/_}_$take.wav" "$word"
  done
done

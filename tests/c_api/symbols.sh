#!/bin/bash
# A library of the C API alone shows the functions of attune.h, and nothing else:
# symbols.sh HEADER LIBRARY
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sed -n '/^ATTUNE_API/,/;/p' "$1" | tr '\n' ' ' | tr ';' '\n' |
  sed -n 's/.*\b\(attune_[a-z0-9_]*\)(.*/\1/p' | sort -u >"$folder/declared"
nm -D --defined-only "$2" | awk '{print $3}' | sort -u >"$folder/shown"
[ "$(wc -l <"$folder/declared")" = "$(grep -c '^ATTUNE_API' "$1")" ] || { echo "not understood: $1"; exit 1; }
diff "$folder/declared" "$folder/shown"

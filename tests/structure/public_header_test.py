#!/usr/bin/env python3
"""What attune/attune.hpp costs whoever includes it: public_header_test.py COMPILER."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = [ROOT / "engine/include", ROOT / "kernels/include"]
COMPILER = sys.argv[1]
MOST_LINES = 2000
# The standard headers that may be included, and all that are smaller than each of these.
LARGEST = ["memory", "span", "string_view"]


def preprocessed(text):
    """Lines of code after preprocessing, and the files that they are of."""
    command = [COMPILER, "-std=c++20", "-E", "-x", "c++", "-"] + [f"-I{f}" for f in FOLDERS]
    out = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    lines, files = 0, set()
    for line in out.splitlines():
        marker = re.match(r'# \d+ "([^"]+)"', line)
        if marker:
            files.add(marker[1])
        elif line.strip():
            lines += 1
    return lines, files


def faults(header):
    lines, files = preprocessed(f"#include <{header}>\n")
    ours = [f for f in files if pathlib.Path(f).is_relative_to(ROOT)]
    standard = sorted({m for f in ours for m in re.findall(
        r"^\s*#\s*include\s*<([^>]+)>", pathlib.Path(f).read_text(), re.M) if "/" not in m})
    for file in files:
        if "flatbuffers" in file or file.endswith("_generated.h"):
            yield f"{header} reaches {file}"
    for file in ours:
        if not any(pathlib.Path(file).is_relative_to(folder) for folder in FOLDERS):
            yield f"{header} reaches {file}, which is not installed"
    limit = min(preprocessed(f"#include <{s}>\n")[0] for s in LARGEST)
    for name in standard:
        if name not in LARGEST and preprocessed(f"#include <{name}>\n")[0] > limit:
            yield f"{header} includes <{name}>, which is larger than one of <{'>, <'.join(LARGEST)}>"
    added = lines - preprocessed("".join(f"#include <{s}>\n" for s in standard))[0]
    print(f"{header}: {added} lines beside those of {len(standard)} standard headers")
    assert added > 100, "the count is wrong"
    if added >= MOST_LINES:
        yield f"{header} adds {added} lines, of {MOST_LINES} allowed"


found = list(faults("attune/attune.hpp"))
print("\n".join(found))
sys.exit(1 if found else 0)

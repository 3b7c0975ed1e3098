#!/usr/bin/env python3
"""What a program relies on that was compiled with attune.h: functions, values, where fields lie.

  abi.py --check CC      the header is as recorded (abi.txt)
  abi.py --record CC     records it; refuses where what was there has changed and
                         ATTUNE_ABI_VERSION is the old one
  abi.py --self-test CC  shows that changes are found
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
HEADER = HERE.parents[1] / "engine/include/attune/attune.h"
RECORD = HERE / "abi.txt"


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def squeezed(text):
    return re.sub(r"\s*([(),*;])\s*", r"\1", " ".join(text.split())).replace("*", " *").strip()


def functions(text):
    body = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return sorted(squeezed(found) for found in re.findall(r"\bATTUNE_API\s+([^;{]+);", body))


def typedefs(text):
    """Of functions and numbers; of a structure, its name."""
    simple = re.findall(r"\btypedef\s+([^;{]+);", text)
    return sorted(squeezed(found) for found in simple)


def constants(text):
    names = re.findall(r"^#define\s+(ATTUNE_(?!API\b|ATTUNE_H\b)\w+)\s+\S", text, flags=re.M)
    for body in re.findall(r"\benum\s*\{(.*?)\}", text, flags=re.S):
        names += re.findall(r"\b(ATTUNE_\w+)", body)
    return list(dict.fromkeys(names))


def structures(text):
    """Name, and fields as (declaration, name)."""
    for name, body in re.findall(r"\bstruct\s+(attune_\w+)\s*\{(.*?)\n\}", text, flags=re.S):
        fields = []
        for declaration in body.split(";"):
            declaration = squeezed(declaration)
            if not declaration:
                continue
            pointer = re.search(r"\(\s*\*\s*(\w+)\)\s*\(", declaration)
            if pointer:
                fields.append((declaration, pointer[1]))
                continue
            kind, names = re.match(r"(.*?)((?:\w+(?:\[\w+\])?,)*\w+(?:\[\w+\])?)$", declaration).groups()
            for each in names.split(","):
                fields.append((kind.strip() + " " + each, re.match(r"\w+", each)[0]))
        yield name, fields


def describe(header, cc):
    """The ABI as lines. Sizes and places are those of the compiler's target."""
    text = without_comments(header.read_text())
    probe = ['#include "attune/attune.h"', "#include <stdio.h>", "int main(void) {"]
    for name in constants(text):
        probe.append(f'  printf("value {name} %lld\\n", (long long)({name}));')
    for name, fields in structures(text):
        probe.append(f'  printf("struct {name} %zu bytes\\n", sizeof({name}));')
        for declaration, field in fields:
            probe.append(f'  printf("field {name}.{field} at %zu, %zu bytes: {declaration}\\n",'
                         f' offsetof({name}, {field}), sizeof((({name}*)0)->{field}));')
    probe += ["  return 0;", "}", ""]
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "probe.c"
        source.write_text("\n".join(probe))
        program = str(pathlib.Path(folder) / "probe")
        subprocess.run([cc, "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror",
                        f"-I{header.parents[1]}", "-o", program, str(source)], check=True)
        probed = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    lines = probed.splitlines()
    lines += [f"function {f}" for f in functions(text)]
    lines += [f"typedef {t}" for t in typedefs(text)]
    return lines


def version_of(lines):
    return next(int(line.split()[-1]) for line in lines if line.startswith("value ATTUNE_ABI_VERSION"))


def broken(before, after):
    """What a program compiled before would miss: all but what was appended."""
    now = set(after)
    return [line for line in before
            if line not in now and not line.startswith("value ATTUNE_ABI_VERSION")
            # A structure may grow at its end: its size is told with it.
            and not (line.startswith("struct ") and grew(line, after))]


def grew(line, after):
    name, size = line.split()[1:3]
    return any(other.startswith(f"struct {name} ") and int(other.split()[2]) > int(size)
               for other in after)


def check(header, cc, record):
    before, after = record.read_text().splitlines(), describe(header, cc)
    if before == after:
        return []
    faults = [f"was: {line}" for line in before if line not in after]
    faults += [f"is:  {line}" for line in after if line not in before]
    return faults or ["the order has changed"]


def refusal(before, after):
    """Why `after` may not be recorded over `before`; empty: it may."""
    gone = broken(before, after)
    if gone and version_of(after) <= version_of(before):
        return ["changed or gone, so raise ATTUNE_ABI_VERSION:"] + gone
    if version_of(after) < version_of(before):
        return ["ATTUNE_ABI_VERSION went back"]
    return []


def self_test(cc):
    original = HEADER.read_text()

    def judged(name, pattern, replacement, may):
        text, count = re.subn(pattern, replacement, original, count=1, flags=re.S)
        assert count == 1, f"{name}: nothing was changed"
        with tempfile.TemporaryDirectory() as folder:
            header = pathlib.Path(folder) / "attune" / "attune.h"
            header.parent.mkdir()
            header.write_text(text)
            assert check(header, cc, RECORD), f"{name}: not seen"
            assert (not refusal(RECORD.read_text().splitlines(), describe(header, cc))) == may, name

    function = r"ATTUNE_API const char\* attune_build\(void\);"
    field = r"  int64_t examples;\n\} attune_evaluation;"
    # These break programs.
    judged("a function goes", function, "", False)
    judged("a function returns something else", function, "ATTUNE_API int attune_build(void);", False)
    judged("a parameter changes", r"int64_t count,\s+const char\* output", "int32_t count, const char* output",
           False)
    judged("a value changes", r"ATTUNE_ERROR_RUN = 7", "ATTUNE_ERROR_RUN = 17", False)
    judged("a constant changes", r"ATTUNE_MAX_RANK 6", "ATTUNE_MAX_RANK 8", False)
    judged("fields change places", r"double loss;(\s*/\*[^*]*\*/)?\s*double accuracy;",
           "double accuracy; double loss;", False)
    judged("a field goes", field, "} attune_evaluation;", False)
    judged("a field comes in the middle", field, "  int64_t more; int64_t examples;\n} attune_evaluation;",
           False)
    judged("a type is another number", r"typedef int32_t attune_status;", "typedef int64_t attune_status;",
           False)
    judged("a callback takes something else", r"typedef void \(\*attune_task\)\(void\* argument, int64_t index\)",
           "typedef void (*attune_task)(void* argument, int32_t index)", False)
    # These do not, but have to be recorded.
    judged("a function comes", function, "ATTUNE_API int attune_new(void);\n" + "ATTUNE_API const char* attune_build(void);",
           True)
    judged("a field comes at the end", field, "  int64_t examples; int64_t more;\n} attune_evaluation;", True)
    judged("a value comes", r"ATTUNE_ERROR_STOPPED = 8", "ATTUNE_ERROR_STOPPED = 8, ATTUNE_ERROR_NEW = 9",
           True)
    # And with another version, everything may change.
    changed = original.replace("ATTUNE_ERROR_RUN = 7", "ATTUNE_ERROR_RUN = 17")
    raised = re.sub(r"(#define ATTUNE_ABI_VERSION) (\d+)", lambda m: f"{m[1]} {int(m[2]) + 1}", changed)
    with tempfile.TemporaryDirectory() as folder:
        header = pathlib.Path(folder) / "attune" / "attune.h"
        header.parent.mkdir()
        header.write_text(raised)
        assert check(header, cc, RECORD) and not refusal(RECORD.read_text().splitlines(), describe(header, cc))


def main():
    mode, cc = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else os.environ.get("CC", "cc")
    if mode == "--self-test":
        self_test(cc)
        return 0
    if mode == "--record":
        after = describe(HEADER, cc)
        why = refusal(RECORD.read_text().splitlines(), after) if RECORD.exists() else []
        if not why:
            RECORD.write_text("\n".join(after) + "\n")
    else:
        why = check(HEADER, cc, RECORD)
        if why:
            why.append("attune.h differs from tests/c_api/abi.txt; run tests/c_api/abi.py --record cc")
    print("\n".join(why))
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""The dependency rule: which folder may include which, and what the device library links."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A folder, and the folders of ours whose headers it may include besides its own.
MAY_USE = {
    "kernels": set(),
    "engine": {"kernels"},
    "engine/io": {"engine", "kernels"},
    "graph": {"engine", "kernels"},
    "sparse_update": {"graph", "engine", "kernels"},
    "cli": {"sparse_update", "graph", "engine", "engine/io", "kernels"},
}
# Libraries that are the host's alone.
HOST_ONLY = re.compile(
    r"^\s*#\s*include\s*[<\"](fmt|CLI|nlohmann|onnx|google/protobuf|doctest)[/.]")
READERS_ONLY = re.compile(
    r"^\s*#\s*include\s*[<\"](zlib|png|jpeglib|jerror|tiffio|gif_lib|sndfile|webp/\w+)\.h[>\"]")
# Only graph/import knows a model's file format.
FORMATS = re.compile(
    r"^\s*#\s*include\s*[<\"](onnx/|google/protobuf/|graph/import/onnx/)|\bonnx::|Onnx")
INCLUDE = re.compile(r"^\s*#\s*include\s*\"([^\"]+)\"")


def folder_of(path):
    """The longest of our folders that the path lies in."""
    hits = [f for f in MAY_USE if path.startswith(f + "/")]
    return max(hits, key=len) if hits else None


def faults():
    for folder in MAY_USE:
        for source in sorted((ROOT / folder).rglob("*")):
            name = source.relative_to(ROOT).as_posix()
            if source.suffix not in {".h", ".cpp", ".def"} or folder_of(name) != folder:
                continue
            for number, line in enumerate(source.read_text().splitlines(), 1):
                where = f"{name}:{number}"
                if folder in {"kernels", "engine", "engine/io"} and HOST_ONLY.match(line):
                    yield f"{where}: device code includes a host library: {line.strip()}"
                if not name.startswith("graph/import/") and FORMATS.search(line):
                    yield f"{where}: only graph/import may know a model's format: {line.strip()}"
                if folder in {"kernels", "engine"} and READERS_ONLY.match(line):
                    yield f"{where}: only engine/io may include this: {line.strip()}"
                if folder in {"kernels", "engine"} and re.search(r"\b(throw|dynamic_cast|typeid)\b",
                                                                  line.split("//")[0]):
                    yield f"{where}: device code works without exceptions and RTTI: {line.strip()}"
                match = INCLUDE.match(line)
                if not match:
                    continue
                target = folder_of(match[1])
                if target and target != folder and target not in MAY_USE[folder]:
                    yield f"{where}: {folder} must not depend on {target}: {line.strip()}"


def reached_from(header):
    """What a header includes, and what these include, as far as it is ours or named."""
    seen, waiting = set(), [header]
    while waiting:
        for line in waiting.pop().read_text().splitlines():
            match = re.match(r"^\s*#\s*include\s*[<\"]([^>\"]+)[>\"]", line)
            if not match or match[1] in seen:
                continue
            seen.add(match[1])
            for base in (ROOT, ROOT / "engine/include", ROOT / "kernels/include"):
                if (base / match[1]).is_file():
                    waiting.append(base / match[1])
    return seen


PUBLIC_HEADERS = sorted((ROOT / "engine/include/attune").glob("*.h")) + sorted(
    (ROOT / "kernels/include/attune").glob("*.h"))


def public_header_faults():
    for header in PUBLIC_HEADERS:
        for name in sorted(reached_from(header)):
            if "/" in name and not name.startswith("attune/"):
                yield f"{header.name}: a public header reaches {name}"


# What is known of an operator is said in its row: elsewhere nobody lists operators, but for these.
LISTS = {
    "bench/operators/calls.cpp": "makes calls to measure, each operator with operands of its own",
    "engine/kernel_choice.cpp": "which backend is faster, as measured",
    "graph/passes/to_channels_last.cpp": "rows of any shape, of which each moves axes in its own way",
    "graph/slicing/piece_emitter.cpp": "what cuts pieces, puts them together and adds them up",
    "graph/slicing/micro_batches.cpp": "writes the weighted sum out",
    "graph/slicing/stream_examples.cpp": "what only copies is not worth it",
    "graph/training/head.cpp": "what a classifier is made of, and may be followed by",
    "graph/training/loss.cpp": "losses and their gradients",
    "graph/training/optimizer.cpp": "what each optimizer does to whole tensors, and to rows of tables",
    "sparse_update/layers.cpp": "what may stand between a layer and its norm or bias",
}
MOST_LISTS = 10
MOST_OPERATORS = 3


def lists():
    for folder in MAY_USE | {"bench": set()}:
        for source in sorted((ROOT / folder).rglob("*")):
            name = source.relative_to(ROOT).as_posix()
            if source.suffix not in {".h", ".cpp"} or name.startswith(
                    ("kernels/", "graph/rules/", "graph/import/")):
                continue
            operators = set(re.findall(r"\bOp::([a-z_0-9]+)", source.read_text()))
            if len(operators) > MOST_OPERATORS:
                yield name, len(operators)


def list_faults():
    found = dict(lists())
    for name, count in found.items():
        if name not in LISTS:
            yield f"{name}: names {count} operators; ask their signatures (graph/rules/cut.h) instead"
    for name in LISTS:
        if name not in found:
            yield f"{name}: has no list of operators any more; take it off the exceptions here"
    if len(LISTS) > MOST_LISTS:
        yield f"{len(LISTS)} exceptions for lists of operators, of {MOST_LISTS} allowed"


def main():
    found = list(faults()) + list(list_faults()) + list(public_header_faults())
    print("\n".join(found))
    # The rule itself must be able to fail: these are what it is for.
    assert folder_of("engine/io/wav.h") == "engine/io" and folder_of("graph/ir/graph.h") == "graph"
    assert "graph" not in MAY_USE["engine"] and "sparse_update" not in MAY_USE["kernels"]
    for line in ("#include <onnx/onnx_pb.h>", '#include "graph/import/onnx/file/onnx_model.h"',
                 "  onnx::ModelProto proto;", "void f(const OnnxModel& model);"):
        assert FORMATS.search(line), line
    assert not FORMATS.search("// reads ONNX models")
    assert "engine/format/plan_generated.h" in reached_from(ROOT / "engine/format/bound_step.h")
    assert "attune/tensor.h" in reached_from(ROOT / "engine/include/attune/session.h")
    assert len(PUBLIC_HEADERS) > 15
    sys.exit(1 if found else 0)


main()

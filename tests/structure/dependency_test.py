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
READERS_ONLY = re.compile(r"^\s*#\s*include\s*[<\"](stb|zlib\.h)")
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


def main():
    found = list(faults())
    print("\n".join(found))
    # The rule itself must be able to fail: these are what it is for.
    assert folder_of("engine/io/wav.h") == "engine/io" and folder_of("graph/ir/graph.h") == "graph"
    assert "graph" not in MAY_USE["engine"] and "sparse_update" not in MAY_USE["kernels"]
    for line in ("#include <onnx/onnx_pb.h>", '#include "graph/import/onnx/onnx_model.h"',
                 "  onnx::ModelProto proto;", "void f(const OnnxModel& model);"):
        assert FORMATS.search(line), line
    assert not FORMATS.search("// reads ONNX models")
    sys.exit(1 if found else 0)


main()

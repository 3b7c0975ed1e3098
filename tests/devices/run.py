#!/usr/bin/env python3
"""Builds the device library for a target, trains on an emulated one, and holds it against this machine.

run.py TARGET --attune COMMAND --host TRAIN --host-by-c TRAIN --build FOLDER. Status 77: the target's tools are missing.
"""
import argparse
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

import plan_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/devices"
KEYWORDS = ROOT / "examples/keyword_spotting"
MCUNET = ROOT / "../shared/models/mcunet-5fps-f32.onnx"
STEPS, MCUNET_STEPS = 30, 8
STACK_LIMIT = 4096
M7_PLAN = 0x100000  # cortex_m.ld

LINUX_TESTS = ["test_kernels", "test_backends", "test_training", "test_c_api"]


class Target:
    """What a target is built with and runs on: tools, and the Debian packages that have them."""

    def __init__(self, toolchain, tools, build_type="Release", programs=("train", "train_by_c")):
        self.toolchain, self.tools, self.build_type = toolchain, tools, build_type
        self.programs = list(programs)


TARGETS = {
    "aarch64": Target("aarch64-linux-gnu",
                      {"aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu", "qemu-aarch64": "qemu-user"},
                      programs=["train", "train_by_c"] + LINUX_TESTS),
    "armhf": Target("arm-linux-gnueabihf",
                    {"arm-linux-gnueabihf-g++": "g++-arm-linux-gnueabihf", "qemu-arm": "qemu-user"}),
    "wasm": Target("wasm32", {"em++": "emscripten", "node": "nodejs"}),
    "cortex_m7": Target("cortex-m7",
                        {"arm-none-eabi-g++": "gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib",
                         "qemu-system-arm": "qemu-system-arm"}, build_type="MinSizeRel"),
}


def run(command, **options):
    return subprocess.run([str(part) for part in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options)


def checked(command, **options):
    done = run(command, **options)
    if done.returncode != 0:
        print(" ".join(map(str, command)), done.stdout, sep="\n")
        sys.exit("failed")
    return done.stdout


def build(name, folder, build_type=None, programs=None):
    target = TARGETS[name]
    # Of what emscripten's packages are made of, one is not where node looks.
    os.environ.setdefault("NODE_PATH", "/usr/share/nodejs")
    checked(["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", "-Wno-dev", "-DATTUNE_WERROR=ON",
             f"-DCMAKE_BUILD_TYPE={build_type or target.build_type}",
             f"-DCMAKE_TOOLCHAIN_FILE={ROOT}/cmake/toolchains/{target.toolchain}.cmake"])
    checked(["cmake", "--build", folder, "--target", *(programs or target.programs)])


def command(name, folder, plan, steps, program="train"):
    """What trains a plan on the emulated target."""
    program = folder / "bin" / program
    if name == "cortex_m7":
        return ["qemu-system-arm", "-M", "mps2-an500", "-nographic", "-monitor", "none", "-serial",
                "none", "-icount", "shift=0",
                "-semihosting-config", f"enable=on,target=native,arg=train,arg={steps}",
                "-device", f"loader,file={plan},addr={M7_PLAN},force-raw=on",
                "-kernel", program.with_suffix(".elf")]
    if name == "wasm":
        return ["node", HERE / "wasm.mjs", program.with_suffix(".wasm"), plan, steps]
    return [*emulator(folder), program, plan, steps]


def emulator(folder):
    return (folder / "emulator").read_text().split(";")


def lines_of(output):
    """A program's lines, by their first word."""
    lines = {}
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        lines.setdefault(word, []).append(rest)
    return lines


def computed(lines):
    return {word: lines.get(word) for word in ("loss", "state", "evaluated", "checkpoint")}


def numbers(lines, word):
    parts = lines[word][0].split()
    return {parts[i]: int(parts[i + 1]) for i in range(0, len(parts), 2)}


class Run:
    def __init__(self, name, attune, hosts, folder):
        self.name, self.attune, self.hosts, self.folder = name, attune, hosts, folder
        self.faults = []

    def compile(self, model, plan, *options):
        checked([self.attune, "compile", model, "-o", plan, "--backend", "reference", "--quiet",
                 *options])
        return plan

    def keywords(self, folder, batch=8):
        return self.compile(KEYWORDS / "kws.onnx", folder / f"keywords-{batch}.att", "--scheme", "bias:8",
                            "--preprocess", "mfcc", "--labels", KEYWORDS / "keywords.txt",
                            "--batch-size", batch)

    def mcunet(self, folder, scheme=99):
        return self.compile(MCUNET, folder / f"mcunet-{scheme}.att", "--classes", "10", "--batch-size",
                            "1", "--memory-tiling", "auto", "--scheme",
                            ROOT / f"examples/schemes/mcunet-5fps-{scheme}kb.json")

    def same_as_host(self, title, plan, steps, program="train"):
        """Trains on both, and says whether they computed the same. The device's lines."""
        here = lines_of(checked([self.hosts[program], plan, steps]))
        done = run(command(self.name, self.folder, plan, steps, program), timeout=900)
        there = lines_of(done.stdout)
        if done.returncode != 0:
            self.fault(f"{title}: status {done.returncode}", done.stdout)
        elif len(here["loss"]) != steps or computed(here) != computed(there):
            self.fault(f"{title}: other bits than here",
                       f"here:  {computed(here)}\nthere: {computed(there)}")
        else:
            print(f"{title}: {steps} losses, the state, an evaluation and a checkpoint have the bits of this machine")
        return there

    def refused(self, title, plan, text):
        done = run(command(self.name, self.folder, plan, 1), timeout=60)
        if done.returncode != 1 or text not in done.stdout:
            self.fault(f"{title}: should be refused, was not (status {done.returncode})", done.stdout)
        else:
            print(f"{title}: {done.stdout.strip()}")

    def fault(self, title, details):
        self.faults.append(title)
        print(f"FAULT {title}\n{details}")

    def stack(self, title, lines):
        used = numbers(lines, "stack")
        print(f"{title}: stack {used}")
        for when, size in used.items():
            if not 0 < size < STACK_LIMIT:
                self.fault(f"{title}: {size} bytes of stack at {when}", f"allowed: {STACK_LIMIT}")


def test(run_, name):
    plans = run_.folder / "plans"
    plans.mkdir(exist_ok=True)
    keywords = run_.keywords(plans)
    lines = run_.same_as_host("keywords, bias:8", keywords, STEPS)
    by_c = run_.same_as_host("keywords, bias:8, by C", keywords, STEPS, "train_by_c")
    if any(lines.get(word) != by_c.get(word) for word in ("loss", "evaluated")):
        run_.fault("keywords, bias:8, by C", "the C API computes something else than the C++ API")
    if name == "cortex_m7":
        run_.stack("keywords, bias:8", lines)
        if MCUNET.exists():
            lines = run_.same_as_host("MCUNet, 99 KB scheme", run_.mcunet(plans), MCUNET_STEPS)
            run_.stack("MCUNet, 99 KB scheme", lines)
        else:
            print("skipped: MCUNet, which is in ../shared")
    if name != "aarch64":  # size_t has 32 bits
        for what, plan in plan_file.beyond_32_bits(keywords.read_bytes()).items():
            evil = plans / "beyond.att"
            evil.write_bytes(plan)
            run_.refused(f"4 GiB more in the {what}", evil, "refused plan: ")
    if name == "aarch64":
        done = run(["ctest", "--output-on-failure", "--test-dir", run_.folder])
        if done.returncode != 0:
            run_.fault("tests of the device library", done.stdout)
        print(done.stdout)
        emulated = plans / "test_c_api"  # as a program of this machine
        emulated.write_text("#!/bin/sh\nexec " + " ".join(
            shlex.quote(str(part)) for part in [*emulator(run_.folder), run_.folder / "bin/test_c_api"]) + ' "$@"\n')
        emulated.chmod(0o755)
        done = run(["bash", ROOT / "tests/c_api/run.sh", run_.attune, KEYWORDS / "kws.onnx", emulated])
        if done.returncode != 0:
            run_.fault("tests of the C API", done.stdout)
        print(done.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--attune", type=pathlib.Path, required=True)
    parser.add_argument("--host", type=pathlib.Path, required=True)
    parser.add_argument("--host-by-c", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    options = parser.parse_args()
    missing = {package for tool, package in TARGETS[options.target].tools.items()
               if not shutil.which(tool)}
    if missing:
        print(f"skipped: no {' '.join(sorted(missing))}; cmake/install_packages.sh devices has them")
        return 77
    build(options.target, options.build)
    hosts = {"train": options.host, "train_by_c": options.host_by_c}
    run_ = Run(options.target, options.attune, hosts, options.build)
    test(run_, options.target)
    return 1 if run_.faults else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Writes the figures of docs/devices.md: what the device library takes on processors of other kinds.

table.py --attune COMMAND --build FOLDER. Builds for size, in folders of its own.
"""
import argparse
import pathlib
import re
import sys

import run

PAGE = run.ROOT / "docs/devices.md"
BEGIN, END = "<!-- figures: tests/devices/table.py -->\n", "<!-- end of figures -->\n"
KERNELS = [("all", "all operators, f32 and f64"), ("f32", "all operators, f32"),
           ("plan", "the keyword plan's operators, f32")]
PARTS = ["engine", "kernels", "libm", "libc"]
PROCESSORS = {"cortex_m7": "Cortex-M7", "aarch64": "aarch64", "wasm": "WebAssembly"}


def part_of(file):
    """Whose code an object of a linker's map is."""
    if "attune_engine" in file:
        return "engine"
    if "attune_kernels" in file or re.search(r"kernels/(find_kernel|reference/table)", file):
        return "kernels"
    if re.search(r"\blibm(-[\d.]+)?\.(a|so)", file):
        return "libm"
    if re.search(r"\blib\w[\w+.-]*\.(a|so)|crt\w*\.o", file):
        return "libc"
    return "program"


def gnu_map(text):
    """Bytes of code and constants by part, and of variables, as a map of GNU ld tells."""
    code, variables = {}, 0
    text = text[text.index("Linker script and memory map"):]
    section = re.compile(r"^ (\.?[\w.$*-]+)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S.*)$", re.M)
    text = re.sub(r"^( \.\S+)\n\s+", r"\1 ", text, flags=re.M)  # long names stand on a line of their own
    for name, address, size, file in section.findall(text):
        size = int(size, 16)
        if re.match(r"\.(text|rodata|data|init_array|ARM|vectors|eh_frame|gcc_except)", name):
            code[part_of(file)] = code.get(part_of(file), 0) + size
        if re.match(r"\.(data(?!\.rel\.ro)|bss)|COMMON", name) and part_of(file) != "program":
            variables += size
    return code, variables


def kilobytes(number):
    return f"{number / 1000:.{1 if number < 99500 else 0}f}"


def selections(attune, plan, folder):
    names = re.findall(r"^OP\(\d+, (\w+)", (run.ROOT / "kernels/ops.def").read_text(), re.M)
    script = run.ROOT / "cmake/selection.cmake"
    for kernels, options in (("all", ["-DTYPES=f32;f64", f"-DOPERATORS={';'.join(names)}"]),
                             ("f32", ["-DTYPES=f32", f"-DOPERATORS={';'.join(names)}"]),
                             ("plan", [f"-DATTUNE={attune}", f"-DPLANS={plan}"])):
        run.checked(["cmake", *options, f"-DOUTPUT={folder / kernels}.inc", "-P", script])


def code_rows(processor, folder):
    for kernels, title in KERNELS:
        program = folder / "bin" / f"train_{kernels}"
        if processor == "wasm":  # what its linker's map tells is shrunk once more
            figures = [kilobytes(program.with_suffix(".wasm").stat().st_size)] + ["-"] * (len(PARTS) + 1)
        else:
            suffix = ".elf.map" if processor == "cortex_m7" else ".map"
            code, variables = gnu_map((program.parent / (program.name + suffix)).read_text())
            parts = [code.get(part, 0) for part in PARTS]
            figures = [kilobytes(sum(parts)), *map(kilobytes, parts), str(variables)]
        yield f"| {PROCESSORS[processor]} | {title} | " + " | ".join(figures) + " |"


def memory_rows(device, plans):
    for title, plan in plans:
        done = run.run(run.command("cortex_m7", device, plan, 2))
        lines = run.lines_of(done.stdout)
        if done.returncode != 0:
            sys.exit(f"{title}: {done.stdout}")
        held, stack = run.numbers(lines, "bytes"), run.numbers(lines, "stack")
        million = run.numbers(lines, "instructions")["step"] / 1e6
        yield (f"| {title} | {kilobytes(plan.stat().st_size)} | {kilobytes(held['state'])} | "
               f"{kilobytes(held['arena'])} | {held['workspace']} | {held['session']} | {held['trainer']} | "
               f"{stack['load']} | {stack['step']} | {million:.1f} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--attune", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    options = parser.parse_args()
    work = options.build / "figures"
    work.mkdir(parents=True, exist_ok=True)
    maker = run.Run("cortex_m7", options.attune, {}, work)
    plans = []
    for batch in (1, 8):
        plans.append((f"keywords, bias:8, batch {batch}", maker.keywords(work, batch)))
    for scheme in (49, 99):
        if run.MCUNET.exists():
            plans.append((f"MCUNet, {scheme} KB scheme, tiled, batch 1", maker.mcunet(work, scheme)))

    text = ["| processor | kernels | total | " + " | ".join(PARTS) + " | variables, B |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for processor in PROCESSORS:
        folder = options.build / f"{processor}-size"
        folder.mkdir(exist_ok=True)
        selections(options.attune, plans[0][1], folder)
        run.build(processor, folder, "MinSizeRel", ["train"] + [f"train_{k}" for k, _ in KERNELS])
        text += code_rows(processor, folder)
    text += ["", "| on Cortex-M7 | plan, kB | state, kB | arena, kB | workspace, B | session, B | trainer, B | "
             "stack at load, B | in a step, B | M instructions a step |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    text += memory_rows(options.build / "cortex_m7-size", plans)
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n".join(text) + "\n" + END + rest.split(END)[1])
    print("\n".join(text))


if __name__ == "__main__":
    main()

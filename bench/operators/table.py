"""Writes docs/operators.md: table.py OPERATORS.json, as bench_operators has written it."""
import collections
import json
import re
import statistics
import sys

PAGE = """# Kernels over the layers of known networks

Written by `bench/operators/run.sh`. Single precision, one example, one thread, warm operands: the same buffers again
and again. {machine}; the peak of its multiply-adds, measured in the same run: {peak:.0f} GFLOP/s. Each figure is the best of
{repetitions} turns, in GFLOP/s (two operations a multiply-add).

- *frozen*: the weight is never trained, so XNNPACK has packed it beforehand; simd's kernels are the same either way.
- *forward_only*: no gradient comes back, so the mask of the layer's clamp is not wanted.
- The one that sessions choose is **bold**. A dash: the backend has no kernel for it.

## Share of the peak
Of the kernels that sessions choose for trained layers: median and best over layers, and all layers together, as often as the networks
have them.

{shares}

{tables}
"""

PARTS = ["forward", "forward, frozen", "forward_only", "forward_only, frozen", "dx", "dx, frozen", "dw"]
BACKENDS = ["simd", "xnnpack", "eigen"]


def kind(layer, shape):
    kernel = re.search(r":(\d+)x(\d+)s(\d+)", shape)
    if not kernel:
        return layer
    height, width, stride = map(int, kernel.groups())
    if layer.startswith("depthwise"):
        return f"depthwise, stride {stride}"
    return "convolution 1x1" if height == width == 1 else f"convolution {height}x{width}"


def read(path):
    """(model, layer, shape) -> part -> backend -> (GFLOP/s, chosen, times), and the file's context."""
    report = json.loads(open(path).read())
    rows = collections.defaultdict(lambda: collections.defaultdict(dict))
    for run in report["benchmarks"]:
        if run.get("run_type") == "aggregate" or run.get("error_occurred") or not run.get("GFLOP/s"):
            continue
        model, layer, part, shape, backend = run["name"].split("/")[:5]
        if backend.endswith("_frozen"):
            backend, part = backend.removesuffix("_frozen"), part + ", frozen"
        times, _, chosen = run["label"].partition(" ")
        known = rows[model, layer, shape][part].get(backend, (0,))
        rows[model, layer, shape][part][backend] = (max(known[0], run["GFLOP/s"]), chosen == "chosen", int(times[1:]))
    return rows, report["context"]


def shares(rows, peak):
    lines = ["| kind | part | layers | median | best | together |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    groups = collections.defaultdict(list)
    for (_, layer, shape), parts in rows.items():
        for part in ("forward", "dx", "dw"):
            for rate, chosen, times in parts.get(part, {}).values():
                if chosen:
                    groups[kind(layer, shape), part].append((rate, times, macs(layer, shape)))
    for (name, part), cells in sorted(groups.items(), key=lambda item: (item[0][0], PARTS.index(item[0][1]))):
        rates = [rate for rate, _, _ in cells]
        work = sum(times * amount for _, times, amount in cells)
        together = work / sum(times * amount / rate for rate, times, amount in cells)
        lines.append(f"| {name} | {part} | {len(cells)} | {statistics.median(rates) / peak:.0%} | {max(rates) / peak:.0%} | "
                     f"{together / peak:.0%} |")
    return "\n".join(lines)


def macs(layer, shape):
    """In proportion to the multiply-adds of a layer, as far as its shape tells."""
    numbers = list(map(int, re.findall(r"\d+", shape)))
    if layer == "linear":
        return numbers[0] * numbers[1]
    if layer.startswith("depthwise"):
        h, w, c, kh, kw, s = numbers
        return h * w * c * kh * kw / s**2
    h, w, c, o, kh, kw, s = numbers
    return h * w * c * o * kh * kw / s**2


def tables(rows):
    text = []
    for model in dict.fromkeys(model for model, _, _ in rows):
        text += [f"## {model}", "", "| layer | times | part | " + " | ".join(BACKENDS) + " |",
                 "| --- | ---: | --- |" + " ---: |" * len(BACKENDS)]
        for (name, layer, shape), parts in rows.items():
            if name != model:
                continue
            for part in filter(parts.get, PARTS):
                cells = []
                for backend in BACKENDS:
                    rate, chosen, times = parts[part].get(backend, (0, False, 0))
                    cells.append("-" if not rate else f"**{rate:.1f}**" if chosen else f"{rate:.1f}")
                times = next(iter(parts[part].values()))[2]
                text.append(f"| {layer} {shape} | {times} | {part} | " + " | ".join(cells) + " |")
        text.append("")
    return "\n".join(text).rstrip()


def main():
    rows, context = read(sys.argv[1])
    peak = float(context["peak, 1 threads"].split()[0])
    machine = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "Unknown")
    repetitions = max(1, len({run.get("repetition_index", 0) for run in json.load(open(sys.argv[1]))["benchmarks"]}))
    print(PAGE.format(machine=machine, peak=peak, repetitions=repetitions, shares=shares(rows, peak), tables=tables(rows)), end="")


main()

"""The text of docs/peers.md. `results` maps (program, (model, scheme, batch, threads)) to what was measured."""
import os
import platform
import statistics
import time

import network

SCHEMES = {
    "full": "every weight and bias",
    "sparse": "the classifier, all biases from the seventh-last block on, and the weights of the first "
              "pointwise convolution of each of these 7 blocks",
}


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def versions(results):
    return {name: cell["version"] for (name, _), cell in results.items() if "version" in cell}


def rounds_text(results):
    rounds = sorted({len(cell["ms"]) for cell in results.values() if cell["ms"]})
    return " or ".join(map(str, rounds)) or "no"


def load_text(results):
    loads = [load for cell in results.values() for load in cell.get("load", [])]
    if not loads:
        return ""
    return (f"; the load average, these programs included, was {min(loads):.1f} .. {max(loads):.1f}")


def table(results, programs, of):
    """A row a configuration, in the order of `network.py`."""
    lines = ["| model | scheme | batch | threads | " + " | ".join(programs) + " |",
             "| --- | --- | ---: | ---: | " + " | ".join("---:" for _ in programs) + " |"]
    found = {configuration for _, configuration in results}
    for configuration in sorted(found, key=lambda c: (list(network.MODELS).index(c[0]), c[2], c[1], c[3])):
        own = results.get(("Attune", configuration))
        cells = [of(results[name, configuration], own) if (name, configuration) in results
                 else "not measured" for name in programs]
        lines.append("| " + " | ".join([*map(str, configuration), *cells]) + " |")
    return "\n".join(lines)


def ms_text(ms):
    return f"{ms:.1f}" if ms >= 10 else f"{ms:.2f}"


def time_text(cell, own):
    if "error" in cell:
        return "failed"
    ms = statistics.median(cell["ms"])
    if cell is own or not own or not own["ms"]:
        return f"{ms_text(ms)} ms"
    return f"{ms_text(ms)} ms ({ms / statistics.median(own['ms']):.2f})"


def spread_text(cell, _):
    return "failed" if "error" in cell else f"{ms_text(min(cell['ms']))} .. {ms_text(max(cell['ms']))}"


def memory_text(cell, _):
    if "error" in cell:
        return "failed"
    text = f"{statistics.median(cell['memory']) / 1e6:.0f} MB"
    return text + (f" (session {cell['own_memory'] / 1e6:.1f})" if cell.get("own_memory") else "")


def page(results, missing, command, seconds):
    """`command` made it, in so many seconds."""
    programs = list(dict.fromkeys(name for name, _ in results))
    found = versions(results)
    listed = "\n".join([f"| {name} | {found.get(name, 'failed')} |" for name in programs] +
                       [f"| {name} | not measured: {why} |" for name, why in missing.items()])
    failed = "\n".join("- {}, {} {}, batch {}, {} threads: {}".format(name, *configuration, cell["error"])
                       for (name, configuration), cell in results.items() if "error" in cell)
    schemes = "\n".join(f"- **{name}**: {what}" for name, what in SCHEMES.items())
    models = "\n".join(f"- **{name}**: {what}" for name, what in network.MODELS.items())
    return f"""# Training steps of Attune and its peers

Written by `{command}` on {time.strftime("%Y-%m-%d")}, in {seconds / 60:.0f} minutes; do not edit.
Whole training steps (forward, loss, backward, update) in single precision, BatchNorm folded, cross entropy, SGD
with momentum {network.MOMENTUM} (ONNX Runtime: without momentum, which it does not offer). The peers start from the same weights and
take the same data, which is in memory already, and their losses are checked to be the same.

{models}

What is trained:

{schemes}

Machine: {processor()}, {os.cpu_count()} processors{load_text(results)}.
**Compare ratios within a row, not times across rows.** Where more threads want to run than there are processors,
threads that wait for each other wait long, and rows of several threads say little about a machine of one's own.

Each number is the median of {rounds_text(results)} rounds in which the programs took turns, a process each; a round
is the median of its steps, for a second or so, after two that do not count.

| program | version |
| --- | --- |
{listed}

## Time of a step
In brackets: how many times as long as Attune takes.

{table(results, programs, time_text)}

![Time of a step against Attune's](peers.svg)

The fastest and the slowest round, in ms:

{table(results, programs, spread_text)}

## Peak resident memory of the process
With everything that the program loads, the interpreter and its libraries included; for Attune also what the
session holds. ONNX Runtime's training package imports PyTorch, and pays for it here.

{table(results, programs, memory_text)}
{"## Failures" + chr(10) + failed + chr(10) if failed else ""}"""

"""compare.py: measures whole training steps of Attune and its peers; writes docs/peers.md, .json and .svg.

Every measurement is a process of its own, so that its peak resident memory is its own too. The programs take
turns, ROUNDS times, so that what slows the machine down slows all of them; what is reported is the median over
the rounds, each of which is the median over STEPS steps after two that do not count.
"""
import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

import plot

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COME_AGAIN = 75  # a peer has made its files, and measures when it is run again

CONFIGURATIONS = [(scheme, batch, threads) for threads in (1, 2) for batch in (1, 8)
                  for scheme in ("full", "sparse")]
SCHEMES = {
    "full": "every weight and bias",
    "sparse": "the classifier, all biases from the seventh-last block on, and the weights of the first "
              "pointwise convolution of each of these 7 blocks",
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--attune", required=True, help="the attune command")
    parser.add_argument("--folder", required=True, help="for models, plans and virtual environments")
    parser.add_argument("--peer", action="append", default=[], help="NAME=PYTHON of a peer that is there")
    parser.add_argument("--missing", action="append", default=[], help="NAME=WHY of one that is not")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, choices=(1, 2), help="only with so many")
    parser.add_argument("--resume", action="store_true",
                        help="keep what docs/peers.json holds, and measure what it lacks")
    parser.add_argument("--channels-last", action="store_true", help="PyTorch with NHWC, too")
    return parser.parse_args()


def run(command, environment=None):
    """Exit status, standard output, last line of standard error, peak resident bytes of the child."""
    errors = open(os.path.join(args.folder, "errors.txt"), "w+")
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True,
                             env={**os.environ, **(environment or {}), "PYTHONDONTWRITEBYTECODE": "1"})
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    errors.seek(0)
    lines = errors.read().strip().splitlines() or [""]
    errors.close()
    return child.returncode, output, lines[-1], usage.ru_maxrss * 1024


def plan_of(scheme, batch):
    path = os.path.join(args.folder, f"{scheme}-{batch}.att")
    spec = scheme if scheme == "full" else os.path.join(args.folder, f"{scheme}.json")
    subprocess.run([args.attune, "compile", os.path.join(args.folder, "model.onnx"), "-o", path, "--scheme",
                    spec, "--batch-size", str(batch), "--quiet"], check=True)
    return path


def attune(scheme, batch, threads):
    status, output, error, memory = run(
        [args.attune, "bench", plans[scheme, batch], "--program", "train_step", "--no-peak", "--json",
         "--threads", str(threads), "--repeats", str(args.steps)])
    if status != 0:
        raise RuntimeError(error)
    answer = json.loads(output)
    return {"ms": answer["programs"][0]["ms"], "memory": memory, "version": "this tree",
            "own_memory": answer["memory_bytes"]}


def peer(name, python, environment=None):
    def measure(scheme, batch, threads):
        command = [python, str(HERE / f"{name}.py"), "--model", os.path.join(args.folder, "model.onnx"),
                   "--folder", args.folder, "--scheme", scheme, "--batch", str(batch), "--threads",
                   str(threads), "--steps", str(args.steps)]
        status, output, error, memory = run(command, environment)
        if status == COME_AGAIN:
            status, output, error, memory = run(command, environment)
        if status != 0:
            raise RuntimeError(error or f"status {status}")
        answer = json.loads(output.strip().splitlines()[-1])
        return {"ms": answer["ms"], "memory": memory, "version": answer["version"]}
    return measure


def measure_all(programs, configuration):
    """program -> {"ms": [..], "memory": [..]} or, besides, "error": why."""
    results = {name: {"ms": [], "memory": [], "load": []} for name in programs}
    for round_number in range(args.rounds):
        for name, measure in programs.items():
            cell = results[name]
            if "error" in cell:
                continue
            try:
                answer = measure(*configuration)
            except (RuntimeError, json.JSONDecodeError) as error:
                cell["error"] = str(error)
                print(f"{name} {configuration}: {error}", file=sys.stderr)
                continue
            cell["ms"].append(answer["ms"])
            cell["memory"].append(answer["memory"])
            cell["load"].append(os.getloadavg()[0])
            cell["version"] = answer["version"]
            cell["own_memory"] = answer.get("own_memory")
            print("{} batch {} threads {} round {}: {} {:.1f} ms, {:.0f} MB".format(
                *configuration, round_number + 1, name, answer["ms"], answer["memory"] / 1e6),
                file=sys.stderr)
    return results


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def versions(results):
    found = {}
    for (name, _), cell in results.items():
        if "version" in cell:
            found[name] = cell["version"]
    return found


def rounds_text(results):
    rounds = sorted({len(cell["ms"]) for cell in results.values() if cell["ms"]})
    return " or ".join(map(str, rounds)) or "no"


def load_text(results):
    loads = [load for cell in results.values() for load in cell.get("load", [])]
    if not loads:
        return ""
    return (f", shared with other work: the load average, these programs included, was {min(loads):.0f} .. "
            f"{max(loads):.0f}")


def table(results, programs, of):
    lines = ["| scheme | batch | threads | " + " | ".join(programs) + " |",
             "| --- | ---: | ---: | " + " | ".join("---:" for _ in programs) + " |"]
    for configuration in CONFIGURATIONS:
        own = results.get(("Attune", configuration))
        cells = [of(results[name, configuration], own) if (name, configuration) in results
                 else "not measured" for name in programs]
        lines.append("| " + " | ".join([*map(str, configuration), *cells]) + " |")
    return "\n".join(lines)


def time_text(cell, own):
    if "error" in cell:
        return "failed"
    ms = statistics.median(cell["ms"])
    if cell is own or not own or not own["ms"]:
        return f"{ms:.1f} ms"
    return f"{ms:.1f} ms ({ms / statistics.median(own['ms']):.2f})"


def spread_text(cell, _):
    return "failed" if "error" in cell else f"{min(cell['ms']):.1f} .. {max(cell['ms']):.1f}"


def memory_text(cell, _):
    if "error" in cell:
        return "failed"
    text = f"{statistics.median(cell['memory']) / 1e6:.0f} MB"
    return text + (f" (session {cell['own_memory'] / 1e6:.0f})" if cell.get("own_memory") else "")


def page(results, programs, missing):
    found = versions(results)
    listed = "\n".join(f"| {name} | {found.get(name, 'failed')} |" for name in programs)
    absent = "\n".join(f"| {name} | not measured: {why} |" for name, why in missing.items())
    failed = "\n".join(f"- {name}, {configuration[0]}, batch {configuration[1]}, {configuration[2]} threads: "
                       f"{cell['error']}"
                       for (name, configuration), cell in results.items() if "error" in cell)
    schemes = "\n".join(f"- **{name}**: {what}" for name, what in SCHEMES.items())
    return f"""# Training steps of Attune and its peers

Written by `bench/peers/run.sh` on {time.strftime("%Y-%m-%d")}; do not edit. Whole training steps (forward, loss,
backward, update) of MobileNetV2 1.0 at 224x224 in single precision, BatchNorm folded, cross entropy over
1000 classes, SGD with momentum 0.9 (ONNX Runtime: without momentum, which it does not offer), random data
that is in memory already. What is trained:

{schemes}

Machine: {processor()}, {os.cpu_count()} processors{load_text(results)}.
**Compare ratios within a row, not times across rows.** Where more threads want to run than there are processors,
threads that wait for each other wait long, and rows of several threads say little about a machine of one's own.

Each number is the median of {rounds_text(results)} rounds in which the programs took turns, a process each; a round is the median of a few steps (`--steps`) after two that do not count.

| program | version |
| --- | --- |
{listed}
{absent}

## Time of a step
In brackets: how many times as long as Attune takes.

{table(results, programs, time_text)}

![Time of a step against Attune's](peers.svg)

The slowest and the fastest round, in ms:

{table(results, programs, spread_text)}

## Peak resident memory of the process
With everything that the program loads, the interpreter and its libraries included; for Attune also what the
session holds. ONNX Runtime's training package imports PyTorch, and pays for it here.

{table(results, programs, memory_text)}
{"## Failures" + chr(10) + failed + chr(10) if failed else ""}"""


args = arguments()
os.makedirs(args.folder, exist_ok=True)
peers = dict(p.split("=", 1) for p in args.peer)
missing = dict(m.split("=", 1) for m in args.missing)
subprocess.run([peers["pytorch"], str(HERE / "export_model.py"), args.folder], check=True,
               stderr=subprocess.DEVNULL)
for stale in pathlib.Path(args.folder).glob("onnxruntime-*"):
    shutil.rmtree(stale)
plans = {(scheme, batch): plan_of(scheme, batch) for scheme, batch, _ in CONFIGURATIONS}
programs = {"Attune": attune, "PyTorch": peer("pytorch", peers["pytorch"])}
if args.channels_last:
    programs["PyTorch NHWC"] = peer("pytorch", peers["pytorch"], {"CHANNELS_LAST": "1"})
if "pytorch_new" in peers:
    programs["PyTorch, newer"] = peer("pytorch", peers["pytorch_new"])
if "onnxruntime" in peers:
    programs["ONNX Runtime"] = peer("onnxruntime_training", peers["onnxruntime"])
if "tensorflow" in peers:
    programs["TensorFlow"] = peer("tensorflow_graph", peers["tensorflow"])
docs = ROOT / "docs"
docs.mkdir(exist_ok=True)
results = {}
if args.resume and (docs / "peers.json").exists():
    for row in json.loads((docs / "peers.json").read_text())["rows"]:
        name, *configuration = (row.pop(k) for k in ("program", "scheme", "batch", "threads"))
        results[name, tuple(configuration)] = row
done = {configuration for _, configuration in results}
for configuration in CONFIGURATIONS:
    if configuration in done or (args.threads and configuration[2] != args.threads):
        continue
    for name, cell in measure_all(programs, configuration).items():
        results[name, configuration] = cell
    # After each, so that an interrupted run can be resumed.
    names = list(dict.fromkeys([*programs, *(name for name, _ in results)]))
    rows = [{"program": name, "scheme": c[0], "batch": c[1], "threads": c[2], **cell}
            for (name, c), cell in results.items()]
    (docs / "peers.json").write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    (docs / "peers.md").write_text(page(results, names, missing))
    (docs / "peers.svg").write_text(plot.svg(rows))

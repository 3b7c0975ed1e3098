"""compare.py: measures whole training steps of Attune and its peers; writes docs/peers.md, .json and .svg.

Every measurement is a process of its own, so that its peak resident memory is its own too. The programs take
turns, ROUNDS times, so that what slows the machine down slows all of them; what is reported is the median over
the rounds, each of which is the median over its steps after two that do not count.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import network
import page
import plot

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COME_AGAIN = 75  # a peer has made its files, and measures when it is run again
THREADS = (1, 2)
SLOW = 10  # times as long as Attune: one round says enough

# Name on the command line -> name in the page, program, and what its environment has besides.
PROGRAMS = {
    "pytorch": [("PyTorch", "pytorch.py", {}), ("PyTorch NHWC", "pytorch.py", {"CHANNELS_LAST": "1"})],
    "pytorch_compiled": [("PyTorch compiled", "pytorch.py", {"COMPILE": "1"})],
    "pytorch_debian": [("PyTorch of Debian", "pytorch.py", {})],
    "onednn": [("oneDNN graph", None, {})],
    "onnxruntime": [("ONNX Runtime", "onnxruntime_training.py", {})],
    "tensorflow": [("TensorFlow", "tensorflow_graph.py", {})],
    "mnn": [("MNN", "mnn_training.py", {})],
}


def pair(text):
    name, separator, rest = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text}: NAME=VALUE is expected")
    return name, rest


def names(known):
    def parse(text):
        chosen = text.split(",")
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name}: known are {', '.join(known)}")
        return chosen
    return parse


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--attune", required=True, help="the attune command")
    parser.add_argument("--folder", required=True, help="for models and plans")
    parser.add_argument("--command", default="compare.py", help="as the page shall name it")
    parser.add_argument("--peer", type=pair, action="append", default=[],
                        help="NAME=PROGRAM of a peer that is there: its Python, or the program itself")
    parser.add_argument("--missing", type=pair, action="append", default=[], help="NAME=WHY of one that is not")
    parser.add_argument("--models-folder", default=ROOT / "../shared/models", type=pathlib.Path,
                        help="with the models that torchvision does not have")
    parser.add_argument("--models", type=names(network.MODELS), default=list(network.MODELS), metavar="A,B",
                        help="only these of " + ", ".join(network.MODELS))
    parser.add_argument("--peers", type=names(PROGRAMS), metavar="A,B", help="only these of " + ", ".join(PROGRAMS))
    parser.add_argument("--threads", type=int, choices=THREADS, help="only with so many")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100, help="of a round, at most")
    parser.add_argument("--seconds", type=float, default=1, help="of a round, about; mostly 3 steps at least")
    parser.add_argument("--resume", action="store_true",
                        help="keep what docs/peers.json holds, and measure what it lacks")
    return parser.parse_args()


def run(command, environment=None):
    """Exit status, standard output, last line of standard error."""
    child = subprocess.run(command, capture_output=True, text=True,
                           env={**os.environ, **(environment or {}), "PYTHONDONTWRITEBYTECODE": "1"})
    return child.returncode, child.stdout, (child.stderr.strip().splitlines() or [""])[-1]


def file_of(name):
    return os.path.join(args.folder, name)


def export(missing):
    """Writes the models' files; returns the names of those that are there."""
    there = []
    for model in args.models:
        command = [sys.executable, str(HERE / "export_model.py"), args.folder, model]
        if model in network.FILES:
            path = args.models_folder / network.FILES[model]
            if not path.exists():
                missing[network.MODELS[model]] = f"no file {path.name} in the folder of --models-folder"
                print(f"{model}: {missing[network.MODELS[model]]}", file=sys.stderr)
                continue
            command.append(str(path))
        status, _, error = run(command)
        if status != 0:
            raise SystemExit(f"{model}: not exported: {error}")
        there.append(model)
    for stale in pathlib.Path(args.folder).glob("onnxruntime-*"):
        shutil.rmtree(stale)
    return there


def attune_bench(plan, threads, repeats):
    status, output, error = run([args.attune, "bench", plan, "--program", "train_step", "--no-peak",
                                         "--json", "--threads", str(threads), "--repeats", str(repeats)])
    if status != 0:
        raise RuntimeError(error)
    return json.loads(output)


def attune(model, scheme, batch, threads):
    plan = file_of(f"{model}-{scheme}-{batch}.att")
    if plan not in compiled:
        subprocess.run([args.attune, "compile", file_of(model + ".onnx"), "-o", plan, "--scheme",
                        file_of(f"{model}-{scheme}.json"), "--batch-size", str(batch), "--quiet"], check=True)
        compiled.add(plan)
    # It takes a number of repeats only: as many as the time allows.
    first = attune_bench(plan, threads, 1)
    repeats = int(1e3 * args.seconds / first["programs"][0]["ms"])
    answer = attune_bench(plan, threads, max(3, min(args.steps, repeats)))
    return {"ms": answer["programs"][0]["ms"], "memory": answer["peak_resident_bytes"], "version": "this tree",
            "own_memory": answer["memory_bytes"]}


def peer(start, environment):
    def measure(model, scheme, batch, threads):
        command = [*start, "--folder", args.folder, "--model", model, "--scheme", scheme, "--batch", str(batch),
                   "--threads", str(threads), "--steps", str(args.steps), "--seconds", str(args.seconds)]
        status, output, error = run(command, environment)
        if status == COME_AGAIN:
            status, output, error = run(command, environment)
        if status != 0:
            raise RuntimeError(error or f"status {status}")
        answer = json.loads(output.strip().splitlines()[-1])
        check_losses((model, scheme, batch), start[-1], answer["losses"])
        return answer
    return measure


def check_losses(what, program, losses):
    """Same weights, same data, same arithmetic: the same losses as those of the first peer."""
    first, expected = known_losses.setdefault(what, (program, losses))
    # ONNX Runtime has no momentum: after one step its weights are the others', after two they are not.
    if "onnxruntime" in program + first:
        losses = losses[:2]
    for loss, other in zip(losses, expected):
        if abs(loss - other) > 0.02 * abs(expected[0] - other) + 3e-6 * abs(expected[0]):
            raise RuntimeError(f"its losses are not those of {os.path.basename(first)}: "
                               f"{loss:.7g} instead of {other:.7g}")


def check_gradients(peers, models, missing):
    """Leaves out what does not compute PyTorch's gradients."""
    python = peers.get("pytorch", sys.executable)
    status, _, error = run([python, str(HERE / "check_gradients.py"), args.folder, python, peers["onednn"], *models])
    if status != 0:
        missing[PROGRAMS["onednn"][0][0]] = error
        print(error, file=sys.stderr)
        del peers["onednn"]


def programs_of(peers):
    programs = {"Attune": attune}
    for name, entries in PROGRAMS.items():
        if name in peers:
            for label, script, environment in entries:
                start = [peers[name], str(HERE / script)] if script else [peers[name]]
                programs[label] = peer(start, environment)
    return programs


def measure_all(programs, configuration):
    """program -> {"ms": [..], "memory": [..]} or, besides, "error": why."""
    results = {name: {"ms": [], "memory": [], "load": []} for name in programs}
    for round_number in range(args.rounds):
        for name, measure in programs.items():
            cell = results[name]
            if "error" in cell or round_number > 0 and cell["ms"][0] > SLOW * results["Attune"]["ms"][0]:
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
            print("{} {} batch {} threads {} round {}: {} {:.2f} ms, {:.0f} MB".format(
                *configuration, round_number + 1, name, answer["ms"], answer["memory"] / 1e6),
                file=sys.stderr)
    return results


def read_results(path):
    results = {}
    for row in json.loads(path.read_text())["rows"]:
        name, *configuration = (row.pop(k) for k in ("program", "model", "scheme", "batch", "threads"))
        results[name, tuple(configuration)] = row
    return results


def write(results, missing, seconds):
    # After each configuration, so that an interrupted run can be resumed.
    rows = [{"program": name, **dict(zip(("model", "scheme", "batch", "threads"), c)), **cell}
            for (name, c), cell in results.items()]
    (docs / "peers.json").write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    (docs / "peers.md").write_text(page.page(results, missing, args.command, seconds))
    (docs / "peers.svg").write_text(plot.svg(rows))


args = arguments()
os.makedirs(args.folder, exist_ok=True)
start = time.time()
compiled, known_losses = set(), {}
peers = {name: program for name, program in args.peer if not args.peers or name in args.peers}
missing = {PROGRAMS[name][0][0]: why for name, why in args.missing}
models = export(missing)
if "onednn" in peers:
    check_gradients(peers, models, missing)
programs = programs_of(peers)
docs = ROOT / "docs"
docs.mkdir(exist_ok=True)
results = {}
if args.resume and (docs / "peers.json").exists():
    results = read_results(docs / "peers.json")
for model in models:
    for batch, scheme in network.CONFIGURATIONS[model]:
        for threads in (args.threads,) if args.threads else THREADS:
            configuration = (model, scheme, batch, threads)
            left = {name: f for name, f in programs.items() if (name, configuration) not in results}
            for name, cell in measure_all(left, configuration).items():
                results[name, configuration] = cell
            write(results, missing, time.time() - start)

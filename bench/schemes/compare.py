"""Accuracy of schemes that take the same memory: last:K, bias:K, full, published hand-made schemes, searched ones.

Every scheme gets its learning rate in the same way: from the same grid, judged on images that are neither trained on
nor tested with. Then it is trained with several seeds, each of which decides the fresh classifier and the order of
the examples: schemes are compared seed by seed. Every result is kept in a file and not computed again."""

import argparse
import concurrent.futures
import hashlib
import json
import math
import pathlib
import subprocess
import threading
import time

import data

# On-Device Training Under 256KB Memory (Lin et al., NeurIPS 2022), MCUNet-5fps: the number of the last biases, and of
# convolutions the share of input channels. The name is the authors' extra memory in KB.
PUBLISHED = {
    49: (20, {24: 1 / 4, 27: 1 / 2, 30: 1 / 2}),
    99: (22, {21: 1, 24: 1, 27: 1, 30: 1, 36: 1 / 8, 39: 1 / 4}),
    148: (23, {21: 1, 24: 1, 27: 1, 30: 1, 36: 1, 39: 1 / 2}),
}
RATES = [0.016, 0.008, 0.004, 0.002, 0.001, 0.0005, 0.00025, 0.000125, 0.0000625]
FIRST_RATE = 4  # where tuning starts


def published_scheme(name):
    biases, weights = PUBLISHED[name]
    layers = [{"layer": layer, "input_channels": share} for layer, share in sorted(weights.items())]
    return json.dumps({"bias_last": biases, "layers": layers})


class Results:
    """Results by key, in a file of JSON lines."""

    def __init__(self, path):
        self.path, self.known, self.lock = path, {}, threading.Lock()
        if path.exists():
            for line in path.read_text().splitlines():
                try:
                    entry = json.loads(line)
                    self.known[entry["key"]] = entry["result"]
                except (ValueError, KeyError):
                    continue  # cut short when a run was killed

    def get(self, key, compute):
        text = json.dumps(key)
        with self.lock:
            if text in self.known:
                return self.known[text]
        result = compute()
        with self.lock:
            self.known[text] = result
            with self.path.open("a") as file:
                file.write("\n" + json.dumps({"key": text, "result": result}))
        return result


class Bench:
    def __init__(self, options):
        self.options = options
        self.folder = pathlib.Path(options.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.results = Results(self.folder / "results.jsonl")
        source = pathlib.Path(options.data)
        part = lambda *what: data.write_part(self.folder, what[0], source, *what[1:])
        self.train_data = part("train", "train", 0, options.train)
        self.tune_data = part("tune", "train", options.train, options.tune)
        self.test_data = part("t10k", "t10k", 0, options.test)
        program = pathlib.Path(options.attune).read_bytes()
        # What every result depends on.
        self.setting = [options.train, options.tune, options.test, options.epochs, options.batch_size,
                        hashlib.sha256(pathlib.Path(options.model).read_bytes()).hexdigest()[:16],
                        hashlib.sha256(program).hexdigest()[:16] if options.exact_program else ""]

    def attune(self, *arguments):
        command = [self.options.attune, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip() or f"{command} failed")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def compile_options(self):
        return ["--classes", 10, "--preprocess", "signed:128x128", "--batch-size", self.options.batch_size]

    def cost(self, scheme):
        """What a scheme takes in memory, by the kernels of a device, where its plan is as small as it can be."""

        def compute():
            plan = self.folder / f"cost-{threading.get_ident()}.att"
            return self.attune("compile", self.options.model, "-o", plan, "--scheme", scheme, *self.compile_options(),
                               "--backend", "reference", "--memory-tiling", "auto", "--memory", "1000GiB", "--json")["cost"]

        return self.results.get(["tiled cost", scheme, *self.setting], compute)

    def search(self, estimator, memory):
        """A scheme within so many bytes."""

        def compute():
            path = self.folder / f"{estimator}-{memory}.json"
            self.attune("search", self.options.model, "--data", self.train_data, "-o", path, *self.compile_options(),
                        "--backend", "reference", "--estimator", estimator, "--examples", min(self.options.train, 2000),
                        "--memory", memory, "--cache", self.folder / "gains.jsonl", "--json", "--quiet")
            return json.dumps(json.loads(path.read_text()))

        return self.results.get(["search", estimator, memory, *self.setting], compute)

    def run(self, scheme, rate, seed, judge):
        """Accuracy on `judge` after training. 0 where training diverges."""

        def compute():
            name = hashlib.sha256(json.dumps([scheme, rate, seed]).encode()).hexdigest()[:16]
            plan, checkpoint = self.folder / f"{name}.att", self.folder / f"{name}.atc"
            self.attune("compile", self.options.model, "-o", plan, "--scheme", scheme, *self.compile_options(),
                        "--seed", seed, "--quiet", "--json")
            start = time.time()
            steps = math.ceil(self.options.train / self.options.batch_size)
            try:
                self.attune("train", plan, "--data", self.train_data, "--epochs", self.options.epochs,
                            "--learning-rate", rate, "--schedule", "cosine", "--warmup", max(1, steps // 5),
                            "--seed", seed, "--checkpoint", checkpoint, "--quiet", "--json")
                seconds = time.time() - start
                accuracy = self.attune("evaluate", plan, "--checkpoint", checkpoint, "--data", judge, "--json")["accuracy"]
            except RuntimeError as error:
                if "not finite" not in str(error):
                    raise
                accuracy, seconds = 0, time.time() - start
            finally:
                plan.unlink(missing_ok=True)
                checkpoint.unlink(missing_ok=True)
            return {"accuracy": accuracy, "seconds": seconds}

        return self.results.get(["run", scheme, rate, seed, judge.name, *self.setting], compute)

    def tune(self, scheme):
        """The best rate of the grid, going from the middle as long as that helps."""
        tuning_seed = 1000
        score = lambda at: self.run(scheme, RATES[at], tuning_seed, self.tune_data)["accuracy"]
        best = FIRST_RATE
        for step in (1, -1):
            while 0 <= best + step < len(RATES) and score(best + step) > score(best):
                best += step
            if best != FIRST_RATE:
                break
        return RATES[best]

    def measure(self, scheme):
        rate = self.tune(scheme)
        accuracies = [self.run(scheme, rate, seed, self.test_data)["accuracy"] for seed in range(self.options.seeds)]
        return {"scheme": scheme, "rate": rate, "accuracies": accuracies, "memory": self.cost(scheme)["memory"],
                "macs": self.cost(scheme)["macs"]}


def largest_that_fits(bench, kind, memory, most):
    """The K with the most memory within the limit, as kind:K; None where K = 1 is too much."""
    fitting = [k for k in range(1, most + 1) if bench.cost(f"{kind}:{k}")["memory"] <= memory]
    return f"{kind}:{max(fitting)}" if fitting else None


def candidates(bench):
    """(group, name, scheme): groups of equal memory, and what stands alone."""
    rows = [("any memory", "head", "head"), ("any memory", "full", "full")]
    for name in PUBLISHED:
        scheme = published_scheme(name)
        memory = bench.cost(scheme)["memory"]
        group = f"at most {memory:,} bytes"
        rows.append((group, f"published {name} KB", scheme))
        for kind in ("last", "bias"):
            fitting = largest_that_fits(bench, kind, memory, 42)
            if fitting:
                rows.append((group, fitting, fitting))
        for estimator in bench.options.estimators.split(","):
            rows.append((group, f"searched, {estimator}", bench.search(estimator, memory)))
    return rows


def mean_and_error(values):
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, 0.0
    return mean, math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))


def page(bench, rows, measured):
    options = bench.options
    lines = ["# Schemes of equal memory", "",
             f"MCUNet-5fps, pretrained on ImageNet, learns Fashion-MNIST: {options.train:,} training and {options.test:,} "
             f"test images, {options.epochs} epochs, batches of {options.batch_size}, momentum 0.9, a cosine schedule with "
             f"warm-up, {options.seeds} seeds.",
             "The learning rate of each scheme is the best of the same grid, judged with another seed on "
             f"{options.tune:,} images that are neither trained on nor tested with.",
             "Accuracies are percentages, mean and standard error over the seeds. `against published` is the difference "
             "seed by seed. Memory is all RAM with the reference kernels in single precision.", "",
             "Written by `bench/schemes/run.sh`. The published schemes are those of Lin et al., NeurIPS 2022 "
             "(arXiv 2206.15472).", ""]
    for group in dict.fromkeys(row[0] for row in rows):
        lines += [f"## {group[0].upper()}{group[1:]}", "",
                  "| scheme | accuracy | against published | learning rate | memory, KiB | multiply-adds, million |",
                  "| --- | --- | --- | --- | --- | --- |"]
        in_group = [row for row in rows if row[0] == group]
        reference = next((measured[scheme] for _, name, scheme in in_group if name.startswith("published")), None)
        for _, name, scheme in in_group:
            result = measured[scheme]
            mean, error = mean_and_error([100 * a for a in result["accuracies"]])
            against = ""
            if reference and reference is not result:
                pairs = zip(result["accuracies"], reference["accuracies"])
                difference, spread = mean_and_error([100 * (a - b) for a, b in pairs])
                against = f"{difference:+.2f} ± {spread:.2f}"
            lines.append(f"| {name} | {mean:.2f} ± {error:.2f} | {against} | {result['rate']:g} | "
                         f"{result['memory'] / 1024:.1f} | {result['macs'] / 1e6:.1f} |")
        lines.append("")
    searched = {name + " " + group: scheme for group, name, scheme in rows if name.startswith("searched")}
    if searched:
        lines += ["## The searched schemes", ""]
        lines += [f"- {name}: `{scheme}`" for name, scheme in searched.items()]
    return "\n".join(lines) + "\n"


def estimate(bench, rows):
    """Says how long everything takes, from one epoch of a small part of the data."""
    options = bench.options
    schemes = {scheme: None for _, _, scheme in rows}
    small = argparse.Namespace(**{**vars(options), "train": 400, "tune": 200, "test": 200, "epochs": 1,
                                  "folder": str(bench.folder / "estimate")})
    probe = Bench(small)
    seconds = {kind: probe.run(kind, 0.0005, 0, probe.tune_data)["seconds"] for kind in ("head", "bias:22", "full")}
    epoch = {kind: value * options.train / small.train for kind, value in seconds.items()}
    runs = 4 + options.seeds  # tuning takes three or four
    training = sum(epoch["full" if s == "full" else "head" if s == "head" else "bias:22"] for s in schemes) * options.epochs
    testing = len(schemes) * epoch["head"] * options.test / options.train
    hours = (training * runs + testing * options.seeds) / 3600 / options.jobs
    print(f"one epoch of {options.train} images: " + ", ".join(f"{k} {v:.1f} s" for k, v in epoch.items()))
    print(f"{len(schemes)} schemes, {runs} runs each, {options.jobs} at a time: about {hours:.1f} hours")


def parse():
    shared = pathlib.Path(__file__).resolve().parents[2] / ".." / "shared"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attune", required=True, help="the command")
    parser.add_argument("--model", default=str(shared / "models" / "mcunet-5fps-f32.onnx"))
    parser.add_argument("--data", default=str(shared / "data" / "fashion_mnist"), help="a folder of MNIST's four files, .gz")
    parser.add_argument("--folder", default="build/schemes", help="results so far, and what lies about")
    parser.add_argument("--page", default="docs/schemes.md")
    parser.add_argument("--train", type=int, default=5000)
    parser.add_argument("--tune", type=int, default=2000)
    parser.add_argument("--test", type=int, default=10000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--estimators", default="fisher,measured")
    parser.add_argument("--exact-program", action="store_true", help="results of another build do not count")
    parser.add_argument("--estimate", action="store_true", help="only tell how long it takes")
    parser.add_argument("--trial", action="store_true", help="tiny sizes, and a page beside the results")
    options = parser.parse_args()
    if options.trial:
        options.folder, options.page = "build/schemes-trial", "build/schemes-trial/schemes.md"
        options.train, options.tune, options.test = 64, 32, 64
        options.epochs, options.seeds, options.estimators = 1, 2, "fisher"
    for path in (options.model, options.data):
        if not pathlib.Path(path).exists():
            raise SystemExit(f"{path} is not there; give --model and --data")
    return options


def main():
    options = parse()
    bench = Bench(options)
    if options.estimate:
        options.estimators = "fisher"
        return estimate(bench, candidates(bench))
    rows = candidates(bench)
    schemes = list(dict.fromkeys(scheme for _, _, scheme in rows))
    measured = {}
    started = time.time()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        waiting = {pool.submit(bench.measure, scheme): scheme for scheme in schemes}
        for done in concurrent.futures.as_completed(waiting):
            scheme = waiting[done]
            measured[scheme] = done.result()
            mean, error = mean_and_error([100 * a for a in measured[scheme]["accuracies"]])
            left = (time.time() - started) / len(measured) * (len(schemes) - len(measured))
            print(f"{len(measured)}/{len(schemes)}  {mean:.2f} ± {error:.2f} %  rate {measured[scheme]['rate']:g}  "
                  f"{scheme}  {left / 60:.0f} min left", flush=True)
    path = pathlib.Path(options.page)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(bench, rows, measured))
    print(path)


if __name__ == "__main__":
    main()

"""One task's experiment: what schemes take, which are found, and how well they learn. Everything is a result by key."""

import hashlib
import json
import pathlib
import subprocess
import threading
import time

from results import Missing, Results

RATES = [0.032, 0.016, 0.008, 0.004, 0.002, 0.001, 0.0005, 0.00025, 0.000125, 0.0000625]
FIRST_RATE = 4  # where tuning starts
TUNING_SEED = 1000  # and those after it
# The kernels of a device, where a plan is as small as it can be without computing anything twice.
SMALLEST = ["--backend", "reference", "--memory-tiling", "auto", "--gradient-strips", "auto"]


class Experiment:
    def __init__(self, name, task, options):
        self.name, self.task, self.options = name, task, options
        self.folder = pathlib.Path(options.folder) / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.results = Results(pathlib.Path(options.folder) / "results.jsonl")
        self.sizes = task.trial if options.trial else task.sizes
        self.seeds = options.seeds or task.seeds
        self.epochs, self.tune_epochs = (1, 1) if options.trial else (task.epochs, task.tune_epochs)
        shared = pathlib.Path(options.shared)
        self.model = shared / "models" / task.model
        self.train_data, self.tune_data, self.test_data = task.parts(self.folder, shared / "data" / task.data, **self.sizes)
        self.layers = range(1, task.layers + 1)
        # What every result depends on; what only some depend on is in their keys.
        self.model_key = [task.compile, hashlib.sha256(self.model.read_bytes()).hexdigest()[:16]]

    def attune(self, *arguments):
        command = [self.options.attune, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip() or f"{command} failed")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def compile(self, scheme, *arguments):
        """What a plan takes; the plan itself is not kept."""
        plan = self.folder / f"cost-{threading.get_ident()}.att"
        return self.attune("compile", self.model, "-o", plan, "--scheme", scheme, *self.task.compile, *arguments,
                           "--json")["cost"]

    def cost(self, scheme):
        """Of the smallest plan."""
        return self.results.get(["smallest", scheme, *self.model_key],
                                lambda: self.compile(scheme, *SMALLEST, "--memory", "1000GiB"))

    def cost_within(self, scheme, memory):
        """Of a plan of at most so many bytes, for which activations may be computed twice; None where there is none."""
        if self.cost(scheme)["memory"] <= memory:
            return self.cost(scheme)

        def compute():
            try:
                return self.compile(scheme, "--backend", "reference", "--memory", memory)
            except RuntimeError as error:
                if "--memory allows" not in str(error):
                    raise
                return None

        return self.results.get(["within", scheme, memory, *self.model_key], compute)

    def largest_that_fits(self, kind, memory):
        """kind:K with the largest K of which a plan fits; None where K = 1 is too much. A larger K takes no less."""
        low, high = 0, self.task.layers
        while low < high:
            middle = (low + high + 1) // 2
            if self.cost(f"{kind}:{middle}")["memory"] <= memory:
                low = middle
            else:
                high = middle - 1
        while low < self.task.layers and self.cost_within(f"{kind}:{low + 1}", memory):
            low += 1
        return low

    def budget(self, budget):
        """In bytes."""
        return self.cost(self.task.published[budget])["memory"] if isinstance(budget, str) else budget

    def search(self, how, memory):
        """A scheme within so many bytes."""
        options = self.task.search[how]

        def compute():
            path = self.folder / f"{how}-{memory}.json"
            self.attune("search", self.model, "--data", self.train_data, "-o", path, *self.task.compile, "--backend",
                        "reference", *options, "--memory", memory, "--cache", self.folder / "gains.jsonl", "--json", "--quiet")
            return json.dumps(json.loads(path.read_text()))

        return self.results.get(["search", memory, options, self.sizes["train"], *self.model_key], compute)

    def run(self, scheme, rate, seed, epochs, judge):
        """Accuracy on `judge` after training; 0 where training diverges."""

        def compute():
            name = hashlib.sha256(json.dumps([scheme, rate, seed, epochs]).encode()).hexdigest()[:16]
            plan, checkpoint = self.folder / f"{name}.att", self.folder / f"{name}.atc"
            self.attune("compile", self.model, "-o", plan, "--scheme", scheme, *self.task.compile, "--seed", seed,
                        "--quiet", "--json")
            start = time.time()
            try:
                self.attune("train", plan, "--data", self.train_data, "--epochs", epochs, "--learning-rate", rate,
                            "--schedule", "cosine", "--warmup", 100, "--seed", seed, "--checkpoint", checkpoint,
                            "--quiet", "--json")
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

        return self.results.get(["run", scheme, rate, seed, epochs, judge.name, self.sizes, *self.model_key], compute)

    def tune(self, scheme):
        """The best rate of the grid, going from the middle as long as that helps; with several seeds one of which twice the
        rate diverges for none, either: next to a rate that does, other seeds diverge."""

        def scores(at):
            seeds = range(TUNING_SEED, TUNING_SEED + self.task.tune_seeds)
            return [self.run(scheme, RATES[at], seed, self.tune_epochs, self.tune_data)["accuracy"] for seed in seeds]

        def safe(at):
            return all(all(scores(i)) for i in (at, at - 1) if i >= 0)

        best = FIRST_RATE
        for step in (1, -1):
            while 0 <= best + step < len(RATES) and sum(scores(best + step)) > sum(scores(best)):
                best += step
            if best != FIRST_RATE:
                break
        while self.task.tune_seeds > 1 and best + 1 < len(RATES) and not safe(best):
            best += 1
        return RATES[best]

    def measure(self, scheme):
        rate = self.tune(scheme)
        accuracies = [self.run(scheme, rate, seed, self.epochs, self.test_data)["accuracy"]
                      for seed in range(self.seeds)]
        return {"rate": rate, "accuracies": accuracies}

    def known(self, ask):
        """What `ask` gives if all of it has been computed, else None."""
        try:
            with self.results.only_known():
                return ask()
        except Missing:
            return None

    def rows(self, budget):
        """(name, a function that gives the scheme or None), the most telling first."""
        memory = lambda: self.budget(budget)
        largest = lambda kind: self.largest_that_fits(kind, memory())

        def fixed(kind, k):
            return lambda: f"{kind}:{k}" if k < largest(kind) else None

        def of_largest(kind):
            return lambda: f"{kind}:{largest(kind)}" if largest(kind) else None

        made = []
        for how in self.task.search:
            if not self.options.searches or how in self.options.searches.split(","):
                made.append((f"searched, {how}", lambda how=how: self.search(how, memory())))
        made += [("last", of_largest("last")), ("bias", of_largest("bias"))]
        if budget in self.task.published:
            made.append((f"published, {budget}", lambda: self.task.published[budget]))
        made += [("last", fixed("last", k)) for k in reversed(self.task.last)]
        made += [("bias", fixed("bias", k)) for k in reversed(self.task.bias)]
        return made + [("full", lambda: "full"), ("head", lambda: "head")]

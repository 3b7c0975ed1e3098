"""Accuracy of schemes that take the same memory: last:K, bias:K, full, published hand-made schemes, searched ones.

Every scheme gets its learning rate in the same way: from the same grid, judged on examples that are neither trained on
nor tested with. Then it is trained with several seeds, each of which decides the fresh classifier and the order of
the examples: schemes are compared seed by seed. Every result is kept in a file and not computed again, and a task's
page is written after each of its schemes, from what there is."""

import argparse
import concurrent.futures
import pathlib
import sys
import threading
import time

import page
import tasks
from experiment import Experiment


def work(experiments):
    """(experiment, budget, name, scheme) for every row, one budget of every task after the other."""
    deepest = max(len(e.task.budgets) for e in experiments)
    for i in range(deepest):
        for experiment in experiments:
            for budget in experiment.task.budgets[i : i + 1]:
                for name, scheme in experiment.rows(budget):
                    yield experiment, budget, name, scheme


def measure_all(experiments, options):
    writing = threading.Lock()

    def measure(experiment, budget, name, scheme):
        start = time.time()
        found = scheme()
        if not found:
            return
        result = experiment.measure(found)
        experiment.cost_within(found, experiment.budget(budget))
        with writing:
            page.write(experiment, options)
        print(f"{experiment.name} {budget} {name} {page.accuracy_text(result['accuracies'])} % rate {result['rate']:g}  "
              f"{time.time() - start:.0f} s  {found}", flush=True)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for done in [pool.submit(measure, *row) for row in work(experiments)]:
            done.result()


def estimate(experiments, options):
    """Says how long everything takes, from runs of the first epoch with the least data."""
    total = 0
    for experiment in experiments:
        task = experiment.task
        seconds = {}
        for scheme in ("bias:3", "full"):
            seconds[scheme] = experiment.run(scheme, 0.0005, 0, 1, experiment.tune_data)["seconds"]
        rows = sum(len(experiment.rows(budget)) for budget in task.budgets)
        epochs = 4 * task.tune_seeds * experiment.tune_epochs + experiment.seeds * experiment.epochs  # tuning takes three or four runs
        hours = (seconds["full"] + seconds["bias:3"] * 1.3 * (rows - 1)) * epochs / 3600 / options.jobs
        print(f"{experiment.name}: an epoch takes {seconds['bias:3']:.0f} .. {seconds['full']:.0f} s; {rows} schemes take "
              f"about {hours:.1f} hours, searches and tests not counted")
        total += hours
    print(f"about {total:.1f} hours in all")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attune", required=True, help="the command")
    parser.add_argument("--tasks", default=",".join(tasks.TASKS), help="some of %(default)s")
    parser.add_argument("--shared", default=str(tasks.SHARED), help="the folder of `models` and `data`")
    parser.add_argument("--folder", default="build/schemes", help="results so far, and what lies about")
    parser.add_argument("--pages", default="docs", help="the folder of schemes-TASK.md and its plot")
    parser.add_argument("--seeds", type=int, default=0, help="0: what the task says")
    parser.add_argument("--jobs", type=int, default=1, help="schemes at a time")
    parser.add_argument("--searches", metavar="A,B", help="only these of a task's searched schemes")
    parser.add_argument("--estimate", action="store_true", help="only tell how long it takes")
    parser.add_argument("--page-only", action="store_true", help="only write the pages, of the results there are")
    parser.add_argument("--trial", action="store_true", help="tiny sizes, and pages beside the results")
    options = parser.parse_args()
    if options.trial:
        options.folder = options.pages = "build/schemes-trial"
        options.seeds, options.searches = 2, "fisher"
    unknown = set(options.tasks.split(",")) - set(tasks.TASKS)
    if unknown:
        raise SystemExit(f"--tasks: {', '.join(sorted(unknown))} is not one of {', '.join(tasks.TASKS)}")
    return options


def main():
    options = parse()
    experiments = []
    for name in options.tasks.split(","):
        task = tasks.TASKS[name]
        wanted = [pathlib.Path(options.shared) / "models" / task.model, pathlib.Path(options.shared) / "data" / task.data]
        absent = [str(path) for path in wanted if not path.exists()]
        if absent:
            print(f"{name} is left out: {', '.join(absent)} is not there; give --shared", file=sys.stderr)
        else:
            experiments.append(Experiment(name, task, options))
    if not experiments:
        raise SystemExit("no task is left")
    if options.estimate:
        return estimate(experiments, options)
    if not options.page_only:
        measure_all(experiments, options)
    for experiment in experiments:
        if path := page.write(experiment, options):
            print(path)


if __name__ == "__main__":
    main()

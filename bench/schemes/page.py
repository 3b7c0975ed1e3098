"""A task's page, docs/schemes-TASK.md, from what has been measured so far."""

import dataclasses
import math
import pathlib

import plot


@dataclasses.dataclass
class Row:
    kind: str  # what the plot colours by
    name: str
    scheme: str
    memory: int  # bytes
    macs: int
    rate: float
    accuracies: list  # by seed


def mean_and_error(values):
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, 0.0
    return mean, math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))


def accuracy_text(accuracies):
    mean, error = mean_and_error([100 * a for a in accuracies])
    return f"{mean:.2f} ± {error:.2f}"


def plural(count, what):
    return f"{count} {what}" + ("" if count == 1 else "s")


def measured_rows(experiment, budget):
    """Of the schemes that are measured, and how many are not."""
    rows, missing = [], 0
    for name, ask in experiment.rows(budget):
        scheme = experiment.known(lambda: ask() or "")
        if scheme == "":
            continue  # nothing of this kind fits
        result = scheme and experiment.known(lambda: experiment.measure(scheme))
        memory = result and experiment.known(lambda: experiment.budget(budget))
        cost = memory and experiment.known(lambda: experiment.cost_within(scheme, memory) or experiment.cost(scheme))
        if not cost:
            missing += 1
            continue
        shown = scheme if name in ("last", "bias") else name
        rows.append(Row(name.split(",")[0], shown, scheme, cost["memory"], cost["macs"], result["rate"],
                        result["accuracies"]))
    return rows, missing


def difference_text(row, searched):
    if row is searched or not searched:
        return ""
    mean, error = mean_and_error([100 * (a - b) for a, b in zip(searched.accuracies, row.accuracies)])
    return f"{mean:+.2f} ± {error:.2f}"


def table(rows):
    """The searched scheme first, then by accuracy."""
    searched = next((row for row in rows if row.kind == "searched"), None)
    mean = lambda row: sum(row.accuracies) / len(row.accuracies)
    lines = ["| scheme | accuracy, % | searched minus this | learning rate | memory, KiB | multiply-adds, million |",
             "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for row in sorted(rows, key=lambda row: (row is not searched, -mean(row))):
        lines.append(f"| {row.name} | {accuracy_text(row.accuracies)} | {difference_text(row, searched)} | {row.rate:g} | "
                     f"{row.memory / 1024:.1f} | {row.macs / 1e6:.1f} |")
    return lines


def budget_section(experiment, budget):
    rows, missing = measured_rows(experiment, budget)
    memory = experiment.known(lambda: experiment.budget(budget))
    if not rows or not memory:
        return [], []
    like = f", what the published {budget} scheme takes" if isinstance(budget, str) else ""
    lines = [f"### {memory / 1024:.0f} KiB{like}", "", *table(rows), ""]
    if missing:
        lines += [f"{missing} more schemes are not measured yet.", ""]
    searched = [f"- {row.name}: `{row.scheme}`" for row in rows if row.kind == "searched"]
    return lines + searched + [""] * bool(searched), rows


def task_section(experiment):
    task = experiment.task
    sections = [budget_section(experiment, budget) for budget in task.budgets]
    if not any(rows for _, rows in sections):
        return [], []
    every_row = list({row.scheme: row for _, rows in sections for row in rows}.values())
    lines = [f"## {task.title}", "",
             f"{task.sizes_text.format(**experiment.sizes)}; {experiment.epochs} epochs, {experiment.seeds} seeds. "
             f"Rates are chosen by the accuracy of {plural(task.tune_seeds, 'run')} of {plural(experiment.tune_epochs, 'epoch')}. "
             f"Options: `{' '.join(task.compile)}`; of the search: "
             + "; ".join(f"{name}: `{' '.join(words)}`" for name, words in task.search.items()) + ".", ""]
    return lines + [line for text, _ in sections for line in text], every_row


def text(experiment, picture):
    section, rows = task_section(experiment)
    safe = "; twice the rate, where the grid has it, diverges for none of these seeds, as next to a rate that does, others diverge"
    safe = safe if experiment.task.tune_seeds > 1 else ""
    lines = ["# Schemes of equal memory", "",
             "What a searched scheme (`attune search`) learns, and what others learn that take as much memory: the largest "
             "`last:K` and `bias:K` that fit, smaller ones, and hand-made ones as published. `full` and `head` are in every "
             "table, whatever they take. A search with finals fine-tunes what it favours, on the training examples alone. Written by "
             f"`bench/schemes/run.sh --tasks {experiment.name}`.", "",
             "- Accuracies are percentages of the test examples, mean and standard error over seeds, each of which "
             "decides the fresh classifier and the order of the examples. Differences are seed by seed.",
             "- Every scheme's learning rate is the best of one grid, a factor of 2 between neighbours, found in the same "
             f"way with seeds of their own on examples that are neither trained on nor tested with{safe}. A run that diverges "
             "counts as 0 %. Cosine schedule, 100 steps of warm-up.",
             "- Memory is all RAM of a session: state, arena, workspace and the session's own bytes, of the smallest plan "
             "(early layers and gradients in strips) with the reference kernels in single precision. Schemes that fit only with "
             "activations computed twice count as fitting. Multiply-adds are those of a training step."]
    if experiment.task.published:
        lines.append("- The published schemes are those of Lin et al., NeurIPS 2022 (arXiv 2206.15472), chosen for other data sets.")
    lines += ["", f"![accuracy against memory]({picture})", "", *section]
    return "\n".join(lines).rstrip() + "\n", rows


def write(experiment, options):
    path = pathlib.Path(options.pages) / f"schemes-{experiment.name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = path.with_suffix(".svg")
    words, rows = text(experiment, picture.name)
    if not rows:
        return
    path.write_text(words)
    points = [(row.kind, row.name, row.memory, *mean_and_error([100 * a for a in row.accuracies])) for row in rows]
    picture.write_text(plot.svg(experiment.task.title, points))
    return path

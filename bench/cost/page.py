"""The text of docs/cost.md, from what compare.py found."""
import os
import platform
import statistics

import plans

LIMIT = 0.15  # what an estimate may be off


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def table(headers, lines, texts=1):
    """Aligned; the first columns are texts, the others numbers."""
    cells = [headers, *lines]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(headers))]

    def line(row):
        return "| " + " | ".join(c.ljust(w) if i < texts else c.rjust(w)
                                 for i, (c, w) in enumerate(zip(row, widths))) + " |"
    rule = "| " + " | ".join("-" * w if i < texts else "-" * (w - 1) + ":" for i, w in enumerate(widths)) + " |"
    return "\n".join([line(headers), rule, *map(line, lines)])


def ms(value):
    return f"{value:.1f}" if value >= 100 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def percent(share):
    return f"{100 * share:+.1f} %"


def plain_percent(share):
    return f"{100 * share:.1f} %"


def configurations(rows):
    return list(dict.fromkeys((row["threads"], row["backend"]) for row in rows))


def configuration_text(threads, backend):
    return f"{threads} thread{'s' if threads > 1 else ''}, {backend}"


def of_configuration(rows, c):
    return [row for row in rows if (row["threads"], row["backend"]) == c]


def within(errors):
    return f"{sum(abs(e) <= LIMIT for e in errors)} of {len(errors)}"


def summary_cells(name, rows):
    errors = [row["error"] for row in rows]
    rounds = [r["estimated_ms"] / r["fastest_ms"] - 1 for row in rows for r in row["rounds"]]
    return [name, within(errors), plain_percent(statistics.median(map(abs, errors))),
            percent(max(errors, key=abs)), within(rounds),
            plain_percent(statistics.median(row["spread"] for row in rows)),
            plain_percent(max(row["spread"] for row in rows))]


def summary(rows):
    lines = [summary_cells(configuration_text(*c), of_configuration(rows, c)) for c in configurations(rows)]
    if len(lines) > 1:
        lines.append(summary_cells("all", rows))
    return table(["session", "within 15 %", "median error", "worst", "of single rounds", "spread, median",
                  "spread, most"], lines)


def plan_table(rows):
    return table(["plan", "estimated", "fastest", "error", "median", "sum of steps", "same steps", "spread"],
                 [[row["plan"], ms(row["estimated_ms"]), ms(row["fastest_ms"]), percent(row["error"]),
                   ms(row["median_ms"]), ms(row["steps_fastest_ms"]), f"{100 * row['measured_share']:.0f} %",
                   plain_percent(row["spread"])] for row in rows])


def operator_table(rows):
    """Where estimates go wrong: the operators that take the most time, over all plans."""
    shares = {}
    for row in rows:
        for op, (estimated, fastest) in row["operators"].items():
            shares.setdefault(op, []).append((estimated / row["fastest_ms"], fastest / row["fastest_ms"]))
    lines = []
    for op, pairs in sorted(shares.items(), key=lambda item: -sum(f for _, f in item[1])):
        estimated, fastest = (sum(column) / len(rows) for column in zip(*pairs))
        if fastest >= 0.01:
            lines.append([f"`{op}`", plain_percent(fastest), plain_percent(estimated),
                          percent(estimated / fastest - 1)])
    return table(["operator", "share of a step", "estimated", "error"], lines)


def section(rows, c):
    chosen = of_configuration(rows, c)
    return f"""## {configuration_text(*c)}

{plan_table(chosen)}

By operator, the mean of its shares of the plans' steps:

{operator_table(chosen)}
"""


def beyond(rows):
    lines = [f"- {row['plan']}, {configuration_text(row['threads'], row['backend'])}: {percent(row['error'])}, "
             f"its fastest runs {plain_percent(row['spread'])} apart" for row in rows if abs(row["error"]) > LIMIT]
    return "\n".join(["Not within 15 %:", "", *lines]) if lines else "Every estimate is within 15 %."


def quietness(rows):
    """Whether the machine was quiet enough for estimates to be judged."""
    busy = sum(row["spread"] > LIMIT for row in rows)
    if not busy:
        return ""
    return (f"**The machine was busy.** Of {len(rows)} rows, {busy} have fastest runs that lie more than 15 % apart between "
            "rounds, so their errors tell of other programs as well. Write this page again on a machine that is idle.")


def page(result):
    rows = result["rows"]
    loads = [r["load"] for row in rows for r in row["rounds"]]
    rounds = len(rows[0]["rounds"])
    models = "\n".join(f"- `{name}`: {what}" for name, what in plans.MODELS.items())
    missing = "\n".join(["Not measured:", "", *(f"- {name}: {why}" for name, why in result["missing"].items()), ""])
    sections = "\n".join(section(rows, c) for c in configurations(rows))
    return f"""# Estimated and measured training steps

Written by `{result["command"]}` on {result["date"]}, in {result["seconds"] / 60:.0f} minutes; do not edit.
The estimates are those of `attune inspect --target`, for targets that `attune profile` measured with its built-in
networks: none of the plans below is among these. Each of {rounds} rounds profiled the machine and then ran every plan.

Machine: {processor()}, {os.cpu_count()} processors; the load average, this program included, was {min(loads):.1f} .. {max(loads):.1f}.
{result["note"]}

{quietness(rows)}

{summary(rows)}

{beyond(rows)}

- *estimated*: with the fastest time of every point over all rounds; *fastest*: the plan's fastest run over all
  rounds. *error* is the one against the other. Other programs only ever make a run slower.
- *of single rounds*: a round's profile alone, against the fastest run of that round.
- *median*: of all runs. *sum of steps*: of the fastest time of each step; the fastest run
  takes longer where even that was disturbed. *same steps*: the share of the estimate that comes from steps of the very
  same shape in the profile. *spread*: from the fastest run of the best round to that of the worst.
- Times are milliseconds of a whole training step.

{models}

{missing if result["missing"] else ""}
{sections}"""

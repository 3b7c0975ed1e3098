"""compare.py: estimates of training steps against their measurements; writes docs/cost.md and docs/cost.json.

Rounds: each profiles the machine, with networks that are not the plans', then measures every plan. What slows the
machine down for some minutes so slows both. Both count by their fastest, over all rounds: the estimate by the
fastest time of each point of the profiles, the measurement by the fastest run of the step.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import page
import plans

CONFIGURATIONS = ((1, "best"), (2, "best"), (1, "simd"))
MOST_REPEATS, LEAST_REPEATS = 200, 5


def configuration(text):
    threads, _, backend = text.partition(":")
    return int(threads), backend or "best"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--attune", required=True, help="the attune command")
    parser.add_argument("--folder", required=True, type=pathlib.Path, help="for models, plans and profiles")
    parser.add_argument("--command", default="compare.py", help="as the page shall name it")
    parser.add_argument("--models-folder", default=plans.ROOT / "../shared/models", type=pathlib.Path,
                        help="with the models that torchvision does not have")
    parser.add_argument("--output", default=plans.ROOT / "docs", type=pathlib.Path, help="the folder of the page")
    parser.add_argument("--plans", default="", metavar="TEXT", help="only those whose name holds this")
    parser.add_argument("--configurations", nargs="+", type=configuration, default=CONFIGURATIONS,
                        metavar="THREADS:BACKEND", help="default: " +
                        " ".join(f"{threads}:{backend}" for threads, backend in CONFIGURATIONS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile-rounds", type=int, default=1, help="of the profile, in each round")
    parser.add_argument("--seconds", type=float, default=1.5, help="of measuring a plan in a round, about")
    parser.add_argument("--note", default="", help="a sentence for the page")
    return parser.parse_args()


def attune(*words):
    child = subprocess.run([args.attune, *map(str, words)], capture_output=True, text=True)
    if child.returncode != 0:
        raise SystemExit(f"attune {' '.join(map(str, words))}: {child.stderr.strip()}")
    return child.stdout


def program(answer):
    return next(p for p in answer["programs"] if p["name"] == "train_step")


def bench(plan, session, target, repeats):
    return program(json.loads(attune("bench", plan, "--program", "train_step", "--no-peak", "--json", *session,
                                     "--target", target, "--repeats", repeats)))


def measure(row, session, target):
    """Adds a round to a row. The first says how many runs fill the time."""
    if "repeats" not in row:
        first = bench(row["file"], session, target, 1)["fastest_ms"]
        row["repeats"] = max(LEAST_REPEATS, min(MOST_REPEATS, int(1e3 * args.seconds / first)))
    answer = bench(row["file"], session, target, row["repeats"])
    row["rounds"].append({"fastest_ms": answer["fastest_ms"], "median_ms": answer["ms"],
                          "estimated_ms": answer["estimated_ms"], "load": os.getloadavg()[0]})
    fastest = [step["fastest_ms"] for step in answer["steps"]]
    row["steps_ms"] = [min(pair) for pair in zip(row.get("steps_ms", fastest), fastest)]


def merged(profiles):
    """One target of several: of each point its fastest time, of the machine the most that it did."""
    targets = [json.loads(path.read_text()) for path in profiles]
    result = dict(targets[0], points=[])
    result["gflop_s"] = max(t["gflop_s"] for t in targets)
    result["bandwidth"] = [{"bytes": same[0]["bytes"], "gb_s": max(b["gb_s"] for b in same)}
                           for same in zip(*(t["bandwidth"] for t in targets))]
    result["step_us"] = min(t["step_us"] for t in targets)
    points = {}
    for point in (p for t in targets for p in t["points"]):
        key = json.dumps({k: v for k, v in point.items() if k != "us"})
        points[key] = min(points.get(key, point), point, key=lambda p: p["us"])
    result["points"] = list(points.values())
    return result


def operators(steps, measured):
    """Estimated and measured ms by operator."""
    sums = {}
    for step, ms in zip(steps, measured):
        estimate, fastest = sums.get(step["op"], (0, 0))
        sums[step["op"]] = (estimate + step["estimated_ms"], fastest + ms)
    return sums


def finished(row, session, target):
    """A row with what its rounds come to, so far."""
    row = dict(row)
    estimate = program(json.loads(attune("inspect", row["file"], "--json", *session, "--target", target)))
    row["estimated_ms"] = estimate["estimated_ms"]
    row["measured_share"] = estimate["measured_share"]
    row["fastest_ms"] = min(r["fastest_ms"] for r in row["rounds"])
    row["median_ms"] = statistics.median(r["median_ms"] for r in row["rounds"])
    row["steps_fastest_ms"] = sum(row["steps_ms"])
    row["operators"] = operators(estimate["steps"], row["steps_ms"])
    row["error"] = row["estimated_ms"] / row["fastest_ms"] - 1
    row["spread"] = max(r["fastest_ms"] for r in row["rounds"]) / row["fastest_ms"] - 1
    del row["steps_ms"], row["file"]
    return row


def compiled(missing):
    """Plan row -> file, of those that there are."""
    files = {}
    for row in plans.PLANS:
        if args.plans not in row.name:
            continue
        try:
            files[row] = plans.compile_plan(row, args.attune, args.folder, args.models_folder)
        except plans.CannotCompile as error:
            missing[row.name] = str(error)
            print(f"{row.name}: {error}", file=sys.stderr)
    return files


def compare(files, write):
    """Calls `write` with all finished rows after every round, so that an interrupted run leaves a page."""
    rows = {c: [{"plan": row.name, "threads": c[0], "backend": c[1], "file": file, "rounds": []}
                for row, file in files.items()] for c in args.configurations}
    profiles = {c: [] for c in args.configurations}

    def session(c):
        return "--threads", c[0], "--backend", c[1]

    for number in range(args.rounds):
        for c in args.configurations:
            target = args.folder / f"machine-{c[0]}-{c[1]}-{number + 1}.json"
            attune("profile", "-o", target, "--quiet", "--rounds", args.profile_rounds, *session(c))
            profiles[c].append(target)
            for row in rows[c]:
                measure(row, session(c), target)
                print("round {}, {} threads, {}: {}: estimated {estimated_ms:.2f}, fastest {fastest_ms:.2f} ms".format(
                    number + 1, *c, row["plan"], **row["rounds"][-1]), file=sys.stderr)
        done = []
        for c in args.configurations:
            target = args.folder / f"machine-{c[0]}-{c[1]}.json"
            target.write_text(json.dumps(merged(profiles[c]), indent=1))
            done += [finished(row, session(c), target) for row in rows[c]]
        write(done)


args = arguments()
args.folder.mkdir(parents=True, exist_ok=True)
args.output.mkdir(parents=True, exist_ok=True)
start, missing = time.time(), {}
files = compiled(missing)
if not files:
    raise SystemExit("no plan to measure: " + "; ".join(f"{name}: {why}" for name, why in missing.items()))


def write(rows):
    result = {"command": args.command, "seconds": time.time() - start, "date": time.strftime("%Y-%m-%d"),
              "note": args.note, "missing": missing, "rows": rows}
    (args.output / "cost.json").write_text(json.dumps(result, indent=1) + "\n")
    (args.output / "cost.md").write_text(page.page(result))
    print(page.summary(rows), flush=True)


compare(files, write)

#!/usr/bin/env python3
"""Kills `attune` at its system calls, lets them fail, and cuts the power: nothing may be lost.

faults.py ATTUNE [--kills N] [--errors N] [--jobs N] [--seed S]

Each scenario first runs undisturbed. Then, in a fresh copy of its folder, one call of the same run
kills the process or fails. After that no other file has changed; each output is the old one or a
whole new one; and the same work, taken up again, ends in the same bits and leaves no other file.
Status 77 where strace is missing or must not trace.
"""
import argparse
import collections
import concurrent.futures
import itertools
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

import disk
import shop

FILE_CALLS = ("openat write pwrite64 fsync fdatasync rename renameat linkat unlink unlinkat fallocate "
              "fchmod fchown ftruncate close flock newfstatat faccessat faccessat2").split()
ERRORS = {
    "openat": "EMFILE EACCES EINTR ENOSPC EIO", "write": "ENOSPC EIO EINTR", "read": "EIO EINTR",
    "pread64": "EIO EINTR", "fsync": "EIO ENOSPC EINTR", "renameat": "EACCES EIO ENOSPC",
    "linkat": "EPERM EMLINK EIO", "unlinkat": "EACCES EIO", "fallocate": "ENOSPC EOPNOTSUPP EINTR",
    "fchmod": "EPERM EIO", "ftruncate": "EIO EINTR", "flock": "ENOLCK EINTR", "close": "EIO EINTR",
    "newfstatat": "EIO EACCES", "faccessat": "EACCES", "faccessat2": "EACCES", "mmap": "ENOMEM",
    "clone3": "EAGAIN", "lseek": "EIO", "fcntl": "EINVAL", "statx": "EIO", "readlink": "EIO"}
TIMEOUT = 120
LEFT_BY_KILL = re.compile(r"(\.attune-tmp-\d+(-\d+)?(\.old)?|\.lock)$")

# command; outputs; the command that takes the work up again, where the output is a new one
Scenario = collections.namedtuple("Scenario", "name command outputs resume start")
TRAIN = "train net.att --data data.csv --seed 3 -q "
SCENARIOS = [
    Scenario("train", TRAIN + "--epochs 3 --checkpoint a.atc --log a.jsonl --curves a.svg",
             ["a.atc", "a.jsonl", "a.svg"],
             TRAIN + "--resume a.atc --log a.jsonl --curves a.svg", {}),
    Scenario("overwrite", TRAIN + "--epochs 3 --checkpoint a.atc --overwrite", ["a.atc", "a.atc.old"],
             TRAIN + "--resume a.atc", {"a.atc": "other.atc", "a.atc.old": "one.atc"}),
    Scenario("from", TRAIN + "--epochs 3 --from a.atc --checkpoint a.atc", ["a.atc", "a.atc.old"],
             TRAIN + "--resume a.atc", {"a.atc": "one.atc"}),
    Scenario("resume", TRAIN + "--resume a.atc --epochs 4", ["a.atc"],
             TRAIN + "--resume a.atc --epochs 4", {"a.atc": "one.atc"}),
    Scenario("threads", TRAIN + "--epochs 2 --checkpoint a.atc --threads 3", ["a.atc"],
             TRAIN + "--resume a.atc --threads 3", {}),
    Scenario("compile", "compile net.onnx -o p.att --scheme full --batch-size 4", ["p.att"], None,
             {"p.att": "head.att"}),
    Scenario("export", "export net.att --model net.onnx --checkpoint one.atc -o m.onnx", ["m.onnx"],
             None, {"m.onnx": "net.onnx"}),
    Scenario("report", "evaluate net.att --checkpoint one.atc --data data.csv --html r.html",
             ["r.html"], None, {}),
    Scenario("adapt", "adapt net.onnx data.csv -o m.onnx --minutes 0.01 --jobs 1 -q", ["m.onnx"], None,
             {"m.onnx": "net.onnx"}),
]


def bytes_in(folder):
    return {p.name: p.read_bytes() for p in pathlib.Path(folder).iterdir() if p.is_file()}


class Tried:
    """A scenario, what it does undisturbed, and where it can be disturbed."""

    def __init__(self, faults, scenario):
        self.scenario, self.faults = scenario, faults
        folder = faults.copy(scenario)
        self.before = bytes_in(folder)
        trace = folder.parent / "trace"
        result = faults.run(folder, scenario.command, ["-y", "-o", str(trace)])
        if result.returncode != 0:
            sys.exit(f"{scenario.name}: fails undisturbed: {result.stderr}")
        self.expected = bytes_in(folder)
        self.trace = trace.read_text(errors="replace").splitlines()
        # What happens before main is not ours: the first call of main looks at descriptor 0.
        main = next(i for i, l in enumerate(self.trace) if re.search(r"fcntl\(0\b.*F_GETFD", l))
        # In their order. strace counts each thread's calls apart, and disturbs the nth of all of them.
        self.points = {}
        seen, before_main = collections.Counter(), collections.Counter()
        for i, line in enumerate(self.trace):
            call = re.match(r"(\d+ +)?(\w+)\(", line)
            if call:
                seen[call[0]] += 1
                if i <= main:
                    before_main[call[2]] += 1
                elif seen[call[0]] > before_main[call[2]]:
                    self.points[call[2], seen[call[0]]] = True
        shutil.rmtree(folder.parent)

    def same(self, name, content):
        """Logs and pictures tell times; what they hold is looked at otherwise."""
        return name.endswith((".jsonl", ".svg", ".html")) or content == self.expected[name]

    def disturb(self, inject, tries=5):
        """Runs with one call disturbed; what was lost, in words."""
        scenario, faults = self.scenario, self.faults
        folder = faults.copy(scenario)
        try:
            call = inject.split(":")[0]
            trace = folder.parent / "trace"
            result = faults.run(folder, scenario.command, [
                "-o", str(trace), "-e", f"trace={call}", "-e", f"inject={inject}"])
            if tries and "strace: Unexpected wait status" in result.stderr:
                return self.disturb(inject, tries - 1)  # strace itself gave up: a thread was killed as it began
            killed = "SIGKILL" in inject
            text = trace.read_text(errors="replace")
            self.faults.took_effect += ("killed by SIGKILL" if killed else "INJECTED") in text
            lost = list(self.judge(folder, result, killed, call))
            if not lost:
                lost = list(self.take_up(folder, killed))
            return [f"{scenario.name} with {inject}: {l} (status {result.returncode}; "
                    f"{result.stderr.strip()[-200:]})" for l in lost]
        except subprocess.TimeoutExpired:
            return [f"{scenario.name} with {inject}: hangs"]
        finally:
            shutil.rmtree(folder.parent)

    def judge(self, folder, result, killed, call):
        after, outputs = bytes_in(folder), self.scenario.outputs
        if result.returncode not in ((-9, 137, 0, 2) if killed else (0, 2)):
            yield "ends in neither success nor a message"
        if result.returncode == 2 and call != "write" and "attune: " not in result.stderr:
            yield "fails without a message"
        for name in self.before:
            if name not in after:
                if name not in outputs or name != "a.atc.old":
                    yield f"{name} is gone"
            elif name not in outputs and after[name] != self.before[name]:
                yield f"{name}, which is no output, has changed"
        for name in after:
            if name in self.before or name in outputs:
                continue
            left = LEFT_BY_KILL.sub("", name)
            if left == name or left not in outputs:
                yield f"{name} has appeared"
            elif not killed and call not in ("unlinkat", "unlink", "newfstatat", "flock"):
                yield f"{name} was not cleaned up"
        if result.returncode == 0:
            for name in outputs:
                # A picture or a log that cannot be written is told, and does not end a run.
                told = name.endswith((".svg", ".jsonl")) and f"attune: {name}: " in result.stderr.replace("--log ", "")
                if name in self.expected and not told and (name not in after
                                                           or not self.same(name, after[name])):
                    yield f"{name} is not what it should be after success"
        for name in outputs:
            if name in after and after[name] not in (self.before.get(name), self.expected.get(name)):
                if name.endswith((".att", ".onnx", ".old")):
                    yield f"{name} is neither the old nor the new one"
                if name.endswith((".svg", ".html")) and not after[name].rstrip().endswith(
                        (b"</svg>", b"</html>")):
                    yield f"{name} is cut short"
        if "a.atc.old" in outputs and after.get("a.atc") != self.before.get("a.atc"):
            if after.get("a.atc.old") != self.before.get("a.atc"):
                yield "the checkpoint that was replaced is lost"

    def take_up(self, folder, killed):
        scenario, now = self.scenario, bytes_in(folder)
        is_new = "a.atc" in now and now["a.atc"] != self.before.get("a.atc")
        command = scenario.resume if scenario.resume and is_new else scenario.command
        result = self.faults.run(folder, command)
        if result.returncode != 0:
            yield f"cannot be taken up: {result.stderr.strip()}"
            return
        after = bytes_in(folder)
        for name in self.expected.keys() | after.keys():
            if name.endswith(".svg") and name not in after:
                continue  # a run that is over draws no picture
            if name not in after or name not in self.expected:
                yield f"{name} {'is missing' if name not in after else 'stays'} in the end"
            elif not self.same(name, after[name]):
                yield f"{name} is another in the end"


class Faults:
    def __init__(self, attune, folder):
        self.attune, self.folder, self.count = attune, pathlib.Path(folder), itertools.count()
        self.took_effect = 0
        self.base = self.folder / "base"
        self.base.mkdir()
        (self.base / "net.onnx").write_bytes(shop.model())
        (self.base / "data.csv").write_text(shop.table())
        for command in (
                "compile net.onnx -o net.att --scheme full --batch-size 4",
                "compile net.onnx -o head.att --scheme head --batch-size 4",
                TRAIN + "--epochs 2 --checkpoint one.atc",
                "train head.att --data data.csv --epochs 1 -q --checkpoint other.atc"):
            result = self.run(self.base, command)
            if result.returncode != 0:
                sys.exit(f"{command}: {result.stderr}")

    def copy(self, scenario):
        folder = self.folder / f"case{next(self.count)}" / "work"
        shutil.copytree(self.base, folder)
        for name, source in scenario.start.items():
            shutil.copy(self.base / source, folder / name)
        return folder

    def run(self, folder, command, strace=None):
        prefix = ["strace", "-f", "-qq", *strace] if strace else []
        return subprocess.run([*prefix, self.attune, *command.split()], cwd=folder, text=True,
                              errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, timeout=TIMEOUT, check=False)


def sample(things, count, chance):
    return things if len(things) <= count else chance.sample(things, count)


def power_cuts(tried):
    """Replays what each scenario wrote on a disk that forgets; each sync must be missed."""
    lost = []
    for t in tried:
        calls = [l for l in t.trace if re.match(r"(\d+ +)?(" + disk.TRACED.replace(",", "|") + r")\(", l)]
        for name in t.scenario.outputs:
            if name.endswith(".jsonl") or name not in t.expected:
                continue  # a log grows line by line
            faults = disk.play(calls, name, name in t.before, t.before)
            lost += [f"{t.scenario.name}: power cut: {f}" for f in faults[:3]]
            if name.endswith(".old"):
                continue  # whole at any moment, as it was synced when it had its first name
            renamed = max((i for i, l in enumerate(calls) if "rename" in l and f', "{name}")' in l),
                          default=0)
            synced = [i for i in range(renamed) if "fsync(" in calls[i] and f"{name}.attune-tmp" in calls[i]]
            after = [i for i in range(renamed, len(calls)) if "fsync(" in calls[i] and "/work>" in calls[i]]
            if not synced or not after:
                lost.append(f"{t.scenario.name}: {name} and its folder are not synced")
                continue
            for missing in (synced[-1], after[0]):
                cut = [l for i, l in enumerate(calls[:after[0] + 1]) if i != missing]
                if not disk.play(cut, name, name in t.before, t.before):
                    lost.append(f"{t.scenario.name}: a missing sync of {name} is not seen: "
                                f"{calls[missing]}")
    return lost


def can_trace():
    try:
        return subprocess.run(["strace", "-f", "-o", "/dev/null", "true"],
                              stderr=subprocess.DEVNULL, check=False).returncode == 0
    except FileNotFoundError:
        return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("attune")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--errors", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not can_trace():
        print("skipped: strace is missing, or must not trace here")
        sys.exit(77)
    chance, start, lost = random.Random(options.seed), time.time(), []
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="attune-faults-", dir=memory) as folder:
        faults = Faults(str(pathlib.Path(options.attune).resolve()), folder)
        tried = [Tried(faults, s) for s in SCENARIOS]
        lost += power_cuts(tried)
        at_files = [(t, f"{call}:signal=SIGKILL:when={n}")
                    for t in tried for call, n in t.points if call in FILE_CALLS]
        elsewhere = [(t, f"{call}:signal=SIGKILL:when={n}")
                     for t in tried for call, n in t.points if call not in FILE_CALLS]
        errors = [(t, f"{call}:error={error}:when={n}")
                  for t in tried for call, n in t.points for error in ERRORS.get(call, "").split()]
        print(f"{len(at_files)} calls on files to be killed at, {len(elsewhere)} others, {len(errors)} "
              "to fail", flush=True)
        kills = sample(at_files, options.kills, chance)
        kills += sample(elsewhere, options.kills - len(kills), chance)
        errors = sample(errors, options.errors, chance)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            results = pool.map(lambda job: job[0].disturb(job[1]), kills + errors)
            for done, found in enumerate(results, 1):
                lost += found
                for line in found:
                    print(line, flush=True)
                if done % 100 == 0:
                    print(f"{done} of {len(kills) + len(errors)}, {time.time() - start:.0f} s",
                          flush=True)
    # Threads do not come to their calls in the same order each time.
    if faults.took_effect < 0.9 * (len(kills) + len(errors)):
        lost.append("too many of the calls were never come to")
    print("\n".join(lost))
    print(f"{len(kills)} kills, {len(errors)} errors, of which {faults.took_effect} took effect, "
          f"{len(tried)} power cuts: {len(lost)} faults, {time.time() - start:.0f} s")
    sys.exit(1 if lost else 0)


main()

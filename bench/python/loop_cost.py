#!/usr/bin/env python3
"""What a loop over attune.Trainer costs beside `attune train`: processor time of a step, in one run.

usage: PYTHONPATH=build/python loop_cost.py ATTUNE [MODEL.onnx] [--steps N] [--rounds N]

Both train the same plan (DS-CNN, batch 8, scheme full) on the same examples with the same backend and one thread, in
turns; of each the quickest round counts. Of either, a short run is taken from a long one, so that starting does not
count. Exits with 1 where the loop takes over 3 % more.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

import attune

ALLOWED = 1.03
SHORT = 40


def command_seconds(attune_command, plan, data, steps):
    """Processor time of `attune train` for so many steps."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([attune_command, "train", plan, "--data", data, "--steps", str(steps), "--learning-rate", "0.0001",
                    "--overwrite", "--quiet", "--json"], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def loop_seconds(plan, arrays, steps):
    """The same of a loop that reads every step's loss."""
    session = plan.session()
    trainer = attune.Trainer(session, arrays, steps=steps, learning_rate=0.0001)
    total = 0.0
    start = time.process_time()
    for step in trainer:
        total += step.loss
    assert np.isfinite(total)
    return time.process_time() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("attune")
    parser.add_argument("model", nargs="?", default=attune.example_model())
    parser.add_argument("--steps", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    plan = attune.compile(args.model, scheme="full", batch_size=8)
    shape = plan.session().ports("predict")[0].shape[1:]
    random = np.random.default_rng(0)
    x = random.normal(size=(160, *shape)).astype(np.float32)
    y = np.arange(160) % plan.class_count
    with tempfile.TemporaryDirectory() as folder:
        path, data = os.path.join(folder, "plan.att"), os.path.join(folder, "data.npz")
        plan.save(path)
        np.savez(data, x=x, y=y)
        command, loop = [], []
        for _ in range(args.rounds):
            command.append(command_seconds(args.attune, path, data, SHORT + args.steps)
                           - command_seconds(args.attune, path, data, SHORT))
            loop.append(loop_seconds(plan, (x, y), SHORT + args.steps) - loop_seconds(plan, (x, y), SHORT))
    best = [1e6 * min(seconds) / args.steps for seconds in (command, loop)]
    print(f"command {best[0]:.1f} us/step, loop {best[1]:.1f} us/step, ratio {best[1] / best[0]:.4f}")
    return 0 if best[1] <= ALLOWED * best[0] else 1


if __name__ == "__main__":
    sys.exit(main())

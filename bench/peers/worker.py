"""What every peer's program shares: its arguments, its timing, its answer as a line of JSON."""
import argparse
import json
import statistics
import time

import network


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--scheme", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    return parser.parse_args()


def measure(step, steps, version):
    """`step` runs one whole training step and returns the loss as a number."""
    losses = [step() for _ in range(network.WARM_UPS)]
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        losses.append(step())
        times.append(1e3 * (time.perf_counter() - start))
    assert all(loss == loss and abs(loss) < 1e6 for loss in losses), losses
    # The same batch over and over: what learns has a smaller loss at the end.
    assert losses[-1] < losses[0], losses
    print(json.dumps({"ms": statistics.median(times), "version": version, "losses": losses}))

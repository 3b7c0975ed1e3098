"""What every peer's program shares: its arguments, its timing, its answer as a line of JSON."""
import argparse
import json
import statistics
import time

import network


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True, help="that export_model.py wrote")
    parser.add_argument("--model", required=True)
    parser.add_argument("--scheme", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True, help="at most")
    parser.add_argument("--seconds", type=float, required=True, help="for all steps, about")
    parser.add_argument("--gradients", help="write those of the first step to this file")
    return parser.parse_args()


def peak_resident_bytes():
    # getrusage would count the program that started this one, if that was larger.
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


def enough(times, args):
    """Three steps at least, unless they take very long; then as many as there is time for."""
    if len(times) >= args.steps:
        return True
    spent = 1e-3 * sum(times)
    return len(times) > 0 and spent >= (args.seconds if len(times) >= 3 else 10 * args.seconds)


def measure(step, args, version):
    """`step` runs one whole training step and returns the loss as a number."""
    losses = [step() for _ in range(network.WARM_UPS)]
    times = []
    while not enough(times, args):
        start = time.perf_counter()
        losses.append(step())
        times.append(1e3 * (time.perf_counter() - start))
    assert all(loss == loss and abs(loss) < 1e6 for loss in losses), losses
    # The same batch over and over: what learns has a smaller loss at the end.
    assert losses[-1] < losses[0], losses
    print(json.dumps({"ms": statistics.median(times), "memory": peak_resident_bytes(), "version": version,
                      "losses": losses}))


def write_gradients(args, gradients):
    """Weight and bias of each layer in turn, as far as they are trained; in the layout of MODEL.weights."""
    with open(args.gradients, "wb") as file:
        for gradient in gradients:
            file.write(gradient.tobytes())

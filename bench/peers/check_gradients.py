"""check_gradients.py FOLDER PYTHON PROGRAM MODEL...: PROGRAM's gradients of every scheme against PyTorch's.

PYTHON is one with PyTorch, PROGRAM takes the arguments of `worker.py`. Fails where a tensor's difference is more
than single precision explains. A value on the bound of a clamp may be rounded to either side of it, which changes
gradients by 1e-3: PyTorch, too, differs so much from itself in NHWC. So one of its two layouts has to agree.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy

import network

BATCH = 2
TOLERANCE = 2e-4  # of a tensor's norm; sums of 25,000 products in another order differ by some 1e-5


def gradients(command, net, scheme, channels_last=""):
    """A list of arrays, in the order of the trained parameters."""
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run([*command, "--gradients", file.name], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "CHANNELS_LAST": channels_last})
        data = numpy.fromfile(file.name, numpy.float32)
    sizes = [p.size for pair, learns in zip(net.parameters, net.is_trained(scheme))
             for p, is_trained in zip(pair, learns) if is_trained]
    assert sum(sizes) == len(data), (sum(sizes), len(data))
    return numpy.split(data.astype(numpy.float64), numpy.cumsum(sizes)[:-1])


def difference(a, b):
    return max(numpy.linalg.norm(x - y) / numpy.linalg.norm(y) for x, y in zip(a, b))


def main(folder, python, program, *models):
    pytorch = [python, str(pathlib.Path(__file__).with_name("pytorch.py"))]
    for model in models:
        net = network.Network(folder, model, BATCH)
        for scheme in net.trained:
            rest = ["--folder", folder, "--model", model, "--scheme", scheme, "--batch", str(BATCH),
                    "--threads", "1", "--steps", "3", "--seconds", "0"]
            own = gradients([program, *rest], net, scheme)
            worst = difference(own, gradients(pytorch + rest, net, scheme))
            if not worst < TOLERANCE:
                worst = min(worst, difference(own, gradients(pytorch + rest, net, scheme, "1")))
            print(f"{model}, {scheme}: gradients differ by {worst:.1e} at most", file=sys.stderr)
            if not worst < TOLERANCE:
                raise SystemExit(f"{program}: wrong gradients of {model}, {scheme}: {worst:.1e}")


main(*sys.argv[1:])

"""What the tests of the Python package share."""

import importlib
import os
import unittest

import numpy as np

import attune

COMMAND = os.environ.get("ATTUNE_COMMAND")
SHAPE = (1, 49, 10)  # of an input of the example model


def module(name):
    """The module, or the test is skipped."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise unittest.SkipTest(f"skipped: there is no {name} for {os.sys.executable}")


def words(count, seed=0):
    """Examples that the example model takes, and labels that can be learned of them."""
    random = np.random.default_rng(seed)
    y = np.arange(count) % 10
    x = random.normal(size=(count, *SHAPE)).astype(np.float32)
    x[:, 0, :10, 0] += 3 * np.eye(10, dtype=np.float32)[y]
    return x, y.astype(np.int32)


def plan(**options):
    return attune.compile(attune.example_model(), **{"batch_size": 4, "scheme": "bias:2", **options})

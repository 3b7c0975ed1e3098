"""Attune fine-tunes neural networks on the device that runs them.

A model becomes a *plan*: what may learn, the training steps, and where every tensor lies in memory. A *session* is
a plan with its memory; a *trainer* runs it over data.

>>> import attune, numpy as np
>>> plan = attune.compile(attune.example_model(), scheme="bias:2", batch_size=4)
>>> session = plan.session()
>>> x = np.random.default_rng(0).normal(size=(12, 1, 49, 10))
>>> y = np.arange(12) % 10
>>> trainer = attune.Trainer(session, (x, y), epochs=2, learning_rate=0.005)
>>> for step in trainer:
...     pass
>>> step.number, step.epoch
(6, 2)
>>> session.predict(x).shape
(12, 10)

Arrays of NumPy, and of whatever speaks DLPack (PyTorch, JAX, CuPy on the host), go in and come out. Errors are
`attune.Error`, one line that says what is wrong, where, and what to do. What the library has to remark goes to the
logger "attune".
"""

import numpy as _numpy

from attune import _native as _built

if int(_numpy.__version__.split(".")[0]) >= 2 and not _built.NUMPY_2:
    raise ImportError(f"attune was built with a pybind11 before 2.12, which misreads NumPy {_numpy.__version__}; use "
                      "NumPy 1, or build it with a newer pybind11")

from attune._compile import compile, from_torch, search, SearchResult
from attune._data import Files
from attune._native import Dataset, Error, Port
from attune._plan import Plan, example_model, load
from attune._session import Evaluation, Gradients, Parameter, Parameters, Session, to_torch
from attune._trainer import Callback, Epoch, Trainer

__version__ = _built.VERSION

__all__ = [
    "Callback", "Dataset", "Epoch", "Error", "Evaluation", "Files", "Gradients", "Parameter", "Parameters", "Plan",
    "Port", "SearchResult", "Session", "Trainer", "compile", "example_model", "from_torch", "load", "search",
    "to_torch",
]


def _log_notes() -> None:
    import logging

    from attune import _native

    _native.take_notes(logging.getLogger("attune").warning)


_log_notes()

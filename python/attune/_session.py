"""Sessions: plans that run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Union

import numpy as np

from attune import _native
from attune._data import as_array, convert, dataset_of
from attune._plan import Path, Plan


@dataclass(frozen=True)
class Evaluation:
    """What a model is worth on labelled data."""

    loss: float
    """The mean over the examples, by their weights."""
    accuracy: Optional[float]
    """0 .. 1; None where the model gives numbers."""
    examples: int
    report: Dict[str, Any]
    """Everything, as `attune evaluate --json` has it: classes, confusions, errors."""

    @property
    def confusion(self) -> Optional[np.ndarray]:
        """How often examples of a class [row] were taken for another [column], where there are at most 100."""
        matrix = self.report.get("confusion_matrix")
        return None if matrix is None else np.array(matrix)


class Session:
    """A plan with memory of its own: it predicts, measures and learns. One caller at a time may use it; while a
    program runs, other threads of Python do, too.

    >>> import attune, numpy as np
    >>> session = attune.compile(attune.example_model(), scheme="head").session()
    >>> x = np.zeros((1, 1, 49, 10), np.float32)
    >>> outputs = session.run(mfcc=x)
    >>> list(outputs), float(outputs["probabilities"].sum().round(3))
    (['logits', 'probabilities'], 1.0)
    >>> session.parameters["classifier.bias"].shape
    (10,)
    """

    def __init__(self, plan: Plan, *, backend: Optional[str] = None, threads: int = 1) -> None:
        """See `Plan.session`."""
        self.plan = plan
        self.native = _native.Session(plan.native, backend or "", threads)
        self.runs = 0
        """How many runs there were: a view of `run(copy=False)` is stale as soon as this has changed."""
        self._steps = 0

    def __repr__(self) -> str:
        return f"Session({self.plan!r})"

    def run(self, program: str = "predict", arrays: Optional[Mapping[str, Any]] = None, /, *, copy: bool = True,
            **more: Any) -> Dict[str, np.ndarray]:
        """Runs a program on arrays by the names of its ports, and gives its outputs by theirs.

        Each array is copied once, into its port; its shape must be the port's, batch included (`ports` tells). Of
        train_step and evaluate, examples weigh 1 where `weights` are not given, and `step` counts the steps of this
        session. The program train_step takes labels or targets and the learning_rate, and updates the parameters.

        Outputs are copies. With copy=False they are views of the session's memory: they hold these outputs until
        the session runs again, and whatever it computes afterwards; they keep the memory, so that a stale one is
        wrong numbers and never a crash. `runs` tells whether one is stale.

        >>> import attune, numpy as np
        >>> session = attune.compile(attune.example_model(), scheme="head", batch_size=2).session()
        >>> made = session.run("train_step", mfcc=np.zeros((2, 1, 49, 10)), labels=[3, 4], learning_rate=0.01)
        >>> made["loss"].item() > 0
        True
        """
        given = {**(arrays or {}), **more}
        ports = self.native.ports(program)
        fed = [port for port in ports if port.role in _FED]
        unknown = set(given) - {port.name for port in fed}
        if unknown:
            raise _native.Error(f"{program} takes no {', '.join(sorted(map(str, unknown)))}; it takes "
                                f"{', '.join(port.name for port in fed)}")
        values = {}
        for port in fed:
            if port.name in given:
                value = convert(given[port.name], port.dtype, port.name)
                if value.shape != tuple(port.shape) and not (value.size == 1 and port.shape == (1,)):
                    raise _native.Error(f"{port.name}: has the shape {list(value.shape)}, where {program} takes "
                                        f"{list(port.shape)}; compile for another batch_size or predict_batch")
                values[port.name] = value
            elif port.role in ("weight", "advantage"):
                values[port.name] = np.ones((), port.dtype)
            elif port.role == "step":
                values[port.name] = np.array(self._steps + 1, port.dtype)
            else:
                raise _native.Error(f"{program} needs {port.name}, {port.dtype}{list(port.shape)}")
        for name, value in values.items():
            np.copyto(self.native.view(program, name), value)
        self.runs += 1
        self.native.run(program)
        if program == "train_step":
            self._steps += 1
        made = {}
        for port in ports:
            if port.role in ("output", "loss", "metric"):
                view = self.native.view(program, port.name)
                made[port.name] = view.copy() if copy else view
        return made

    def ports(self, program: str = "predict") -> List[_native.Port]:
        """What a program takes and makes: names, roles, types and shapes."""
        return self.native.ports(program)

    def predict(self, data: Any, *, outputs: Optional[Sequence[str]] = None) -> Any:
        """What the model gives for each example of any data, with or without labels: probabilities where it
        classifies, else its first output. `outputs` names others, and the result is a mapping of these."""
        ports = [port.name for port in self.native.ports("predict") if port.role == "output"]
        if not ports:
            raise _native.Error("the plan has no program predict, or the model no output")
        wanted = list(outputs) if outputs is not None else [
            "probabilities" if self.plan.class_count and "probabilities" in ports else ports[0]]
        self.runs += 1
        made = self.native.predict(dataset_of(self, data, "predict"), wanted)
        return made if outputs is not None else made[wanted[0]]

    def evaluate(self, data: Any) -> Evaluation:
        """Measures loss, accuracy and mistakes on labelled data.

        >>> import attune, numpy as np
        >>> session = attune.compile(attune.example_model()).session()
        >>> session.evaluate((np.zeros((5, 1, 49, 10)), [0, 1, 2, 3, 4])).examples
        5
        """
        self.runs += 1
        report = json.loads(self.native.evaluate(dataset_of(self, data, "evaluate")))
        return Evaluation(report["loss"], report.get("accuracy"), report["examples"], report)

    def data(self, data: Any, program: str = "train_step") -> _native.Dataset:
        """Makes what `Trainer`, `evaluate` and `predict` take from any data once, where it is used several times."""
        return dataset_of(self, data, program)

    @property
    def parameters(self) -> "Parameters":
        """What is trained, by the model's names."""
        return Parameters(self)

    @property
    def gradients(self) -> "Gradients":
        """The gradients of the last training step, by the model's names, of a plan compiled with
        keep_gradients=True."""
        return Gradients(self)

    @property
    def memory(self) -> Dict[str, int]:
        """Bytes by part: constants, state, arena, workspace, session; ram is all but the constants."""
        return self.native.memory()

    def reset(self) -> None:
        """Puts parameters and the optimizer's state back to what the plan holds."""
        self.native.reset()
        self._steps = 0

    def load(self, path: Path, *, best: bool = True) -> None:
        """Loads a checkpoint: its best epoch, where the run kept that, or where it stood."""
        self.native.load(os.fspath(path), best)

    def save(self, path: Path, *, overwrite: bool = False) -> None:
        """Saves what was learned as a checkpoint, for `load`, `attune evaluate` and `attune export`. A checkpoint of
        another plan is replaced only with overwrite=True. `Trainer.save` saves a run that can be continued."""
        self.native.save(os.fspath(path), overwrite)

    def start_from(self, path: Path) -> None:
        """Takes what a checkpoint of this model has learned, also with another scheme or optimizer, to go on from."""
        self.native.start_from(os.fspath(path))

    def estimate_statistics(self, data: Any, *, seed: int = 0) -> None:
        """Averages the statistics of batch norms over data, which needs no labels: plans compiled with
        batch_norm="estimate"."""
        self.native.estimate_statistics(dataset_of(self, data, "estimate"), seed)

    def export(self, path: Path, model: Optional[Any] = None) -> None:
        """Writes the adapted model: the original (`model`, or what the plan was compiled from) with what was trained
        in place, as ONNX, or as TFLite where the path says so and the original is one."""
        source = self.plan.source(model)
        self.native.export(source.path, source.contents, source.follow_links, os.fspath(path))

    def inspect(self) -> Dict[str, Any]:
        """Everything about the plan and this session, as `attune inspect --json` has it."""
        return json.loads(self.native.inspect(self.plan.name))


def _list(names: Iterable[str]) -> str:
    """So many that a person reads them."""
    some = list(names)
    return ", ".join(some[:8]) + (f" and {len(some) - 8} others" if len(some) > 8 else "")


_FED = {"input", "label", "target", "weight", "rate", "step", "advantage"}


@dataclass(frozen=True)
class Parameter:
    """What there is to know of a parameter that is trained."""

    name: str
    shape: "tuple[int, ...]"
    trained: int
    """Elements that training changes: fewer than all where a slice is trained; 0 of a statistic of a batch norm."""
    axis: int
    """Where only channels of one axis are trained, that axis, else -1; `channels` are these."""
    channels: "tuple[int, ...]"
    slots: "tuple[str, ...]"
    """What the optimizer keeps for it: "velocity", "m", "v"."""


class Parameters(Mapping):
    """What is trained, by the model's names and in its layout. Reading gives a copy; assigning replaces it, where
    every element is finite and those that the plan does not train stay as they are.

    >>> import attune
    >>> parameters = attune.compile(attune.example_model(), scheme="head").session().parameters
    >>> parameters["classifier.bias"] = parameters["classifier.bias"] * 0.5
    >>> parameters.info("classifier.weight").slots
    ('velocity',)
    """

    def __init__(self, session: Session) -> None:
        self._native = session.native
        self._facts = {fact.name: fact for fact in self._native.parameters()}

    def __getitem__(self, name: str) -> np.ndarray:
        self.info(name)
        return self._native.get_parameter(name, "value")

    def __setitem__(self, name: str, value: Any) -> None:
        array = np.array(convert(value, self[name].dtype, name))
        if array.shape != self.info(name).shape:
            raise _native.Error(f"{name}: has the shape {list(self.info(name).shape)}, not {list(array.shape)}")
        self._native.set_parameter(name, "value", np.ascontiguousarray(array))

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    def info(self, name: str) -> Parameter:
        """What is trained of a parameter."""
        if name not in self._facts:
            raise KeyError(f"{name}: the plan trains no such parameter; it trains {_list(self._facts)}")
        fact = self._facts[name]
        return Parameter(fact.name, fact.shape, fact.trained, fact.slice_axis, tuple(fact.slice), tuple(fact.slots))

    def slot(self, name: str, slot: str) -> np.ndarray:
        """A tensor that the optimizer keeps for a parameter, by the name of the slot; 0 outside of a trained slice."""
        self.info(name)
        return self._native.get_parameter(name, slot)


class Gradients(Mapping):
    """The gradients of the loss that the last training step found, of the parameters as they were before it; 0
    outside of a trained slice. They last until the session runs again."""

    def __init__(self, session: Session) -> None:
        self._native = session.native
        self._names = [fact.name for fact in self._native.parameters() if fact.has_gradient]

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(f"{name}: " + (f"there are gradients of {_list(self._names)}" if self._names else
                                          "the plan keeps no gradients; compile it with keep_gradients=True"))
        return self._native.get_gradient(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def to_torch(session: Session, module: Any) -> List[str]:
    """Puts what a session has learned into a module of PyTorch, by the names of its parameters and buffers, in
    place; returns these names. Fails, changing nothing, where the module lacks one: `from_torch` keeps the names."""
    import torch

    state = module.state_dict()
    learned = session.parameters
    missing = [name for name in learned if name not in state]
    wrong = [name for name in learned if name in state and tuple(state[name].shape) != learned.info(name).shape]
    if missing or wrong:
        raise _native.Error(f"the module has no {(missing + wrong)[0]} of the plan's shape; give the one that the plan "
                            "was made from")
    with torch.no_grad():
        for name in learned:
            state[name].copy_(torch.from_dlpack(learned[name]))
    return list(learned)

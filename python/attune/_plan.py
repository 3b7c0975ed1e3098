"""Plans: compiled models."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Union

from attune import _native

if TYPE_CHECKING:
    from attune._session import Session

Path = Union[str, "os.PathLike[str]"]


class Model(NamedTuple):
    """A model's file: its path, or what stands for it in messages, and its bytes where it is in memory."""

    path: str
    contents: Optional[bytes] = None
    follow_links: bool = False


def model_of(model: Any, follow_links: bool = False) -> Model:
    """A path, the bytes of an ONNX file, or an onnx.ModelProto. Of a path, data beside it may be links."""
    if isinstance(model, Model):
        return model
    if isinstance(model, (bytes, bytearray, memoryview)):
        return Model("model.onnx", bytes(model))
    if hasattr(model, "SerializeToString"):
        return Model("model.onnx", model.SerializeToString())
    return Model(os.path.abspath(os.fspath(model)), None, follow_links)


class Plan:
    """A compiled model: its training, evaluation and prediction programs, and where every tensor lies.

    `compile`, `search`, `from_torch` and `load` make plans. A plan never changes; its sessions hold what is learned.

    >>> import attune
    >>> plan = attune.compile(attune.example_model(), scheme="head")
    >>> plan.class_count, [parameter["name"] for parameter in plan.scheme["parameters"]]
    (10, ['classifier.weight', 'classifier.bias'])
    >>> plan.inspect()["memory"]["state"] > 0
    True
    """

    def __init__(self, contents: bytes, name: str = "plan", model: Optional[Any] = None) -> None:
        """`contents` are those of a plan's file; `model` is what it was compiled from, for `verify` and `export`."""
        self.native = _native.Plan(contents, name)
        self.name = name
        self.model = None if model is None else model_of(model)

    def __repr__(self) -> str:
        return f"Plan({self.name!r}, of {self.native.model_name!r}, {len(self.contents)} bytes)"

    def session(self, *, backend: Optional[str] = None, threads: int = 1) -> "Session":
        """A session: this plan with memory of its own, as compiled. `backend` is best, reference, simd, eigen or
        xnnpack; without one, that which the plan was compiled for, or else the best. The number of threads changes
        no result."""
        from attune._session import Session

        return Session(self, backend=backend, threads=threads)

    def save(self, path: Path) -> None:
        """Writes the plan's file, for `attune train` and for devices."""
        path = os.fspath(path)
        beside = f"{path}.tmp-{os.getpid()}"
        try:
            with open(beside, "wb") as file:
                file.write(self.contents)
            os.replace(beside, path)
        except OSError as error:
            raise _native.Error(f"{path}: cannot be written: {error.strerror}") from error
        finally:
            if os.path.exists(beside):
                os.unlink(beside)

    def verify(self, model: Optional[Any] = None, *, data: Any = None, examples: int = 4, seed: int = 1) -> Dict[str, Any]:
        """Holds the plan against its model, tensor by tensor, in double: a report whose "ok" is True where the plan
        computes what the model does. `data` are labelled examples; without them, inputs are random."""
        from attune._data import dataset_of

        source = self.source(model)
        bound = None if data is None else dataset_of(self.session(), data, "train_step")
        return json.loads(self.native.verify(source.path, source.contents, source.follow_links, bound, examples, seed))

    def inspect(self) -> Dict[str, Any]:
        """Everything about the plan, as `attune inspect --json` has it: what it trains, its memory by part, and every
        step of every program with its cost."""
        return self.session().inspect()

    def source(self, model: Optional[Any] = None) -> Model:
        """`model`, or else what the plan was compiled from."""
        if model is not None:
            return model_of(model)
        if self.model is None:
            raise _native.Error(f"{self.name}: say which model it was compiled from: model=...")
        return self.model

    @property
    def contents(self) -> bytes:
        """The bytes of the plan's file."""
        return self.native.contents

    @property
    def scheme(self) -> Dict[str, Any]:
        """Which parameters are trained, and which channels of them."""
        return json.loads(self.native.scheme)

    @property
    def classes(self) -> List[str]:
        """The names of the classes, where the plan has some."""
        return self.native.classes

    @property
    def class_count(self) -> int:
        """How many classes there are; 0 where the model gives numbers."""
        return self.native.class_count

    @property
    def loss(self) -> str:
        """What the plan learns by."""
        return self.native.loss

    @property
    def optimizer(self) -> str:
        """The optimizer with its settings."""
        return self.native.optimizer

    @property
    def signature(self) -> str:
        """What checkpoints are bound to: names, shapes, slices, base weights and the optimizer."""
        return self.native.signature


def load(path: Path, model: Optional[Any] = None) -> Plan:
    """Reads a plan that `Plan.save` or `attune compile` wrote. `model` is what it was compiled from, which `verify`
    and `export` need.

    >>> import attune, tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     attune.compile(attune.example_model()).save(os.path.join(folder, "kws.att"))
    ...     attune.load(os.path.join(folder, "kws.att")).class_count
    10
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            contents = file.read()
    except OSError as error:
        raise _native.Error(f"{path}: cannot be read: {error.strerror}") from error
    return Plan(contents, path, model)


def example_model() -> str:
    """The path of a small model to try things with: ten spoken words from MFCC [N,1,49,10]."""
    here = os.path.dirname(os.path.abspath(__file__))
    return os.path.join(here, "kws.onnx")

"""Data as a plan takes it, from arrays, files, sequences and iterables."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np

from attune import _native
from attune._arguments import arguments

TARGET = -1  # the field that has an example's label or target
_TARGET_NAMES = ("y", "labels", "targets", "label", "target", "actions")
_WEIGHT_NAMES = ("sample_weight", "weights", "weight")


@dataclass(frozen=True)
class Files:
    """Data in files, as `attune train --data` takes it: a folder of class folders with pictures or recordings, IDX,
    NPZ or CSV; with the command's options for reading: `Files("photos", on_error="skip")`."""

    path: Union[str, "os.PathLike[str]"]
    options: Dict[str, Any] = field(default_factory=dict)

    def __init__(self, path: Union[str, "os.PathLike[str]"], **options: Any) -> None:
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "options", options)


def as_array(value: Any) -> np.ndarray:
    """An array of NumPy, without a copy where `value` has DLPack: a tensor of PyTorch, also one that requires
    gradients."""
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value)
    if hasattr(value, "detach"):
        value = value.detach()
    try:
        if hasattr(value, "__dlpack__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    except (RuntimeError, ValueError, TypeError, BufferError) as error:  # bfloat16, of a GPU, rows of many lengths
        kind = f"{type(value).__name__} of {value.dtype}" if hasattr(value, "dtype") else type(value).__name__
        raise _native.Error(f"NumPy makes no array of this {kind} ({error}): give one on the host, of a type that NumPy "
                            "has, with rows of one length") from None


def convert(value: Any, dtype: np.dtype, what: str) -> np.ndarray:
    """`value` in the plan's type. Numbers that it cannot hold are an error."""
    try:
        array = as_array(value)
    except _native.Error as error:
        raise _native.Error(f"{what}: {error}") from None
    if array.dtype == dtype:
        return np.ascontiguousarray(array) if array.ndim else array
    if array.dtype.kind == "b" or (array.dtype.kind in "iu" and dtype.kind in "iu"):
        if array.size and dtype.kind in "iu":
            limits = np.iinfo(dtype)
            if array.min() < limits.min or array.max() > limits.max:
                raise _native.Error(f"{what}: holds numbers that {dtype} cannot hold")
        return array.astype(dtype, order="C")
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        raise _native.Error(f"{what}: holds {array.dtype}, where the plan takes {dtype}; convert it")
    return array.astype(dtype, order="C")


class Fields:
    """The ports of a program that data fill, and how values become them."""

    def __init__(self, ports: Sequence[_native.Port], class_names: Sequence[str]) -> None:
        self.inputs = [port for port in ports if port.role == "input"]
        self.target = next((port for port in ports if port.role in ("label", "target")), None)
        self.class_numbers = {name: number for number, name in enumerate(class_names)}

    def rows(self, value: Any, port: _native.Port, what: str) -> np.ndarray:
        """An array with a row for each example, of the port's type and shape; other axes of one may differ."""
        if port is self.target:
            value = self._numbers(value, what)
        array = convert(value, port.dtype, what)
        wanted = tuple(port.shape[1:])
        if array.ndim < 1 or _without_ones(array.shape[1:]) != _without_ones(wanted):
            raise _native.Error(f"{what}: has the shape {list(array.shape)}, where the plan takes "
                                f"[n{''.join(f', {size}' for size in wanted)}]")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = int(np.argmax(~np.isfinite(array).reshape(len(array), -1).all(axis=1)))
            raise _native.Error(f"{what}: example {bad} holds a number that is not finite")
        return np.ascontiguousarray(array.reshape((len(array), *wanted)))

    def _numbers(self, value: Any, what: str) -> Any:
        """Names of classes become their numbers."""
        array = as_array(value)
        if array.dtype.kind not in "US":
            return array
        unknown = sorted({str(name) for name in array.ravel()} - set(self.class_numbers))
        if unknown:
            raise _native.Error(f"{what}: '{unknown[0]}' is none of the plan's classes")
        return np.array([self.class_numbers[str(name)] for name in array.ravel()]).reshape(array.shape)

    def parts(self, example: Any) -> Tuple[List[Any], Any, Any]:
        """Inputs in the model's order, target and weight of (x, y), (x, y, weight), {"x": .., "y": ..} or x. The x of
        a model with several inputs is a tuple or a mapping."""
        target = weight = None
        is_inputs = self.target is None and len(self.inputs) > 1 and not isinstance(example, Mapping) and \
            len(example) == len(self.inputs) and not isinstance(example[0], (tuple, Mapping))
        if isinstance(example, tuple) and len(example) in (2, 3) and not is_inputs:
            weight = example[2] if len(example) == 3 else None
            example, target = example[0], example[1]
        if isinstance(example, Mapping):
            given = dict(example)
            for name in _TARGET_NAMES:
                if target is None and name in given and not self._is_input(name):
                    target = given.pop(name)
            for name in _WEIGHT_NAMES:
                if weight is None and name in given and not self._is_input(name):
                    weight = given.pop(name)
            if len(self.inputs) == 1 and "x" in given and not self._is_input("x"):
                given[self.inputs[0].name] = given.pop("x")
            missing = [port.name for port in self.inputs if port.name not in given]
            unknown = [name for name in given if not self._is_input(name)]
            if missing or unknown:
                raise _native.Error(f"the data has {', '.join(map(str, example))}; the model's inputs are "
                                    f"{', '.join(port.name for port in self.inputs)}")
            return [given[port.name] for port in self.inputs], target, weight
        if len(self.inputs) == 1:
            return [example], target, weight
        if not isinstance(example, (tuple, list)) or len(example) != len(self.inputs):
            raise _native.Error(f"the model has {len(self.inputs)} inputs, "
                                f"{', '.join(port.name for port in self.inputs)}: give a tuple or a mapping of them")
        return list(example), target, weight

    def _is_input(self, name: Any) -> bool:
        return any(port.name == name for port in self.inputs)


def _without_ones(shape: Sequence[int]) -> Tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def of_arrays(data: Any, fields: Fields) -> _native.Dataset:
    """A mapping, (x, y), (x, y, weights) or x of whole arrays, which are copied only where their type or order is
    not the plan's."""
    advantages = None
    if isinstance(data, Mapping) and "advantages" in data:
        data = dict(data)
        advantages = data.pop("advantages")
    given, target, weights = fields.parts(data)
    inputs = [fields.rows(value, port, port.name) for value, port in zip(given, fields.inputs)]
    if not inputs or len({len(rows) for rows in inputs}) != 1:
        raise _native.Error(f"the inputs have {', '.join(str(len(rows)) for rows in inputs)} examples: they must be "
                            "as many")
    rows = None
    if target is not None and fields.target is not None:
        rows = fields.rows(target, fields.target, "labels" if fields.target.role == "label" else "targets")
        if len(rows) != len(inputs[0]):
            raise _native.Error(f"there are {len(inputs[0])} examples and {len(rows)} labels")
    return _native.ArrayData(inputs, rows, None if weights is None else as_array(weights),
                             None if advantages is None else as_array(advantages))


class Source:
    """Examples of a sequence, made when they are read: an example's fields come from one call of it, so that what is
    random in it is the same for input and label."""

    def __init__(self, sequence: Any, fields: Fields, batch: int) -> None:
        self._sequence, self._fields, self._most = sequence, fields, batch + 1
        self._read: Dict[int, Dict[int, np.ndarray]] = {}

    def read(self, index: int, number: int) -> np.ndarray:
        if number == 0 or index not in self._read:
            if len(self._read) >= self._most:
                self._read.pop(next(iter(self._read)))
            self._read[index] = self._example(index)
        example = self._read[index]
        if number not in example:
            raise _native.Error(f"example {index} has no label")
        return example[number]

    def _example(self, index: int) -> Dict[int, np.ndarray]:
        given, target, _ = self._fields.parts(self._sequence[index])
        example = {}
        for number, (value, port) in enumerate(zip(given, self._fields.inputs)):
            example[number] = self._fields.rows(as_array(value)[None], port, f"example {index}: {port.name}")
        if target is not None and self._fields.target is not None:
            example[TARGET] = self._fields.rows(as_array(target)[None], self._fields.target,
                                                f"example {index}: its label")
        return example


def of_sequence(data: Any, fields: Fields, batch: int) -> _native.Dataset:
    """Anything with a length and numbered examples, a dataset of PyTorch, say. Examples count alike."""
    size = len(data)
    if size == 0:
        raise _native.Error("the data holds no examples")
    _, target, _ = fields.parts(data[0])
    return _native.SourceData(Source(data, fields, batch), size, target is not None)


def of_iterable(data: Iterable[Any], fields: Fields) -> _native.Dataset:
    """Examples one after the other, which are kept in memory."""
    inputs: List[List[Any]] = [[] for _ in fields.inputs]
    targets, weights = [], []
    for example in data:
        given, target, weight = fields.parts(example)
        for values, value in zip(inputs, given):
            values.append(as_array(value))
        if target is not None:
            targets.append(as_array(target))
        if weight is not None:
            weights.append(float(weight))
    if not inputs or not inputs[0]:
        raise _native.Error("the data holds no examples")
    if (targets and len(targets) != len(inputs[0])) or (weights and len(weights) != len(inputs[0])):
        raise _native.Error(f"there are {len(inputs[0])} examples, {len(targets)} labels and {len(weights)} weights")
    whole: Any = {port.name: np.stack(values) for port, values in zip(fields.inputs, inputs)}
    if targets:
        whole = (whole, np.stack(targets), np.array(weights)) if weights else (whole, np.stack(targets))
    return of_arrays(whole, fields)


def _examples_of(loader: Any) -> Iterable[Any]:
    """What a DataLoader of PyTorch gives, one example after the other."""
    for batch in loader:
        if loader.batch_size is None and loader.batch_sampler is None:
            yield tuple(batch) if isinstance(batch, list) else batch  # it makes no batches
        elif isinstance(batch, Mapping):
            for row in zip(*batch.values()):
                yield dict(zip(batch, row))
        elif isinstance(batch, (tuple, list)):
            yield from zip(*batch)
        else:
            yield from batch


def dataset_for(ports: Sequence[_native.Port], class_names: Sequence[str], data: Any) -> _native.Dataset:
    """A dataset of anything but files, for a program with these ports."""
    if isinstance(data, _native.Dataset):
        return data
    fields = Fields(ports, class_names)
    torch = sys.modules.get("torch.utils.data")
    if torch is not None and isinstance(data, torch.DataLoader):
        return of_iterable(_examples_of(data), fields)
    if isinstance(data, (tuple, Mapping, np.ndarray)) or hasattr(data, "__dlpack__"):
        return of_arrays(data, fields)
    if hasattr(data, "__len__") and hasattr(data, "__getitem__"):
        batch = fields.inputs[0].shape[0] if fields.inputs else 1
        return of_sequence(data, fields, batch)
    if isinstance(data, Iterable):
        return of_iterable(data, fields)
    raise _native.Error(f"{type(data).__name__} is no data: give arrays, a path, or examples one after the other")


def dataset_of(session: Any, data: Any, program: str) -> _native.Dataset:
    """A dataset for a program of a session. See `Trainer` for what data may be."""
    if isinstance(data, (str, os.PathLike)):
        data = Files(data)
    if isinstance(data, Files):
        return _native.open_file(session.native, program, os.fspath(data.path), arguments(**data.options))
    return dataset_for(session.native.ports(program), session.plan.classes, data)

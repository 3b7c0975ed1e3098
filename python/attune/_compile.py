"""From models to plans."""

from __future__ import annotations

import inspect
import io
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Sequence, Tuple, Union

from attune import _native
from attune._arguments import arguments, json_text, named_as_here, shapes
from attune._data import dataset_for
from attune._plan import Model, Plan, model_of

# A number of bytes, or "256KiB".
Bytes = Union[int, str]


def compile(
    model: Any,
    *,
    scheme: Union[str, Dict[str, Any]] = "head",
    memory: Optional[Bytes] = None,
    flash: Optional[Bytes] = None,
    batch_size: int = 8,
    micro_batch: Optional[int] = None,
    predict_batch: int = 1,
    loss: Optional[str] = None,
    output: Optional[str] = None,
    optimizer: str = "momentum",
    momentum: Optional[float] = None,
    nesterov: bool = False,
    betas: Optional[Tuple[float, float]] = None,
    epsilon: Optional[float] = None,
    weight_decay: Optional[float] = None,
    batch_norm: str = "frozen",
    dropout: str = "off",
    classes: Optional[int] = None,
    labels: Union[None, str, Sequence[str]] = None,
    preprocess: Union[str, Dict[str, Any]] = "none",
    input_shape: Optional[Mapping[str, Sequence[int]]] = None,
    bind: Optional[Mapping[str, int]] = None,
    bind_input: Optional[Mapping[str, Any]] = None,
    batch_axis: Union[None, int, Mapping[str, int]] = None,
    keep_gradients: bool = False,
    backend: Optional[str] = None,
    threads: int = 1,
    seed: int = 0,
    **others: Any,
) -> Plan:
    """Makes a plan of a model: a path (.onnx, .tflite), the bytes of an ONNX file, or an onnx.ModelProto.

    scheme          what may learn: "head", "full", "last:3", "bias:8", "names:*.query.weight", a file of JSON, or
                    such JSON itself
    memory, flash   what a session and the plan may take at most, as "256KiB"; where the plan as it is does not fit,
                    it is computed in strips and micro-batches, or refused
    batch_size      examples in a training step; predict_batch: in a run of the program predict
    keep_gradients  gradients of every step can be read, which takes memory
    labels          names of the classes, a file of them, or a folder of class folders
    preprocess      how files become inputs: "imagenet", "unit:96x96", "mfcc", a file, or what it would hold
    bind            sizes of symbolic axes by name; bind_input: arrays for inputs that are always the same
    backend         what the plan is for, where memory counts: reference, simd, eigen or xnnpack

    The others are explained by `python -m attune compile --help`, and any option that it lists may be given.

    >>> import attune
    >>> plan = attune.compile(attune.example_model(), scheme="bias:8", memory="300kB", backend="reference")
    >>> plan.session().memory["ram"] <= 300_000
    True
    >>> attune.compile(attune.example_model(), memory="1kB")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    attune.Error: ...
    """
    given = model_of(model, bool(others.get("follow_links")))
    names, label_file = _labels(labels)
    options = arguments(
        scheme=json_text(scheme), memory=memory, flash=flash, batch_size=batch_size, micro_batch=micro_batch,
        loss=loss, output=output, optimizer=optimizer, momentum=momentum, nesterov=nesterov, betas=_pair(betas),
        epsilon=epsilon, weight_decay=weight_decay, batch_norm=batch_norm, dropout=dropout, classes=classes,
        labels=label_file, preprocess=json_text(preprocess), input_shape=shapes(input_shape), bind=bind,
        batch_axis=_axes(batch_axis), keep_gradients=keep_gradients, backend=backend, threads=threads, seed=seed, **others)
    with named_as_here():
        contents = _native.compile([*options, "--", given.path], given.contents, names, dict(bind_input or {}),
                                   predict_batch)
    return Plan(contents, given.path, given)


@dataclass(frozen=True)
class SearchResult:
    """What `search` found."""

    plan: Plan
    """Compiled within the budget, ready to train."""
    scheme: Dict[str, Any]
    """What may learn, for `compile` and for a file of JSON."""
    gain: float
    """What the scheme is expected to gain over training the classifier alone, in `report["unit"]`."""
    learning_rate: Optional[float]
    """The best rate, where finals were held."""
    report: Dict[str, Any]
    """Everything, as `attune search --json` has it."""


def search(
    model: Any,
    data: Any,
    *,
    memory: Optional[Bytes] = None,
    flash: Optional[Bytes] = None,
    estimator: str = "fisher",
    finalists: int = 0,
    evaluations: int = 400,
    labels: Union[None, str, Sequence[str]] = None,
    preprocess: Union[str, Dict[str, Any]] = "none",
    predict_batch: int = 1,
    bind_input: Optional[Mapping[str, Any]] = None,
    progress: Optional[Callable[[str, int, int, float], Any]] = None,
    **options: Any,
) -> SearchResult:
    """Finds the scheme that is expected to learn the most of `data` within a budget of memory or flash.

    `data` are labelled examples, as for `Trainer`. With `finalists`, so many schemes are fine-tuned on them at
    several rates, and the best comes with its rate. `progress(what, done, of, seconds_left)` is told how far the
    search is. The other options are those of `compile`, and what `python -m attune search --help` lists.

    >>> import attune, numpy as np
    >>> x, y = np.random.default_rng(0).normal(size=(24, 1, 49, 10)), np.arange(24) % 10
    >>> found = attune.search(attune.example_model(), (x, y), memory="128KiB", batch_size=1, backend="reference",
    ...                       evaluations=5, head_epochs=1, jobs=1)
    >>> found.plan.session().memory["ram"] <= 128 * 1024
    True
    """
    given = model_of(model, bool(options.get("follow_links")))
    names, label_file = _labels(labels)
    is_path = isinstance(data, str) or hasattr(data, "__fspath__")
    options = dict(options)
    for name, change in (("input_shape", shapes), ("betas", _pair), ("batch_axis", _axes)):
        if name in options:
            options[name] = change(options[name])
    options = arguments(memory=memory, flash=flash, estimator=estimator, finalists=finalists, evaluations=evaluations,
                        labels=label_file, preprocess=json_text(preprocess), data=data if is_path else "the data",
                        **options)

    def make_data(ports: Sequence[_native.Port], class_count: int, class_names: Sequence[str]) -> _native.Dataset:
        return dataset_for(ports, class_names, data)

    with named_as_here():
        found, contents = _native.search([*options, "--", given.path], given.contents, names, dict(bind_input or {}),
                                         predict_batch, None if is_path else make_data, progress)
    report = json.loads(found)
    best = report["found"]
    return SearchResult(Plan(contents, given.path, given), best["scheme"], best["gain"], report.get("learning_rate"),
                        report)


def from_torch(
    module: Any,
    example: Any,
    *,
    input_names: Optional[Sequence[str]] = None,
    opset: Optional[int] = None,
    **options: Any,
) -> Plan:
    """Exports a module of PyTorch, as it is in evaluation, and compiles it: `example` is an input, or a tuple of
    them, with the batch first. Parameters keep the module's names, so that `to_torch` can put what was learned back.
    The other options are those of `compile`.
    """
    import torch

    inputs = tuple(x if isinstance(x, torch.Tensor) else torch.as_tensor(x)
                   for x in (example if isinstance(example, (tuple, list)) else (example,)))
    names = list(input_names) if input_names else _forward_names(module, len(inputs))
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            contents = _exported(module, inputs, names, opset)
    finally:
        module.train(training)
    return compile(Model(f"{type(module).__name__}.onnx", contents), **options)


def _forward_names(module: Any, count: int) -> Sequence[str]:
    names = [p.name for p in inspect.signature(module.forward).parameters.values()
             if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names[:count] if len(names) >= count else [f"input{i}" for i in range(count)]


def _exported(module: Any, inputs: Tuple[Any, ...], names: Sequence[str], opset: Optional[int]) -> bytes:
    """The bytes of the ONNX file, with an open batch. By today's exporter where it is installed, else by
    TorchScript's, told to fold nothing into the parameters."""
    import torch

    known = inspect.signature(torch.onnx.export).parameters
    if "dynamo" in known:
        try:
            import onnxscript  # noqa: F401
        except ImportError:
            pass
        else:
            # An axis of one example would be taken for a constant.
            several = tuple(torch.cat([x, x]) if x.shape[0] == 1 else x for x in inputs)
            batch = torch.export.Dim("batch")
            # What the exporter optimises it folds into parameters, which are then no longer the module's.
            program = torch.onnx.export(module, several, dynamo=True, input_names=list(names), opset_version=opset,
                                        dynamic_shapes=tuple({0: batch} for _ in names), optimize=False,
                                        verbose=False)
            return program.model_proto.SerializeToString()
    file = io.BytesIO()
    old = {"dynamo": False} if "dynamo" in known else {}
    with _equal_tensors_apart():
        torch.onnx.export(module, inputs, file, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
                          input_names=list(names), opset_version=opset or 17,
                          dynamic_axes={n: {0: "batch"} for n in names}, **old)
    return file.getvalue()


@contextmanager
def _equal_tensors_apart() -> Iterator[None]:
    """TorchScript's exporter makes one of tensors with the same numbers, as the norms of a module that was never
    trained have them, unless it takes the module to be in training. Those that share memory stay one."""
    import torch

    name = "_jit_pass_onnx_deduplicate_initializers"
    merge = getattr(torch._C, name, None)
    if merge is None:
        yield
        return
    setattr(torch._C, name, lambda graph, parameters, training: merge(graph, parameters, True))
    try:
        yield
    finally:
        setattr(torch._C, name, merge)


def _labels(labels: Union[None, str, Sequence[str]]) -> Tuple[Sequence[str], Optional[str]]:
    if labels is None or isinstance(labels, str) or hasattr(labels, "__fspath__"):
        return [], labels
    return [str(name) for name in labels], None


def _pair(pair: Any) -> Any:
    return None if pair is None else f"{pair[0]},{pair[1]}"


def _axes(axes: Any) -> Any:
    return [f"{name}:{axis}" for name, axis in axes.items()] if isinstance(axes, Mapping) else axes

"""Training."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Iterator, List, Optional, Sequence

from attune import _native
from attune._arguments import named_as_here
from attune._data import dataset_of
from attune._plan import Path
from attune._session import Session


@dataclass(frozen=True)
class Epoch:
    """What an epoch of training came to."""

    number: int
    step: int
    loss: float
    accuracy: Optional[float]
    validation_loss: Optional[float]
    validation_accuracy: Optional[float]


class Callback:
    """What a trainer tells of its course. Override what you need; `trainer.stop()` ends the run.

    >>> import attune
    >>> class StopWhenGood(attune.Callback):
    ...     def on_epoch(self, trainer, epoch):
    ...         if epoch.validation_loss is not None and epoch.validation_loss < 0.1:
    ...             trainer.stop()
    """

    def on_start(self, trainer: "Trainer") -> None:
        """Before the first step; `trainer.baseline` is measured."""

    def on_step(self, trainer: "Trainer", step: _native.Step) -> None:
        """After every step."""

    def on_epoch(self, trainer: "Trainer", epoch: Epoch) -> None:
        """After every epoch, measured on the validation data where there is some."""

    def on_end(self, trainer: "Trainer") -> None:
        """After the last step; the session holds what the run gives."""


class Trainer:
    """Trains a session on data: an iterator over the steps. Between them the caller owns the session, may look at
    parameters and gradients, predict, save, or leave the loop.

    data, validation  labelled examples: `(x, y)` or `(x, y, weights)` of arrays; `{"input": .., "y": ..}`; a path,
                      or `Files`, as `attune train --data` takes it; a sequence with numbered examples `(x, y)`, as
                      a dataset of PyTorch; or any iterable of such, which is kept in memory, as is what a DataLoader
                      gives in one pass. Labels are numbers of classes or their names. The x of a model with several
                      inputs is a tuple, or a mapping by name
    epochs, steps     how long: passes over the data (10, unless given), or steps in all
    schedule          "constant", "cosine" (to zero at the end), "step:EVERY[:FACTOR]"; warmup: steps in which the
                      rate rises to learning_rate
    keep              "best": with validation data, what the run gives is the state of the least loss on it, and
                      never one that is worse than what it started from; "last": the last one
    patience          stop after so many epochs that are no better than the best one
    checkpoint        where the run is saved, after every epoch and when it ends; another run of the same plan
                      that it holds stays as NAME.old
    resume            a checkpoint whose run is continued, bit for bit; epochs and steps may be given anew

    A loss or parameters that are not finite are not gone on from: the run goes back, at half the rate
    (`step.rollback`). When the iteration ends the session holds what the run gives; after a `break`, `finish` puts it
    there.

    >>> import attune, numpy as np
    >>> session = attune.compile(attune.example_model(), batch_size=4).session()
    >>> x, y = np.random.default_rng(0).normal(size=(8, 1, 49, 10)), np.arange(8)
    >>> trainer = attune.Trainer(session, (x, y), validation=(x, y), epochs=3, learning_rate=0.01)
    >>> losses = [step.loss for step in trainer]
    >>> len(losses), len(trainer.epochs), trainer.epochs[-1].validation_loss <= trainer.baseline_loss
    (6, 3, True)
    """

    def __init__(
        self,
        session: Session,
        data: Any,
        *,
        validation: Any = None,
        epochs: Optional[int] = None,
        steps: Optional[int] = None,
        learning_rate: float = 0.01,
        schedule: str = "constant",
        warmup: int = 0,
        seed: int = 0,
        shuffle: bool = True,
        keep: str = "best",
        patience: Optional[int] = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: Optional[Path] = None,
        resume: Optional[Path] = None,
    ) -> None:
        if keep not in ("best", "last"):
            raise _native.Error(f"keep: {keep!r} is neither best nor last")
        if not isinstance(session, Session):
            raise _native.Error(f"session: give a Session, as Plan.session() makes it, not {type(session).__name__}")
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise _native.Error(f"callbacks: {type(callback).__name__} does not derive from attune.Callback")
        if (epochs is not None and epochs < 1) or (steps is not None and steps < 1):
            raise _native.Error("epochs, steps: give at least 1")
        self.session = session
        self.callbacks = list(callbacks)
        self.checkpoint = None if checkpoint is None else os.fspath(checkpoint)
        if self.checkpoint is not None and not os.path.isdir(os.path.dirname(self.checkpoint) or "."):
            raise _native.Error(f"{self.checkpoint}: its folder does not exist; create it first")
        self.epochs: List[Epoch] = []
        """What every epoch came to."""
        data = dataset_of(session, data, "train_step")
        held_out = None if validation is None else dataset_of(session, validation, "evaluate")
        with named_as_here():
            self.native = _native.Trainer(session.native, data, held_out, epochs or 10, steps or 0, learning_rate,
                                          schedule, warmup, seed, shuffle, keep == "best", patience or 0)
        if resume is not None:
            self.native.resume(os.fspath(resume), epochs, steps)
        if self.checkpoint is not None:
            self.native.check_checkpoint(self.checkpoint)
        self._started = self._stopped = self._ended = False

    def __iter__(self) -> Iterator[_native.Step]:
        return self

    def __next__(self) -> _native.Step:
        if not self._started:
            self._start()
        if self._stopped or self.native.done:
            self.finish()
            raise StopIteration
        self._ended = False
        self.session.runs += 1
        step = self.native.step()
        if step.epoch_ended:
            self._end_epoch(step)
        for callback in self.callbacks:
            callback.on_step(self, step)
        return step

    def _start(self) -> None:
        self._started = True
        self.native.start()
        for callback in self.callbacks:
            callback.on_start(self)

    def _end_epoch(self, step: _native.Step) -> None:
        self.native.measure()
        classifies = self.session.plan.class_count > 0
        loss, accuracy = self.native.last_epoch
        validation_loss, validation_accuracy = self.native.validation or (None, None)
        epoch = Epoch(step.epoch, step.number, loss, accuracy if classifies else None, validation_loss,
                      validation_accuracy if classifies else None)
        self.epochs.append(epoch)
        if self.checkpoint is not None:
            self.save(self.checkpoint)
        for callback in self.callbacks:
            callback.on_epoch(self, epoch)

    def run(self) -> "Trainer":
        """Trains to the end. Ctrl-C ends a step, saves where there is a checkpoint, and raises KeyboardInterrupt."""
        try:
            for _ in self:
                pass
        except KeyboardInterrupt:
            if self.checkpoint is not None:
                self.save(self.checkpoint)
            raise
        return self

    def stop(self) -> None:
        """Ends the run after this step."""
        self._stopped = True

    def finish(self) -> None:
        """Puts what the run gives into the session: the best state that was measured, or the last one. The run may
        go on afterwards."""
        if self._ended:
            return
        self._ended = True
        self.native.finish()
        if self.checkpoint is not None:
            self.save(self.checkpoint)
        for callback in self.callbacks:
            callback.on_end(self)

    def save(self, path: Path, *, overwrite: bool = False) -> None:
        """Saves the run, so that `resume` continues it bit for bit; `Session.load` takes what it gives. Another run
        of the same plan that `path` holds stays as `path`.old; with `overwrite`, one of any plan."""
        self.native.save(os.fspath(path), overwrite)

    @property
    def done(self) -> bool:
        """Whether all epochs or steps, or the patience, are over."""
        return self.native.done

    @property
    def total_steps(self) -> int:
        """Steps from the run's start to its end."""
        return self.native.total_steps

    @property
    def steps_per_epoch(self) -> int:
        """Steps in a pass over the data."""
        return self.native.steps_per_epoch

    @property
    def baseline_loss(self) -> Optional[float]:
        """The loss on the validation data of what the run started from."""
        return self.native.baseline[0] if self.native.baseline else None

    @property
    def best_epoch(self) -> int:
        """The epoch of the least loss on the validation data; 0: what the run started from."""
        return self.native.best_epoch

    @property
    def kept_baseline(self) -> bool:
        """Whether nothing was better than what the run started from, which is then what it gives."""
        return self.native.kept_baseline

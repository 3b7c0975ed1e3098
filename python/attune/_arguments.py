"""Options of functions as the command line of the library has them, which checks them."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Iterator, List

from attune import _native


def arguments(**options: Any) -> List[str]:
    """batch_size=4 becomes --batch-size=4; None and False are left out, True is a flag, and what a mapping or a
    sequence of texts has is given one after the other.

    >>> arguments(batch_size=4, nesterov=True, loss=None, bind={"seq": 16})
    ['--batch-size=4', '--nesterov', '--bind=seq=16']
    """
    result = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            result.append(option)
        elif isinstance(value, Mapping):
            result += [f"{option}={key}={one}" for key, one in value.items()]
        elif isinstance(value, Sequence) and not isinstance(value, str):
            result += [f"{option}={one}" for one in value]
        else:
            result.append(f"{option}={os.fspath(value) if isinstance(value, os.PathLike) else value}")
    return result


def shapes(given: Any) -> Any:
    """{"x": (1, 3, 8, 8)} as the command line has it: ["x:1x3x8x8"]."""
    if not given:
        return None
    return [f"{name}:{'x'.join(str(size) for size in shape)}" for name, shape in given.items()]


def json_text(given: Any) -> Any:
    """What may be a file, a preset, or what such a file would hold."""
    return json.dumps(given) if isinstance(given, (dict, list)) else given


@contextmanager
def named_as_here() -> Iterator[None]:
    """The option that an error begins with is called as the function's argument."""
    try:
        yield
    except _native.Error as error:
        text = str(error)
        if not text.startswith("--"):
            raise
        end = next((i for i, c in enumerate(text) if not (c.isalnum() or c == "-")), len(text))
        raise _native.Error(text[2:end].replace("-", "_") + text[end:]) from None

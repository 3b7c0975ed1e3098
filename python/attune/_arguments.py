"""Options of functions as the command line of the library has them, which checks them."""

import json
import os
import re
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
    """Options in an error are called as the function's arguments: "--batch-size" is batch_size."""
    try:
        yield
    except _native.Error as error:
        text = re.sub(r"(?<![^\s(`])--([a-z][a-z-]*[a-z])", lambda option: option[1].replace("-", "_"), str(error))
        raise _native.Error(text) from None

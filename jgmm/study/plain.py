"""What Python hands over in place of TOML (NumPy's numbers and arrays, tuples, algorithms), as what TOML holds."""

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel

from jgmm import named
from jgmm.study import limits, shown


def plain(value: Any, where: str = "", depth: int = 0) -> Any:
    """The value in the types that TOML has; what has no such form is left as it is.

    NumPy's numbers and arrays, tuples, ranges, paths and tables become numbers, lists, texts and dictionaries, at any
    depth; an algorithm, a noise or a step size becomes its name. where, depth: the place in the spec, for messages.
    Raises ValueError for more values, or deeper ones, than a spec may have.
    """
    if depth > limits.DEPTH:
        raise ValueError(f"{where.split('.')[0]}: tables and lists nested deeper than {limits.DEPTH}")
    if callable(value) or hasattr(value, "_fields"):  # an algorithm, a noise, a step size: what a record is made of
        return named.name_of(value)
    if isinstance(value, BaseModel):
        value = {key: getattr(value, key) for key in value.model_fields_set}
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        if len(value) > limits.VALUES:
            raise ValueError(f"{where or 'the spec'} holds {len(value)} keys, expected at most {limits.VALUES}")
        return {key: plain(v, f"{where}.{shown.key(key)}".lstrip("."), depth + 1) for key, v in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "__array__"):
        shape = np.shape(value)
        if max((*shape, math.prod(shape) / limits.COMPONENTS)) > limits.VALUES:
            raise ValueError(f"{where} holds an array of shape {shape}: expected at most {limits.VALUES} values")
        return plain(np.asarray(value).tolist(), where, depth)
    if isinstance(value, (list, tuple, range)):
        if len(value) > limits.VALUES:
            raise ValueError(f"{where} holds {len(value)} values: expected at most {limits.VALUES}")
        return [plain(v, where, depth + 1) for v in value]
    return value

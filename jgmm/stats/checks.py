"""Checks of arguments: each returns them as float arrays, or raises ValueError with what was expected and what came."""

import numpy as np
from numpy.typing import ArrayLike


def one_axis(values: ArrayLike, least: int) -> np.ndarray:
    """Values of shape (runs,), with at least `least` runs."""
    v = np.asarray(values, float)
    if v.ndim != 1 or len(v) < least:
        raise ValueError(f"values have one axis of at least {least} runs, got shape {v.shape}")
    return v


def finite(values: np.ndarray) -> np.ndarray:
    """Values that are neither infinite nor nan."""
    if not np.isfinite(values).all():
        raise ValueError(f"values are finite, got {values[~np.isfinite(values)][0]}")
    return values


def pair(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Two samples of equally many runs, at least two."""
    first, second = one_axis(a, 2), one_axis(b, 2)
    if len(first) != len(second):
        raise ValueError(f"paired runs are equally many, got {len(first)} and {len(second)}")
    return first, second


def inside_0_1(name: str, value: float) -> None:
    """A level or a probability lies strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} lies in (0, 1), got {value}")


def by_size(x: ArrayLike, values: ArrayLike, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Sizes (sizes,) and their values (sizes, runs), sorted by size: at least `least` sizes, and two runs."""
    sizes, v = np.asarray(x, float), np.asarray(values, float)
    if sizes.ndim != 1 or v.ndim != 2 or len(v) != len(sizes):
        raise ValueError(f"values have shape (sizes, runs), got {v.shape} for sizes of shape {sizes.shape}")
    if len(np.unique(sizes)) < len(sizes) or len(sizes) < least or not (sizes > 0).all():
        raise ValueError(f"needs at least {least} different positive sizes, got {sizes}")
    if v.shape[1] < 2:
        raise ValueError(f"needs at least 2 runs, got {v.shape[1]}")
    if not (np.isfinite(v).all() and (v.mean(axis=1) > 0).all()):
        raise ValueError("values are finite, and their mean is above 0 in every cell")
    order = np.argsort(sizes)
    return sizes[order], v[order]

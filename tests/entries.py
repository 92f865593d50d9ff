"""Entries of the folder of machine code, for its tests."""

from jgmm.engine import cache

KEY, OTHER = cache.key_of("program"), cache.key_of("another")
SIZE = len(cache.MAGIC) + 64  # of an entry beside its code


def entry(folder, key=KEY):
    return folder / f"{key}.code"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def is_replaced(folder):
    cache.store(KEY, b"anew")
    return cache.load(KEY) == b"anew" and names(folder) == [f"{KEY}.code"] and cache.fault() is None

"""The folder of XLA's compiled programs: JAX fills it, and damaged entries are taken out of it here.

JAX trusts an entry by its name alone: it warns of one that is cut short at every start and never replaces it, and it
runs one that holds another's content. So each entry gets a digest of its name and content beside it when the process
that compiled it ends. At the next start an entry that differs from its digest is removed, and compiled anew. An entry
without a digest belongs to a process that still runs, or to one that was killed: those older than a day are removed.
"""

import hashlib
import time
from pathlib import Path

ENTRY, DIGEST = "-cache", "-digest"  # the first is JAX's
UNSEALED_SECONDS = 86_400.0


def check(folder: Path) -> list[Path]:
    """Remove the entries that differ from their digest. Returns them."""
    removed = []
    for entry in folder.glob(f"*{ENTRY}"):
        try:
            digest = _beside(entry).read_text(encoding="ascii", errors="replace")
            good = digest == _digest(entry)
        except FileNotFoundError:
            good = _age(entry) < UNSEALED_SECONDS
        if not good:
            _beside(entry).unlink(missing_ok=True)
            entry.unlink(missing_ok=True)
            removed.append(entry)
    return removed


def seal(folder: Path) -> None:
    """Give a digest to the entries that have none."""
    for entry in folder.glob(f"*{ENTRY}"):
        if not _beside(entry).exists():
            try:
                _beside(entry).write_text(_digest(entry), encoding="ascii")
            except OSError:  # removed by another process, or no room: it stays without
                continue


def _beside(entry: Path) -> Path:
    return entry.with_name(entry.name.removesuffix(ENTRY) + DIGEST)


def _digest(entry: Path) -> str:
    return hashlib.blake2b(entry.name.encode() + b"\n" + entry.read_bytes(), digest_size=16).hexdigest()


def _age(entry: Path) -> float:
    try:
        return time.time() - entry.stat().st_mtime
    except FileNotFoundError:
        return 0.0

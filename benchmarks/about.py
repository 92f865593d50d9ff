"""What a benchmark ran on: told in every JSON. Needs the standard library only."""

import os
import platform
import subprocess
from pathlib import Path


def cpu_model():
    """The processor's name, from /proc/cpuinfo where there is one."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def git_commit():
    """The commit, with "+changes" if tracked files differ from it; None outside a repository."""
    commands = (["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain", "--untracked-files=no"])
    try:
        commit, changed = (
            subprocess.run(c, cwd=Path(__file__).parent, capture_output=True, text=True, check=True).stdout.strip()
            for c in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changed else "")


def environment():
    """Device, cores, Python and commit."""
    return {
        "device": cpu_model(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "commit": git_commit(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "load_average_at_start": os.getloadavg()[0],
    }

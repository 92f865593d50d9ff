"""The course project that jgmm began with: its printed numbers beside ours, its figures, its page."""

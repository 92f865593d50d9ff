"""A study's folder from Python: run it, open it, and have it as frames, arrays, figures and comparisons."""

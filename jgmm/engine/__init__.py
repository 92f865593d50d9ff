"""Streams: a step as one list of operations, what compiles it, what drives it."""

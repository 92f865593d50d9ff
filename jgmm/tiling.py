"""How runs are padded, put in tiles and fed block by block. None of it has an effect on results. Needs no JAX.

Measured with 256 runs on two cores (benchmarks/README.md has the figures of today).
"""

PAD = 32  # runs of a device are a multiple of this: LLVM unrolls shorter loops into single numbers, twice as slow
BLOCK = 16  # samples drawn together: 16 to 32 are within 3 % of each other on CPU, 4 and 128 lose 15 %
TILE = 128  # runs of a device that stream together on a CPU, at most
TILE_BYTES = 2**20  # of their centres, origins and means, at most: about a second cache


def tile_width(k: int, d: int) -> int:
    """How many runs of a device stream together on a CPU before the next tile of them does: 128, 64 or 32.

    As many as keep the state within TILE_BYTES: beyond it every step would fetch its centres from further away. A tile
    goes through all samples of a call before the next one's turn, so that 4,096 runs take 16 times as long as 256.
    """
    width = TILE
    while width > PAD and 12 * k * d * width > TILE_BYTES:
        width //= 2
    return width

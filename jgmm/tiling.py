"""How runs are padded, put in tiles and fed block by block. None of it has an effect on results. Needs no JAX.

Measured with 256 runs on two shared cores of an AMD EPYC (Zen 3), JAX 0.12, with `machine.prepare`: M samples a second
at tiles of 32 runs and of 128 are 46 to 51 and 41 at (d, k) = (10, 5), 6.4 to 6.7 and 5.6 at (50, 10), 1.7 and 1.4 at
(100, 20), 302 and 276 to 367 at (2, 2).
"""

PAD = 32  # runs of a device are a multiple of this: loops over 16 become single numbers, twice as slow
BLOCK = 16  # samples drawn together: 16 and 32 are within 5 % of each other on CPU, 4 and 128 lose 15 %
TILE = 128  # runs of a device that stream together on a CPU, at most
TILE_BYTES = 2**15  # of their centres, origins and means, at most: a first cache


def tile_width(k: int, d: int) -> int:
    """How many runs of a device stream together on a CPU before the next tile of them does: 128, 64 or 32.

    As many as keep the state within TILE_BYTES: beyond it every step fetches its centres from further away. A tile goes
    through all samples of a call before the next one's turn, so that 4,096 runs take 16 times as long as 256.
    """
    width = TILE
    while width > PAD and 12 * k * d * width > TILE_BYTES:
        width //= 2
    return width

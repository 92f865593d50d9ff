"""Streaming Lloyd and EM in Numba, a run at a time on a thread: the plain way, and as well as a patient author would.

fastmath is off. `libm_normals` calls libm one number at a time where llvmlite is built without Intel's SVML, as that on
PyPI is; `polynomial_normals` are loops that LLVM turns into vectors by itself.
"""

import math
from functools import lru_cache

import numba
import numpy as np

BLOCK = 16  # samples drawn at a time


# --- the plain way ---


@numba.njit(parallel=True)
def numba_numpy(seeds, means, thresholds, scale, rate, n):
    """Centres, shape (runs, k, d)."""
    k, d = means.shape
    out = np.empty((len(seeds), k, d))
    for run in numba.prange(len(seeds)):
        np.random.seed(seeds[run])  # noqa: NPY002
        centres = means.copy()
        x = np.empty(d)
        for _ in range(n):
            u = np.random.random()  # noqa: NPY002
            label = 0
            for i in range(k - 1):
                label += u >= thresholds[i]
            for j in range(d):
                x[j] = means[label, j] + scale * np.random.normal()  # noqa: NPY002
            best, winner = np.inf, 0
            for i in range(k):
                distance = 0.0
                for j in range(d):
                    distance += (x[j] - centres[i, j]) ** 2
                if distance < best:
                    best, winner = distance, i
            for j in range(d):
                centres[winner, j] += rate * (x[j] - centres[winner, j])
        out[run] = centres
    return out


# --- as well as a patient author would ---


@numba.njit(inline="always")
def rotate(x, by):
    return np.uint32(np.uint32(x << np.uint32(by)) | np.uint32(x >> np.uint32(32 - by)))


@numba.njit(inline="always")
def xoshiro(s0, s1, s2, s3):
    """One step of xoshiro128++: the next four words, and 32 bits."""
    bits = np.uint32(rotate(np.uint32(s0 + s3), 7) + s0)
    shifted = np.uint32(s1 << np.uint32(9))
    s2, s3 = np.uint32(s2 ^ s0), np.uint32(s3 ^ s1)
    s1, s0 = np.uint32(s1 ^ s2), np.uint32(s0 ^ s3)
    return s0, s1, np.uint32(s2 ^ shifted), rotate(s3, 11), bits


@numba.njit
def libm_normals(first, second, normals):
    """Box-Muller by libm: two words give two normals."""
    unit, turn = np.float32(2**-24), np.float32(2 * np.pi * 2**-24)
    for i in range(len(first)):
        u = (np.float32(first[i] >> np.uint32(8)) + np.float32(1)) * unit
        angle = np.float32(second[i] >> np.uint32(8)) * turn
        radius = math.sqrt(np.float32(-2) * math.log(u))
        normals[0, i] = radius * math.cos(angle)
        normals[1, i] = radius * math.sin(angle)


LOG = tuple(
    np.float32(c)
    for c in (
        *(-0.17487891, 0.287546605, -0.298981905, 0.331213921, -0.399139553),
        *(0.500043094, -0.666683674, 0.999999762, -2),
    )
)
SIN = tuple(np.float32(c) for c in (-0.0046021631, 0.0796802193, -0.64596349, 1.57079637))
COS = tuple(np.float32(c) for c in (0.000903629872, -0.0208600704, 0.253669202, -1.23370051, 1))


@numba.njit
def polynomial_normals(first, second, normals):
    """Box-Muller by the polynomials of jgmm.lanes: loops without calls, which LLVM turns into vectors."""
    one, bit, root_half = np.float32(1), np.uint32(1), np.int32(0x3F3504F3)
    mantissas = np.empty(len(first), np.float32)
    exponents = np.empty(len(first), np.float32)
    words = mantissas.view(np.int32)
    for i in range(len(first)):
        mantissas[i] = np.float32(np.int32((first[i] >> bit) | bit))
    for i in range(len(first)):
        word = np.int32(words[i] - root_half)
        exponents[i] = np.float32(np.int32((word >> np.int32(23)) - np.int32(31))) * np.float32(-2 * np.log(2))
        words[i] = np.int32((word & np.int32(0x7FFFFF)) + root_half)
    for i in range(len(first)):
        m = mantissas[i] - one
        p = (((LOG[0] * m + LOG[1]) * m + LOG[2]) * m + LOG[3]) * m + LOG[4]
        p = (((p * m + LOG[5]) * m + LOG[6]) * m + LOG[7]) * m + LOG[8]
        square = m * p + exponents[i]
        radius = math.sqrt(square if square > 0 else np.float32(0))
        t = np.float32(np.int32(second[i] << np.uint32(2))) * np.float32(2**-32) + np.float32(2**-33)
        y = t * t
        sin = t * (((SIN[0] * y + SIN[1]) * y + SIN[2]) * y + SIN[3])
        cos = (((COS[0] * y + COS[1]) * y + COS[2]) * y + COS[3]) * y + COS[4]
        quadrant = np.uint32(second[i] >> np.uint32(30))
        odd = np.uint32(quadrant & bit) == bit
        flip_first = np.uint32((quadrant ^ (quadrant >> bit)) & bit) == bit
        flip_second = np.uint32(quadrant >> bit) == bit
        normals[0, i] = (sin if odd else cos) * (-radius if flip_first else radius)
        normals[1, i] = (cos if odd else sin) * (-radius if flip_second else radius)


@lru_cache
def compile_numba(k, d, fill_normals):
    """The kernel for these sizes: constants let LLVM unroll the loops over k and d."""
    half = (d + 1) // 2
    pairs = BLOCK * half

    @numba.njit(parallel=True)
    def kernel(words, means, thresholds, scale, rate, n):
        out = np.empty((len(words), k, d), np.float32)
        for run in numba.prange(len(words)):
            s0, s1, s2, s3 = words[run, 0], words[run, 1], words[run, 2], words[run, 3]
            centres = means.copy()
            x = np.empty(d, np.float32)
            uniforms = np.empty(BLOCK, np.float32)
            first, second = np.empty(pairs, np.uint32), np.empty(pairs, np.uint32)
            normals = np.empty((2, pairs), np.float32)
            for begin in range(0, n, BLOCK):
                for sample in range(BLOCK):
                    s0, s1, s2, s3, bits = xoshiro(s0, s1, s2, s3)
                    uniforms[sample] = np.float32(bits >> np.uint32(8)) * np.float32(2**-24)
                for pair in range(pairs):
                    s0, s1, s2, s3, first[pair] = xoshiro(s0, s1, s2, s3)
                    s0, s1, s2, s3, second[pair] = xoshiro(s0, s1, s2, s3)
                fill_normals(first, second, normals)
                for sample in range(min(BLOCK, n - begin)):
                    label = 0
                    for i in range(k - 1):
                        label += uniforms[sample] >= thresholds[i]
                    for j in range(half):
                        x[j] = means[label, j] + scale * normals[0, sample * half + j]
                    for j in range(half, d):
                        x[j] = means[label, j] + scale * normals[1, sample * half + j - half]
                    best, winner = np.float32(np.inf), 0
                    for i in range(k):
                        distance = np.float32(0)
                        for j in range(d):
                            difference = x[j] - centres[i, j]
                            distance += difference * difference
                        if distance < best:
                            best, winner = distance, i
                    for j in range(d):
                        centres[winner, j] += rate * (x[j] - centres[winner, j])
            out[run] = centres
        return out

    return kernel


@lru_cache
def compile_em(d):
    """Streaming EM of a balanced pair at +mean and -mean, for this d: estimates of shape (runs, d)."""
    half = (d + 1) // 2
    pairs = BLOCK * half

    @numba.njit(parallel=True)
    def kernel(words, mean, rate, n):
        out = np.empty((len(words), d), np.float32)
        for run in numba.prange(len(words)):
            s0, s1, s2, s3 = words[run, 0], words[run, 1], words[run, 2], words[run, 3]
            estimate = mean.copy()
            x = np.empty(d, np.float32)
            signs = np.empty(BLOCK, np.float32)
            first, second = np.empty(pairs, np.uint32), np.empty(pairs, np.uint32)
            normals = np.empty((2, pairs), np.float32)
            for begin in range(0, n, BLOCK):
                for sample in range(BLOCK):
                    s0, s1, s2, s3, bits = xoshiro(s0, s1, s2, s3)
                    signs[sample] = np.float32(1) if bits < np.uint32(2**31) else np.float32(-1)
                for pair in range(pairs):
                    s0, s1, s2, s3, first[pair] = xoshiro(s0, s1, s2, s3)
                    s0, s1, s2, s3, second[pair] = xoshiro(s0, s1, s2, s3)
                polynomial_normals(first, second, normals)
                for sample in range(min(BLOCK, n - begin)):
                    for j in range(half):
                        x[j] = signs[sample] * mean[j] + normals[0, sample * half + j]
                    for j in range(half, d):
                        x[j] = signs[sample] * mean[j] + normals[1, sample * half + j - half]
                    inner = np.float32(0)
                    for j in range(d):
                        inner += x[j] * estimate[j]
                    side = np.float32(math.tanh(inner))
                    for j in range(d):
                        estimate[j] += rate * (side * x[j] - estimate[j])
            out[run] = estimate
        return out

    return kernel

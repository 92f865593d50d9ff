"""The executor of PTX that stands in for a GPU (`ptx`): instructions by hand."""

import numpy as np
import ptx
import pytest
from numpy.testing import assert_array_equal

PROGRAM = """.version 9.0
.visible .entry k(
	.param .u64 .ptr .align 256 k_param_0,
	.param .u64 .ptr .align 256 k_param_1
)
{{
	.reg .b32 	%r<9>;
	ld.param.b64 %rd1, [k_param_0]; ld.param.b64 %rd2, [k_param_1];
	mov.u32 %t, %tid.x; mul.wide.u32 %o, %t, 4; add.s64 %a, %rd1, %o; add.s64 %b, %rd2, %o;
	ld.global.b32 %x, [%a];
	{body}
	st.global.b32 [%b], %y;
	ret;
}}
"""


def executed(body, given, out):
    """What four threads, each given a number %x, leave in %y."""
    found = np.full(16, 255, np.uint8)
    ptx.run(PROGRAM.format(body=body), [given.view(np.uint8).copy(), found], programs=1, threads=4)
    return found.view(out)


U, S, F = np.uint32, np.int32, np.float32
NAN = float("nan")


def bits(value):
    """As PTX writes a float32."""
    return f"0f{np.float32(value).view(np.uint32):08X}"


@pytest.mark.parametrize(
    ("body", "given", "expected", "kinds"),
    [
        ("shl.b32 %y, 1, %x;", (0, 31, 32, 2**31), (1, 2**31, 0, 0), (U, U)),
        ("shr.s32 %y, %x, 40;", (-8, 8, -1, 0), (-1, 0, -1, 0), (S, S)),
        ("shr.u32 %y, %x, 31;", (-8, 8, -1, 0), (1, 0, 1, 0), (S, U)),
        ("shf.l.wrap.b32 %y, %x, %x, 7;", (1, 2**31, 2**25, 3), (128, 64, 1, 384), (U, U)),
        ("lop3.b32 %y, %x, 12, 10, 0x96;", (0, 1, 15, 7), (6, 7, 9, 1), (U, U)),
        ("lop3.b32 %y, %x, 12, 10, 0xCA;", (0, 1, 15, 7), (10, 10, 12, 12), (U, U)),  # a ? b : c
        ("cvt.rn.f32.s32 %y, %x;", (-1, 1, -2, 0), (-1, 1, -2, 0), (S, F)),
        ("cvt.rn.f32.u32 %y, %x;", (-1, 1, 2, 0), (2**32, 1, 2, 0), (S, F)),  # the sign that Mosaic forgot
        ("setp.lt.s32 %p, %x, 0; selp.b32 %y, 1, 0, %p;", (-1, 1, -2, 0), (1, 0, 1, 0), (S, U)),
        ("setp.lt.u32 %p, %x, 2; selp.b32 %y, 1, 0, %p;", (-1, 1, -2, 0), (0, 1, 0, 1), (S, U)),
        ("setp.gt.s32 %p, %x, 2; mov.b32 %y, 7; @!%p mov.b32 %y, 9;", (1, 2, 3, 4), (9, 9, 7, 7), (U, U)),
        ("setp.geu.f32 %p, %x, 0f3F800000; selp.b32 %y, 1, 0, %p;", (NAN, 0, 1, 2), (1, 0, 1, 1), (F, U)),
        ("setp.ge.f32 %p, %x, 0f3F800000; selp.b32 %y, 1, 0, %p;", (NAN, 0, 1, 2), (0, 0, 1, 1), (F, U)),
        ("max.f32 %y, %x, 0f3F800000;", (NAN, 0, 1, 2), (1, 1, 1, 2), (F, F)),
        # Rounded once: twice would lose the 2^-46.
        ("fma.rn.f32 %y, %x, %x, 0fBF800000;", (1 + 2**-23, 2, 0, 1), (2**-22 + 2**-46, 3, -1, 0), (F, F)),
        # A little less than halfway: twice would round it up.
        (
            f"fma.rn.f32 %y, %x, {bits(2**-12 * (1 - 2**-18))}, {bits(1 + 2**-23)};",
            *((2**-12 * (1 + 2**-18), 2**-12, 0, 1), (1 + 2**-23, 1 + 2**-23, 1 + 2**-23, 1 + 2**-12 + 2**-23), (F, F)),
        ),
        ("rcp.rn.f32 %y, %x;", (1, 2, -4, 8), (1, 0.5, -0.25, 0.125), (F, F)),
        ("neg.f32 %y, %x;", (0, 1, -2, 3), (0, -1, 2, -3), (F, F)),
        ("shfl.sync.idx.b32 %y, %x, 2, 31, -1;", (1, 2, 3, 4), (3, 3, 3, 3), (U, U)),
        ("shfl.sync.bfly.b32 %y, %x, 1, 31, -1;", (1, 2, 3, 4), (2, 1, 4, 3), (U, U)),
        ("shfl.sync.bfly.b32 %y, %x, 2, 31, -1;", (1, 2, 3, 4), (3, 4, 1, 2), (U, U)),
        (
            "mov.b32 %y, 0; mov.b32 %c, 5;\n$L1:\n add.s32 %y, %y, %x; add.s32 %c, %c, -1; setp.ne.b32 %p, %c, 0;\n"
            "@%p bra $L1;",
            *((1, 2, 3, 4), (5, 10, 15, 20), (U, U)),
        ),
    ],
)
def test_an_instruction_by_hand(body, given, expected, kinds):
    assert_array_equal(executed(body, np.array(given).astype(kinds[0]), kinds[1]), np.array(expected, kinds[1]))


def test_warps_may_part_and_go_on_one_after_the_other():
    text = PROGRAM.format(
        body="mov.b32 %y, 1; setp.lt.u32 %p, %x, 32; @%p bra $L1; mov.b32 %y, 2;\n$L1: add.s32 %y, %y, %x;"
    )
    given, found = np.arange(64, dtype=np.uint32), np.zeros(64, np.uint32)
    ptx.run(text, [given.view(np.uint8), found.view(np.uint8)], programs=1, threads=64)
    assert_array_equal(found, given + np.where(given < 32, 1, 2))

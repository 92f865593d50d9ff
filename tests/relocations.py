"""Which relocations an object file has: what the linker fills in when it knows where sections lie."""

import struct
from typing import NamedTuple

SECTION = struct.Struct(
    "<IIQQQQIIQQ"
)  # of ELF64: name, kind, flags, address, offset, size, link, info, alignment, entry
RELOCATION = struct.Struct("<QQq")
HEADER_SECTIONS = struct.Struct("<Q")  # at byte 40: where the sections' headers are
RELA, X86_64 = 4, 62
# Of the System V ABI's x86-64 supplement, table 4.9: those that fill 32 bits.
SHORT = {2: "PC32", 3: "GOT32", 4: "PLT32", 9: "GOTPCREL", 10: "32", 11: "32S", 41: "GOTPCRELX", 42: "REX_GOTPCRELX"}


class Relocation(NamedTuple):
    """In which section, of which kind."""

    section: int
    kind: int


def relocations(image: bytes) -> list[Relocation]:
    """Of an ELF64 object file of x86-64, in the order of the file."""
    assert image[:5] == b"\x7fELF\x02"
    assert struct.unpack_from("<H", image, 18) == (X86_64,)
    (start,) = HEADER_SECTIONS.unpack_from(image, 40)
    size, count = struct.unpack_from("<HH", image, 58)
    found = []
    for i in range(count):
        _, kind, _, _, offset, length, _, info, _, _ = SECTION.unpack_from(image, start + i * size)
        if kind == RELA:
            rows = RELOCATION.iter_unpack(image[offset : offset + length])
            found += [Relocation(info, word & 0xFFFFFFFF) for _, word, _ in rows]
    return found

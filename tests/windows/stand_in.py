"""Stand-in for a library of Windows that Wine 8 lacks, and that programs made with Rust want.

    python tests/windows/stand_in.py bcryptprimitives.dll

It has no code: its one function, ProcessPrng, is said to be advapi32's SystemFunction036
(RtlGenRandom), which fills a buffer with random bytes as well. Written by Microsoft's "PE Format".
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

LIBRARY, FUNCTION, FORWARDED_TO = (
    b"bcryptprimitives.dll",
    b"ProcessPrng",
    b"advapi32.SystemFunction036",
)

MACHINE_AMD64 = 0x8664
#: EXECUTABLE_IMAGE, LARGE_ADDRESS_AWARE, DLL
CHARACTERISTICS = 0x2022
PE32_PLUS = 0x20B
#: CNT_INITIALIZED_DATA, MEM_READ
READ_ONLY_DATA = 0x40000040
#: Where the only section lies in the file and in memory.
IN_FILE, IN_MEMORY = 0x200, 0x1000
DIRECTORIES = 16


def export_section() -> bytes:
    """The section ".edata": directory, addresses, pointer to the name, ordinal, and the texts."""
    address = IN_MEMORY + struct.calcsize("<IIHHIIIIIII")
    name_pointer, ordinal = address + 4, address + 8
    library = ordinal + 2
    function = library + len(LIBRARY) + 1
    forwarder = function + len(FUNCTION) + 1
    directory = struct.pack(
        "<IIHHIIIIIII", 0, 0, 0, 0, library, 1, 1, 1, address, name_pointer, ordinal
    )
    tables = struct.pack("<IIH", forwarder, function, 0)
    return directory + tables + b"".join(text + b"\0" for text in (LIBRARY, FUNCTION, FORWARDED_TO))


def library() -> bytes:
    """The file."""
    section = export_section()
    dos = struct.pack("<2s58xI", b"MZ", 64)
    optional = struct.pack(
        "<HBBIIIIIQIIHHHHHHIIIIHHQQQQII",
        *(PE32_PLUS, 0, 0, 0, IN_FILE, 0, 0, 0),  # linker, sizes, no entry point, base of code
        *(0x180000000, 0x1000, 0x200),  # base in memory, alignments in memory and in the file
        *(6, 0, 0, 0, 6, 0, 0),  # versions
        *(IN_MEMORY + 0x1000, IN_FILE, 0, 2, 0x100),  # sizes, checksum, subsystem, NX_COMPAT
        *(0x100000, 0x1000, 0x100000, 0x1000, 0, DIRECTORIES),  # stack and heap
    ) + struct.pack(f"<II{8 * (DIRECTORIES - 1)}x", IN_MEMORY, len(section))
    coff = struct.pack("<HHIIIHH", MACHINE_AMD64, 1, 0, 0, 0, len(optional), CHARACTERISTICS)
    header = struct.pack(
        "<8sIIIIIIHHI",
        *(b".edata", len(section), IN_MEMORY, IN_FILE, IN_FILE),
        *(0, 0, 0, 0, READ_ONLY_DATA),
    )
    headers = dos + b"PE\0\0" + coff + optional + header
    return headers.ljust(IN_FILE, b"\0") + section.ljust(IN_FILE, b"\0")


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(library())

"""Measures built functions: the machine that each is for, what it needs of glibc, its size and its zip's.

Run by `cargo xtask sam-build`. The zip is made as `sam deploy` makes it.
"""

import io
import json
import re
import struct
import sys
import zipfile

MACHINES = {0xB7: "arm64", 0x3E: "x86_64"}
SYMBOL_TABLE = 2


def measure(path):
    with open(path, "rb") as file:
        program = file.read()
    if program[:6] != b"\x7fELF\x02\x01":
        return {"machine": "none", "stripped": False, "glibc": 0, "bytes": len(program), "zip": 0}
    (machine,) = struct.unpack_from("<H", program, 18)
    (sections,) = struct.unpack_from("<Q", program, 40)
    size, count = struct.unpack_from("<HH", program, 58)
    kinds = [struct.unpack_from("<I", program, sections + at * size + 4)[0] for at in range(count)]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bootstrap", program)
    return {
        "machine": MACHINES.get(machine, "another"),
        "stripped": SYMBOL_TABLE not in kinds,
        "glibc": max((int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)", program)), default=0),
        "bytes": len(program),
        "zip": len(packed.getbuffer()),
    }


print(json.dumps({name: measure(path) for name, path in (it.split("=", 1) for it in sys.argv[1:])}))

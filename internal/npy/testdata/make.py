"""Writes arrays.txt: what numpy saves, as hexadecimal, one array a line.

Every array counts 0, 1, 2 … in row-major order, so that a test knows its elements.
Python 3.11, numpy 1.24.2:  python3 make.py
"""
import io
import numpy as np

shapes = [(), (0,), (1,), (3,), (2, 3), (3, 1, 2), (2, 3, 4), (4, 2, 3, 2), (2, 1, 3, 2, 2), (0, 3), (10**9, 0)]
types = ["|b1", "|i1", "|u1", "<i2", ">u2", "<i4", ">i4", "<i8", ">i8", "<u8",
         "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<c8", ">c8", "<c16", ">c16"]


def save(a, version=None):
    b = io.BytesIO()
    np.lib.format.write_array(b, a, version=version)
    return b.getvalue()


def header_end(b):
    return b.index(b"\n") + 1


def line(kind, a, b):
    shape = ",".join(map(str, a.shape)) or "-"
    end = header_end(b)
    return f"{kind} {a.dtype.str} {shape} {b[:end].hex()} {b[end:].hex() or '-'}\n"


with open("arrays.txt", "w") as f:
    for t in types:
        for s in shapes if t in ("<f4", ">f4") else [(), (2, 3)]:
            a = np.arange(int(np.prod(s, dtype=object)), dtype="i8").reshape(s).astype(t)
            f.write(line("C", a, save(a)))
            if a.ndim > 1:
                f.write(line("F", a, save(np.asfortranarray(a))))
    a = np.arange(24, dtype="<f4").reshape(4, 3, 2)
    f.write(line("F", a, save(np.ascontiguousarray(a.T).T)))
    f.write(line("2", a, save(a, (2, 0))))
    f.write(line("3", a, save(a, (3, 0))))

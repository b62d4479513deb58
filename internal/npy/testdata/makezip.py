"""Writes plain.npz, stored.npz and deflated.npz as numpy.savez does, with a zipfile that fills
the zip64 fields of local headers as they should be (Python 3.11.4 and later; numpy
itself is not needed, its arrays are in arrays.txt).

Python 3.13.0:  python3 makezip.py
"""
import zipfile

members = {}
with open("arrays.txt") as f:
    for line in f:
        kind, descr, shape, header, data = line.split()
        if kind in "CF" and descr in ("<f4", "<i8", ">f8", "<f2") and shape in ("-", "2,3", "2,3,4"):
            members.setdefault(f"{kind}.{descr[1:]}.{len(shape)}", bytes.fromhex(header + data.strip("-")))
members["größe"] = members["C.f4.1"]



def savez(name, method, keys):
    with zipfile.ZipFile(name, "w", compression=method) as z:
        for key in keys:
            with z.open(key + ".npy", "w", force_zip64=True) as f:
                f.write(members[key])


savez("stored.npz", zipfile.ZIP_STORED, members)
savez("deflated.npz", zipfile.ZIP_DEFLATED, members)
savez("plain.npz", zipfile.ZIP_STORED, ["größe", "C.f4.3", "C.i8.1"])  # what repfuse would write

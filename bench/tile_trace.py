#!/usr/bin/env python3
"""Tiles a trace to any length: tile_trace.py TRACE.npz OUT.npz TOKENS. Stored, not deflated, so that reading is measured."""

import sys
import zipfile

import numpy


def tile(source, target, tokens):
    ids = numpy.load(source)["ids"]
    header = {"descr": ids.dtype.str, "fortran_order": False, "shape": (tokens, *ids.shape[1:])}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("ids.npy", "w", force_zip64=True) as out:
            numpy.lib.format.write_array_header_1_0(out, header)
            for start in range(0, tokens, len(ids)):
                out.write(ids[: tokens - start].tobytes())


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: tile_trace.py TRACE.npz OUT.npz TOKENS")
    tile(sys.argv[1], sys.argv[2], int(sys.argv[3]))

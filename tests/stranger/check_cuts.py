#!/usr/bin/env python3
"""Cuts the files of a repository anew as docs/format.md, "Chunking", says: check_cuts.py REPOSITORY PASSWORD

Every stored file must come out in the chunks it is stored in; then another program can write beside dssvault.
"""

import math
import os
import sys

from read_snapshot import D, Repository, cbor, must, split

# "The mask of size 2^k", in order of k from 7.
MASKS = """
    0000000018035100 0000001800035300 0000019000353000 0000590003530000 0000d90003530000 0000d90103530000
    0000d90303530000 0000d90313530000 0000d90f03530000 0000d90303537000 0000d90703537000 0000d90707537000
    0000d91707537000 0000d91747537000 0000d91767537000 0000d93767537000 0000d93777537000
"""


def cut(gear, sizes, data):
    """Lengths of the chunks of some data."""
    least, average, most = sizes[0], sizes[1], sizes[2]
    masks = dict(enumerate((int(mask, 16) for mask in MASKS.split()), 7))
    k = round(math.log2(average))
    strict, relaxed = masks[k + 1], masks[k - 1]
    lengths = []
    while data:
        length = min(len(data), most)
        if len(data) > least:
            end, middle = length // 2 * 2, min(len(data), average) // 2 * 2
            h = 0
            for p in range(least, end):
                h = (2 * h + gear[data[p]]) % 2**64
                if h & (strict if p < middle else relaxed) == 0:
                    length = p
                    break
        lengths.append(length)
        data = data[length:]
    return lengths


def files(repository, tree):
    for entry in repository.entries(tree):
        if 12 in entry:
            yield from files(repository, entry[12])
        elif 11 in entry:
            yield entry


def main(folder, password):
    repository = Repository(folder, os.fsencode(password))
    repository.load_index()
    table = D("gear table", repository.secrets[2], 2048)
    gear = [int.from_bytes(table[at : at + 8], "little") for at in range(0, 2048, 8)]
    seen = cuts = 0
    for path in sorted((repository.folder / "snapshots").iterdir()):
        variant, fields = cbor(repository.body("snapshots", path.name))
        for entry in files(repository, fields[0][7]) if variant == 0 else ():
            if 4 in entry[11]:
                # Part of a chunk made of several files.
                continue
            chunks = [repository.chunk(chunk) for chunk in split(entry[11][0])]
            lengths = [len(chunk) for chunk in chunks]
            must(cut(gear, repository.config[7], b"".join(chunks)) == lengths, f"cuts of {entry[0]}")
            seen, cuts = seen + 1, cuts + len(lengths) - 1
    must(cuts >= 2, "no file of two chunks")
    print(f"the stranger cut {seen} files where they are cut")


if __name__ == "__main__":
    main(*sys.argv[1:])

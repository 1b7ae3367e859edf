"""Databases that are told apart torn from whole.

A file is a header page and PAGES pages. Round g writes page g % PAGES, then the header, in `jobs` and then in
`flow_state`, so at any instant the header is that of the newest page or one round behind, and so are the two files
to each other. A copy made while it is written usually breaks that; `h2.py DATA_DIR` looks: 0 whole, 1 torn.
"""

import fcntl
import os
import sys

import kit

PAGE = 4096
PAGES = 64
NAMES = ("jobs", "flow_state")


class Damaged(Exception):
    """No database at all."""


def header(generation):
    return ("H:2,block:1,format:1,generation:%016d,\n" % generation).encode().ljust(PAGE, b"\0")


def page(generation):
    return ("chunk:%016d\n" % generation).encode() * (PAGE // 23) + b"\0" * (PAGE % 23)


def path_of(data_dir, name):
    return os.path.join(data_dir, "databases", name + ".mv.db")


def read(data_dir, name):
    """Generation of the header and of each page."""
    with open(path_of(data_dir, name), "rb") as file:
        content = file.read(PAGE * (PAGES + 1))
    if not content.startswith(b"H:2,") or len(content) != PAGE * (PAGES + 1):
        raise Damaged("file %s.mv.db is corrupted" % name)
    pages = []
    for number in range(1, PAGES + 1):
        one = content[number * PAGE:(number + 1) * PAGE]
        if not one[6:22].isdigit() or one != page(int(one[6:22])):
            raise Damaged("page %d of %s.mv.db is torn" % (number, name))
        pages.append(int(one[6:22]))
    generation = content[:PAGE].partition(b"generation:")[2][:16]
    if not generation.isdigit():
        raise Damaged("the header of %s.mv.db is torn" % name)
    return int(generation), pages


def is_whole(generation, pages):
    newest = max(pages)
    if newest not in (generation, generation + 1):
        return False
    return all(held == newest - (newest - place) % PAGES for place, held in enumerate(pages))


class Databases:
    """The open databases of a running node, each under a POSIX write lock. None where there is no such folder."""

    def __init__(self, data_dir):
        self.files, self.generation = [], PAGES
        if not os.path.isdir(os.path.join(data_dir, "databases")):
            return
        for name in NAMES:
            path = path_of(data_dir, name)
            if not os.path.exists(path):
                self.create(path)
            # Read before the lock is taken: closing any handle of a file drops the locks of its process.
            generation, pages = read(data_dir, name)
            if kit.fake("H2_STRICT") == "1" and not is_whole(generation, pages):
                raise Damaged("file corrupted while reading record of %s.mv.db" % name)
            self.generation = max(self.generation, generation, *pages)
            file = os.open(path, os.O_RDWR)
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Damaged("%s.mv.db may be already in use" % name) from None
            self.files.append(file)
        for file in self.files:
            self.settle(file)

    @staticmethod
    def create(path):
        with open(path, "wb") as file:
            file.write(header(PAGES - 1))
            for generation in range(PAGES):
                file.write(page(generation))

    def settle(self, file):
        """What a database does when it opens after a crash: it brings itself to the newest round."""
        for generation in range(self.generation - PAGES + 1, self.generation + 1):
            os.pwrite(file, page(generation), PAGE * (1 + generation % PAGES))
        os.pwrite(file, header(self.generation), 0)

    def write(self):
        if not self.files:
            return
        self.generation += 1
        for file in self.files:
            os.pwrite(file, page(self.generation), PAGE * (1 + self.generation % PAGES))
            os.pwrite(file, header(self.generation), 0)


def main(data_dir):
    generations = []
    for name in NAMES:
        try:
            generation, pages = read(data_dir, name)
        except (Damaged, OSError, ValueError) as error:
            kit.die("torn: %s" % error)
        if not is_whole(generation, pages):
            kit.die("torn: %s.mv.db holds pages of different rounds" % name)
        generations.append(generation)
    if generations[0] - generations[1] not in (0, 1):
        kit.die("torn: the two databases are of different instants (%d, %d)" % tuple(generations))
    print("whole: round %d" % generations[0])


if __name__ == "__main__":
    main(sys.argv[1])

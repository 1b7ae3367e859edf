"""Stands for pip: freeze lists, install makes, the folders NAME-VERSION.dist-info of site-packages."""

import glob
import os
import sys


def main(words):
    prefix = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    packages = glob.glob(os.path.join(prefix, "lib", "python*", "site-packages"))[0]
    if words[:1] == ["freeze"]:
        for path in sorted(glob.glob(os.path.join(packages, "*.dist-info"))):
            print(os.path.basename(path)[: -len(".dist-info")].replace("-", "==", 1))
    elif words[:1] == ["install"]:
        wanted = words[1:]
        if "-r" in wanted:
            with open(wanted[wanted.index("-r") + 1]) as lines:
                wanted = lines.read().split()
        for name in wanted:
            if not name.startswith("-"):
                os.makedirs(os.path.join(packages, name.replace("==", "-") + ".dist-info"), exist_ok=True)
    else:
        sys.exit("usage: pip freeze [-l] | install NAME==VERSION... | install -r FILE")


main(sys.argv[1:])

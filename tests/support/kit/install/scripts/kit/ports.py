"""Refuses to go on while a port of the node is taken:  ports.py DATA_DIR"""

import sys

import kit


def main(data_dir):
    config = kit.ini(data_dir)
    base = config.getint("server", "port")
    node = kit.node_type(config)
    wanted = [("server", base), (kit.MAIN_PROCESS.get(node, "backend"), base + 1)]
    if node not in kit.MAIN_PROCESS:
        wanted.append(("ipython", base + 2))
    for name, port in wanted:
        try:
            kit.listener(port).close()
        except OSError:
            kit.die("%s port %d is already in use" % (name, port))


main(sys.argv[1])

"""A process beside the main one (Jupyter, event server, collectd):  side.py NAME [PORT]

Only listens, if it has a port, until it is told to end.
"""

import signal
import sys

import kit


def main(name, port=None):
    heard = kit.listener(int(port)) if port else None
    kit.say("%s is up%s" % (name, " on port %s" % port if heard else ""))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        signal.pause()


main(*sys.argv[1:])

"""Talks to the supervisor of DIP_HOME:  supervisorctl.py pid | status|start|stop|restart [PROCESS...] | shutdown | reload

Exit: 0; 3 if a process of `status` is stopped, exited or fatal; 1 for everything else.
"""

import configparser
import json
import os
import socket
import sys

import kit


def connect(path):
    speaker = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # A socket's address holds 107 bytes; a name relative to its folder always fits.
    os.chdir(os.path.dirname(path))
    speaker.connect(os.path.basename(path))
    return speaker


def main(words):
    conf = os.path.join(kit.home(), "install-support", "supervisord.conf")
    parser = configparser.RawConfigParser()
    try:
        with open(conf) as lines:
            parser.read_file(lines)
        path = parser.get("unix_http_server", "file")
        password = parser.get("unix_http_server", "password")
    except (OSError, configparser.Error) as error:
        kit.die("cannot read %s: %s" % (conf, error))
    try:
        speaker = connect(path)
    except OSError:
        kit.die("unix://%s no such file or refused connection" % path)
    with speaker:
        request = {"password": password, "verb": words[0], "names": words[1:]}
        speaker.sendall((json.dumps(request) + "\n").encode())
        answer = speaker.makefile().readline()
    if not answer:
        kit.die("the supervisor closed the connection")
    answer = json.loads(answer)
    for line in answer["lines"]:
        print(line)
    sys.exit(answer["code"])


main(sys.argv[1:])

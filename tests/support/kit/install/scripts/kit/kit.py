"""What the Python parts of the stand-in kit share: places, install.ini, switches."""

import configparser
import os
import shutil
import socket
import sys
import time

KIT = os.path.dirname(os.path.abspath(__file__))
INSTALL_DIR = os.path.dirname(os.path.dirname(KIT))

# The name in install.ini, and which process of that node the base port + 1 belongs to.
MAIN_PROCESS = {"api": "apimain", "govern": "governserver", "gh": "governserver", "fm": "fmmain"}

# Carried by every process of the kit, so that `reap` finds those that must not show DIP_HOME.
MARK = "FAKE_KIT_OF"


def home():
    """The data directory, as the scripts export it."""
    return os.environ["DIP_HOME"]


def fake(name, default="", data_dir=None):
    """The value of a switch: environment, then DATA_DIR/fake.env, then INSTALL_DIR/fake.env."""
    name = "FAKE_" + name
    if name in os.environ:
        return os.environ[name]
    for place in (data_dir or os.environ.get("DIP_HOME", "/nonexistent"), INSTALL_DIR):
        try:
            with open(os.path.join(place, "fake.env")) as lines:
                for line in lines:
                    key, found, value = line.rstrip("\n").partition("=")
                    if found and key == name:
                        return value
        except OSError:
            pass
    return default


def ini(data_dir):
    parser = configparser.RawConfigParser(strict=False)
    parser.read(os.path.join(data_dir, "install.ini"))
    return parser


def node_type(config):
    return config.get("general", "nodetype", fallback="design")


def say(text):
    """One line of a log."""
    print(time.strftime("%Y-%m-%d %H:%M:%S"), text, flush=True)


def listener(port):
    """A listening socket that a connection in TIME_WAIT does not hinder."""
    heard = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    heard.bind(("127.0.0.1", port))
    heard.listen(64)
    return heard


def replace(path, text):
    """Writes beside and renames, as DSS does with its configuration."""
    beside = "%s.%d.tmp" % (path, os.getpid())
    with open(beside, "w") as out:
        out.write(text)
    try:
        shutil.copymode(path, beside)
    except FileNotFoundError:
        pass
    os.rename(beside, path)


def die(text, code=1):
    print(text, file=sys.stderr)
    sys.exit(code)

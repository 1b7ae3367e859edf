"""The supervisor:  supervisord.py [--foreground | --program NAME]

Keeps the processes named in install-support/supervisord.conf alive, each the leader of a group of its own, and
obeys whoever knows the password it was *started* with. Killed without a chance to clean up, it leaves them running.
"""

import configparser
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time

import kit

TICK = 0.05
STOPPED_STATES = ("STOPPED", "EXITED", "FATAL")


class Process:
    """One child: STOPPED -> STARTING -> RUNNING -> STOPPING -> STOPPED, or BACKOFF and at last FATAL."""

    def __init__(self, name, command, hides_home):
        self.name, self.command, self.hides_home = name, command, hides_home
        self.state, self.child, self.since, self.tries = "STOPPED", None, 0.0, 0

    def spawn(self):
        environment = dict(os.environ)
        environment[kit.MARK] = kit.home()
        if self.hides_home:
            environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), kit.MARK: kit.home()}
        command = self.command
        if self.name in kit.fake("BROKEN").split(","):
            command = ["/bin/false"]
        with open(os.path.join(kit.home(), "run", self.name + ".log"), "ab") as log:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                cwd=kit.home(), preexec_fn=os.setpgrp)
        self.move("STARTING")

    def start(self):
        self.tries = 0
        self.spawn()

    def stop(self):
        if self.state in ("STARTING", "RUNNING"):
            self.move("STOPPING")
            self.signal(signal.SIGTERM)
        elif self.state == "BACKOFF":
            self.move("STOPPED")

    def signal(self, number):
        try:
            os.killpg(self.child.pid, number)
        except ProcessLookupError:
            pass

    def move(self, state):
        self.state, self.since = state, time.monotonic()

    def tick(self):
        lasted = time.monotonic() - self.since
        if self.state == "BACKOFF":
            if lasted >= float(kit.fake("BACKOFF", "0.1")) * self.tries:
                self.spawn()
        elif self.child and self.child.poll() is not None:
            self.ended(self.child.returncode)
        elif self.state == "STARTING" and lasted >= float(kit.fake("START_SECS", "0.3")):
            self.tries = 0
            self.move("RUNNING")
        elif self.state == "STOPPING" and lasted >= float(kit.fake("STOP_WAIT", "10")):
            self.signal(signal.SIGKILL)

    def ended(self, code):
        self.child = None
        kit.say("%s ended with %d while %s" % (self.name, code, self.state))
        if self.state == "STOPPING":
            self.move("STOPPED")
        elif self.state == "STARTING":
            self.tries += 1
            self.move("FATAL" if self.tries > 3 else "BACKOFF")
        else:
            self.spawn()

    def line(self):
        detail = {
            "RUNNING": lambda: "pid %d, uptime %s" % (self.child.pid, uptime(time.monotonic() - self.since)),
            "BACKOFF": lambda: "Exited too quickly (process log may have details)",
            "FATAL": lambda: "Exited too quickly (process log may have details)",
            "STOPPED": lambda: "Not started",
        }.get(self.state, lambda: "")()
        return ("%-32s %-9s %s" % (self.name, self.state, detail)).rstrip()


def uptime(seconds):
    return "%d:%02d:%02d" % (seconds // 3600, seconds // 60 % 60, seconds % 60)


class Supervisor:
    def __init__(self):
        self.ending, self.reloading = None, False
        self.configure()
        self.listen()

    def configure(self):
        parser = configparser.RawConfigParser()
        with open(os.path.join(kit.home(), "install-support", "supervisord.conf")) as lines:
            parser.read_file(lines)
        self.socket_path = parser.get("unix_http_server", "file")
        self.password = parser.get("unix_http_server", "password")
        self.pid_file = parser.get("supervisord", "pidfile")
        self.processes = []
        for section in parser.sections():
            kind, _, name = section.partition(":")
            if kind == "program":
                words = parser.get(section, "command").split("\t")
                hides = parser.get(section, "hides_home", fallback="") == "1"
                self.processes.append(Process(name, [sys.executable, "-B"] + words, hides))

    def listen(self):
        # A socket's address holds 107 bytes; a name relative to its folder always fits.
        os.chdir(os.path.dirname(self.socket_path))
        name = os.path.basename(self.socket_path)
        self.door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if os.path.exists(name):
            try:
                socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect(name)
                kit.die("another supervisor listens on %s already" % self.socket_path)
            except OSError:
                os.unlink(name)
        self.door.bind(name)
        os.chmod(name, 0o700)
        self.door.listen(16)

    def run(self):
        with open(self.pid_file, "w") as out:
            out.write("%d\n" % os.getpid())
        kit.say("supervisord started with pid %d" % os.getpid())
        for process in self.processes:
            process.start()
        waiting = selectors.DefaultSelector()
        waiting.register(self.door, selectors.EVENT_READ)
        while not (self.ending and self.all_stopped()):
            if waiting.select(TICK):
                self.serve()
            self.tick()
            if self.reloading:
                self.reload()
            # STOP_STUCK stands for a process that no signal reaches, as one that waits for a lost file server.
            if self.ending and time.monotonic() - self.ending >= float(kit.fake("STOP_STUCK", "0")):
                self.stop_all()
        self.finish()

    def tick(self):
        for process in self.processes:
            process.tick()

    def wait_until(self, done):
        while not done():
            time.sleep(TICK)
            self.tick()

    def all_stopped(self):
        return all(process.state in STOPPED_STATES for process in self.processes)

    def stop_all(self):
        for process in reversed(self.processes):
            process.stop()

    def reload(self):
        self.stop_all()
        self.wait_until(self.all_stopped)
        self.reloading = False
        self.configure()
        for process in self.processes:
            process.start()

    def finish(self):
        for path in (self.socket_path, self.pid_file):
            try:
                os.unlink(path)
            except OSError:
                pass
        kit.say("supervisord ended")

    def serve(self):
        speaker, _ = self.door.accept()
        speaker.settimeout(5)
        with speaker:
            try:
                request = json.loads(speaker.makefile().readline())
                lines, code = self.obey(request)
                speaker.sendall((json.dumps({"lines": lines, "code": code}) + "\n").encode())
            except (OSError, ValueError, KeyError) as error:
                kit.say("request not understood: %s" % error)

    def obey(self, request):
        if request["password"] != self.password:
            return ["Server requires authentication"], 1
        verb, names = request["verb"], request["names"]
        if verb == "pid":
            return [str(os.getpid())], 0
        if verb == "shutdown":
            self.end()
            return ["Shut down"], 0
        if verb == "reload":
            self.reloading = True
            return ["Restarted supervisord"], 0
        known = {process.name: process for process in self.processes}
        unknown = [name for name in names if name not in known]
        if unknown:
            return ["%s: ERROR (no such process)" % name for name in unknown], 1
        chosen = [known[name] for name in names] or self.processes
        if verb == "status":
            stopped = any(process.state in STOPPED_STATES for process in chosen)
            return [process.line() for process in chosen], 3 if stopped else 0
        lines, code = [], 0
        for process in chosen:
            if verb in ("stop", "restart"):
                lines.append(self.stop_one(process))
            if verb in ("start", "restart"):
                lines.append(self.start_one(process))
        if any("ERROR" in line for line in lines):
            code = 1
        return lines, code

    def stop_one(self, process):
        if process.state in STOPPED_STATES:
            return "%s: ERROR (not running)" % process.name
        process.stop()
        self.wait_until(lambda: process.state in STOPPED_STATES)
        return "%s: stopped" % process.name

    def start_one(self, process):
        if process.state not in STOPPED_STATES:
            return "%s: ERROR (already started)" % process.name
        process.start()
        self.wait_until(lambda: process.state == "RUNNING" or process.state in STOPPED_STATES)
        return "%s: %s" % (process.name, "started" if process.state == "RUNNING" else "ERROR (spawn error)")

    def end(self):
        self.ending = self.ending or time.monotonic()

    def take_signals(self):
        signal.signal(signal.SIGTERM, lambda *_: self.end())
        signal.signal(signal.SIGINT, lambda *_: self.end())
        signal.signal(signal.SIGHUP, lambda *_: setattr(self, "reloading", True))
        signal.signal(signal.SIGUSR2, lambda *_: log_to_file())


def log_to_file():
    log = os.open(os.path.join(kit.home(), "run", "supervisord.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def become_daemon():
    """Two forks and a session of its own; holds nothing of the caller, so that no pipe of his stays open."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(3, 1024)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    log_to_file()


def main(words):
    os.environ[kit.MARK] = kit.home()
    if words[:1] == ["--program"]:
        return run_program(words[1])
    if words[:1] != ["--foreground"]:
        become_daemon()
    supervisor = Supervisor()
    supervisor.take_signals()
    supervisor.run()


def run_program(name):
    parser = configparser.RawConfigParser()
    parser.read(os.path.join(kit.home(), "install-support", "supervisord.conf"))
    if not parser.has_section("program:" + name):
        kit.die("no such process: %s" % name)
    os.execv(sys.executable, [sys.executable, "-B"] + parser.get("program:" + name, "command").split("\t"))


main(sys.argv[1:])

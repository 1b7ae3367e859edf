"""The main process of a node:  backend.py NAME DATA_DIR

Holds the databases, changes files as a living DSS does, and answers on the base port + 1.
"""

import glob
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import api
import kit
from h2 import Databases, Damaged


class Writer(threading.Thread):
    """The traffic of a living node: two databases in step, the log, parameters by rename, commits, job output."""

    def __init__(self, databases):
        super().__init__(daemon=True)
        self.databases = databases
        self.round = 0
        self.last_commit = time.monotonic()

    def run(self):
        while True:
            pause = float(kit.fake("TICK", "0.1"))
            if pause <= 0:
                time.sleep(0.2)
                continue
            time.sleep(pause)
            self.round += 1
            for step in (self.databases.write, self.log, self.parameters, self.job_output, self.commit):
                try:
                    step()
                except (OSError, ValueError, subprocess.SubprocessError):
                    pass  # A folder that a test has just moved away is no concern of this thread.

    def log(self):
        with open("run/backend.log", "a") as out:
            out.write("%s [INFO] round %d\n" % (time.strftime("%Y-%m-%d %H:%M:%S"), self.round))

    def parameters(self):
        found = sorted(glob.glob("config/projects/*/params.json"))
        if found and self.round % 5 == 0:
            path = found[self.round // 5 % len(found)]
            with open(path) as lines:
                content = json.load(lines)
            tag = content.setdefault("versionTag", {"versionNumber": 0})
            tag["versionNumber"] += 1
            kit.replace(path, json.dumps(content, indent=2))

    def job_output(self):
        for word in api.work():
            if word["kind"] == "job" and not word["over"]:
                folder = os.path.join("jobs", word["project"], word["id"])
                os.makedirs(folder, exist_ok=True)
                with open(os.path.join(folder, "output.log"), "a") as out:
                    out.write("%d rows\n" % self.round)

    def commit(self):
        if time.monotonic() - self.last_commit < float(kit.fake("COMMIT_SECS", "2")):
            return
        self.last_commit = time.monotonic()
        for repository in sorted(glob.glob("config/projects/*/.git"))[:1] or ["config/.git"]:
            folder = os.path.dirname(repository)
            if not os.path.isdir(repository):
                git(folder, "init", "--quiet")
            git(folder, "add", "--all")
            git(folder, "commit", "--quiet", "--allow-empty", "-m", "Round %d" % self.round)


def git(folder, *words):
    who = ["-c", "user.name=dss", "-c", "user.email=dss@localhost", "-c", "gc.auto=0", "-c", "safe.directory=*"]
    subprocess.run(["git"] + who + list(words), cwd=folder, check=True, timeout=20,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        code, content = api.route(self.command, self.path, self.headers.get("Authorization", ""))
        body = (json.dumps(content) + "\n").encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


def kernels():
    """Job kernels: one waits idle from the start, one stands for each running job."""
    running = {}
    while True:
        wanted = ["idle %d" % n for n in range(int(kit.fake("IDLE_KERNELS", "1")))]
        wanted += [job["id"] for job in api.work() if job["kind"] == "job" and not job["over"]]
        for name in [name for name in running if name not in wanted]:
            running[name].terminate()
            running.pop(name).wait()
        for name in [name for name in wanted if name not in running]:
            # `sleep` under another name: what counts is the command line.
            words = ["java DSSJobKernelMain", "2147483"]
            running[name] = subprocess.Popen(words, executable="/bin/sleep", stdin=subprocess.DEVNULL)
        time.sleep(0.2)


def serve(port):
    time.sleep(float(kit.fake("PING_DELAY", "0")))
    server = ThreadingHTTPServer(("127.0.0.1", port), Answers)
    server.daemon_threads = True
    server.serve_forever()


def on_stop(*_):
    time.sleep(float(kit.fake("STOP_DELAY", "0")))
    os._exit(143)


def main(name, data_dir):
    signal.signal(signal.SIGTERM, on_stop)
    os.chdir(data_dir)
    kit.say("%s starts in %s" % (name, data_dir))
    api.forget_work()
    try:
        databases = Databases(data_dir)
    except Damaged as error:
        kit.die("DSS INTERNAL DATABASE ERROR: %s" % error)
    Writer(databases).start()
    if name == "backend":
        threading.Thread(target=kernels, daemon=True).start()
    port = kit.ini(data_dir).getint("server", "port") + 1
    threading.Thread(target=serve, args=(port,), daemon=True).start()
    while True:
        signal.pause()


main(*sys.argv[1:])

"""Stands for nginx:  nginx.py -c DATA_DIR/install-support/nginx.conf

Listens on the base port and passes everything to the main process. Shows no DIP_HOME in its environment; makes its
own folder run/nginx, mode 0700; fails on a configuration it does not understand.
"""

import http.client
import os
import re
import signal
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import kit


def configured(path):
    with open(path) as lines:
        return dict(re.findall(r"^\s*(\w+)\s+([^;]+);", lines.read(), re.MULTILINE))


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream = None

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            link = http.client.HTTPConnection(*self.upstream, timeout=130)
            link.request(self.command, self.path, body or None, dict(self.headers))
            answer = link.getresponse()
            code, kind, content = answer.status, answer.getheader("Content-Type", "text/html"), answer.read()
        except (OSError, http.client.HTTPException):
            code, kind, content = 502, "text/html", b"<h1>502 Bad Gateway</h1>\n"
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


def main(words):
    settings = configured(words[words.index("-c") + 1])
    try:
        port, upstream = int(settings["listen"]), settings["proxy_pass"].split("//")[1].split(":")
        pid_file, folder = settings["pid"], settings["temp_path"]
    except (KeyError, ValueError, IndexError) as error:
        kit.die("nginx: [emerg] invalid configuration: %s" % error)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    Proxy.upstream = (upstream[0], int(upstream[1]))
    server = ThreadingHTTPServer(("127.0.0.1", port), Proxy)
    server.daemon_threads = True
    if "ssl_certificate" in settings:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings["ssl_certificate"], settings["ssl_certificate_key"])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with open(pid_file, "w") as out:
        out.write("%d\n" % os.getpid())
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: leave(pid_file))
    server.serve_forever()


def leave(pid_file):
    try:
        os.unlink(pid_file)
    except OSError:
        pass
    os._exit(0)


main(sys.argv[1:])

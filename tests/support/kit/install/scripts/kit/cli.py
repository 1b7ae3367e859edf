"""dsscli: asks the running node, with a key of its own.

projects-list | jobs-list KEY | job-status KEY ID | scenarios-list KEY | scenario-runs-list KEY ID [--limit N] |
api-key-create [--admin true] [--label L] | services-list       with --output json and --no-header
"""

import http.client
import json
import os
import secrets
import sys

import kit

OWN = "dsscli"


def keys_path():
    name = "adminkeys.json" if kit.node_type(kit.ini(kit.home())) == "api" else "public-apikeys.json"
    return os.path.join(kit.home(), "config", name)


def add_key(label, admin):
    path = keys_path()
    with open(path) as lines:
        content = json.load(lines)
    key = secrets.token_urlsafe(24)
    content["keys"].append({"key": key, "label": label, "admin": admin})
    kit.replace(path, json.dumps(content, indent=2))
    return key


def own_key():
    with open(keys_path()) as lines:
        found = [one["key"] for one in json.load(lines)["keys"] if one.get("label") == OWN]
    return found[0] if found else add_key(OWN, True)


def ask(path):
    port = kit.ini(kit.home()).getint("server", "port") + 1
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        link.request("GET", "/dip/publicapi" + path, headers={"Authorization": "Bearer " + own_key()})
        answer = link.getresponse()
        content = json.loads(answer.read())
    except OSError as error:
        kit.die("DSS does not answer on port %d: %s" % (port, error))
    if answer.status != 200:
        kit.die(content["message"])
    return content


def show(rows, columns, options):
    if options.get("output") == "json":
        print(json.dumps(rows))
        return
    if "no-header" not in options:
        print("\t".join(columns))
    for row in rows:
        print("\t".join(str(row.get(column, "")) for column in columns))


def parse(words):
    names, options = [], {}
    words = list(words)
    while words:
        word = words.pop(0)
        if word == "--no-header":
            options["no-header"] = True
        elif word.startswith("--"):
            options[word[2:]] = words.pop(0) if words else ""
        else:
            names.append(word)
    return names, options


def main(words):
    names, options = parse(words)
    verb, names = (names[0], names[1:]) if names else ("", [])
    project = "/projects/%s/" % (names[0] if names else "")
    if verb == "projects-list":
        show(ask("/projects/"), ["projectKey", "name"], options)
    elif verb == "jobs-list" and len(names) == 1:
        rows = [dict(job["def"], stableState=job["stableState"], state=job.get("state")) for job in ask(project + "jobs/")]
        show(rows, ["id", "state"], options)
    elif verb == "job-status" and len(names) == 2:
        status = ask("%sjobs/%s/" % (project, names[1]))["baseStatus"]
        show([dict(status["def"], state=status["state"])], ["id", "state"], options)
    elif verb == "scenarios-list" and len(names) == 1:
        show(ask(project + "scenarios/"), ["id"], options)
    elif verb == "scenario-runs-list" and len(names) == 2:
        runs = ask("%sscenarios/%s/get-last-runs/" % (project, names[1]))
        show(runs[: int(options.get("limit", 10))], ["runId"], options)
    elif verb == "api-key-create":
        key = add_key(options.get("label", "made by dsscli"), options.get("admin") == "true")
        show([{"key": key}], ["key"], options)
    elif verb == "services-list":
        own_key()
        show([{"id": name} for name in sorted(os.listdir(os.path.join(kit.home(), "services")))], ["id"], options)
    else:
        kit.die(__doc__)


main(sys.argv[1:])

"""What the main process answers, and the work that tests pretend is running.

`run/fake-work` holds a line per piece of work; a test adds and removes lines while DSS runs:
    job PROJECT ID [STATE]      future ID      scenario PROJECT ID      notebook PROJECT NAME
Without STATE a job is RUNNING; DONE, FAILED and ABORTED are over. Work does not outlive DSS: at the next start the
file is found as `run/fake-work.lost`.
"""

import base64
import glob
import json
import os
import time
from urllib.parse import parse_qs, unquote, urlsplit

import kit

WORK = "run/fake-work"
OVER = ("DONE", "FAILED", "ABORTED")
SHAPES = {"job": 3, "future": 2, "scenario": 3, "notebook": 3}


def work():
    """Every well-formed line as a record; the folder is the data directory."""
    try:
        with open(WORK) as lines:
            rows = [line.split() for line in lines]
    except OSError:
        return []
    found = []
    for row in rows:
        if not row or len(row) < SHAPES.get(row[0], 99):
            continue
        state = row[3] if row[0] == "job" and len(row) > 3 else "RUNNING"
        project = row[1] if row[0] != "future" else None
        found.append({"kind": row[0], "project": project, "id": row[SHAPES[row[0]] - 1],
                      "state": state, "over": state in OVER})
    return found


def forget_work():
    """Running work dies with DSS."""
    if os.path.exists(WORK):
        os.replace(WORK, WORK + ".lost")


def running(kind):
    return [one for one in work() if one["kind"] == kind and not one["over"]]


def projects():
    return sorted(os.path.basename(os.path.dirname(path)) for path in glob.glob("config/projects/*/params.json"))


def jobs_of(project):
    """Running ones first, then the history: every folder of `jobs/PROJECT`. Now and then `state` is absent."""
    known = {one["id"]: one for one in work() if one["kind"] == "job" and one["project"] == project}
    past = sorted(os.path.basename(path) for path in glob.glob(os.path.join("jobs", project, "*")))
    found = []
    for name in list(known) + [name for name in past if name not in known]:
        state = known[name]["state"] if name in known else "DONE"
        job = {"def": {"id": name, "projectKey": project, "initiator": "admin"},
               "stableState": state in OVER, "state": state}
        if len(found) % 2:
            del job["state"]
        found.append(job)
    return found


def abort(project, name):
    """As `fake-work` is the state of the world, an abort is written there."""
    with open(WORK) as lines:
        rows = [line.split() for line in lines]
    for row in rows:
        if row[:3] == ["job", project, name]:
            row[3:] = ["ABORTED"]
    kit.replace(WORK, "".join(" ".join(row) + "\n" for row in rows))
    return 200, {}


def key_of(authorization):
    """Bearer KEY, or Basic with an empty user and the key as password."""
    kind, _, rest = authorization.partition(" ")
    if kind == "Bearer":
        return rest.strip()
    if kind == "Basic":
        try:
            user, _, password = base64.b64decode(rest).decode().partition(":")
        except ValueError:
            return None
        return None if user else password
    return None


def rights_of(authorization):
    """`admin`, `user`, or None for an unknown key."""
    wanted = key_of(authorization)
    for path in ("config/public-apikeys.json", "config/adminkeys.json"):
        try:
            with open(path) as lines:
                keys = json.load(lines)["keys"]
        except (OSError, ValueError, KeyError):
            continue
        for one in keys:
            if wanted and one["key"] == wanted:
                return "admin" if one.get("admin") else "user"
    return None


def refusal(code, text):
    return code, {"errorType": "Refused", "message": text}


def futures(query, admin):
    """Tasks and scenarios; another user's are seen only by an admin who asks for all."""
    if query.get("allUsers") != ["true"] or not admin:
        return 200, []
    found = []
    if query.get("withNotScenarios", ["true"]) == ["true"]:
        found += running("future")
    if query.get("withScenarios", ["false"]) == ["true"]:
        found += running("scenario")
    return 200, [{"jobId": one["id"], "alive": True, "owner": "alice", "jobDisplayName": one["id"]} for one in found]


def public(method, path, query, admin):
    words = [unquote(word) for word in path.strip("/").split("/")]
    time.sleep(float(kit.fake("API_DELAY", "0")))
    if words == ["projects"]:
        return 200, [{"projectKey": key, "name": key.title()} for key in projects()]
    if words == ["futures"]:
        return futures(query, admin)
    if words == ["admin", "notebooks"]:
        if not admin:
            return refusal(403, "needs administrator rights")
        return 200, [{"projectKey": one["project"], "name": one["id"], "activeSessions": [{"sessionId": "s1"}]}
                     for one in running("notebook")]
    if words[0] == "projects" and len(words) > 2:
        if words[1] not in projects():
            return refusal(404, "project not found: %s" % words[1])
        return of_project(method, words[1], words[2:])
    return refusal(404, "not found: %s" % path)


def of_project(method, project, words):
    if words == ["jobs"]:
        return 200, jobs_of(project)
    if words[0] == "jobs" and len(words) in (2, 3):
        job = [one for one in jobs_of(project) if one["def"]["id"] == words[1]]
        if not job:
            return refusal(404, "job not found: %s" % words[1])
        if words[2:] == ["abort"] and method == "POST":
            return abort(project, words[1])
        state = job[0].get("state") or ("DONE" if job[0]["stableState"] else "RUNNING")
        return 200, {"baseStatus": {"def": job[0]["def"], "state": state}, "globalState": {}}
    if words == ["scenarios"]:
        names = sorted(glob.glob("config/projects/%s/scenarios/*.json" % project))
        return 200, [{"id": os.path.basename(name)[:-5], "projectKey": project} for name in names]
    if words[0] == "scenarios" and words[2:] == ["get-last-runs"]:
        runs = [one for one in running("scenario") if (one["project"], one["id"]) == (project, words[1])]
        return 200, [{"scenario": {"id": one["id"]}, "runId": "r1"} for one in runs]
    return refusal(404, "not found: %s" % "/".join(words))


def route(method, target, authorization):
    """One request: status and JSON."""
    parts = urlsplit(target)
    path = parts.path.rstrip("/")
    if path == "/dip/api/ping":
        return 200, {"ok": True}
    if path == "/isAlive":
        return (503, {"alive": False}) if os.path.exists("apinode-not-alive.txt") else (200, {"alive": True})
    if path == "/dip/api/get-configuration":
        with open("dss-version.json") as lines:
            version = json.load(lines)
        config = kit.ini(os.getcwd())
        return 200, {"version": version, "nodeType": kit.node_type(config),
                     "dipInstanceId": config.get("general", "installid", fallback="notattributed")}
    for base in ("/public/api", "/dip/publicapi"):
        if path.startswith(base + "/"):
            rights = rights_of(authorization)
            if not rights:
                return refusal(401, "unknown or missing API key")
            return public(method, path[len(base):], parse_qs(parts.query), rights == "admin")
    return refusal(404, "not found: %s" % path)

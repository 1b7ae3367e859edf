//! Before a node is stopped it is looked what is at work in it: waited for, refused or ignored, and looked again.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dssvault::base::cancel::Cancel;
use dssvault::base::clock::SystemClock;
use dssvault::dss::control::Instance;
use dssvault::dss::control::http::Address;
use dssvault::dss::datadir::DataDir;
use dssvault::dss::datadir::host::Host;
use dssvault::dss::jobs::{AdminKey, Inquiry, JobsError, NodeWatch, OnWork, until_idle};

use crate::cli_fixture::{Desk, Done};
use crate::node::{self, Node};
use crate::skip::skip;

const ADMIN: &str = "an-administrators-key";
const USER: &str = "a-users-key";

/// A design node that runs, with a project, and a desk with a repository and the keys of the node.
struct Site {
    node: Node,
    desk: Desk,
    pid: String,
}

impl Site {
    fn new() -> Option<Self> {
        node::is_possible().then(|| {
            let (node, desk) = (Node::new("design"), Desk::with_repository());
            let keys = format!(r#"{{"keys": [{{"key": "{ADMIN}", "admin": true}}, {{"key": "{USER}"}}]}}"#);
            fs::write(node.data_dir().join("config/public-apikeys.json"), keys).unwrap();
            let project = node.data_dir().join("config/projects/SALES");
            fs::create_dir(&project).unwrap();
            fs::write(project.join("params.json"), "{}").unwrap();
            let owned = Command::new("chown").arg("-R").arg(node::ACCOUNT).arg(&project).status().unwrap();
            assert!(owned.success());
            node.start();
            let pid = node.text("run/supervisord.pid");
            Self { node, desk, pid }
        })
    }

    /// What runs from now on.
    fn work(&self, lines: &[&str]) {
        set_work(&self.node.data_dir(), lines);
    }

    fn key(&self, key: &str) -> PathBuf {
        let path = self.desk.write(&format!("key-{}", key.len()), format!("{key}\nnot the key\n").as_bytes());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn command(&self, key: Option<&str>, more: &[&str]) -> Command {
        let data_dir = self.node.data_dir();
        let fixed = ["backup", data_dir.to_str().unwrap(), "--consistency", "stopped"];
        let mut command = self.desk.command(&[&fixed[..], more].concat());
        if let Some(key) = key {
            command.env("DSSVAULT_DSS_KEY_FILE", self.key(key));
        }
        command
    }

    fn back_up(&self, key: Option<&str>, more: &[&str]) -> Done {
        Done::of(&mut self.command(key, more))
    }

    /// A backup at work, whose errors go to the file `err` of the desk.
    fn begin(&self, more: &[&str]) -> Child {
        let err = fs::File::create(self.desk.path("err")).unwrap();
        self.command(Some(ADMIN), more).process_group(0).stdout(Stdio::null()).stderr(err).spawn().unwrap()
    }

    fn expect_said(&self, wanted: &str) {
        let since = Instant::now();
        while !self.said().contains(wanted) {
            assert!(since.elapsed() < Duration::from_secs(60), "`{wanted}` was never said: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.desk.path("err")).unwrap()
    }

    #[track_caller]
    fn assert_untouched(&self) {
        assert!(self.node.is_running() && self.node.text("run/supervisord.pid") == self.pid, "it was stopped");
        let shown = self.desk.run(&["snapshots", "--json"]).expect_code(0);
        assert_eq!(shown.json(), serde_json::json!([]));
    }

    fn was_restarted(&self) -> bool {
        self.node.is_running() && self.node.text("run/supervisord.pid") != self.pid
    }
}

/// Replaced in one step: the node must not see half of it.
fn set_work(data_dir: &Path, lines: &[&str]) {
    let (next, file) = (data_dir.join("run/next-work"), data_dir.join("run/fake-work"));
    fs::write(&next, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    fs::rename(next, file).unwrap();
}

macro_rules! site {
    ($test:literal) => {
        match Site::new() {
            Some(site) => site,
            None => return skip(concat!("node_jobs::", $test), "only root may run a node as its account"),
        }
    };
}

#[test]
fn a_running_job_is_waited_for_and_then_the_node_is_stopped() {
    let site = site!("a_running_job_is_waited_for_and_then_the_node_is_stopped");
    site.work(&["job SALES J1", "notebook SALES explore"]);
    let mut child = site.begin(&["--jobs", "wait=60s"]);
    site.expect_said("waited for: job J1 of SALES");
    // Another piece of work takes its place.
    site.work(&["scenario SALES nightly", "notebook SALES explore"]);
    site.expect_said("waited for: scenario nightly");
    assert!(!site.was_restarted());
    site.work(&["notebook SALES explore"]);
    assert!(child.wait().unwrap().success(), "{}", site.said());
    assert!(site.was_restarted());
    assert!(site.said().contains("notebook explore of SALES had a kernel"), "{}", site.said());
}

#[test]
fn work_that_is_not_waited_for_leaves_the_node_alone() {
    let site = site!("work_that_is_not_waited_for_leaves_the_node_alone");
    for (line, told) in [
        ("job SALES J1", "job J1 of SALES"),
        ("future import-7", "task import-7"),
        ("scenario SALES nightly", "scenario nightly"),
    ] {
        site.work(&[line, "job SALES J0 DONE"]);
        let done = site.back_up(Some(ADMIN), &["--jobs", "refuse"]).expect_code(21);
        assert!(done.err.contains(told) && done.err.contains("hint: `--jobs wait`"), "{}", done.err);
        site.assert_untouched();
    }
}

#[test]
fn work_that_does_not_end_in_time_leaves_the_node_alone() {
    let site = site!("work_that_does_not_end_in_time_leaves_the_node_alone");
    site.work(&["job SALES J1"]);
    let done = site.back_up(Some(ADMIN), &["--jobs", "wait=1s"]).expect_code(21);
    assert!(done.err.contains("still after 1 s: job J1 of SALES"), "{}", done.err);
    site.assert_untouched();
    let done = site.back_up(Some(ADMIN), &["--jobs", "ignore"]).expect_code(0);
    assert!(site.was_restarted(), "{}", done.err);
}

#[test]
fn a_scenario_that_starts_after_the_look_is_seen_by_the_next_one() {
    let site = site!("a_scenario_that_starts_after_the_look_is_seen_by_the_next_one");
    // The first look is that of the beginning, the second that before the stop.
    let door = Door::to(&site.node, 2, "scenario SALES nightly");
    let done = site.back_up(Some(ADMIN), &["--jobs", "refuse", "--dss-url", &door.url]).expect_code(21);
    assert!(done.err.contains("scenario nightly"), "{}", done.err);
    assert_eq!(door.looks.load(Ordering::SeqCst), 3);
    site.assert_untouched();
}

#[test]
fn who_may_not_see_everything_sees_nothing() {
    let site = site!("who_may_not_see_everything_sees_nothing");
    site.work(&["scenario SALES nightly"]);
    for (key, why) in [("not-a-key", "does not know the key"), (USER, "not one of an administrator")] {
        let done = site.back_up(Some(key), &["-vvv"]).expect_code(21);
        assert!(done.err.contains(why) && done.err.contains("--jobs ignore"), "{}", done.err);
        assert!(!done.err.contains(key), "the key is told: {}", done.err);
        site.assert_untouched();
    }
}

#[test]
fn a_key_that_other_accounts_may_read_is_refused() {
    let site = site!("a_key_that_other_accounts_may_read_is_refused");
    let path = site.key(ADMIN);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let path = path.to_str().unwrap();
    let done = site.back_up(None, &["--dss-key-file", path]).expect_code(21);
    assert!(done.err.contains("(mode 0644)") && done.err.contains("chmod 600"), "{}", done.err);
    site.back_up(None, &["--dss-key-file", "/no/such/key"]).expect_code(1);
    site.assert_untouched();
}

#[test]
fn a_slow_answer_is_none() {
    let site = site!("a_slow_answer_is_none");
    site.node.switch("FAKE_API_DELAY=5");
    let DataDir { root, facts } = DataDir::open(&site.node.data_dir(), &Host::new(None)).unwrap();
    let instance = Instance::new(&root, &facts);
    let key = AdminKey::read(&site.key(ADMIN)).unwrap();
    let inquiry = Inquiry { key: Some(key), limit: Duration::from_millis(500), ..Inquiry::default() };
    let (clock, cancel) = (SystemClock, Cancel::default());
    let mut watch = NodeWatch::new(&instance, &facts.node_type, &inquiry, &clock, &cancel);
    let since = Instant::now();
    let error = until_idle(OnWork::default(), &mut watch, &cancel).unwrap_err();
    assert!(matches!(error, JobsError::Unknown { .. }) && since.elapsed() < Duration::from_secs(2), "{error}");
}

#[test]
fn without_a_key_a_job_is_told_by_its_folder() {
    let site = site!("without_a_key_a_job_is_told_by_its_folder");
    site.work(&["job SALES J1"]);
    let folder = site.node.data_dir().join("jobs/SALES/J1");
    let since = Instant::now();
    while !folder.join("output.log").exists() {
        assert!(since.elapsed() < Duration::from_secs(10), "the node writes no job output");
        std::thread::sleep(Duration::from_millis(20));
    }
    let done = site.back_up(None, &["--jobs", "refuse"]).expect_code(21);
    assert!(done.err.contains("job J1 of SALES"), "{}", done.err);
    site.assert_untouched();
    // A job of an hour ago; its kernel waits idle.
    site.work(&[]);
    std::thread::sleep(Duration::from_millis(300));
    let aged = Command::new("find").arg(&folder).args(["-exec", "touch", "-d", "1 hour ago", "{}", "+"]).status();
    assert!(aged.unwrap().success());
    let done = site.back_up(None, &["--jobs", "refuse"]).expect_code(0);
    assert!(done.err.contains("without a key of DSS"), "{}", done.err);
    assert!(site.was_restarted());
}

#[test]
fn ctrl_c_while_waiting_leaves_the_node_alone() {
    let site = site!("ctrl_c_while_waiting_leaves_the_node_alone");
    site.work(&["job SALES J1"]);
    let mut child = site.begin(&["--jobs", "wait"]);
    site.expect_said("waited for: job J1 of SALES");
    let since = Instant::now();
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(since.elapsed() < Duration::from_secs(2));
    site.assert_untouched();
}

#[test]
fn inspect_tells_what_is_at_work() {
    let site = site!("inspect_tells_what_is_at_work");
    site.work(&[
        "job SALES J1",
        "job SALES J0 FAILED",
        "future f1",
        "scenario SALES nightly",
        "notebook SALES explore",
    ]);
    let (data_dir, key) = (site.node.data_dir(), site.key(ADMIN));
    let inspect = |more: &[&str]| {
        let fixed = ["inspect", data_dir.to_str().unwrap(), "--no-sizes"];
        site.desk.run(&[&fixed[..], more].concat()).expect_code(0)
    };
    let key = ["--jobs", "--dss-key-file", key.to_str().unwrap()];
    let told = inspect(&key).out;
    let wanted = "\nat work\n  notebook explore of SALES\n  job J1 of SALES\n  task f1\n  scenario nightly\n";
    assert!(told.contains(wanted), "{told}");
    let json = inspect(&[&key[..], &["--json"]].concat()).json();
    let kinds: Vec<&str> = json["jobs"].as_array().unwrap().iter().map(|job| job["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["notebook", "job", "task", "scenario"]);
    assert_eq!((&json["jobs"][1]["found_by"], &json["jobs_note"]), (&"api".into(), &serde_json::Value::Null));
    let json = inspect(&["--jobs", "--json"]).json();
    assert!(json["jobs_note"].as_str().unwrap().starts_with("without a key"), "{json}");
    let json = inspect(&["--json"]).json();
    assert!(json["jobs"].is_null() && json["jobs_note"].is_null());
    let door = ["--dss-url", "http://127.0.0.1:1/public/api", "--json"];
    let json = inspect(&[&key[..], &door].concat()).json();
    assert!(json["jobs"].is_null() && json["jobs_note"].as_str().unwrap().contains("127.0.0.1:1"), "{json}");
}

#[test]
fn over_https_the_certificate_must_be_signed_by_who_was_named() {
    let site = site!("over_https_the_certificate_must_be_signed_by_who_was_named");
    let door = TlsDoor::new(&site.desk);
    let (data_dir, key) = (site.node.data_dir(), site.key(ADMIN));
    let inspect = |more: &[&str]| {
        let fixed = ["inspect", data_dir.to_str().unwrap(), "--no-sizes", "--jobs", "--json", "--dss-url", &door.url];
        site.desk.run(&[&fixed[..], &["--dss-key-file", key.to_str().unwrap()], more].concat()).expect_code(0).json()
    };
    let json = inspect(&["--dss-ca", &site.desk.text("cert.pem")]);
    assert_eq!(json["jobs"][0]["id"], "told-over-tls", "{json}");
    let json = inspect(&[]);
    assert!(json["jobs"].is_null() && json["jobs_note"].as_str().unwrap().contains("certificate"), "{json}");
}

#[test]
fn an_address_that_would_show_the_key_is_wrong_usage() {
    let desk = Desk::with_repository();
    for (url, why) in [("http://dss.example.org:11000", "in clear"), ("https://admin:pw@dss.example.org", "password")] {
        let done = desk.run(&["backup", "/tmp", "--dss-url", url]).expect_code(2);
        assert!(done.err.contains(why), "{}", done.err);
    }
    let done = desk.run(&["inspect", "/tmp", "--jobs", "--dss-url", "https://dss.example.org"]).expect_code(2);
    assert!(done.err.contains("--dss-key-file"), "{}", done.err);
}

/// Stands before the API of a node, and lets work begin right after the answer to the nth look for scenarios was made.
struct Door {
    url: String,
    looks: Arc<AtomicUsize>,
}

impl Door {
    fn to(node: &Node, nth: usize, line: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/dip/publicapi", listener.local_addr().unwrap());
        let looks = Arc::new(AtomicUsize::new(0));
        let (seen, data_dir, line) = (Arc::clone(&looks), node.data_dir(), line.to_owned());
        let behind = ("127.0.0.1", node.port + 1);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let head = head_of(&mut client);
                let mut server = TcpStream::connect(behind).unwrap();
                server.write_all(head.replacen("HTTP/1.1", "HTTP/1.0", 1).as_bytes()).unwrap();
                let mut answer = Vec::new();
                server.read_to_end(&mut answer).unwrap();
                if head.contains("withScenarios=true") && seen.fetch_add(1, Ordering::SeqCst) + 1 == nth {
                    set_work(&data_dir, &[&line]);
                }
                client.write_all(&answer).unwrap();
            }
        });
        Self { url, looks }
    }
}

fn head_of(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// An API over TLS that knows one job, with a certificate of its own in `cert.pem`.
struct TlsDoor {
    url: String,
    server: Child,
}

const TLS_SERVER: &str = r#"
import http.server, json, ssl, sys
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.headers.get("Authorization") == "Bearer " + sys.argv[2]
        found = {"/public/api/projects/": [{"projectKey": "SALES"}],
                 "/public/api/projects/SALES/jobs/": [{"stableState": False, "def": {"id": "told-over-tls"}}]}
        body = json.dumps(found.get(self.path, [])).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1] + "/cert.pem", sys.argv[1] + "/private.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

impl TlsDoor {
    fn new(desk: &Desk) -> Self {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost", "-keyout", &desk.text("private.pem")])
            .args(["-out", &desk.text("cert.pem")])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut server = Command::new("/usr/bin/python3")
            .args(["-c", TLS_SERVER, desk.path("").to_str().unwrap(), ADMIN])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let mut said = server.stdout.take().unwrap();
        let mut byte = [0];
        while said.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            port.push(char::from(byte[0]));
        }
        let url = format!("https://localhost:{port}");
        assert!(url.parse::<Address>().is_ok());
        Self { url, server }
    }
}

impl Drop for TlsDoor {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

//! Running other programs: with a limit, without our secrets, with what they said kept for the error.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::base::cancel::Cancel;
use crate::base::signs::steers;
use crate::base::variables;

/// What of its output is kept: the end, where errors stand.
const OUTPUT_BYTES: u64 = 16 << 10;
/// What a captured program may write to standard error before it is taken for one that never ends.
const ERRORS_BYTES_MAX: u64 = 64 << 20;
/// How often it is looked at.
const POLL: Duration = Duration::from_millis(20);

/// How a program ended.
#[derive(Debug)]
pub struct Finished {
    /// Its status; `None` if it was still running at the limit. It is left running then: to kill a script that
    /// starts or stops a service half way is worse.
    pub status: Option<ExitStatus>,
    /// The end of what it wrote, both streams.
    pub output: String,
}

impl Finished {
    /// Whether it ended well.
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Its exit code, if it ended by itself.
    pub fn code(&self) -> Option<i32> {
        self.status.and_then(|status| status.code())
    }
}

/// A program that was started.
pub struct Started {
    child: std::process::Child,
    output: File,
    since: Instant,
}

/// Starts a program in a process group of its own, so that a Ctrl-C meant for us does not reach it.
///
/// It writes into a file without a name and not into a pipe: a daemon it leaves behind may hold its output open for
/// ever.
pub fn start(command: &mut Command) -> io::Result<Started> {
    use std::os::unix::process::CommandExt;
    let output = tempfile::tempfile()?;
    without_secrets(command)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?);
    Ok(Started { child: command.spawn()?, output, since: Instant::now() })
}

/// Runs a program to its end, or to the limit.
pub fn run(command: &mut Command, limit: Duration) -> io::Result<Finished> {
    start(command)?.wait(limit)
}

/// What a program wrote.
#[derive(Debug)]
pub struct Captured {
    /// How it ended; `None` if it was ended: at the limit, because it wrote too much, or because nobody wants it any more.
    pub status: Option<ExitStatus>,
    /// Standard output; `None` if it wrote too much, whatever else became of it.
    pub stdout: Option<Vec<u8>>,
    /// The end of standard error, as text.
    pub stderr: String,
}

/// Runs a program that may be ended at any time, for what it writes to standard output, at most `bytes_max`. At the
/// limit, when it has written more, or when a stop is requested, it is killed with all it started in its process group.
pub fn capture(command: &mut Command, limit: Duration, bytes_max: u64, cancel: &Cancel) -> io::Result<Captured> {
    use std::os::unix::process::CommandExt;
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    without_secrets(command).process_group(0).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(err.try_clone()?);
    let mut child = command.spawn()?;
    let since = Instant::now();
    let says_too_much = |out: &File, err: &File| -> io::Result<bool> {
        Ok(out.metadata()?.len() > bytes_max || err.metadata()?.len() > ERRORS_BYTES_MAX)
    };
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if since.elapsed() >= limit || cancel.is_requested() || says_too_much(&out, &err)? => {
                kill_group(&mut child);
                break None;
            }
            None => std::thread::sleep(POLL),
        }
    };
    let stdout = if says_too_much(&out, &err)? { None } else { Some(tail(&mut out, bytes_max)?) };
    let stderr = String::from_utf8_lossy(&tail(&mut err, OUTPUT_BYTES)?).trim().to_owned();
    Ok(Captured { status, stdout, stderr })
}

/// Lets a program run in a process group of its own, without our secrets: a Ctrl-C meant for us does not reach it, and
/// [`kill_group`] reaches all it started.
pub fn own_group(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    without_secrets(command).process_group(0)
}

/// Ends a program that has a process group of its own, with all it started. If it has ended already, nothing happens.
pub fn kill_group(child: &mut std::process::Child) {
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // It may have ended at this very moment.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    // Nothing can be done about a child that cannot be waited for.
    let _ = child.wait();
}

/// The end of what a program wrote into a file, as text.
pub fn end_of(file: &mut File) -> String {
    tail(file, OUTPUT_BYTES).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// The last bytes of a file.
fn tail(file: &mut File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(bytes_max)))?;
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Takes from its environment what opens the repository, or a database for us.
pub fn without_secrets(command: &mut Command) -> &mut Command {
    variables::SECRET.iter().fold(command, |command, name| command.env_remove(name))
}

impl Started {
    /// Waits for its end, until `limit` has passed since its start.
    pub fn wait(mut self, limit: Duration) -> io::Result<Finished> {
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break Some(status),
                None if self.since.elapsed() >= limit => break None,
                None => std::thread::sleep(POLL),
            }
        };
        let output = tail(&mut self.output, OUTPUT_BYTES)?;
        Ok(Finished { status, output: String::from_utf8_lossy(&output).trim().to_owned() })
    }
}

/// The words that run `program` as another account, in a login session of it: with its own environment and the limits
/// set for it. Only root may.
pub fn login_words(account: &str, program: &Path, arguments: &[&str]) -> Vec<String> {
    let words = std::iter::once(program.to_string_lossy()).chain(arguments.iter().map(|word| (*word).into()));
    let line: Vec<String> = words.map(|word| quoted(&word)).collect();
    let line = format!("exec {}", line.join(" "));
    ["runuser", "--login", "--shell", "/bin/sh", account, "--command", &line].map(ToOwned::to_owned).to_vec()
}

/// A command of these words, run in the root directory.
pub fn command(words: &[String]) -> Command {
    let (program, arguments) = words.split_first().map_or(("false", &[][..]), |(first, rest)| (first.as_str(), rest));
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/");
    command
}

/// A word as one would type it: quoted only where it must be, and nothing in it that a terminal would obey.
pub fn shown_word(word: &str) -> String {
    let plain = |sign: char| sign.is_alphanumeric() || "-_./=:,@+%".contains(sign);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    if !word.contains(steers) {
        return quoted(word);
    }
    let signs = word.chars().map(|sign| match sign {
        '\'' | '\\' => format!("\\{sign}"),
        sign if steers(sign) && sign.is_ascii() => format!("\\x{:02x}", u32::from(sign)),
        sign if steers(sign) => format!("\\u{:04x}", u32::from(sign)),
        sign => sign.to_string(),
    });
    format!("$'{}'", signs.collect::<String>())
}

/// Words as one would type them.
pub fn line(words: &[String]) -> String {
    words.iter().map(|word| shown_word(word)).collect::<Vec<_>>().join(" ")
}

/// A word as the shell reads it back.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_its_output_and_its_code_are_kept() {
        let done =
            run(Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"]), Duration::from_secs(5)).unwrap();
        assert_eq!((done.code(), done.output.as_str()), (Some(3), "one\ntwo"));
        assert!(!done.is_success());
    }

    #[test]
    fn a_daemon_that_keeps_the_output_open_keeps_nobody_waiting() {
        let begun = Instant::now();
        let done = run(Command::new("sh").args(["-c", "sleep 3 & echo started"]), Duration::from_secs(60)).unwrap();
        assert!(done.is_success() && begun.elapsed() < Duration::from_secs(2));
        assert_eq!(done.output, "started");
    }

    #[test]
    fn at_the_limit_it_is_told_so_and_left_alone() {
        let done = run(Command::new("sleep").arg("2"), Duration::from_millis(100)).unwrap();
        assert!(done.status.is_none());
    }

    #[test]
    fn a_line_is_quoted_where_it_must_be() {
        let words = ["/opt/kit/installer.sh", "-d", "/data/my dss", ""].map(str::to_owned);
        assert_eq!(line(&words), "/opt/kit/installer.sh -d '/data/my dss' ''");
        assert_eq!(line(&["it's\x1b[31m\u{202e}".to_owned()]), r"$'it\'s\x1b[31m\u202e'");
    }

    #[test]
    fn what_is_captured_is_parted_and_bounded() {
        let mut command = Command::new("sh");
        command.args(["-c", "printf 12345; echo why >&2; exit 3"]);
        let done = capture(&mut command, Duration::from_secs(5), 5, &Cancel::default()).unwrap();
        assert_eq!((done.stdout.as_deref(), done.stderr.as_str()), (Some(&b"12345"[..]), "why"));
        assert_eq!(done.status.and_then(|status| status.code()), Some(3));
        assert!(capture(&mut command, Duration::from_secs(5), 4, &Cancel::default()).unwrap().stdout.is_none());
    }

    #[test]
    fn a_program_that_never_stops_talking_is_ended_long_before_its_limit() {
        for stream in ["1", "2"] {
            let (begun, mut command) = (Instant::now(), Command::new("sh"));
            command.args(["-c", &format!("yes >&{stream}")]);
            let done = capture(&mut command, Duration::from_secs(60), 1 << 20, &Cancel::default()).unwrap();
            assert!(done.status.is_none() && done.stdout.is_none(), "{stream}");
            assert!(begun.elapsed() < Duration::from_secs(30), "{stream}: {:?}", begun.elapsed());
        }
    }

    #[test]
    fn a_captured_program_is_ended_with_its_children_at_the_limit_and_when_nobody_wants_it() {
        let line = "sleep 987 & echo $!; wait";
        for (limit, stops) in [(Duration::from_millis(300), false), (Duration::from_secs(60), true)] {
            let (begun, cancel) = (Instant::now(), Cancel::default());
            if stops {
                let cancel = cancel.clone();
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(300));
                    cancel.request();
                });
            }
            let done = capture(Command::new("sh").args(["-c", line]), limit, 100, &cancel).unwrap();
            assert!(done.status.is_none() && begun.elapsed() < Duration::from_secs(10));
            let child = String::from_utf8(done.stdout.unwrap()).unwrap();
            let state = || std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
            // The kernel takes its time to end what was killed.
            let is_over = || state().is_empty() || state().contains(") Z ");
            while !is_over() && begun.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(POLL);
            }
            assert!(is_over(), "{}", state());
        }
    }

    #[test]
    fn what_opens_the_repository_is_given_to_no_program() {
        let mut command = Command::new("true");
        without_secrets(&mut command);
        let removed: Vec<_> = command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        assert_eq!(removed.len(), variables::SECRET.len());
        assert!(variables::SECRET.iter().all(|name| removed.iter().any(|removed| removed == name)));
    }

    #[test]
    fn words_survive_the_shell() {
        for word in ["plain", "with space", "quo'te", "$HOME", "new\nline"] {
            let line = format!("printf %s {}", quoted(word));
            let done = Command::new("sh").args(["-c", &line]).output().unwrap();
            assert_eq!(done.stdout, word.as_bytes());
        }
    }
}

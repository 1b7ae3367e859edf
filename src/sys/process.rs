//! Running other programs: with a limit, without our secrets, with what they said kept for the error.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What of its output is kept: the end, where errors stand.
const OUTPUT_BYTES: u64 = 16 << 10;
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

/// Takes from its environment what opens the repository.
fn without_secrets(command: &mut Command) -> &mut Command {
    for name in ["DSSVAULT_PASSWORD", "DSSVAULT_NEW_PASSWORD"] {
        command.env_remove(name);
    }
    command
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
        let length = self.output.seek(SeekFrom::End(0))?;
        self.output.seek(SeekFrom::Start(length.saturating_sub(OUTPUT_BYTES)))?;
        let mut output = Vec::new();
        self.output.take(OUTPUT_BYTES).read_to_end(&mut output)?;
        Ok(Finished { status, output: String::from_utf8_lossy(&output).trim().to_owned() })
    }
}

/// A command that runs `program` as another account, in a login session of it: with its own environment and the limits
/// set for it. Only root may.
pub fn as_account(account: &str, program: &Path, arguments: &[&str]) -> Command {
    let words = std::iter::once(program.to_string_lossy()).chain(arguments.iter().map(|word| (*word).into()));
    let line: Vec<String> = words.map(|word| quoted(&word)).collect();
    let mut command = Command::new("runuser");
    command.args(["--login", "--shell", "/bin/sh", account, "--command", &format!("exec {}", line.join(" "))]);
    command.current_dir("/");
    command
}

/// Words as one would type them.
pub fn line(words: &[String]) -> String {
    let is_plain = |sign: char| sign.is_ascii_alphanumeric() || "-_./=:,@+%".contains(sign);
    let shown = |word: &String| {
        let plain = !word.is_empty() && word.chars().all(is_plain);
        if plain { word.clone() } else { quoted(word) }
    };
    words.iter().map(shown).collect::<Vec<_>>().join(" ")
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

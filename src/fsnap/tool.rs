//! Running the tools of volume managers: no shell, a time limit, what they wrote kept for messages.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::MemfdFlags;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::fsnap::error::FsnapError;
use crate::sys::process::without_secrets;

/// Beyond this nothing a tool writes is of use.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;
/// How much of what a tool wrote stands in a message.
const SAID_CHARS_MAX: usize = 600;
/// Timers and services run with a short `PATH`; volume tools live in the folders of the administrator.
const ADMIN_PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";

/// One call of a tool.
#[derive(Debug, Clone)]
pub(super) struct Tool {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    shown: Option<String>,
    limit: Duration,
}

impl Tool {
    /// A call that may take `limit`.
    pub fn new(program: &str, limit: Duration) -> Self {
        Self { program: program.into(), arguments: Vec::new(), environment: Vec::new(), shown: None, limit }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name, value.as_ref().to_owned()));
        self
    }

    /// What messages call it instead of its command line, which may hold secrets.
    pub fn shown_as(mut self, shown: &str) -> Self {
        self.shown = Some(shown.to_owned());
        self
    }

    fn spawn(&self, out: &File, err: &File) -> io::Result<Child> {
        let path = match std::env::var_os("PATH") {
            Some(mut path) => {
                path.push(":");
                path.push(ADMIN_PATH);
                path
            }
            None => ADMIN_PATH.into(),
        };
        // A site's own command sees what we see, but not how to open the repository.
        without_secrets(&mut Command::new(&self.program))
            .args(&self.arguments)
            .env("LC_ALL", "C")
            .env("PATH", path)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(err.try_clone()?)
            // A group of its own: Ctrl-C on the terminal must not end a removal, and a time limit ends its children.
            .process_group(0)
            .spawn()
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(shown) = &self.shown {
            return f.write_str(shown);
        }
        write!(f, "`{}", self.program.display())?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", argument.display()))?;
        f.write_str("`")
    }
}

/// The seam to other programs.
pub(super) trait Tools: fmt::Debug + Send + Sync {
    /// Runs to the end; what it wrote to standard output, if it ended well.
    fn run(&self, tool: &Tool) -> Result<String, FsnapError>;
}

/// The programs of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SystemTools;

impl Tools for SystemTools {
    fn run(&self, tool: &Tool) -> Result<String, FsnapError> {
        let unable = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => FsnapError::NoTool { program: tool.program.display().to_string() },
            _ => FsnapError::Io { action: "run", path: (&tool.program).into(), source },
        };
        // Files in memory, not pipes: a child that stays behind holding a pipe would keep the reader waiting.
        let (mut out, mut err) = (memory_file().map_err(unable)?, memory_file().map_err(unable)?);
        let child = tool.spawn(&out, &err).map_err(unable)?;
        let status = wait(child, tool)?;
        let read = |file: &mut File| text_of(file).map_err(FsnapError::io("read the output of", tool.program.as_ref()));
        let (out, err) = (read(&mut out)?, read(&mut err)?);
        if status.success() { Ok(out) } else { Err(failure(tool, status, &err, &out)) }
    }
}

fn memory_file() -> io::Result<File> {
    Ok(File::from(rustix::fs::memfd_create("dssvault-tool", MemfdFlags::CLOEXEC)?))
}

fn text_of(file: &mut File) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn wait(mut child: Child, tool: &Tool) -> Result<ExitStatus, FsnapError> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let ended = child.try_wait().map_err(FsnapError::io("wait for", tool.program.as_ref()))?;
        if let Some(status) = ended {
            return Ok(status);
        }
        if began.elapsed() >= tool.limit {
            end(&mut child);
            return Err(FsnapError::TimedOut { command: tool.to_string(), limit: tool.limit });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Kills the child and its group. A child the kernel cannot end (it waits for a disk) is not waited for.
fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let _ = group.map(|group| kill_process_group(group, Signal::KILL));
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) && !matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn failure(tool: &Tool, status: ExitStatus, err: &str, out: &str) -> FsnapError {
    let said = if err.trim().is_empty() { out } else { err };
    let (command, said) = (tool.to_string(), last_of(said));
    let has = |words: &[&str]| words.iter().any(|word| said.to_lowercase().contains(word));
    if has(&["no space left", "insufficient free space", "out of space", "disk quota exceeded"]) {
        return FsnapError::NoSpace { command, said };
    }
    if has(&["is busy", "in use", "resource busy"]) {
        return FsnapError::Busy { command, said };
    }
    let status = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    };
    FsnapError::Failed { command, status, said }
}

/// The end of what was said, on one line.
fn last_of(said: &str) -> String {
    let words: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = words.join(" / ");
    let skipped = line.chars().count().saturating_sub(SAID_CHARS_MAX);
    if line.is_empty() { "nothing".to_owned() } else { line.chars().skip(skipped).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str, limit: Duration) -> Result<String, FsnapError> {
        SystemTools.run(&Tool::new("/bin/sh", limit).arg("-c").arg(text))
    }

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn what_a_tool_says_is_returned_or_stands_in_the_error() {
        assert_eq!(shell("echo yes; echo no >&2", SOON).unwrap(), "yes\n");
        let error = shell("echo out; echo why >&2; exit 3", SOON).unwrap_err().to_string();
        assert!(error.contains("exit code 3") && error.contains("why") && !error.contains("out;why"), "{error}");
        let error = shell("kill -9 $$", SOON).unwrap_err().to_string();
        assert!(error.contains("signal 9"), "{error}");
        let missing = SystemTools.run(&Tool::new("no-such-tool-anywhere", SOON)).unwrap_err();
        assert!(matches!(missing, FsnapError::NoTool { .. }), "{missing}");
    }

    #[test]
    fn full_and_busy_volumes_are_told_apart() {
        assert!(matches!(
            shell("echo 'ERROR: No space left on device' >&2; exit 1", SOON),
            Err(FsnapError::NoSpace { .. })
        ));
        assert!(matches!(shell("echo 'umount: /x: target is busy.' >&2; exit 32", SOON), Err(FsnapError::Busy { .. })));
    }

    #[test]
    fn a_tool_that_hangs_is_killed_with_its_children() {
        let began = Instant::now();
        let error = shell("sleep 60 & echo $! ; wait", Duration::from_millis(300)).unwrap_err();
        assert!(matches!(error, FsnapError::TimedOut { .. }), "{error}");
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_child_that_stays_behind_keeps_nobody_waiting() {
        let began = Instant::now();
        assert_eq!(shell("sleep 5 & echo done", SOON).unwrap(), "done\n");
        assert!(began.elapsed() < Duration::from_secs(4));
    }

    #[test]
    fn a_tool_is_shown_by_its_command_line_unless_that_is_secret() {
        let tool = Tool::new("lvs", SOON).args(["-o", "lv_attr"]);
        assert_eq!(tool.to_string(), "`lvs -o lv_attr`");
        assert_eq!(tool.shown_as("the create command").to_string(), "the create command");
    }
}

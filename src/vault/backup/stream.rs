//! A stream as a member of a snapshot: standard input, or what a command prints.

use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use crate::base::cancel::Cancel;
use crate::sys::patient::Patient;
use crate::sys::process::without_secrets;
use crate::vault::VaultError;
use crate::vault::backup::grafts::{StreamKind, StreamSink};
use crate::vault::backup::input::Stream;

/// Reads one stream to its end.
pub fn read(source: &Stream<'_>, sink: &mut dyn StreamSink, cancel: &Cancel) -> Result<(), VaultError> {
    match source {
        Stream::Stdin { name } => {
            let stdin = std::io::stdin();
            let mut input = Patient::new(stdin.as_fd(), cancel);
            sink.store(&[name], StreamKind::Plain, &mut input)?;
            Ok(())
        }
        Stream::Command { name, command } => run(name, command, sink, cancel),
    }
}

fn run(name: &str, command: &str, sink: &mut dyn StreamSink, cancel: &Cancel) -> Result<(), VaultError> {
    // Whoever reads its environment must not learn how to open the repository.
    let mut child = without_secrets(&mut Command::new("sh"))
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| VaultError::local("start", "sh", error))?;
    let stored = child
        .stdout
        .take()
        .map(|output| sink.store(&[name], StreamKind::Plain, &mut Patient::new(output.as_fd(), cancel)));
    if matches!(stored, Some(Err(_))) {
        // It must not go on writing into a pipe nobody reads; it may be gone already.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| VaultError::local("wait for", "sh", error))?;
    stored.transpose()?;
    if !status.success() {
        return Err(VaultError::Command { command: command.to_owned(), status: status.to_string() });
    }
    Ok(())
}

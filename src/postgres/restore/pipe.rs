//! Repository → `pg_restore`, which makes a script of the dump → us → `psql`. The script's own commit is its last
//! statement: it is held back until `pg_restore` has ended well, so that half a dump is never committed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::postgres::error::{PgError, one_line};
use crate::postgres::restore::Ready;
use crate::sys::patient::{Patient, PatientWriter};
use crate::sys::process;
use crate::vault::VaultError;

/// The end of a script, with its commit, is far shorter.
const TAIL_BYTES: usize = 4096;
const COMMIT: &[u8] = b"\nCOMMIT;\n";
/// How long a request to stop may go unseen.
const PAUSE: Duration = Duration::from_millis(200);
/// What `psql` says when it has come to the commit.
const DONE: &str = "dssvault: the dump is in";
const TRANSACTION_TIMEOUT: &[u8] = b"\nSET transaction_timeout = 0;\n";

/// Restores a dump.
pub fn run(ready: &Ready<'_>) -> Result<(), PgError> {
    let label = ready.target.address.label();
    let mut reader = Program::start("pg_restore", reading(ready))?;
    let mut writer = Program::start("psql", writing(ready))?;
    let (Some(mut into_reader), Some(from_reader)) = (reader.input.take(), reader.output.take()) else {
        return Err(PgError::local("run", "pg_restore", io::Error::other("it has no pipes")));
    };
    let cancel = ready.stored.context.cancel;
    let (fed, sent) = std::thread::scope(|threads| {
        let feeder = threads.spawn(move || {
            let fed = ready.stored.dump(ready.record, &mut into_reader);
            drop(into_reader);
            fed
        });
        let script = Patient::new(from_reader.as_fd(), cancel);
        let sent = send(script, ready, &mut reader, &mut writer);
        if sent.is_err() {
            // Whoever still writes or reads would wait for ever.
            process::kill_group(&mut reader.child);
        }
        (feeder.join(), sent)
    });
    // It is committed: whatever was asked for meanwhile came too late.
    if matches!(sent, Ok(true)) {
        return Ok(());
    }
    if cancel.is_requested() {
        return Err(PgError::Interrupted);
    }
    // What the server said explains everything else: whoever wrote to it then met a closed pipe.
    writer.ended("psql", &label)?;
    match fed {
        Ok(Err(error)) if !is_closed_pipe(&error) => return Err(error.into()),
        Err(_) => return Err(PgError::local("read from", "the repository", io::Error::other("the reader is gone"))),
        Ok(_) => {}
    }
    reader.ended("pg_restore", &label)?;
    match sent {
        Ok(true) => Ok(()),
        Ok(false) => Err(PgError::Damaged { database: ready.record.name.clone(), why: "it has no end".to_owned() }),
        Err(error) => Err(PgError::local("write to", "psql", error)),
    }
}

fn reading(ready: &Ready<'_>) -> Command {
    let mut command = ready.client.command("pg_restore");
    command.args(["--file=-", "--single-transaction"]);
    if ready.no_owner {
        command.args(["--no-owner", "--no-privileges", "--no-tablespaces"]);
    }
    command
}

fn writing(ready: &Ready<'_>) -> Command {
    let mut command = ready.client.command("psql");
    command.args([
        "--no-psqlrc",
        "--quiet",
        "--no-password",
        "--set=ON_ERROR_STOP=1",
        "--file=-",
        "--tuples-only",
        "--no-align",
    ]);
    ready.target.access.apply(ready.target.address.apply(&mut command));
    command
}

/// Copies the script; `false` if it ended without its commit, or a statement of it failed.
fn send(mut script: impl Read, ready: &Ready<'_>, reader: &mut Program, writer: &mut Program) -> io::Result<bool> {
    let cancel = ready.stored.context.cancel;
    let (Some(mut into_psql), Some(from_psql)) = (writer.input.take(), writer.output.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let done = listen(from_psql);
    let mut out = PatientWriter::new(into_psql.as_fd(), cancel);
    out.write_all(ready.script.before().as_bytes())?;
    let mut held = Vec::with_capacity(1 << 20);
    let mut buffer = vec![0; 256 << 10];
    let mut sent = 0;
    loop {
        let count = script.read(&mut buffer)?;
        if count > 0 {
            held.extend_from_slice(&buffer[..count]);
        }
        let whole = held.len().saturating_sub(TAIL_BYTES);
        if sent == 0 && (whole > 0 || count == 0) && !ready.knows_transaction_timeout {
            drop_transaction_timeout(&mut held);
        }
        if count == 0 {
            break;
        }
        let whole = held.len().saturating_sub(TAIL_BYTES);
        out.write_all(&held[..whole])?;
        held.drain(..whole);
        sent += whole;
    }
    let at = held.windows(COMMIT.len()).rposition(|window| window == COMMIT);
    // Without a commit everything is as it was.
    let (true, Some(at)) = (reader.child.wait()?.success(), at) else { return Ok(false) };
    out.write_all(&held[..=at])?;
    out.write_all(ready.script.after().as_bytes())?;
    out.write_all(format!("\nSELECT '{DONE}';\n").as_bytes())?;
    // Indexes may take hours. Only when all is done the commit is sent, which nobody interrupts.
    loop {
        match done.recv_timeout(PAUSE) {
            Ok(()) => break,
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
            Err(RecvTimeoutError::Timeout) if cancel.is_requested() => return Err(io::ErrorKind::TimedOut.into()),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
    into_psql.write_all(&held[at + 1..])?;
    drop(into_psql);
    Ok(writer.child.wait()?.success())
}

/// Reads what `psql` says, for a pipe that nobody reads would hold it up, and tells when it says that all was done. Scripts
/// of `pg_restore` allow no commands of `psql`, so it is the answer to a query.
fn listen(from_psql: ChildStdout) -> Receiver<()> {
    let (tell, told) = mpsc::channel();
    // Ends with `psql`.
    std::thread::spawn(move || {
        for line in BufReader::new(from_psql).split(b'\n') {
            if line.ok()? == DONE.as_bytes() {
                tell.send(()).ok()?;
            }
        }
        Some(())
    });
    told
}

/// `pg_restore` of version 17 and later sets it in the head of every script; an older server knows no such setting.
fn drop_transaction_timeout(script: &mut Vec<u8>) {
    let head = &script[..script.len().min(TAIL_BYTES)];
    if let Some(at) = head.windows(TRANSACTION_TIMEOUT.len()).position(|window| window == TRANSACTION_TIMEOUT) {
        script.drain(at + 1..at + TRANSACTION_TIMEOUT.len());
    }
}

fn is_closed_pipe(error: &VaultError) -> bool {
    matches!(error, VaultError::Local { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
}

/// A program between two pipes.
struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    errors: File,
}

impl Program {
    fn start(program: &'static str, mut command: Command) -> Result<Self, PgError> {
        let local = |error: io::Error| PgError::local("run", program, error);
        let errors = tempfile::tempfile().map_err(local)?;
        process::own_group(&mut command).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(errors.try_clone().map_err(local)?).spawn().map_err(local)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        Ok(Self { child, input, output, errors })
    }

    /// Whether it ended well. One that was ended by us has nothing to say.
    fn ended(&mut self, program: &'static str, label: &str) -> Result<(), PgError> {
        self.input = None;
        let status = self.child.wait().map_err(|error| PgError::local("wait for", program, error))?;
        let why = one_line(&process::end_of(&mut self.errors));
        if status.success() || (status.code().is_none() && why.is_empty()) {
            return Ok(());
        }
        let how = format!("ended with {status}; nothing was changed");
        Err(PgError::Failed { program, database: label.to_owned(), how, why })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.input = None;
        process::kill_group(&mut self.child);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_older_servers_do_not_know_goes_from_the_head_and_from_nowhere_else() {
        let dropped = |text: &str| {
            let mut script = text.as_bytes().to_vec();
            drop_transaction_timeout(&mut script);
            String::from_utf8(script).unwrap()
        };
        let head = "BEGIN;\nSET lock_timeout = 0;\nSET transaction_timeout = 0;\nSET client_encoding = 'UTF8';\n";
        assert_eq!(dropped(head), "BEGIN;\nSET lock_timeout = 0;\nSET client_encoding = 'UTF8';\n");
        for other in ["", "BEGIN;\nSET lock_timeout = 0;\n", "\nSET transaction_timeout = 0"] {
            assert_eq!(dropped(other), other);
        }
        let data = format!("{}\nSET transaction_timeout = 0;\n", "x".repeat(TAIL_BYTES));
        assert_eq!(dropped(&data), data, "it may be somebody's data");
    }
}

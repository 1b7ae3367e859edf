//! A dump on its way: what `pg_dump` writes is read by us and by a `pg_restore` that checks its structure. Neither the
//! end of the stream nor a right beginning proves anything, so both must have ended well before it counts.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::base::cancel::Cancel;
use crate::postgres::address::Address;
use crate::postgres::client::Client;
use crate::postgres::error::{PgError, one_line};
use crate::postgres::password::Access;
use crate::postgres::scope::Scope;
use crate::sys::patient::Patient;
use crate::sys::process;

/// `pg_dump` writes a few KiB at a time, and waking up for each costs both sides more than reading it does. So after a
/// read of less than this the pipe, which holds a MiB, is left alone for a moment.
const LITTLE: usize = 128 << 10;
const GATHER: Duration = Duration::from_millis(1);

/// What is dumped.
#[derive(Debug, Clone)]
pub struct DumpOptions {
    /// Which part.
    pub scope: Scope,
    /// The snapshot to dump, which a transaction holds.
    pub snapshot: String,
    /// Whether large objects are part of it.
    pub large_objects: bool,
    /// How long somebody else's lock on a table is waited for.
    pub lock_wait: Duration,
}

impl DumpOptions {
    /// The arguments of `pg_dump`. The custom format, uncompressed, is what deduplicates best and can be restored in
    /// part (decision 0012).
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            "--format=custom".to_owned(),
            "--compress=0".to_owned(),
            "--no-password".to_owned(),
            format!("--lock-wait-timeout={}", self.lock_wait.as_millis()),
            format!("--snapshot={}", self.snapshot),
            if self.large_objects { "--blobs" } else { "--no-blobs" }.to_owned(),
        ];
        arguments.extend(self.scope.arguments());
        arguments
    }
}

/// A program of PostgreSQL whose output is read as it comes.
pub struct Dump<'c> {
    program: &'static str,
    label: String,
    child: Child,
    output: ChildStdout,
    errors: File,
    checker: Option<Checker>,
    /// Whether the last read found little.
    was_little: bool,
    cancel: &'c Cancel,
}

impl<'c> Dump<'c> {
    /// Starts the dump of a database.
    pub fn of_database(
        client: &Client,
        address: &Address,
        access: &Access,
        options: &DumpOptions,
        cancel: &'c Cancel,
    ) -> Result<Self, PgError> {
        let mut command = client.command("pg_dump");
        command.args(options.arguments());
        let checker = Checker::start(client)?;
        Self::start("pg_dump", access.apply(address.apply(&mut command)), address.label(), Some(checker), cancel)
    }

    /// Starts the dump of roles, their settings and tablespaces of a server; hashes of passwords only if asked for.
    pub fn of_globals(
        client: &Client,
        address: &Address,
        access: &Access,
        passwords: bool,
        cancel: &'c Cancel,
    ) -> Result<Self, PgError> {
        let mut command = client.command("pg_dumpall");
        command.args(["--globals-only", "--no-password"]);
        if !passwords {
            command.arg("--no-role-passwords");
        }
        if let Some(database) = address.database_argument() {
            // Not the maintenance database, which the account may not be let into.
            command.arg(format!("--database={database}"));
        }
        Self::start("pg_dumpall", access.apply(address.apply(&mut command)), address.label(), None, cancel)
    }

    fn start(
        program: &'static str,
        command: &mut Command,
        label: String,
        checker: Option<Checker>,
        cancel: &'c Cancel,
    ) -> Result<Self, PgError> {
        let local = |error: io::Error| PgError::local("run", program, error);
        let errors = tempfile::tempfile().map_err(local)?;
        process::own_group(command).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(errors.try_clone().map_err(local)?).spawn().map_err(local)?;
        let Some(output) = child.stdout.take() else { return Err(local(io::Error::other("it has no output"))) };
        widen(&output);
        Ok(Self { program, label, child, output, errors, checker, was_little: false, cancel })
    }

    /// Whether everything that was read to its end is a whole dump: to be asked before anything is committed.
    pub fn finish(mut self) -> Result<(), PgError> {
        let status = self.child.wait().map_err(|error| PgError::local("wait for", self.program, error))?;
        let why = one_line(&process::end_of(&mut self.errors));
        if !status.success() {
            let how = format!("ended with {status}");
            return Err(PgError::Failed { program: self.program, database: self.label.clone(), how, why });
        }
        match self.checker.take() {
            Some(checker) => checker.finish().map_err(|why| PgError::Damaged { database: self.label.clone(), why }),
            None => Ok(()),
        }
    }
}

impl Read for Dump<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.was_little) {
            std::thread::sleep(GATHER);
        }
        let count = Patient::new(self.output.as_fd(), self.cancel).read(buffer)?;
        self.was_little = count < LITTLE && count < buffer.len();
        if let Some(checker) = &mut self.checker {
            checker.see(&buffer[..count]);
        }
        Ok(count)
    }
}

impl Drop for Dump<'_> {
    fn drop(&mut self) {
        process::kill_group(&mut self.child);
    }
}

/// Reads the dump as a restore would, and throws it away.
struct Checker {
    child: Child,
    input: Option<ChildStdin>,
    errors: File,
}

impl Checker {
    fn start(client: &Client) -> Result<Self, PgError> {
        let program = client.program("pg_restore");
        let local = |error: io::Error| PgError::local("run", &program, error);
        let errors = tempfile::tempfile().map_err(local)?;
        let mut command = client.command("pg_restore");
        process::own_group(command.arg("--file=/dev/null")).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.stderr(errors.try_clone().map_err(local)?).spawn().map_err(local)?;
        let input = child.stdin.take();
        if let Some(input) = &input {
            widen(input);
        }
        Ok(Self { child, input, errors })
    }

    fn see(&mut self, bytes: &[u8]) {
        // One that is gone has its reason, which its exit status tells at the end; the dump is read on all the same,
        // for a pipe that is closed early kills who writes into it.
        if self.input.as_mut().is_some_and(|input| input.write_all(bytes).is_err()) {
            self.input = None;
        }
    }

    fn finish(mut self) -> Result<(), String> {
        self.input = None;
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(());
        }
        let said = one_line(&process::end_of(&mut self.errors));
        Err(if said.is_empty() { format!("pg_restore ended with {status}") } else { said })
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        self.input = None;
        process::kill_group(&mut self.child);
    }
}

/// A larger pipe, so that two programs need not take turns for every 64 KiB. It works with a smaller one too.
fn widen(pipe: &impl AsFd) {
    const PIPE_BYTES: usize = 1 << 20;
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE_BYTES);
}

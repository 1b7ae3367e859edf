//! A conversation with a server, held by a `psql` of ours: a transaction stays open between two questions, which is
//! what holds an exported snapshot.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use crate::base::cancel::Cancel;
use crate::postgres::address::Address;
use crate::postgres::client::Client;
use crate::postgres::error::PgError;
use crate::postgres::password::Access;
use crate::sys::patient::Patient;
use crate::sys::process;

/// Written by `psql` behind each answer. An answer is one line of JSON and cannot look like it.
const END: &str = "dssvault-end-of-answer";
/// How long the client may take to end by itself.
const LEAVE: Duration = Duration::from_secs(2);
/// Longer answers are refused: catalogues of a hundred thousand tables have some ten MiB.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// An open connection. Dropping it ends it, and with it its transaction.
pub struct Session<'c> {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    errors: File,
    read: Vec<u8>,
    label: String,
    cancel: &'c Cancel,
}

impl<'c> Session<'c> {
    /// Connects.
    pub fn open(client: &Client, address: &Address, access: &Access, cancel: &'c Cancel) -> Result<Self, PgError> {
        let label = address.label();
        let local = |error: io::Error| PgError::local("run", client.program("psql"), error);
        let errors = tempfile::tempfile().map_err(local)?;
        let mut command = client.command("psql");
        command.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password"]);
        command.args(["--set=ON_ERROR_STOP=1", "--set=VERBOSITY=default", "--file=-"]);
        command.env("PGCLIENTENCODING", "UTF8");
        process::own_group(access.apply(address.apply(&mut command)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors.try_clone().map_err(local)?);
        let mut child = command.spawn().map_err(local)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let Some(output) = output else { return Err(local(io::Error::other("it has no output"))) };
        let mut session = Self { child, input, output, errors, read: Vec::new(), label, cancel };
        session.execute("SELECT 1")?;
        Ok(session)
    }

    /// Runs statements whose answers nobody wants.
    pub fn execute(&mut self, sql: &str) -> Result<(), PgError> {
        self.ask(sql).map(|_| ())
    }

    /// Runs one query that answers with one row of one column of JSON, without line ends in it: what the `jsonb_…`
    /// functions make, and not the `json_…` ones.
    pub fn query<T: DeserializeOwned>(&mut self, sql: &str) -> Result<T, PgError> {
        let answer = self.ask(sql)?;
        serde_json::from_slice(&answer)
            .map_err(|error| PgError::Answer { database: self.label.clone(), why: error.to_string() })
    }

    fn ask(&mut self, sql: &str) -> Result<Vec<u8>, PgError> {
        let sent = match &mut self.input {
            Some(input) => writeln!(input, "{sql};\n\\echo {END}").and_then(|()| input.flush()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        // A client that is gone has said why.
        let answer = sent.and_then(|()| self.read_answer());
        answer.map_err(|error| self.failed(&error))
    }

    fn read_answer(&mut self) -> io::Result<Vec<u8>> {
        let end = format!("{END}\n").into_bytes();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let begins = |at: usize| at == 0 || self.read.get(at - 1) == Some(&b'\n');
            let from = self.read.len().saturating_sub(end.len());
            if self.read.ends_with(&end) && begins(from) {
                let answer = self.read[..from].to_vec();
                self.read.clear();
                return Ok(answer);
            }
            if self.read.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::other("its answer is too long"));
            }
            match Patient::new(self.output.as_fd(), self.cancel).read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.read.extend_from_slice(&buffer[..count]),
            }
        }
    }

    fn failed(&mut self, error: &io::Error) -> PgError {
        self.input = None;
        if self.cancel.is_requested() {
            return PgError::Interrupted;
        }
        let gone = matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe);
        if !gone {
            return PgError::Answer { database: self.label.clone(), why: error.to_string() };
        }
        // It has closed its output and is about to end.
        let _ = self.child.wait();
        PgError::of_client(&self.label, &process::end_of(&mut self.errors))
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // At the end of its input it takes its leave of the server, which else would note a broken connection.
        self.input = None;
        let since = Instant::now();
        while since.elapsed() < LEAVE && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        // One that waits for its server would be waited for without end.
        process::kill_group(&mut self.child);
    }
}

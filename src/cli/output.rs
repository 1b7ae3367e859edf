//! Standard output and notes on stderr. The only writer of either, beside errors and progress.

use std::io::{self, BufWriter, StdoutLock, Write};

use serde::Serialize;

use crate::cli::error::CliError;
use crate::vault::VaultError;

/// A report with two faces made from one value: its JSON is its serialisation.
pub trait View: Serialize {
    /// The text for people; empty or ending with a line break.
    fn text(&self) -> String;
}

/// How much is printed, and in which language.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    /// Output as the options ask for it.
    pub fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Whether JSON is spoken.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints what was asked for.
    pub fn show(&self, view: &impl View) -> Result<(), CliError> {
        if self.json { self.json_line(view) } else { self.raw(view.text().as_bytes()) }
    }

    /// Prints a report that accompanies work done; `--quiet` hides its text.
    pub fn report(&self, view: &impl View) -> Result<(), CliError> {
        if self.quiet && !self.json { Ok(()) } else { self.show(view) }
    }

    /// One JSON value on one line.
    pub fn json_line(&self, value: &impl Serialize) -> Result<(), CliError> {
        let mut line = serde_json::to_vec(value).map_err(io::Error::other)?;
        line.push(b'\n');
        self.raw(&line)
    }

    /// Bytes as they are.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// A line about something that is wrong but does not stop the run.
    pub fn warn(&self, line: &str) {
        // The exit code tells the same; a closed stderr is no reason to fail.
        let _ = if self.json {
            let value = serde_json::json!({ "message_type": "error", "error": { "message": line } });
            writeln!(io::stderr().lock(), "{value}")
        } else {
            writeln!(io::stderr().lock(), "warning: {line}")
        };
    }

    /// Many lines, written in large pieces.
    pub fn lines(&self) -> Lines {
        Lines { out: BufWriter::with_capacity(1 << 16, io::stdout().lock()), trouble: None }
    }
}

/// Many lines on their way to standard output.
pub struct Lines {
    out: BufWriter<StdoutLock<'static>>,
    trouble: Option<io::Error>,
}

impl Lines {
    /// Adds a line. The error is a copy; the one that counts comes from [`end`](Self::end).
    pub fn push(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}").map_err(|error| {
            let copy = io::Error::from(error.kind());
            self.trouble = Some(error);
            copy
        })
    }

    /// Writes the rest. A failure to write explains whatever the producer of the lines then said.
    pub fn end(mut self, produced: Result<(), VaultError>) -> Result<(), CliError> {
        let flushed = self.out.flush();
        match self.trouble {
            Some(error) => Err(CliError::Output(error)),
            None => {
                produced?;
                Ok(flushed?)
            }
        }
    }
}

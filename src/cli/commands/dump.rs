//! `dssvault dump`.

use std::io::{self, BufWriter, IsTerminal, Write};

use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::snapshot::{self, FilterArgs, SnapshotPath};
use crate::vault::dump;

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault dump latest:/data/dss/config/license.json
  dssvault -r /srv/vault dump latest:/data/dss/config | tar -tv
  dssvault -r /srv/vault dump latest:/runtime.sql | psql runtime
  dssvault -r /srv/vault dump latest:/ > everything.tar";

/// Write one file, or a directory as a tar archive, to standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Id (its beginning is enough), `latest` or `latest~N`, and a path inside it
    #[arg(value_name = "SNAPSHOT:PATH", value_parser = SnapshotPath::parser())]
    snapshot: SnapshotPath,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Writes.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let listed = snapshot::find(&opened.repository, &args.snapshot, args.filter)?;
    let reporter = session.reporter();
    let context = opened.context(&reporter, &session.cancel);
    let mut out = BufWriter::with_capacity(1 << 17, Guarded::stdout());
    let written = dump::run(&opened.repository, &listed.manifest, args.snapshot.path(), context, &mut out);
    let flushed = out.flush();
    reporter.finish();
    // What went wrong with the output explains what the verb then said.
    match out.get_mut().trouble.take() {
        Some(Trouble::Binary) => Err(CliError::usage(
            format!("what was asked for of {} is not text, and standard output is a terminal", listed.id.short()),
            "send it to a file with `> FILE`, or through a pipe",
        )),
        Some(Trouble::Output(cause)) => Err(CliError::Output(cause)),
        None => {
            written?;
            flushed?;
            Ok(Outcome::Clean)
        }
    }
}

/// Why nothing more can be written.
enum Trouble {
    Binary,
    Output(io::Error),
}

/// Standard output that keeps binary data from a terminal and remembers why it failed.
struct Guarded<W> {
    inner: W,
    is_terminal: bool,
    trouble: Option<Trouble>,
}

impl Guarded<io::StdoutLock<'static>> {
    fn stdout() -> Self {
        let inner = io::stdout().lock();
        let is_terminal = inner.is_terminal();
        Self { inner, is_terminal, trouble: None }
    }
}

impl<W> Guarded<W> {
    fn note(&mut self, error: io::Error) -> io::Error {
        let copy = io::Error::from(error.kind());
        self.trouble = Some(Trouble::Output(error));
        copy
    }
}

impl<W: Write> Write for Guarded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_terminal && bytes.iter().any(|&byte| is_binary(byte)) {
            self.trouble = Some(Trouble::Binary);
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.inner.write(bytes).map_err(|error| self.note(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush().map_err(|error| self.note(error))
    }
}

/// Control characters that text does not have and that a terminal may obey.
fn is_binary(byte: u8) -> bool {
    matches!(byte, 0..=6 | 14..=31 | 127)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(bytes: &[u8], is_terminal: bool) -> (bool, Vec<u8>) {
        let mut guarded = Guarded { inner: Vec::new(), is_terminal, trouble: None };
        let written = guarded.write_all(bytes).is_ok();
        assert_eq!(written, guarded.trouble.is_none());
        (written, guarded.inner)
    }

    #[test]
    fn a_terminal_gets_text_only_and_everything_else_gets_all() {
        assert_eq!(write("größe\n\ta\n".as_bytes(), true), (true, "größe\n\ta\n".into()));
        assert_eq!(write(b"a\0b", true), (false, vec![]));
        assert_eq!(write(b"\x1b[31m", true), (false, vec![]));
        assert_eq!(write(b"a\0b", false), (true, b"a\0b".to_vec()));
    }
}

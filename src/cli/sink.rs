//! Where the content of a snapshot is written to.

use std::io::{self, IsTerminal, Write};

/// Why nothing more can be written.
#[derive(Debug)]
pub enum Trouble {
    /// It is a terminal, and what came is no text.
    Binary,
    /// It failed.
    Output(io::Error),
}

/// An output that keeps binary data from a terminal and remembers why it failed: a verb that writes to it can only say
/// that it could not go on.
pub struct Sink<W> {
    inner: W,
    is_terminal: bool,
    trouble: Option<Trouble>,
}

impl Sink<io::StdoutLock<'static>> {
    /// Standard output.
    pub fn stdout() -> Self {
        let inner = io::stdout().lock();
        let is_terminal = inner.is_terminal();
        Self { inner, is_terminal, trouble: None }
    }
}

impl<W> Sink<W> {
    /// A file, which may hold anything.
    pub fn file(inner: W) -> Self {
        Self { inner, is_terminal: false, trouble: None }
    }

    /// What went wrong first, asked once.
    pub fn trouble(&mut self) -> Option<Trouble> {
        self.trouble.take()
    }

    /// What is written to.
    pub fn into_inner(self) -> W {
        self.inner
    }

    fn note(&mut self, error: io::Error) -> io::Error {
        let copy = io::Error::from(error.kind());
        // Whoever writes all begins again after this one.
        if error.kind() != io::ErrorKind::Interrupted {
            self.trouble.get_or_insert(Trouble::Output(error));
        }
        copy
    }
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_terminal && bytes.iter().any(|&byte| is_binary(byte)) {
            self.trouble.get_or_insert(Trouble::Binary);
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
        let mut guarded = Sink { inner: Vec::new(), is_terminal, trouble: None };
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

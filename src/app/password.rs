//! Passwords and recovery words from files, commands and the environment. Asking a person is the terminal's part.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zeroize::{Zeroize, Zeroizing};

use crate::app::AppError;
use crate::repo::keys::Credential;

/// More than any password; keeps a wrong path (`/dev/zero`) from filling memory.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Where a password comes from when nobody is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordSource {
    /// A file that holds recovery words.
    RecoveryKeyFile(PathBuf),
    /// A file that holds a password.
    File(PathBuf),
    /// A shell command that prints one.
    Command(String),
    /// An environment variable of this name.
    Variable(&'static str),
}

impl PasswordSource {
    /// What the source gives, without one trailing newline.
    pub fn credential(&self) -> Result<Credential, AppError> {
        match self {
            Self::RecoveryKeyFile(path) => read_file(path, "recovery key file").map(Credential::RecoveryWords),
            _ => self.password().map(Credential::Password),
        }
    }

    /// The password; recovery words are read as if they were one, which no caller wants.
    pub fn password(&self) -> Result<Zeroizing<String>, AppError> {
        match self {
            Self::File(path) | Self::RecoveryKeyFile(path) => read_file(path, "password file"),
            Self::Command(command) => run_command(command),
            Self::Variable(name) => {
                let origin = format!("${name}");
                let value = std::env::var_os(name).unwrap_or_default().into_encoded_bytes();
                into_text(Zeroizing::new(value), &origin)
            }
        }
    }
}

fn read_file(path: &Path, what: &'static str) -> Result<Zeroizing<String>, AppError> {
    let failed = |source| AppError::KeyFile { action: "read", what, path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_file() && metadata.mode() & 0o007 != 0 {
        tracing::warn!("{what} {} can be used by every account; `chmod 600` it", path.display());
    }
    let bytes = read_bounded(file).map_err(failed)?;
    into_text(bytes, &format!("{what} {}", path.display()))
}

fn run_command(command: &str) -> Result<Zeroizing<String>, AppError> {
    let failed = |why: String| AppError::PasswordCommand { command: command.to_owned(), why };
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|why| failed(format!("cannot be run: {why}")))?;
    let read = child.stdout.take().map(read_bounded);
    let status = child.wait().map_err(|why| failed(format!("was lost: {why}")))?;
    if !status.success() {
        return Err(failed(format!("failed ({status})")));
    }
    match read {
        Some(Ok(bytes)) => into_text(bytes, "the password command"),
        Some(Err(why)) => Err(failed(format!("cannot be read: {why}"))),
        None => Err(failed("printed nothing".to_owned())),
    }
}

/// One byte more than allowed is read, so that too much is seen as such.
fn read_bounded(from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // Room for all of it from the start: growing would leave unwiped copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX as usize + 2));
    from.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn into_text(mut bytes: Zeroizing<Vec<u8>>, origin: &str) -> Result<Zeroizing<String>, AppError> {
    let bad = |why| AppError::BadPassword { origin: origin.to_owned(), why };
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(bad("it is too long"));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
        error.into_bytes().zeroize();
        bad("it is not UTF-8")
    })?;
    if text.is_empty() {
        return Err(AppError::EmptyPassword { origin: origin.to_owned() });
    }
    Ok(Zeroizing::new(text))
}

/// A recovery key file that was claimed before the repository is made, so that words are never made that
/// cannot be written down. Dropped before [`write`](Self::write) it takes its file with it.
pub struct RecoveryKeyFile {
    path: PathBuf,
    file: Option<File>,
}

impl RecoveryKeyFile {
    /// Creates the file, for this account only; one that exists is never touched.
    pub fn claim(path: &Path) -> Result<Self, AppError> {
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|source| Self::failed("create", path, source))?;
        Ok(Self { path: path.to_owned(), file: Some(file) })
    }

    /// Writes the words and makes them durable.
    pub fn write(mut self, words: &str) -> Result<(), AppError> {
        if let Some(mut file) = self.file.take() {
            file.write_all(words.as_bytes())
                .and_then(|()| file.write_all(b"\n"))
                .and_then(|()| file.sync_all())
                .map_err(|source| Self::failed("write", &self.path, source))?;
        }
        Ok(())
    }

    fn failed(action: &'static str, path: &Path, source: io::Error) -> AppError {
        AppError::KeyFile { action, what: "recovery key file", path: path.to_owned(), source }
    }
}

impl Drop for RecoveryKeyFile {
    fn drop(&mut self) {
        if self.file.take().is_some()
            && let Err(why) = fs::remove_file(&self.path)
        {
            tracing::warn!("the empty recovery key file {} stays behind: {why}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> (tempfile::TempDir, PasswordSource) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        fs::write(&path, content).unwrap();
        (dir, PasswordSource::File(path))
    }

    #[test]
    fn exactly_one_trailing_newline_is_no_part_of_a_password() {
        for (content, expected) in [("a b", "a b"), ("a b\n", "a b"), ("a b\r\n", "a b"), (" a\n\n", " a\n")] {
            let (_dir, source) = file(content.as_bytes());
            assert_eq!(*source.password().unwrap(), expected);
        }
    }

    #[test]
    fn empty_overlong_and_binary_passwords_are_refused() {
        for content in [&b""[..], b"\n"] {
            let (_dir, source) = file(content);
            assert!(matches!(source.password(), Err(AppError::EmptyPassword { .. })));
        }
        for content in [&[b'x'; 70_000][..], b"\xff\xfe"] {
            let (_dir, source) = file(content);
            assert!(matches!(source.password(), Err(AppError::BadPassword { .. })));
        }
        let endless = PasswordSource::File("/dev/zero".into());
        assert!(matches!(endless.password(), Err(AppError::BadPassword { .. })));
    }

    #[test]
    fn a_command_gives_the_password_unless_it_fails() {
        let works = PasswordSource::Command("printf 'from %s\\n' command".into());
        assert_eq!(*works.password().unwrap(), "from command");
        let fails = PasswordSource::Command("echo half; exit 3".into());
        let error = fails.password().unwrap_err().to_string();
        assert!(error.contains("exit status: 3"), "{error}");
    }

    #[test]
    fn a_recovery_key_file_is_private_never_overwrites_and_goes_when_unused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("words");
        drop(RecoveryKeyFile::claim(&path).unwrap());
        assert!(!path.exists());
        RecoveryKeyFile::claim(&path).unwrap().write("one two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one two\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(RecoveryKeyFile::claim(&path).is_err());
        assert!(path.exists());
    }
}

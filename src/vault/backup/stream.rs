//! A stream as the only member of a snapshot: standard input, or what a command prints.

use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Command, Stdio};

use crate::base::clock::Timestamp;
use crate::base::id::ChunkId;
use crate::repo::RepoError;
use crate::repo::tree::writer::{DirectoryWriter, encode_entry};
use crate::repo::tree::{Entry, EntryKind, FileContent, Owner};
use crate::sys::patient::Patient;
use crate::sys::process::without_secrets;
use crate::vault::VaultError;
use crate::vault::backup::identity;
use crate::vault::backup::input::Stream;
use crate::vault::backup::item::{Reader, Reading, Stop};
use crate::vault::backup::store::{Lane, TreeChunks};

/// A stream's entry in the root, and its length in bytes.
pub struct Streamed {
    /// The entry.
    pub entry: Entry,
}

/// Reads one stream to its end.
pub fn read(source: &Stream<'_>, reading: &Reading<'_>, now: Timestamp) -> Result<Streamed, VaultError> {
    match source {
        Stream::Stdin { name } => {
            let (content, size) = store(reading, std::io::stdin().as_fd(), "standard input")?;
            Ok(Streamed { entry: entry(name, content, size, now)? })
        }
        Stream::Command { name, command } => {
            // Whoever reads its environment must not learn how to open the repository.
            let mut child = without_secrets(&mut Command::new("sh"))
                .args(["-c", command])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .map_err(|error| VaultError::local("start", "sh", error))?;
            let output = child.stdout.take();
            let stored = match output {
                Some(output) => store(reading, output.as_fd(), command),
                None => Ok((None, 0)),
            };
            if stored.is_err() {
                // It must not go on writing into a pipe nobody reads; it may be gone already.
                let _ = child.kill();
            }
            let status = child.wait().map_err(|error| VaultError::local("wait for", "sh", error))?;
            let (content, size) = stored?;
            if !status.success() {
                return Err(VaultError::Command { command: (*command).to_owned(), status: status.to_string() });
            }
            Ok(Streamed { entry: entry(name, content, size, now)? })
        }
    }
}

fn store(reading: &Reading<'_>, input: BorrowedFd<'_>, what: &str) -> Result<(Option<FileContent>, u64), VaultError> {
    let spread = |block| reading.store.store_block(Lane::Data, block);
    let mut reader = Reader::new(reading, Vec::new(), &spread);
    let read = reader.read_stream(&mut Patient::new(input, reading.cancel), None);
    reader.finish();
    match read {
        Ok(Ok(content)) => Ok(content),
        Ok(Err(_)) if reading.cancel.is_requested() => Err(VaultError::Interrupted),
        Ok(Err(error)) => Err(VaultError::local("read", what, error)),
        Err(Stop::Repo(error)) => Err(error.into()),
        Err(Stop::Cancelled) => Err(VaultError::Interrupted),
    }
}

fn entry(name: &str, content: Option<FileContent>, size: u64, now: Timestamp) -> Result<Entry, VaultError> {
    if !Entry::name_is_safe(name.as_bytes()) {
        return Err(VaultError::Request {
            what: format!("`{name}` cannot be a file name"),
            hint: Some("choose a name without `/`, for example `dump.sql`".to_owned()),
        });
    }
    let names = crate::sys::meta::Names::default();
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    Ok(Entry {
        name: name.as_bytes().to_vec(),
        kind: EntryKind::File,
        mode: 0o600,
        owner: Owner { uid, gid, user: Some(identity::user_name()), group: names.group(gid) },
        mtime: now,
        ctime: now,
        size,
        hard_link: None,
        target: None,
        xattrs: None,
        device: None,
        content,
        tree: None,
    })
}

/// The root directory that holds the streams.
pub fn root(mut streams: Vec<Streamed>, sink: TreeChunks<'_, '_>) -> Result<ChunkId, RepoError> {
    streams.sort_by(|a, b| a.entry.name.cmp(&b.entry.name));
    let mut sink = sink;
    let mut writer = DirectoryWriter::default();
    for stream in &streams {
        writer.push(&stream.entry.name, &encode_entry(&stream.entry), &mut sink)?;
    }
    let root = writer.finish(&mut sink);
    sink.finish();
    root
}

//! The bytes of one file, in order, holes as zeros.

use std::io::Write;
use std::path::Path;

use crate::base::progress::Event;
use crate::repo::RepoError;
use crate::repo::chunks::ChunkReader;
use crate::repo::tree::reader::for_each_id;
use crate::repo::tree::{Entry, Extent, FileContent};
use crate::vault::{Context, VaultError};

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Writes the content of a file: exactly as many bytes as its entry says, or an error.
pub fn write(
    chunks: &ChunkReader<'_>,
    entry: &Entry,
    path: &[u8],
    context: Context<'_>,
    out: &mut dyn Write,
) -> Result<(), VaultError> {
    let extents = entry.content.as_ref().and_then(|content| content.extents.as_deref());
    let everywhere = [Extent { offset: 0, length: entry.size }];
    write_runs(chunks, entry, (extents.unwrap_or(&everywhere), entry.size), path, context, out)
}

/// Writes the data of a file without its holes, back to back; gives how many bytes that must be.
pub fn write_data(
    chunks: &ChunkReader<'_>,
    entry: &Entry,
    path: &[u8],
    context: Context<'_>,
    out: &mut dyn Write,
) -> Result<u64, VaultError> {
    let length = data_bytes(entry);
    write_runs(chunks, entry, (&[Extent { offset: 0, length }], length), path, context, out)?;
    Ok(length)
}

/// Bytes of a file without its holes.
pub fn data_bytes(entry: &Entry) -> u64 {
    let extents = entry.content.as_ref().and_then(|content| content.extents.as_ref());
    extents.map_or(entry.size, |runs| runs.iter().map(|run| run.length).sum())
}

/// Whether every chunk of a file can be read.
pub fn is_whole(chunks: &ChunkReader<'_>, entry: &Entry) -> bool {
    let read = |content| for_each_id::<RepoError>(chunks, content, &mut |id| chunks.read(&id).map(|_| ()));
    entry.content.as_ref().is_none_or(|content| read(content).is_ok())
}

/// Writes the chunks of a file into these runs of an output of so many bytes.
fn write_runs(
    chunks: &ChunkReader<'_>,
    entry: &Entry,
    (extents, size): (&[Extent], u64),
    path: &[u8],
    context: Context<'_>,
    out: &mut dyn Write,
) -> Result<(), VaultError> {
    let mut writer = Writer { out, at: 0, extents, context };
    if let Some(content) = &entry.content {
        for_each_id(chunks, content, &mut |id| {
            if context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            let unfit = || VaultError::Repo(RepoError::BadTree { id, why: misfit(path) });
            let chunk = chunks.read(&id)?;
            if writer.data(part_of(&chunk, content, entry.size).ok_or_else(unfit)?)? { Ok(()) } else { Err(unfit()) }
        })?;
    }
    if writer.extents.iter().any(|extent| extent.length > 0) {
        return Err(VaultError::Request { what: misfit(path), hint: Some("run `dssvault check`".to_owned()) });
    }
    writer.zeros_to(size)
}

/// The bytes of a chunk that are the file's.
fn part_of<'c>(chunk: &'c [u8], content: &FileContent, size: u64) -> Option<&'c [u8]> {
    let Some(offset) = content.fragment else { return Some(chunk) };
    chunk.get(offset as usize..)?.get(..usize::try_from(size).ok()?)
}

fn misfit(path: &[u8]) -> String {
    format!("the stored content of `{}` does not have the length the file had", String::from_utf8_lossy(path))
}

/// Why writing to the output failed.
pub fn output_error(error: std::io::Error) -> VaultError {
    VaultError::local("write to", Path::new("the output"), error)
}

struct Writer<'a> {
    out: &'a mut dyn Write,
    /// Bytes written.
    at: u64,
    /// Runs of data still to come.
    extents: &'a [Extent],
    context: Context<'a>,
}

impl Writer<'_> {
    /// Writes data where the next extents are; `false` if there is more than they hold.
    fn data(&mut self, mut bytes: &[u8]) -> Result<bool, VaultError> {
        while !bytes.is_empty() {
            let Some((extent, later)) = self.extents.split_first() else { return Ok(false) };
            let end = extent.offset.saturating_add(extent.length);
            self.zeros_to(extent.offset)?;
            let fits = (end.saturating_sub(self.at)).min(bytes.len() as u64) as usize;
            let (now, rest) = bytes.split_at(fits);
            self.write(now)?;
            bytes = rest;
            if self.at >= end {
                self.extents = later;
            }
        }
        Ok(true)
    }

    fn zeros_to(&mut self, offset: u64) -> Result<(), VaultError> {
        while self.at < offset {
            if self.context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            let count = (offset - self.at).min(ZEROS.len() as u64) as usize;
            self.write(&ZEROS[..count])?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        self.out.write_all(bytes).map_err(output_error)?;
        self.at += bytes.len() as u64;
        self.context.progress.on(Event::Advanced { bytes: bytes.len() as u64, files: 0 });
        Ok(())
    }
}

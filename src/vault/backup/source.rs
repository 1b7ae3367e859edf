//! The bytes of a file as a stream: all of them, or those of its extents.

use std::io::{self, Read};
use std::os::fd::OwnedFd;

use crate::sys::meta::DataExtent;

/// Goes back to the first byte.
pub fn rewind(file: &OwnedFd) -> io::Result<()> {
    rustix::fs::seek(file, rustix::fs::SeekFrom::Start(0))?;
    Ok(())
}

/// Reads until the window is full or the source has ended; tells which.
pub fn fill(source: &mut dyn Read, window: &mut [u8], filled: &mut usize) -> io::Result<bool> {
    while *filled < window.len() {
        match source.read(&mut window[*filled..]) {
            Ok(0) => return Ok(true),
            Ok(count) => *filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Reads a file to its end. Having read as much as the file was long counts as the end, which saves a call for
/// each small file: if it has grown meanwhile, its times tell.
pub struct FdReader<'a> {
    file: &'a OwnedFd,
    expected: u64,
    read: u64,
}

impl<'a> FdReader<'a> {
    /// Reads `file`, which is believed to hold `expected` bytes, from where it stands.
    pub fn new(file: &'a OwnedFd, expected: u64) -> Self {
        Self { file, expected, read: 0 }
    }
}

impl Read for FdReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read > 0 && self.read == self.expected {
            return Ok(0);
        }
        let count = rustix::io::read(self.file, buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}

/// Reads the data of a sparse file, extent by extent.
pub struct ExtentReader<'a> {
    file: &'a OwnedFd,
    extents: &'a [DataExtent],
    at: usize,
    within: u64,
}

impl<'a> ExtentReader<'a> {
    /// Reads these extents of `file`.
    pub fn new(file: &'a OwnedFd, extents: &'a [DataExtent]) -> Self {
        Self { file, extents, at: 0, within: 0 }
    }
}

impl Read for ExtentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(extent) = self.extents.get(self.at) {
            let left = extent.length - self.within;
            if left > 0 {
                let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let count = rustix::io::pread(self.file, &mut buffer[..want], extent.offset + self.within)?;
                self.within += count as u64;
                return Ok(count);
            }
            self.at += 1;
            self.within = 0;
        }
        Ok(0)
    }
}

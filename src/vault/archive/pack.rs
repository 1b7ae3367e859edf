//! Packing an archive while it is written.

use std::io::{self, Write};

use crate::codec::compress::Zstd;
use crate::codec::gzip::Gzip;
use crate::vault::archive::Packing;

/// Packs what is written to it; must be [finished](Packer::finish), for what lacks its end is damaged.
pub enum Packer<W: Write> {
    /// Leaves it as it is.
    Plain(W),
    /// By gzip.
    Gzip(Gzip<W>),
    /// By zstd.
    Zstd(Zstd<W>),
}

impl<W: Write> Packer<W> {
    /// Packs for `out`.
    pub fn new(packing: Packing, out: W) -> io::Result<Self> {
        Ok(match packing {
            Packing::Plain => Self::Plain(out),
            Packing::Gzip => Self::Gzip(Gzip::new(out)),
            Packing::Zstd => Self::Zstd(Zstd::new(out)?),
        })
    }

    /// Writes the end, and gives back where it went.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Gzip(gzip) => gzip.finish(),
            Self::Zstd(zstd) => zstd.finish(),
        }
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(gzip) => gzip.write(bytes),
            Self::Zstd(zstd) => zstd.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(gzip) => gzip.flush(),
            Self::Zstd(zstd) => zstd.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::codec::{compress, gzip};

    #[test]
    fn a_packed_archive_that_was_given_up_is_not_taken_for_a_whole_one() {
        let content = b"never the same river twice ".repeat(100_000);
        for (packing, finished) in
            [Packing::Gzip, Packing::Zstd].into_iter().flat_map(|packing| [(packing, false), (packing, true)])
        {
            let mut out = Vec::new();
            let mut packer = Packer::new(packing, &mut out).unwrap();
            packer.write_all(&content).unwrap();
            packer.flush().unwrap();
            if finished {
                packer.finish().unwrap();
            } else {
                drop(packer);
            }
            let mut unpacked = Vec::new();
            let read = match packing {
                Packing::Zstd => compress::expand(out.as_slice()).unwrap().read_to_end(&mut unpacked),
                _ => gzip::expand(out.as_slice()).read_to_end(&mut unpacked),
            };
            assert_eq!((read.is_ok(), unpacked == content), (finished, true), "{packing:?}");
        }
    }
}

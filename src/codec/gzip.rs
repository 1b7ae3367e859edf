//! Gzip streams (RFC 1952). The only door to the `flate2` crate.

use std::io::{self, BufRead, Read, Write};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

/// How a gzip stream begins.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The expanded bytes of one or more gzip members; every checksum is compared, a torn end is an error.
pub fn expand(packed: impl BufRead) -> impl Read {
    MultiGzDecoder::new(packed)
}

/// Packs what is written to it; must be [finished](Gzip::finish).
pub struct Gzip<W: Write>(GzEncoder<W>);

impl<W: Write> Gzip<W> {
    /// A stream of gzip's usual level. Neither name nor time of a file stand in it.
    pub fn new(out: W) -> Self {
        Self(GzEncoder::new(out, Compression::default()))
    }

    /// Writes the end.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = Gzip::new(Vec::new());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn members_one_after_another_are_one_text() {
        let both = [packed(b"one "), packed(b"two")].concat();
        assert!(both.starts_with(&MAGIC));
        assert_eq!(io::read_to_string(expand(both.as_slice())).unwrap(), "one two");
    }

    #[test]
    fn a_torn_or_changed_stream_is_an_error() {
        let whole = packed(&b"never the same river twice ".repeat(1000));
        for length in [whole.len() - 1, whole.len() - 8, whole.len() / 2] {
            assert!(expand(&whole[..length]).read_to_end(&mut Vec::new()).is_err(), "{length}");
        }
        let mut changed = whole.clone();
        let at = changed.len() - 6;
        changed[at] ^= 1;
        assert!(expand(changed.as_slice()).read_to_end(&mut Vec::new()).is_err(), "the checksum is compared");
    }
}

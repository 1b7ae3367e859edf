//! Gzip streams (RFC 1952). The only door to the `flate2` crate.

use std::io::{self, BufRead, Read, Write};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;

/// How a gzip stream begins.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The expanded bytes of one or more gzip members; every checksum is compared, a torn end is an error. Zeros may stand
/// behind a member, as tapes and programs that write whole blocks leave them, and as `gzip` itself takes them.
pub fn expand(packed: impl BufRead) -> impl Read {
    Members { member: Some(GzDecoder::new(packed)) }
}

/// A row of members; none when the stream has ended.
struct Members<R: BufRead> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let rest = self.member.take().map(GzDecoder::into_inner);
            self.member = rest.map(behind_zeros).transpose()?.flatten().map(GzDecoder::new);
        }
        Ok(0)
    }
}

/// What stands behind a row of zeros; `None` if nothing does.
fn behind_zeros<R: BufRead>(mut packed: R) -> io::Result<Option<R>> {
    loop {
        let bytes = match packed.fill_buf() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if bytes.is_empty() {
            return Ok(None);
        }
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let ended = zeros < bytes.len();
        packed.consume(zeros);
        if ended {
            return Ok(Some(packed));
        }
    }
}

/// Packs what is written to it; must be [finished](Gzip::finish). Dropped before that it leaves a torn stream, so that
/// nobody takes a part for the whole.
pub struct Gzip<W: Write>(GzEncoder<Gate<W>>);

impl<W: Write> Gzip<W> {
    /// A stream of gzip's usual level. Neither name nor time of a file stand in it.
    pub fn new(out: W) -> Self {
        Self(GzEncoder::new(Gate { out, is_open: false }, Compression::default()))
    }

    /// Writes the end.
    pub fn finish(mut self) -> io::Result<W> {
        self.0.get_mut().is_open = true;
        self.0.finish().map(|gate| gate.out)
    }

    fn through<T>(&mut self, act: impl FnOnce(&mut GzEncoder<Gate<W>>) -> io::Result<T>) -> io::Result<T> {
        self.0.get_mut().is_open = true;
        let done = act(&mut self.0);
        self.0.get_mut().is_open = false;
        done
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.through(|encoder| encoder.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.through(Write::flush)
    }
}

/// Lets nothing through but while it is open: an encoder that is dropped would write the end of a whole stream.
struct Gate<W> {
    out: W,
    is_open: bool,
}

impl<W: Write> Write for Gate<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_open { self.out.write(bytes) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_open { self.out.flush() } else { Ok(()) }
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
    fn zeros_behind_a_member_are_no_damage_and_anything_else_is() {
        let padded = [packed(b"one "), vec![0; 70_000], packed(b"two"), vec![0; 3]].concat();
        let small_reads = io::BufReader::with_capacity(7, padded.as_slice());
        assert_eq!(io::read_to_string(expand(small_reads)).unwrap(), "one two");
        let other = [packed(b"one"), vec![0; 10], b"other".to_vec()].concat();
        assert!(expand(other.as_slice()).read_to_end(&mut Vec::new()).is_err());
    }

    #[test]
    fn what_is_dropped_before_its_end_is_torn() {
        let mut out = Vec::new();
        let mut gzip = Gzip::new(&mut out);
        gzip.write_all(&b"never the same river twice ".repeat(100_000)).unwrap();
        gzip.flush().unwrap();
        drop(gzip);
        assert!(!out.is_empty());
        assert!(expand(out.as_slice()).read_to_end(&mut Vec::new()).is_err());
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

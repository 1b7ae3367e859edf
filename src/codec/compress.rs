//! Zstandard frames (RFC 8878) of bounded size, and streams of them. The only door to the `zstd` crate.

use std::io::{self, BufRead, Read, Write};

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

/// Compressed bytes that are no zstd frame, or do not expand to the length they should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the compressed bytes are damaged")]
pub struct BadFrame;

/// How many bytes a sample looks at.
const SAMPLE_BYTES: usize = 16 << 10;

/// Compresses with a reused context; make one for each thread.
pub struct Deflater {
    context: Compressor<'static>,
    sampler: Compressor<'static>,
    sample: Vec<u8>,
}

impl Deflater {
    /// A compressor of the given zstd level.
    pub fn new(level: i32) -> io::Result<Self> {
        let mut context = Compressor::new(level)?;
        // The lengths stand in the sealed table and AES-GCM authenticates: frame extras would be dead weight.
        context.include_contentsize(false)?;
        context.include_checksum(false)?;
        context.include_dictid(false)?;
        if level == 3 {
            // Measured on blocks of real trees: matches of at least 6 bytes are 0.6 % smaller and 8 % quicker
            // than level 3's own 5 (`docs/decisions/0003-chunk-sizes.md`).
            context.set_parameter(CParameter::MinMatch(6))?;
        }
        Ok(Self { context, sampler: Compressor::new(1)?, sample: vec![0; SAMPLE_BYTES] })
    }

    /// Compresses `input` into `output` (replaced). Returns `false`, with `output` undefined, if the result
    /// would not be at least one thirty-second smaller than the input: such data is better stored as it is.
    pub fn deflate(&mut self, input: &[u8], output: &mut Vec<u8>) -> bool {
        let bound = input.len() - input.len() / 32;
        if bound == 0 || self.looks_incompressible(input) {
            return false;
        }
        output.clear();
        output.resize(bound, 0);
        // An output buffer of exactly the bound makes zstd itself give up on data that does not shrink.
        match self.context.compress_to_buffer(input, output.as_mut_slice()) {
            Ok(length) => {
                output.truncate(length);
                true
            }
            Err(_) => false,
        }
    }

    /// Tries three places of a large input at the fastest level: if none shrinks, the whole will not either.
    fn looks_incompressible(&mut self, input: &[u8]) -> bool {
        if input.len() < SAMPLE_BYTES * 8 {
            return false;
        }
        let places = [0, (input.len() - SAMPLE_BYTES) / 2, input.len() - SAMPLE_BYTES];
        let bound = SAMPLE_BYTES - SAMPLE_BYTES / 32;
        places.iter().all(|&at| {
            let sample = &input[at..at + SAMPLE_BYTES];
            self.sampler.compress_to_buffer(sample, &mut self.sample[..bound]).is_err()
        })
    }
}

/// Compresses content that has one manner for long stretches, as tables have: every sixteenth input is compressed
/// thoroughly and quickly, and what follows in the way that did better. Columns of hashes and numbers are up to a fifth smaller
/// *and* twice as quick at the quickest level; text is an eighth smaller at the thorough one (decision 0003).
pub struct TryingDeflater {
    thorough: Deflater,
    quick: Deflater,
    prefers_quick: bool,
    until_trial: u32,
    other: Vec<u8>,
}

impl TryingDeflater {
    /// Inputs between two trials.
    const STRETCH: u32 = 15;

    /// One that tries this level and the quickest.
    pub fn new(level: i32) -> io::Result<Self> {
        let (thorough, quick) = (Deflater::new(level)?, Deflater::new(1)?);
        Ok(Self { thorough, quick, prefers_quick: false, until_trial: 0, other: Vec::new() })
    }

    /// As [`Deflater::deflate`].
    pub fn deflate(&mut self, input: &[u8], output: &mut Vec<u8>) -> bool {
        if self.until_trial > 0 {
            self.until_trial -= 1;
            let preferred = if self.prefers_quick { &mut self.quick } else { &mut self.thorough };
            return preferred.deflate(input, output);
        }
        self.until_trial = Self::STRETCH;
        let shrunk = self.thorough.deflate(input, output);
        let quickly = self.quick.deflate(input, &mut self.other);
        // A hundredth of size is not worth twice the time.
        self.prefers_quick = quickly && (!shrunk || self.other.len() <= output.len() + output.len() / 100);
        if quickly && (!shrunk || self.other.len() < output.len()) {
            std::mem::swap(output, &mut self.other);
        }
        shrunk || quickly
    }
}

/// Expands with a reused context; make one for each thread.
pub struct Inflater(Decompressor<'static>);

impl Inflater {
    /// A decompressor.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Decompressor::new()?))
    }

    /// Expands one frame to exactly `length` bytes into `output` (replaced). The caller has bounded `length`.
    pub fn inflate(&mut self, frame: &[u8], length: usize, output: &mut Vec<u8>) -> Result<(), BadFrame> {
        // Not cleared first: only what the buffer grows by needs zeros, everything is overwritten anyway.
        output.resize(length, 0);
        match self.0.decompress_to_buffer(frame, output.as_mut_slice()) {
            Ok(expanded) if expanded == length => Ok(()),
            _ => Err(BadFrame),
        }
    }
}

const MAGIC: u32 = 0xfd2f_b528;
/// Of frames that hold no content, whose last four bits say what they are for; parallel programs put one in front.
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;

/// Whether these are the first bytes of a stream of frames.
pub fn begins(first: &[u8]) -> bool {
    let magic = first.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    magic.is_some_and(|magic| magic == MAGIC || magic & !0xf == SKIPPABLE_MAGIC)
}

/// The expanded bytes of a stream of frames; a torn end is an error. Streams that ask for more memory than zstd's own
/// default (a window of 128 MiB) are refused.
pub fn expand(packed: impl BufRead) -> io::Result<impl Read> {
    zstd::stream::read::Decoder::with_buffer(packed)
}

/// Packs what is written to it into one frame with a checksum; must be [finished](Zstd::finish).
pub struct Zstd<W: Write>(zstd::stream::write::Encoder<'static, W>);

impl<W: Write> Zstd<W> {
    /// A stream of zstd's usual level.
    pub fn new(out: W) -> io::Result<Self> {
        let mut encoder = zstd::stream::write::Encoder::new(out, 3)?;
        encoder.include_checksum(true)?;
        Ok(Self(encoder))
    }

    /// Writes the end.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for Zstd<W> {
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
    use crate::base::random::{Entropy, SeededEntropy};

    #[test]
    fn what_does_better_on_one_input_is_used_for_the_next_ones() {
        let field = |i: u64| format!("{{\"k\": \"field_{}\", \"v\": \"{}\"}}, ", i % 25, blake_like(i)).into_bytes();
        let hashes: Vec<u8> = (0..1u64 << 14).flat_map(field).collect();
        let words = include_bytes!("../../docs/format.md").to_vec();
        for (input, prefers_quick) in [(&hashes, true), (&words, false)] {
            let (mut deflater, mut frame, mut back) = (TryingDeflater::new(3).unwrap(), Vec::new(), Vec::new());
            for _ in 0..40 {
                assert!(deflater.deflate(input, &mut frame));
                Inflater::new().unwrap().inflate(&frame, input.len(), &mut back).unwrap();
                assert_eq!(&back, input);
            }
            assert_eq!(deflater.prefers_quick, prefers_quick);
        }
    }

    /// Hexadecimal digits that do not repeat.
    fn blake_like(seed: u64) -> String {
        let mut bytes = [0; 16];
        SeededEntropy::new(seed).fill(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn text_shrinks_and_comes_back() {
        let text = b"never the same river twice ".repeat(1000);
        let (mut packed, mut back) = (Vec::new(), Vec::new());
        assert!(Deflater::new(3).unwrap().deflate(&text, &mut packed));
        assert!(packed.len() < text.len() / 20);
        Inflater::new().unwrap().inflate(&packed, text.len(), &mut back).unwrap();
        assert_eq!(back, text);
    }

    #[test]
    fn a_stream_may_begin_with_a_frame_that_holds_nothing() {
        let mut zstd = Zstd::new(vec![0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]).unwrap();
        zstd.write_all(b"text").unwrap();
        let packed = zstd.finish().unwrap();
        assert!(begins(&packed) && begins(&packed[11..]) && !begins(&packed[1..]) && !begins(b""));
        assert_eq!(io::read_to_string(expand(packed.as_slice()).unwrap()).unwrap(), "text");
    }

    #[test]
    fn noise_is_refused_small_and_large() {
        for bytes in [1, 31, 1000, 1 << 20] {
            let mut noise = vec![0; bytes];
            SeededEntropy::new(3).fill(&mut noise);
            assert!(!Deflater::new(3).unwrap().deflate(&noise, &mut Vec::new()), "{bytes}");
        }
    }

    #[test]
    fn a_wrong_length_or_a_torn_frame_is_an_error() {
        let text = b"never the same river twice ".repeat(1000);
        let mut packed = Vec::new();
        Deflater::new(3).unwrap().deflate(&text, &mut packed);
        let mut inflater = Inflater::new().unwrap();
        let mut out = Vec::new();
        assert!(inflater.inflate(&packed, text.len() - 1, &mut out).is_err());
        assert!(inflater.inflate(&packed, text.len() + 1, &mut out).is_err());
        assert!(inflater.inflate(&packed[..packed.len() - 1], text.len(), &mut out).is_err());
    }

    #[test]
    fn what_is_said_to_shrink_is_smaller_at_every_length() {
        let mut deflater = Deflater::new(3).unwrap();
        let mut packed = Vec::new();
        for length in 0..2000 {
            if deflater.deflate(&vec![b'a'; length], &mut packed) {
                assert!(packed.len() < length, "{length} became {}", packed.len());
            } else {
                assert!(length < 40, "{length} equal bytes shrink");
            }
        }
    }

    #[test]
    fn text_behind_a_long_run_of_noise_is_still_compressed() {
        let mut mixed = vec![0; 1 << 20];
        SeededEntropy::new(3).fill(&mut mixed[..1 << 19]);
        assert!(Deflater::new(3).unwrap().deflate(&mixed, &mut Vec::new()));
    }

    #[test]
    fn an_output_used_before_leaves_no_trace() {
        let text = b"never the same river twice ".repeat(1000);
        let (mut packed, mut back) = (vec![1; 1 << 20], vec![2; 1 << 20]);
        assert!(Deflater::new(3).unwrap().deflate(&text, &mut packed));
        let mut inflater = Inflater::new().unwrap();
        assert_eq!(inflater.inflate(b"no frame", 100, &mut back), Err(BadFrame));
        inflater.inflate(&packed, text.len(), &mut back).unwrap();
        assert_eq!(back, text);
    }

    #[test]
    fn nothing_expands_only_to_nothing() {
        let mut inflater = Inflater::new().unwrap();
        assert_eq!(inflater.inflate(&[], 0, &mut Vec::new()), Ok(()));
        assert_eq!(inflater.inflate(&[], 1, &mut Vec::new()), Err(BadFrame));
    }

    #[test]
    fn a_stream_comes_back_and_a_torn_one_is_an_error() {
        let text = b"never the same river twice ".repeat(1000);
        let mut stream = Zstd::new(Vec::new()).unwrap();
        stream.write_all(&text).unwrap();
        let packed = stream.finish().unwrap();
        assert!(begins(&packed));
        let mut back = Vec::new();
        expand(packed.as_slice()).unwrap().read_to_end(&mut back).unwrap();
        assert_eq!(back, text);
        let torn = &packed[..packed.len() - 1];
        assert!(expand(torn).unwrap().read_to_end(&mut Vec::new()).is_err());
    }
}

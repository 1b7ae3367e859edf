//! Reading ahead on another thread, for sources that cost time to read: a compressed file is expanded while what came
//! before is worked on.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Bytes handed over at once.
const BLOCK_BYTES: usize = 256 << 10;
/// Blocks read ahead at most.
const BLOCKS_AHEAD: usize = 16;

/// Reads what another thread has read already. That thread ends with the source, or soon after this is dropped.
pub struct Ahead {
    blocks: Receiver<io::Result<Vec<u8>>>,
    current: Vec<u8>,
    used: usize,
    ended: bool,
}

impl Ahead {
    /// Begins to read.
    pub fn start(source: Box<dyn Read + Send>) -> io::Result<Self> {
        let (sender, blocks) = sync_channel(BLOCKS_AHEAD);
        let mut source = source;
        std::thread::Builder::new().name("read-ahead".to_owned()).spawn(move || pump(&mut *source, &sender))?;
        Ok(Self::of(blocks))
    }

    /// Gives `work` a source that is read ahead meanwhile; returns when both have ended.
    pub fn during<T>(source: &mut (dyn Read + Send), work: impl FnOnce(&mut Self) -> T) -> T {
        let (sender, blocks) = sync_channel(BLOCKS_AHEAD);
        std::thread::scope(|threads| {
            threads.spawn(move || pump(source, &sender));
            work(&mut Self::of(blocks))
        })
    }

    fn of(blocks: Receiver<io::Result<Vec<u8>>>) -> Self {
        Self { blocks, current: Vec::new(), used: 0, ended: false }
    }
}

fn pump(source: &mut dyn Read, sender: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut block = vec![0; BLOCK_BYTES];
        let mut filled = 0;
        let mut outcome = Ok(true);
        while filled < block.len() {
            match source.read(&mut block[filled..]) {
                Ok(0) => {
                    outcome = Ok(false);
                    break;
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        block.truncate(filled);
        // What came before a failure is good, and tells where the failure is.
        if filled > 0 && sender.send(Ok(block)).is_err() {
            return;
        }
        match outcome {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                // Nobody is left to be told if this fails.
                let _ = sender.send(Err(error));
                return;
            }
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.used == self.current.len() && !self.ended {
            match self.blocks.recv() {
                Ok(Ok(block)) => (self.current, self.used) = (block, 0),
                Ok(Err(error)) => {
                    self.ended = true;
                    return Err(error);
                }
                Err(_) => self.ended = true,
            }
        }
        let count = buffer.len().min(self.current.len() - self.used);
        buffer[..count].copy_from_slice(&self.current[self.used..self.used + count]);
        self.used += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(usize);

    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("torn"));
            }
            let count = self.0.min(buffer.len());
            buffer[..count].fill(7);
            self.0 -= count;
            Ok(count)
        }
    }

    #[test]
    fn work_that_ends_early_ends_the_reading_too() {
        let mut endless = io::repeat(7);
        let first = Ahead::during(&mut endless, |ahead| {
            let mut byte = [0];
            ahead.read_exact(&mut byte).map(|()| byte[0])
        });
        assert_eq!(first.unwrap(), 7);
    }

    #[test]
    fn everything_before_a_failure_is_read_and_then_the_failure() {
        let mut ahead = Ahead::start(Box::new(Failing(1_000_000))).unwrap();
        let mut read = Vec::new();
        let error = ahead.read_to_end(&mut read).unwrap_err();
        assert_eq!((read.len(), error.to_string().as_str()), (1_000_000, "torn"));
    }

    #[test]
    fn a_source_is_read_to_its_end_and_may_be_left_before() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|number| number as u8).collect();
        let mut read = Vec::new();
        Ahead::start(Box::new(io::Cursor::new(bytes.clone()))).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        let endless = Ahead::start(Box::new(io::repeat(1))).unwrap();
        drop(endless);
    }
}

//! Reading from a pipe or terminal that may say nothing for hours, without being deaf to a request to stop.

use std::io::{self, Read};
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::base::cancel::Cancel;

/// How long a request to stop may go unseen.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Reads a descriptor, unbuffered. A request to stop is an error of the kind `TimedOut`; the caller, who holds the
/// request too, knows what it means.
pub struct Patient<'a> {
    source: BorrowedFd<'a>,
    cancel: &'a Cancel,
}

impl<'a> Patient<'a> {
    /// A reader of `source` that `cancel` ends.
    pub fn new(source: BorrowedFd<'a>, cancel: &'a Cancel) -> Self {
        Self { source, cancel }
    }

    fn wait(&self) -> io::Result<()> {
        loop {
            if self.cancel.is_requested() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "stopped on request"));
            }
            match poll(&mut [PollFd::from_borrowed_fd(self.source, PollFlags::IN)], Some(&PAUSE)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait()?;
        Ok(rustix::io::read(self.source, buffer)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_is_written_is_read_to_the_end() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"all of it").unwrap();
        drop(writer);
        let mut read = Vec::new();
        Patient::new(reader.as_fd(), &Cancel::default()).read_to_end(&mut read).unwrap();
        assert_eq!(read, b"all of it");
    }

    #[test]
    fn a_silent_pipe_ends_with_the_request_to_stop() {
        let (reader, writer) = io::pipe().unwrap();
        let cancel = Cancel::default();
        cancel.request();
        let error = Patient::new(reader.as_fd(), &cancel).read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(writer);
    }
}

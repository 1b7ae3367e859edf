//! Reading from a pipe or terminal that may say nothing for hours, and writing to one that nobody may read for as long,
//! without being deaf to a request to stop.

use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::base::cancel::Cancel;

/// How long a request to stop may go unseen.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

const PIPE_BUF: usize = 4096;

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
}

fn wait(pipe: BorrowedFd<'_>, flags: PollFlags, cancel: &Cancel) -> io::Result<()> {
    loop {
        if cancel.is_requested() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "stopped on request"));
        }
        match poll(&mut [PollFd::from_borrowed_fd(pipe, flags)], Some(&PAUSE)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes a pipe, unbuffered. A request to stop is an error as of [`Patient`].
pub struct PatientWriter<'a> {
    sink: BorrowedFd<'a>,
    cancel: &'a Cancel,
}

impl<'a> PatientWriter<'a> {
    /// A writer into `sink` that `cancel` ends.
    pub fn new(sink: BorrowedFd<'a>, cancel: &'a Cancel) -> Self {
        Self { sink, cancel }
    }
}

impl Write for PatientWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        wait(self.sink, PollFlags::OUT, self.cancel)?;
        // A pipe that can be written to takes so much at once. Source: pipe(7), PIPE_BUF.
        Ok(rustix::io::write(self.sink, &bytes[..bytes.len().min(PIPE_BUF)])?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        wait(self.source, PollFlags::IN, self.cancel)?;
        Ok(rustix::io::read(self.source, buffer)?)
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_pipe_that_nobody_reads_ends_with_the_request_to_stop() {
        let (mut reader, writer) = io::pipe().unwrap();
        let cancel = Cancel::default();
        let mut patient = PatientWriter::new(writer.as_fd(), &cancel);
        patient.write_all(&[7; 10_000]).unwrap();
        let error = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(100));
                cancel.request();
            });
            patient.write_all(&[8; 1 << 20]).unwrap_err()
        });
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let mut read = [0; 10_000];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(read, [7; 10_000]);
    }
}

//! The guard: a process in a session of its own that starts the node if the backup dies. It waits for the end of a pipe
//! whose other end only the backup holds, and then does what the stop journal says. However the backup ends, by
//! `kill -9` too, the kernel closes the pipe.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::base::cancel::Cancel;
use crate::dss::control::error::ControlError;
use crate::dss::control::journal::StopJournal;
use crate::dss::control::recover::{Recovered, recover};
use crate::sys::process::without_secrets;

/// The hidden command that runs [`watch`], and its only argument: the journal.
pub const COMMAND: &str = "guard";

/// A running guard. Dropped, it looks at the journal and goes.
pub struct Guard(Child);

impl Guard {
    /// Starts a guard over a journal. `program` is dssvault itself.
    pub fn post(program: &Path, journal: &StopJournal) -> Result<Self, ControlError> {
        let mut command = Command::new("setsid");
        command.arg(program).arg(COMMAND).arg(journal.path());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
        // Nor what would make the guard look like a part of the node.
        without_secrets(&mut command).env_remove("DIP_HOME");
        match command.spawn() {
            Ok(child) => Ok(Self(child)),
            Err(source) => Err(ControlError::Spawn { command: "setsid dssvault guard".to_owned(), source }),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It ends at once if nothing is owed; if something is, it must not be waited for.
        let _ = self.0.try_wait();
    }
}

/// What the guard process does: waits until the pipe on standard input ends, then recovers.
pub fn watch(journal: &StopJournal) -> Result<Recovered, ControlError> {
    let mut rest = Vec::new();
    loop {
        match io::stdin().read_to_end(&mut rest) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A pipe that cannot be read is one nobody holds.
            Err(_) => break,
        }
    }
    recover(journal, &Cancel::default())
}

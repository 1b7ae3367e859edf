//! Is it running? One signal is never enough: `bin/dss status` says "not running" of nodes that run, after an
//! upgrade under their feet, after the end of their supervisor, or when another account asks (measured).

use std::path::PathBuf;

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Running {
    /// It runs, or parts of it do.
    Running,
    /// Nothing of it runs.
    Stopped,
    /// It cannot be told.
    Unknown,
}

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "signal")]
pub enum Signal {
    /// A process with `DIP_HOME` set to the data directory.
    Process {
        /// Its number.
        pid: u32,
        /// Its name.
        name: String,
        /// The unit its control group names, if that is one of systemd's services.
        unit: Option<String>,
    },
    /// Somebody listens on one of its ports.
    Port {
        /// Which.
        port: u16,
    },
    /// A process holds a lock on one of its files.
    Lock {
        /// Its number; 0 or below if the kernel does not say.
        pid: i64,
        /// The file.
        path: PathBuf,
    },
    /// A process of the owner's account whose environment may not be read by this account.
    Hidden {
        /// Its number.
        pid: u32,
    },
    /// Something could not be looked at.
    Unreadable {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
}

impl std::fmt::Display for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Process { pid, name, unit: None } => write!(f, "process {pid} ({name}) belongs to it"),
            Self::Process { pid, name, unit: Some(unit) } => {
                write!(f, "process {pid} ({name}) belongs to it, started by {unit}")
            }
            Self::Port { port } => write!(f, "something listens on port {port}"),
            Self::Lock { pid, path } if *pid > 0 => write!(f, "process {pid} holds a lock on {}", path.display()),
            Self::Lock { path, .. } => write!(f, "somebody holds a lock on {}", path.display()),
            Self::Hidden { pid } => write!(f, "process {pid} of the owner may belong to it; this account may not look"),
            Self::Unreadable { what, why } => write!(f, "{what} cannot be read: {why}"),
        }
    }
}

/// Everything that was seen at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Evidence {
    /// In the order it was looked for.
    pub signals: Vec<Signal>,
}

impl Evidence {
    /// The conclusion. A process or a lock proves that it runs. A listening port alone does not: another program may
    /// have taken it. But it keeps us from saying "stopped", as does whatever may not be looked at.
    pub fn running(&self) -> Running {
        let mut answer = Running::Stopped;
        for signal in &self.signals {
            match signal {
                Signal::Process { .. } | Signal::Lock { .. } => return Running::Running,
                Signal::Port { .. } | Signal::Hidden { .. } | Signal::Unreadable { .. } => answer = Running::Unknown,
            }
        }
        answer
    }

    /// The systemd unit it runs under, if its processes say so.
    pub fn unit(&self) -> Option<&str> {
        self.signals.iter().find_map(|signal| match signal {
            Signal::Process { unit, .. } => unit.as_deref(),
            _ => None,
        })
    }

    /// One line for people, the most telling signals first; at most three.
    pub fn summary(&self) -> String {
        if self.signals.is_empty() {
            return "no process, no listening port and no lock belongs to it".to_owned();
        }
        let shown: Vec<String> = self.signals.iter().take(3).map(ToString::to_string).collect();
        let more = self.signals.len().saturating_sub(shown.len());
        let more = if more > 0 { format!(", and {more} more signals") } else { String::new() };
        format!("{}{more}", shown.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(signals: Vec<Signal>) -> Evidence {
        Evidence { signals }
    }

    #[test]
    fn nothing_seen_is_stopped() {
        assert_eq!(Evidence::default().running(), Running::Stopped);
    }

    #[test]
    fn a_process_or_a_lock_proves_that_it_runs_whatever_else_is_hidden() {
        let process = Signal::Process { pid: 7, name: "java".to_owned(), unit: None };
        let lock = Signal::Lock { pid: 7, path: "databases/jobs.mv.db".into() };
        for proof in [process, lock] {
            assert_eq!(evidence(vec![Signal::Hidden { pid: 9 }, proof]).running(), Running::Running);
        }
    }

    #[test]
    fn a_port_alone_or_a_hidden_process_is_no_proof_of_either() {
        assert_eq!(evidence(vec![Signal::Port { port: 11000 }]).running(), Running::Unknown);
        assert_eq!(evidence(vec![Signal::Hidden { pid: 9 }]).running(), Running::Unknown);
    }
}

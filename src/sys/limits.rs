//! What this process may have open at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More are never needed.
const DESCRIPTORS_WANTED: u64 = 65_536;

/// Raises the limit of open files as far as is allowed and useful, and returns it.
pub fn raise_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.unwrap_or(DESCRIPTORS_WANTED).min(DESCRIPTORS_WANTED);
    let now = limit.current.unwrap_or(DESCRIPTORS_WANTED);
    let raised = Rlimit { current: Some(allowed), maximum: limit.maximum };
    let reached = if now < allowed && setrlimit(Resource::Nofile, raised).is_ok() { allowed } else { now };
    usize::try_from(reached).unwrap_or(1024)
}

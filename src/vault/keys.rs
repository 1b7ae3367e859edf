//! Key slots as verbs: list, add, remove, change the password.

/// The name of this machine, for people.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

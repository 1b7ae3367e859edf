//! Looking for signals of a running node in `/proc`: processes by `DIP_HOME`, listening ports, locks.

use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::dss::control::evidence::{Evidence, Signal};
use crate::dss::control::instance::Instance;

/// The variable every process of a node but nginx has, naming the data directory (measured).
const HOME_VARIABLE: &[u8] = b"DIP_HOME=";
/// Folders of the data directory in which a running node holds locks: H2 files, `.mainlock`, `.wlock`.
const LOCKED_FOLDERS: [&str; 3] = ["databases", "timelines", "config"];
/// State of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Everything there is to see of a node now.
pub fn look(instance: &Instance) -> Evidence {
    let mut signals = Vec::new();
    processes(instance, &mut signals);
    ports(instance, &mut signals);
    locks(instance, &mut signals);
    Evidence { signals }
}

fn processes(instance: &Instance, signals: &mut Vec<Signal>) {
    let listed = match std::fs::read_dir("/proc") {
        Ok(listed) => listed,
        Err(error) => return unreadable(signals, "/proc", &error),
    };
    let own = ancestors();
    // As the owner every process of DSS can be read: what hides (ssh-agent, gpg-agent) is none.
    let is_owner = rustix::process::geteuid().as_raw() == instance.owner.uid;
    for entry in listed.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if own.contains(&pid) || is_login_shell(pid) {
            continue;
        }
        match std::fs::read(entry.path().join("environ")) {
            Ok(environ) if is_home(&environ, &instance.data_dir) => {
                signals.push(Signal::Process { pid, name: name_of(pid), unit: unit_of(pid) });
            }
            // Kernel threads and processes that are gone have none.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_owner => {
                let owned = entry.metadata().is_ok_and(|metadata| metadata.uid() == instance.owner.uid);
                if owned {
                    signals.push(Signal::Hidden { pid });
                }
            }
            Err(_) => {}
        }
    }
}

/// This process and those above it: an administrator may well have `DIP_HOME` set in the shell that runs a backup.
fn ancestors() -> Vec<u32> {
    let mut line = vec![std::process::id()];
    while let Some(parent) = line.last().and_then(|pid| parent_of(*pid)).filter(|parent| *parent > 1) {
        if line.contains(&parent) {
            break;
        }
        line.push(parent);
    }
    line
}

fn parent_of(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// Whether it is a shell somebody sits at, without any argument: the profile of the account may set `DIP_HOME`.
fn is_login_shell(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| is_shell_alone(&line))
}

fn is_shell_alone(line: &[u8]) -> bool {
    let mut words = line.split(|&byte| byte == 0).filter(|word| !word.is_empty());
    let (Some(first), None) = (words.next(), words.next()) else { return false };
    let name = first.rsplit(|&byte| byte == b'/').next().unwrap_or(first);
    let name = name.strip_prefix(b"-").unwrap_or(name);
    [&b"sh"[..], b"bash", b"dash", b"zsh", b"ksh", b"fish", b"csh", b"tcsh"].contains(&name)
}

/// Whether somebody is stopping or starting it at this moment. Such a process goes on when the backup that began it is
/// killed.
pub fn is_being_controlled(instance: &Instance) -> bool {
    is_run_by_somebody(&[&instance.program()])
}

/// Whether the command line of another process names all of these: a program and what it works on.
pub fn is_run_by_somebody(paths: &[&Path]) -> bool {
    let own = ancestors();
    let is_other = |name: &std::ffi::OsStr| {
        name.to_str().and_then(|name| name.parse().ok()).is_some_and(|pid: u32| !own.contains(&pid))
    };
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let others = processes.filter(|entry| is_other(&entry.file_name()));
    let mut lines = others.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.any(|line| paths.iter().all(|path| holds(&line, path.as_os_str().as_bytes())))
}

fn holds(line: &[u8], wanted: &[u8]) -> bool {
    line.windows(wanted.len()).any(|window| window == wanted)
}

/// Starts a program that others shall see: right after its start the kernel shows neither its words nor its environment.
#[cfg(test)]
pub fn seen(command: &mut std::process::Command) -> std::process::Child {
    let child = command.spawn().unwrap();
    while std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap().is_empty() {
        std::thread::yield_now();
    }
    child
}

/// Whether an environment names this directory as the node's home.
fn is_home(environ: &[u8], data_dir: &Path) -> bool {
    let mut variables = environ.split(|&byte| byte == 0);
    let home = variables.find_map(|variable| variable.strip_prefix(HOME_VARIABLE));
    home.is_some_and(|home| {
        let home = Path::new(std::ffi::OsStr::from_bytes(home));
        home == data_dir || home.canonicalize().is_ok_and(|home| home == data_dir)
    })
}

fn name_of(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).map_or_else(|_| "?".to_owned(), |name| name.trim().to_owned())
}

/// The service of systemd a process belongs to, by its control group.
fn unit_of(pid: u32) -> Option<String> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    unit_in(&groups)
}

/// DSS's own unit is `dataiku[.NAME].service` (docs, "initial install"); a backup's unit must not be taken for it.
fn unit_in(groups: &str) -> Option<String> {
    let mut parts = groups.lines().flat_map(|line| line.split('/'));
    parts.rfind(|part| part.starts_with("dataiku") && part.ends_with(".service")).map(ToOwned::to_owned)
}

/// Those of these ports that somebody listens on.
pub fn taken(wanted: impl Iterator<Item = u16>) -> Vec<u16> {
    let listening = listening(&mut Vec::new());
    wanted.filter(|port| listening.contains(port)).collect()
}

fn ports(instance: &Instance, signals: &mut Vec<Signal>) {
    let listening = listening(signals);
    signals.extend(instance.ports().filter(|port| listening.contains(port)).map(|port| Signal::Port { port }));
}

/// Every port somebody listens on.
fn listening(signals: &mut Vec<Signal>) -> Vec<u16> {
    let mut listening = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match std::fs::read_to_string(table) {
            Ok(text) => listening.extend(listening_ports(&text)),
            // A kernel without IPv6 has no second table.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => unreadable(signals, table, &error),
        }
    }
    listening
}

/// Ports of the listening sockets in a table like `/proc/net/tcp` (proc(5)).
fn listening_ports(table: &str) -> impl Iterator<Item = u16> + '_ {
    table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (local, state) = (fields.nth(1)?, fields.nth(1)?);
        let (_, port) = local.rsplit_once(':')?;
        if state == LISTEN { u16::from_str_radix(port, 16).ok() } else { None }
    })
}

fn locks(instance: &Instance, signals: &mut Vec<Signal>) {
    let table = match std::fs::read_to_string("/proc/locks") {
        Ok(table) => table,
        Err(error) => return unreadable(signals, "/proc/locks", &error),
    };
    let held: HashMap<(u64, u64), i64> = held_locks(&table).collect();
    if held.is_empty() {
        return;
    }
    for folder in LOCKED_FOLDERS {
        let folder = instance.data_dir.join(folder);
        match std::fs::read_dir(&folder) {
            Ok(listed) => {
                let found = listed.flatten().filter_map(|entry| lock_on(&entry.path(), &held));
                signals.extend(found);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => unreadable(signals, &folder.display().to_string(), &error),
        }
    }
}

fn lock_on(path: &Path, held: &HashMap<(u64, u64), i64>) -> Option<Signal> {
    let metadata = path.symlink_metadata().ok()?;
    let pid = held.get(&(metadata.dev(), metadata.ino()))?;
    Some(Signal::Lock { pid: *pid, path: PathBuf::from(path) })
}

/// Device and inode of each locked file with the holder's number, from `/proc/locks` (proc(5)):
/// `1: POSIX ADVISORY WRITE 3568 fd:00:2531452 0 EOF`; lines of waiters begin with `->` behind the number.
fn held_locks(table: &str) -> impl Iterator<Item = ((u64, u64), i64)> + '_ {
    table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        if fields.get(1) == Some(&"->") {
            return None;
        }
        let pid = fields.get(4)?.parse().ok()?;
        let mut file = fields.get(5)?.split(':');
        let major = u32::from_str_radix(file.next()?, 16).ok()?;
        let minor = u32::from_str_radix(file.next()?, 16).ok()?;
        let inode = file.next()?.parse().ok()?;
        Some(((rustix::fs::makedev(major, minor), inode), pid))
    })
}

fn unreadable(signals: &mut Vec<Signal>, what: &str, error: &io::Error) {
    signals.push(Signal::Unreadable { what: what.to_owned(), why: error.to_string() });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_ports_of_both_families_are_read_and_others_are_not() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
            0: 00000000:2AF8 00000000:0000 0A 00000000:00000000\n\
            1: 0100007F:2AF9 0100007F:9C40 01 00000000:00000000\n\
            2: 00000000000000000000000000000000:2AFA 00000000000000000000000000000000:0000 0A 0\n\
            broken line\n";
        assert_eq!(listening_ports(table).collect::<Vec<_>>(), [11000, 11002]);
    }

    #[test]
    fn holders_of_locks_are_read_and_waiters_are_not() {
        let table = "1: POSIX  ADVISORY  WRITE 3568 fd:01:2531452 0 EOF\n\
            1: -> POSIX  ADVISORY  WRITE 3569 fd:01:2531453 0 EOF\n\
            2: FLOCK  ADVISORY  WRITE -1 00:16:77 0 EOF\nrubbish\n";
        let held: Vec<_> = held_locks(table).collect();
        assert_eq!(held, [((rustix::fs::makedev(0xfd, 1), 2_531_452), 3568), ((rustix::fs::makedev(0, 0x16), 77), -1)]);
    }

    #[test]
    fn only_the_units_of_dss_count() {
        assert_eq!(unit_in("0::/system.slice/dataiku.design.service\n"), Some("dataiku.design.service".to_owned()));
        assert_eq!(unit_in("0::/system.slice/dssvault-backup.service\n"), None);
        assert_eq!(unit_in("0::/user.slice/user-0.slice/session-1.scope\n"), None);
    }

    #[test]
    fn a_shell_somebody_sits_at_is_no_sign_and_a_script_is() {
        for line in [&b"-bash\0"[..], b"/usr/bin/zsh\0", b"sh\0"] {
            assert!(is_shell_alone(line), "{}", String::from_utf8_lossy(line));
        }
        for line in [&b"bash\0/data/dss/bin/dss\0run\0"[..], b"java\0", b"", b"/opt/bashful\0"] {
            assert!(!is_shell_alone(line), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn the_line_of_ancestors_begins_here_and_ends() {
        let line = ancestors();
        assert_eq!(line.first(), Some(&std::process::id()));
        assert!(line.len() > 1 && !line.contains(&1));
    }

    #[test]
    fn the_home_in_an_environment_is_found_whatever_its_spelling() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, link) = (folder.path().canonicalize().unwrap().join("dss"), folder.path().join("link"));
        std::fs::create_dir(&dir).unwrap();
        std::os::unix::fs::symlink(&dir, &link).unwrap();
        let environ = |home: &Path| [b"A=1\0DIP_HOME=", home.as_os_str().as_bytes(), b"\0B=2"].concat();
        assert!(is_home(&environ(&dir), &dir) && is_home(&environ(&link), &dir));
        assert!(!is_home(&environ(folder.path()), &dir));
        assert!(!is_home(b"NOT_DIP_HOME=/x\0", Path::new("/x")));
    }
}

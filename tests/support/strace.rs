//! Runs a program under `strace` and proves from its system calls that every object was durable before it had its
//! name, and its name durable before anything that depends on it was begun.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is watched: all that can write, name, remove or make durable.
const WATCHED: &str = "openat,open,creat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,copy_file_range,sendfile,\
    fsync,fdatasync,link,linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat";

/// One system call that succeeded, on absolute paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub call: Call,
    /// Line of the trace on which it began; of two threads' calls only lines tell the order.
    pub began: usize,
    /// Line on which it returned.
    pub ended: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Bytes or the size of a file changed.
    Write(PathBuf),
    Sync(PathBuf),
    /// A file got a (second) name: `link` and `rename`.
    Name {
        from: PathBuf,
        to: PathBuf,
    },
    MakeFolder(PathBuf),
    Remove(PathBuf),
}

/// An object that got its final name, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub path: PathBuf,
    /// Line on which naming began: from here on others may see it.
    pub visible: usize,
    /// Line on which its name was durable.
    pub durable: usize,
}

/// Whether `strace` is installed and may trace here; why not otherwise.
pub fn available() -> Result<(), String> {
    match Command::new("strace").args(["-o", "/dev/null", "true"]).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("strace may not trace: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("strace cannot be run: {error}")),
    }
}

/// Runs `program` with all its threads and children under `strace`; it must end well.
pub fn trace(program: &Path, configure: impl FnOnce(&mut Command)) -> Vec<Event> {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "0", "-e", &format!("trace={WATCHED}"), "-o"]).arg(&log).arg("--").arg(program);
    configure(&mut command);
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "the traced program failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    parse(&std::fs::read_to_string(&log).unwrap())
}

/// Reads what `strace -f -y -o` wrote. Failed calls are left out.
pub fn parse(text: &str) -> Vec<Event> {
    let mut unfinished: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut events = Vec::new();
    for (line, entry) in text.lines().enumerate() {
        let Some((process, entry)) = entry.split_once(' ') else { continue };
        let entry = entry.trim_start();
        if let Some(begun) = entry.strip_suffix(" <unfinished ...>") {
            unfinished.insert(process, (line, begun));
        } else if let Some(rest) = entry.strip_prefix("<... ") {
            let Some((began, begun)) = unfinished.remove(process) else { continue };
            let Some((_, rest)) = rest.split_once(" resumed>") else { continue };
            let call = call(&format!("{begun}{rest}"));
            events.extend(call.map(|call| Event { call, began, ended: line }));
        } else {
            events.extend(call(entry).map(|call| Event { call, began: line, ended: line }));
        }
    }
    events
}

fn call(entry: &str) -> Option<Call> {
    let (name, rest) = entry.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(") = ").or_else(|| {
        // Columns are aligned: `close(3)    = 0`.
        let (arguments, result) = rest.rsplit_once(" = ")?;
        Some((arguments.trim_end().strip_suffix(')')?, result))
    })?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let arguments: Vec<&str> = arguments.split(", ").collect();
    let argument = |index: usize| arguments.get(index).copied();
    match name {
        "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" | "ftruncate" => {
            descriptor(argument(0)?).map(Call::Write)
        }
        "sendfile" => descriptor(argument(0)?).map(Call::Write),
        "copy_file_range" => descriptor(argument(2)?).map(Call::Write),
        "open" | "openat" | "creat" if name == "creat" || entry.contains("O_TRUNC") => {
            descriptor(result).map(Call::Write)
        }
        "fsync" | "fdatasync" => descriptor(argument(0)?).map(Call::Sync),
        "link" | "rename" => Some(Call::Name { from: quoted(argument(0)?)?, to: quoted(argument(1)?)? }),
        "linkat" | "renameat" | "renameat2" => {
            Some(Call::Name { from: at(argument(0)?, argument(1)?)?, to: at(argument(2)?, argument(3)?)? })
        }
        "mkdir" => quoted(argument(0)?).map(Call::MakeFolder),
        "mkdirat" => at(argument(0)?, argument(1)?).map(Call::MakeFolder),
        "unlink" => quoted(argument(0)?).map(Call::Remove),
        "unlinkat" => at(argument(0)?, argument(1)?).map(Call::Remove),
        _ => None,
    }
}

/// The file behind `3</path>`.
fn descriptor(argument: &str) -> Option<PathBuf> {
    let (_, path) = argument.split_once('<')?;
    Some(path.rsplit_once('>')?.0.into())
}

fn quoted(argument: &str) -> Option<PathBuf> {
    Some(argument.strip_prefix('"')?.strip_suffix('"')?.into())
}

fn at(folder: &str, path: &str) -> Option<PathBuf> {
    Some(descriptor(folder)?.join(quoted(path)?))
}

/// Every object that got a name below `root`, in order of becoming visible; what got a name below `root/tmp` is
/// none. An error says which promise is broken: write → fsync of the file → name → fsync of the folder, and a
/// folder made on the way is durable in its own parent before.
pub fn published(events: &[Event], root: &Path) -> Result<Vec<Published>, String> {
    let mut found = Vec::new();
    for event in events {
        let Call::Name { from, to } = &event.call else { continue };
        if !to.starts_with(root) || to.starts_with(root.join("tmp")) {
            continue;
        }
        let synced = require_synced(events, from, to, event.began)?;
        let folder = to.parent().ok_or("a file without a folder")?;
        require_durable_folder(events, folder, event.began)?;
        let durable = sync_after(events, folder, event.ended)
            .ok_or_else(|| format!("the folder of {} was never synced after it got its name", to.display()))?;
        require_unchanged(events, [from, to], synced)?;
        found.push(Published { path: to.clone(), visible: event.began, durable });
    }
    found.sort_by_key(|published| published.visible);
    Ok(found)
}

/// The files below `root`, temporary ones aside, that were written under their final name, where whoever looks may
/// see them half written.
pub fn written_in_place(events: &[Event], root: &Path) -> Vec<PathBuf> {
    let outside = |path: &Path| !path.starts_with(root) || path.starts_with(root.join("tmp"));
    events
        .iter()
        .filter_map(|event| match &event.call {
            Call::Write(path) if !outside(path) => Some(path.clone()),
            _ => None,
        })
        .collect()
}

/// Proves that all objects of one folder were durable before any of another became visible.
pub fn require_order(published: &[Published], root: &Path, first: &str, then: &str) -> Result<(), String> {
    let of = |folder: &str| {
        let folder = root.join(folder);
        published.iter().filter(move |object| object.path.starts_with(&folder))
    };
    for earlier in of(first) {
        if let Some(later) = of(then).find(|later| later.visible <= earlier.durable) {
            let (earlier, later) = (earlier.path.display(), later.path.display());
            return Err(format!("{later} became visible before {earlier} was durable"));
        }
    }
    Ok(())
}

/// The end of the `fsync` that covers every write to the file.
fn require_synced(events: &[Event], from: &Path, to: &Path, before: usize) -> Result<usize, String> {
    let writes = events.iter().filter(|event| event.call == Call::Write(from.into()) && event.began < before);
    let last = writes.map(|event| event.ended).max().ok_or_else(|| format!("{} was never written", to.display()))?;
    let synced = sync_after(events, from, last).filter(|synced| *synced < before);
    synced.ok_or_else(|| format!("{} got its name before its bytes were synced", to.display()))
}

fn require_durable_folder(events: &[Event], folder: &Path, before: usize) -> Result<(), String> {
    let made = events.iter().find(|event| event.call == Call::MakeFolder(folder.into()));
    let (Some(made), Some(parent)) = (made, folder.parent()) else { return Ok(()) };
    // From its beginning, for a thread that finds the folder made may go on before the trace shows its maker's return.
    let synced = sync_after(events, parent, made.began).filter(|synced| *synced < before);
    synced.map(drop).ok_or_else(|| format!("{} was used before it was durable in its parent", folder.display()))
}

fn require_unchanged(events: &[Event], paths: [&PathBuf; 2], synced: usize) -> Result<(), String> {
    let changed = |event: &&Event| matches!(&event.call, Call::Write(path) if paths.contains(&path));
    match events.iter().filter(changed).find(|event| event.ended > synced) {
        Some(event) => Err(format!("{} was written after it was synced: {event:?}", paths[1].display())),
        None => Ok(()),
    }
}

/// The end of the first `fsync` of a path that began after a line.
fn sync_after(events: &[Event], path: &Path, line: usize) -> Option<usize> {
    let syncs = events.iter().filter(|event| event.call == Call::Sync(path.into()) && event.began > line);
    syncs.map(|event| event.ended).min()
}

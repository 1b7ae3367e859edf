//! Removing a directory with everything in it, however deep, with two open directories at a time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{RenameFlags, renameat_with};

use crate::sys::beneath::{FileName, list, open_dir, remove_dir, unlink};
use crate::sys::meta::{FileKind, lstat_at};

/// Removes `name` in `dir`, whatever it is; returns how many entries went.
///
/// Directories two levels down are first moved up beside the others, so that neither recursion nor a path nor a
/// pile of descriptors grows with the depth.
pub fn remove_all(dir: BorrowedFd<'_>, name: &FileName) -> io::Result<u64> {
    if lstat_at(dir, name.as_c_str())?.kind != FileKind::Directory {
        unlink(dir, name)?;
        return Ok(1);
    }
    let top = open_dir(dir, name)?;
    let mut removed = 0;
    let mut moved = 0u64;
    loop {
        let names = list(&top)?;
        if names.is_empty() {
            break;
        }
        for child in &names {
            removed += empty(top.as_fd(), child, &mut moved)? + 1;
        }
    }
    remove_dir(dir, name)?;
    Ok(removed + 1)
}

/// Removes a child of `top`; what directories it has are moved up into `top`. Counts what went besides itself.
fn empty(top: BorrowedFd<'_>, child: &FileName, moved: &mut u64) -> io::Result<u64> {
    if lstat_at(top, child.as_c_str())?.kind != FileKind::Directory {
        unlink(top, child)?;
        return Ok(0);
    }
    let open = open_dir(top, child)?;
    let mut removed = 0;
    for name in list(&open)? {
        if lstat_at(open.as_fd(), name.as_c_str())?.kind != FileKind::Directory {
            unlink(&open, &name)?;
            removed += 1;
        } else if remove_dir(&open, &name).is_ok() {
            removed += 1;
        } else {
            move_up(open.as_fd(), &name, top, moved)?;
        }
    }
    remove_dir(top, child)?;
    Ok(removed)
}

fn move_up(from: BorrowedFd<'_>, name: &FileName, top: BorrowedFd<'_>, moved: &mut u64) -> io::Result<()> {
    loop {
        *moved += 1;
        let free = format!(".being-removed-{moved}");
        match renameat_with(from, name.as_c_str(), top, free, RenameFlags::NOREPLACE) {
            Err(rustix::io::Errno::EXIST) => {}
            other => return Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn a_tree_deeper_than_any_path_goes_wholly_and_nothing_outside_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("outside"), b"stays").unwrap();
        let root = File::open(dir.path()).unwrap();
        let victim = FileName::new("victim").unwrap();
        crate::sys::beneath::make_dir(&root, &victim).unwrap();
        let mut at = open_dir(&root, &victim).unwrap();
        let long = FileName::new("d".repeat(100)).unwrap();
        for _ in 0..300 {
            crate::sys::beneath::make_dir(&at, &long).unwrap();
            crate::sys::beneath::symlink(b"../../outside", &at, &FileName::new("link").unwrap()).unwrap();
            at = open_dir(&at, &long).unwrap();
        }

        let removed = remove_all(root.as_fd(), &victim).unwrap();

        assert_eq!(removed, 601);
        assert_eq!(fs::read(dir.path().join("outside")).unwrap(), b"stays");
        assert_eq!(list(&root).unwrap().len(), 1);
    }
}

//! A file we leave in the data directory for whoever owns it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::sys::durable;

/// Writes it, owned by the owner of the data directory and readable for everybody who may enter that.
pub fn leave(data_dir: &Path, below: &str, text: &str) -> io::Result<()> {
    let owner = data_dir.metadata()?;
    durable::give(&data_dir.join(below), text.as_bytes(), (owner.uid(), owner.gid()), 0o644)
}

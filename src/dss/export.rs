//! Writing a snapshot back as the archive the documented script makes: the data directory under its own name, so that
//! `tar -xzf` brings it back.

use std::io::Write;
use std::path::Path;

use crate::dss::backup::DATADIR;
use crate::repo::Repository;
use crate::repo::snapshot::Manifest;
use crate::vault::dump::{self, Exported, Naming};
use crate::vault::{Context, VaultError};

/// What a data directory is called in an archive if the snapshot does not tell.
const USUAL_NAME: &str = "dss_data";

/// Writes what is at `path` as a tar archive; of a node's snapshot, if no path is given, the data directory.
pub fn run(
    repository: &Repository,
    manifest: &Manifest,
    path: &[u8],
    context: Context<'_>,
    out: &mut dyn Write,
) -> Result<Exported, VaultError> {
    let (path, naming) = of(manifest, path);
    dump::archive(repository, manifest, path, naming, context, out)
}

fn of<'p>(manifest: &Manifest, path: &'p [u8]) -> (&'p [u8], Naming) {
    match &manifest.dss {
        Some(_) if path.is_empty() || path == DATADIR.as_bytes() => {
            // Its path where it is known, else its folder in the archive it came from.
            let told = manifest.members.iter().find(|member| member.kind == DATADIR);
            let name = told.and_then(|member| Path::new(&member.name).file_name());
            let name = name.map_or_else(|| USUAL_NAME.to_owned(), |name| name.to_string_lossy().into_owned());
            (DATADIR.as_bytes(), Naming { dropped: DATADIR.len(), prefix: name.into_bytes() })
        }
        _ => (path, Naming::below_parent(path)),
    }
}

//! What an export wrote.

use std::path::Path;

use serde::Serialize;

use crate::base::size::ByteCount;
use crate::cli::output::View;
use crate::cli::text::counted;
use crate::vault::archive::Packing;
use crate::vault::dump::Exported;

/// An archive that was written.
#[derive(Debug, Serialize)]
pub struct ExportView {
    message_type: &'static str,
    archive: String,
    packing: Packing,
    archive_bytes: u64,
    #[serde(flatten)]
    exported: Exported,
}

impl ExportView {
    /// The view of an archive of so many bytes.
    pub fn new(path: &Path, packing: Packing, archive_bytes: u64, exported: Exported) -> Self {
        Self { message_type: "exported", archive: path.display().to_string(), packing, archive_bytes, exported }
    }
}

impl View for ExportView {
    fn text(&self) -> String {
        let Exported { members, bytes, sockets, damaged } = self.exported;
        let members = counted(members, "member", "members");
        let mut text =
            format!("wrote {} in {members} to {}, {}\n", ByteCount(bytes), self.archive, ByteCount(self.archive_bytes));
        if sockets > 0 {
            text.push_str(&format!("left out {}\n", counted(sockets, "socket", "sockets")));
        }
        if damaged > 0 {
            text.push_str(&format!("left out {} that lack something\n", counted(damaged, "file", "files")));
        }
        text
    }
}

//! What repairs found and did.

use serde::Serialize;

use crate::cli::output::View;
use crate::cli::text::{self, counted};
use crate::vault::repair::index::IndexRepair;
use crate::vault::repair::packs::PacksRepair;
use crate::vault::repair::snapshots::{Action, SnapshotsPlan};

/// What became of the index.
#[derive(Debug, Serialize)]
pub struct IndexView {
    message_type: &'static str,
    part: &'static str,
    dry_run: bool,
    /// Packs listed from their own tables.
    listed: Vec<String>,
    unreadable: Vec<Reason>,
    /// Segments that go.
    replaced: Vec<String>,
    kept: Vec<Reason>,
    segments_written: u64,
    segments_deleted: u64,
}

/// An object and why.
#[derive(Debug, Serialize)]
struct Reason {
    object: String,
    cause: String,
}

impl IndexView {
    /// The view of a plan, or of what was done.
    pub fn new(repair: IndexRepair, dry_run: bool) -> Self {
        let plan = repair.plan;
        let pack = |id: &crate::base::id::PackId| format!("packs/{id}");
        let segment = |id: &crate::base::id::SegmentId| format!("index/{id}");
        let reason = |object: String, cause: String| Reason { object, cause };
        Self {
            message_type: "summary",
            part: "index",
            dry_run,
            listed: plan.list.iter().map(pack).collect(),
            unreadable: plan.unreadable.into_iter().map(|(id, why)| reason(pack(&id), why)).collect(),
            replaced: plan.retire.iter().chain(&plan.doomed).map(segment).collect(),
            kept: repair.kept.into_iter().map(|(id, why)| reason(segment(&id), why)).collect(),
            segments_written: repair.written,
            segments_deleted: repair.deleted,
        }
    }
}

impl View for IndexView {
    fn text(&self) -> String {
        let mut text = String::new();
        for Reason { object, cause } in &self.unreadable {
            let cause = text::printable(cause.as_bytes());
            text.push_str(&format!(
                "UNREADABLE  {object}: no segment lists it and its own table is damaged: {cause}\n"
            ));
        }
        for Reason { object, cause } in &self.kept {
            text.push_str(&format!("kept        {object}: {}\n", text::printable(cause.as_bytes())));
        }
        if self.listed.is_empty() && self.replaced.is_empty() {
            text.push_str(match self.unreadable.is_empty() {
                true => "nothing to do: readable segments list every pack\n",
                false => "nothing else to do: readable segments list all other packs\n",
            });
            return text;
        }
        let packs = counted(self.listed.len() as u64, "pack", "packs");
        let segments = counted(self.replaced.len() as u64, "segment", "segments");
        text.push_str(&match self.dry_run {
            true => format!("would list {packs} again and replace {segments}; nothing was changed\n"),
            false => format!(
                "listed {packs} again in {}, deleted {}\n",
                counted(self.segments_written, "new segment", "new segments"),
                counted(self.segments_deleted, "old one", "old ones"),
            ),
        });
        text
    }
}

/// What became of packs.
#[derive(Debug, Serialize)]
pub struct PacksView {
    message_type: &'static str,
    part: &'static str,
    dry_run: bool,
    #[serde(flatten)]
    repair: PacksRepair,
}

impl PacksView {
    /// The view of a plan, or of what was done.
    pub fn new(repair: PacksRepair, dry_run: bool) -> Self {
        Self { message_type: "summary", part: "packs", dry_run, repair }
    }
}

impl View for PacksView {
    fn text(&self) -> String {
        let (plan, mut text) = (&self.repair.plan, String::new());
        for pack in &plan.damaged {
            let chunks = pack.chunks;
            text.push_str(&format!(
                "DAMAGED  packs/{}: {}\n         {} to be stored again, {} elsewhere, {} lost\n",
                pack.id,
                text::printable(pack.cause.as_bytes()),
                counted(chunks.salvaged, "chunk", "chunks"),
                text::count(chunks.elsewhere),
                text::count(chunks.lost),
            ));
        }
        for pack in &plan.missing {
            text.push_str(&format!("MISSING  packs/{pack}: backups store its chunks again where they still are\n"));
        }
        for pack in &plan.unneeded {
            text.push_str(&format!("GONE     packs/{pack}: no snapshot misses it\n"));
        }
        if plan.unknown > 0 {
            let chunks = counted(plan.unknown, "chunk", "chunks");
            text.push_str(&format!("LOST     {chunks} that snapshots need: no pack that is known has them\n"));
        }
        if plan.is_empty() {
            text.push_str(&match plan.done {
                0 => "nothing to do: no pack is damaged or missing\n".to_owned(),
                done => {
                    let packs = counted(done, "damaged or missing pack is", "damaged or missing packs are");
                    format!("nothing to do: {packs} salvaged and marked already\n")
                }
            });
            return text;
        }
        text.push_str(&match self.dry_run {
            true => "nothing was changed\n".to_owned(),
            false => format!(
                "{} written, {} marked: prune will remove them\n",
                counted(self.repair.written, "pack", "packs"),
                counted(self.repair.marked, "pack", "packs"),
            ),
        });
        if plan.is_loss() {
            text.push_str(
                "next: back up every node, which stores again what is still there; then `dssvault repair snapshots`\n",
            );
        }
        text
    }
}

/// What became of snapshots.
#[derive(Debug, Serialize)]
pub struct SnapshotsView {
    message_type: &'static str,
    part: &'static str,
    dry_run: bool,
    #[serde(flatten)]
    plan: SnapshotsPlan,
}

impl SnapshotsView {
    /// The view of a plan, or of what was done.
    pub fn new(plan: SnapshotsPlan, dry_run: bool) -> Self {
        Self { message_type: "summary", part: "snapshots", dry_run, plan }
    }
}

impl View for SnapshotsView {
    fn text(&self) -> String {
        let (plan, mut text) = (&self.plan, String::new());
        for (object, cause) in &plan.unreadable {
            text.push_str(&format!("UNREADABLE  {object}: {}\n", text::printable(cause.as_bytes())));
        }
        for snapshot in &plan.damaged {
            let files = counted(snapshot.marks.files, "damaged file", "damaged files");
            let folders = counted(snapshot.marks.directories, "damaged directory", "damaged directories");
            let short = snapshot.id.short();
            text.push_str(&match (snapshot.action, snapshot.replacement.filter(|_| !self.dry_run)) {
                (Action::Beyond, _) => {
                    format!("LOST      {short}: its root directory is lost; `dssvault forget {short}` takes it away\n")
                }
                (Action::Forget, _) => format!("forgotten {short}: a repaired snapshot stands in its place\n"),
                (Action::Replace, Some(new)) => {
                    format!("replaced  {short} by {}: {files} and {folders} are marked\n", new.short())
                }
                (Action::Replace, None) => format!("to replace {short}: {files} and {folders} to be marked\n"),
            });
        }
        if plan.marked > 0 {
            let snapshots = counted(plan.marked, "snapshot lacks", "snapshots lack");
            text.push_str(&format!("{snapshots} what is marked already; nothing came back yet\n"));
        }
        if self.dry_run && !plan.is_empty() {
            text.push_str("nothing was changed\n");
        } else if plan.damaged.is_empty() && plan.marked == 0 {
            text.push_str("nothing to do: no snapshot needs anything that is lost\n");
        }
        text
    }
}

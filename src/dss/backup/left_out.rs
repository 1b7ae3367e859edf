//! What a backup leaves out of a data directory: weighed, so that the snapshot says what it lacks, and asked whether each
//! exclusion fits anything.

use std::path::Path;

use crate::base::cancel::Cancel;
use crate::dss::backup::error::NodeError;
use crate::dss::datadir::classes::Situation;
use crate::dss::datadir::error::DatadirError;
use crate::dss::datadir::exclusion::Exclusion;
use crate::dss::datadir::inventory::{self, Inventory};
use crate::repo::snapshot::LeftOut;
use crate::sys::pattern::PatternSet;

/// Weighs what is left out; also gives a sentence for each exclusion that fits nothing.
pub fn weigh(
    root: &Path,
    situation: &Situation,
    exclusion: &Exclusion,
    cancel: &Cancel,
) -> Result<(Vec<LeftOut>, Vec<String>), NodeError> {
    let patterns = PatternSet::new(&exclusion.patterns).map_err(DatadirError::from)?;
    let Inventory { classes, idle, .. } = inventory::measure_left_out(root, situation, exclusion, &patterns, cancel)?;
    let lacking = classes.iter().filter(|sum| sum.weight.left_out_files > 0);
    let left_out = lacking.map(|sum| LeftOut {
        class: sum.class.word().to_owned(),
        files: sum.weight.left_out_files,
        bytes: sum.weight.left_out_bytes,
    });
    let idle = idle.iter().map(|idle| format!("the exclusion `{idle}` fits nothing in {}", root.display()));
    Ok((left_out.collect(), idle.collect()))
}

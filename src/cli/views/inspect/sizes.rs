//! What a data directory weighs, in two tables.

use crate::base::size::ByteCount;
use crate::cli::table::{Column, Table};
use crate::cli::text::{count, counted, printable};
use crate::dss::datadir::classes::Class;
use crate::dss::datadir::exclusion::Exclusion;
use crate::dss::datadir::inventory::{EntryWeight, Inventory, Weight};

/// Entries shown; the rest is added up. `--json` has them all.
const ENTRIES_SHOWN: usize = 20;

/// The tables.
pub fn sizes(inventory: &Inventory, exclusion: &Exclusion) -> String {
    let mut text = format!("\n{}\n{}", classes(inventory), entries(inventory));
    text.push_str(&summary(inventory, exclusion));
    let unreadable = inventory.unreadable_count;
    if unreadable > 0 {
        let shown: Vec<String> =
            inventory.unreadable.iter().take(3).map(|gap| printable(gap.path.as_bytes())).collect();
        let places = counted(unreadable, "place", "places");
        text.push_str(&format!("{places} could not be looked into and weigh more than shown: {}\n", shown.join(", ")));
    }
    text
}

fn classes(inventory: &Inventory) -> String {
    let mut table = Table::new(&[
        Column::Left("class"),
        Column::Right("files"),
        Column::Right("size"),
        Column::Right("left out"),
        Column::Left("what it is"),
    ]);
    for sum in &inventory.classes {
        let what = match sum.class {
            Class::Essential => "without it the node is not the same",
            Class::Data => "can be computed again, at a price",
            Class::Logs => "logs of work done",
            Class::Ignorable => "can be made again, or is left over",
            Class::Temp => "temporary files and caches",
        };
        let Weight { files, bytes, .. } = sum.weight;
        let word = sum.class.word().to_owned();
        table.row([word, count(files), ByteCount(bytes).to_string(), left_out(&sum.weight), what.to_owned()]);
    }
    table.text()
}

fn entries(inventory: &Inventory) -> String {
    let mut table = Table::new(&[
        Column::Left("entry"),
        Column::Left("class"),
        Column::Right("files"),
        Column::Right("size"),
        Column::Right("left out"),
        Column::Left("lost without it"),
    ]);
    let row = |table: &mut Table, name: String, class: &str, weight: &Weight, lost: String| {
        let (files, size) = (count(weight.files), ByteCount(weight.bytes).to_string());
        table.row([name, class.to_owned(), files, size, left_out(weight), lost]);
    };
    let filled = inventory.entries.iter().filter(|entry| entry.weight.bytes > 0).count();
    let (shown, rest) = inventory.entries.split_at(filled.min(ENTRIES_SHOWN));
    for entry in shown {
        let name = printable(entry.path.as_bytes());
        row(&mut table, name, entry.class.word(), &entry.weight, lost(entry));
    }
    if !rest.is_empty() {
        let sum = rest.iter().fold(Weight::default(), |sum, entry| sum.plus(&entry.weight));
        row(&mut table, format!("{} more, smaller or empty", rest.len()), "", &sum, String::new());
    }
    table.text()
}

/// Told where it can be left out, or is.
fn lost(entry: &EntryWeight) -> String {
    match &entry.lost {
        None => "unknown to this version, so it is kept".to_owned(),
        Some(lost) if entry.class != Class::Essential || entry.weight.left_out_files > 0 => lost.clone(),
        Some(_) => String::new(),
    }
}

fn left_out(weight: &Weight) -> String {
    match weight.left_out_files {
        0 => "-".to_owned(),
        files if files == weight.files => "all".to_owned(),
        _ => ByteCount(weight.left_out_bytes).to_string(),
    }
}

fn summary(inventory: &Inventory, exclusion: &Exclusion) -> String {
    let total = inventory.total;
    let all = format!("{} in {}", ByteCount(total.bytes), counted(total.files, "file", "files"));
    let kept = ByteCount(total.bytes.saturating_sub(total.left_out_bytes));
    let preset = exclusion.preset.word();
    let mut text = format!("\ntotal {all}; a backup with these options (preset {preset}) holds {kept} of it\n");
    let unknown = inventory.entries.iter().filter(|entry| !entry.known);
    let unknown: Vec<String> = unknown.map(|entry| printable(entry.path.as_bytes())).collect();
    if !unknown.is_empty() {
        text.push_str(&format!("unknown to this version, and so kept: {}\n", unknown.join(", ")));
    }
    text
}

//! Mending a damaged repository, as far as what is left allows: plan, then apply. Nothing that can still be read is
//! ever given up for it.

pub mod index;
pub mod packs;
mod retire;
mod rewrite;
mod salvage;
pub mod snapshots;
mod tables;

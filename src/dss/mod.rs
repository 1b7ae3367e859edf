//! What is special about Dataiku DSS: what a data directory is, how it is stopped and started, which databases
//! belong to it. Everything here rests on what DSS documents; each fact names where it comes from.

pub mod datadir;
pub mod inspect;
pub mod running;

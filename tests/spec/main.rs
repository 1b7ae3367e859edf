//! Every behaviour test of the project, one file each, in one binary.

mod index_damage;
mod index_killed;
mod index_lookup;
mod index_memory;
mod index_model;

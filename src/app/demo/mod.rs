//! The demonstration: a small data directory like that of DSS, a day of work on it, and a repository in a
//! temporary folder. What happened is told by `cli`.

mod day;
mod dice;
mod generate;
mod maker;
mod picture;
mod workshop;

pub use day::{Day, work_for_a_day};
pub use generate::make_data_directory;
pub use picture::{Difference, Picture};
pub use workshop::Workshop;

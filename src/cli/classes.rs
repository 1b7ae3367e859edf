//! Options that say what of a DSS data directory is left out, the same wherever they appear.

use clap::Args;

use crate::dss::datadir::classes::{Class, Preset};
use crate::dss::datadir::exclusion::Wish;

/// What the help calls them.
pub const HEADING: &str = "What of a DSS data directory is kept";

/// What to leave out, by class.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = HEADING)]
pub struct ClassArgs {
    /// `full` is everything, `standard` all but temporary files, `config-only` no data and no logs
    #[arg(long, value_name = "PRESET", default_value = "standard", hide_possible_values = true)]
    preset: PresetWord,
    /// Leave out the content of these classes too: temp, logs, ignorable, data
    #[arg(long = "exclude-class", value_name = "CLASS", value_delimiter = ',')]
    classes: Vec<Class>,
}

/// A preset as clap wants defaults to be shown.
#[derive(Debug, Clone, Copy, Default)]
struct PresetWord(Preset);

impl std::str::FromStr for PresetWord {
    type Err = <Preset as std::str::FromStr>::Err;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        word.parse().map(Self)
    }
}

impl ClassArgs {
    /// What they ask for, with patterns of the user's own.
    pub fn wish(&self, patterns: Vec<String>) -> Wish {
        Wish { preset: self.preset.0, classes: self.classes.clone(), patterns }
    }
}

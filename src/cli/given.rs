//! Which options stood on the command line, and not in the environment or among the defaults: a command that has no use
//! for some of them must not pass them over in silence.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

/// The options of the command that was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given(Vec<(String, String)>);

impl Given {
    /// Reads them off a command line that was parsed by `command`.
    pub fn of(command: &Command, matches: &ArgMatches) -> Self {
        if let Some((name, deeper)) = matches.subcommand()
            && let Some(command) = command.find_subcommand(name)
        {
            return Self::of(command, deeper);
        }
        let options = command.get_arguments().filter_map(|argument| {
            let (heading, name) = (argument.get_help_heading()?, argument.get_long()?);
            let typed = matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine);
            typed.then(|| (heading.to_owned(), format!("--{name}")))
        });
        Self(options.collect())
    }

    /// The first of them that the help shows below one of these headings.
    pub fn first_below(&self, headings: &[&str]) -> Option<&str> {
        let found = self.0.iter().find(|(heading, _)| headings.contains(&heading.as_str()));
        found.map(|(_, option)| option.as_str())
    }
}

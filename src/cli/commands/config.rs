//! `dssvault config`.

use crate::base::clock::Zone;
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::views::config::ConfigView;
use crate::vault::settings;

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault config
  dssvault -r /srv/vault config --timezone Europe/Paris
  dssvault -r /srv/vault config --timezone local      that of each machine, as at first";

/// Show the parameters of the repository, and change those that can be changed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where days begin and end for `forget`, unless it is told otherwise; `local`: where it runs
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    timezone: Option<Wanted>,
}

/// A time zone, or none.
#[derive(Debug, Clone)]
struct Wanted(Option<Zone>);

fn zone(text: &str) -> Result<Wanted, String> {
    if text == "local" {
        return Ok(Wanted(None));
    }
    text.parse().map(|zone| Wanted(Some(zone))).map_err(|error: crate::base::clock::BadZone| error.to_string())
}

/// Changes what is asked for, and shows what is in force.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let config = match args.timezone {
        Some(Wanted(zone)) => settings::set_timezone(&opened.repository, zone.as_ref())?,
        None => opened.repository.config.clone(),
    };
    session.output.show(&ConfigView::new(&config))?;
    Ok(Outcome::Clean)
}

//! Options that say how DSS is asked what it does, the same wherever they appear.

use std::path::PathBuf;

use clap::Args;

use crate::cli::environment;
use crate::cli::error::CliError;
use crate::dss::control::http::Address;
use crate::dss::jobs::{AdminKey, Inquiry};

/// What the help calls them.
pub const HEADING: &str = "Asking DSS for running work";

/// How DSS is asked for running work.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = HEADING)]
pub struct DssApiArgs {
    /// File whose first line is a global API key of DSS with administrator rights; without it only jobs
    /// that write to their folders are seen
    #[arg(long, value_name = "FILE", env = environment::DSS_KEY_FILE, hide_env_values = true)]
    dss_key_file: Option<PathBuf>,
    /// Where to ask [default: the back end on this machine]; https needs the program curl
    #[arg(long, value_name = "URL")]
    dss_url: Option<Address>,
    /// Who signed the certificate of an https address
    #[arg(long, value_name = "FILE", requires = "dss_url")]
    dss_ca: Option<PathBuf>,
}

impl DssApiArgs {
    /// Reads the key.
    pub fn inquiry(self) -> Result<Inquiry, CliError> {
        // A variable that is set and empty is one that is not set.
        let file = self.dss_key_file.filter(|file| !file.as_os_str().is_empty());
        match (&self.dss_url, &self.dss_ca) {
            (Some(_), _) if file.is_none() => {
                return Err(CliError::usage(
                    "`--dss-url` needs a key to ask with",
                    "give one with `--dss-key-file FILE`",
                ));
            }
            (Some(address), Some(_)) if !address.is_tls() => {
                return Err(CliError::usage("`--dss-ca` is for https", "give an https address with `--dss-url`"));
            }
            _ => {}
        }
        let key = file.map(|file| AdminKey::read(&file)).transpose()?;
        Ok(Inquiry { key, address: self.dss_url, ca: self.dss_ca, ..Inquiry::default() })
    }
}

//! `run/install.log`: with which arguments the installer and `dssadmin` were last called. Each call leaves a banner
//! with a `Command line:` line. Source: kit, dssadmin.

use crate::dss::datadir::look::Look;
use crate::dss::datadir::shell;
use crate::postgres::url::is_secret;
use crate::sys::small_file;

/// Where it is kept, below the data directory.
pub const INSTALL_LOG: &str = "run/install.log";

/// Calls older than this much of the log are not looked for.
const TAIL_BYTES: u64 = 16 << 20;

const BANNER: &str = "command line:";

/// The calls a log tells of, oldest first, each split into words; what looks like a secret is replaced.
#[derive(Debug, Default)]
pub struct InstallLog {
    calls: Vec<Vec<String>>,
}

impl InstallLog {
    /// Reads the log of a data directory; an absent one tells of nothing.
    pub fn read(look: &Look<'_>) -> Self {
        match small_file::read_tail(&look.at(INSTALL_LOG), TAIL_BYTES) {
            Ok(bytes) => Self::parse(&String::from_utf8_lossy(&bytes)),
            Err(why) => {
                if why.kind() != std::io::ErrorKind::NotFound {
                    look.gap(INSTALL_LOG, why.to_string());
                }
                Self::default()
            }
        }
    }

    /// Reads text. The command stands behind the banner, or on the lines below it up to an empty or ruled one.
    pub fn parse(text: &str) -> Self {
        let mut calls = Vec::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(at) = line.to_ascii_lowercase().find(BANNER) else { continue };
            let mut command = line.get(at + BANNER.len()..).unwrap_or_default().trim().to_owned();
            if command.is_empty() {
                while let Some(next) = lines.next_if(|next| is_content(next)) {
                    command.push_str(next.trim().trim_end_matches('\\'));
                    command.push(' ');
                }
            }
            let words = without_secrets(shell::words(&command));
            if !words.is_empty() {
                calls.push(words);
            }
        }
        Self { calls }
    }

    /// The words behind `verb` in the last call that names it, as a whole word or as the program called.
    pub fn last_arguments(&self, verb: &str) -> Option<Vec<String>> {
        self.calls.iter().rev().find_map(|call| {
            let at = call.iter().position(|word| word == verb || word.rsplit('/').next() == Some(verb))?;
            Some(call.get(at + 1..).unwrap_or_default().to_vec())
        })
    }
}

fn is_content(line: &str) -> bool {
    line.chars().any(|sign| sign.is_alphanumeric() || sign == '/')
}

/// Replaces what follows an option that names a secret, and what such an option is set to.
fn without_secrets(words: Vec<String>) -> Vec<String> {
    let mut hide = false;
    words
        .into_iter()
        .map(|word| {
            let hidden = std::mem::take(&mut hide) && !word.starts_with('-');
            if hidden {
                return "***".to_owned();
            }
            match word.split_once('=') {
                Some((name, _)) if is_secret(name) => format!("{name}=***"),
                None if word.starts_with('-') && is_secret(&word) => {
                    hide = true;
                    word
                }
                // An address with an account in it.
                _ if word.contains("://") && word.contains('@') => "***".to_owned(),
                _ => word,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
*********************************************
*  DSS installer                            *
Command line: /opt/kit/installer.sh -d '/data/my dss' -p 11000
[+] Creating data directory
-----------------------------------------
Command line:
  /data/dss/bin/dssadmin install-spark-integration \\
    -sparkHome /opt/spark-3.4

noise Command line nothing
[2026-01-02] Command line: ./bin/dssadmin install-spark-integration -sparkHome '/opt/spark 3.5'
Command line: dssadmin install-hadoop-integration -keytab /etc/k.keytab -principal dss@CORP
Command line: dssadmin something -dbPassword hunter2 --token=hunter2 -x pg://u:hunter2@h
";

    #[test]
    fn the_last_call_counts_and_is_split_as_a_shell_would() {
        let log = InstallLog::parse(LOG);
        let arguments = |verb| log.last_arguments(verb);
        assert_eq!(arguments("installer.sh").unwrap(), ["-d", "/data/my dss", "-p", "11000"]);
        assert_eq!(arguments("install-spark-integration").unwrap(), ["-sparkHome", "/opt/spark 3.5"]);
        assert_eq!(arguments("install-R-integration"), None);
    }

    #[test]
    fn a_command_may_stand_below_its_banner() {
        let first = LOG.split("noise").next().unwrap();
        let log = InstallLog::parse(first);
        assert_eq!(log.last_arguments("install-spark-integration").unwrap(), ["-sparkHome", "/opt/spark-3.4"]);
    }

    #[test]
    fn secrets_are_left_out() {
        let log = InstallLog::parse(LOG);
        assert_eq!(log.last_arguments("something").unwrap(), ["-dbPassword", "***", "--token=***", "-x", "***"]);
        assert!(!format!("{log:?}").contains("hunter2"));
    }

    #[test]
    fn hostile_logs_give_nothing() {
        for text in [
            "",
            "Command line:",
            "Command line: \n\n",
            "command line: '",
            &"Command line:\n".repeat(5000),
            "ıCOMMAND LINE:",
        ] {
            assert_eq!(InstallLog::parse(text).last_arguments("installer.sh"), None, "{text:?}");
        }
    }
}

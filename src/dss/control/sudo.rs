//! What sudo lets an account do with a unit: the account DSS runs as owns its files and not its unit.

use std::process::Command;
use std::time::Duration;

use crate::base::cancel::Cancel;
use crate::sys::process;

/// Its full path: a rule of sudo names programs by theirs.
pub const SYSTEMCTL: &str = "/usr/bin/systemctl";
/// The verbs a backup needs.
const VERBS: [&str; 2] = ["stop", "start"];
/// For listing rules, which may be asked of a directory service.
const LIMIT: Duration = Duration::from_secs(30);

/// The line for `/etc/sudoers.d` that lets an account stop and start a unit, and nothing else.
pub fn rule(account: &str, unit: &str) -> String {
    let commands = VERBS.map(|verb| format!("{SYSTEMCTL} {verb} {}", escaped(unit)));
    format!("{account} ALL=(root) NOPASSWD: {}", commands.join(", "))
}

/// What sudo tells this account about its rules; nothing if there is no sudo, or it tells nothing without a password.
pub fn listing() -> String {
    let mut command = Command::new("sudo");
    command.args(["-n", "-l"]).env("LC_ALL", "C").current_dir("/");
    match process::capture(&mut command, LIMIT, 1 << 20, &Cancel::default()) {
        Ok(said) if said.status.is_some_and(|status| status.success()) => {
            String::from_utf8_lossy(&said.stdout.unwrap_or_default()).into_owned()
        }
        _ => String::new(),
    }
}

/// Whether such a listing lets this account stop and start a unit as root without a password. Wildcards are not
/// understood: then the line above has to be added.
pub fn permits(listing: &str, unit: &str) -> bool {
    let rules: Vec<Rule> = listing.lines().filter_map(Rule::parse).collect();
    VERBS.iter().all(|verb| {
        let wanted = format!("{SYSTEMCTL} {verb} {unit}");
        rules.iter().any(|rule| rule.commands.iter().any(|command| *command == wanted || command == "ALL"))
    })
}

/// Commands of one line of `sudo -l` that need no password, as root: `(root) NOPASSWD: /a b, PASSWD: /c`.
struct Rule {
    commands: Vec<String>,
}

impl Rule {
    fn parse(line: &str) -> Option<Self> {
        let (accounts, commands) = line.trim().strip_prefix('(')?.split_once(')')?;
        let users = accounts.split(':').next().unwrap_or_default();
        if !users.split(',').any(|user| matches!(user.trim(), "root" | "ALL")) {
            return None;
        }
        let mut needs_password = true;
        let mut free = Vec::new();
        for part in commands.replace("\\,", "\0").split(',') {
            let mut rest = part.trim();
            // Tags hold from where they stand to the end of the line.
            while let Some((tag, after)) = rest.split_once(": ").filter(|(tag, _)| is_tag(tag)) {
                match tag {
                    "NOPASSWD" => needs_password = false,
                    "PASSWD" => needs_password = true,
                    _ => {}
                }
                rest = after.trim_start();
            }
            if !needs_password {
                free.push(rest.replace('\0', ",").replace("\\:", ":").replace("\\=", "=").replace("\\\\", "\\"));
            }
        }
        Some(Self { commands: free })
    }
}

fn is_tag(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|sign| sign.is_ascii_uppercase() || sign == '_')
}

/// Signs that mean something in a rule (sudoers(5)).
fn escaped(unit: &str) -> String {
    let special = |sign: char| matches!(sign, ',' | ':' | '=' | '\\');
    unit.chars().flat_map(|sign| special(sign).then_some('\\').into_iter().chain([sign])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &str = "dataiku.prod.service";

    fn listed(rules: &str) -> bool {
        let head = "Matching Defaults entries for dss on host:\n    env_reset, mail_badpass\n\n\
                    User dss may run the following commands on host:\n";
        permits(&format!("{head}    {rules}\n"), UNIT)
    }

    #[test]
    fn the_line_that_is_proposed_is_the_line_that_is_recognised() {
        let rule = rule("dss", UNIT);
        assert_eq!(
            rule,
            "dss ALL=(root) NOPASSWD: /usr/bin/systemctl stop dataiku.prod.service, \
             /usr/bin/systemctl start dataiku.prod.service"
        );
        assert!(listed(rule.strip_prefix("dss ALL=").unwrap()));
        let odd = super::rule("dss", "dataiku.a:b\\x2d.service");
        assert!(permits(odd.strip_prefix("dss ALL=").unwrap(), "dataiku.a:b\\x2d.service"), "{odd}");
    }

    #[test]
    fn both_verbs_are_needed_as_root_and_without_a_password() {
        let stop = "/usr/bin/systemctl stop dataiku.prod.service";
        let start = "/usr/bin/systemctl start dataiku.prod.service";
        assert!(listed("(ALL : ALL) NOPASSWD: ALL"));
        assert!(listed(&format!("(root) NOEXEC: NOPASSWD: {stop}\n    (root) NOPASSWD: {start}")));
        for rules in [
            format!("(root) NOPASSWD: {stop}"),
            format!("(root) {stop}, {start}"),
            format!("(root) NOPASSWD: {stop}, PASSWD: {start}"),
            format!("(backup) NOPASSWD: {stop}, {start}"),
            format!("(root) NOPASSWD: {stop}2, {start}2"),
            "(ALL : ALL) ALL".to_owned(),
            String::new(),
        ] {
            assert!(!listed(&rules), "{rules}");
        }
    }
}

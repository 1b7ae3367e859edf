//! `dssvault backup`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::cli::classes::{self, ClassArgs};
use crate::cli::database::{self, DumpArgs};
use crate::cli::dss_api::{self, DssApiArgs};
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::lists;
use crate::cli::session::Session;
use crate::cli::text;
use crate::cli::views::backup::BackupView;
use crate::dss::backup::{Asked, DatabaseWish, NodeOptions, refuse_half_exchanged};
use crate::dss::datadir::DataDir;
use crate::dss::jobs::OnWork;
use crate::fsnap::{Options, SiteCommands};
use crate::postgres::{self, backup::Databases};
use crate::vault::backup::{self, BackupOptions, Source};

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault backup /data/dss
  dssvault -r /srv/vault backup /data/dss /etc --exclude '*.tmp' --exclude-caches -x
  dssvault -r /srv/vault backup /data/dss --consistency stopped --exclude-class logs
  dssvault backup /data/dss --freeze-command /opt/freeze --thaw-command /opt/thaw
  dssvault -r /srv/vault backup /data/dss --consistency stopped --dss-key-file dss.key
  dssvault -r /srv/vault backup -n -v /data/dss         only tell what would be stored
  mysqldump shop | dssvault -r /srv/vault backup - --stdin-name shop.sql
  dssvault -r /srv/vault backup --command 'pg_dump runtime' --stdin-name runtime.sql

With --command a failing command fails the snapshot; in a pipe its failure goes unseen.
A DSS data directory is recognised and backed up as a node: see docs/dss.md.

Exit status 3: the snapshot was written, but some files could not be read. 20: it was
written, but DSS does not answer after its start. 21: refused, nothing was touched.";

const NODE_HEADING: &str = "Backing up a DSS node";

/// Name of the tag file of `--exclude-caches`.
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// Store files, directories or a stream as a new snapshot.
///
/// Unchanged files are recognised by size, times and inode and are not read again. What is in the repository
/// already is not stored again. A backup that was interrupted continues from what it had stored.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Files and directories to back up; `-` is standard input
    #[arg(value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// Leave out what matches; without a slash a name anywhere, `!` in front brings back
    #[arg(long, short = 'e', value_name = "GLOB")]
    exclude: Vec<String>,
    /// Leave out what matches a pattern in this file, one to a line
    #[arg(long, value_name = "FILE")]
    exclude_from: Vec<PathBuf>,
    /// Leave out the content of directories that hold a file of this name
    #[arg(long, value_name = "NAME")]
    exclude_if_present: Vec<String>,
    /// Leave out the content of directories marked with CACHEDIR.TAG
    #[arg(long)]
    exclude_caches: bool,
    /// Do not enter other file systems
    #[arg(long, short = 'x')]
    one_file_system: bool,
    /// Store nothing; tell what would be stored
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Mark the snapshot; may be given again or with commas
    #[arg(long = "tag", value_name = "TAG", value_delimiter = ',')]
    tags: Vec<String>,
    /// Label of this node [default: the host's name]
    #[arg(long = "node", value_name = "LABEL")]
    label: Option<String>,
    /// Time of the snapshot, as `2026-11-22 07:15:00` or `2026-11-22T07:15:00Z` [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    time: Option<Timestamp>,
    /// Back up standard input, like the source `-`
    #[arg(long, conflicts_with = "command")]
    stdin: bool,
    /// File name in the snapshot for what comes from standard input or a command
    #[arg(long, value_name = "NAME", default_value = "stdin", alias = "stdin-filename")]
    stdin_name: String,
    /// Back up the output of this shell command; if it fails, there is no snapshot
    #[arg(long, value_name = "CMD")]
    command: Option<String>,
    /// Read every file again, whatever its size and times say
    #[arg(long, short = 'f')]
    force: bool,
    /// Treat a DSS data directory as any other tree
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    api: DssApiArgs,
    #[command(flatten)]
    classes: ClassArgs,
    #[command(flatten)]
    databases: DumpArgs,
}

/// How a DSS node is backed up.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = NODE_HEADING)]
struct NodeArgs {
    /// `auto`: read it if it is stopped, else freeze its volume, else refuse; `stopped`: stop it for
    /// what changed since a first pass; `frozen`; `live`: H2 databases may be torn
    #[arg(long, value_name = "MODE", default_value = "auto", hide_possible_values = true)]
    consistency: ConsistencyWord,
    /// Running work before a stop: `wait`, `wait=2h`, `refuse` or `ignore` it, which kills it
    #[arg(long, value_name = "WHAT", default_value = "wait=30m")]
    jobs: OnWork,
    /// Take an API node out of its load balancers before the stop, and give them so long (30s)
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "30s",
          value_parser = text::span)]
    rolling: Option<Duration>,
    /// Start it after this time even if not everything was read; there is no snapshot then
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = text::span)]
    max_downtime: Duration,
    /// How long to wait until it answers after its start
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = text::span)]
    health_timeout: Duration,
    /// The site's own way to freeze the volume: a shell command that writes the path of the frozen
    /// content; its environment is told in docs/frozen.md
    #[arg(long, value_name = "CMD", requires = "thaw_command")]
    freeze_command: Option<String>,
    /// Undoes it, also if nothing is left to undo
    #[arg(long, value_name = "CMD", requires = "freeze_command")]
    thaw_command: Option<String>,
    /// How long either may take
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = text::span, requires = "freeze_command")]
    freeze_timeout: Duration,
    /// Keep this file or folder of the machine too (certificates, keytab); may be given again
    #[arg(long, value_name = "PATH")]
    include_host: Vec<PathBuf>,
}

/// A consistency as clap wants defaults to be shown.
#[derive(Debug, Clone, Copy)]
struct ConsistencyWord(Asked);

impl std::str::FromStr for ConsistencyWord {
    type Err = <Asked as std::str::FromStr>::Err;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        word.parse().map(Self)
    }
}

impl Args {
    fn sources(&self) -> Result<Vec<Source>, CliError> {
        let stdin = self.stdin || self.sources.iter().any(|source| source.as_path() == Path::new("-"));
        let paths = self.sources.iter().filter(|source| source.as_path() != Path::new("-"));
        let mut sources: Vec<Source> = paths.cloned().map(Source::Path).collect();
        if stdin || self.command.is_some() {
            check_stream_name(&self.stdin_name)?;
        }
        match &self.command {
            Some(_) if stdin => {
                return Err(CliError::usage(
                    "`--command` and standard input would both become one file",
                    "back them up one after the other, or write the pipe into the command",
                ));
            }
            Some(command) => {
                sources.push(Source::Command { name: self.stdin_name.clone(), command: command.clone() });
            }
            None if stdin => sources.push(Source::Stdin { name: self.stdin_name.clone() }),
            None => {}
        }
        if sources.is_empty() {
            return Err(CliError::usage(
                "there is nothing to back up",
                "name a file or directory, `-` for standard input, or `--command CMD`",
            ));
        }
        Ok(sources)
    }

    fn options(self) -> Result<BackupOptions, CliError> {
        let mut exclude = self.exclude;
        for file in &self.exclude_from {
            exclude.extend(lists::patterns(file)?);
        }
        let mut exclude_if_present = self.exclude_if_present;
        if self.exclude_caches {
            exclude_if_present.push(CACHE_TAG.to_owned());
        }
        let mut tags: Vec<String> =
            self.tags.iter().map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect();
        tags.sort();
        tags.dedup();
        Ok(BackupOptions {
            exclude,
            exclude_if_present,
            one_file_system: self.one_file_system,
            dry_run: self.dry_run,
            force: self.force,
            tags,
            node: self.label,
            identity: None,
            time: self.time,
        })
    }
}

fn check_stream_name(name: &str) -> Result<(), CliError> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) || name.len() > 255 {
        return Err(CliError::usage(
            format!("`{name}` cannot be the name of a file in the snapshot"),
            "give a plain name without slashes with `--stdin-name`",
        ));
    }
    Ok(())
}

/// The data directory to be backed up as a node, if the only source is one.
fn node_among(sources: &[Source], plain: bool) -> Result<Option<PathBuf>, CliError> {
    let is_node =
        |source: &&Source| matches!(source, Source::Path(path) if DataDir::is_one(path) || DataDir::is_begun(path));
    match (sources.iter().find(is_node), sources.len()) {
        (Some(Source::Path(path)), 1) if !plain => Ok(Some(path.clone())),
        (Some(Source::Path(path)), _) if !plain => Err(CliError::usage(
            format!("{} is a DSS data directory: it has a snapshot of its own", path.display()),
            "back the other sources up separately, or say `--plain` to take it as any other tree",
        )),
        _ => Ok(None),
    }
}

impl NodeArgs {
    /// How volumes are frozen.
    fn freezing(&self) -> Result<Options, CliError> {
        let (Some(create), Some(drop)) = (self.freeze_command.clone(), self.thaw_command.clone()) else {
            return Ok(Options::default());
        };
        if !matches!(self.consistency.0, Asked::Auto | Asked::Frozen) {
            return Err(CliError::usage(
                "`--freeze-command` is for `--consistency frozen`, and another one was asked for",
                "leave one of them out",
            ));
        }
        Ok(Options { site: Some(SiteCommands { create, drop, limit: self.freeze_timeout }), ..Options::default() })
    }
}

/// What is no node is read as it is: whoever asks for more must hear that nothing of it is done.
fn refuse_options_of_nodes(session: &Session, plain: bool) -> Result<(), CliError> {
    if let Some(option) = session.given.first_below(&[database::HEADING]) {
        return Err(CliError::usage(
            format!("`{option}` is for databases, and files that are no DSS node are backed up without any"),
            "back databases up in a snapshot of their own: `dssvault backup --database postgresql://…`",
        ));
    }
    let what = if plain { "with `--plain` nothing is taken for one" } else { "no DSS data directory was named" };
    refuse_node_options(session, what)
}

fn refuse_node_options(session: &Session, what: &str) -> Result<(), CliError> {
    let headings = [NODE_HEADING, dss_api::HEADING, classes::HEADING];
    let Some(option) = session.given.first_below(&headings) else { return Ok(()) };
    Err(CliError::usage(
        format!("`{option}` is for a DSS node, and {what}"),
        format!("leave `{option}` out, or name one data directory alone"),
    ))
}

fn run_node(path: &Path, args: Args, session: &Session) -> Result<Outcome, CliError> {
    let (node, classes) = (args.node.clone(), args.classes.clone());
    let inquiry = args.api.clone().inquiry()?;
    if node.rolling.is_some() && node.consistency.0 != Asked::Stopped {
        return Err(CliError::usage("`--rolling` is for a node that is stopped", "say `--consistency stopped` too"));
    }
    let databases = DatabaseWish {
        configured: args.databases.configured(),
        named: args.databases.named()?,
        password: args.databases.password()?,
        options: args.databases.options(),
    };
    let backup = args.options()?;
    let program = std::env::current_exe().map_err(|source| CliError::File {
        action: "find",
        what: "this program".to_owned(),
        source,
    })?;
    let options = NodeOptions {
        wish: classes.wish(backup.exclude.clone()),
        backup,
        consistency: node.consistency.0,
        databases,
        rolling: node.rolling,
        on_work: node.jobs,
        inquiry,
        max_downtime: node.max_downtime,
        health_limit: node.health_timeout,
        freezing: node.freezing()?,
        include_host: node.include_host,
        program,
    };
    let opened = session.open()?;
    let reporter = session.reporter();
    let context = opened.context(&reporter, &session.cancel);
    let report = crate::dss::backup::run(&opened.repository, path, &options, context)?;
    reporter.finish();
    for warning in &report.warnings {
        session.output.warn(&text::printable(warning.as_bytes()));
    }
    let unhealthy = report.backup.manifest.dss.as_ref().is_some_and(|dss| dss.unhealthy.is_some());
    let view = BackupView::new(report.backup).with_expected(report.would_dump);
    session.output.report(&view)?;
    Ok(match (unhealthy, view.lacks_files()) {
        (true, _) => Outcome::Unhealthy,
        (false, true) => Outcome::Incomplete,
        (false, false) => Outcome::Clean,
    })
}

/// Backs databases up in a snapshot of their own.
fn run_databases(args: Args, session: &Session) -> Result<Outcome, CliError> {
    refuse_node_options(session, "only databases were named")?;
    let (requests, how, dry_run) = (args.databases.requests()?, args.databases.options(), args.dry_run);
    let options = args.options()?;
    let opened = session.open()?;
    let reporter = session.reporter();
    let context = opened.context(&reporter, &session.cancel);
    let mut databases = Databases::prepare(requests, how, &session.cancel)?;
    let report = postgres::steward::run(&opened.repository, &mut databases, &options, context)?;
    reporter.finish();
    let expected = if dry_run { databases.expected() } else { Vec::new() };
    session.output.report(&BackupView::new(report).with_expected(expected))?;
    Ok(Outcome::Clean)
}

/// Backs up.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    if args.sources.is_empty() && args.command.is_none() && !args.stdin && !args.databases.named()?.is_empty() {
        return run_databases(args, session);
    }
    let sources = args.sources()?;
    if let Some(path) = node_among(&sources, args.plain)? {
        return run_node(&path, args, session);
    }
    let plain = args.plain;
    let state = session.folder_roots()?.unprepared().state;
    for source in sources.iter().filter(|_| !plain) {
        if let Source::Path(path) = source {
            // In the middle of an exchange even what makes it a data directory may be missing.
            refuse_half_exchanged(&state, path)?;
        }
    }
    refuse_options_of_nodes(session, plain)?;
    let options = args.options()?;
    let opened = session.open()?;
    let reporter = session.reporter();
    let context = opened.context(&reporter, &session.cancel);
    let report = backup::run(&opened.repository, &sources, &options, context)?;
    reporter.finish();
    let view = BackupView::new(report);
    session.output.report(&view)?;
    Ok(if view.lacks_files() { Outcome::Incomplete } else { Outcome::Clean })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn args(line: &str) -> Args {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Backup(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_dash_and_the_option_both_mean_standard_input() {
        let expected = [Source::Stdin { name: "shop.sql".into() }];
        assert_eq!(args("dssvault backup - --stdin-name shop.sql").sources().unwrap(), expected);
        assert_eq!(args("dssvault backup --stdin --stdin-name shop.sql").sources().unwrap(), expected);
    }

    #[test]
    fn a_command_may_stand_beside_paths_but_not_beside_standard_input() {
        let sources = args("dssvault backup /etc --command true --stdin-name x").sources().unwrap();
        let command = Source::Command { name: "x".into(), command: "true".into() };
        assert_eq!(sources, [Source::Path("/etc".into()), command]);
        assert!(args("dssvault backup - --command true").sources().is_err());
    }

    #[test]
    fn streams_need_a_name_that_can_be_a_file() {
        for name in ["a/b", "..", "."] {
            assert!(args(&format!("dssvault backup - --stdin-name {name}")).sources().is_err(), "{name}");
        }
    }

    #[test]
    fn tags_are_split_sorted_and_told_once() {
        let options = args("dssvault backup /etc --tag b,a --tag a").options().unwrap();
        assert_eq!(options.tags, ["a", "b"]);
    }
}

//! `dssvault export`.

use std::io::{self, BufWriter, IntoInnerError, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::progress::Reporter;
use crate::cli::session::Session;
use crate::cli::sink::{Sink, Trouble};
use crate::cli::snapshot::{self, FilterArgs, SnapshotPath};
use crate::cli::views::export::ExportView;
use crate::dss::export;
use crate::sys::new_file::NewFile;
use crate::vault::archive::Packing;
use crate::vault::archive::pack::Packer;
use crate::vault::dump::Exported;

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault export latest --tar --gzip -o backup-dss-data-2025-11-22.tar.gz
  dssvault -r /srv/vault export latest --tar | ssh other tar -x -C /data
  dssvault -r /srv/vault export latest~3:datadir/config --tar -o config.tar

Of a node's snapshot the data directory is written, under its own name, so that
`tar -xzf` brings it back: owners, times, links, holes and modes. ACLs and extended
attributes come with `tar --acls --xattrs --xattrs-include='*'`. Sockets are left out.
It is not encrypted: whoever can read the archive can read what is in it.";

/// Buffered before the output.
const BUFFER_BYTES: usize = 256 << 10;

/// Write a snapshot, or a part of it, as a plain tar archive.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Id (its beginning is enough), `latest` or `latest~N`, and maybe a path inside it
    #[arg(value_name = "SNAPSHOT[:PATH]", value_parser = SnapshotPath::parser())]
    snapshot: SnapshotPath,
    /// Write a tar archive (POSIX pax); the only form there is
    #[arg(long, required = true)]
    tar: bool,
    /// Write it here; `-` is standard output. A file that exists is not replaced
    #[arg(long, short = 'o', value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Pack it with gzip
    #[arg(long, conflicts_with = "zstd")]
    gzip: bool,
    /// Pack it with zstd
    #[arg(long)]
    zstd: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

impl Args {
    fn packing(&self) -> Packing {
        match (self.gzip, self.zstd) {
            (true, _) => Packing::Gzip,
            (_, true) => Packing::Zstd,
            _ => Packing::Plain,
        }
    }
}

/// Exports.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    if args.output == Path::new("-") { to_standard_output(args, session) } else { to_file(args, session) }
}

fn to_standard_output(args: Args, session: &Session) -> Result<Outcome, CliError> {
    if io::stdout().is_terminal() {
        return Err(CliError::usage(
            "an archive is not text, and standard output is a terminal",
            "write it to a file with `-o FILE`, or through a pipe",
        ));
    }
    let mut out = Sink::stdout();
    // Status lines would stand in the middle of the archive.
    let written = write(args, session, session.problems_only(), &mut out);
    // What went wrong with the output explains what the verb then said.
    match out.trouble() {
        Some(Trouble::Output(cause)) => Err(CliError::Output(cause)),
        Some(Trouble::Binary) | None => written.map(|exported| Outcome::clean_if(exported.damaged == 0)),
    }
}

fn to_file(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let path = args.output.clone();
    let failed = |action, source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => {
            CliError::usage(format!("{} exists already", path.display()), "choose another name, or remove it first")
        }
        _ => CliError::File { action, what: path.display().to_string(), source },
    };
    let mut out = Sink::file(NewFile::begin(&path).map_err(|error| failed("create", error))?);
    let packing = args.packing();
    let written = write(args, session, session.reporter(), &mut out);
    if let Some(Trouble::Output(cause)) = out.trouble() {
        return Err(failed("write", cause));
    }
    let exported = written?;
    let bytes = out.into_inner().finish().map_err(|error| failed("write", error))?;
    session.output.report(&ExportView::new(&path, packing, bytes, exported))?;
    Ok(Outcome::clean_if(exported.damaged == 0))
}

/// Writes the archive to its end.
fn write(args: Args, session: &Session, reporter: Reporter, out: &mut dyn Write) -> Result<Exported, CliError> {
    let opened = session.open()?;
    let packing = args.packing();
    let listed = snapshot::find(&opened.repository, &args.snapshot, args.filter)?;
    let context = opened.context(&reporter, &session.cancel);
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, Packer::new(packing, out)?);
    let exported = export::run(&opened.repository, &listed.manifest, args.snapshot.path(), context, &mut out);
    reporter.finish();
    match exported {
        Ok(exported) => {
            let packer = out.into_inner().map_err(IntoInnerError::into_error)?;
            packer.finish()?.flush()?;
            Ok(exported)
        }
        Err(error) => {
            // What is still buffered would only look like a little more of a whole archive.
            let _ = out.into_parts();
            Err(error.into())
        }
    }
}

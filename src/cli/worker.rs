//! `siglab worker DIR`: what the workbench starts for every run; people use it to try one run by hand.

use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::process::umask;

use crate::record::{Outcome, RunDir};
use crate::train::Ending;
use crate::util::dir_mode;

use super::{DONE, FAILED, tell};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The run's directory, with its spec.json.
    dir: PathBuf,
    /// One device a rank.
    #[arg(long = "device", value_name = "DEVICE", default_value = "cpu")]
    pub devices: Vec<String>,
    /// Threads of the whole process; as many as cores when not given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let threads = args
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let dir = RunDir::new(args.dir);
    // All that this process makes is the run's: no more open to others than its directory.
    let closed = Mode::from_bits_truncate(!dir_mode(dir.path()) & 0o777);
    let before = umask(closed);
    umask(before | closed);
    match crate::worker::run(&dir, &args.devices, threads)? {
        Ending::Finished(Outcome::Failed { reason }) => {
            tell(format_args!(
                "the run has failed: {reason}; `siglab retry` lets it go again"
            ));
            Ok(FAILED)
        }
        Ending::Finished(_) | Ending::Stopped | Ending::RolledBack => Ok(DONE),
    }
}

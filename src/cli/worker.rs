//! `siglab worker DIR`: what the workbench starts for every run; people use it to try one run by hand.

use std::path::PathBuf;

use crate::record::{Outcome, RunDir};
use crate::train::Ending;

use super::{DONE, FAILED};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The run's directory, with its spec.json.
    dir: PathBuf,
    /// One device a rank.
    #[arg(long = "device", value_name = "DEVICE", default_value = "cpu")]
    devices: Vec<String>,
    /// Threads of the whole process; as many as cores when not given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let threads = args
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let dir = RunDir::new(args.dir);
    match crate::worker::run(&dir, &args.devices, threads)? {
        Ending::Finished(Outcome::Failed { reason }) => {
            eprintln!("the run has failed: {reason}; `siglab retry` lets it go again");
            Ok(FAILED)
        }
        Ending::Finished(_) | Ending::Stopped => Ok(DONE),
    }
}

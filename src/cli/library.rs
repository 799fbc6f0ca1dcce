//! `siglab-tch library libtorch`: what a library that this programme was built with has on this machine, in JSON, for
//! `siglab` to ask.

use anyhow::{Context, ensure};

use crate::record::Library;
use crate::train::device;
use crate::workbench::Has;

use super::{DONE, print};

#[derive(clap::Args, Debug)]
pub struct Args {
    name: String,
}

pub fn run(args: &Args) -> anyhow::Result<u8> {
    let mut all = Library::ALL.into_iter();
    let known = all.find(|library| library.name() == args.name);
    let library = known.with_context(|| format!("{} is no library of siglab's", args.name))?;
    ensure!(library.is_built_in(), "built without {}", args.name);
    let devices = device::of_library(library);
    let has = Has {
        library: device::file_of(library),
        about: devices.iter().map(|name| device::about(name)).collect(),
        devices,
    };
    print(&format!("{}\n", serde_json::to_string(&has)?))?;
    Ok(DONE)
}

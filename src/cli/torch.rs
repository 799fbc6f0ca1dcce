//! `siglab-tch torch`: what libtorch has on this machine, in JSON, for `siglab` to ask.

use crate::train::torch;
use crate::workbench::Torch;

use super::{DONE, print};

pub fn run() -> anyhow::Result<u8> {
    let devices = torch::devices();
    let torch = Torch {
        library: torch::library(),
        about: devices.iter().map(|name| torch::about(name)).collect(),
        devices,
    };
    print(&format!("{}\n", serde_json::to_string(&torch)?))?;
    Ok(DONE)
}

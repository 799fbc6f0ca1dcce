//! What runs can be placed on here: siglab's own devices, and those of a library, for which another programme is started.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::exec::{DeviceError, Has, LibraryError, Slot, device, library as programme};
pub use crate::record::each_device;
use crate::record::{Library, gpu, library};

/// Room on `devices` for so many runs [`at_a_time`].
///
/// # Errors
/// Of a device that is not there.
pub fn slots(
    devices: &[String],
    jobs: Option<usize>,
    startable: usize,
) -> Result<Vec<Slot>, DeviceError> {
    device::slots(devices, at_a_time(devices, jobs, startable), cores(), has)
}

/// Runs at a time on `devices`: `jobs` or, if nobody says, as many as is sensible when `startable` are waiting: one a
/// device and, on the CPU, one a core, since a small run uses one core well and several badly.
pub fn at_a_time(devices: &[String], jobs: Option<usize>, startable: usize) -> usize {
    let sensible = match devices {
        [only] if gpu(only).is_none() => cores().min(startable).max(1),
        devices => devices.len(),
    };
    jobs.unwrap_or(sensible)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// What a library has on this machine. Once it has answered it is not asked again.
pub fn has(library: Library) -> Result<Has, LibraryError> {
    static ANSWERS: Mutex<BTreeMap<Library, Has>> = Mutex::new(BTreeMap::new());
    let mut known = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(has) = known.get(&library) {
        return Ok(has.clone());
    }
    let has = programme::ask(library, &own())?;
    known.insert(library, has.clone());
    Ok(has)
}

/// The programme that computes on `devices` in the place of this one; none where this one does.
///
/// # Errors
/// Where it cannot start.
pub fn instead(devices: &[&str]) -> Result<Option<PathBuf>, DeviceError> {
    let mut names = devices
        .iter()
        .filter_map(|name| Some((name, library(name)?)));
    let Some((name, library)) = names.find(|(_, library)| !library.is_built_in()) else {
        return Ok(None);
    };
    // Where it starts it says itself which devices it has.
    match has(library) {
        Ok(_) => Ok(Some(library.program(&own()))),
        Err(why) => Err(DeviceError::NoLibrary {
            name: (*name).to_owned(),
            why,
        }),
    }
}

/// A system that does not say where this programme lies has nothing beside it.
fn own() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| Path::new("siglab").to_owned())
}

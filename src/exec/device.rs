//! Devices named by the user turned into slots: places on which a run, or one rank of it, can be put. On a CPU a
//! slot is a share of the cores.

use super::library::{Has, LibraryError};
use crate::record::{DeviceName, Library};
use crate::util::printable;

/// Room for one rank: a device and a number of threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub device: String,
    pub threads: usize,
}

/// A device that this build or machine lacks, or no room at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    #[error("no device `{name}` here: there are `cpu` and `cpu:0` to `cpu:{}`; with libtorch `tch:cpu`, and `tch:cuda:0` and so on for GPUs; with burn-cuda `cuda:0` and so on", .cores - 1)]
    Unknown { name: String, cores: usize },
    #[error("no device `{name}` here: {} has {}", .library.name(), listed(.known))]
    NotOfLibrary {
        name: String,
        library: Library,
        known: Vec<String>,
    },
    /// The reason is part of the sentence, and no source that would be told behind it again.
    #[error("no device `{name}` here: {why}")]
    NoLibrary { name: String, why: LibraryError },
    #[error(
        "{first} and {other} are of different kinds, and what they compute differs in the last digits: name devices of one kind"
    )]
    Mixed { first: String, other: String },
    #[error("device `{name}` is named twice; `--jobs` lets several runs share a device")]
    Twice { name: String },
    #[error("--jobs must be at least 1")]
    NoJobs,
}

/// `jobs` slots over `devices` in turn, sharing `cores` equally; each slot has a thread at least. `ask` tells
/// what a library has, where a device is of one.
pub fn slots(
    devices: &[String],
    jobs: usize,
    cores: usize,
    ask: impl Fn(Library) -> Result<Has, LibraryError>,
) -> Result<Vec<Slot>, DeviceError> {
    for (i, name) in devices.iter().enumerate() {
        let parsed: Option<DeviceName> = name.parse().ok();
        match (parsed, parsed.and_then(DeviceName::library)) {
            (_, Some(library)) => {
                let name = name.clone();
                match ask(library) {
                    Ok(has) if has.devices.contains(&name) => {}
                    Ok(Has { devices: known, .. }) => {
                        return Err(DeviceError::NotOfLibrary {
                            name,
                            library,
                            known,
                        });
                    }
                    Err(why) => return Err(DeviceError::NoLibrary { name, why }),
                }
            }
            (Some(DeviceName::Cpu(None)), _) => {}
            (Some(DeviceName::Cpu(Some(k))), _) if usize::from(k) < cores => {}
            _ => {
                let name = printable(name);
                return Err(DeviceError::Unknown { name, cores });
            }
        }
        if kind(name) != kind(&devices[0]) {
            let (first, other) = (devices[0].clone(), name.clone());
            return Err(DeviceError::Mixed { first, other });
        }
        if devices[..i].contains(name) {
            return Err(DeviceError::Twice { name: name.clone() });
        }
    }
    if jobs == 0 || devices.is_empty() {
        return Err(DeviceError::NoJobs);
    }
    let threads = (cores / jobs).max(1);
    Ok(devices
        .iter()
        .cycle()
        .take(jobs)
        .map(|device| Slot {
            device: device.clone(),
            threads,
        })
        .collect())
}

fn listed(known: &[String]) -> String {
    match known {
        [] => "none".into(),
        known => known.join(", "),
    }
}

/// A device's name without its number.
fn kind(name: &str) -> &str {
    let numbered = |rest: &str| rest.bytes().all(|b| b.is_ascii_digit());
    match name.rsplit_once(':') {
        Some((kind, rest)) if numbered(rest) => kind,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(
        devices: &[&str],
        jobs: usize,
        cores: usize,
    ) -> Result<Vec<(String, usize)>, DeviceError> {
        let devices: Vec<String> = devices.iter().map(ToString::to_string).collect();
        let torch = |_| {
            Ok(Has {
                library: None,
                devices: vec!["tch:cpu".into(), "tch:cuda:0".into()],
                about: vec![String::new(); 2],
            })
        };
        Ok(slots(&devices, jobs, cores, torch)?
            .into_iter()
            .map(|slot| (slot.device, slot.threads))
            .collect())
    }

    #[test]
    fn jobs_share_the_cores() {
        assert_eq!(
            placed(&["cpu"], 2, 8).unwrap(),
            [("cpu".into(), 4), ("cpu".into(), 4)]
        );
        assert_eq!(
            placed(&["cpu:0", "cpu:1"], 2, 2).unwrap(),
            [("cpu:0".into(), 1), ("cpu:1".into(), 1)]
        );
        assert_eq!(placed(&["cpu"], 3, 2).unwrap().len(), 3);
        assert_eq!(placed(&["tch:cpu"], 1, 8).unwrap(), [("tch:cpu".into(), 8)]);
    }

    #[test]
    fn an_experiment_has_devices_of_one_kind() {
        assert_eq!(placed(&["cpu", "cpu:1"], 2, 2).unwrap().len(), 2);
        for two in [["cpu", "tch:cpu"], ["tch:cpu", "tch:cuda:0"]] {
            let error = placed(&two, 2, 2).unwrap_err().to_string();
            assert!(error.starts_with(&two.join(" and ")), "{error}");
        }
    }

    #[test]
    fn a_device_that_libtorch_lacks_is_named_with_those_that_it_has() {
        let lacking = placed(&["tch:cuda:1"], 1, 2).unwrap_err().to_string();
        assert!(
            lacking.contains("`tch:cuda:1` here: libtorch has tch:cpu, tch:cuda:0"),
            "{lacking}"
        );
        let missing = |library| {
            Err(LibraryError::Missing {
                library,
                program: "/x/siglab-tch".into(),
            })
        };
        let error = slots(&["tch:cpu".into()], 1, 2, missing).unwrap_err();
        assert!(error.to_string().contains("/x/siglab-tch"), "{error}");
    }

    #[test]
    fn a_device_that_is_not_here_is_named_with_those_that_are() {
        for name in [
            "gpu:0", "cpu:2", "cpu:", "cpu:+1", "cpu0", "", "cpu:x", "CPU",
        ] {
            let error = placed(&[name], 1, 2).unwrap_err();
            assert_eq!(
                error,
                DeviceError::Unknown {
                    name: name.into(),
                    cores: 2
                }
            );
            assert!(error.to_string().contains("`cpu:0` to `cpu:1`"), "{error}");
        }
        assert_eq!(
            placed(&["cpu", "cpu"], 2, 2).unwrap_err(),
            DeviceError::Twice { name: "cpu".into() }
        );
        assert_eq!(placed(&["cpu"], 0, 2).unwrap_err(), DeviceError::NoJobs);
    }
}

//! Devices named by the user turned into slots: places on which a run, or one rank of it, can be put. On a CPU a
//! slot is a share of the cores. Whether a device can compute is the worker's question.

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
    #[error("no device `{name}` here: this build has `cpu` and `cpu:0` to `cpu:{}`", .cores - 1)]
    Unknown { name: String, cores: usize },
    #[error("device `{name}` is named twice; `--jobs` lets several runs share a device")]
    Twice { name: String },
    #[error("--jobs must be at least 1")]
    NoJobs,
}

/// `jobs` slots over `devices` in turn, sharing `cores` equally; each slot has a thread at least.
pub fn slots(devices: &[String], jobs: usize, cores: usize) -> Result<Vec<Slot>, DeviceError> {
    for (i, name) in devices.iter().enumerate() {
        let known = match name.strip_prefix("cpu") {
            Some("") => true,
            Some(rest) => rest.strip_prefix(':').is_some_and(|k| is_index(k, cores)),
            None => false,
        };
        if !known {
            return Err(DeviceError::Unknown {
                name: printable(name),
                cores,
            });
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

/// Decimal digits only (`parse` alone would take `+1`), below `cores`.
fn is_index(text: &str, cores: usize) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<usize>().is_ok_and(|k| k < cores)
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
        Ok(slots(&devices, jobs, cores)?
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
    }

    #[test]
    fn a_device_that_is_not_here_is_named_with_those_that_are() {
        for name in [
            "cuda:0", "cpu:2", "cpu:", "cpu:+1", "cpu0", "", "cpu:x", "CPU",
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

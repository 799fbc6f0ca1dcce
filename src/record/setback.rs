//! How an attempt came to an end that is no result of the run: what the machine did to it. What follows from it is the
//! scheduler's affair.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::util::human_bytes;

/// One bad end, as `lease.json` keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setback {
    pub cause: Cause,
    /// What `want.json` counted as retries at the time: one more wipes the setback out.
    pub retries: u32,
}

/// Why an attempt ended without a last word of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// A signal ended it.
    Crashed { signal: i32 },
    /// It gave up by itself and said nothing.
    Silent { code: i32 },
    /// It is gone, and nobody saw how.
    Gone,
    /// Memory ran out, of the machine or of a device. `shared`: other workers were at it too. `peak` in bytes, as far as
    /// it was seen.
    OutOfMemory { shared: bool, peak: Option<u64> },
    /// The device stopped answering.
    DeviceLost { device: String },
    /// It did nothing for so many seconds and was killed.
    Stalled { seconds: u64 },
    /// A signal kept it from running for so many seconds, and it was killed.
    Suspended { seconds: u64 },
}

/// What an attempt ran out of, as its worker says it in the log of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Lack {
    Memory,
    Device { name: String },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crashed { signal } => write!(f, "signal {signal}"),
            Self::Silent { code } => write!(f, "exit status {code}"),
            Self::Gone => f.write_str("its process is gone"),
            Self::OutOfMemory { shared, peak } => {
                f.write_str("out of memory")?;
                if let Some(peak) = peak {
                    write!(f, " at {}", human_bytes(*peak))?;
                }
                f.write_str(if *shared { ", beside other runs" } else { "" })
            }
            Self::DeviceLost { device } => write!(f, "device {device} was lost"),
            Self::Stalled { seconds } => write!(f, "no sign of life for {seconds} s"),
            Self::Suspended { seconds } => write!(f, "suspended for {seconds} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_said_in_few_words() {
        let cases = [
            (Cause::Crashed { signal: 9 }, "signal 9"),
            (
                Cause::OutOfMemory {
                    shared: true,
                    peak: Some(6 << 30),
                },
                "out of memory at 6.0 GiB, beside other runs",
            ),
            (
                Cause::DeviceLost {
                    device: "cuda:1".into(),
                },
                "device cuda:1 was lost",
            ),
            (Cause::Stalled { seconds: 600 }, "no sign of life for 600 s"),
        ];
        for (cause, words) in cases {
            assert_eq!(cause.to_string(), words);
            let text = serde_json::to_string(&cause).unwrap();
            assert_eq!(serde_json::from_str::<Cause>(&text).unwrap(), cause);
        }
    }
}

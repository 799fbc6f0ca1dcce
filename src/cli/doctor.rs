//! `siglab doctor`: what this build and this machine can do, and what would go wrong in the workspace.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use crate::train::device;

use super::{DONE, FAILED, print};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// One line of the report.
struct Finding {
    name: &'static str,
    value: String,
    /// Why this keeps siglab from working.
    problem: Option<String>,
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let findings = [
        version(),
        cores(),
        vector_units(),
        memory(),
        devices(),
        identity(),
        space(workspace),
    ];
    let healthy = findings.iter().all(|f| f.problem.is_none());
    if args.json {
        let report: serde_json::Map<_, _> = findings
            .iter()
            .map(|f| {
                (
                    f.name.to_owned(),
                    serde_json::json!({ "value": f.value, "problem": f.problem }),
                )
            })
            .collect();
        print(&format!("{}\n", serde_json::Value::Object(report)))?;
    } else {
        print(&findings.iter().map(lines).collect::<String>())?;
    }
    Ok(if healthy { DONE } else { FAILED })
}

fn lines(finding: &Finding) -> String {
    let problem = finding.problem.as_ref().map_or(String::new(), |problem| {
        format!("{:<10} PROBLEM: {problem}\n", "")
    });
    format!("{:<10} {}\n{problem}", finding.name, finding.value)
}

fn good(name: &'static str, value: String) -> Finding {
    Finding {
        name,
        value,
        problem: None,
    }
}

fn version() -> Finding {
    good(
        "siglab",
        format!(
            "{} ({} {})",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH,
            std::env::consts::OS
        ),
    )
}

fn cores() -> Finding {
    let usable = std::thread::available_parallelism().map_or(1, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("", |rest| rest.trim_start_matches([' ', '\t', ':']));
    good(
        "cpu",
        format!("{usable} usable cores, {}", crate::util::printable(model)),
    )
}

#[cfg(target_arch = "x86_64")]
fn vector_units() -> Finding {
    use crate::train::loss::tile::{Isa, Precision};

    let found: Vec<&str> = [
        ("AVX2", is_x86_feature_detected!("avx2")),
        ("FMA", is_x86_feature_detected!("fma")),
        ("AVX-512", is_x86_feature_detected!("avx512f")),
        ("AMX", Isa::Amx.serves(Precision::Bf16)),
    ]
    .into_iter()
    .filter_map(|(name, present)| present.then_some(name))
    .collect();
    good(
        "vectors",
        if found.is_empty() {
            "none: products will be slow".into()
        } else {
            found.join(", ")
        },
    )
}

#[cfg(not(target_arch = "x86_64"))]
fn vector_units() -> Finding {
    good("vectors", format!("those of {}", std::env::consts::ARCH))
}

fn memory() -> Finding {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = |key: &str| {
        info.lines()
            .find_map(|l| l.strip_prefix(key))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|n| n.parse::<f64>().ok())
    };
    let gib = |kib: Option<f64>| {
        kib.map_or("unknown".into(), |k| {
            format!("{:.1} GiB", k / (1 << 20) as f64)
        })
    };
    good(
        "memory",
        format!(
            "{} free of {}",
            gib(kib("MemAvailable:")),
            gib(kib("MemTotal:"))
        ),
    )
}

fn devices() -> Finding {
    good("devices", format!("{} (burn flex, f32)", device::AVAILABLE))
}

fn identity() -> Finding {
    let problem = match crate::record::Process::with_pid(std::process::id()) {
        Ok(Some(_)) => None,
        Ok(None) => Some("this process cannot find itself in /proc".into()),
        Err(e) => Some(format!(
            "processes cannot be told apart: {e}; siglab needs Linux with /proc"
        )),
    };
    Finding {
        name: "processes",
        value: "known by boot id, pid and start time".into(),
        problem,
    }
}

/// Free space below the workspace, or below the nearest directory above it that exists, and whether it can be written.
fn space(workspace: &Path) -> Finding {
    let absolute = std::path::absolute(workspace).unwrap_or_else(|_| workspace.to_owned());
    let existing = absolute
        .ancestors()
        .find(|p| p.exists())
        .unwrap_or(Path::new("/"));
    let free = rustix::fs::statvfs(existing).map_or("unknown".into(), |s| {
        format!(
            "{:.1} GiB",
            s.f_bavail as f64 * s.f_frsize as f64 / (1 << 30) as f64
        )
    });
    let problem = try_to_write(existing).err().map(|e| {
        format!(
            "cannot write in {}: {e}; name another with --workspace DIR",
            existing.display()
        )
    });
    Finding {
        name: "workspace",
        value: format!("{} ({free} free)", absolute.display()),
        problem,
    }
}

/// Make a file in `dir` and take it away: permissions alone do not tell of read-only or special file systems.
fn try_to_write(dir: &Path) -> io::Result<()> {
    let probe = dir.join(format!(".siglab-doctor.{}", std::process::id()));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe)?;
    fs::remove_file(&probe)
}

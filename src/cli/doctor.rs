//! `siglab doctor`: what this build and this machine can do, and what would go wrong in the workspace.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use crate::record::{Library, Provenance};
use crate::util::printable;
use crate::workbench::{LibraryError, has};
use crate::worker::provenance;

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
    let machine = provenance();
    let findings = [
        version(),
        good("system", printable(&machine.os)),
        cpu(&machine),
        vectors(&machine),
        libraries(&machine),
        memory(),
        devices(),
        library(Library::Torch),
        library(Library::Cuda),
        git(&machine),
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

fn cpu(machine: &Provenance) -> Finding {
    let model = printable(&machine.cpu);
    good("cpu", format!("{} usable cores, {model}", machine.cores))
}

fn vectors(machine: &Provenance) -> Finding {
    let found = match machine.vectors.as_str() {
        "" => "none: products will be slow",
        found => found,
    };
    good(
        "vectors",
        format!("{found}; the loss by {}", machine.products),
    )
}

fn libraries(machine: &Provenance) -> Finding {
    let libraries = machine.libraries.iter();
    let libraries: Vec<String> = libraries
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    good("libraries", libraries.join(", "))
}

/// What a run that is started here notes of the code around it.
fn git(machine: &Provenance) -> Finding {
    let state = match &machine.git {
        Some(git) => git.to_string(),
        None => "no repository here, or no git".into(),
    };
    good("git", state)
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
    let value = "`cpu`, or `cpu:K` with K from 0 (burn flex; f32, bf16)";
    good("devices", value.into())
}

fn library(library: Library) -> Finding {
    let (value, problem) = match has(library) {
        Ok(has) if has.devices.is_empty() => ("no device".into(), None),
        Ok(has) => {
            let devices = has.devices.iter().zip(&has.about);
            let devices: Vec<String> = devices
                .map(|(name, about)| format!("`{name}` ({})", printable(about)))
                .collect();
            let file = has.library.as_deref().unwrap_or("linked in");
            let precision = match library {
                Library::Torch => "f32, bf16, TF32 on GPUs",
                Library::Cuda => "f32, bf16",
            };
            let of = format!("{} ({precision}; {})", devices.join(", "), printable(file));
            (of, None)
        }
        Err(error @ LibraryError::Missing { .. }) => (format!("none: {error}"), None),
        Err(error) => ("cannot be used".into(), Some(error.to_string())),
    };
    Finding {
        name: library.name(),
        value,
        problem,
    }
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

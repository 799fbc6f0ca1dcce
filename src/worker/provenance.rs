//! Finds out what an attempt's numbers come from: machine, instructions, libraries, and the state of the repository that
//! siglab was started in. What cannot be found out stays empty: nothing here fails, and nothing takes long.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::record::{Git, Library, Provenance};
use crate::train::device;
use crate::train::loss::tile::{Kernel, Precision};
use crate::util::end_within;

/// The lock file beside the sources of this build.
const LOCK: &str = include_str!("../../Cargo.lock");
/// The crates that compute, or decide what is computed on.
const LIBRARIES: [&str; 10] = [
    "burn",
    "burn-flex",
    "fast_image_resize",
    "gemm",
    "half",
    "image",
    "pulp",
    "rand_chacha",
    "rayon",
    "tokenizers",
];
/// What git may take for one answer: a repository of any sensible size needs less, a network file system may not.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at whether it has answered.
const LOOK: Duration = Duration::from_millis(2);

/// That of this process.
pub fn provenance() -> Provenance {
    Provenance {
        os: os(),
        cpu: cpu(),
        cores: cores(),
        vectors: vectors(),
        products: products(),
        libraries: libraries(),
        git: git(),
    }
}

fn os() -> String {
    let uname = rustix::system::uname();
    let parts = [uname.sysname(), uname.release(), uname.machine()];
    parts.map(|part| part.to_string_lossy()).join(" ")
}

/// The processor's model; empty where the system does not say.
fn cpu() -> String {
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = about
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("", |rest| rest.trim_start_matches([' ', '\t', ':']));
    model.to_owned()
}

/// Cores that this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The processor's vector units, of those that anything here uses.
#[cfg(target_arch = "x86_64")]
fn vectors() -> String {
    use crate::train::loss::tile::Isa;

    let found = [
        ("AVX2", is_x86_feature_detected!("avx2")),
        ("FMA", is_x86_feature_detected!("fma")),
        ("AVX-512", is_x86_feature_detected!("avx512f")),
        ("AMX", Isa::Amx.serves(Precision::Bf16)),
    ];
    let found = found.iter().filter(|(_, is_there)| *is_there);
    found.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(not(target_arch = "x86_64"))]
fn vectors() -> String {
    format!("those of {}", std::env::consts::ARCH)
}

/// How the loss multiplies at each precision.
fn products() -> String {
    let best = |precision: Precision| {
        let isa = Kernel::best(precision).isa();
        format!("{} {}", precision.name(), isa.name())
    };
    Precision::ALL.map(best).join(", ")
}

/// The versions of [`LIBRARIES`] by the lock file. What was built without it, as `cargo install` does unless told
/// `--locked`, may differ in those that no version is pinned of.
fn libraries() -> BTreeMap<String, String> {
    let packages: Vec<(&str, &str)> = LOCK.split("\n\n").filter_map(package).collect();
    let own = LOCK
        .split("\n\n")
        .find(|block| package(block).is_some_and(|(name, _)| name == "siglab"));
    let own = own.unwrap_or_default();
    let version = |library: &&str| {
        let versions = packages.iter().filter(|(name, _)| name == library);
        let versions: Vec<&str> = versions.map(|(_, version)| *version).collect();
        // Of a crate that is there more than once the file says which is used here.
        let used = |version: &&&str| own.contains(&format!("\"{library} {version}\""));
        versions
            .iter()
            .find(used)
            .or(versions.first())
            .map(|version| (*version).to_owned())
    };
    let found = LIBRARIES
        .iter()
        .filter_map(|library| Some(((*library).to_owned(), version(library)?)));
    // Of libtorch the lock file knows nothing: where it lies says which it is.
    let torch = device::file_of(Library::Torch).map(|file| ("libtorch".to_owned(), file));
    found.chain(torch).collect()
}

/// Name and version of a package's block in the lock file.
fn package(block: &str) -> Option<(&str, &str)> {
    let value = |key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key));
        line?.strip_prefix(" = \"")?.strip_suffix('"')
    };
    Some((value("name")?, value("version")?))
}

/// The repository of this directory; none without one, or without git.
fn git() -> Option<Git> {
    let (status, commit) = answer(&["rev-parse", "--verify", "HEAD"])?;
    let commit = commit.trim();
    let is_hash = !commit.is_empty() && commit.bytes().all(|b| b.is_ascii_hexdigit());
    if !status.success() || !is_hash {
        return None;
    }
    let dirty = answer(&["diff", "--quiet", "HEAD", "--"]);
    Some(Git {
        commit: commit.to_owned(),
        dirty: dirty.and_then(|(status, _)| match status.code() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        }),
    })
}

/// What git says, if it is there and says it soon. It changes nothing and runs nothing of the repository's.
fn answer(arguments: &[&str]) -> Option<(ExitStatus, String)> {
    let mut child = Command::new("git")
        .args(["-c", "core.fsmonitor=false", "--no-optional-locks"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let status = end_within(&mut child, PATIENCE, LOOK);
    let mut said = String::new();
    let status = status?;
    // All that it is asked for fits into a pipe.
    let out = child.stdout.take()?;
    out.take(1 << 10).read_to_string(&mut said).ok()?;
    Some((status, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_library_has_a_version() {
        let libraries = libraries();
        for name in LIBRARIES {
            let version = libraries.get(name);
            assert!(
                version.is_some_and(|v| v.contains('.')),
                "{name}: {version:?}"
            );
        }
        assert_eq!(libraries["burn"], "0.22.1", "as Cargo.toml pins it");
        assert!(libraries["rand_chacha"].starts_with("0.10."), "of three");
    }

    #[test]
    fn what_is_found_is_said() {
        let found = provenance();
        assert!(found.os.starts_with("Linux "), "{}", found.os);
        assert!(found.products.starts_with("f32 "), "{}", found.products);
        assert!(found.cores > 0);
    }
}

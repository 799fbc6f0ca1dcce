//! What a run leaves open to others: no socket, and no file that its workspace does not share.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::Mode;
use siglab::record::{Lease, RunDir};

const GRID: &str = include_str!("support/tiny.toml");
const PATIENCE: Duration = Duration::from_secs(120);

/// `siglab run` of a small grid, by somebody with this umask.
fn run(root: &Path, umask: u32, more: &[&str]) -> Command {
    fs::write(root.join("grid.toml"), GRID).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_siglab"));
    command
        .current_dir(root)
        .args(["run", "grid.toml"])
        .args(more);
    // SAFETY: one system call between fork and exec, which is allowed there.
    unsafe {
        command.pre_exec(move || {
            rustix::process::umask(Mode::from_bits_truncate(umask));
            Ok(())
        });
    }
    command
}

/// All below `folder`.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(below(&path));
        }
        found.push(path);
    }
    found
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

/// The runs' directories and everything in them.
fn of_runs(workspace: &Path) -> Vec<PathBuf> {
    let runs = fs::read_dir(workspace)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let runs: Vec<PathBuf> = runs
        .filter(|path| path.join("spec.json").exists())
        .collect();
    assert_eq!(runs.len(), 2);
    runs.iter()
        .flat_map(|run| below(run))
        .chain(runs.clone())
        .collect()
}

#[test]
fn a_workspace_is_private_until_somebody_shares_it() {
    for (shared, umask, dirs, files) in [
        (None, 0o022, 0o700, 0o600),
        (Some(0o755), 0o022, 0o755, 0o644),
        (Some(0o750), 0o022, 0o750, 0o640),
        (Some(0o755), 0o077, 0o700, 0o600),
    ] {
        let tmp = tempfile::tempdir().unwrap();
        let workspace = tmp.path().join("runs");
        if let Some(mode) = shared {
            fs::create_dir(&workspace).unwrap();
            fs::set_permissions(&workspace, fs::Permissions::from_mode(mode)).unwrap();
        }
        let output = run(tmp.path(), umask, &[]).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(mode(&workspace), shared.unwrap_or(0o700));
        let made = of_runs(&workspace);
        assert!(
            made.iter().any(|path| path.ends_with("manifest.json"))
                && made.iter().any(|path| path.ends_with("worker.log"))
        );
        for path in made {
            let expected = if path.is_dir() { dirs } else { files };
            assert_eq!(
                mode(&path),
                expected,
                "{} with umask {umask:o} in a workspace of {shared:?}",
                path.display()
            );
        }
    }
}

/// The inodes of sockets that a process has open.
fn sockets(pid: u32) -> BTreeSet<String> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    let links = fds.filter_map(|fd| fs::read_link(fd.path()).ok()?.to_str().map(str::to_owned));
    links
        .filter_map(|link| {
            link.strip_prefix("socket:[")?
                .strip_suffix(']')
                .map(str::to_owned)
        })
        .collect()
}

/// The inodes of all sockets of a network, and of those that wait for strangers on this machine.
fn reachable() -> BTreeSet<String> {
    let table = |name: &str| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
    let column = |line: &str, n: usize| line.split_whitespace().nth(n).map(str::to_owned);
    let mut found = BTreeSet::new();
    for name in ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"] {
        found.extend(
            table(name)
                .lines()
                .skip(1)
                .filter_map(|line| column(line, 9)),
        );
    }
    // The flag of a socket that listens.
    let listens = |line: &&str| column(line, 3).is_some_and(|flags| flags == "00010000");
    found.extend(
        table("unix")
            .lines()
            .skip(1)
            .filter(listens)
            .filter_map(|line| column(line, 6)),
    );
    found
}

#[test]
fn nobody_can_reach_a_run_over_a_socket() {
    let tmp = tempfile::tempdir().unwrap();
    let mut scheduler = run(tmp.path(), 0o022, &["--set", "train.examples=100000000"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let workspace = tmp.path().join("runs");
    let deadline = Instant::now() + PATIENCE;
    // Both sorts of process at work, a look at each while they are.
    let mut looked = 0;
    while looked < 5 {
        assert!(Instant::now() < deadline, "no worker trains");
        std::thread::sleep(Duration::from_millis(50));
        let runs = fs::read_dir(&workspace).into_iter().flatten().flatten();
        let trains =
            |dir: &RunDir| fs::metadata(dir.metrics()).is_ok_and(|metadata| metadata.len() > 0);
        let dirs = runs.map(|entry| RunDir::new(entry.path())).filter(trains);
        let workers: Vec<u32> = dirs
            .filter_map(|dir| Some(Lease::read(&dir).ok()??.process.pid as u32))
            .collect();
        if workers.is_empty() {
            continue;
        }
        let reachable = reachable();
        for pid in workers.into_iter().chain([scheduler.id()]) {
            let open = sockets(pid);
            let found: Vec<_> = open.intersection(&reachable).collect();
            assert!(
                found.is_empty(),
                "process {pid} can be reached: sockets {found:?}"
            );
        }
        looked += 1;
    }
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&scheduler),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    scheduler.wait().unwrap();
}

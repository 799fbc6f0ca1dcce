//! The files of a run directory, which another user of a shared workspace may have written.

use std::fs;
use std::path::Path;

use siglab::record::{RunDir, read_events};
use siglab::store::Store;
use siglab::workbench::log_of;

use super::fuzz::{Parser, SECOND, tenfold};

const RUN: &str = "runs/6742ef3165";

fn recorded(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recorded");
    fs::read(folder.join(RUN).join(name)).unwrap()
}

/// Fold the workspace and ask what screens ask.
fn folded(folder: &Path, _: &Path) -> Result<String, String> {
    let store = Store::open(&folder.join("runs")).map_err(|e| e.to_string())?;
    if let Some(why) = store.unreadable().values().next() {
        return Err(why.clone());
    }
    let run = store.runs().next().ok_or("no run")?;
    let _ = (
        run.progress(),
        run.speed(),
        run.latest("loss"),
        run.top1(),
        run.damaged,
        log_of(run, 20),
    );
    let events = read_events(&run.dir).map_err(|e| e.to_string())?;
    let state = run.state.name();
    if run.damaged > 0 {
        Err(format!(
            "{state}, damaged lines, {} events",
            events.len().min(9)
        ))
    } else {
        Ok(format!("{state}, {} events", events.len()))
    }
}

fn beside(but: &str) -> Vec<(&'static str, Vec<u8>)> {
    let files = [
        ("runs/6742ef3165/spec.json", "spec.json"),
        ("runs/6742ef3165/events.jsonl", "events.jsonl"),
        ("runs/6742ef3165/lease.json", "lease.json"),
        ("runs/6742ef3165/worker.log", "worker.log"),
    ];
    files
        .into_iter()
        .filter(|(_, name)| *name != but)
        .map(|(path, name)| (path, recorded(name)))
        .collect()
}

pub fn events() -> Parser {
    Parser {
        name: "events",
        file: "runs/6742ef3165/events.jsonl",
        beside: beside("events.jsonl"),
        seeds: vec![recorded("events.jsonl"), b"".to_vec()],
        cpu: SECOND,
        room: tenfold,
        take: folded,
    }
}

pub fn metrics() -> Parser {
    let rows: Vec<u8> = recorded("metrics.jsonl").into_iter().take(6_000).collect();
    let whole = rows.iter().rposition(|byte| *byte == b'\n').unwrap();
    Parser {
        name: "metrics",
        file: "runs/6742ef3165/metrics.jsonl",
        beside: beside("metrics.jsonl"),
        seeds: vec![rows[..=whole].to_vec()],
        cpu: SECOND,
        room: tenfold,
        take: folded,
    }
}

pub fn spec() -> Parser {
    Parser {
        name: "spec",
        file: "runs/6742ef3165/spec.json",
        beside: beside("spec.json"),
        seeds: vec![recorded("spec.json")],
        cpu: SECOND,
        room: tenfold,
        take: folded,
    }
}

/// The want, a zero byte, and the lease.
pub fn want_and_lease() -> Parser {
    let want = br#"{"wish":"pause","priority":3,"forgive":1}"#.to_vec();
    Parser {
        name: "want-and-lease",
        file: "both",
        beside: beside("lease.json"),
        seeds: vec![[want, vec![0], recorded("lease.json")].concat()],
        cpu: SECOND,
        room: tenfold,
        take: |folder, file| {
            let both = fs::read(file).map_err(|e| e.to_string())?;
            let mut parts = both.splitn(2, |byte| *byte == 0);
            let dir = RunDir::new(folder.join(RUN));
            for path in [dir.want(), dir.lease()] {
                fs::write(path, parts.next().unwrap_or_default()).map_err(|e| e.to_string())?;
            }
            folded(folder, file)
        },
    }
}

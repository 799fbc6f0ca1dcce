//! siglab, a workbench for ablations of contrastive image-text pretraining.
//!
//! Five sentences carry the design. A run is a directory, and its logs are the only truth about what happened. The
//! worker knows training and one run directory; it never hears of grids, queues or screens. The workbench knows runs
//! and never touches a tensor. Faces sit over the same workbench, and none can do what another cannot. One file has
//! one writer.
//!
//! ```text
//!   experiment.toml                                                   you
//!        │                                                             ▲
//!        ▼                                                             │
//!   ┌─ spec ───┐    ┌─ workbench ─────────────────────────┐    ┌─ tui, cli ──┐
//!   │ file     │    │ submit, launch, stop, retry, tick   │◄──►│ the screens │
//!   │ → grid   │───►│  sched   what should happen next    │    │ run plan ls │
//!   │ → runs   │    │  exec    where processes live       │    │ table stop… │
//!   └──────────┘    │  store   every log, folded          │    └──────┬──────┘
//!                   └──────┬──────────────────▲───────────┘           ▼
//!                 starts   │                  │ reads         analysis → export
//!                          ▼                  │               statistics   text, Markdown,
//!   ┌─ worker: one process a run ───┐   ┌─ record ─────────┐  as data      CSV, SVG, …
//!   │ train  data → towers → loss → │──►│ the run directory│
//!   │        optimiser → evaluation │   │ runs/<id>/…      │
//!   └───────────────────────────────┘   └──────────────────┘
//! ```
//!
//! Who may import whom, lowest first; `tests/architecture.rs` holds the code to it.
//!
//! | module | what it is |
//! |---|---|
//! | [`util`] | durable writes, the clock, units, text made safe |
//! | [`record`] | the run directory: the one contract of worker and workbench |
//! | [`train`] | the engine: settings, data, towers, losses, ranks, optimiser, evaluation |
//! | [`spec`] | experiment file → grid → runs with ids |
//! | [`exec`] | where a run's process lives |
//! | [`store`] | every run's log folded into memory |
//! | [`sched`] | what should happen next, and the tick that does it |
//! | [`analysis`] | reports → tables and figures as data; spikes, effects, forecasts |
//! | [`export`] | tables and figures → bytes |
//! | [`workbench`] | the core that faces use |
//! | [`worker`] | `siglab worker DIR` |
//! | [`tui`] | the screens |
//! | [`cli`] | the verbs |

pub mod analysis;
pub mod cli;
pub mod exec;
pub mod export;
pub mod record;
pub mod sched;
pub mod spec;
pub mod store;
pub mod train;
pub mod tui;
pub mod util;
pub mod workbench;
pub mod worker;

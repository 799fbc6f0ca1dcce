//! What the training loop says about a run: rows, events and checkpoints, written to its directory. Rank 0 alone has
//! one. Where there is no room for them, it waits until there is. Nothing is read back here but the checkpoint to go on from,
//! and the ways back that the run took.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::record::checkpoint::{self, Checkpoint};
use crate::record::{
    Event, EventLog, Heart, Lack, MetricLog, Outcome, Phase, Room, Row, RunDir, read_events,
};
use crate::util::printable_lines;

use super::config::TrainConfig;
use super::data::Source;
use super::gpu;
use super::loss::gauges;
use super::rollback::{Detours, RollbackConfig};
use super::snapshot;
use super::step::{State, Update};

/// The run's directory, open for writing.
pub struct Recorder {
    dir: RunDir,
    events: EventLog,
    /// Hears every event as a sentence.
    voice: Box<dyn Write + Send>,
    metrics: MetricLog,
    room: Room,
    /// Updates made when something was last put on record.
    step: u64,
    heart: Heart,
    started: Instant,
    saved: Instant,
    /// How long the last checkpoint took, and all of this attempt.
    saving: Duration,
    saved_for: Duration,
    /// Time and examples of the last row, for the rate.
    last_row: (Instant, u64),
    /// How long evaluations took.
    evaluating: Duration,
    /// Samples of which was said that they were skipped.
    skipped: u64,
    /// What the attempt computes on.
    devices: Vec<String>,
}

impl Recorder {
    pub fn new(
        dir: RunDir,
        events: EventLog,
        voice: Box<dyn Write + Send>,
    ) -> anyhow::Result<Self> {
        let metrics = MetricLog::open(&dir)?;
        let heart = Heart::new(&dir)?;
        let now = Instant::now();
        Ok(Self {
            room: Room::new(dir.clone(), Arc::default()),
            step: 0,
            dir,
            events,
            voice,
            metrics,
            heart,
            started: now,
            saved: now,
            saving: Duration::ZERO,
            saved_for: Duration::ZERO,
            last_row: (now, 0),
            evaluating: Duration::ZERO,
            skipped: 0,
            devices: Vec::new(),
        })
    }

    /// Let `stop` end the waiting for room.
    pub fn heed(&mut self, stop: Arc<AtomicBool>) {
        self.room = Room::new(self.dir.clone(), stop);
    }

    /// What the attempt computes on, one a rank, as far as was said.
    pub fn devices(&self) -> &[String] {
        &self.devices
    }

    pub fn dir(&self) -> &RunDir {
        &self.dir
    }

    /// What takes the time from now on, `step` updates being done.
    pub fn at(&mut self, phase: Phase, step: u64) {
        self.heart.beat(phase, step);
    }

    /// The checkpoint to go on from, if there is one, and the ways back so far; damaged checkpoints are warned of. Tells the
    /// log what is void.
    pub fn resume(&mut self) -> anyhow::Result<(Option<Checkpoint>, Detours)> {
        let detours = Detours::of(&read_events(&self.dir)?);
        if let Some(to) = detours.due {
            // They are of the way that the run did not go; nothing on record tells them from those to come.
            checkpoint::discard_after(&self.dir, to)?;
        }
        let (checkpoint, damaged) = checkpoint::latest(&self.dir)?;
        let (step, examples) = checkpoint
            .as_ref()
            .map_or((0, 0), |c| (c.manifest.step, c.manifest.examples));
        self.step = step;
        self.tell(Event::Resumed { step, examples })?;
        for message in damaged {
            self.warn(step, message)?;
        }
        self.last_row.1 = examples;
        self.last_row.0 = Instant::now();
        Ok((checkpoint, detours))
    }

    /// Put an event on record, and say it.
    fn tell(&mut self, event: Event) -> anyhow::Result<()> {
        let line = printable_lines(&event.to_string());
        let waited = self.room.hold(|| self.events.append(event.clone()))?.1;
        // The record is what counts: that nobody listens is no reason to stop.
        let _ = writeln!(self.voice, "{line}");
        self.note_wait(waited)
    }

    /// Say how long the run had to wait for room, if it had. That was no training.
    fn note_wait(&mut self, waited: Option<Duration>) -> anyhow::Result<()> {
        let Some(waited) = waited else { return Ok(()) };
        self.started += waited;
        self.last_row.0 += waited;
        let seconds = waited.as_secs_f64();
        let message = format!("the disk was full: the run waited {seconds:.1} s for room");
        self.warn(self.step, message)
    }

    pub fn started(&mut self, event: Event) -> anyhow::Result<()> {
        if let Event::Started { devices, .. } = &event {
            self.devices.clone_from(devices);
        }
        self.tell(event)
    }

    /// The row of a step. The first says beside its loss what was to be expected of it.
    pub fn row(
        &mut self,
        config: &TrainConfig,
        step: u64,
        examples: u64,
        update: &Update,
    ) -> anyhow::Result<()> {
        self.step = step;
        let now = Instant::now();
        let rate =
            (examples - self.last_row.1) as f64 / (now - self.last_row.0).as_secs_f64().max(1e-9);
        self.last_row = (now, examples);
        let mut values = BTreeMap::from([
            ("loss", update.loss),
            ("lr", update.lr),
            ("grad_norm", update.norms.gradient),
            ("update_norm", update.norms.update),
            ("examples_per_second", rate),
        ]);
        if let Some(log_t) = update.log_t {
            values.extend([("log_t", log_t), ("logit_scale", log_t.exp())]);
        }
        values.extend(update.bias.map(|b| ("bias", b)));
        values.extend(
            update
                .negatives_kept
                .map(|count| ("negatives_kept", count as f64)),
        );
        let batch = config.train.batch_size;
        if let Some(bound) = gauges::mutual_information(&config.loss, batch, update.loss) {
            values.extend([("mi_bound", bound.nats), ("mi_cap", bound.cap)]);
        }
        if step == 1
            && let Some(expected) = expected_loss(config, update)
        {
            values.insert("expected_loss", expected);
            let of_chance = "expected of embeddings that have nothing in common";
            let line = format!(
                "step 1: loss {:.4}; {expected:.4} is {of_chance}",
                update.loss
            );
            let _ = writeln!(self.voice, "{line}");
        }
        values.extend(
            [
                ("grad_share/positive", update.grad_share_positive),
                ("grad_share/hardest_1pct", update.grad_share_hardest),
                ("bytes_sent", update.bytes_sent.map(|count| count as f64)),
            ]
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?))),
        );
        for (extent, names) in [
            (
                &update.positive,
                [
                    "positive_logit/mean",
                    "positive_logit/min",
                    "positive_logit/max",
                ],
            ),
            (
                &update.negative,
                [
                    "negative_logit/mean",
                    "negative_logit/min",
                    "negative_logit/max",
                ],
            ),
        ] {
            if let Some(mean) = extent.mean() {
                values.extend(names.into_iter().zip([mean, extent.min, extent.max]));
            }
        }
        let mut values: BTreeMap<String, f64> = values
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        if let Some(details) = &update.details {
            values.insert("param_norm".into(), details.param_norm);
            let layers = details.staleness.iter();
            values.extend(layers.map(|(layer, value)| (format!("staleness/{layer}"), *value)));
        }
        values.extend(gpu::gauges(&self.devices));
        if self.skipped > 0 {
            values.insert("skipped".into(), self.skipped as f64);
        }
        values.retain(|_, value| value.is_finite());
        let seconds = self.started.elapsed().as_secs_f64();
        // Of the whole attempt so far, so that the last row has the answer.
        let share = |waited: Duration| waited.as_secs_f64() / seconds.max(1e-9);
        values.insert("wait/data".into(), share(update.waited));
        values.insert("wait/eval".into(), share(self.evaluating));
        values.insert("wait/save".into(), share(self.saved_for));
        let row = Row {
            attempt: self.events.attempt(),
            step,
            examples,
            seconds,
            values,
        };
        let waited = self.room.hold(|| self.metrics.append(&row))?.1;
        self.note_wait(waited)
    }

    /// An evaluation that kept training from going on for `took`.
    pub fn evaluated(
        &mut self,
        step: u64,
        examples: u64,
        metrics: BTreeMap<String, f64>,
        took: Duration,
    ) -> anyhow::Result<()> {
        self.evaluating += took;
        self.tell(Event::Evaluated {
            step,
            examples,
            metrics,
        })?;
        // An evaluation is no training: the next row's rate must not pay for it.
        self.last_row.0 = Instant::now();
        Ok(())
    }

    pub fn warn(&mut self, step: u64, message: String) -> anyhow::Result<()> {
        self.tell(Event::Warned { step, message })
    }

    /// Say what is of no account later.
    pub fn say(&mut self, what: std::fmt::Arguments) {
        // As with events, that nobody listens is no reason to stop.
        let _ = writeln!(self.voice, "{what}");
    }

    /// Say which samples were skipped, if there are more than was said last: any more with `all`, else twice as many, so
    /// that a long run over bad data does not say so at every step.
    pub fn skips(&mut self, step: u64, source: &Source, all: bool) -> anyhow::Result<()> {
        let Some(skips) = source.skips() else {
            return Ok(());
        };
        let least = if all {
            self.skipped + 1
        } else {
            2 * self.skipped.max(1)
        };
        if skips.count() >= least {
            self.skipped = skips.count();
            self.warn(step, skips.to_string())?;
        }
        Ok(())
    }

    /// Whether `seconds` have gone by since the last checkpoint, and so much more that checkpoints take a fiftieth of the
    /// time at most; with 0 there is always one due.
    pub fn save_is_due(&self, seconds: f64) -> bool {
        let since = self.saved.elapsed();
        seconds == 0.0 || since.as_secs_f64() >= seconds && since >= 50 * self.saving
    }

    /// Commit a checkpoint, and keep one that `rollback` can go back to. Rows are durable first, so that none before it can
    /// be lost.
    pub fn save(
        &mut self,
        step: u64,
        examples: u64,
        state: &State,
        rollback: &RollbackConfig,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        self.step = step;
        self.at(Phase::Saving, step);
        self.metrics.sync()?;
        let (files, back) = (snapshot::files(state)?, rollback.keeps_back());
        let save = || checkpoint::save(&self.dir, step, examples, &files, back);
        let (name, waited) = self.room.hold(save)?;
        self.note_wait(waited)?;
        self.tell(Event::Saved {
            step,
            examples,
            name,
        })?;
        self.saved = Instant::now();
        self.saving = (self.saved - began).saturating_sub(waited.unwrap_or_default());
        self.saved_for += self.saving;
        Ok(())
    }

    /// Put on record that the run goes back from `step`, for `reason`, and which batches it leaves out besides those of
    /// `detours`. Neither depends on which checkpoints there are.
    pub fn rolled_back(
        &mut self,
        step: u64,
        examples: u64,
        reason: String,
        rollback: &RollbackConfig,
        detours: &Detours,
    ) -> anyhow::Result<()> {
        let to = step.saturating_sub(rollback.back.max(1));
        self.metrics.sync()?;
        self.tell(Event::RolledBack {
            step,
            examples,
            to,
            left_out: detours.left_out.after(to, rollback.skip),
            reason,
        })
    }

    /// The attempt lacks what it cannot do without.
    pub fn interrupted(&mut self, lack: Lack, reason: String) -> anyhow::Result<()> {
        self.metrics.sync()?;
        self.tell(Event::Interrupted { lack, reason })
    }

    pub fn stopped(&mut self, step: u64, examples: u64) -> anyhow::Result<()> {
        self.tell(Event::Stopped { step, examples })
    }

    pub fn finished(&mut self, step: u64, examples: u64, outcome: Outcome) -> anyhow::Result<()> {
        self.metrics.sync()?;
        self.tell(Event::Finished {
            step,
            examples,
            outcome,
        })
    }
}

/// What independent embeddings would have cost in the place of those of `update`.
fn expected_loss(config: &TrainConfig, update: &Update) -> Option<f64> {
    gauges::expected_loss(
        &config.loss,
        config.train.batch_size,
        config.model.embed_dim,
        update.log_t?,
        update.bias.unwrap_or(0.0),
    )
}

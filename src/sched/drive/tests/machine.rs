//! The scheduler as a machine that anything may happen to: workers end in every way, people change their minds, devices
//! are lost, schedulers die and are replaced. What must hold is asked after each step.

use proptest::prelude::*;

use super::*;

/// Ranks of the runs, and as many slots as there are devices.
const RANKS: [usize; 6] = [1, 2, 1, 3, 1, 1];
const DEVICES: [&str; 3] = ["cuda:0", "cuda:1", "cuda:2"];

/// What happens. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    /// So many seconds go by.
    Tick(u64),
    /// A worker ends.
    End(usize, Way),
    Wish(usize, Wish),
    Retry(usize),
    Priority(usize, i32),
    Replace,
    /// Somebody asks for a run that the scheduler may know already.
    Ask(usize),
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Completed,
    Failed,
    Stopped,
    Killed,
    Silent,
    OutOfMemory,
    /// The worker says that its first device is lost.
    DeviceLost,
    /// It saved a checkpoint before it was killed.
    KilledLater,
}

fn step() -> impl Strategy<Value = Step> {
    let way = prop::sample::select(vec![
        Way::Completed,
        Way::Completed,
        Way::Failed,
        Way::Stopped,
        Way::Killed,
        Way::Silent,
        Way::OutOfMemory,
        Way::DeviceLost,
        Way::KilledLater,
    ]);
    let wish = prop::sample::select(vec![Wish::Run, Wish::Pause, Wish::Stop]);
    prop_oneof![
        4 => (1..3u64).prop_map(Step::Tick),
        1 => Just(Step::Tick(70)),
        5 => (any::<usize>(), way).prop_map(|(n, way)| Step::End(n, way)),
        2 => (any::<usize>(), wish).prop_map(|(n, wish)| Step::Wish(n, wish)),
        1 => any::<usize>().prop_map(Step::Retry),
        1 => (any::<usize>(), -1..2i32).prop_map(|(n, priority)| Step::Priority(n, priority)),
        1 => Just(Step::Replace),
        1 => any::<usize>().prop_map(Step::Ask),
    ]
}

/// A worker that the test plays: it holds its run's lock while it lives.
struct Worker {
    run: usize,
    attempt: u32,
    devices: Vec<String>,
    _lock: WorkerLock,
}

struct Machine {
    f: Fixture,
    /// By their numbers.
    alive: BTreeMap<usize, Worker>,
    attempts: [u32; RANKS.len()],
    seen: usize,
    /// Ends of each run that must have been counted since it was last retried, at most.
    notices: Vec<Notice>,
}

impl Machine {
    fn new() -> Self {
        let mut fake = Fake::on(&DEVICES);
        fake.memory = Some(10 << 30);
        fake.peaks = (0..1_000).map(|n| (n, (n as u64 % 7) << 30)).collect();
        Self {
            f: Fixture::with_ranks(&RANKS, fake),
            alive: BTreeMap::new(),
            attempts: [0; RANKS.len()],
            seen: 0,
            notices: Vec::new(),
        }
    }

    fn tick(&mut self, seconds: u64) {
        self.f.clock.fetch_add(1_000 * seconds, Ordering::Relaxed);
        // As the session does with each turn.
        let ids = self.f.ids.clone();
        self.f.store.refresh_runs(&ids);
        let notices = self.f.tick();
        self.notices.extend(notices);
        for worker in self.seen..self.f.scheduler.executor.submitted.len() {
            let job = self.f.scheduler.executor.submitted[worker].clone();
            let run = self.f.dirs.iter().position(|dir| *dir == job.dir).unwrap();
            // Refused if another worker lives: never two of one run.
            let lock = WorkerLock::acquire(&job.dir)
                .unwrap()
                .expect("the only worker");
            self.f.started(run);
            self.attempts[run] += 1;
            self.alive.insert(
                worker,
                Worker {
                    run,
                    attempt: self.attempts[run],
                    devices: job.devices,
                    _lock: lock,
                },
            );
        }
        self.seen = self.f.scheduler.executor.submitted.len();
        // Nothing survives that signal.
        for pid in std::mem::take(&mut self.f.scheduler.executor.killed) {
            self.alive.remove(&((pid - 0x4000_0000) as usize));
        }
    }

    fn end(&mut self, worker: usize, way: Way) {
        let Worker {
            run,
            attempt,
            devices,
            ..
        } = &self.alive[&worker];
        let (run, attempt) = (*run, *attempt);
        let (step, examples) = (9, 90);
        let event = |event| self.f.event_of_attempt(run, attempt, event);
        let finished = |outcome| Event::Finished {
            step,
            examples,
            outcome,
        };
        let state = match way {
            Way::Completed => {
                event(finished(Outcome::Completed));
                JobState::Exited(0)
            }
            Way::Failed => {
                let reason = "disk".into();
                event(finished(Outcome::Failed { reason }));
                JobState::Exited(1)
            }
            Way::Stopped => {
                event(Event::Stopped { step, examples });
                JobState::Exited(0)
            }
            Way::Killed => JobState::Killed(9),
            Way::Silent => JobState::Exited(7),
            Way::OutOfMemory => JobState::OutOfMemory,
            Way::DeviceLost => {
                event(Event::Interrupted {
                    lack: Lack::Device {
                        name: devices[0].clone(),
                    },
                    reason: "device lost".into(),
                });
                JobState::Exited(1)
            }
            Way::KilledLater => {
                event(Event::Saved {
                    step,
                    examples,
                    name: "step-9".into(),
                });
                JobState::Killed(11)
            }
        };
        self.alive.remove(&worker);
        self.f.scheduler.executor.end(worker, state);
    }

    fn want(&self, run: usize, change: impl FnOnce(&mut Want)) {
        let dir = &self.f.dirs[run];
        let mut want = Want::read(dir).unwrap();
        change(&mut want);
        want.write(dir).unwrap();
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Tick(seconds) => self.tick(seconds),
            Step::End(n, way) if !self.alive.is_empty() => {
                let worker = *self.alive.keys().nth(n % self.alive.len()).unwrap();
                self.end(worker, way);
            }
            Step::End(..) => {}
            Step::Wish(n, wish) => self.want(n % RANKS.len(), |want| want.wish = wish),
            Step::Retry(n) => {
                let run = n % RANKS.len();
                self.want(run, |want| {
                    want.wish = Wish::Run;
                    want.forgive = self.attempts[run];
                    want.retries += 1;
                });
            }
            Step::Priority(n, priority) => {
                self.want(n % RANKS.len(), |want| want.priority = priority);
            }
            Step::Replace => self.f.replace_scheduler(),
            Step::Ask(n) => {
                requests::ask(self.f.tmp.path(), &self.f.ids[n % RANKS.len()..][..1]).unwrap();
            }
        }
    }

    /// What must hold at any time.
    fn check(&self) -> Result<(), TestCaseError> {
        let mut runs: Vec<usize> = self.alive.values().map(|worker| worker.run).collect();
        runs.sort_unstable();
        let count = runs.len();
        runs.dedup();
        prop_assert_eq!(count, runs.len(), "two workers of one run");
        // A slot is a device here: no two workers share one.
        let mut devices: Vec<&String> = Vec::new();
        for worker in self.alive.values() {
            let mut own: Vec<&String> = worker.devices.iter().collect();
            own.sort_unstable();
            own.dedup();
            devices.extend(own);
        }
        let count = devices.len();
        devices.sort_unstable();
        devices.dedup();
        prop_assert_eq!(count, devices.len(), "two workers on one device");
        Ok(())
    }

    /// People let everything go on, and workers do their work: then every run comes to its result, or no device is left.
    fn conclude(&mut self) -> Result<(), TestCaseError> {
        for run in 0..RANKS.len() {
            self.step(Step::Retry(run));
        }
        for _ in 0..10 * RANKS.len() {
            self.tick(1);
            self.check()?;
            let alive: Vec<usize> = self.alive.keys().copied().collect();
            for worker in alive {
                self.end(worker, Way::Completed);
            }
        }
        self.tick(1);
        prop_assert!(self.f.is_idle(), "{:?}", self.notices);
        let view = self.f.scheduler.view(&self.f.store);
        for id in &self.f.ids {
            let run = self.f.store.get(id).unwrap();
            let without_device = view.usable == 0 && view.waits.contains_key(id);
            prop_assert!(
                run.state == RunState::Completed || without_device,
                "{:?}: {:?}",
                run.state,
                self.notices
            );
        }
        Ok(())
    }
}

fn survive(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut machine = Machine::new();
    for step in steps {
        machine.step(step);
        machine.check()?;
    }
    machine.conclude()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_happens_every_run_has_one_worker_and_comes_to_its_end(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        survive(steps)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// The count of a nightly round.
    #[test]
    #[ignore = "takes a minute; the same with fewer cases runs always"]
    fn whatever_happens_for_long(steps in prop::collection::vec(step(), 40..120)) {
        survive(steps)?;
    }
}

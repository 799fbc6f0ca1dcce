//! The rules as tables: runs are named by letters, `b<a` is run b that needs a.

use proptest::prelude::*;

use super::queue::Decision;
use super::*;

fn id(letter: char) -> RunId {
    format!("{:010x}", letter as u32).parse().unwrap()
}

fn letter(id: &RunId) -> char {
    char::from_u32(u32::from_str_radix(id.as_str(), 16).unwrap()).unwrap()
}

fn task(state: RunState) -> Task {
    Task {
        state,
        want: Want::default(),
        needs: Vec::new(),
        slots: 1,
        ours: true,
        asked: false,
        given_up: None,
        alone: false,
        memory: None,
        overtaken: 0,
    }
}

fn failed() -> RunState {
    RunState::Failed {
        reason: "disk".into(),
    }
}

fn diverged() -> RunState {
    RunState::Diverged {
        step: 1,
        reason: "loss".into(),
    }
}

fn view(free: usize, tasks: &[(char, Task)]) -> View {
    View {
        tasks: tasks
            .iter()
            .map(|(name, task)| (id(*name), task.clone()))
            .collect(),
        order: tasks.iter().map(|(name, _)| id(*name)).collect(),
        free,
        usable: 9,
        ..View::default()
    }
}

/// `+a` starts a, `-a` stops it.
fn planned(view: &View) -> String {
    let text = |action| match action {
        Action::Start(id) => format!("+{}", letter(&id)),
        Action::Stop(id) => format!("-{}", letter(&id)),
    };
    plan(view)
        .into_iter()
        .map(text)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn runs_start_in_order_while_slots_last() {
    let new = || task(RunState::New);
    assert_eq!(
        planned(&view(2, &[('c', new()), ('a', new()), ('b', new())])),
        "+c +a"
    );
    assert_eq!(planned(&view(0, &[('a', new())])), "");
    let urgent = Task {
        want: Want {
            priority: 1,
            ..Want::default()
        },
        ..new()
    };
    assert_eq!(
        planned(&view(2, &[('a', new()), ('b', urgent), ('c', new())])),
        "+b +a"
    );
}

#[test]
fn nothing_starts_on_a_full_disk_and_what_is_unwanted_is_stopped() {
    let unwanted = Task {
        want: Want {
            wish: Wish::Stop,
            ..Want::default()
        },
        ..task(RunState::Running)
    };
    let mut view = view(2, &[('a', task(RunState::New)), ('b', unwanted)]);
    assert_eq!(planned(&view), "-b +a");
    view.full = true;
    assert_eq!(planned(&view), "-b");
}

#[test]
fn only_runs_that_can_go_on_are_started() {
    let states = [
        (RunState::New, "+a"),
        (RunState::Stopped, "+a"),
        (RunState::Interrupted { cause: None }, "+a"),
        (RunState::Running, ""),
        (RunState::Completed, ""),
        (diverged(), ""),
        (failed(), ""),
    ];
    for (state, expected) in states {
        assert_eq!(
            planned(&view(1, &[('a', task(state.clone()))])),
            expected,
            "{state:?}"
        );
    }
    let given_up = Task {
        given_up: Some("crashed twice".into()),
        ..task(RunState::Interrupted { cause: None })
    };
    assert_eq!(planned(&view(1, &[('a', given_up)])), "");
}

/// Why runs wait, in the words that faces show.
fn waits(view: &View) -> Vec<String> {
    let wait = |(run, decision): (RunId, Decision)| match decision {
        Decision::Start => None,
        Decision::Wait(wait) => Some(format!("{}: {wait}", letter(&run))),
    };
    queue::decide(view).into_iter().filter_map(wait).collect()
}

#[test]
fn small_runs_use_what_a_large_one_cannot_until_it_was_overtaken_often_enough() {
    let large = |overtaken| Task {
        slots: 3,
        overtaken,
        ..task(RunState::New)
    };
    let small = || task(RunState::New);
    let queue = |free, overtaken| {
        view(
            free,
            &[
                ('a', large(overtaken)),
                ('b', small()),
                ('c', small()),
                ('d', small()),
            ],
        )
    };
    assert_eq!(planned(&queue(4, 0)), "+a +b");
    assert_eq!(planned(&queue(2, 0)), "+b +c");
    assert_eq!(planned(&queue(2, 2)), "+b");
    assert_eq!(planned(&queue(2, 3)), "");
    let behind = format!("waits behind {}, which was overtaken often enough", id('a'));
    assert_eq!(
        waits(&queue(2, 3)),
        [
            "a: waits for 3 slots: 2 are free".to_owned(),
            format!("b: {behind}"),
            format!("c: {behind}"),
            format!("d: {behind}"),
        ]
    );
    assert_eq!(planned(&queue(3, 3)), "+a", "its turn comes");
}

#[test]
fn runs_are_not_started_together_beyond_the_memory_of_the_machine() {
    let needs = |gib: u64| Task {
        memory: Some(gib << 30),
        ..task(RunState::New)
    };
    let mut view = view(
        9,
        &[
            ('a', needs(6)),
            ('b', needs(6)),
            ('c', needs(2)),
            ('d', needs(2)),
        ],
    );
    view.memory = Some(10 << 30);
    assert_eq!(planned(&view), "+a +c");
    assert_eq!(
        waits(&view),
        [
            "b: waits for memory: needs 6.0 GiB, 4.0 GiB are left",
            "d: waits behind 0000000062, which was overtaken often enough",
        ]
    );
    view.memory = Some(4 << 30);
    assert_eq!(
        planned(&view),
        "+a",
        "one that needs more than there is gets what there is"
    );
    view.workers = 1;
    assert_eq!(planned(&view), "+c");
    view.memory = None;
    assert_eq!(planned(&view), "+a +b +c +d");
}

#[test]
fn a_run_that_is_to_be_alone_waits_for_the_others_and_keeps_them_out() {
    let alone = Task {
        alone: true,
        ..task(RunState::New)
    };
    let mut view = view(3, &[('a', alone), ('b', task(RunState::New))]);
    assert_eq!(planned(&view), "+a");
    assert_eq!(waits(&view), ["b: waits for 1 slot: 0 are free"]);
    view.workers = 2;
    assert_eq!(planned(&view), "+b");
    assert_eq!(
        waits(&view),
        ["a: waits to be alone on the machine: 2 other runs at work"]
    );
    view.workers = 1;
    view.tasks.get_mut(&id('a')).unwrap().overtaken = 1;
    assert_eq!(planned(&view), "");
}

#[test]
fn without_a_device_everything_waits() {
    let mut view = view(0, &[('a', task(RunState::New))]);
    (view.usable, view.set_aside) = (0, vec!["cuda:0".into()]);
    assert_eq!(planned(&view), "");
    assert_eq!(
        waits(&view),
        ["a: waits for a device: cuda:0 was lost and is set aside"]
    );
}

#[test]
fn prerequisites_come_first() {
    let needs = |name| Task {
        needs: vec![id(name)],
        ..task(RunState::New)
    };
    let paused = Task {
        want: Want {
            wish: Wish::Pause,
            ..Want::default()
        },
        ..task(RunState::New)
    };
    let given_up = Task {
        given_up: Some("crashed twice".into()),
        ..task(RunState::Interrupted { cause: None })
    };
    let waiting = || Some(Standing::Waiting { needs: id('a') });
    let blocked = || Some(Standing::Blocked { by: id('a') });
    let cases = [
        (task(RunState::New), "+a", waiting()),
        (task(RunState::Running), "", waiting()),
        (paused, "", waiting()),
        (task(RunState::Completed), "+b", Some(Standing::Ready)),
        (task(failed()), "", blocked()),
        (task(diverged()), "", blocked()),
        (given_up, "", blocked()),
    ];
    for (first, expected, stands) in cases {
        let view = view(2, &[('b', needs('a')), ('a', first.clone())]);
        assert_eq!(planned(&view), expected, "{first:?}");
        assert_eq!(standing(&view, &id('b')), stands, "{first:?}");
    }
}

#[test]
fn what_blocks_is_the_root_and_a_missing_or_circular_need_blocks() {
    let needs = |name| Task {
        needs: vec![id(name)],
        ..task(RunState::New)
    };
    let chain = view(
        9,
        &[('a', task(failed())), ('b', needs('a')), ('c', needs('b'))],
    );
    assert_eq!(
        standing(&chain, &id('c')),
        Some(Standing::Blocked { by: id('a') })
    );
    assert_eq!(planned(&view(9, &[('b', needs('x'))])), "");
    let circle = view(9, &[('a', needs('b')), ('b', needs('a'))]);
    assert!(matches!(
        standing(&circle, &id('a')),
        Some(Standing::Blocked { .. })
    ));
}

#[test]
fn a_wish_holds_a_run_back_and_stops_a_worker_once() {
    for wish in [Wish::Stop, Wish::Pause] {
        let held = |state| Task {
            want: Want {
                wish,
                ..Want::default()
            },
            ..task(state)
        };
        assert_eq!(planned(&view(1, &[('a', held(RunState::New))])), "");
        assert_eq!(planned(&view(1, &[('a', held(RunState::Running))])), "-a");
        assert_eq!(
            planned(&view(
                1,
                &[(
                    'a',
                    Task {
                        asked: true,
                        ..held(RunState::Running)
                    }
                )]
            )),
            ""
        );
    }
}

#[test]
fn halting_stops_ours_and_starts_nothing() {
    let stranger = Task {
        ours: false,
        ..task(RunState::Running)
    };
    let mut view = view(
        5,
        &[
            ('a', task(RunState::New)),
            ('b', task(RunState::Running)),
            ('c', stranger),
        ],
    );
    view.halting = true;
    assert_eq!(planned(&view), "-b");
}

/// A grid of runs over a machine, without processes: each run that is at work ends after so many rounds.
#[derive(Clone, Debug)]
struct Machine {
    view: View,
    /// Rounds that each run takes, and those that each worker has left.
    rounds: BTreeMap<RunId, usize>,
    running: BTreeMap<RunId, usize>,
    slots: usize,
    memory: u64,
}

impl Machine {
    /// One round: what ends, what starts, and who was overtaken.
    fn round(&mut self) -> Vec<RunId> {
        for (id, left) in std::mem::take(&mut self.running) {
            let task = self.view.tasks.get_mut(&id).unwrap();
            match left.checked_sub(1) {
                Some(left) => drop(self.running.insert(id, left)),
                None => task.state = RunState::Completed,
            }
        }
        let at_work = |id: &RunId| &self.view.tasks[id];
        let taken: usize = self.running.keys().map(|id| at_work(id).slots).sum();
        let held: u64 = self
            .running
            .keys()
            .filter_map(|id| at_work(id).memory)
            .sum();
        self.view.free = self.slots - taken;
        self.view.memory = Some(self.memory.saturating_sub(held));
        self.view.workers = self.running.len();
        let (mut waiting, mut started) = (Vec::new(), Vec::new());
        for (id, decision) in queue::decide(&self.view) {
            match decision {
                Decision::Wait(_) => waiting.push(id),
                Decision::Start => {
                    for behind in &waiting {
                        self.view.tasks.get_mut(behind).unwrap().overtaken += 1;
                    }
                    self.view.tasks.get_mut(&id).unwrap().state = RunState::Running;
                    self.running.insert(id.clone(), self.rounds[&id]);
                    started.push(id);
                }
            }
        }
        started
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Nobody is overtaken more often than it takes slots, slots and memory are never given twice, and all come to their
    /// turn, in a time that the large ones cannot make endless.
    #[test]
    fn the_queue_is_fair_and_comes_to_an_end(
        runs in prop::collection::vec((1..=4usize, 0..8u64, 0..6usize, 0..3i32), 1..25)
    ) {
        let id = |n: usize| -> RunId { format!("{n:010x}").parse().unwrap() };
        let tasks = runs.iter().enumerate().map(|(n, (slots, memory, _, priority))| {
            let want = Want { priority: *priority, ..Want::default() };
            let memory = (*memory > 0).then_some(memory << 30);
            (id(n), Task { slots: *slots, memory, want, ..task(RunState::New) })
        });
        let mut machine = Machine {
            view: View {
                tasks: tasks.collect(),
                order: (0..runs.len()).map(id).collect(),
                usable: 4,
                ..View::default()
            },
            rounds: runs.iter().enumerate().map(|(n, run)| (id(n), run.2)).collect(),
            running: BTreeMap::new(),
            slots: 4,
            memory: 10 << 30,
        };
        let most = runs.iter().map(|run| run.2 + 1).sum::<usize>() + runs.len();
        let mut rounds = 0;
        while machine.view.tasks.values().any(|task| task.state != RunState::Completed) {
            rounds += 1;
            prop_assert!(rounds <= most, "it does not come to an end: {machine:?}");
            let started = machine.round();
            let at_work = || machine.running.keys().map(|id| &machine.view.tasks[id]);
            prop_assert!(at_work().map(|task| task.slots).sum::<usize>() <= machine.slots);
            let held: u64 = at_work().filter_map(|task| task.memory).sum();
            prop_assert!(started.is_empty() || held <= machine.memory || at_work().count() == 1);
            for task in machine.view.tasks.values() {
                prop_assert!(task.overtaken <= queue::bound(task), "{task:?}");
            }
            prop_assert!(
                !machine.running.is_empty()
                    || machine.view.tasks.values().all(|task| task.state == RunState::Completed),
                "nothing is at work and something waits"
            );
        }
    }
}

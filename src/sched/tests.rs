//! The rules as tables: runs are named by letters, `b<a` is run b that needs a.

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
        halting: false,
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

#[test]
fn a_large_run_at_the_head_is_not_overtaken() {
    let large = Task {
        slots: 3,
        ..task(RunState::New)
    };
    assert_eq!(
        planned(&view(
            2,
            &[('a', large.clone()), ('b', task(RunState::New))]
        )),
        ""
    );
    assert_eq!(
        planned(&view(4, &[('a', large), ('b', task(RunState::New))])),
        "+a +b"
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

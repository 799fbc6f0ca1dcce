//! Whole files, from text to grid.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::train::loss::LossConfig;
use crate::train::model::TowerInit;

fn load(text: &str) -> Result<Experiment, SpecError> {
    Experiment::parse(Path::new("x.toml"), text, &[])
}

fn grid(text: &str) -> Grid {
    load(text).unwrap().expand().unwrap()
}

fn refusal(text: &str) -> String {
    let experiment = match load(text) {
        Ok(experiment) => experiment,
        Err(error) => return error.to_string(),
    };
    let refused = experiment
        .expand()
        .and_then(|grid| grid.require_valid(&experiment));
    refused.unwrap_err().to_string()
}

#[test]
fn axes_multiply_in_the_order_of_the_file_and_seeds_are_innermost() {
    let grid = grid(
        r#"
        [axes]
        "train.batch_size" = [64, 128]
        "loss.kind" = ["sigmoid", "softmax"]
        [seeds]
        count = 2
        "#,
    );
    let cells: Vec<_> = grid
        .cells
        .iter()
        .map(|cell| {
            let values: Vec<_> = cell.settings().map(|(_, value)| value.clone()).collect();
            (values[0].clone(), values[1].clone(), cell.seed)
        })
        .collect();
    assert_eq!(cells.len(), 8);
    assert_eq!(cells[0], (json!(64), json!("sigmoid"), 0));
    assert_eq!(cells[1], (json!(64), json!("sigmoid"), 1));
    assert_eq!(cells[2], (json!(64), json!("softmax"), 0));
    assert_eq!(cells[7], (json!(128), json!("softmax"), 1));
    assert_eq!(grid.runs().len(), 8);
}

#[test]
fn keys_may_be_dotted_quoted_or_tables() {
    let spellings = [
        "[base]\nloss.bias.init = -5",
        "[base]\n\"loss.bias.init\" = -5.0",
        "[base.loss.bias]\ninit = -5",
        "[base]\nloss = { kind = \"sigmoid\", bias = { init = -5 } }",
    ];
    let ids: Vec<_> = spellings
        .map(|text| grid(text).runs()[0].id.clone())
        .to_vec();
    assert!(ids.iter().all(|id| id == &ids[0]), "{ids:?}");
    let axes = [
        "[axes]\nloss.bias.init = [-5]",
        "[axes]\n\"loss.bias.init\" = [-5]",
    ];
    assert!(axes.iter().all(|text| grid(text).runs()[0].id == ids[0]));
}

#[test]
fn a_number_and_a_word_share_an_axis() {
    let grid = grid("[axes]\n\"loss.bias.init\" = [-10, \"prior\", 0.0]");
    let inits: Vec<_> = grid
        .runs()
        .iter()
        .map(|spec| spec.config.loss.bias_init(257))
        .collect();
    assert_eq!(inits, [Some(-10.0), Some(-256.0_f64.ln()), Some(0.0)]);
    let default = load("").unwrap().expand().unwrap().runs()[0].id.clone();
    assert_eq!(grid.runs()[0].id, default, "-10 is what it always was");
    assert_eq!(
        refusal("[axes]\n\"loss.bias.init\" = [\"prio\"]"),
        "x.toml:2:21: axes.\"loss.bias.init\": found string \"prio\"; expected a number, \"prior\" or \"file\""
    );
}

#[test]
fn a_table_on_an_axis_replaces_what_base_says() {
    let grid = grid(
        r#"
        [base]
        loss.bias.init = -3
        loss.log_t.init = 1
        [axes]
        loss = [{ kind = "softmax" }, { kind = "sigmoid", bias = { init = -10.0 } }]
        "#,
    );
    let configs: Vec<_> = grid
        .runs()
        .iter()
        .map(|spec| spec.config.loss.clone())
        .collect();
    assert_eq!(configs[0], LossConfig::Softmax(Default::default()));
    assert_eq!(configs[1], LossConfig::Sigmoid(Default::default()));
}

#[test]
fn a_zip_is_one_axis_and_excludes_compare_typed() {
    let text = r#"
        [axes]
        "loss.kind" = ["sigmoid", "softmax"]
        [[zip]]
        "loss.log_t.init" = [2.5, 0]
        "optim.lr" = [1e-3, 3e-4]
        [[exclude]]
        when = { "loss.kind" = "softmax", loss.log_t.init = 0.0 }
    "#;
    let grid = grid(text);
    let kinds: Vec<_> = grid
        .cells
        .iter()
        .map(|cell| matches!(cell.kind, CellKind::Excluded { by: 0 }))
        .collect();
    assert_eq!(kinds, [false, false, false, true]);
    assert_eq!(grid.runs()[1].config.optim.lr, 3e-4);
}

#[test]
fn the_first_exclude_that_holds_is_the_one_that_counts() {
    let grid = grid(
        r#"
        [axes]
        "optim.lr" = [1, 2, 3]
        "optim.eps" = [4, 5]
        [[exclude]]
        when = { optim.lr = 1, optim.eps = 4 }
        [[exclude]]
        when = { optim.eps = 4 }
        [[exclude]]
        when = { optim.lr = 2 }
        [[exclude]]
        when = { optim.lr = 2, optim.eps = 5 }
    "#,
    );
    let excluded = grid.cells.iter().map(|cell| match cell.kind {
        CellKind::Excluded { by } => Some(by),
        _ => None,
    });
    let expected = [Some(0), None, Some(1), Some(2), Some(1), None];
    assert_eq!(excluded.collect::<Vec<_>>(), expected);
}

#[test]
fn a_setting_that_the_loss_lacks_makes_only_its_cells_invalid() {
    let experiment =
        load("[axes]\n\"loss.kind\" = [\"sigmoid\", \"softmax\"]\n\"loss.bias.init\" = [-10, 0]")
            .unwrap();
    let grid = experiment.expand().unwrap();
    assert_eq!(grid.runs().len(), 2);
    let CellKind::Invalid { reason } = &grid.cells[3].kind else {
        panic!("softmax has no bias")
    };
    assert_eq!(
        reason.to_string(),
        "x.toml:3:26: axes.\"loss.bias.init\": is not a setting of loss.kind = \"softmax\"; expected loss.kind = \"sigmoid\", or an [[exclude]] of these cells"
    );
    let refused = grid.require_valid(&experiment).unwrap_err().to_string();
    assert!(
        refused.starts_with("x.toml:3:21: ") && refused.contains("1 more of the 4 cells"),
        "{refused}"
    );
}

#[test]
fn prerequisites_run_once_before_what_needs_them() {
    let grid = grid(
        r#"
        [runs.second]
        model.image.init = { from = "first" }
        [runs.first]
        loss.kind = "classify"
        [runs.unused]
        loss.kind = "softmax"
        [axes]
        "model.image.init" = ["random", { from = "second" }]
        [seeds]
        count = 3
        "#,
    );
    assert_eq!(
        grid.prerequisites
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>(),
        ["first", "second"]
    );
    let first = &grid.prerequisites[0].1;
    assert_eq!(
        grid.prerequisites[1].1.config.model.image.init,
        TowerInit::From(first.id.clone())
    );
    let runs = grid.runs();
    assert_eq!(runs.len(), 8);
    assert_eq!(runs[0].id, first.id);
    let from = TowerInit::From(grid.prerequisites[1].1.id.clone());
    assert_eq!(
        grid.cells
            .iter()
            .filter_map(Cell::run)
            .filter(|spec| spec.config.model.image.init == from)
            .count(),
        3
    );
    assert_eq!(
        grid.cells[3].settings().next().unwrap().1,
        json!({"from": "second"}),
        "the file's own word is kept for labels"
    );
}

#[test]
fn a_tower_must_fit_the_run_it_starts_from() {
    let from = |base: &str| {
        refusal(&format!(
            "[base]\n{base}\n[runs.p]\nloss.kind = \"classify\"\nmodel.image.width = 128"
        ))
    };
    let wider = from("model.image.init.from = \"p\"\nmodel.image.width = 32");
    assert!(
        wider.starts_with("x.toml:3:13: base.model.image.width: is 32 here and 128 in the run `p`"),
        "{wider}"
    );
    let text = from("model.text.init.from = \"p\"");
    assert!(
        text.starts_with("x.toml:2:17: base.model.text.init: the run `p` has no text tower"),
        "{text}"
    );
}

#[test]
fn a_chain_of_runs_has_an_end() {
    let run = |i: u32| format!("[runs.r{i}]\nmodel.image.init.from = \"r{}\"\n", i + 1);
    let chain: String = (0..20_000).map(run).collect();
    assert!(refusal(&chain).contains("runs.r32: too many runs wait"));
}

#[test]
fn a_literal_run_id_needs_no_name() {
    let grid = grid("[base]\nmodel.text.init.from = \"0123456789\"");
    assert_eq!(
        grid.runs()[0].config.model.text.init,
        TowerInit::From("0123456789".parse().unwrap())
    );
}

#[test]
fn flags_override_the_base() {
    let sets = [
        ("train.examples".to_owned(), "1000".to_owned()),
        ("loss.kind".to_owned(), "softmax".to_owned()),
        ("runs.p.train.examples".to_owned(), "500".to_owned()),
    ];
    let text =
        "[base]\ntrain.examples = 5\nmodel.image.init.from = \"p\"\n[runs.p]\ntrain.examples = 7";
    let grid = Experiment::parse(Path::new("x.toml"), text, &sets)
        .unwrap()
        .expand()
        .unwrap();
    let config = &grid.cells[0].run().unwrap().config;
    assert_eq!(
        (
            config.train.examples,
            grid.prerequisites[0].1.config.train.examples
        ),
        (1000, 500)
    );
    assert!(matches!(config.loss, LossConfig::Softmax(_)));
    let refusal = |key: &str, value: &str, text: &str| {
        Experiment::parse(Path::new("x.toml"), text, &[(key.into(), value.into())])
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal("optim.lrr", "1", ""),
        "--set: optim.lrr: is not a setting; expected `optim.lr`?"
    );
    assert!(refusal("optim.lr", "1", "[axes]\noptim.lr = [1, 2]").contains("is an axis"));
}

#[test]
fn bad_files_are_refused_with_place_key_and_expectation() {
    let long = |key: &str| {
        format!(
            "{key} = [{}]\n",
            (1..=1000)
                .map(|i| i.to_string())
                .collect::<Vec<_>>()
                .join(",")
        )
    };
    let trillion = format!(
        "[axes]\n{}{}{}{}",
        long("optim.lr"),
        long("train.batch_size"),
        long("train.examples"),
        long("train.tile")
    );
    let cases: &[(&str, &[&str])] = &[
        (
            "[base]\noptim.lrr = 1",
            &["x.toml:2:7: base.optim.lrr: is not a setting", "`optim.lr`"],
        ),
        ("[base.lss]", &["x.toml:1:", "base.lss", "is not a setting"]),
        (
            "[base]\noptim.lr = \"fast\"",
            &["x.toml:2:7: base.optim.lr: found string \"fast\"; expected a number"],
        ),
        (
            "[axes]\n\"train.batch_size\" = [64, \"big\"]",
            &["x.toml:2:27: axes.\"train.batch_size\"", "whole number"],
        ),
        (
            "[axes]\n\"train.batchsize\" = [64]",
            &[
                "x.toml:2:",
                "axes.\"train.batchsize\"",
                "`train.batch_size`",
            ],
        ),
        (
            "[axes]\n\"loss.kind\" = [\"hinge\"]",
            &["x.toml:2:16", "`hinge`", "\"sigmoid\""],
        ),
        (
            "[axes]\n\"loss.kind\" = []",
            &[
                "x.toml:2:15: axes.\"loss.kind\": an empty axis",
                "at least one value",
            ],
        ),
        (
            "[axes]\n\"loss.kind\" = \"softmax\"",
            &["x.toml:2:15", "a list of values"],
        ),
        ("[axes]\noptim.lr = [1, 1.0]", &["x.toml:2:16", "twice"]),
        (
            "[axes]\noptim.lr = [1]\n\"optim.lr\" = [2]",
            &["x.toml:3:1", "is an axis already"],
        ),
        (
            "[base]\noptim.lr = 1\noptim.lr = 2",
            &["x.toml:3:7: `optim.lr` is there already"],
        ),
        (
            "[base]\noptim.lr = 1\n[axes]\noptim.lr = [2, 3]",
            &[
                "x.toml:2:7: base.optim.lr: is an axis too",
                "[axes] at x.toml:4:13",
            ],
        ),
        (
            "[base]\noptim.lr = 1\n\"optim.lr\" = 2",
            &["x.toml:3:1: base.optim.lr: is set already"],
        ),
        (
            "[base]\ntrain.batch_size = 0",
            &["x.toml:2:7: base.train.batch_size"],
        ),
        (
            "[axes]\ntrain.ranks = [1, 3]",
            &["x.toml: train.batch_size: 256 pairs do not divide among 3 ranks"],
        ),
        ("[base]\nseed = 1", &["x.toml:2:1", "[seeds]"]),
        (
            "[seeds]\ncount = 1_000_000_000_000",
            &["x.toml:2:9: seeds.count"],
        ),
        ("[seeds]\nvalues = [1, 1]", &["x.toml:2:14", "twice"]),
        ("[seeds]\ncount = 2\nvalues = [1]", &["seeds", "either"]),
        (
            "[[zip]]\noptim.lr = [1, 2]\noptim.eps = [1]",
            &["x.toml:3:7: zip.\"optim.eps\": 1 values, but optim.lr has 2"],
        ),
        ("[zip]\noptim.lr = [1]", &["[[zip]]"]),
        (
            "[axes]\noptim.lr = [1]\n[[exclude]]\nwhen = { \"optim.eps\" = 1 }",
            &["x.toml:4:10: exclude.\"optim.eps\": is no axis", "optim.lr"],
        ),
        (
            "[axes]\noptim.lr = [1]\n[[exclude]]\nwhen = { \"optim.lr\" = 2 }",
            &["x.toml:4:10", "2 is not on that axis"],
        ),
        (
            "[axes]\noptim.lr = [1]\n[[report]]\nrows = \"optim.eps\"\nmetric = \"loss\"",
            &["x.toml:4:8: report.rows", "optim.lr"],
        ),
        (
            "[axes]\noptim.lr = [1]\n[[report]]\nrows = \"optim.lr\"",
            &["report.metric"],
        ),
        (
            "[axes]\noptim.lr = [1]\n[[report]]\nkind = \"pie\"\nmetric = \"loss\"",
            &["x.toml:4:8: report.kind: `pie`", "\"table\", \"effects\""],
        ),
        (
            "[axes]\noptim.lr = [1]\n[[report]]\nkind = \"line\"\nmetric = \"loss\"",
            &["report.rows: is missing"],
        ),
        (
            "[axes]\noptim.lr = [1]\n[[report]]\nkind = \"curves\"\nat = \"end\"\nmetric = \"loss\"",
            &["x.toml:5:1: report.at: is not part of a report of kind \"curves\""],
        ),
        (
            "[axes]\noptim.lr = [1]\n[[report]]\nkind = \"curves\"\nmetric = \"loss\"\nalong = \"epochs\"",
            &[
                "x.toml:6:9: report.along: `epochs`",
                "\"examples\", \"steps\", \"seconds\"",
            ],
        ),
        (
            "[axes]\noptim.lr = [1]\n[[report]]\nkind = \"curves\"\nmetric = \"loss\"\nspikes = 1",
            &["report.spikes: found a number; expected true or false"],
        ),
        (
            "[axes]\noptim.lr = [1]\n[[report]]\nkind = \"curves\"\nmetric = [\"loss\", \"bias\"]\nlog = [\"loss\", \"b\"]",
            &[
                "x.toml:6:16: report.log: `b` is no metric of this report; expected one of loss, bias",
            ],
        ),
        (
            "[axes]\noptim.lr = [1]\n[[report]]\nkind = \"bars\"\nrows = \"optim.lr\"\nmetric = \"loss\"\nlog = \"loss\"",
            &["report.log: is not part of a report of kind \"bars\""],
        ),
        (
            "[axes]\noptim.lr = [1]\n[[report]]\nmetric = [\"loss\", \"bias\"]",
            &["report.metric: found a list; expected a string"],
        ),
        (
            "[axes]\noptim.lr = [1]\n[[report]]\nmetric = \"loss\"\nat = { epochs = 3 }",
            &["report.at.epochs", "examples, pairs, device_hours"],
        ),
        (
            "[axes]\noptim.lr = [1]\n[[report]]\nmetric = \"loss\"\nat = { pairs = 0 }",
            &["report.at.pairs: found a number; expected a number above 0, or \"matched\""],
        ),
        (
            "[axes]\noptim.lr = [1]\n[[report]]\nmetric = \"loss\"\nagainst = { \"optim.lr\" = 2 }",
            &["report.\"optim.lr\"", "2 is not on that axis"],
        ),
        (
            "[axes]\noptim.lr = [1, 2]\n[[claim]]\nsays = \"a\"\nmetric = \"loss\"\nthan = { optim.lr = 1 }",
            &["claim.higher: is missing", "higher, lower, equal"],
        ),
        (
            "[axes]\noptim.lr = [1, 2]\n[[claim]]\nsays = \"a\"\nmetric = \"loss\"\nhigher = { optim.lr = 2 }",
            &["claim.than: is missing"],
        ),
        (
            "[axes]\noptim.lr = [1, 2]\n[[claim]]\nhigher = { optim.lr = 2 }\nlower = { optim.lr = 1 }",
            &["x.toml:5:1: claim.lower: stands beside `higher`"],
        ),
        (
            "[axes]\noptim.lr = [1, 2]\n[[claim]]\nsays = \"a\"\nmetric = \"loss\"\nhigher = { optim.lr = 3 }\nthan = { optim.lr = 1 }",
            &["claim.\"optim.lr\"", "3 is not on that axis"],
        ),
        (
            "[axes]\noptim.lr = [1, 2]\n[[claim]]\nsays = \"a\"\nmetric = \"loss\"\nequal = { optim.lr = 2 }\nthan = { optim.lr = 1 }",
            &["claim.within: is missing"],
        ),
        (
            "[axes]\noptim.lr = [1, 2]\n[[claim]]\nsays = \"a\"\nmetric = \"loss\"\nequal = { optim.lr = 2 }\nthan = { optim.lr = 1 }\nwithin = 0",
            &["x.toml:8:10: claim.within: found a number; expected a number above 0"],
        ),
        (
            "[axes]\noptim.lr = [1, 2]\n[[claim]]\nsays = \"a\"\nmetric = \"loss\"\nhigher = { optim.lr = 2 }\nthan = { optim.lr = 1 }\nwithin = 0.1",
            &["x.toml:8:1: claim.within: has no meaning beside `higher`"],
        ),
        (
            "[[zip]]\noptim.lr = [1, 1]\noptim.eps = [1, 2]\n[[report]]\nmetric = \"loss\"\nagainst = { \"optim.lr\" = 1 }",
            &[
                "x.toml:6:11: report.against: 2 points of the axis optim.lr, optim.eps have these values",
                "the values of one point",
            ],
        ),
        (
            "[basis]\noptim.lr = 1",
            &[
                "x.toml:1:2: basis: is not part of an experiment file",
                "base",
            ],
        ),
        (
            "base = 3",
            &["x.toml:1:8: base: found a number; expected a table"],
        ),
        (
            "[base]\nmodel.image.init.from = \"p\"",
            &["x.toml:2:18", "there is no run `p`"],
        ),
        (
            "[runs.a]\nmodel.image.init.from = \"b\"\n[runs.b]\nmodel.image.init.from = \"a\"",
            &["x.toml:1:7: runs.a: needs itself: a -> b -> a"],
        ),
        (
            "[runs.a]\nloss.bias.mode = \"x\"",
            &["x.toml:2:11: runs.a.loss.bias.mode", "\"learned\""],
        ),
        ("[base]\noptim.lr = nan", &["x.toml:2:12", "finite"]),
        (
            &trillion,
            &[
                "x.toml:2:7: axes.\"optim.lr\": 1000000000000 cells",
                "train.tile: 1000",
                "100000",
            ],
        ),
    ];
    for (text, wanted) in cases {
        let refusal = refusal(text);
        for part in *wanted {
            assert!(
                refusal.contains(part),
                "{text}\n  gave: {refusal}\n  lacks: {part}"
            );
        }
    }
}

#[test]
fn a_report_says_what_it_is_of_and_how_runs_are_compared() {
    let experiment = load(
        r#"
        [axes]
        "loss.kind" = ["sigmoid", "softmax"]
        "train.batch_size" = [64, 128]
        [[report]]
        rows = "train.batch_size"
        columns = "loss.kind"
        metric = "zeroshot/top1"
        at = { device_hours = "matched" }
        interval = "bootstrap"
        against = { loss.kind = "softmax" }
        [[report]]
        kind = "curves"
        columns = "loss.kind"
        metric = ["loss", "grad_norm"]
        along = "steps"
        spikes = true
        log = "grad_norm"
        "#,
    )
    .unwrap();
    let [table, curves] = &experiment.reports[..] else {
        panic!("two reports")
    };
    let matched = Moment::Budget {
        of: Budget::DeviceHours,
        amount: Amount::Matched,
    };
    assert_eq!((table.kind, table.at), (ReportKind::Table, matched));
    assert_eq!(table.interval, Interval::Bootstrap);
    assert_eq!(table.against.label(), "loss.kind = softmax");
    assert_eq!((curves.rows, curves.columns), (None, Some(0)));
    assert_eq!(curves.metrics, ["loss", "grad_norm"]);
    assert_eq!((curves.along, curves.spikes), (Along::Steps, true));
    assert_eq!(curves.log, ["grad_norm"]);
    assert_eq!(experiment.tables(), std::slice::from_ref(table));
    assert_eq!(experiment.figures(), std::slice::from_ref(curves));
}

#[test]
fn a_file_without_figures_has_its_tables_drawn() {
    let figures = |axes: &str, report: &str| {
        let text = format!("[axes]\n{axes}\n[[report]]\nmetric = \"loss\"\n{report}");
        let figures = load(&text).unwrap().figures();
        assert_eq!(figures.len(), 1);
        (figures[0].kind, figures[0].rows, figures[0].columns)
    };
    let axes = "loss.kind = [\"sigmoid\", \"softmax\"]\ntrain.batch_size = [64, 128]";
    assert_eq!(
        figures(axes, "rows = \"train.batch_size\"\ncolumns = \"loss.kind\""),
        (ReportKind::Line, Some(1), Some(0))
    );
    assert_eq!(
        figures(axes, "columns = \"loss.kind\""),
        (ReportKind::Bars, Some(0), None)
    );
    assert_eq!(figures(axes, ""), (ReportKind::Curves, None, None));
}

/// `rows` times `columns` cells, and one of a kind.
fn product(rows: u32, columns: u32, rest: &str) -> Experiment {
    let axis = |key: &str, n: u32| {
        let values: Vec<String> = (1..=n).map(|i| i.to_string()).collect();
        format!("{key} = [{}]\n", values.join(","))
    };
    load(&format!(
        "[axes]\n{}{}{rest}",
        axis("train.batch_size", rows),
        axis("train.log_every", columns)
    ))
    .unwrap()
}

#[test]
fn a_million_cells_expand_within_seconds_where_few_enough_ask_for_a_run() {
    let excludes: String = (1..=100)
        .filter(|i| i % 10 > 0)
        .map(|i| format!("[[exclude]]\nwhen = {{ train.log_every = {i} }}\n"))
        .collect();
    let experiment = product(10_000, 100, &excludes);
    let start = Instant::now();
    let grid = experiment.expand().unwrap();
    let elapsed = start.elapsed();
    assert_eq!((grid.cells.len(), grid.runs().len()), (1_000_000, 100_000));
    // Far above what it takes, so that a busy machine does not fail it, far below what rebuilding the defaults takes.
    assert!(elapsed < Duration::from_secs(60), "{elapsed:?}");
}

#[test]
fn too_many_cells_are_refused_by_the_axes_that_make_them() {
    let refusal = |experiment: Experiment| experiment.expand().unwrap_err().to_string();
    let exclude = "[[exclude]]\nwhen = { train.log_every = 1 }";
    for (experiment, cells, limit) in [
        (product(1_000, 101, ""), "101000 cells (", 100_000),
        (
            product(1_000, 102, exclude),
            "101000 cells that no exclude leaves out (",
            100_000,
        ),
        (product(10_000, 101, exclude), "1010000 cells (", 1_000_000),
    ] {
        let words = refusal(experiment);
        assert!(
            words.contains(&format!("axes.\"train.batch_size\": {cells}"))
                && words.contains(&format!("more than the {limit} ")),
            "{words}"
        );
    }
}

#[test]
fn the_experiments_that_come_with_siglab_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    assert!(files.len() >= 5);
    for file in files {
        let experiment = Experiment::load(&file, &[]).unwrap();
        experiment
            .expand()
            .unwrap()
            .require_valid(&experiment)
            .unwrap();
        assert!(
            !experiment.question.is_empty() && !experiment.reports.is_empty(),
            "{}",
            file.display()
        );
        assert!(
            std::fs::read_to_string(&file).unwrap().starts_with("# "),
            "{} opens with its question",
            file.display()
        );
    }
}

#[test]
fn a_spec_survives_the_disk_and_a_newer_one_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let spec = RunSpec::new(TrainConfig {
        seed: 7,
        ..TrainConfig::default()
    });
    let dir = RunDir::new(root.path().join(spec.id.as_str()));
    spec.write(&dir).unwrap();
    assert_eq!(RunSpec::read(&dir).unwrap(), spec);
    let newer =
        fs::read_to_string(dir.spec())
            .unwrap()
            .replacen("\"format\": 1", "\"format\": 99", 1);
    fs::write(dir.spec(), newer).unwrap();
    let refusal = RunSpec::read(&dir).unwrap_err().to_string();
    assert!(
        refusal.contains("format 99") && refusal.contains("spec.json"),
        "{refusal}"
    );
}

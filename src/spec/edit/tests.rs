//! Edits of whole files: what changes, and that nothing else does.

use std::path::Path;

use super::*;
use crate::spec::{Against, Experiment};

mod drawn;
mod meaning;
mod properties;

const FILE: &str = r#"# Which loss?
question = "Which loss?"

[base]
data.kind = "shapes" # built in
train.examples = 80_000
# as in the paper
optim.lr = 1e-3

[axes]
# the losses
"loss.kind" = ["sigmoid", "softmax"] # both
"train.batch_size" = [
  16, # small
  32,
] # sizes

# rows of table 4
[[zip]] # together
"loss.log_t.init" = [2.5, 0]
"optim.eps" = [1e-8, 1e-6] # why not

# softmax has no such thing
[[exclude]]
when = { "loss.kind" = "softmax", loss.log_t.init = 0.0 }

[seeds]
count = 3 # enough

[[report]]
rows = "train.batch_size"
columns = "loss.kind"
metric = "zeroshot/top1"
"#;

fn edited(text: &str, edit: &str) -> String {
    let edit: Edit = edit.parse().unwrap();
    apply(text, &edit).unwrap_or_else(|e| panic!("{edit}: {e}"))
}

fn refusal(text: &str, edit: &str) -> String {
    let edit: Edit = edit.parse().unwrap();
    apply(text, &edit).unwrap_err().to_string()
}

/// The lines that an edit takes away and adds.
fn changes(edit: &str) -> String {
    let new = edited(FILE, edit);
    Experiment::parse(Path::new("x.toml"), &new, &[]).unwrap_or_else(|e| panic!("{edit}: {e}"));
    difference(FILE, &new)
}

/// A longest common subsequence of lines, and what is beside it.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            lines.push(format!("-{}", old[i]));
            i += 1;
        } else {
            lines.push(format!("+{}", new[j]));
            j += 1;
        }
    }
    lines.join("\n")
}

#[test]
fn an_edit_changes_its_lines_and_no_others() {
    insta::assert_snapshot!(changes("axis add optim.beta2 0.9, 0.95"), @r#"+"optim.beta2" = [0.9, 0.95]"#);
    insta::assert_snapshot!(changes("axis set loss.kind softmax, sigmoid"), @r#"
    -"loss.kind" = ["sigmoid", "softmax"] # both
    +"loss.kind" = ["softmax", "sigmoid"] # both
    "#);
    insta::assert_snapshot!(changes("axis set train.batch_size 16..64 x2"), @"+  64,");
    insta::assert_snapshot!(changes("axis set optim.eps 1e-6, 0"), @r#"
    -"optim.eps" = [1e-8, 1e-6] # why not
    +"optim.eps" = [1e-6, 0] # why not
    "#);
    insta::assert_snapshot!(changes("zip set optim.eps 1; loss.log_t.init 0"), @r#"
    -"loss.log_t.init" = [2.5, 0]
    -"optim.eps" = [1e-8, 1e-6] # why not
    +"loss.log_t.init" = [0]
    +"optim.eps" = [1] # why not
    "#);
    insta::assert_snapshot!(changes("axis rename loss.log_t.init optim.weight_decay"), @r#"
    -"loss.log_t.init" = [2.5, 0]
    +"optim.weight_decay" = [2.5, 0]
    -when = { "loss.kind" = "softmax", loss.log_t.init = 0.0 }
    +when = { "loss.kind" = "softmax", "optim.weight_decay" = 0 }
    "#);
    insta::assert_snapshot!(changes("axis rename train.batch_size train.tile"), @r#"
    -"train.batch_size" = [
    +"train.tile" = [
    -rows = "train.batch_size"
    +rows = "train.tile"
    "#);
    insta::assert_snapshot!(changes("axis up train.batch_size"), @r#"
    -# the losses
    -"loss.kind" = ["sigmoid", "softmax"] # both
    +# the losses
    +"loss.kind" = ["sigmoid", "softmax"] # both
    "#);
    insta::assert_snapshot!(changes("axis remove train.batch_size"), @r#"
    -"train.batch_size" = [
    -  16, # small
    -  32,
    -] # sizes
    -rows = "train.batch_size"
    "#);
    insta::assert_snapshot!(changes("axis remove optim.eps"), @r#"-"optim.eps" = [1e-8, 1e-6] # why not"#);
    insta::assert_snapshot!(changes("zip loss.kind train.batch_size"), @r#"
    -[axes]
    +# rows of table 4
    +[[zip]] # together
    +"loss.log_t.init" = [2.5, 0]
    +"optim.eps" = [1e-8, 1e-6] # why not
    +
    +[[zip]]
    -# rows of table 4
    -[[zip]] # together
    -"loss.log_t.init" = [2.5, 0]
    -"optim.eps" = [1e-8, 1e-6] # why not
    -
    -columns = "loss.kind"
    "#);
    insta::assert_snapshot!(changes("zip train.batch_size optim.eps"), @r#"
    -"train.batch_size" = [
    -  16, # small
    -  32,
    -] # sizes
    +"train.batch_size" = [
    +  16, # small
    +  32,
    +] # sizes
    "#);
    insta::assert_snapshot!(changes("unzip optim.eps"), @r"
    -
    -[[zip]] # together
    +# together
    ");
    insta::assert_snapshot!(changes("exclude add loss.kind=sigmoid train.batch_size=16"), @r#"
    +[[exclude]]
    +when = { "loss.kind" = "sigmoid", "train.batch_size" = 16 }
    +
    "#);
    insta::assert_snapshot!(changes("exclude remove loss.log_t.init=0 loss.kind=softmax"), @r#"
    -# softmax has no such thing
    -[[exclude]]
    -when = { "loss.kind" = "softmax", loss.log_t.init = 0.0 }
    -
    "#);
    insta::assert_snapshot!(changes("base set optim.lr=0.01"), @r"
    -optim.lr = 1e-3
    +optim.lr = 0.01
    ");
    insta::assert_snapshot!(changes("base set train.ranks=2"), @"+train.ranks = 2");
    insta::assert_snapshot!(changes("base set model.image.init={ from = \"0123456789\" }"), @r#"+model.image.init = { from = "0123456789" }"#);
    insta::assert_snapshot!(changes("base unset optim.lr"), @r"
    -# as in the paper
    -optim.lr = 1e-3
    ");
    insta::assert_snapshot!(changes("seeds 5"), @r"
    -count = 3 # enough
    +count = 5 # enough
    ");
    insta::assert_snapshot!(changes("seeds 1, 2, 3"), @r"
    -count = 3 # enough
    +values = [1, 2, 3]
    ");
    insta::assert_snapshot!(changes("design random count=3 seed=1"), @r#"
    +[design]
    +kind = "random"
    +count = 3
    +seed = 1
    +
    "#);
    insta::assert_snapshot!(changes("question What is \"it\"?"), @r#"
    -# Which loss?
    -question = "Which loss?"
    +# What is "it"?
    +question = "What is \"it\"?"
    "#);
    insta::assert_snapshot!(changes("report add loss rows=loss.kind title=\"At the end\""), @r#"
    +
    +[[report]]
    +title = "At the end"
    +rows = "loss.kind"
    +metric = "loss"
    "#);
    insta::assert_snapshot!(changes("report remove 1"), @r#"
    -
    -[[report]]
    -rows = "train.batch_size"
    -columns = "loss.kind"
    -metric = "zeroshot/top1"
    "#);
}

#[test]
fn a_file_grows_from_nothing_in_the_order_of_the_others() {
    let edits = [
        "seeds 2",
        "exclude add loss.kind=softmax train.batch_size=16",
        "axis add loss.kind sigmoid, softmax",
        "axis add train.batch_size 16, 32",
        "axis add loss.log_t.init 0, 1",
        "axis add optim.lr 1e-3, 1e-4",
        "report add zeroshot/top1 rows=loss.kind",
        "zip loss.log_t.init optim.lr",
        "base set train.examples=80_000",
        "question Which loss?",
    ];
    let text = edits
        .iter()
        .fold(String::new(), |text, edit| edited(&text, edit));
    insta::assert_snapshot!(text, @r#"
    question = "Which loss?"

    [base]
    train.examples = 80000

    [axes]
    "loss.kind" = ["sigmoid", "softmax"]
    "train.batch_size" = [16, 32]

    [[zip]]
    "loss.log_t.init" = [0, 1]
    "optim.lr" = [1e-3, 1e-4]

    [[exclude]]
    when = { "loss.kind" = "softmax", "train.batch_size" = 16 }

    [seeds]
    count = 2

    [[report]]
    rows = "loss.kind"
    metric = "zeroshot/top1"
    "#);
    let experiment = Experiment::parse(Path::new("x.toml"), &text, &[]).unwrap();
    assert_eq!(experiment.expand().unwrap().cells.len(), 16);
}

#[test]
fn what_cannot_be_done_says_what_to_do() {
    for (edit, words) in [
        (
            "axis set optim.lrr 1",
            "no axis `optim.lrr`; expected one of loss.kind",
        ),
        (
            "axis add loss.kind softmax",
            "give it other values with `axis set`",
        ),
        ("axis add .lr 1", "is no key of a setting"),
        (
            "axis set optim.eps 1",
            "`optim.eps` would have 1 values, but `loss.log_t.init` has 2",
        ),
        ("zip set optim.eps 1; loss.kind softmax", "not of one zip"),
        ("axis rename loss.kind optim.eps", "is an axis already"),
        ("axis up loss.kind", "is the first of [axes]"),
        ("axis down train.batch_size", "is the last of [axes]"),
        ("axis down optim.eps", "is the last of the zips"),
        (
            "axis remove loss.kind",
            "loss.kind = softmax and loss.log_t.init = 0, remove that first",
        ),
        ("zip optim.eps loss.log_t.init", "one axis already"),
        ("unzip loss.kind", "an axis of its own"),
        (
            "exclude add loss.log_t.init=0.0 loss.kind=softmax",
            "left out already",
        ),
        (
            "exclude remove loss.kind=sigmoid",
            "the file has loss.kind = softmax and loss.log_t.init = 0",
        ),
        ("base unset optim.beta1", "not set in [base]"),
        ("base set optim.lr.mult=1", "inside `optim.lr`"),
        ("seeds 0", "at least one"),
        ("seeds 1, 1", "each once"),
        ("report remove 2", "1 reports and none at 2"),
    ] {
        let refusal = refusal(FILE, edit).replace("];", "],");
        let refusal = refusal.replace("; remove that", ", remove that");
        assert!(refusal.contains(words), "{edit}: {refusal}");
    }
    let three = edited(FILE, "axis set train.batch_size 1, 2, 3");
    assert!(refusal(&three, "zip train.batch_size optim.eps").contains("has 3"));
    let broken = format!("{FILE}\n[axes\n");
    let broken = refusal(&broken, "seeds 2");
    assert!(broken.starts_with("line 35 is not TOML: "), "{broken}");
}

#[test]
fn words_that_are_no_edit_show_the_forms() {
    for (words, shown) in [
        ("", "axis add KEY VALUES | axis set"),
        ("axis", "axis add KEY VALUES | axis set"),
        ("axis flip x", "axis add KEY VALUES | axis set"),
        ("axis add", "expected axis add KEY VALUES"),
        ("axis add optim.lr", "has no values"),
        ("axis up", "expected axis up KEY"),
        ("axis rename a", "expected axis rename KEY KEY"),
        ("zip a", "expected zip KEY KEY.."),
        ("exclude add", "expected exclude add KEY=VALUE.."),
        ("exclude add a", "`a` is not KEY=VALUE"),
        ("base set a", "expected base set KEY=VALUE"),
        ("seeds many", "expected seeds COUNT"),
        ("design", "expected design full | design one-factor"),
        (
            "design random",
            "expected design random count=NUMBER [seed=NUMBER]",
        ),
        ("design random count=2 sead=1", "expected design random"),
        (
            "design fractional",
            "expected design fractional fraction=NUMBER",
        ),
        ("report remove 0", "expected report remove NUMBER"),
        ("paint it", "axis add KEY VALUES | axis set"),
    ] {
        let refusal = words.parse::<Edit>().unwrap_err().to_string();
        assert!(refusal.contains(shown), "{words}: {refusal}");
    }
}

#[test]
fn a_command_can_be_pasted_into_a_shell() {
    let command = |edit: &str| {
        edit.parse::<Edit>()
            .unwrap()
            .command(Path::new("my grid.toml"))
    };
    assert_eq!(
        command("axis set  loss.kind  sigmoid,softmax"),
        "siglab edit 'my grid.toml' axis set loss.kind sigmoid, softmax"
    );
    assert_eq!(
        command("base set model.text.init={ from = \"it's\" }"),
        "siglab edit 'my grid.toml' 'base set model.text.init={ from = \"it'\\''s\" }'"
    );
}

#[test]
fn what_speaks_of_an_axis_goes_with_it() {
    let text = r#"
[axes]
optim.lr = [1, 2]
optim.eps = [1, 2]
optim.beta1 = [0, 0.5]
[[report]]
rows = "optim.lr"
columns = "optim.eps" # that
metric = "loss"
[design]
kind = "one-factor"
around = { optim.lr = 2, "optim.eps" = 2 } # there
"#;
    let one = edited(text, "axis rename optim.lr optim.image.lr_mult");
    assert!(one.contains("rows = \"optim.image.lr_mult\""), "{one}");
    assert!(
        one.contains("around = { \"optim.image.lr_mult\" = 2, \"optim.eps\" = 2 } # there"),
        "{one}"
    );
    let one = edited(text, "axis remove optim.lr");
    assert!(
        !one.contains("optim.lr") && one.contains("around = { \"optim.eps\" = 2 } # there"),
        "{one}"
    );
    let none = edited(&one, "axis remove optim.eps");
    assert!(
        !none.contains("around") && none.contains("kind = \"one-factor\""),
        "{none}"
    );
    let zipped = edited(text, "zip optim.lr optim.eps");
    assert!(
        zipped.contains("rows = \"optim.lr\"") && !zipped.contains("columns"),
        "{zipped}"
    );

    let text = edited(
        text,
        "design fractional generators=[\"optim.beta1 = optim.lr*optim.eps\"]",
    );
    let renamed = edited(&text, "axis rename optim.lr optim.image.lr_mult");
    assert!(
        renamed.contains("\"optim.beta1 = optim.image.lr_mult*optim.eps\""),
        "{renamed}"
    );
    assert_eq!(
        refusal(&text, "axis remove optim.eps"),
        "`optim.eps` is in the generator `optim.beta1 = optim.lr*optim.eps` of [design]; give the file another design first"
    );
    assert!(!edited(&text, "design full").contains("design"));
    // A letter would be another axis after this.
    let text = edited(&text, "design fractional generators=[\"c = -ab\"]");
    let moved = edited(&text, "axis up optim.beta1");
    assert!(
        moved.contains("\"optim.beta1 = -optim.lr optim.eps\""),
        "{moved}"
    );
}

#[test]
fn reported_numbers_follow_the_axes_and_go_with_their_values() {
    let text = crate::spec::preset::ALL
        .iter()
        .find(|preset| preset.name == "table4")
        .unwrap()
        .text;
    let parse = |text: &str| Experiment::parse(Path::new("x.toml"), text, &[]);
    let numbers = |text: &str| {
        let experiment = parse(text).unwrap();
        let grid = experiment.expand().unwrap();
        let reported = experiment.reported.first();
        let values = grid
            .cells
            .iter()
            .step_by(3)
            .filter_map(|cell| reported?.value_of(cell));
        values.collect::<Vec<f64>>()
    };
    assert_eq!(numbers(text), [0.62, 0.63, 0.61, 0.617, 0.537]);
    let renamed = edited(text, "axis rename loss.bias.init optim.weight_decay");
    assert!(
        renamed.contains("{ when = { \"loss.bias.mode\" = \"none\" }, value = 0.620 },"),
        "{renamed}"
    );
    assert!(
        renamed.contains("\"optim.weight_decay\" = 0, \"loss.log_t.init\" = 0 }, value = 0.537 },"),
        "{renamed}"
    );
    let fewer = edited(
        text,
        "zip set loss.bias.mode none, learned; loss.bias.init -10, 0; loss.log_t.init 0, 0",
    );
    assert_eq!(
        numbers(&fewer),
        [0.62, 0.537],
        "those whose values are gone went too"
    );
    // What each of several was of by the value of an axis, none is of without the axis.
    let without = edited(
        &edited(text, "axis remove loss.bias.init"),
        "axis remove loss.bias.mode",
    );
    assert!(parse(&without).unwrap().reported.is_empty(), "{without}");
}

#[test]
fn claims_and_baselines_follow_the_axes_and_go_with_their_values() {
    let text = r#"
[axes]
"loss.kind" = ["sigmoid", "softmax"]
"train.batch_size" = [16, 32]
[[claim]]
says = "It is ahead."
metric = "loss"
lower = { loss.kind = "sigmoid" } # of the two
than = { "loss.kind" = "softmax" }
when = { "train.batch_size" = 16 }
[[claim]]
says = "It grows."
metric = "loss"
lower = { train.batch_size = 32 }
than = { train.batch_size = 16 }
[[report]]
rows = "train.batch_size"
metric = "loss"
against = { "loss.kind" = "softmax" }
"#;
    let parse = |text: &str| {
        let experiment = Experiment::parse(Path::new("x.toml"), text, &[]).unwrap();
        experiment.expand().unwrap();
        let claims: Vec<String> = experiment
            .claims
            .iter()
            .map(|claim| claim.says.clone())
            .collect();
        (claims, experiment.reports[0].against.clone())
    };
    let baseline = |key: &str| Against::Baseline(vec![(key.into(), "softmax".into())]);
    let both = vec!["It is ahead.".to_owned(), "It grows.".into()];
    assert_eq!(parse(text), (both.clone(), baseline("loss.kind")));
    let renamed = edited(text, "axis rename train.batch_size train.log_every");
    assert_eq!(parse(&renamed), (both.clone(), baseline("loss.kind")));
    assert!(
        renamed.contains("lower = { loss.kind = \"sigmoid\" } # of the two"),
        "{renamed}"
    );
    let fewer = edited(text, "axis set train.batch_size 16, 64");
    assert_eq!(parse(&fewer), (both[..1].to_vec(), baseline("loss.kind")));
    let without = edited(text, "axis remove loss.kind");
    assert_eq!(parse(&without), (both[1..].to_vec(), Against::Best));
}

#[test]
fn lines_that_end_as_on_windows_still_do() {
    let windows = FILE.replace('\n', "\r\n");
    for edit in [
        "axis add optim.beta2 0.9",
        "axis up train.batch_size",
        "unzip optim.eps",
    ] {
        assert_eq!(
            edited(&windows, edit),
            edited(FILE, edit).replace('\n', "\r\n"),
            "{edit}"
        );
    }
}

//! Designs held against textbooks and brute force.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::spec::{CellKind, Grid};

const KEYS: [&str; 12] = [
    "optim.lr",
    "optim.beta1",
    "optim.beta2",
    "optim.eps",
    "optim.weight_decay",
    "optim.clip_norm",
    "optim.image.lr_mult",
    "optim.text.lr_mult",
    "optim.image.wd_mult",
    "optim.text.wd_mult",
    "loss.bias.init",
    "loss.log_t.init",
];

fn parse(text: &str) -> Result<Experiment, String> {
    Experiment::parse(Path::new("x.toml"), text, &[]).map_err(|e| e.to_string())
}

/// Axes with so many points each, and a design.
fn experiment(lengths: &[usize], design: &str) -> Result<Experiment, String> {
    let axis = |(key, length): (&&str, &usize)| {
        let values: Vec<String> = (0..*length)
            .map(|i| format!("{}", i as f64 / 1000.0))
            .collect();
        format!("{key} = [{}]\n", values.join(", "))
    };
    let axes: String = KEYS.iter().zip(lengths).map(axis).collect();
    parse(&format!("[axes]\n{axes}\n[design]\n{design}"))
}

fn chosen(lengths: &[usize], design: &str) -> Vec<Vec<usize>> {
    let experiment = experiment(lengths, design).unwrap();
    let grid: Grid = experiment.expand().unwrap();
    grid.cells.into_iter().map(|cell| cell.position).collect()
}

fn aliases(lengths: &[usize], design: &str) -> Aliases {
    experiment(lengths, design).unwrap().aliases().unwrap()
}

/// The column of an effect in the cells of a design: the product of -1 and +1 of its axes.
fn column(cells: &[Vec<usize>], axes: &[usize]) -> Vec<i32> {
    let sign = |cell: &Vec<usize>| axes.iter().map(|axis| 2 * cell[*axis] as i32 - 1).product();
    cells.iter().map(sign).collect()
}

#[test]
fn a_half_of_four_factors_has_resolution_four() {
    // Box, Hunter and Hunter, Statistics for Experimenters: 2^(4-1) with D = ABC, I = ABCD.
    let aliases = aliases(&[2; 4], "kind = \"fractional\"\nfraction = 2");
    assert_eq!(aliases.generators, ["D = ABC"]);
    assert_eq!(aliases.defining, ["ABCD"]);
    assert_eq!((aliases.resolution, aliases.roman().as_str()), (4, "IV"));
    let labels: Vec<&str> = aliases
        .aliased
        .iter()
        .map(|lot| lot.label.as_str())
        .collect();
    assert_eq!(
        labels,
        [
            "optim.lr x optim.beta1 = optim.beta2 x optim.eps",
            "optim.lr x optim.beta2 = optim.beta1 x optim.eps",
            "optim.lr x optim.eps = optim.beta1 x optim.beta2",
        ]
    );
    let cells = chosen(&[2; 4], "kind = \"fractional\"\nfraction = 2");
    assert_eq!(
        cells,
        [
            [0, 0, 0, 0],
            [0, 0, 1, 1],
            [0, 1, 0, 1],
            [0, 1, 1, 0],
            [1, 0, 0, 1],
            [1, 0, 1, 0],
            [1, 1, 0, 0],
            [1, 1, 1, 1],
        ]
    );
}

#[test]
fn textbook_fractions_have_their_generators() {
    let of = |k: usize, fraction: u32| {
        let aliases = aliases(
            &vec![2; k],
            &format!("kind = \"fractional\"\nfraction = {fraction}"),
        );
        (aliases.resolution, aliases.defining)
    };
    // NIST/SEMATECH e-Handbook of Statistical Methods, 5.3.3.4.7: 2^(5-2) III, 2^(6-2) IV, 2^(7-4) III.
    let (resolution, defining) = of(5, 4);
    assert_eq!((resolution, defining.len()), (3, 3));
    let (resolution, defining) = of(6, 4);
    let lengths: Vec<usize> = defining.iter().map(String::len).collect();
    assert_eq!((resolution, lengths), (4, vec![4, 4, 4]));
    // All products of three factors are taken, so the fraction is one.
    let (resolution, defining) = of(7, 16);
    assert_eq!((resolution, defining.len()), (3, 15));
    assert_eq!(defining[14], "ABCDEFG");
}

#[test]
fn no_fraction_has_fewer_short_words() {
    // Numbers of words of length 3, 4, .. in the defining relation of the best of all sets of generators, by a Python
    // script that looks at every one: for c in itertools.combinations(products, p), minimum of the counts by length.
    let best: [(usize, usize, usize, &[usize]); 24] = [
        (4, 1, 4, &[0, 1]),
        (5, 1, 5, &[0, 0, 1]),
        (5, 2, 3, &[2, 1, 0]),
        (6, 1, 6, &[0, 0, 0, 1]),
        (6, 2, 4, &[0, 3, 0, 0]),
        (6, 3, 3, &[4, 3, 0, 0]),
        (7, 1, 7, &[0, 0, 0, 0, 1]),
        (7, 2, 4, &[0, 1, 2, 0, 0]),
        (7, 3, 4, &[0, 7, 0, 0, 0]),
        (7, 4, 3, &[7, 7, 0, 0, 1]),
        (8, 1, 8, &[0, 0, 0, 0, 0, 1]),
        (8, 2, 5, &[0, 0, 2, 1, 0, 0]),
        (8, 3, 4, &[0, 3, 4, 0, 0, 0]),
        (8, 4, 4, &[0, 14, 0, 0, 0, 1]),
        (9, 2, 6, &[0, 0, 0, 3, 0, 0, 0]),
        (9, 3, 4, &[0, 1, 4, 2, 0, 0, 0]),
        (9, 4, 4, &[0, 6, 8, 0, 0, 1, 0]),
        (9, 5, 3, &[4, 14, 8, 0, 4, 1, 0]),
        (10, 3, 5, &[0, 0, 3, 3, 1, 0, 0, 0]),
        (10, 4, 4, &[0, 2, 8, 4, 0, 1, 0, 0]),
        (10, 5, 4, &[0, 10, 16, 0, 0, 5, 0, 0]),
        (10, 6, 3, &[8, 18, 16, 8, 8, 5, 0, 0]),
        (11, 6, 4, &[0, 25, 0, 27, 0, 10, 0, 1, 0]),
        (11, 7, 3, &[12, 26, 28, 24, 20, 13, 4, 0, 0]),
    ];
    for (k, p, resolution, counts) in best {
        let aliases = aliases(
            &vec![2; k],
            &format!("kind = \"fractional\"\nfraction = {}", 1 << p),
        );
        let of_length = |n: usize| {
            aliases
                .defining
                .iter()
                .filter(|word| word.len() == n)
                .count()
        };
        let found: Vec<usize> = (3..=k).map(of_length).collect();
        assert_eq!(
            (aliases.resolution, found.as_slice()),
            (resolution, counts),
            "2^({k}-{p})"
        );
    }
}

#[test]
fn large_fractions_are_found_and_keep_their_resolution() {
    // 2^(15-11) is saturated: every product of four factors, as many as there are (NIST, 5.3.3.4.7).
    assert_eq!(search::generators(4, 11).unwrap().len(), 11);
    assert!(search::generators(4, 12).is_none());
    // Resolution IV goes up to half as many factors as cells.
    for (m, p) in [(6, 6), (6, 10), (7, 8), (8, 7)] {
        let found = search::generators(m, p).unwrap();
        assert_eq!(found.len(), p);
        for (i, one) in found.iter().enumerate() {
            assert!(one.count_ones() >= 3, "2^({}-{p})", m + p);
            let pairs = found[..i].iter().map(|other| (one ^ other).count_ones());
            assert!(pairs.min().unwrap_or(2) >= 2, "2^({}-{p})", m + p);
        }
    }
    for (m, p) in [(5, 20), (10, 15)] {
        let found: BTreeSet<u64> = search::generators(m, p).unwrap().into_iter().collect();
        assert_eq!(found.len(), p, "2^({}-{p})", m + p);
    }
}

#[test]
fn columns_are_balanced_and_orthogonal_and_aliases_are_those_of_brute_force() {
    for (k, p) in [
        (3, 1),
        (4, 1),
        (5, 1),
        (5, 2),
        (6, 2),
        (6, 3),
        (7, 3),
        (7, 4),
        (8, 4),
        (9, 5),
    ] {
        let design = format!("kind = \"fractional\"\nfraction = {}", 1 << p);
        let cells = chosen(&vec![2; k], &design);
        assert_eq!(cells.len(), 1 << (k - p));
        assert_eq!(cells.iter().collect::<BTreeSet<_>>().len(), cells.len());
        check_aliases(&cells, k, &aliases(&vec![2; k], &design));
    }
    let design = "kind = \"fractional\"\ngenerators = [\"d = -a b\", \"e = -abc\"]";
    let cells = chosen(&[2; 5], design);
    let found = aliases(&[2; 5], design);
    assert_eq!(found.generators, ["D = -AB", "E = -ABC"]);
    assert_eq!(found.defining, ["-ABD", "CDE", "-ABCE"]);
    assert_eq!(
        found.aliased[0].label,
        "optim.lr = -optim.beta1 x optim.eps"
    );
    check_aliases(&cells, 5, &found);
}

/// Compare the columns of all main effects and interactions of two axes.
fn check_aliases(cells: &[Vec<usize>], k: usize, aliases: &Aliases) {
    let pairs = (0..k).flat_map(|i| (i + 1..k).map(move |j| vec![i, j]));
    let effects: Vec<Vec<usize>> = (0..k).map(|i| vec![i]).chain(pairs).collect();
    let of = |axes: &Vec<usize>| {
        let effect = |e: &&Effect| e.axes == *axes;
        aliases
            .aliased
            .iter()
            .enumerate()
            .find_map(|(lot, aliased)| {
                aliased
                    .effects
                    .iter()
                    .find(effect)
                    .map(|e| (lot, e.negative))
            })
    };
    for (i, one) in effects.iter().enumerate() {
        let column_of_one = column(cells, one);
        assert_eq!(column_of_one.iter().sum::<i32>(), 0, "{one:?} is balanced");
        for other in &effects[i + 1..] {
            let product: i32 = column(cells, other)
                .iter()
                .zip(&column_of_one)
                .map(|(a, b)| a * b)
                .sum();
            let n = cells.len() as i32;
            let expected = match (of(one), of(other)) {
                (Some((lot, sign)), Some((same, other))) if lot == same => {
                    if sign == other {
                        n
                    } else {
                        -n
                    }
                }
                _ => 0,
            };
            assert_eq!(product, expected, "{one:?} and {other:?}");
        }
    }
}

#[test]
fn axes_with_more_points_are_crossed_with_the_fraction() {
    let design = "kind = \"fractional\"\nfraction = 2";
    let cells = chosen(&[2, 3, 2, 2], design);
    assert_eq!(cells.len(), 12);
    for point in 0..3 {
        let at = cells.iter().filter(|cell| cell[1] == point);
        let others: Vec<Vec<usize>> = at.map(|cell| vec![cell[0], cell[2], cell[3]]).collect();
        assert_eq!(others, [[0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 1]]);
    }
    assert_eq!(
        aliases(&[2, 3, 2, 2], design).aliased[0].label,
        "optim.lr = optim.beta2 x optim.eps"
    );
    let sorted = cells.is_sorted();
    assert!(sorted, "in the order of the full product");
}

#[test]
fn generators_may_name_keys_or_letters() {
    let of = |words: &str| {
        let design = format!("kind = \"fractional\"\nfraction = 2\ngenerators = [{words}]");
        experiment(&[2; 4], &design).map(|e| e.aliases().unwrap().generators)
    };
    for same in [
        "\"d = a b c\"",
        "\"D=ABC\"",
        "\"optim.eps = optim.lr * optim.beta1 * c\"",
        "\"d = +a b c\"",
    ] {
        assert_eq!(of(same).unwrap(), ["D = ABC"], "{same}");
    }
    assert_eq!(of("\"b = -a d\"").unwrap(), ["B = -AD"]);
    for (words, said) in [
        (
            "\"d = a\"",
            "x.toml:10:14: design.generators: optim.lr and optim.eps would always change together",
        ),
        ("\"d = a b\", \"c = a b\"", "2 words for 1/2; expected 1"),
        (
            "\"d = a e\"",
            "x.toml:10:15: design.generators: `e` is no axis with two values; expected one of A (optim.lr), B",
        ),
        ("\"d = optim.lrr b\"", "`optim.lrr` is no axis"),
        ("\"d\"", "found `d`; expected a word such as `d = a b c`"),
        ("\"d = a a b\"", "found `d = a a b`"),
        ("\"d = a d\"", "is of an axis that a generator makes"),
    ] {
        let refusal = of(words).unwrap_err();
        assert!(refusal.contains(said), "{words}: {refusal}");
    }
}

#[test]
fn one_factor_at_a_time_has_its_baseline_once() {
    assert_eq!(
        chosen(&[2, 3], "kind = \"one-factor\""),
        [[0, 0], [1, 0], [0, 1], [0, 2]]
    );
    assert_eq!(
        chosen(
            &[2, 3],
            "kind = \"one-factor\"\naround = { \"optim.beta1\" = 0.001 }"
        ),
        [[0, 1], [1, 1], [0, 0], [0, 2]]
    );
    // A key of a zip, and a key inside of a table that is a value.
    let text = "[axes]\nmodel.text.init = [\"random\", { from = \"0123456789\" }]\n\
                [[zip]]\noptim.lr = [1, 1]\noptim.eps = [1, 2]\n[design]\nkind = \"one-factor\"\n\
                around = { optim.eps = 2, \"model.text.init.from\" = \"0123456789\" }";
    let experiment = parse(text).unwrap();
    let cells = experiment.expand().unwrap().cells;
    let positions: Vec<&[usize]> = cells.iter().map(|cell| cell.position.as_slice()).collect();
    assert_eq!(positions, [[1, 1], [0, 1], [1, 0]]);
    assert_eq!(
        experiment.design_label().unwrap(),
        "one factor at a time, 3 of 4 cells, around model.text.init = from 0123456789, optim.lr, optim.eps = 1, 2"
    );
}

#[test]
fn seeds_and_excludes_apply_to_the_chosen_cells() {
    let text = "[axes]\noptim.lr = [1, 2]\noptim.eps = [1, 2]\n[[exclude]]\nwhen = { optim.eps = 2 }\n\
                [seeds]\nvalues = [3, 5]\n[design]\nkind = \"one-factor\"";
    let grid = parse(text).unwrap().expand().unwrap();
    let cells: Vec<(Vec<usize>, u64, bool)> = grid
        .cells
        .into_iter()
        .map(|cell| {
            let excluded = matches!(cell.kind, CellKind::Excluded { by: 0 });
            (cell.position, cell.seed, excluded)
        })
        .collect();
    assert_eq!(
        cells,
        [
            (vec![0, 0], 3, false),
            (vec![0, 0], 5, false),
            (vec![1, 0], 3, false),
            (vec![1, 0], 5, false),
            (vec![0, 1], 3, true),
            (vec![0, 1], 5, true),
        ]
    );
}

#[test]
fn a_small_sample_of_a_huge_product_is_drawn_at_once() {
    let cells = chosen(&[500; 8], "kind = \"random\"\ncount = 20\nseed = 1");
    assert_eq!(cells.iter().collect::<BTreeSet<_>>().len(), 20);
    let label = experiment(&[500; 8], "kind = \"random\"\ncount = 20\nseed = 1")
        .unwrap()
        .design_label();
    assert!(label.unwrap().starts_with("random, 20 of "));
    let cells = chosen(&[500; 8], "kind = \"latin-hypercube\"\ncount = 500");
    assert_eq!(cells.len(), 500);
}

#[test]
fn the_cells_of_a_seed_never_change() {
    // Runs are called by their settings: another choice would make every run of a sampled grid anew.
    insta::assert_snapshot!(
        format!("{:?}", chosen(&[4, 3, 5], "kind = \"random\"\ncount = 4\nseed = 7")),
        @"[[0, 0, 1], [2, 1, 3], [3, 1, 2], [3, 1, 3]]"
    );
    insta::assert_snapshot!(
        format!("{:?}", chosen(&[4, 3, 5], "kind = \"latin-hypercube\"\ncount = 4\nseed = 7")),
        @"[[0, 0, 1], [1, 1, 0], [2, 0, 2], [3, 2, 4]]"
    );
    assert_ne!(
        chosen(&[9, 9], "kind = \"random\"\ncount = 9\nseed = 1"),
        chosen(&[9, 9], "kind = \"random\"\ncount = 9")
    );
}

#[test]
fn bad_designs_are_refused_with_place_and_key() {
    for (design, said) in [
        (
            "count = 2",
            "x.toml:5:1: design.kind: is missing; expected one of \"full\", \"one-factor\"",
        ),
        (
            "kind = \"half\"",
            "x.toml:6:8: design.kind: `half` is no design",
        ),
        (
            "kind = \"full\"\ncount = 2",
            "x.toml:7:1: design.count: is not part of a full design; expected no other key",
        ),
        (
            "kind = \"random\"\nfraction = 2",
            "x.toml:7:1: design.fraction: is not part of a random design; expected one of count, seed",
        ),
        ("kind = \"random\"", "x.toml:5:1: design.count: is missing"),
        (
            "kind = \"random\"\ncount = 0",
            "x.toml:7:9: design.count: 0 cells of the 4 that the axes make; expected 1 to 4",
        ),
        (
            "kind = \"latin-hypercube\"\ncount = 5",
            "x.toml:7:9: design.count: 5 cells of the 4",
        ),
        (
            "kind = \"random\"\ncount = 200_000",
            "x.toml:7:9: design.count: 200000 cells; expected a number of cells, at most 100000",
        ),
        (
            "kind = \"random\"\ncount = -1",
            "x.toml:7:9: design.count: found -1",
        ),
        (
            "kind = \"fractional\"",
            "x.toml:5:1: design.fraction: is missing",
        ),
        (
            "kind = \"fractional\"\nfraction = 3",
            "x.toml:7:12: design.fraction: found 3; expected 2, 4, 8",
        ),
        (
            "kind = \"fractional\"\nfraction = 2",
            "x.toml:7:12: design.fraction: 1/2 of the cells of 2 axes with two values cannot tell their effects apart; expected three or more",
        ),
        (
            "kind = \"one-factor\"\naround = { optim.eps = 1 }",
            "x.toml:7:18: design.optim.eps: is no axis of this file; expected one of optim.lr",
        ),
        (
            "kind = \"one-factor\"\naround = { optim.lr = 7 }",
            "x.toml:7:18: design.optim.lr: 7 is not on that axis",
        ),
        (
            "kind = \"one-factor\"\naround = 3",
            "x.toml:7:10: design.around: found a number; expected a table",
        ),
    ] {
        let refusal = experiment(&[2, 2], design).unwrap_err();
        assert!(refusal.contains(said), "{design}\n{refusal}");
    }
    let refusal = experiment(&[2; 5], "kind = \"fractional\"\nfraction = 8").unwrap_err();
    assert!(
        refusal.contains(
            "5 axes with two values cannot tell their effects apart; expected at most 4 here"
        ),
        "{refusal}"
    );
    let many = experiment(
        &[100, 100],
        "kind = \"random\"\ncount = 9_000\n[seeds]\ncount = 12",
    );
    let refusal = many.unwrap().expand().unwrap_err().to_string();
    assert!(
        refusal.contains(
            "design.count: 9000 cells with 12 seeds each are 108000; expected at most 100000"
        ),
        "{refusal}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_cells_are_distinct_on_the_axes_and_stay_when_more_are_drawn(
        lengths in prop::collection::vec(1usize..5, 1..5),
        share in 0.0..=1.0,
        seed: u64,
    ) {
        let all: usize = lengths.iter().product();
        let count = ((all as f64 * share) as usize).max(1);
        let cells = sample::random(&lengths, count, seed);
        let distinct: BTreeSet<&Vec<usize>> = cells.iter().collect();
        prop_assert_eq!(distinct.len(), count);
        prop_assert!(cells.iter().all(|cell| cell.iter().zip(&lengths).all(|(p, n)| p < n)));
        let more = sample::random(&lengths, all, seed);
        prop_assert_eq!(more.len(), all);
        let larger = sample::random(&lengths, (count + all).div_ceil(2), seed);
        prop_assert!(cells.iter().all(|cell| larger.contains(cell)));
    }

    #[test]
    fn a_latin_hypercube_uses_every_axis_evenly(
        lengths in prop::collection::vec(1usize..9, 1..5),
        share in 0.0..=1.0,
        seed: u64,
    ) {
        let all: usize = lengths.iter().product();
        let count = ((all as f64 * share) as usize).max(1);
        let cells = sample::latin_hypercube(&lengths, count, seed);
        prop_assert_eq!(cells.iter().collect::<BTreeSet<_>>().len(), count, "distinct");
        for (axis, length) in lengths.iter().enumerate() {
            let mut uses = vec![0; *length];
            cells.iter().for_each(|cell| uses[cell[axis]] += 1);
            let (least, most) = (uses.iter().min().unwrap(), uses.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{:?}", uses);
            // Those that are used once more stand one in each of as many stretches of the axis.
            let extra = count % length;
            for stretch in 0..extra {
                let bounds = stretch * length / extra..(stretch + 1) * length / extra;
                let more = uses[bounds].iter().filter(|n| **n > count / length).count();
                prop_assert_eq!(more, 1);
            }
        }
    }

    #[test]
    fn one_factor_at_a_time_differs_from_its_baseline_in_one(
        lengths in prop::collection::vec(1usize..6, 1..6),
        seed: u64,
    ) {
        let baseline = sample::random(&lengths, 1, seed).remove(0);
        let cells = sample::one_factor(&lengths, &baseline);
        prop_assert_eq!(cells.len(), 1 + lengths.iter().map(|n| n - 1).sum::<usize>());
        prop_assert_eq!(cells.iter().collect::<BTreeSet<_>>().len(), cells.len());
        for cell in &cells[1..] {
            prop_assert_eq!(cell.iter().zip(&baseline).filter(|(a, b)| a != b).count(), 1);
        }
    }
}

#[test]
fn each_point_is_drawn_about_as_often_as_it_should_be() {
    // 4000 single cells of 8: each near 500, the standard deviation being 21.
    let mut uses = [0; 8];
    for seed in 0..4000 {
        let cell = &sample::random(&[2, 4], 1, seed)[0];
        uses[4 * cell[0] + cell[1]] += 1;
    }
    assert!(uses.iter().all(|n| (400..600).contains(n)), "{uses:?}");
    // Pairs of a Latin square of 3: each of the 9 in a third of the designs.
    let mut pairs = [0; 9];
    for seed in 0..3000 {
        for cell in sample::latin_hypercube(&[3, 3], 3, seed) {
            pairs[3 * cell[0] + cell[1]] += 1;
        }
    }
    assert!(pairs.iter().all(|n| (880..1120).contains(n)), "{pairs:?}");
}

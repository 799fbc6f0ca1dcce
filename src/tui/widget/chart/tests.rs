//! No extreme is lost, no size panics, and what is kept from frame to frame changes nothing: against a rasterisation
//! of all raw points, point by point. Then what charts look like.

use std::f64::consts::PI;

use proptest::prelude::*;
use ratatui::style::Modifier;

use super::*;
use crate::store::Position;

fn series(rows: &[(u64, f64)]) -> Series {
    let mut series = Series::default();
    rows.iter().for_each(|row| push(&mut series, *row));
    series
}

fn push(series: &mut Series, (step, value): (u64, f64)) {
    let at = Position {
        attempt: 1,
        step,
        examples: 10 * step,
        seconds: step as f64 / 4.0,
    };
    series.push(at, [("y", value)]);
}

fn raw(series: &Series, mark: char, dim: bool) -> Line<'_> {
    let column = series.column("y").unwrap();
    let stroke = Stroke {
        colour: Color::Blue,
        mark: (mark != ' ').then_some(mark),
        dim,
    };
    Line {
        data: Data::Raw { series, column },
        stroke,
    }
}

fn chart<'a>(lines: &'a [Line<'a>], x: (f64, f64)) -> Chart<'a> {
    Chart {
        title: "loss",
        lines,
        view: View {
            x,
            scale: Scale::Linear,
        },
        along: Along::Steps,
        y: Vertical::default(),
        latest: None,
        markers: &[],
        cursor: None,
        glyphs: Glyphs::Braille,
        colour: true,
        x_axis: true,
    }
}

fn buffer(chart: &Chart, width: u16, height: u16, cache: &mut ChartCache) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    let gutter = chart.gutter_needed(height, cache);
    chart.draw(area, gutter, cache, &mut buffer);
    buffer
}

/// The text of a chart, framed so that its blanks can be seen.
fn text(chart: &Chart, width: u16, height: u16) -> String {
    let buffer = buffer(chart, width, height, &mut ChartCache::default());
    let row = |y| {
        (0..width)
            .map(|x| buffer[(x, y)].symbol())
            .collect::<String>()
    };
    (0..height).map(|y| format!("[{}]\n", row(y))).collect()
}

/// Rows with gaps between their steps, some of them without a value, and now and then a spike.
fn rows() -> impl Strategy<Value = Vec<(u64, f64)>> {
    let value = prop_oneof![6 => -1.0..1.0f64, 1 => -9.0..9.0f64, 3 => Just(f64::NAN)];
    let gap = prop_oneof![5 => 1..3u64, 1 => 1..60u64];
    prop::collection::vec((gap, value), 1..300).prop_map(|rows| {
        let step = rows.into_iter().scan(0, |step, (gap, value)| {
            *step += gap;
            Some((*step, value))
        });
        step.collect()
    })
}

/// The highest and lowest dot of each dot column by looking at every value and at every dot of every line between two.
fn brute_force(rows: &[(u64, f64)], columns: &Columns, height: &Rows) -> Vec<Option<(i32, i32)>> {
    let width = columns.len() as i64;
    let mut lit = vec![None; columns.len()];
    let mut light = |column: i64, row: i32| {
        if (0..width).contains(&column) && (0..height.count).contains(&row) {
            let (top, bottom) = lit[column as usize].unwrap_or((row, row));
            lit[column as usize] = Some((row.min(top), row.max(bottom)));
        }
    };
    let there = rows.iter().filter(|row| !row.1.is_nan());
    let dots: Vec<(i64, i32)> = there
        .filter_map(|(x, y)| Some((columns.reaching(*x as f64)?, height.row(*y))))
        .collect();
    dots.iter().for_each(|&(column, row)| light(column, row));
    for pair in dots.windows(2) {
        let ((c0, r0), (c1, r1)) = (pair[0], pair[1]);
        if c0 == c1 {
            (r0.min(r1)..=r0.max(r1)).for_each(|row| light(c0, row));
            continue;
        }
        // Walk the line by its rows: each lies in the column whose middle is nearest to where the line crosses it.
        let at = |c: i64| {
            f64::from(r0) + f64::from(r1 - r0) * ((c - c0) as f64 + 0.5) / (c1 - c0) as f64
        };
        let mut row = r0;
        for c in c0..=c1 {
            let end = if c == c1 {
                r1
            } else {
                (at(c) + 0.5).floor() as i32
            };
            if c > c0 && end != row {
                row += (end - row).signum();
            }
            light(c, row);
            while row != end {
                row += (end - row).signum();
                light(c, row);
            }
        }
    }
    lit
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The highest and the lowest lit dot of each dot column are those of all raw points, in both kinds of glyphs and
    /// on both scales, whatever part of the run is in view.
    #[test]
    fn no_extreme_is_ever_lost(
        rows in rows(),
        (width, height) in (1..60u16, 1..20u16),
        (from, to) in (-0.3..1.3f64, -0.3..1.3f64),
        (ascii, log, fixed) in (any::<bool>(), any::<bool>(), any::<bool>()),
    ) {
        let run = series(&rows);
        let last = rows[rows.len() - 1].0 as f64;
        let lines = [raw(&run, ' ', false)];
        let mut chart = chart(&lines, (from.min(to) * last, from.max(to) * last));
        chart.glyphs = if ascii { Glyphs::Ascii } else { Glyphs::Braille };
        chart.y.scale = if log { Scale::Log } else { Scale::Linear };
        chart.y.range = fixed.then_some((0.25, 1.5));
        let mut cache = ChartCache::default();
        buffer(&chart, width, height, &mut cache);
        let area = Rect::new(0, 0, width, height);
        let gutter = chart.gutter_needed(height, &mut cache);
        let plot = chart.panel(area, gutter).plot;
        prop_assume!(!plot.is_empty());
        let columns = columns(chart.view, chart.glyphs, plot.width);
        let height = chart.rows(&extremes::of(&chart, &mut Vec::new()), plot.height);
        for (column, expected) in brute_force(&rows, &columns, &height).into_iter().enumerate() {
            let found = cache.raster.lit(column).map(|(top, bottom)| (top as i32, bottom as i32));
            prop_assert_eq!(found, expected, "column {}", column);
        }
    }

    /// What a cache holds is what would be drawn without it: while rows come, and after zooms, new sizes and rewinds.
    #[test]
    fn a_cache_changes_nothing(
        rows in rows(),
        changes in prop::collection::vec((0..7u8, 0.0..1.0f64), 1..12),
        log in any::<bool>(),
    ) {
        let (mut run, mut came) = (series(&rows[..1]), 1);
        let last = rows[rows.len() - 1].0 as f64;
        let (mut view, mut size) = ((0.0, last), (50, 8));
        let mut cache = ChartCache::default();
        for (change, share) in changes {
            match change {
                0 => view = (0.5 * share * last, (0.5 + 0.5 * share) * last),
                1 => size = (20 + (share * 60.0) as u16, 4 + (share * 9.0) as u16),
                2 => {
                    came = 1 + (share * (came - 1) as f64) as usize;
                    run.rewind(rows[came - 1].0);
                }
                _ => {
                    let more = came + (share * (rows.len() - came) as f64 / 2.0).ceil() as usize;
                    rows[came..more].iter().for_each(|row| push(&mut run, *row));
                    came = more;
                }
            }
            let lines = [raw(&run, 'a', false), raw(&run, 'b', true)];
            let mut chart = chart(&lines, view);
            chart.y.scale = if log { Scale::Log } else { Scale::Linear };
            let fresh = buffer(&chart, size.0, size.1, &mut ChartCache::default());
            prop_assert_eq!(buffer(&chart, size.0, size.1, &mut cache), fresh);
        }
    }

    #[test]
    fn no_value_and_no_view_panics(
        points in prop::collection::vec((any::<f64>(), any::<f64>()), 0..20),
        (x, range, cursor) in (any::<(f64, f64)>(), any::<(f64, f64)>(), any::<f64>()),
        (log_x, log_y, ascii, fixed) in any::<(bool, bool, bool, bool)>(),
        along in prop_oneof![Just(Along::Examples), Just(Along::Steps), Just(Along::Seconds)],
    ) {
        let mut points = points;
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let band: Vec<BandPoint> = points
            .iter()
            .map(|&(x, y)| BandPoint { x, n: 2, mean: Some(y), half_width: Some(y.abs()) })
            .collect();
        let stroke = Stroke { colour: Color::Red, mark: Some('q'), dim: false };
        let lines = [
            Line { data: Data::Points(&points), stroke },
            Line { data: Data::Band(&band), stroke },
        ];
        let mut chart = chart(&lines, x);
        let scale = |log| if log { Scale::Log } else { Scale::Linear };
        (chart.view.scale, chart.y.scale) = (scale(log_x), scale(log_y));
        chart.glyphs = if ascii { Glyphs::Ascii } else { Glyphs::Braille };
        chart.y.range = fixed.then_some(range);
        (chart.cursor, chart.along, chart.latest) = (Some(cursor), along, Some(cursor));
        let markers = [Marker { x: cursor, sign: Sign::Spike, label: "here" }];
        chart.markers = &markers;
        text(&chart, 60, 12);
        chart.nearest_row(0, cursor);
        chart.nearest_row(1, cursor);
    }
}

#[test]
fn no_size_panics() {
    let run = series(&wave(300));
    let points = [(10.0, 1.0), (200.0, 2.0)];
    let lines = [
        raw(&run, 'a', false),
        raw(&run, 'b', true),
        Line {
            data: Data::Points(&points),
            stroke: Stroke::default(),
        },
    ];
    let markers = [
        Marker {
            x: 100.0,
            sign: Sign::Diverged,
            label: "NaN",
        },
        Marker {
            x: 300.0,
            sign: Sign::Spike,
            label: "",
        },
    ];
    for glyphs in [Glyphs::Braille, Glyphs::Ascii] {
        for (width, height) in (0..=40).flat_map(|w| (0..=20).map(move |h| (w, h))) {
            let mut chart = chart(&lines, (0.0, 300.0));
            (chart.glyphs, chart.markers) = (glyphs, &markers);
            (chart.cursor, chart.latest) = (Some(300.0), Some(1.5));
            text(&chart, width, height);
            spark(&run, run.column("y").unwrap(), Along::Steps, width, glyphs);
            // An area that the buffer no longer has, as when the terminal has just shrunk.
            let area = Rect::new(7, 3, 30, 15);
            let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
            chart.draw(area, 6, &mut ChartCache::default(), &mut buffer);
        }
    }
}

#[test]
fn one_point_among_a_million_is_seen_at_every_width() {
    let mut run = Series::default();
    (0..1_000_000).for_each(|i| push(&mut run, (i, if i == 765_432 { 9.0 } else { 1.0 })));
    let lines = [raw(&run, ' ', false)];
    for glyphs in [Glyphs::Braille, Glyphs::Ascii] {
        for width in 10..200 {
            let mut chart = chart(&lines, (0.0, 999_999.0));
            chart.glyphs = glyphs;
            chart.y.range = Some((0.0, 9.0));
            let mut cache = ChartCache::default();
            let area = Rect::new(0, 0, width, 6);
            chart.draw(area, 0, &mut cache, &mut Buffer::empty(area));
            let tops: Vec<usize> = (0..cache.columns.len())
                .filter(|column| cache.raster.lit(*column).is_some_and(|(top, _)| top == 0))
                .collect();
            assert_eq!(
                tops,
                [cache.columns.column(765_432.0).unwrap()],
                "{width} {glyphs:?}"
            );
        }
    }
}

/// A falling loss with a wave on it.
fn wave(count: u64) -> Vec<(u64, f64)> {
    let value =
        |i: u64| 3.0 * (-(i as f64) / 120.0).exp() + 1.0 + 0.2 * (i as f64 * PI / 15.0).sin();
    (0..count).map(|i| (i, value(i))).collect()
}

#[test]
fn the_exact_row_under_the_cursor_is_found() {
    let run = series(&[
        (0, 1.0),
        (10, f64::NAN),
        (20, f64::NAN),
        (30, 4.0),
        (40, 5.0),
    ]);
    let points = [(1.0, 1.0), (2.0, 2.0)];
    let lines = [
        raw(&run, ' ', false),
        Line {
            data: Data::Points(&points),
            stroke: Stroke::default(),
        },
    ];
    let chart = chart(&lines, (0.0, 40.0));
    let found: Vec<_> = [-5.0, 14.0, 16.0, 35.0, 36.0, 99.0]
        .map(|x| chart.nearest_row(0, x))
        .into();
    assert_eq!(
        found,
        [Some(0), Some(0), Some(3), Some(3), Some(4), Some(4)]
    );
    assert_eq!(
        (chart.nearest_row(1, 1.8), chart.nearest_row(2, 0.0)),
        (Some(1), None)
    );
}

#[test]
fn panels_of_one_gutter_share_their_columns() {
    let (a, b) = (series(&wave(300)), series(&[(0, 0.0), (299, 1e6)]));
    let (a, b) = ([raw(&a, ' ', false)], [raw(&b, ' ', false)]);
    let (mut upper, lower) = (chart(&a, (0.0, 299.0)), chart(&b, (0.0, 299.0)));
    upper.x_axis = false;
    let needed = |chart: &Chart, height| chart.gutter_needed(height, &mut ChartCache::default());
    let gutter = needed(&upper, 8).max(needed(&lower, 10));
    let panels = [
        upper.panel(Rect::new(3, 0, 60, 8), gutter),
        lower.panel(Rect::new(3, 8, 60, 10), gutter),
    ];
    assert_eq!(
        (panels[0].plot.x, panels[0].plot.width),
        (panels[1].plot.x, panels[1].plot.width)
    );
    assert_eq!(
        upper.x_at(panels[0].plot, panels[0].plot.x).map(f64::round),
        Some(3.0)
    );
}

/// The cursor and the signs are told from the rest by more than colour.
#[test]
fn the_cursor_and_the_signs_need_no_colour() {
    let run = series(&wave(300));
    let lines = [raw(&run, ' ', false)];
    let markers = [Marker {
        x: 50.0,
        sign: Sign::Spike,
        label: "",
    }];
    for glyphs in [Glyphs::Braille, Glyphs::Ascii] {
        let mut chart = chart(&lines, (0.0, 299.0));
        (chart.glyphs, chart.colour, chart.markers, chart.cursor) =
            (glyphs, false, &markers, Some(150.0));
        let drawn = buffer(&chart, 60, 12, &mut ChartCache::default());
        assert!(
            drawn
                .content
                .iter()
                .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
        );
        let gutter = chart.gutter_needed(12, &mut ChartCache::default());
        let plot = chart.panel(drawn.area, gutter).plot;
        let x = (plot.left()..plot.right())
            .find(|x| chart.x_at(plot, *x).unwrap() > 149.0)
            .unwrap();
        let line = glyphs.pick("│", "|");
        let seen = |y| {
            drawn[(x, y)].symbol() == line || drawn[(x, y)].modifier.contains(Modifier::REVERSED)
        };
        assert!((plot.top()..plot.bottom()).all(seen));
        let signs = (0..60)
            .filter(|x| drawn[(*x, 1)].symbol() == glyphs.pick("▼", "v"))
            .count();
        assert_eq!(signs, 1);
    }
}

#[test]
fn a_linear_chart() {
    let run = series(&wave(300));
    let lines = [raw(&run, ' ', false)];
    let mut chart = chart(&lines, (0.0, 299.0));
    chart.latest = Some(1.2345678);
    insta::assert_snapshot!(text(&chart, 60, 12), @"
    [loss                                                   1.235]
    [4┤⠔⢦⡀                                                       ]
    [ │  ⠳⡄                                                      ]
    [ │   ⠙⠦⠖⠋⠳⡄                                                 ]
    [3┤        ⠹⣄⢀⡠⠤⣄                                            ]
    [ │         ⠈⠉  ⠈⢧⡀⢀⡠⠤⡄                                      ]
    [ │               ⠉⠉  ⠙⢦ ⣠⠖⠲⣄   ⢀                            ]
    [2┤                    ⠈⠉⠁  ⠘⢦⣠⠞⠉⠙⣆  ⣠⠶⣄   ⢀⣀                ]
    [ │                               ⠈⠓⠊⠁ ⠈⠳⢤⠴⠋⠈⠹⣄⢀⡠⠚⠙⢦  ⣠⠖⢦⡀   ]
    [1┤                                           ⠈⠉   ⠈⠓⠚⠁  ⠙⠦⠞ ]
    [ └┬────────┬─────────┬────────┬─────────┬────────┬───────── ]
    [  0       50        100      150       200      250    steps]
    ");
}

#[test]
fn a_logarithmic_chart_counts_what_it_cannot_place() {
    let mut rows = wave(300);
    rows.iter_mut()
        .for_each(|row| row.1 = 10f64.powf(row.1 - 2.0));
    rows[200].1 = 0.0;
    rows[220].1 = -1.0;
    let run = series(&rows);
    let lines = [raw(&run, ' ', false)];
    let mut chart = chart(&lines, (0.0, 299.0));
    (chart.y.scale, chart.along) = (Scale::Log, Along::Seconds);
    chart.view.x.1 = 74.75;
    insta::assert_snapshot!(text(&chart, 60, 12), @"
    [loss · log · 2 values ≤ 0 at the bottom                     ]
    [100┤⠔⢦⡀                                                     ]
    [   │  ⢳⡀                                                    ]
    [   │   ⠓⠦⠒⠙⢦⡀                                               ]
    [ 10┤        ⠳⣄⣀⡤⢤⡀                                          ]
    [   │         ⠈⠁  ⠹⣄ ⣠⠤⣄                                     ]
    [   │              ⠈⠉⠁ ⠈⢧⡀⢀⠔⠲⣄   ⢀                           ]
    [  1┤                    ⠉⠁  ⠈⢧⣠⠞⠉⠹⣄  ⡤⠶⣄   ⣀⡀               ]
    [   │                              ⠈⠓⠋  ⠈⢧⡤⠞⠁⣿⢧⡀⣠⠔⠙⢦⡀ ⣀⠖⠲⡄   ]
    [0.1┤                                    ⢸   ⡇ ⠉⠁   ⠙⠚⠁  ⠙⠦⠞ ]
    [   └┬──────┬──────┬───────┬──────┬──────┬───────┬──────┬─── ]
    [   0s     10s    20s     30s    40s    50s     1m    1m10s  ]
    ");
}

#[test]
fn two_lines_are_told_apart_by_their_letters() {
    let (a, b) = (
        series(&wave(300)),
        series(&[(0, 4.0), (100, 3.5), (299, 3.0)]),
    );
    let lines = [raw(&a, 'a', false), raw(&b, 'b', false)];
    insta::assert_snapshot!(text(&chart(&lines, (0.0, 299.0)), 60, 10), @"
    [loss                                                        ]
    [4┤⠒⠲⡤⠤⠤⢄⣀⣀⣀⡀                                                ]
    [ │  ⠙⢦⡀⣀⡤⣄ ⠈⠉⠉⠉⠑⠒⠒⠒⠤⠤⠤⠤⠤⠤⢄b⣀⣀⣀⣀⣀⣀⣀⣀                         ]
    [3┤    ⠉  ⠈⢳⣀ ⣀a⣀                   ⠉⠉⠉⠉⠉⠉⠉⠉⠉⠑⠒⠒⠒⠒⠒b⠒⠒⠒⠤⠤⠤⠤⠤b]
    [ │         ⠈⠉⠁ ⠘⢦⡀⢀⡤⠤⣄                                      ]
    [2┤               ⠉⠁  ⠈⠳⠤⠴⠊⠙⢦⡀ ⢀⡤⢤⡀                          ]
    [ │                          ⠉⠋⠁  ⠓⠦⠤⠚⠉a⢤⡀⣠⠔⠒⢦⡀ ⢀⠤⠤⡄  ⢀⡠⣄    ]
    [1┤                                      ⠉    ⠉⠛⠁  ⠙⠒⠒⠋ ⠈⠳⠤⠔a]
    [ └┬────────┬─────────┬────────┬─────────┬────────┬───────── ]
    [  0       50        100      150       200      250    steps]
    ");
}

#[test]
fn a_band_holds_its_mean() {
    let point = |i: u32| {
        let x = f64::from(i);
        BandPoint {
            x,
            n: 3,
            mean: Some((x / 12.0).sin()),
            half_width: Some(0.2 + x / 100.0),
        }
    };
    let points: Vec<BandPoint> = (0..60).map(point).collect();
    let stroke = Stroke {
        mark: Some('m'),
        ..Stroke::default()
    };
    let lines = [Line {
        data: Data::Band(&points),
        stroke,
    }];
    let mut chart = chart(&lines, (0.0, 59.0));
    insta::assert_snapshot!(text(&chart, 60, 12), @"
    [loss                                                        ]
    [  │            ⡀⡀⠄⡄⠄⡂⠆⡂⠆⡄⠄⡄⠄⡀⡀                              ]
    [ 1┤      ⡀⡄⠄⣂⣅⣃⡥⡦⠥⡖⠗⡒⠗⡦⠥⡦⠥⣂⣅⡂⠅⡃⠅⡂⠄⡄⡀                        ]
    [  │  ⡀⡄⣆⣃⠥⡒⠗⡃⡅⠆⠅⠆⠃⠂⠃⠂⠃⠆⠅⠆⡅⡂⠅⡋⠍⡒⠧⣆⡅⡂⠅⡃⠅⡂⠄⡀                   ]
    [  │⢄⡧⡗⡋⠅⠂⠃⠁⠁               ⠁⠁⠃⠆⡅⡂⠍⡋⠕⡢⢅⡂⠅⡂⠅⡂⠆⡄⡀⡀             ]
    [ 0┤⠅⠁                            ⠁⠂⠅⡂⠅⡊⠕⡦⠥⣂⠅⡂⠅⡂⠅⡃⠆⡂⠆⡄⠄⡄⠄⡄⠄⡄ ]
    [  │                                  ⠁⠂⠅⡂⠅⡂⠍⡒⠗⡦⣅⣂⠅⡂⠅⡂⠅⡂⠅⡂⠅⡂ ]
    [-1┤                                     ⠁⠃⠆⠅⡂⠅⡂⠅⡂⠍⡓⠗⡒⠧⡦⠥⡦⠥⡦m]
    [  │                                          ⠁⠂⠅⠆⡅⡂⠅⡂⠅⡂⠅⡂⠅⡂ ]
    [  │                                                ⠁⠁⠃⠂⠃⠆⠅⠆ ]
    [  └┬────────┬────────┬─────────┬────────┬─────────┬──────── ]
    [   0       10       20        30       40        50    steps]
    ");
    chart.glyphs = Glyphs::Ascii;
    insta::assert_snapshot!(text(&chart, 60, 12), @"
    [loss                                                        ]
    [  |               .........                                 ]
    [ 1+       .....mmmmmmmmmmm.........                         ]
    [  |  ...mmmmmmm..........mmmmmmmmm.......                   ]
    [  |mmmmm.....            ........mmmmmm.......              ]
    [ 0+m..                         .......mmmmm................ ]
    [  |                                 ......mmmmmmmm......... ]
    [-1+                                     .........mmmmmmmmmmm]
    [  |                                          .............. ]
    [  |                                                 ....... ]
    [  ++--------+--------+---------+--------+---------+-------- ]
    [   0       10       20        30       40        50    steps]
    ");
}

#[test]
fn signs_and_a_cursor() {
    let mut rows = wave(300);
    rows[60].1 = 6.0;
    let run = series(&rows);
    let points = [(0.0, 1.2), (75.0, 2.4), (150.0, 3.0), (225.0, 3.2)];
    let stroke = Stroke {
        mark: None,
        ..Stroke::default()
    };
    let lines = [
        raw(&run, ' ', false),
        Line {
            data: Data::Points(&points),
            stroke,
        },
    ];
    let markers = [
        Marker {
            x: 60.0,
            sign: Sign::Spike,
            label: "",
        },
        Marker {
            x: 250.0,
            sign: Sign::Diverged,
            label: "NaN",
        },
        Marker {
            x: 150.0,
            sign: Sign::Evaluated,
            label: "",
        },
    ];
    let mut chart = chart(&lines, (0.0, 320.0));
    (chart.markers, chart.cursor) = (&markers, Some(200.0));
    insta::assert_snapshot!(text(&chart, 60, 12), @"
    [loss                                                        ]
    [            ▼               ╷                 ✖ NaN         ]
    [6┤          ⢰                        │        ┊             ]
    [ │          ⢸                        │        ┊             ]
    [ │          ⢸                        │        ┊             ]
    [4┤⠚⠲⣄       ⢸                        │        ┊             ]
    [ │  ⠈⠙⠒⠚⠙⠦⣄ ⢸⣀⡀           ⢀⣀•⣀⣀⣀⠤⠤⠤⠤⠤⠤⠔⠒⠒⠒•   ┊             ]
    [ │        ⠈⠉⣉⣀⠭•⣤⡴⠖⠲⣖⠒⠉⢉⣉⡉⠁          │        ┊             ]
    [2┤   ⣀⡠⠤⠔⠒⠊⠉┊       ⠈⠙⠊⠉ ⠙⠲⠤⠔⠊⠓⢦⣀⣀⠴⠲⣄⡀ ⣀⠤⣄   ⣀⣀   ⢀⣀        ]
    [ │•⠉⠉       ┊                        ⠉⠉⠁ ⠈⠙⠒⠋ ⠈⠙⠒⠒⠉⠈⠙⠦⠴⠂    ]
    [ └┬───────┬────────┬────────┬────────▲────────┬────────┬─── ]
    [  0      50       100      150      200      250       steps]
    ");
    chart.glyphs = Glyphs::Ascii;
    insta::assert_snapshot!(text(&chart, 60, 12), @"
    [loss                                                        ]
    [            v               '                 x NaN         ]
    [6+          |                        |        !             ]
    [ |          |                        |        !             ]
    [ |          |                        |        !             ]
    [4+**|       |                        |        !             ]
    [ |  |******||*|       ******o*************o   !             ]
    [ |         |***o******|**|   |       |        !             ]
    [2+   *******!        ||  |***|*************|***| |**|       ]
    [ |o**       !                        |     |  !|*|  |***    ]
    [ ++-------+--------+--------+--------^--------+--------+--- ]
    [  0      50       100      150      200      250       steps]
    ");
}

#[test]
fn a_smoothed_line_over_its_raw_one_in_plain_characters() {
    let mut rows = wave(300);
    rows.iter_mut().step_by(7).for_each(|row| row.1 += 0.8);
    let run = series(&rows);
    let mut smooth = Smooth::new(0.9);
    smooth.extend(run.column("y").unwrap());
    let data = Data::Raw {
        series: &run,
        column: smooth.column(),
    };
    let lines = [
        raw(&run, ' ', true),
        Line {
            data,
            stroke: Stroke::default(),
        },
    ];
    let mut chart = chart(&lines, (0.0, 299.0));
    chart.glyphs = Glyphs::Ascii;
    insta::assert_snapshot!(text(&chart, 60, 12), @"
    [loss                                                        ]
    [ ||:                                                        ]
    [ |||:                                                       ]
    [4+||**|:: :                                                 ]
    [ |  :.|****|: :::  ::                                       ]
    [3+        :|*****||:: ::: ::   ::                           ]
    [ |             ::||*********| ::: ::: ::  :::   : :   ::    ]
    [2+                    ::::::|***********|::|*|::::::::::: : ]
    [ |                               :::: ::|**|:|************* ]
    [1+                                                 ::   ::: ]
    [ ++--------+---------+--------+---------+--------+--------- ]
    [  0       50        100      150       200      250    steps]
    ");
}

#[test]
fn a_metric_in_a_cell_of_a_table() {
    let mut rows = wave(300);
    rows[200].1 = 4.0;
    let run = series(&rows);
    let cell = |glyphs| spark(&run, run.column("y").unwrap(), Along::Steps, 16, glyphs);
    insta::assert_snapshot!(format!("[{}]\n[{}]", cell(Glyphs::Braille), cell(Glyphs::Ascii)), @"
    [⠙⠒⠒⠒⠦⠤⠤⠤⠤⡤⣼⣤⣀⣄⣀⣀]
    [^!!----:::|_____]
    ");
}

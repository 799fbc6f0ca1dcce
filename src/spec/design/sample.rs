//! Positions for designs that need no algebra: one factor at a time, random cells, Latin hypercubes.

use std::collections::BTreeSet;

use super::draws::Draws;

/// `baseline`, then every other point of each axis in turn.
pub fn one_factor(lengths: &[usize], baseline: &[usize]) -> Vec<Vec<usize>> {
    let others = lengths.iter().enumerate().flat_map(|(axis, length)| {
        let points = (0..*length).filter(move |point| *point != baseline[axis]);
        points.map(move |point| {
            let mut position = baseline.to_vec();
            position[axis] = point;
            position
        })
    });
    std::iter::once(baseline.to_vec()).chain(others).collect()
}

/// `count` distinct cells; there must be as many. More of the same seed hold fewer.
pub fn random(lengths: &[usize], count: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut draws = Draws::new(seed, "random cells");
    let mut chosen = BTreeSet::new();
    while chosen.len() < count {
        chosen.insert(lengths.iter().map(|n| draws.below(*n)).collect());
    }
    chosen.into_iter().collect()
}

/// `count` distinct cells, there being as many, that use the points of each axis evenly.
///
/// The points of one axis after the other are dealt to the cells like cards, round after round in one order. Cells
/// that are alike so far are dealt to in a row, so that they get different points: n of them become at most
/// ⌈n / length⌉ each time, and one in the end.
pub fn latin_hypercube(lengths: &[usize], count: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut draws = Draws::new(seed, "Latin hypercube");
    let mut alike: Vec<Vec<Vec<usize>>> = vec![vec![Vec::new(); count]];
    for length in lengths {
        let deck = deck(&mut draws, *length, count);
        draws.shuffle(&mut alike);
        let mut next = deck.iter().cycle();
        let mut apart = Vec::new();
        for group in alike {
            let mut hands = vec![Vec::new(); *length];
            for mut cell in group {
                // The deck is not empty: an axis has a point.
                if let Some(point) = next.next() {
                    cell.push(*point);
                    hands[*point].push(cell);
                }
            }
            apart.extend(hands.into_iter().filter(|hand| !hand.is_empty()));
        }
        alike = apart;
    }
    let mut cells: Vec<Vec<usize>> = alike.into_iter().flatten().collect();
    cells.sort_unstable();
    cells
}

/// The points of an axis in the order in which they are dealt to `count` cells. The last round, which does not reach
/// all, is spread over the axis: one point in each of as many stretches of it.
fn deck(draws: &mut Draws, length: usize, count: usize) -> Vec<usize> {
    let last = count % length;
    let mut first: Vec<usize> = (0..last)
        .map(|stretch| {
            let (start, end) = (stretch * length / last, (stretch + 1) * length / last);
            start + draws.below(end - start)
        })
        .collect();
    let mut others: Vec<usize> = (0..length).filter(|p| !first.contains(p)).collect();
    draws.shuffle(&mut first);
    draws.shuffle(&mut others);
    first.extend(others);
    first
}

//! How chunks of texts go round the ring of ranks, and how what is found out about them comes home. It knows neither
//! what a chunk holds nor what is sought: slices and tensors travel alike.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::train::mesh::{Mesh, RankLost};

/// Which way chunks of texts go round the ring of ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// To the next rank, `ranks` - 1 times.
    #[default]
    OneWay,
    /// To the next and to the previous one, half as many times: for links that carry both at once.
    TwoWay,
}

impl Way {
    /// How far chunks go forward and back among `size` ranks.
    fn reach(self, size: usize) -> [usize; 2] {
        match self {
            Self::OneWay => [size - 1, 0],
            Self::TwoWay => [size / 2, (size - 1) / 2],
        }
    }
}

/// What is sent from rank to rank.
pub trait Cargo: Send + 'static {
    /// As many as travel.
    fn bytes(&self) -> usize;
}

/// What is found out about a chunk, rank by rank.
pub trait Findings: Cargo {
    /// Take in what the ranks before this one found; in either order it is the same.
    fn merge(&mut self, before: Self);
}

/// Show `home`, this rank's chunk, to every rank, and to this one all that come by, its own first. `meet` gets a chunk
/// with the rank that it is of; what all ranks found about this rank's is returned.
///
/// A chunk leaves for the next rank before this one works with it, and what is found follows behind and is added to on
/// the way: transfer and work overlap. The last rank that a chunk meets sends what was found home.
pub fn travel<C: Cargo + Clone, F: Findings>(
    mesh: &Mesh,
    way: Way,
    home: &C,
    mut meet: impl FnMut(&C, usize) -> F,
) -> Result<F, RankLost> {
    let reach = way.reach(mesh.size());
    let neighbours = [
        (mesh.before(1), mesh.after(1)),
        (mesh.after(1), mesh.before(1)),
    ];
    for ((_, next), reach) in neighbours.into_iter().zip(reach) {
        if reach > 0 {
            mesh.send(next, home.clone(), home.bytes())?;
        }
    }
    let mut of_home = meet(home, mesh.rank());
    for hop in 1..=reach[0] {
        let owners = [mesh.before(hop), mesh.after(hop)];
        for (((previous, next), reach), owner) in neighbours.into_iter().zip(reach).zip(owners) {
            if hop > reach {
                continue;
            }
            let chunk: C = mesh.receive(previous)?;
            if hop < reach {
                mesh.send(next, chunk.clone(), chunk.bytes())?;
            }
            let mut found = meet(&chunk, owner);
            if hop > 1 {
                found.merge(mesh.receive(previous)?);
            }
            let to = if hop < reach { next } else { owner };
            let bytes = found.bytes();
            mesh.send(to, found, bytes)?;
        }
    }
    let last = [mesh.after(reach[0]), mesh.before(reach[1])];
    for (from, reach) in last.into_iter().zip(reach) {
        if reach > 0 {
            of_home.merge(mesh.receive(from)?);
        }
    }
    Ok(of_home)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whose it is, and the ranks that saw it.
    #[derive(Clone)]
    struct Seen(usize, Vec<usize>);

    impl Cargo for Seen {
        fn bytes(&self) -> usize {
            1
        }
    }

    impl Findings for Seen {
        fn merge(&mut self, before: Self) {
            assert_eq!(self.0, before.0);
            self.1.extend(before.1);
        }
    }

    #[test]
    fn every_rank_meets_every_chunk_once_and_each_hears_of_its_own() {
        for size in 1..=7 {
            for way in [Way::OneWay, Way::TwoWay] {
                let results = Mesh::run_alike(size, |mesh| {
                    let home = Seen(mesh.rank(), Vec::new());
                    let mut met = Vec::new();
                    let mut of_home = travel(&mesh, way, &home, |chunk, owner| {
                        assert_eq!(chunk.0, owner);
                        met.push(owner);
                        Seen(owner, vec![mesh.rank()])
                    })
                    .unwrap();
                    assert_eq!((met[0], of_home.0), (mesh.rank(), mesh.rank()));
                    met.sort_unstable();
                    of_home.1.sort_unstable();
                    (met, of_home.1, mesh.bytes_sent())
                });
                let all: Vec<usize> = (0..size).collect();
                // Each chunk makes size - 1 hops, and so do findings: the last rank sends them home.
                let sent = 2 * (size as u64 - 1);
                for (met, saw, bytes) in results {
                    assert_eq!((&met, &saw, bytes), (&all, &all, sent), "{way:?} {size}");
                }
            }
        }
    }
}

//! The ranks of one run and how they talk: each rank is a thread with its own device, and a value moves to the
//! next rank of the ring or is gathered from all. Nothing here knows what is sent; a rank that dies turns every
//! later call of the others into [`RankLost`].

use std::any::Any;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Another rank of the run is gone; its own error says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another rank of this run ended early")]
pub struct RankLost;

type Parcel = Box<dyn Any + Send>;

/// One rank's place in the ring.
pub struct Mesh {
    rank: usize,
    size: usize,
    /// None in a ring of one, where a shift gives the value back.
    links: Option<(Sender<Parcel>, Receiver<Parcel>)>,
}

impl Mesh {
    /// The only rank of a run on one device.
    pub fn alone() -> Self {
        Self {
            rank: 0,
            size: 1,
            links: None,
        }
    }

    /// A ring of `size` ranks of this process, by rank.
    pub fn ring(size: usize) -> Vec<Self> {
        if size <= 1 {
            return vec![Self::alone()];
        }
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..size).map(|_| channel()).unzip();
        // Rank r sends into channel r; rank r + 1 listens to it.
        let mut receivers: Vec<Option<Receiver<Parcel>>> =
            receivers.into_iter().map(Some).collect();
        senders
            .into_iter()
            .enumerate()
            .map(|(rank, sender)| {
                let receiver = receivers[(rank + size - 1) % size]
                    .take()
                    .expect("each channel has one listener");
                Self {
                    rank,
                    size,
                    links: Some((sender, receiver)),
                }
            })
            .collect()
    }

    pub fn rank(&self) -> usize {
        self.rank
    }

    pub fn size(&self) -> usize {
        self.size
    }

    /// Send `value` to rank + 1 and receive what rank - 1 sent. All ranks must call it, with the same type.
    pub fn shift<T: Send + 'static>(&self, value: T) -> Result<T, RankLost> {
        let Some((sender, receiver)) = &self.links else {
            return Ok(value);
        };
        sender.send(Box::new(value)).map_err(|_| RankLost)?;
        let parcel = receiver.recv().map_err(|_| RankLost)?;
        Ok(*parcel
            .downcast()
            .expect("all ranks make the same calls in the same order"))
    }

    /// Every rank's value, by rank, on every rank.
    pub fn gather<T: Clone + Send + 'static>(&self, value: T) -> Result<Vec<T>, RankLost> {
        let mut values: Vec<Option<T>> = vec![None; self.size];
        let mut travelling = value;
        for hop in 0..self.size {
            let owner = (self.rank + self.size - hop) % self.size;
            values[owner] = Some(travelling.clone());
            if hop + 1 < self.size {
                travelling = self.shift(travelling)?;
            }
        }
        Ok(values
            .into_iter()
            .map(|v| v.expect("every rank was heard"))
            .collect())
    }

    /// Rank 0's value on every rank.
    pub fn broadcast<T: Clone + Send + 'static>(&self, value: T) -> Result<T, RankLost> {
        Ok(self.gather(value)?.swap_remove(0))
    }

    /// The sum over ranks of vectors of one length, added in order of rank and so bit-equal on all of them.
    pub fn all_reduce(&self, values: Vec<f32>) -> Result<Vec<f32>, RankLost> {
        if self.size == 1 {
            return Ok(values);
        }
        let parts = self.gather(std::sync::Arc::new(values))?;
        let mut sum = (*parts[0]).clone();
        for part in &parts[1..] {
            for (total, x) in sum.iter_mut().zip(part.iter()) {
                *total += x;
            }
        }
        Ok(sum)
    }

    /// Run a ring of `size`: `lead` is rank 0, on this thread, and `follow` every other. Results by rank.
    ///
    /// # Panics
    /// When a rank panics.
    pub fn run<R: Send>(
        size: usize,
        lead: impl FnOnce(Mesh) -> R,
        follow: impl Fn(Mesh) -> R + Sync,
    ) -> Vec<R> {
        let mut ring = Self::ring(size).into_iter();
        let first = ring.next().expect("a ring has a rank 0");
        let follow = &follow;
        std::thread::scope(|scope| {
            let others: Vec<_> = ring.map(|mesh| scope.spawn(move || follow(mesh))).collect();
            let mut results = vec![lead(first)];
            for other in others {
                results.push(
                    other
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                );
            }
            results
        })
    }

    /// [`Mesh::run`] with the same work for all.
    pub fn run_alike<R: Send>(size: usize, work: impl Fn(Mesh) -> R + Sync) -> Vec<R> {
        Self::run(size, &work, &work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_home_after_size_shifts() {
        for size in 1..=4 {
            let home = Mesh::run_alike(size, |mesh| {
                let mut value = vec![mesh.rank()];
                for _ in 0..mesh.size() {
                    value = mesh.shift(value).unwrap();
                }
                value == [mesh.rank()]
            });
            assert_eq!(home, vec![true; size]);
        }
    }

    #[test]
    fn gathering_and_summing_agree_on_every_rank() {
        let results = Mesh::run_alike(3, |mesh| {
            (
                mesh.gather(mesh.rank()).unwrap(),
                mesh.all_reduce(vec![mesh.rank() as f32, 1.0]).unwrap(),
            )
        });
        for (gathered, sum) in results {
            assert_eq!(gathered, [0, 1, 2]);
            assert_eq!(sum, [3.0, 3.0]);
        }
    }

    #[test]
    fn a_lost_rank_is_an_error_for_the_others() {
        let results = Mesh::run_alike(3, |mesh| {
            if mesh.rank() == 1 {
                Err(RankLost)
            } else {
                mesh.gather(0).map(|_| ())
            }
        });
        assert!(results.iter().all(|r| *r == Err(RankLost)));
    }
}

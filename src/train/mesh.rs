//! The ranks of one run and how they talk: each rank is a thread with its own device, and a value moves from one to
//! another, to the next of the ring, or from all to all. Nothing here knows what is sent, but how much is counted; a rank
//! that dies turns every later call of the others into [`RankLost`].

use std::any::Any;
use std::cell::Cell;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Another rank of the run is gone; its own error says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another rank of this run ended early")]
pub struct RankLost;

type Parcel = Box<dyn Any + Send>;

/// One rank's place among all.
pub struct Mesh {
    rank: usize,
    /// To each rank.
    senders: Vec<Sender<Parcel>>,
    /// From each rank.
    receivers: Vec<Receiver<Parcel>>,
    sent: Cell<u64>,
}

impl Mesh {
    /// The only rank of a run on one device.
    pub fn alone() -> Self {
        Self::ring(1).remove(0)
    }

    /// A ring of `size` ranks of this process, by rank.
    pub fn ring(size: usize) -> Vec<Self> {
        let mut ring: Vec<Self> = (0..size.max(1))
            .map(|rank| Self {
                rank,
                senders: Vec::new(),
                receivers: Vec::new(),
                sent: Cell::new(0),
            })
            .collect();
        for from in 0..ring.len() {
            for to in 0..ring.len() {
                let (sender, receiver) = channel();
                ring[from].senders.push(sender);
                ring[to].receivers.push(receiver);
            }
        }
        ring
    }

    pub fn rank(&self) -> usize {
        self.rank
    }

    pub fn size(&self) -> usize {
        self.senders.len()
    }

    /// The rank `distance` places further round the ring.
    pub fn after(&self, distance: usize) -> usize {
        (self.rank + distance) % self.size()
    }

    /// The rank `distance` places back.
    pub fn before(&self, distance: usize) -> usize {
        (self.rank + self.size() - distance % self.size()) % self.size()
    }

    /// Bytes that this rank sent to others so far.
    pub fn bytes_sent(&self) -> u64 {
        self.sent.get()
    }

    /// Send `value` of `bytes` to rank `to`. Never waits: the value is on its way while this rank goes on.
    pub fn send<T: Send + 'static>(
        &self,
        to: usize,
        value: T,
        bytes: usize,
    ) -> Result<(), RankLost> {
        if to != self.rank {
            self.sent.set(self.sent.get() + bytes as u64);
        }
        self.senders[to].send(Box::new(value)).map_err(|_| RankLost)
    }

    /// The next value that rank `from` sent here, waiting for it.
    ///
    /// # Panics
    /// When that value is of another type.
    pub fn receive<T: 'static>(&self, from: usize) -> Result<T, RankLost> {
        let parcel = self.receivers[from].recv().map_err(|_| RankLost)?;
        Ok(*parcel
            .downcast()
            .expect("all ranks make the same calls in the same order"))
    }

    /// Send `value` of `bytes` to rank + 1 and receive what rank - 1 sent. All ranks must call it, with the same type.
    fn shift<T: Send + 'static>(&self, value: T, bytes: usize) -> Result<T, RankLost> {
        if self.size() == 1 {
            return Ok(value);
        }
        self.send(self.after(1), value, bytes)?;
        self.receive(self.before(1))
    }

    /// Every rank's value, by rank, on every rank.
    pub fn gather<T: Clone + Send + 'static>(&self, value: T) -> Result<Vec<T>, RankLost> {
        self.gather_sized(value, size_of::<T>())
    }

    /// [`Mesh::gather`] of values that stand for `bytes`.
    pub fn gather_sized<T: Clone + Send + 'static>(
        &self,
        value: T,
        bytes: usize,
    ) -> Result<Vec<T>, RankLost> {
        let mut values: Vec<Option<T>> = vec![None; self.size()];
        let mut travelling = value;
        for hop in 0..self.size() {
            values[self.before(hop)] = Some(travelling.clone());
            if hop + 1 < self.size() {
                travelling = self.shift(travelling, bytes)?;
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
        if self.size() == 1 {
            return Ok(values);
        }
        let bytes = size_of_val(&values[..]);
        let parts = self.gather_sized(std::sync::Arc::new(values), bytes)?;
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
                    value = mesh.shift(value, 8).unwrap();
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
    fn what_is_sent_is_counted() {
        let sent = Mesh::run_alike(3, |mesh| {
            mesh.send(mesh.after(2), "far", 5).unwrap();
            assert_eq!(mesh.receive::<&str>(mesh.before(2)).unwrap(), "far");
            mesh.all_reduce(vec![0.0; 10]).unwrap();
            mesh.bytes_sent()
        });
        // Each vector goes two hops, to be on every rank.
        assert_eq!(sent, [5 + 2 * 40; 3]);
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

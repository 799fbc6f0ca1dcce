//! Which run holds which slot. A run that needs several gets them together or not at all.

use crate::exec::Slot;
use crate::record::RunId;

#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    holders: Vec<Option<RunId>>,
}

impl Slots {
    pub(super) fn new(slots: &[Slot]) -> Self {
        Self {
            slots: slots.to_vec(),
            holders: vec![None; slots.len()],
        }
    }

    pub(super) fn free(&self) -> usize {
        self.holders
            .iter()
            .filter(|holder| holder.is_none())
            .count()
    }

    /// Slots for a run with so many ranks: one each, and on a small machine ranks share.
    pub(super) fn needed(&self, ranks: usize) -> usize {
        ranks.min(self.slots.len())
    }

    /// Take slots for `ranks` ranks: a device for each and the threads of all. None when there is no room.
    pub(super) fn take(&mut self, id: &RunId, ranks: usize) -> Option<(Vec<String>, usize)> {
        let needed = self.needed(ranks);
        if self.free() < needed {
            return None;
        }
        let taken: Vec<usize> = self.vacant().take(needed).collect();
        let threads = taken.iter().map(|&i| self.slots[i].threads).sum();
        let devices = taken
            .iter()
            .cycle()
            .take(ranks)
            .map(|&i| self.slots[i].device.clone())
            .collect();
        for i in taken {
            self.holders[i] = Some(id.clone());
        }
        Some((devices, threads))
    }

    /// Note a worker that an earlier scheduler placed: on its own devices if they are among the slots, or else on
    /// any. It may hold more than there is; then nothing is free until it ends.
    pub(super) fn adopt(&mut self, id: &RunId, devices: &[String]) {
        for device in devices {
            let same = self.vacant().find(|&i| self.slots[i].device == *device);
            if let Some(i) = same.or_else(|| self.vacant().next()) {
                self.holders[i] = Some(id.clone());
            }
        }
    }

    pub(super) fn release(&mut self, id: &RunId) {
        for holder in self
            .holders
            .iter_mut()
            .filter(|holder| holder.as_ref() == Some(id))
        {
            *holder = None;
        }
    }

    fn vacant(&self) -> impl Iterator<Item = usize> {
        self.holders
            .iter()
            .enumerate()
            .filter(|(_, holder)| holder.is_none())
            .map(|(i, _)| i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> RunId {
        format!("{n:010x}").parse().unwrap()
    }

    fn slots(devices: &[&str]) -> Slots {
        let slot = |device: &&str| Slot {
            device: (*device).into(),
            threads: 2,
        };
        Slots::new(&devices.iter().map(slot).collect::<Vec<_>>())
    }

    #[test]
    fn ranks_get_slots_together_and_share_when_there_are_too_few() {
        let mut slots = slots(&["cpu:0", "cpu:1"]);
        assert_eq!(slots.take(&id(1), 1), Some((vec!["cpu:0".into()], 2)));
        assert_eq!(slots.take(&id(2), 4), None);
        slots.release(&id(1));
        let four = ["cpu:0", "cpu:1", "cpu:0", "cpu:1"]
            .map(String::from)
            .to_vec();
        assert_eq!(slots.take(&id(2), 4), Some((four, 4)));
        assert_eq!(slots.free(), 0);
    }

    #[test]
    fn adopted_workers_keep_their_devices() {
        let mut slots = slots(&["cpu:0", "cpu:1", "cpu:2"]);
        slots.adopt(&id(1), &["cpu:1".into()]);
        slots.adopt(&id(2), &["cpu:7".into()]);
        assert_eq!(slots.take(&id(3), 1), Some((vec!["cpu:2".into()], 2)));
        slots.adopt(&id(4), &["cpu:0".into()]);
        assert_eq!(slots.free(), 0);
    }
}

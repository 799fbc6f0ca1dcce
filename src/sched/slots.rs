//! Which run holds which slot. A run that needs several gets them together or not at all.

use crate::exec::Slot;
use crate::record::{RunId, gpu};

#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    holders: Vec<Option<RunId>>,
    /// Devices that were lost: nothing is placed on them any more.
    set_aside: Vec<String>,
}

impl Slots {
    pub(super) fn new(slots: &[Slot]) -> Self {
        Self {
            slots: slots.to_vec(),
            holders: vec![None; slots.len()],
            set_aside: Vec::new(),
        }
    }

    pub(super) fn free(&self) -> usize {
        self.vacant().count()
    }

    /// Slots that something can be placed on, now or later.
    pub(super) fn usable(&self) -> usize {
        let usable = |slot: &&Slot| !self.set_aside.contains(&slot.device);
        self.slots.iter().filter(usable).count()
    }

    /// Place nothing on `device` any more. False when that is so already, or no slot is on it.
    pub(super) fn set_aside(&mut self, device: &str) -> bool {
        let known = self.slots.iter().any(|slot| slot.device == device);
        let new = known && !self.set_aside.iter().any(|lost| lost == device);
        if new {
            self.set_aside.push(device.to_owned());
        }
        new
    }

    pub(super) fn lost(&self) -> &[String] {
        &self.set_aside
    }

    /// Slots for a run with so many ranks: one each, and on a small machine ranks share.
    pub(super) fn needed(&self, ranks: usize) -> usize {
        ranks.min(self.usable().max(1))
    }

    /// Take slots for `ranks` ranks: a device for each and the threads of all. None when there is no room. With `alone`
    /// all that is free is taken, so that nothing else is placed; the run itself uses no more than else.
    pub(super) fn take(
        &mut self,
        id: &RunId,
        ranks: usize,
        alone: bool,
    ) -> Option<(Vec<String>, usize)> {
        let needed = self.needed(ranks);
        if self.free() < needed {
            return None;
        }
        let mut taken = Vec::new();
        for _ in 0..if alone { self.free() } else { needed } {
            let slot = self.emptiest()?;
            self.holders[slot] = Some(id.clone());
            taken.push(slot);
        }
        let used = &taken[..needed];
        let threads = used.iter().map(|&i| self.slots[i].threads).sum();
        let devices = used
            .iter()
            .cycle()
            .take(ranks)
            .map(|&i| self.slots[i].device.clone())
            .collect();
        Some((devices, threads))
    }

    /// A vacant slot of the device with the fewest runs: ranks come to lie on devices of their own, and small runs share
    /// a device only when there is no other.
    fn emptiest(&self) -> Option<usize> {
        let load = |i: &usize| {
            let device = &self.slots[*i].device;
            let held = |(slot, holder): &(&Slot, &Option<RunId>)| {
                slot.device == *device && holder.is_some()
            };
            self.slots.iter().zip(&self.holders).filter(held).count()
        };
        self.vacant().min_by_key(load)
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

    /// Whether the run computes in the memory of GPUs.
    pub(super) fn is_on_gpus(&self, id: &RunId) -> bool {
        let mut own = self.of(id).peekable();
        own.peek().is_some() && own.all(|slot| gpu(&slot.device).is_some())
    }

    /// Whether no other run is on the devices of one on GPUs: whoever is elsewhere on the machine takes nothing from it.
    pub(super) fn has_its_gpus(&self, id: &RunId) -> bool {
        let held = self.slots.iter().zip(&self.holders);
        let mut others =
            held.filter(|(_, holder)| holder.as_ref().is_some_and(|other| other != id));
        self.is_on_gpus(id)
            && !others.any(|(slot, _)| self.of(id).any(|own| own.device == slot.device))
    }

    fn of(&self, id: &RunId) -> impl Iterator<Item = &Slot> {
        let held = self.slots.iter().zip(&self.holders);
        held.filter_map(move |(slot, holder)| (holder.as_ref() == Some(id)).then_some(slot))
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
            .filter(|(i, holder)| {
                holder.is_none() && !self.set_aside.contains(&self.slots[*i].device)
            })
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
        assert_eq!(
            slots.take(&id(1), 1, false),
            Some((vec!["cpu:0".into()], 2))
        );
        assert_eq!(slots.take(&id(2), 4, false), None);
        slots.release(&id(1));
        let four = ["cpu:0", "cpu:1", "cpu:0", "cpu:1"]
            .map(String::from)
            .to_vec();
        assert_eq!(slots.take(&id(2), 4, false), Some((four, 4)));
        assert_eq!(slots.free(), 0);
    }

    #[test]
    fn adopted_workers_keep_their_devices() {
        let mut slots = slots(&["cpu:0", "cpu:1", "cpu:2"]);
        slots.adopt(&id(1), &["cpu:1".into()]);
        slots.adopt(&id(2), &["cpu:7".into()]);
        assert_eq!(
            slots.take(&id(3), 1, false),
            Some((vec!["cpu:2".into()], 2))
        );
        slots.adopt(&id(4), &["cpu:0".into()]);
        assert_eq!(slots.free(), 0);
    }

    #[test]
    fn ranks_lie_apart_and_small_runs_share_when_they_must() {
        let mut slots = slots(&["gpu:0", "gpu:1", "gpu:0", "gpu:1"]);
        let mut take = |n| slots.take(&id(n), 1, false).unwrap().0.remove(0);
        assert_eq!([take(1), take(2), take(3)], ["gpu:0", "gpu:1", "gpu:0"]);
        slots.release(&id(1));
        slots.release(&id(2));
        let two = slots.take(&id(4), 2, false).unwrap().0;
        assert_eq!(two, ["gpu:1", "gpu:0"]);
    }

    #[test]
    fn a_run_that_is_to_be_alone_takes_everything() {
        let mut slots = slots(&["cpu:0", "cpu:1", "cpu:2"]);
        let taken = slots.take(&id(1), 1, true).unwrap();
        assert_eq!(taken, (vec!["cpu:0".to_owned()], 2));
        assert_eq!(slots.free(), 0);
        slots.release(&id(1));
        assert_eq!(slots.free(), 3);
    }

    #[test]
    fn runs_on_gpus_share_memory_with_those_on_the_same_ones_alone() {
        let mut slots = slots(&["tch:cuda:0", "tch:cuda:1", "tch:cuda:0"]);
        slots.take(&id(1), 1, false).unwrap();
        slots.take(&id(2), 1, false).unwrap();
        assert!(slots.has_its_gpus(&id(1)) && slots.has_its_gpus(&id(2)));
        slots.take(&id(3), 1, false).unwrap();
        assert!(!slots.has_its_gpus(&id(1)) && slots.has_its_gpus(&id(2)));
        assert!(slots.is_on_gpus(&id(3)) && !slots.is_on_gpus(&id(4)));
        let mut shares = super::tests::slots(&["cpu:0", "cpu:1"]);
        shares.take(&id(1), 1, false).unwrap();
        assert!(!shares.is_on_gpus(&id(1)) && !shares.has_its_gpus(&id(1)));
    }

    #[test]
    fn nothing_is_placed_on_a_device_that_was_lost() {
        let mut slots = slots(&["gpu:0", "gpu:1", "gpu:0", "gpu:1"]);
        slots.take(&id(1), 1, false).unwrap();
        assert!(slots.set_aside("gpu:0") && !slots.set_aside("gpu:0") && !slots.set_aside("gpu:7"));
        slots.release(&id(1));
        assert_eq!((slots.free(), slots.usable(), slots.needed(4)), (2, 2, 2));
        let four = slots.take(&id(2), 4, false).unwrap().0;
        assert_eq!(four, ["gpu:1"; 4]);
        slots.release(&id(2));
        slots.set_aside("gpu:1");
        assert_eq!((slots.free(), slots.take(&id(3), 1, false)), (0, None));
        assert_eq!(slots.lost(), ["gpu:0", "gpu:1"]);
    }
}

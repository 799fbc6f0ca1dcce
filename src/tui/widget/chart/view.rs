//! The stretch of the x-axis that is looked at, and how it is moved. All of it is arithmetic on where the axis places
//! its values, so that a step of a logarithmic axis is a step in decades.

use super::scale::Scale;

/// Zooming ends at this part of the data.
const CLOSEST: f64 = 1e-9;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// From and to, both in the view.
    pub x: (f64, f64),
    pub scale: Scale,
}

impl View {
    /// All of the data. A logarithmic axis cannot reach zero; it then begins four decades under the end.
    pub fn whole(extent: (f64, f64), scale: Scale) -> Self {
        Self { x: extent, scale }.sane()
    }

    /// See `factor` times as much of the axis, with `centre` staying where it is on the screen; below 1 is closer.
    pub fn zoom(self, centre: f64, factor: f64, extent: (f64, f64)) -> Self {
        let (from, to) = self.places();
        let centre = self.scale.place(centre).clamp(from, to);
        self.at((
            centre - (centre - from) * factor,
            centre + (to - centre) * factor,
        ))
        .clamp(extent)
    }

    /// Move by a share of the view, to the right if above zero.
    pub fn pan(self, share: f64, extent: (f64, f64)) -> Self {
        let (from, to) = self.places();
        let way = share * (to - from);
        self.at((from + way, to + way)).clamp(extent)
    }

    /// The view of the same length within the data; all of it when there is less.
    pub fn clamp(self, extent: (f64, f64)) -> Self {
        let whole = Self::whole(extent, self.scale);
        let ((from, to), (first, last)) = (self.places(), whole.places());
        let smallest = ((last - first) * CLOSEST).max(last.abs().max(first.abs()) * 1e-12);
        let length = (to - from).max(smallest);
        if length >= last - first {
            return whole;
        }
        let from = from.max(first).min(last - length);
        self.at((from, from + length))
    }

    /// Room for rows that have come: a view that ends before the newest row goes on to a sixteenth beyond it, so that
    /// the rows after it find the view as it is and only they are drawn anew.
    pub fn follow(self, newest: f64) -> Self {
        if newest <= self.x.1 {
            return self;
        }
        let (from, to) = (self.places().0, self.scale.place(newest));
        self.at((from, to + (to - from) / 16.0))
    }

    /// A view that can be drawn: finite, not empty, and above zero on a logarithmic axis.
    pub fn sane(self) -> Self {
        let (mut from, mut to) = self.x;
        if !(from.is_finite() && to.is_finite()) {
            (from, to) = (0.0, 1.0);
        }
        (from, to) = (from.clamp(-1e300, 1e300), to.clamp(-1e300, 1e300));
        if self.scale == Scale::Log {
            to = if to > 1e-200 { to } else { 1.0 };
            from = if from > 1e-204 { from } else { to * 1e-4 };
        }
        if to - from <= from.abs() * 1e-14 {
            to = from + (from.abs() * 1e-3).max(1.0);
        }
        Self {
            x: (from, to),
            ..self
        }
    }

    fn places(&self) -> (f64, f64) {
        let (from, to) = self.sane().x;
        (self.scale.place(from), self.scale.place(to))
    }

    fn at(self, (from, to): (f64, f64)) -> Self {
        let x = (self.scale.value(from), self.scale.value(to));
        Self { x, ..self }.sane()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(a: (f64, f64), b: (f64, f64)) -> bool {
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1.0 + a.abs());
        close(a.0, b.0) && close(a.1, b.1)
    }

    #[test]
    fn zooming_keeps_the_centre_in_its_place() {
        let all = View::whole((0.0, 100.0), Scale::Linear);
        let close = all.zoom(25.0, 0.5, all.x);
        assert!(near(close.x, (12.5, 62.5)), "{close:?}");
        assert!(near(close.zoom(25.0, 2.0, all.x).x, all.x));
        let decades = View::whole((1.0, 1e4), Scale::Log);
        assert!(near(decades.zoom(1e2, 0.5, decades.x).x, (10.0, 1e3)));
    }

    #[test]
    fn panning_ends_at_the_data() {
        let view = View {
            x: (40.0, 60.0),
            scale: Scale::Linear,
        };
        assert!(near(view.pan(0.5, (0.0, 100.0)).x, (50.0, 70.0)));
        assert!(near(view.pan(9.0, (0.0, 100.0)).x, (80.0, 100.0)));
        assert!(near(view.pan(-9.0, (0.0, 100.0)).x, (0.0, 20.0)));
        let decades = View {
            x: (1.0, 100.0),
            scale: Scale::Log,
        };
        assert!(near(decades.pan(0.5, (1.0, 1e6)).x, (10.0, 1e3)));
    }

    #[test]
    fn a_view_makes_room_for_rows_to_come_and_then_stands() {
        let view = View::whole((0.0, 160.0), Scale::Linear).follow(161.0);
        assert!(near(view.x, (0.0, 161.0 * 17.0 / 16.0)));
        assert_eq!(view.follow(170.0), view);
    }

    proptest! {
        #[test]
        fn any_movement_leaves_a_view_that_can_be_drawn(
            ends in (any::<f64>(), any::<f64>()), extent in (any::<f64>(), any::<f64>()),
            (centre, by, log) in (any::<f64>(), -3.0..3.0f64, any::<bool>()),
        ) {
            let scale = if log { Scale::Log } else { Scale::Linear };
            let view = View { x: ends, scale }.sane();
            for view in [view, view.zoom(centre, by.abs(), extent), view.pan(by, extent), view.follow(centre)] {
                let (from, to) = view.x;
                prop_assert!(from < to && from.is_finite() && to.is_finite(), "{view:?}");
                prop_assert!(from > 0.0 || !log, "{view:?}");
            }
        }

        #[test]
        fn a_view_within_the_data_stays_within(from in 0.0..50.0f64, length in 0.1..50.0f64, by in -2.0..2.0f64) {
            let view = View { x: (from, from + length), scale: Scale::Linear };
            for moved in [view.pan(by, (0.0, 100.0)), view.zoom(from, by.exp(), (0.0, 100.0))] {
                prop_assert!(moved.x.0 >= 0.0 && moved.x.1 <= 100.0 + 1e-9, "{moved:?}");
            }
        }
    }
}

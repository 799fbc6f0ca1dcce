//! Parts that screens are made of. A widget draws what it is given into a buffer and owns no state of the application.

pub mod chart;

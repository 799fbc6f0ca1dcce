//! The engine.

pub mod config;
pub mod data;
pub mod device;
pub mod eval;
pub mod loss;
pub mod mesh;
pub mod model;
pub mod optim;

pub use config::TrainConfig;

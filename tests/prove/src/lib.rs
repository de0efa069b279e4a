//! Every fault of the flash model at every operation of a device's life, and the promises that hold after each. The
//! program `prove` runs all of it, or a part, or one case with a trace.
#![forbid(unsafe_code)]

pub mod bench;
pub mod case;
pub mod engine;
pub mod geometries;
pub mod judge;
pub mod life;
pub mod loss;
pub mod qemu;
pub mod world;

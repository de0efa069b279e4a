//! The device side of the named cases and of bad input, over the flash model and the session.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

#[allow(dead_code, unreachable_pub, reason = "the model serves other tests as well")]
#[path = "../../tests/src/device.rs"]
mod bench;
#[allow(dead_code, unreachable_pub, reason = "the model serves other tests as well")]
#[path = "../../tests/src/factory.rs"]
mod factory;

use flash_model as flash;

#[path = "device/boot.rs"]
mod boot;
#[path = "device/hostile.rs"]
mod hostile;
#[path = "device/install.rs"]
mod install;
#[path = "device/provisioning.rs"]
mod provisioning;
#[path = "device/revocation.rs"]
mod revocation;
#[path = "device/session.rs"]
mod session;
#[path = "device/walk.rs"]
mod walk;

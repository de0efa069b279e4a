//! The real binary, over real HTTP, with a real data directory.

mod both;
mod claims;
mod device_reports;
mod devices;
mod faults;
mod harness;
mod hostile;
mod images;
mod issuers;
mod life;
mod lists;
mod offers;
mod proxy;
mod registry;
mod releases;
mod revocations;
mod statements;
mod successions;
mod tables;
mod tables_of_devices;
mod verdicts;

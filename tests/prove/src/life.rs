//! The life of a device, step by step. A step goes on from whatever state a fault left, as a host and an application do.

use std::str::FromStr;

use anyhow::{Context as _, Error};
use bootloader::state::Status;
use device_harness::device::{Boot, DeviceOf, Failure, Part, Placed, routine};
use suit_manifest::Reason;
use update_protocol::profile::{Component, Object, rid};
use update_protocol::uds::Nrc;

use crate::world::{Release, Sent, World};

/// A step of a device's life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Provision,
    /// The first image is installed, tried and confirmed.
    First,
    /// A newer release takes its place.
    Update,
    /// A newer revocation list is stored.
    List,
    /// A release is tried, does not confirm itself, and goes.
    Revert,
    /// A release is installed and abandoned.
    Abandon,
    /// An update in which the journal erases a half.
    Turnover,
    /// A newer release comes as one file, which begins anew after each cut.
    File,
    /// A newer one, encrypted, comes as one file, and a host continues it where it was cut.
    Continued,
    /// The first table is installed, tried and confirmed.
    TableFirst,
    /// One that only this device can read takes its place.
    TableUpdate,
    /// One is tried, is not confirmed, and goes.
    TableRevert,
    /// A newer one, encrypted, comes as one file, and a host continues it.
    TableFile,
    /// Firmware and a table come in one session, and are tried by one reset.
    Beside,
}

impl Step {
    pub const ALL: [Self; 14] = [
        Self::Provision,
        Self::First,
        Self::Update,
        Self::List,
        Self::Revert,
        Self::Abandon,
        Self::Turnover,
        Self::File,
        Self::Continued,
        Self::TableFirst,
        Self::TableUpdate,
        Self::TableRevert,
        Self::TableFile,
        Self::Beside,
    ];
    /// The life of a device without a table.
    pub const OF_FIRMWARE: [Self; 7] =
        [Self::Provision, Self::First, Self::Update, Self::List, Self::Revert, Self::Abandon, Self::Turnover];
    /// That of one that is updated by any tool for UDS.
    pub const BY_FILE: [Self; 4] = [Self::Provision, Self::First, Self::File, Self::Continued];
    /// That of one with a table.
    pub const WITH_A_TABLE: [Self; 7] = [
        Self::Provision,
        Self::First,
        Self::TableFirst,
        Self::TableUpdate,
        Self::TableRevert,
        Self::TableFile,
        Self::Beside,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::First => "first",
            Self::Update => "update",
            Self::List => "list",
            Self::Revert => "revert",
            Self::Abandon => "abandon",
            Self::Turnover => "turnover",
            Self::File => "file",
            Self::Continued => "continued",
            Self::TableFirst => "table-first",
            Self::TableUpdate => "table-update",
            Self::TableRevert => "table-revert",
            Self::TableFile => "table-file",
            Self::Beside => "beside",
        }
    }
}

impl FromStr for Step {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let known = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|step| step.name() == name)
            .with_context(|| format!("there is no step `{name}`; steps: {}", known()))
    }
}

/// Sees each reset.
pub trait Observer<P, L> {
    fn reset(&mut self, device: &mut DeviceOf<P, L>, boot: Boot);
    /// The application is about to confirm this release.
    fn confirms(&mut self, release: &Release);
    /// It has, and was told so.
    fn confirmed(&mut self, release: &Release);
    /// A release was not taken.
    fn refused(&mut self, failure: Failure);
    fn says(&mut self, what: &str);
}

const NO_POWER: Failure = Failure::NoPower;
/// The device did all that it was asked for, and yet the step has no end.
const NOT_DONE: Failure = Failure::Refused(Nrc::CONDITIONS_NOT_CORRECT, None);
/// Resets of a step, and installs in it.
const TRIES: u32 = 5;

/// A device, its world, and an eye on both.
pub struct Living<'l, P, L, O> {
    pub device: DeviceOf<P, L>,
    pub world: &'l World,
    pub observer: O,
}

impl<P: Part, L: Placed, O: Observer<P, L>> Living<'_, P, L, O> {
    fn is_off(&self) -> bool {
        self.device.nor.medium().is_off()
    }

    /// A reset; an error if power was lost.
    pub fn boot(&mut self) -> Result<Boot, Failure> {
        let boot = self.device.boot();
        if self.is_off() {
            return Err(NO_POWER);
        }
        self.observer.reset(&mut self.device, boot);
        if self.is_off() { Err(NO_POWER) } else { Ok(boot) }
    }

    /// Does a step, or goes on with it. `release`: that of a turnover.
    pub fn run(&mut self, step: Step, release: Option<&Release>) -> Result<(), Failure> {
        let result = self.perform(step, release);
        self.observer.says(&format!("{}: {result:?}", step.name()));
        if self.is_off() { Err(NO_POWER) } else { result }
    }

    fn perform(&mut self, step: Step, release: Option<&Release>) -> Result<(), Failure> {
        let world = self.world;
        let meant = release.or(world.release_of(step));
        match step {
            Step::Provision => {
                self.send_once(Object::ProvisioningBlock, &world.block, Reason::AlreadyProvisioned)?;
                self.send_once(Object::RevocationList, &world.lists[0], Reason::RevocationSequence)
            }
            Step::List => self.send_once(Object::RevocationList, &world.lists[1], Reason::RevocationSequence),
            Step::Abandon => self.abandon(meant.expect("a release")),
            Step::Revert | Step::TableRevert => {
                self.revert(meant.or(world.table_of(step)).expect("a release"))
            }
            _ => self.update(&meant.into_iter().chain(world.table_of(step)).collect::<Vec<_>>()),
        }
    }

    /// Sends an object that a reset may have left with the device already.
    fn send_once(&mut self, object: Object, bytes: &[u8], there: Reason) -> Result<(), Failure> {
        match self.device.send(object, bytes) {
            Err(failure) if failure.reason() == Some(there) => Ok(()),
            result => result,
        }
    }

    /// Installs; a device that misses its list gets it first.
    pub fn install(&mut self, release: &Release) -> Result<(), Failure> {
        let result = match self.send_release(release) {
            Err(failure) if failure.reason() == Some(Reason::RevocationMalformed) => {
                self.observer.says("the device misses its list");
                let domains = self.device.state().domains;
                let newest = domains.map(|domain| domain.list_sequence)[0];
                let list = &self.world.lists[if newest == 2 { 1 } else { 0 }];
                self.send_once(Object::RevocationList, list, Reason::RevocationSequence)?;
                self.send_release(release)
            }
            result => result,
        };
        result.inspect_err(|&failure| self.observer.refused(failure))
    }

    fn send_release(&mut self, release: &Release) -> Result<(), Failure> {
        let Release { component, envelope, sent, .. } = release;
        match sent {
            Sent::File { continued: Some(content), .. } if self.is_half_way(release) => {
                self.device.install_of(*component, envelope, content)
            }
            Sent::File { file, .. } => self.device.install_file(*component, file),
            Sent::Ciphertext(content) => self.device.install_of(*component, envelope, content),
            Sent::Image => {
                let layout = self.device.layout;
                let image = match component {
                    Component::Firmware => release.image(&layout, self.device.state().spare_slot(&layout)),
                    Component::Table => release.table(),
                };
                self.device.install_of(*component, envelope, image)
            }
        }
    }

    /// Whether some of this release is committed, and the rest is missing.
    fn is_half_way(&self, release: &Release) -> bool {
        let state = self.device.state_of(release.component);
        matches!(state.status, Status::Installing { offset: 1.. })
            && state.spare.is_some_and(|image| image.sequence == release.sequence)
    }

    /// Whether this release is what runs after this boot, or the table that was handed over.
    fn is_there(&self, release: &Release, boot: Boot) -> bool {
        let is_handed_over = match release.component {
            Component::Firmware => true,
            Component::Table => self.device.table().found().is_some(),
        };
        let active = self.device.state_of(release.component).active;
        matches!(boot, Boot::Run(_))
            && is_handed_over
            && active.is_some_and(|image| image.sequence == release.sequence)
    }

    /// Installs, tries and confirms. A trial that a reset ended begins again.
    pub fn update(&mut self, releases: &[&Release]) -> Result<(), Failure> {
        for _ in 0..TRIES {
            let boot = self.boot()?;
            let is_there = releases.iter().map(|release| self.is_there(release, boot)).collect::<Vec<_>>();
            let mut missing = Vec::new();
            for (release, is_there) in releases.iter().zip(is_there) {
                match self.device.state_of(release.component).status {
                    Status::Trial { .. } if is_there => {
                        self.observer.confirms(release);
                        self.device.confirm(release.component).map_err(|_| NOT_DONE)?;
                        self.observer.confirmed(release);
                    }
                    Status::Idle if is_there => {}
                    _ => missing.push(*release),
                }
            }
            if missing.is_empty() {
                return Ok(());
            }
            for release in missing {
                self.install(release)?;
            }
        }
        Err(NOT_DONE)
    }

    fn revert(&mut self, release: &Release) -> Result<(), Failure> {
        let mut was_tried = false;
        for _ in 0..TRIES {
            let boot = self.boot()?;
            let state = self.device.state_of(release.component);
            match state.status {
                Status::Trial { .. } if self.is_there(release, boot) => was_tried = true,
                Status::Idle
                    if was_tried || state.spare.is_some_and(|image| image.sequence == release.sequence) =>
                {
                    return Ok(());
                }
                _ => self.install(release)?,
            }
        }
        Err(NOT_DONE)
    }

    fn abandon(&mut self, release: &Release) -> Result<(), Failure> {
        self.install(release)?;
        let nor = self.device.nor.clone();
        let result = routine(&mut self.device.program(), rid::ABANDON_INSTALL);
        if nor.medium().is_off() {
            return Err(NO_POWER);
        }
        result.map(drop).map_err(|nrc| Failure::Refused(nrc, None))
    }
}

//! The life of a device, step by step. A step goes on from whatever state a fault left, as a host and an application do.

use std::str::FromStr;

use anyhow::{Context as _, Error};
use bootloader::layout::{Layout, Slot};
use bootloader::state::{BootState, Status};
use device_harness::device::{Boot, DeviceOf, Failure, Part, routine};
use device_harness::factory::{Factory, provisioning_block};
use suit_manifest::Reason;
use update_protocol::profile::{Object, rid};
use update_protocol::uds::Nrc;

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
}

impl Step {
    pub const ALL: [Self; 7] =
        [Self::Provision, Self::First, Self::Update, Self::List, Self::Revert, Self::Abandon, Self::Turnover];

    pub fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::First => "first",
            Self::Update => "update",
            Self::List => "list",
            Self::Revert => "revert",
            Self::Abandon => "abandon",
            Self::Turnover => "turnover",
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

/// A signed image.
#[derive(Clone)]
pub struct Release {
    pub sequence: u64,
    pub envelope: Vec<u8>,
    /// For slot A, and for slot B where images run in either.
    images: [Vec<u8>; 2],
}

impl Release {
    /// The image that is linked for this slot of a device.
    pub fn image(&self, layout: &Layout, slot: Slot) -> &[u8] {
        &self.images[usize::from(layout.component_slot(slot) != 0)]
    }
}

/// Sequence numbers of releases: those of the steps, those that wear the journal, and those that rescue a device.
const SEQUENCES: [u64; 4] = [1, 2, 3, 4];
const OF_TURNOVERS: std::ops::Range<u64> = 10..40;
const OF_RESCUES: std::ops::Range<u64> = 90..94;

/// Whether a release of this number rescues a device.
pub fn is_rescue(sequence: u64) -> bool {
    OF_RESCUES.contains(&sequence)
}

/// All that a manufacturer makes for a device.
pub struct World {
    block: Vec<u8>,
    /// The first one is stored before everything else.
    lists: [Vec<u8>; 2],
    releases: Vec<Release>,
}

impl World {
    pub fn new<P: Part>(device: &DeviceOf<P>) -> Self {
        let factory = Factory::new(1);
        let holders = [7, 8].map(|number| factory.with_new_release_key(number).release_kid());
        let page = device.layout.page() as usize;
        let capacity = device.layout.image_capacity() as usize;
        let mut releases = Vec::new();
        for sequence in SEQUENCES.into_iter().chain(OF_TURNOVERS).chain(OF_RESCUES) {
            // A short one takes the place of a longer one and the reverse; no length ends with a page or word.
            let len = if sequence.is_multiple_of(2) { page + 21 } else { page / 2 + 13 };
            let fill = sequence.to_le_bytes()[0] ^ 0x55;
            // The image for the other slot has another length, too.
            let images = [(Slot::A, len), (Slot::B, len + 3)]
                .map(|(slot, len)| device.image_for(slot, len.min(capacity), fill));
            let [first, second] = &images;
            let envelope = match device.layout.component_slot(Slot::B) {
                0 => factory.envelope(sequence, first),
                _ => factory.envelope_for_slots(sequence, [first, second]),
            };
            releases.push(Release { sequence, envelope, images });
        }
        Self {
            block: provisioning_block(&[factory.anchor()], None),
            lists: [factory.revocation_list(1, &holders[..1]), factory.revocation_list(2, &holders)],
            releases,
        }
    }

    pub fn block(&self) -> &[u8] {
        &self.block
    }

    /// The newest list that a device in this state has.
    pub fn list(&self, state: &BootState) -> Option<&[u8]> {
        let number = usize::try_from(state.domains[0].list_sequence).ok()?;
        self.lists.get(number.checked_sub(1)?).map(Vec::as_slice)
    }

    pub fn release(&self, sequence: u64) -> Option<&Release> {
        self.releases.iter().find(|release| release.sequence == sequence)
    }

    /// The releases that a device takes one after the other when it is worn or has nothing to run.
    pub fn rescues(&self) -> impl Iterator<Item = &Release> {
        self.releases.iter().filter(|release| is_rescue(release.sequence))
    }

    /// The releases of which a turnover takes as many as it needs.
    pub fn turnovers(&self) -> impl Iterator<Item = &Release> {
        self.releases.iter().filter(|release| OF_TURNOVERS.contains(&release.sequence))
    }

    pub fn release_of(&self, step: Step) -> Option<&Release> {
        match step {
            Step::Provision | Step::List | Step::Turnover => None,
            Step::First => self.release(1),
            Step::Update => self.release(2),
            Step::Revert => self.release(3),
            Step::Abandon => self.release(4),
        }
    }
}

/// Sees each reset.
pub trait Observer<P> {
    fn reset(&mut self, device: &mut DeviceOf<P>, boot: Boot);
    /// The application is about to confirm this release.
    fn confirms(&mut self, sequence: u64);
    /// It has, and was told so.
    fn confirmed(&mut self, sequence: u64);
    fn says(&mut self, what: &str);
}

const NO_POWER: Failure = Failure::NoPower;
/// The device did all that it was asked for, and yet the step has no end.
const NOT_DONE: Failure = Failure::Refused(Nrc::CONDITIONS_NOT_CORRECT, None);
/// Resets of a step, and installs in it.
const TRIES: u32 = 5;

/// A device, its world, and an eye on both.
pub struct Living<'l, P, O> {
    pub device: DeviceOf<P>,
    pub world: &'l World,
    pub observer: O,
}

impl<P: Part, O: Observer<P>> Living<'_, P, O> {
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
            Step::First | Step::Update | Step::Turnover => self.update(meant.expect("a release")),
            Step::Revert => self.revert(meant.expect("a release")),
            Step::Abandon => self.abandon(meant.expect("a release")),
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
        let layout = self.device.layout;
        let image = release.image(&layout, self.device.state().spare_slot(&layout));
        let first = self.device.install(&release.envelope, image);
        match first {
            Err(failure) if failure.reason() == Some(Reason::RevocationMalformed) => {
                self.observer.says("the device misses its list");
                let domains = self.device.state().domains;
                let newest = domains.map(|domain| domain.list_sequence)[0];
                let list = &self.world.lists[if newest == 2 { 1 } else { 0 }];
                self.send_once(Object::RevocationList, list, Reason::RevocationSequence)?;
                self.device.install(&release.envelope, image)
            }
            result => result,
        }
    }

    /// Installs, tries and confirms. A trial that a reset ended begins again.
    pub fn update(&mut self, release: &Release) -> Result<(), Failure> {
        for _ in 0..TRIES {
            let boot = self.boot()?;
            let state = self.device.state();
            let runs = matches!(boot, Boot::Run(_));
            let is_new = runs && state.active.is_some_and(|image| image.sequence == release.sequence);
            match state.status {
                Status::Trial { .. } if is_new => {
                    self.observer.confirms(release.sequence);
                    let confirmed = self.device.application().confirm();
                    if confirmed.is_ok() {
                        self.observer.confirmed(release.sequence);
                    }
                    return confirmed.map(drop).map_err(|_| NOT_DONE);
                }
                Status::Idle if is_new => return Ok(()),
                _ => self.install(release)?,
            }
        }
        Err(NOT_DONE)
    }

    fn revert(&mut self, release: &Release) -> Result<(), Failure> {
        let mut was_tried = false;
        for _ in 0..TRIES {
            let boot = self.boot()?;
            let state = self.device.state();
            let is_new = state.active.is_some_and(|image| image.sequence == release.sequence);
            match state.status {
                Status::Trial { .. } if is_new && matches!(boot, Boot::Run(_)) => was_tried = true,
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

//! A device that answers as it is told to, over a real bus. It verifies nothing: it is here to be wrong.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use can_bus::{Bus, IsoTpChannel};
use trust::provisioning::ProvisioningBlock;
use update_protocol::isotp::Addressing;
use update_protocol::profile::anchors::{AnchorEntry, DomainEntry, head};
use update_protocol::profile::{
    self, Component, DEFAULT_NODE_ADDRESS, Destination, Flags, ImageState, Mode, Object, StateRecord, did,
    rid,
};
use update_protocol::uds::server::{Answer, Download, Event, Handler, Server, SessionChange};
use update_protocol::uds::{Nrc, Session};

use crate::fake_table::Table;
use crate::made::{CLASS, DEVICE, IMAGE_SIZE, SEQUENCE, VENDOR};

/// What a device answers when it is asked for a report, by the nonce.
pub(crate) type Reporting = Arc<dyn Fn(&[u8]) -> Result<Vec<u8>, Nrc> + Send + Sync>;

/// How a device is, and how it goes wrong.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) node: u8,
    /// It takes the image for component-slot 1 next.
    pub(crate) second_slot: bool,
    /// Its active image is on trial in the other slot: a programming session reverts it, and the slots change.
    pub(crate) is_on_trial: bool,
    pub(crate) serial: Vec<u8>,
    pub(crate) serial_in_loader: Option<Vec<u8>>,
    pub(crate) identity: Vec<u8>,
    pub(crate) version: Vec<u8>,
    pub(crate) active_sequence: u64,
    pub(crate) manifest_digest: [u8; 32],
    /// Manifest digest of what it runs; zeros: it does not say.
    pub(crate) active_digest: [u8; 32],
    /// What the loader says it has already.
    pub(crate) resume_offset: u32,
    /// An interrupted update has left it in its loader, which says this reason code.
    pub(crate) left_for: Option<u16>,
    /// Stays in its loader, without an image, for this reason code.
    pub(crate) stays_for: Option<u16>,
    /// An earlier update left an image that waits for a reset.
    pub(crate) is_pending: bool,
    /// Instead of the state record.
    pub(crate) raw_state: Option<Vec<u8>>,
    /// Refuses this object with an NRC and a reason code.
    pub(crate) refuses: Option<(Object, Nrc, u16)>,
    /// Delays the image so many times, by so many seconds.
    pub(crate) delays: (u32, u32),
    /// Answers this object so many times as if its session were over.
    pub(crate) loses_session: Option<(Object, u32)>,
    /// An earlier update left an install that can be resumed.
    pub(crate) is_resumable: bool,
    /// Its list has decayed: it refuses every envelope until it gets one of the same number.
    pub(crate) lost_list: bool,
    /// Loses its power so many times as soon as it has opened a programming session.
    pub(crate) loses_power_in_session: u32,
    /// What its loader says of the size of the install.
    pub(crate) image_size: u32,
    /// Hears nothing more after so many image bytes.
    pub(crate) dies_after: Option<usize>,
    /// Sends each answer so much later.
    pub(crate) answer_delay: Duration,
    /// A pause for every block.
    pub(crate) block_pause: Duration,
    /// Resets without having been asked to as soon as it has an image.
    pub(crate) resets_by_itself: bool,
    /// Lets nobody into a programming session.
    pub(crate) refuses_session: Option<Nrc>,
    /// Reason code of an older revert.
    pub(crate) old_reason: u16,
    /// Its report of anchors, as its loader gives it.
    pub(crate) anchors: Option<Vec<u8>>,
    /// The same, once it has taken a succession chain.
    pub(crate) anchors_after: Option<Vec<u8>>,
    /// Its loader keeps the image on trial in a programming session, as one that listens does.
    pub(crate) stays_on_trial: bool,
    /// list-sequence of its state record.
    pub(crate) revocation_sequence: u64,
    /// Does not hear so many resets.
    pub(crate) lost_resets: u32,
    /// How long it goes on before it does what it was asked for.
    pub(crate) reset_pause: Duration,
    /// Hears nothing more once it has told that the new image has confirmed itself.
    pub(crate) dies_confirmed: bool,
    /// Answers every question for an identifier with this.
    pub(crate) refuses_reads: Option<Nrc>,
    /// Sends with the identifier of this node.
    pub(crate) answers_from: Option<u8>,
    /// It is in factory state, with this tag.
    pub(crate) factory_tag: Option<[u8; 8]>,
    /// Once it has its block, it reports these anchors instead of those of the block.
    pub(crate) anchors_of_block: Option<Vec<u8>>,
    /// What the new application calls itself.
    pub(crate) version_after: Vec<u8>,
    /// `None`: its loader has no reports.
    pub(crate) reporting: Option<Reporting>,
    /// What comes of the reset after an install.
    pub(crate) after: After,
    /// Its table, if it has one.
    pub(crate) table: Option<Table>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum After {
    Confirms,
    StaysOnTrial,
    Reverts,
    StaysInLoader,
    /// What waits goes on waiting.
    Waits,
}

impl Script {
    /// A device in factory state.
    pub(crate) fn blank(tag: u8) -> Self {
        Self {
            serial: b"unprovisioned".to_vec(),
            identity: vec![0; 48],
            factory_tag: Some([tag; 8]),
            active_sequence: 0,
            active_digest: [0; 32],
            ..Self::good([0; 32])
        }
    }

    /// Takes what a provisioning block says; its node address counts from the next start on.
    fn take(&mut self, block: &[u8]) -> Result<(), Nrc> {
        let block = ProvisioningBlock::parse(block).map_err(|_| Nrc::REQUEST_OUT_OF_RANGE)?;
        let identity = &block.identity;
        self.serial = identity.serial().as_bytes().to_vec();
        self.identity = [identity.vendor, identity.class, identity.device].concat();
        self.node = identity.node_address;
        let anchors = block.anchors.as_slice();
        let mut report = head(u8::try_from(anchors.len()).unwrap()).to_vec();
        for anchor in anchors {
            let (kid, domain) = (anchor.kid().0, anchor.domain().0.0);
            report.extend(AnchorEntry { kid, rights: anchor.rights().bits(), domain }.encode());
        }
        for domain in block.anchors.domains() {
            report.extend(DomainEntry { domain: domain.0.0, ..DomainEntry::default() }.encode());
        }
        self.anchors = self.anchors_of_block.clone().or(Some(report));
        self.factory_tag = None;
        Ok(())
    }

    pub(crate) fn good(manifest_digest: [u8; 32]) -> Self {
        Self {
            node: DEFAULT_NODE_ADDRESS,
            second_slot: false,
            is_on_trial: false,
            serial: b"FAKE-1".to_vec(),
            serial_in_loader: None,
            identity: [VENDOR, CLASS, DEVICE].concat(),
            version: b"4.0.0".to_vec(),
            active_sequence: 4,
            active_digest: [4; 32],
            manifest_digest,
            resume_offset: 0,
            left_for: None,
            stays_for: None,
            is_pending: false,
            raw_state: None,
            refuses: None,
            delays: (0, 0),
            loses_session: None,
            loses_power_in_session: 0,
            image_size: IMAGE_SIZE,
            is_resumable: false,
            lost_list: false,
            dies_after: None,
            answer_delay: Duration::ZERO,
            block_pause: Duration::ZERO,
            resets_by_itself: false,
            refuses_session: None,
            old_reason: 0,
            anchors: None,
            anchors_after: None,
            stays_on_trial: false,
            revocation_sequence: 2,
            lost_resets: 0,
            reset_pause: Duration::ZERO,
            dies_confirmed: false,
            refuses_reads: None,
            answers_from: None,
            factory_tag: None,
            anchors_of_block: None,
            version_after: b"5.0.0".to_vec(),
            reporting: None,
            after: After::Confirms,
            table: None,
        }
    }
}

/// What a device was asked for, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Programming,
    Object(Object, Vec<u8>),
    /// The same object, of its table.
    OfTable(Object, Vec<u8>),
    Reset,
    Abandon,
    AbandonTable,
    Report(Vec<u8>),
}

struct Fake {
    script: Script,
    mode: Mode,
    image: ImageState,
    active_sequence: u64,
    active_digest: [u8; 32],
    reverted: bool,
    reason: u16,
    reason_position: u32,
    installing: bool,
    resume_offset: u32,
    open: Option<(Destination, Vec<u8>)>,
    dead: bool,
    /// Whether it has reset without having been asked to.
    has_restarted: bool,
    /// Whether it has just been asked for a reset.
    resets_next: bool,
    lost_resets: u32,
    /// When it does what it was asked for.
    resets_at: Option<u64>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A running device; it ends when it is dropped.
pub(crate) struct FakeDevice {
    asked: Arc<Mutex<Vec<Asked>>>,
    /// How often nothing came for a while.
    idle: Arc<AtomicU64>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeDevice {
    pub(crate) fn start(bus: &str, script: Script) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let idle = Arc::new(AtomicU64::new(0));
        let (up, is_up) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let (asked, stopping, bus) = (Arc::clone(&asked), Arc::clone(&stopping), bus.parse().unwrap());
            let idle = Arc::clone(&idle);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let bus = Bus::open(&bus).await.unwrap();
                    up.send(()).unwrap();
                    serve(bus, Fake::new(script, asked), &stopping, &idle).await;
                });
            }
        });
        is_up.recv().unwrap();
        Self { asked, idle, stopping, thread: Some(thread) }
    }

    /// What it was asked, once it has looked at all that was sent: on a busy machine a host may have given up the answer
    /// to its last request and be gone.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let until = self.idle.load(Ordering::Relaxed) + 3;
        let thread = self.thread.as_ref().unwrap();
        while self.idle.load(Ordering::Relaxed) < until && !thread.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for FakeDevice {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn address(script: &Script) -> Addressing {
    let answers_from = profile::response_id(script.answers_from.unwrap_or(script.node));
    let functional = Some(profile::FUNCTIONAL_ID);
    Addressing::device(answers_from, profile::request_id(script.node), functional).unwrap()
}

async fn serve(bus: Bus, mut fake: Fake, stopping: &AtomicBool, idle: &AtomicU64) {
    let mut addressing = address(&fake.script);
    let mut channel = IsoTpChannel::new(bus, addressing);
    let mut server = Server::new();
    while !stopping.load(Ordering::Relaxed) {
        let now = channel.now_us();
        if !fake.dead && server.poll(channel.link_mut(), &mut fake, now) == Some(Event::Reset) {
            fake.resets_at = Some(now + u64::try_from(fake.script.reset_pause.as_micros()).unwrap());
            server = Server::new();
        }
        if fake.resets_at.is_some_and(|at| at <= now) {
            fake.resets_at = None;
            fake.reset();
            server = Server::new();
            // A block has changed its node address.
            addressing = address(&fake.script);
            channel.retarget(addressing);
        }
        if fake.lost_resets < fake.script.lost_resets && fake.resets_next {
            // As if the request had not come: no answer, no reset.
            fake.lost_resets += 1;
            channel.retarget(addressing);
            server = Server::new();
        }
        fake.resets_next = false;
        if std::mem::take(&mut fake.has_restarted) {
            server = Server::new();
        }
        if channel.link().is_sending() {
            tokio::time::sleep(fake.script.answer_delay).await;
        }
        let soon = now + 20_000;
        let until = server.next_timeout().map_or(soon, |at| at.min(soon));
        channel.drive(Some(until)).await.unwrap();
        if !channel.link().is_sending() && channel.now_us() >= until {
            idle.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Fake {
    fn new(script: Script, asked: Arc<Mutex<Vec<Asked>>>) -> Self {
        Self {
            mode: match (script.stays_for, script.factory_tag) {
                (Some(_), _) => Mode::Loader,
                (None, Some(_)) => Mode::Factory,
                (None, None) if script.left_for.is_some() => Mode::Loader,
                (None, None) => Mode::Application,
            },
            image: match script.stays_for {
                None if script.factory_tag.is_some() => ImageState::None,
                Some(_) => ImageState::None,
                None if script.is_pending => ImageState::Pending,
                None if script.is_on_trial => ImageState::Trial,
                None => ImageState::Confirmed,
            },
            active_sequence: script.active_sequence,
            active_digest: script.active_digest,
            reverted: false,
            reason: script.stays_for.or(script.left_for).unwrap_or(script.old_reason),
            reason_position: 0,
            installing: script.is_resumable,
            resume_offset: script.resume_offset,
            open: None,
            dead: false,
            has_restarted: false,
            resets_next: false,
            lost_resets: 0,
            resets_at: None,
            asked,
            script,
        }
    }

    fn note(&self, asked: Asked) {
        self.asked.lock().unwrap().push(asked);
    }

    fn reset(&mut self) {
        self.note(Asked::Reset);
        self.restart();
    }

    fn restart(&mut self) {
        if let Some(table) = &mut self.script.table {
            table.restart();
        }
        self.mode = match self.script.factory_tag {
            Some(_) => Mode::Factory,
            // It has no application yet.
            None if self.image == ImageState::None => Mode::Loader,
            None => Mode::Application,
        };
        if self.image == ImageState::Trial {
            self.revert();
        } else if self.image == ImageState::Pending {
            match self.script.after {
                After::Confirms => self.run_new(ImageState::Confirmed),
                After::StaysOnTrial => self.run_new(ImageState::Trial),
                After::Reverts => self.revert(),
                After::StaysInLoader => (self.mode, self.image) = (Mode::Loader, ImageState::None),
                After::Waits => {}
            }
        }
    }

    fn run_new(&mut self, image: ImageState) {
        (self.image, self.active_sequence) = (image, SEQUENCE);
        (self.reverted, self.reason) = (false, 0);
        // A device that does not say what it runs does not say it afterwards.
        if self.active_digest != [0; 32] {
            self.active_digest = self.script.manifest_digest;
        }
    }

    fn revert(&mut self) {
        self.active_digest = self.script.active_digest;
        self.image = ImageState::Confirmed;
        self.active_sequence = self.script.active_sequence;
        (self.reverted, self.reason) = (true, 0x030f);
    }

    fn state(&self) -> Vec<u8> {
        let record = StateRecord {
            mode: self.mode,
            image: self.image,
            flags: Flags {
                reverted: self.reverted,
                resumable: self.installing,
                anchor_compiled_in: false,
                listening: false,
                second_slot: self.script.second_slot,
            },
            sequence_floor: self.script.active_sequence,
            active_sequence: self.active_sequence,
            revocation_sequence: self.script.revocation_sequence,
            resume_offset: self.resume_offset,
            image_size: if self.installing { self.script.image_size } else { 0 },
            manifest_digest: if self.installing { self.script.manifest_digest } else { [0; 32] },
            reason: self.reason,
            reason_position: self.reason_position,
            max_request_len: 1024,
            slot_capacity: 0x8_0000,
            active_digest: self.active_digest,
        };
        self.script.raw_state.clone().unwrap_or_else(|| record.encode().to_vec())
    }
}

impl Handler for Fake {
    fn read_identifier(&mut self, did: u16, answer: &mut Answer<'_>) -> Result<(), Nrc> {
        if let Some(nrc) = self.script.refuses_reads {
            return Err(nrc);
        }
        let in_loader = self.mode == Mode::Loader;
        match did {
            did::SERIAL => match &self.script.serial_in_loader {
                Some(serial) if in_loader => answer.append(serial),
                _ => answer.append(&self.script.serial),
            },
            did::STATE_RECORD => {
                let confirmed = self.active_sequence == SEQUENCE && self.image == ImageState::Confirmed;
                self.dead = self.dead || (self.script.dies_confirmed && confirmed);
                answer.append(&self.state())
            }
            did::TABLE_STATE if self.script.table.is_some() => {
                let state = self.script.table.as_ref().map(|table| table.state(self.mode));
                answer.append(&state.unwrap_or_default())
            }
            did::ANCHORS if in_loader && self.script.anchors.is_some() => {
                answer.append(self.script.anchors.as_deref().unwrap_or_default())
            }
            did::FACTORY_TAG if self.mode == Mode::Factory => {
                answer.append(&self.script.factory_tag.unwrap_or_default())
            }
            did::IDENTITY => answer.append(&self.script.identity),
            did::APPLICATION_VERSION if !in_loader && self.active_sequence == SEQUENCE => {
                answer.append(&self.script.version_after)
            }
            did::APPLICATION_VERSION if !in_loader => answer.append(&self.script.version),
            _ => Err(Nrc::REQUEST_OUT_OF_RANGE),
        }
    }

    fn change_session(&mut self, session: Session) -> Result<SessionChange, Nrc> {
        if session == Session::Programming {
            self.note(Asked::Programming);
            if let Some(nrc) = self.script.refuses_session {
                return Err(nrc);
            }
            if self.script.loses_power_in_session > 0 {
                self.script.loses_power_in_session -= 1;
                self.has_restarted = true;
                return Ok(SessionChange::Enter);
            }
            if !self.script.stays_on_trial && std::mem::take(&mut self.script.is_on_trial) {
                self.revert();
                self.script.second_slot = !self.script.second_slot;
            }
            self.mode = if self.script.factory_tag.is_some() { Mode::Factory } else { Mode::Loader };
        }
        Ok(SessionChange::Enter)
    }

    fn open_object(&mut self, download: Download) -> Result<(), Nrc> {
        let to = match &self.script.table {
            Some(_) => Destination::at(download.address),
            None => Object::at(download.address).map(Destination::from),
        };
        let to = to.ok_or(Nrc::REQUEST_OUT_OF_RANGE)?;
        let object = to.object;
        let (times, delay_s) = &mut self.script.delays;
        if matches!(object, Object::Image { .. }) && *times > 0 {
            *times -= 1;
            (self.reason, self.reason_position) = (0x031a, *delay_s);
            return Err(Nrc::REQUIRED_TIME_DELAY_NOT_EXPIRED);
        }
        self.open = Some((to, Vec::new()));
        Ok(())
    }

    fn write_object(&mut self, _offset: u32, data: &[u8]) -> Result<(), Nrc> {
        std::thread::sleep(self.script.block_pause);
        let Some((to, bytes)) = &mut self.open else { return Err(Nrc::REQUEST_SEQUENCE_ERROR) };
        bytes.extend_from_slice(data);
        let is_image = matches!(to.object, Object::Image { .. });
        if is_image && self.script.dies_after.is_some_and(|limit| bytes.len() >= limit) {
            self.dead = true;
        }
        Ok(())
    }

    fn finish_object(&mut self) -> Result<(), Nrc> {
        let (to, bytes) = self.open.take().ok_or(Nrc::REQUEST_SEQUENCE_ERROR)?;
        let object = to.object;
        if let (Component::Table, Some(table)) = (to.component, &mut self.script.table) {
            let finished = table.finish(object);
            self.note(Asked::OfTable(object, bytes));
            return finished;
        }
        let block = (object == Object::ProvisioningBlock).then(|| bytes.clone());
        self.note(Asked::Object(object, bytes));
        let same = |refused: Object| std::mem::discriminant(&refused) == std::mem::discriminant(&object);
        if let Some((_, nrc, reason)) = self.script.refuses.filter(|(refused, _, _)| same(*refused)) {
            self.reason = reason;
            return Err(nrc);
        }
        if let Some((lost, times)) = &mut self.script.loses_session
            && *times > 0
            && same(*lost)
        {
            *times -= 1;
            return Err(Nrc::SERVICE_NOT_IN_SESSION);
        }
        match object {
            Object::Envelope if self.script.lost_list => {
                self.reason = 0x030b;
                return Err(Nrc::CONDITIONS_NOT_CORRECT);
            }
            Object::RevocationList => self.script.lost_list = false,
            Object::Envelope => self.installing = true,
            Object::Image { .. } => {
                self.image = ImageState::Pending;
                if self.script.resets_by_itself {
                    self.has_restarted = true;
                    self.restart();
                }
            }
            Object::SuccessionChain => {
                self.script.anchors = self.script.anchors_after.take().or(self.script.anchors.take());
            }
            Object::ProvisioningBlock => self.script.take(&block.unwrap_or_default())?,
        }
        Ok(())
    }

    fn close_object(&mut self) {
        self.open = None;
    }

    fn run_routine(&mut self, routine: u16, option: &[u8], answer: &mut Answer<'_>) -> Result<(), Nrc> {
        if routine == rid::MAKE_REPORT {
            self.note(Asked::Report(option.to_vec()));
            let reporting = self.script.reporting.clone().ok_or(Nrc::INCORRECT_LENGTH)?;
            return answer.append(&reporting(option)?);
        }
        if routine != rid::ABANDON_INSTALL {
            return Err(Nrc::REQUEST_OUT_OF_RANGE);
        }
        if Component::of(option) == Some(Component::Table) {
            let table = self.script.table.as_mut().ok_or(Nrc::INCORRECT_LENGTH)?;
            table.abandon();
            self.note(Asked::AbandonTable);
            return answer.append(&[0]);
        }
        self.note(Asked::Abandon);
        self.installing = false;
        if self.image == ImageState::Pending {
            self.image = ImageState::Confirmed;
        }
        answer.append(&[0])
    }

    fn prepare_reset(&mut self) -> Result<(), Nrc> {
        self.resets_next = true;
        Ok(())
    }
}

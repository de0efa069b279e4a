//! A device that answers as it is told to, over a real bus. It verifies nothing: it is here to be wrong.

mod handler;
mod script;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use can_bus::{Bus, IsoTpChannel};
use update_protocol::isotp::Addressing;
use update_protocol::profile::{self, Destination, Flags, ImageState, Mode, Object, StateRecord};
use update_protocol::uds::server::{Event, Server};

use crate::made::SEQUENCE;

pub(crate) use script::{After, Script};

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

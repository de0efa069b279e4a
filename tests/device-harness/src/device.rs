//! A device on the bench: the loader library over the flash model, and a host that speaks to it through the
//! session, object by object. The bus in between is tested elsewhere.

use std::marker::PhantomData;

use bootloader::application::Confirmation;
use bootloader::firmware_image::Vectors;
use bootloader::flash::Flash;
use bootloader::journal::JournalError;
use bootloader::layout::{Area, Layout, Slot};
use bootloader::mailbox::{Listening, MAILBOX_LEN, Request, ResetCause, Wake};
use bootloader::session::{Description, MAX_ANSWER_LEN};
use bootloader::state::{BootState, Status};
use bootloader::{Buffers, ListBuffer, Loader, Session, application};
use flash_model::Nor;
use suit_manifest::Reason;
use trust::author::DerivedKey;
use update_protocol::profile::{Component, Destination, Object, StateRecord, did};
use update_protocol::uds::Nrc;
use update_protocol::uds::server::{Answer, Download, Handler as _};

use crate::factory::{self, Factory};
use crate::part::RAM;
pub use crate::part::{Part, Placed, layout};

/// The unique id of its board.
pub const FACTORY_TAG: u64 = 0x0123_4567_89AB_CDEF;

const DESCRIPTION: Description =
    Description { loader_version: "test", max_request_len: 4095, factory_tag: FACTORY_TAG };

/// The result of a reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Boot {
    /// The active image runs.
    Run(Vectors),
    /// The loader stays on the bus; the reason, if something is wrong.
    Stay(Option<Reason>),
}

/// Why a request failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The flash model has no power.
    NoPower,
    /// The device refused.
    Refused(Nrc, Option<Reason>),
}

impl Failure {
    /// The reason the device gave.
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::Refused(_, reason) => reason,
            Self::NoPower => None,
        }
    }
}

/// A reset by a program, with a request in the mailbox or nothing.
pub fn wake(request: Option<Request>) -> Wake {
    let mut mailbox = [0; MAILBOX_LEN];
    if let Some(request) = request {
        let request = request.encode();
        mailbox[..request.len()].copy_from_slice(&request);
    }
    Wake::read(&mailbox, ResetCause::Software, Listening::DEFAULT)
}

/// The same of a device that listens before it hands over.
pub fn listening_wake() -> Wake {
    let listening = Listening { at_power_up_ms: 200, ..Listening::DEFAULT };
    Wake::read(&[0; MAILBOX_LEN], ResetCause::Power, listening)
}

/// A loader in its programming session.
pub type Programming<'b, const WORD: usize, const PAGE: usize, L = Layout> = Session<'b, Nor<WORD, PAGE>, L>;

/// A device with even sectors.
pub type Device<const WORD: usize, const PAGE: usize, L = Layout> = DeviceOf<Nor<WORD, PAGE>, L>;

/// The device; `L` tells what of SUIT its loader takes.
pub struct DeviceOf<P, L = Layout> {
    /// Its flash.
    pub nor: P,
    /// Where things lie in it.
    pub layout: Layout,
    envelope: Box<[u8; 4096]>,
    list: Box<ListBuffer>,
    /// The next start of a loader that is about to reset by itself.
    retry: Option<Wake>,
    /// The start of one that has done so as often as it does, and stays.
    rest: Option<Wake>,
    /// What the loader left there when it handed over last.
    mailbox: [u8; MAILBOX_LEN],
    kind: PhantomData<L>,
}

impl<const WORD: usize, const PAGE: usize, L: Placed> Device<WORD, PAGE, L> {
    /// A device from the factory with `pages` image pages in each slot.
    pub fn new(pages: u32) -> Self {
        let layout = layout(PAGE as u32, pages);
        let placed = L::from(layout);
        let len = placed.table().map_or(0, Layout::flash_len).max(layout.flash_len());
        Self::over(Nor::new(len), layout)
    }
}

impl<P: Part, L: Placed> DeviceOf<P, L> {
    /// A device over flash that has a history.
    pub fn over(nor: P, layout: Layout) -> Self {
        let (envelope, list) = (Box::new([0; 4096]), Box::new([0; _]));
        let mailbox = [0; MAILBOX_LEN];
        Self { nor, layout, envelope, list, retry: None, rest: None, mailbox, kind: PhantomData }
    }

    /// Another device with a copy of this one's flash.
    #[must_use]
    pub fn twin(&self) -> Self {
        let medium = self.nor.medium().clone();
        Self::over(P::over(medium), self.layout)
    }

    /// An image that runs on it: in slot A, if images run where they lie.
    pub fn image(&self, len: usize, fill: u8) -> Vec<u8> {
        self.image_for(Slot::A, len, fill)
    }

    /// An image that runs in this slot.
    pub fn image_for(&self, slot: Slot, len: usize, fill: u8) -> Vec<u8> {
        factory::image(len, fill, self.layout.run_address(slot), RAM.start + RAM.len)
    }

    /// The slot of the image that runs.
    pub fn active_slot(&self) -> Slot {
        match self.state().spare_slot(&self.layout) {
            Slot::B => Slot::A,
            _ => Slot::B,
        }
    }

    fn flash(&self) -> Flash<P, L> {
        Flash::new(self.nor.clone(), L::from(self.layout)).expect("geometry")
    }

    /// The loader after a reset, before the boot rules.
    pub fn loader(&mut self) -> Loader<'_, P, L> {
        let flash = self.flash();
        Loader::start(flash, Buffers { envelope: &mut self.envelope, list: &mut self.list })
    }

    /// A reset.
    pub fn boot(&mut self) -> Boot {
        self.boot_with(None)
    }

    /// A reset with this request in the mailbox.
    pub fn boot_with(&mut self, request: Option<Request>) -> Boot {
        self.start(&wake(request))
    }

    fn start(&mut self, wake: &Wake) -> Boot {
        (self.retry, self.rest) = (None, None);
        match self.loader().boot(wake, DESCRIPTION) {
            bootloader::Boot::Run(entry) => {
                self.mailbox = entry.mailbox();
                let (vectors, bank) = entry.redeem_with_bank().expect("whole evidence");
                // What the journal calls active is what runs.
                let slot = self.active_slot();
                let meant = (self.layout.run_address(slot), self.layout.bank(slot));
                assert_eq!((vectors.vector_table(), bank), meant, "the image in the other slot runs");
                Boot::Run(vectors)
            }
            bootloader::Boot::Stay(session) => {
                let (retry, reason) = (session.is_retry(), session.refusal().map(|refusal| refusal.reason));
                let again = || Wake::read(&wake.mailbox_of_retry(), ResetCause::Software, Listening::DEFAULT);
                // Without power there is nothing that resets.
                self.retry = (retry && !self.nor.medium().is_off()).then(again);
                self.rest = (!retry && wake.retries > 0).then_some(*wake);
                Boot::Stay(reason)
            }
        }
    }

    /// A reset into the programming session; where the loader was left about to reset by itself, after it has done so as
    /// often as it does.
    pub fn program(&mut self) -> Session<'_, P, L> {
        while let Some(again) = self.retry {
            self.start(&again);
        }
        // A tester finds the loader there, or asks for it.
        let rest = self.rest.filter(|_| self.state().status != Status::Pending);
        let wake = rest.unwrap_or_else(|| wake(Some(Request::ProgrammingSession { answer: true })));
        match self.wake(&wake) {
            bootloader::Boot::Stay(session) => session,
            bootloader::Boot::Run(_) => panic!("the loader was asked for"),
        }
    }

    /// A start of the loader under these circumstances.
    pub fn wake(&mut self, wake: &Wake) -> bootloader::Boot<'_, P, L> {
        self.loader().boot(wake, DESCRIPTION)
    }

    /// The flash as its application opens it.
    pub fn application(&self) -> application::Device<P> {
        application::Device::open(Flash::new(self.nor.clone(), self.layout).expect("geometry"))
    }

    /// The same, whose application runs as this one's does.
    #[must_use]
    pub fn twin_at_this_start(&self) -> Self {
        Self { mailbox: self.mailbox, ..self.twin() }
    }

    /// What the loader left in the mailbox when it handed over last.
    pub fn mailbox(&self) -> &[u8; MAILBOX_LEN] {
        &self.mailbox
    }

    /// The layout of its table.
    pub fn table_layout(&self) -> Layout {
        *L::from(self.layout).table().expect("a device with a table")
    }

    /// The table as its application opens it.
    pub fn table(&self) -> application::Table<P> {
        let flash = Flash::new(self.nor.clone(), self.table_layout()).expect("geometry");
        application::Table::open(flash, &self.mailbox)
    }

    /// The state in the journal of its table.
    pub fn table_state(&self) -> BootState {
        let flash = Flash::new(self.nor.clone(), self.table_layout()).expect("geometry");
        application::Device::open(flash).state()
    }

    /// The table that its application finds, byte by byte.
    pub fn found_table(&self) -> Option<Vec<u8>> {
        let found = self.table().found()?;
        let start = (found.address - self.layout.base()) as usize;
        Some(self.nor.medium().bytes()[start..start + found.len as usize].to_vec())
    }

    /// Installs a table to pending.
    pub fn install_table(&mut self, envelope: &[u8], table: &[u8]) -> Result<(), Failure> {
        self.install_of(Component::Table, envelope, table)
    }

    /// Installs a table, boots, and confirms it.
    pub fn update_table(&mut self, envelope: &[u8], table: &[u8]) {
        self.update_of(Component::Table, envelope, table);
    }

    /// Installs one file to pending, as a plain tester does that waits as long as the device wants it to.
    pub fn install_file(&mut self, component: Component, file: &[u8]) -> Result<(), Failure> {
        let nor = self.nor.clone();
        let session = &mut self.program();
        patiently(session, |session| send_file(&nor, session, component, file.chunks(707)))
    }

    /// The state in the journal.
    pub fn state(&self) -> BootState {
        self.application().state()
    }

    /// That of firmware or table.
    pub fn state_of(&self, component: Component) -> BootState {
        match component {
            Component::Firmware => self.state(),
            Component::Table => self.table_state(),
        }
    }

    /// The bytes of the image that runs, as many as asked for.
    pub fn running(&self, len: usize) -> Vec<u8> {
        let slot = self.layout.region(Area::Slot(self.active_slot()));
        let start = (slot.start + self.layout.head_len()) as usize;
        self.nor.medium().bytes()[start..start + len].to_vec()
    }

    /// Sends one object of its own.
    pub fn send(&mut self, to: impl Into<Destination>, bytes: &[u8]) -> Result<(), Failure> {
        let nor = self.nor.clone();
        download(&nor, &mut self.program(), to, bytes)
    }

    /// Provisions it for a manufacturer.
    pub fn provision(&mut self, factory: &Factory) {
        self.provision_with(factory, &[]);
    }

    /// The same, with keys of the device.
    pub fn provision_with(&mut self, factory: &Factory, keys: &[DerivedKey]) {
        let block = factory::provisioning_block_with(&[factory.anchor()], None, keys);
        self.send(Object::ProvisioningBlock, &block).expect("provisioning");
    }

    /// Provisions it with keys alone: it trusts nobody else.
    pub fn provision_alone(&mut self, keys: &[DerivedKey]) {
        let block = factory::provisioning_block_with(&[], None, keys);
        self.send(Object::ProvisioningBlock, &block).expect("provisioning");
    }

    /// Installs an image to pending, as a host does: envelope, then the image from the resume offset.
    pub fn install(&mut self, envelope: &[u8], image: &[u8]) -> Result<(), Failure> {
        self.install_of(Component::Firmware, envelope, image)
    }

    /// Firmware, or a table.
    pub fn install_of(&mut self, component: Component, envelope: &[u8], bytes: &[u8]) -> Result<(), Failure> {
        let nor = self.nor.clone();
        patiently(&mut self.program(), |session| install_of(component, &nor, session, envelope, bytes))
    }

    /// Installs, boots on trial and confirms.
    pub fn update(&mut self, envelope: &[u8], image: &[u8]) {
        self.update_of(Component::Firmware, envelope, image);
    }

    /// Firmware, or a table.
    pub fn update_of(&mut self, component: Component, envelope: &[u8], bytes: &[u8]) {
        self.install_of(component, envelope, bytes).expect("install");
        assert!(matches!(self.boot(), Boot::Run(_)), "the device does not boot");
        self.confirm(component).expect("confirm");
    }

    /// Its application confirms firmware or table.
    ///
    /// # Errors
    /// Those of the application
    pub fn confirm(&self, component: Component) -> Result<Confirmation, JournalError> {
        match component {
            Component::Firmware => self.application().confirm(),
            Component::Table => self.table().confirm(),
        }
    }
}

/// An update is refused for this reason, and nothing is written.
pub fn refused_untouched<P: Part, L: Placed>(
    device: &mut DeviceOf<P, L>,
    envelope: &[u8],
    image: &[u8],
    reason: Reason,
) {
    let (state, nor) = (device.state(), device.nor.clone());
    let before = nor.medium().operations();
    let refused = install(&nor, &mut device.program(), envelope, image).expect_err("it is refused");
    assert_eq!(refused.reason(), Some(reason));
    assert_eq!(device.nor.medium().operations(), before, "it writes nothing");
    assert_eq!(device.state(), state);
}

/// The same of a table.
pub fn refused_table<P: Part, L: Placed>(
    device: &mut DeviceOf<P, L>,
    envelope: &[u8],
    table: &[u8],
    reason: Reason,
) {
    let (state, nor) = (device.table_state(), device.nor.clone());
    let before = nor.medium().operations();
    let refused = install_of(Component::Table, &nor, &mut device.program(), envelope, table)
        .expect_err("it is refused");
    assert_eq!(refused.reason(), Some(reason));
    assert_eq!(device.nor.medium().operations(), before, "it writes nothing");
    assert_eq!(device.table_state(), state);
}

/// The state record of the table.
pub fn table_record<P: Part, L: Placed>(session: &Session<'_, P, L>) -> StateRecord {
    session.table_record().expect("a device with a table")
}

/// The state record.
pub fn record<P: Part, L: Placed>(session: &Session<'_, P, L>) -> StateRecord {
    session.state_record()
}

/// The bytes of the report of the anchors.
pub fn anchor_report<P: Part, L: Placed>(session: &mut Session<'_, P, L>) -> Vec<u8> {
    let mut buffer = [0; MAX_ANSWER_LEN];
    let mut answer = Answer::new(&mut buffer);
    session.read_identifier(did::ANCHORS, &mut answer).expect("a report");
    let len = answer.len();
    buffer[..len].to_vec()
}

/// Sends an object in uneven blocks.
pub fn download<P: Part, L: Placed>(
    nor: &P,
    session: &mut Session<'_, P, L>,
    to: impl Into<Destination>,
    bytes: &[u8],
) -> Result<(), Failure> {
    let address = to.into().address().expect("address");
    download_blocks(nor, session, address, bytes.chunks(707))
}

/// Sends one file as a plain tester does, in these blocks.
pub fn send_file<'f, P: Part, L: Placed>(
    nor: &P,
    session: &mut Session<'_, P, L>,
    component: Component,
    blocks: impl Iterator<Item = &'f [u8]> + Clone,
) -> Result<(), Failure> {
    download_blocks(nor, session, component.file_address(), blocks)
}

fn download_blocks<'b, P: Part, L: Placed>(
    nor: &P,
    session: &mut Session<'_, P, L>,
    address: u32,
    blocks: impl Iterator<Item = &'b [u8]> + Clone,
) -> Result<(), Failure> {
    let size = u32::try_from(blocks.clone().map(<[u8]>::len).sum::<usize>()).expect("size");
    let mut result = session.open_object(Download { address, size });
    let mut offset = 0u32;
    for block in blocks {
        if result.is_ok() {
            result = session.write_object(offset, block);
            if result.is_err() {
                session.close_object();
            }
        }
        offset += block.len() as u32;
    }
    if result.is_ok() {
        result = session.finish_object();
    }
    result.map_err(|nrc| failure(nor, session, nrc))
}

fn failure<P: Part, L: Placed>(nor: &P, session: &Session<'_, P, L>, nrc: Nrc) -> Failure {
    if nor.medium().is_off() {
        return Failure::NoPower;
    }
    Failure::Refused(nrc, Reason::from_code(record(session).reason))
}

/// Envelope, then the image from where the device wants it.
pub fn install<P: Part, L: Placed>(
    nor: &P,
    session: &mut Session<'_, P, L>,
    envelope: &[u8],
    image: &[u8],
) -> Result<(), Failure> {
    install_of(Component::Firmware, nor, session, envelope, image)
}

/// Firmware, or a table.
fn install_of<P: Part, L: Placed>(
    component: Component,
    nor: &P,
    session: &mut Session<'_, P, L>,
    envelope: &[u8],
    image: &[u8],
) -> Result<(), Failure> {
    download(nor, session, Object::Envelope.of(component), envelope)?;
    let state = match component {
        Component::Firmware => record(session),
        Component::Table => table_record(session),
    };
    if state.image == update_protocol::profile::ImageState::Pending {
        return Ok(());
    }
    let offset = state.resume_offset;
    download(nor, session, Object::Image { offset }.of(component), &image[offset as usize..])
}

/// The same by a host that waits as long as the device wants it to.
pub fn install_patiently<P: Part, L: Placed>(
    nor: &P,
    session: &mut Session<'_, P, L>,
    envelope: &[u8],
    image: &[u8],
) -> Result<(), Failure> {
    patiently(session, |session| install(nor, session, envelope, image))
}

/// Installs once the device does not want to wait any more.
fn patiently<P: Part, L: Placed>(
    session: &mut Session<'_, P, L>,
    mut install: impl FnMut(&mut Session<'_, P, L>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut hours = 0;
    loop {
        match install(session) {
            Err(Failure::Refused(_, Some(Reason::InstallDelayed))) if hours < 1000 => {
                hours += 1;
                session.set_now(hours * 3_600_000_000);
            }
            installed => return installed,
        }
    }
}

/// Begins a download and sends no more than the first bytes of it: then the tester is gone.
pub fn begin<P: Part, L: Placed>(
    session: &mut Session<'_, P, L>,
    to: impl Into<Destination>,
    bytes: &[u8],
    sent: usize,
) -> Result<(), Nrc> {
    let (address, size) = (to.into().address().expect("address"), bytes.len() as u32);
    session.open_object(Download { address, size })?;
    for (block, offset) in bytes[..sent].chunks(707).zip((0..).step_by(707)) {
        session.write_object(offset, block)?;
    }
    session.close_object();
    Ok(())
}

/// Runs a routine; what it answered.
pub fn routine<P: Part, L: Placed>(session: &mut Session<'_, P, L>, identifier: u16) -> Result<u8, Nrc> {
    component_routine(session, identifier, &[])
}

/// The same with an option record, which names the component.
pub fn component_routine<P: Part, L: Placed>(
    session: &mut Session<'_, P, L>,
    identifier: u16,
    option: &[u8],
) -> Result<u8, Nrc> {
    let mut buffer = [0xEE; 4];
    let mut answer = Answer::new(&mut buffer);
    session.run_routine(identifier, option, &mut answer)?;
    Ok(buffer[0])
}

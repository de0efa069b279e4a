//! The loader on the bus (docs/can-protocol.md): turns the requests of a tester into steps of the loader, and its
//! refusals into NRCs. All knowledge of UDS is here.

#[cfg(feature = "one-file")]
mod one_file;
mod reporting;

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::Reason;
use suit_manifest::profile::Installs as _;
use trust::{ANCHORS_MAX, BLOCK_ANCHORS_MAX, DOMAINS_MAX};
use update_protocol::profile::anchors::{self, AnchorEntry, DomainEntry};
#[cfg(feature = "table")]
use update_protocol::profile::{Component, Destination};
use update_protocol::profile::{
    DependencyStatus, MAX_ENVELOPE_HEAD_LEN, MAX_PROVISIONING_BLOCK_LEN, MAX_REVOCATION_LIST_LEN,
    MAX_SUCCESSION_CHAIN_LEN, MAX_TEXT_LEN, Mode, Object, STATE_RECORD_LEN, StateRecord,
    UNPROVISIONED_SERIAL, did, rid,
};
use update_protocol::uds::server::{Answer, Download, Handler, Operation, Server, SessionChange};
use update_protocol::uds::{self, Nrc};

use crate::anchor;
use crate::authority::Authenticates as _;
use crate::decide::Decision;
use crate::flash::HasLayout;
use crate::layout::{ENVELOPE_LEN_MAX, Layout, PROVISIONING_BLOCK_LEN_MAX, REVOCATION_LIST_LEN_MAX};
use crate::loader::Loader;
use crate::mailbox::{LISTEN_MS, Request, Wake};
use crate::refusal::{Refusal, nrc};
use crate::report::{Circumstances, state_record};
use crate::reporting::Reports;
use crate::state::{BootState, DomainNumbers, ImageRecord, Status};
use crate::tag::FactoryTag;
use crate::token::Entry;

// The buffers hold the longest objects of the profile.
const _: () = assert!(
    ENVELOPE_LEN_MAX == MAX_ENVELOPE_HEAD_LEN as usize
        && REVOCATION_LIST_LEN_MAX == MAX_REVOCATION_LIST_LEN as usize
        && PROVISIONING_BLOCK_LEN_MAX == MAX_PROVISIONING_BLOCK_LEN as usize
        && trust::MAX_SUCCESSION_CHAIN_LEN == MAX_SUCCESSION_CHAIN_LEN as usize
        && MAX_SUCCESSION_CHAIN_LEN as usize <= ENVELOPE_LEN_MAX
);

/// Longest request of a loader, bytes: a TransferData of a quarter of a page of 4096 bytes.
pub const MAX_REQUEST_LEN: u16 = 2 + 1024;
/// Longest answer of a loader, bytes: all data identifiers at once, with the anchors of a provisioning block. Later roots
/// make the report of the anchors longer; alone it always fits.
pub const MAX_ANSWER_LEN: usize = 352;

/// The service and each data identifier with its content but for the report of the anchors.
const OTHER_ANSWERS_LEN: usize =
    1 + 2 * (2 + MAX_TEXT_LEN) + (2 + 1) + (2 + STATE_RECORD_LEN) + (2 + 3 * size_of::<[u8; 16]>());

/// The identifier of the report of the anchors, and the report but for the anchors.
const ANCHOR_REPORT_LEN: usize = 2 + anchors::HEAD_LEN + DOMAINS_MAX * anchors::DOMAIN_LEN;
const _: () = assert!(1 + ANCHOR_REPORT_LEN + ANCHORS_MAX * anchors::ANCHOR_LEN <= MAX_ANSWER_LEN);
const _: () = assert!(
    OTHER_ANSWERS_LEN + ANCHOR_REPORT_LEN + BLOCK_ANCHORS_MAX * anchors::ANCHOR_LEN <= MAX_ANSWER_LEN
);

/// The server that a loader starts with: in the programming session if that was asked for in the mailbox, so that a
/// tester who does not come back is noticed (S3).
#[must_use]
pub const fn server(request: Option<Request>) -> Server {
    match request {
        Some(Request::ProgrammingSession { answer: true }) => Server::announcing(uds::Session::Programming),
        Some(Request::ProgrammingSession { answer: false }) => Server::entered(uds::Session::Programming),
        None => Server::new(),
    }
}

/// The description that a board gives of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Description {
    /// Loader version, ASCII.
    pub loader_version: &'static str,
    /// Longest request the board's link takes, bytes.
    pub max_request_len: u16,
    /// Tells this device from others in factory state: the chip's unique id, or entropy.
    pub factory_tag: u64,
}

/// An object that is being received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Open {
    object: Object,
    size: u32,
    /// It is a file whose head is not there yet: its envelope comes.
    #[cfg(feature = "one-file")]
    is_file: bool,
}

/// The loader as the handler of a UDS server.
pub struct Session<'b, F, L: HasLayout = Layout> {
    loader: Loader<'b, F, L>,
    description: Description,
    tag: FactoryTag,
    /// The verified image to return to when the session ends without an install.
    standby: Option<Entry>,
    open: Option<Open>,
    /// The last refusal; a new download forgets it.
    refusal: Option<Refusal>,
    listen_ms: u32,
    /// It listens before a reset that may help.
    is_retry: bool,
    /// The last attempt to install, if it was refused since the loader started.
    refused: <L::Reports as Reports>::Kept,
}

/// Whether a fault may be gone after a reset: reads and programs failed, which a supply that sags or a flash device that
/// is busy does too.
fn may_pass(reason: Reason) -> bool {
    [Reason::FlashFailed, Reason::SwapFailed, Reason::JournalCorrupt, Reason::ProvisioningMalformed]
        .contains(&reason)
}

impl<'b, F: NorFlash, L: HasLayout> Session<'b, F, L> {
    /// A session over a loader before its boot rules.
    pub const fn new(loader: Loader<'b, F, L>, description: Description) -> Self {
        let tag = FactoryTag::new(description.factory_tag);
        Self {
            loader,
            description,
            tag,
            standby: None,
            open: None,
            refusal: None,
            listen_ms: 0,
            is_retry: false,
            refused: L::Reports::NOTHING,
        }
    }

    /// Recovers the loader, once and before the boot rules.
    pub(crate) fn recover(&mut self) {
        self.loader.recover();
    }

    /// Runs the boot rules once: the image to run at once. `None`: the device stays on the bus, until
    /// [`Session::listens_until_us`] if it has a time. No rule runs twice within one boot; a watchdog that the flash
    /// driver feeds bounds the swap.
    pub fn boot(&mut self, wake: &Wake) -> Option<Entry> {
        let decided = self.loader.decide(wake, &mut self.standby);
        let stays = |refusal| Decision { runs: false, refusal: Some(refusal), listen_ms: 0 };
        let Decision { runs, refusal, listen_ms } = decided.unwrap_or_else(stays);
        (self.refusal, self.listen_ms) = (refusal, listen_ms);
        self.note_boot();
        if runs {
            return self.take_entry();
        }
        // Whoever could reset the device may be far away.
        let may_retry = listen_ms == 0 && wake.may_retry();
        self.is_retry = may_retry && refusal.is_some_and(|refusal| may_pass(refusal.reason));
        if self.is_retry {
            self.listen_ms = LISTEN_MS;
        }
        None
    }

    /// The loader.
    pub fn loader(&self) -> &Loader<'b, F, L> {
        &self.loader
    }

    /// The time at which the loader stops to listen, and hands over or resets, for [`crate::device::serve`]: the board calls
    /// [`Session::hand_over`] then. `None`: it serves until a reset.
    pub fn listens_until_us(&self, now_us: u64) -> Option<u64> {
        let listen_us = u64::from(self.listen_ms).saturating_mul(1000);
        (listen_us != 0).then(|| now_us.saturating_add(listen_us))
    }

    /// The image to run now that nobody needed the loader. Without one, and when the flash takes no record of a trial,
    /// the device is to be reset.
    pub fn hand_over(&mut self) -> Option<Entry> {
        let handed_over = self.loader.hand_over();
        self.tell(handed_over).ok()?;
        self.take_entry()
    }

    /// The image to run, with the table that its application may use.
    #[inline(always)]
    fn take_entry(&mut self) -> Option<Entry> {
        let entry = self.standby.take();
        #[cfg(feature = "table")]
        let entry = entry.map(|entry| entry.with_table(self.loader.table()));
        entry
    }

    /// It is so late now, microseconds since the board's start: installs may have to wait.
    pub fn set_now(&mut self, now_us: u64) {
        self.loader.set_now_us(now_us);
    }

    /// The application follows, or a reset: what is secret does not stay in RAM.
    pub(crate) fn forget(&mut self) {
        self.loader.forget();
    }

    /// Whether the loader resets by itself once no tester needs it, to get to its image after a fault that may pass.
    pub const fn is_retry(&self) -> bool {
        self.is_retry
    }

    /// Whether the device has an image to go back to.
    pub const fn has_bootable(&self) -> bool {
        self.standby.is_some()
    }

    /// Whether what is active of the component that the loader is turned to verifies.
    fn has_good(&self) -> bool {
        #[cfg(feature = "table")]
        if self.loader.is_at_table() {
            return self.loader.table().is_some();
        }
        self.has_bootable()
    }

    /// Whether a reset leads to an image: to the one that verified, or to a pending one.
    pub(crate) fn leads_to_an_image(&self) -> bool {
        self.has_bootable() || self.firmware().0.status == Status::Pending
    }

    /// State and layout of the firmware.
    #[inline(always)]
    fn firmware(&self) -> (&BootState, &Layout) {
        #[cfg(feature = "table")]
        if let Some(firmware) = self.loader.at(false) {
            return firmware;
        }
        (self.loader.state(), self.loader.layout())
    }

    /// Why the device stays in its loader, or refused last; `None` if nothing is wrong.
    pub const fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    /// The state record, as it is answered now.
    pub fn state_record(&self) -> StateRecord {
        let (state, layout) = self.firmware();
        state_record(state, layout, &self.circumstances())
    }

    /// What the journal does not know.
    #[inline(always)]
    fn circumstances(&self) -> Circumstances<'_> {
        Circumstances {
            mode: if self.loader.check_factory().is_ok() { Mode::Factory } else { Mode::Loader },
            bootable: self.has_bootable(),
            listening: self.listen_ms != 0 && self.has_bootable(),
            accepted: self.accepted(false),
            anchor_compiled_in: L::Authority::HAS_ANCHORS && anchor::IS_COMPILED_IN,
            refusal: self.refusal.map_or((0, 0), |refusal| (refusal.reason.code(), refusal.position)),
            max_request_len: self.description.max_request_len,
        }
    }

    /// The image of an install that has not begun yet.
    #[inline(always)]
    fn accepted(&self, _of_table: bool) -> Option<&ImageRecord> {
        let accepted = self.loader.in_buffer();
        #[cfg(feature = "table")]
        let accepted = accepted.filter(|_| self.loader.is_at_table() == _of_table);
        accepted
    }

    /// The state record of the table, as it is answered now; `None`: there is no table.
    #[cfg(feature = "table")]
    pub fn table_record(&self) -> Option<StateRecord> {
        let (state, layout) = self.loader.at(true)?;
        let refusal = if self.loader.is_at_table() { self.refusal } else { self.loader.table_refusal() };
        // That there is no table yet is no fault.
        let refusal = refusal.filter(|refusal| refusal.reason != Reason::NothingBootable);
        let now = Circumstances {
            bootable: self.loader.table().is_some(),
            // What the record of the firmware says.
            anchor_compiled_in: false,
            accepted: self.accepted(true),
            refusal: refusal.map_or((0, 0), |refusal| (refusal.reason.code(), refusal.position)),
            ..self.circumstances()
        };
        Some(state_record(state, layout, &now))
    }

    fn check_open(&mut self, object: Option<Object>, size: u32) -> Result<Object, Refusal> {
        let unknown = Refusal::of(Reason::ObjectUnknown);
        let object = object.ok_or(unknown)?;
        let limited = |limit: u32, reason| if size <= limit { Ok(()) } else { Err(Refusal::of(reason)) };
        match object {
            // There is nobody who could have signed them.
            Object::SuccessionChain | Object::RevocationList if !L::Authority::HAS_ANCHORS => {
                return Err(unknown);
            }
            Object::Envelope | Object::SuccessionChain => {
                if object == Object::Envelope {
                    limited(MAX_ENVELOPE_HEAD_LEN, Reason::EnvelopeTooLarge)?;
                    self.loader.governed()?;
                } else {
                    limited(MAX_SUCCESSION_CHAIN_LEN, Reason::ObjectUnknown)?;
                }
                // Either gives both images of an exchange up: not before the resets that may finish it.
                if self.is_retry && self.loader.is_between_images() {
                    return Err(Reason::SwapFailed.into());
                }
                self.loader.check_ready()?;
            }
            Object::Image { offset } => self.loader.open_image(offset, size)?,
            Object::RevocationList => {
                limited(MAX_REVOCATION_LIST_LEN, Reason::ObjectUnknown)?;
                self.loader.governed()?;
            }
            Object::ProvisioningBlock => {
                limited(MAX_PROVISIONING_BLOCK_LEN, Reason::ObjectUnknown)?;
                self.loader.check_factory()?;
            }
        }
        Ok(object)
    }

    fn finish(&mut self, open: Open) -> Result<(), Refusal> {
        // Its head says that more comes.
        #[cfg(feature = "one-file")]
        if open.is_file {
            return Err(Reason::ImageIncomplete.into());
        }
        let len = usize::try_from(open.size).map_err(|_| Refusal::of(Reason::ObjectUnknown))?;
        match open.object {
            Object::Envelope => self.loader.accept_envelope(len, self.has_good()),
            Object::Image { .. } => self.loader.finish_image(),
            Object::RevocationList => self.loader.accept_list(len),
            Object::SuccessionChain => self.loader.accept_chain(len),
            Object::ProvisioningBlock => self.loader.provision(len),
        }
    }

    #[inline(never)]
    fn report_anchors(&self, answer: &mut Answer<'_>) -> Result<(), Nrc> {
        if !L::Authority::HAS_ANCHORS {
            return answer.append(&anchors::head(0));
        }
        let anchors = self.loader.anchors();
        let count = u8::try_from(anchors.as_slice().len()).unwrap_or(u8::MAX);
        answer.append(&anchors::head(count))?;
        for anchor in anchors.as_slice() {
            let (kid, rights, domain) = (anchor.kid().0, anchor.rights().bits(), anchor.domain().0.0);
            AnchorEntry { kid, rights, domain }.append_to(answer)?;
        }
        for (domain, numbers) in anchors.domains().zip(self.loader.state().domains) {
            let DomainNumbers { recovery_epoch, succession_sequence, list_sequence } = numbers;
            let domain = domain.0.0;
            DomainEntry { domain, list_sequence, recovery_epoch, succession_sequence }.append_to(answer)?;
        }
        Ok(())
    }

    /// The object at an address, after turning to the component whose it is.
    #[cfg(feature = "table")]
    fn turn_to(&mut self, address: u32) -> (Option<Object>, Result<(), Refusal>) {
        let to = Destination::at(address);
        let turned = to.map_or(Ok(()), |to| self.loader.turn(to.component == Component::Table));
        (to.map(|to| to.object), turned)
    }

    /// The object at an address.
    #[cfg(not(feature = "table"))]
    #[inline(always)]
    #[allow(clippy::unused_self, reason = "as with the feature")]
    fn turn_to(&mut self, address: u32) -> (Option<Object>, Result<(), Refusal>) {
        (Object::at(address), Ok(()))
    }

    /// Turns to the component that the option record of a routine names.
    #[cfg(feature = "table")]
    #[inline(never)]
    fn turn_for(&mut self, routine: u16, option: &[u8]) -> Result<(), Nrc> {
        let too_long = option.len() > 1;
        let component = Component::of(option);
        let component =
            component.ok_or(if too_long { Nrc::INCORRECT_LENGTH } else { Nrc::REQUEST_OUT_OF_RANGE })?;
        let to_table = component == Component::Table;
        if ![rid::ABANDON_INSTALL, rid::CHECK_PROGRAMMING_DEPENDENCIES].contains(&routine) {
            return Err(Nrc::REQUEST_OUT_OF_RANGE);
        }
        // What is being received is of the other one.
        if self.open.is_some() && self.loader.is_at_table() != to_table {
            return Err(Nrc::CONDITIONS_NOT_CORRECT);
        }
        self.loader.turn(to_table).map_err(|refusal| match refusal.reason {
            Reason::ObjectUnknown => Nrc::REQUEST_OUT_OF_RANGE,
            reason => nrc(reason),
        })
    }

    /// Keeps a refusal for the state record and returns its NRC.
    #[inline(always)]
    fn tell<T>(&mut self, result: Result<T, Refusal>) -> Result<T, Nrc> {
        result.map_err(|refusal| {
            self.refusal = Some(refusal);
            nrc(refusal.reason)
        })
    }
}

impl<F: NorFlash, L: HasLayout> Handler for Session<'_, F, L> {
    #[inline(never)]
    fn read_identifier(&mut self, identifier: u16, answer: &mut Answer<'_>) -> Result<(), Nrc> {
        match identifier {
            did::LOADER_VERSION => answer.append(self.description.loader_version.as_bytes()),
            did::SERIAL => match self.loader.identity() {
                Some(identity) => answer.append(identity.serial_bytes()),
                None => answer.append(UNPROVISIONED_SERIAL.as_bytes()),
            },
            did::STATE_RECORD => answer.append(&self.state_record().encode()),
            #[cfg(feature = "table")]
            did::TABLE_STATE => {
                let record = self.table_record().ok_or(Nrc::REQUEST_OUT_OF_RANGE)?;
                answer.append(&record.encode())
            }
            did::IDENTITY => {
                let zeros = [0; 16];
                let ids = self
                    .loader
                    .identity()
                    .map_or([&zeros; 3], |identity| [&identity.vendor, &identity.class, &identity.device]);
                ids.iter().try_for_each(|id| answer.append(*id))
            }
            did::ANCHORS => self.report_anchors(answer),
            did::FACTORY_TAG if self.loader.check_factory().is_ok() => answer.append(&self.tag.bytes()),
            _ => Err(Nrc::REQUEST_OUT_OF_RANGE),
        }
    }

    fn read_delay_us(&mut self, identifier: u16) -> u32 {
        match identifier {
            did::FACTORY_TAG if self.loader.check_factory().is_ok() => self.tag.next_delay_us(),
            _ => 0,
        }
    }

    #[inline(never)]
    fn open_object(&mut self, download: Download) -> Result<(), Nrc> {
        self.refusal = None;
        let size = download.size;
        #[cfg(feature = "one-file")]
        let (download, is_file) = one_file::envelope_in(download);
        let (object, turned) = self.turn_to(download.address);
        let checked = turned.and_then(|()| self.check_open(object, download.size));
        if L::Reports::REPORTS {
            self.note_open(object, checked.err());
        }
        let object = self.tell(checked)?;
        // From here on it is what it is of the component that the loader is turned to.
        self.open = Some(Open {
            object,
            size,
            #[cfg(feature = "one-file")]
            is_file,
        });
        Ok(())
    }

    #[inline(never)]
    fn write_object(&mut self, offset: u32, data: &[u8]) -> Result<(), Nrc> {
        let open = self.open.ok_or(Nrc::REQUEST_SEQUENCE_ERROR)?;
        #[cfg(feature = "one-file")]
        if open.is_file {
            let written = self.write_head(open, offset, data);
            return self.tell(written);
        }
        let written = match open.object {
            Object::Image { .. } => self.loader.write_image(data),
            _ if self.loader.receive(offset, data) => Ok(()),
            _ => Err(Reason::ImageOverrun.into()),
        };
        self.note_write(open.object, written.err());
        self.tell(written)
    }

    #[inline(never)]
    fn finish_object(&mut self) -> Result<(), Nrc> {
        let open = self.open.take().ok_or(Nrc::REQUEST_SEQUENCE_ERROR)?;
        let attempted = self.attempted();
        let finished = self.finish(open);
        self.note_finish(open, attempted, finished.err());
        self.tell(finished)
    }

    fn close_object(&mut self) {
        if let Some(Open { object: Object::Image { .. }, .. }) = self.open.take() {
            self.loader.close_image();
        }
    }

    #[inline(never)]
    fn run_routine(&mut self, routine: u16, option: &[u8], answer: &mut Answer<'_>) -> Result<(), Nrc> {
        if L::Reports::REPORTS && routine == rid::MAKE_REPORT {
            return self.make_report(option, answer);
        }
        #[cfg(feature = "table")]
        self.turn_for(routine, option)?;
        #[cfg(not(feature = "table"))]
        if !option.is_empty() {
            return Err(Nrc::INCORRECT_LENGTH);
        }
        match routine {
            rid::ABANDON_INSTALL => {
                let attempted = self.attempted();
                let abandoned = self.loader.abandon();
                if self.tell(abandoned)? {
                    self.refusal = Some(Reason::InstallAbandoned.into());
                    self.note(attempted, Reason::InstallAbandoned.into());
                }
                answer.append(&[0])
            }
            // The check would read the head of slot B into the buffer of the open object.
            rid::CHECK_PROGRAMMING_DEPENDENCIES if self.open.is_some() => Err(Nrc::CONDITIONS_NOT_CORRECT),
            rid::CHECK_PROGRAMMING_DEPENDENCIES => {
                let status = match self.loader.check_pending() {
                    Some(Ok(())) => DependencyStatus::Good,
                    None => DependencyStatus::NothingInstalled,
                    Some(Err(refusal)) => {
                        self.refusal = Some(refusal);
                        self.note(self.attempted(), refusal);
                        DependencyStatus::NoMatch
                    }
                };
                answer.append(&[status as u8])
            }
            _ => Err(Nrc::REQUEST_OUT_OF_RANGE),
        }
    }

    fn change_session(&mut self, session: uds::Session) -> Result<SessionChange, Nrc> {
        // The default session never expires: a device with a bootable image returns to it.
        Ok(match session {
            uds::Session::Default if self.leads_to_an_image() => SessionChange::EnterAndReset,
            _ => SessionChange::Enter,
        })
    }

    fn is_slow(&self, operation: Operation) -> bool {
        match operation {
            Operation::Finish | Operation::Routine(_) => true,
            // Its head may end in these bytes, and is judged then.
            #[cfg(feature = "one-file")]
            Operation::Write { .. } if self.open.is_some_and(|open| open.is_file) => true,
            // Erasing a page alone may take longer than P2.
            Operation::Write { len, .. } => match self.open.map(|open| open.object) {
                Some(Object::Image { .. }) => u32::try_from(len).is_ok_and(|len| self.loader.will_erase(len)),
                _ => false,
            },
            // What is in the slot of an encrypted image is encrypted again.
            Operation::Open(Download { address, .. }) => {
                #[cfg(feature = "table")]
                let object = Destination::at(address).map(|to| to.object);
                #[cfg(not(feature = "table"))]
                let object = Object::at(address);
                L::Profile::DECRYPTS && matches!(object, Some(Object::Image { offset }) if offset > 0)
            }
            Operation::ChangeSession(_) => false,
        }
    }
}

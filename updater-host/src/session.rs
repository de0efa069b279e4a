//! What is asked of one device: its state, a programming session, a download, a reset (docs/can-protocol.md).

use std::time::Duration;

use can_bus::{Ended, Flow, Tester};
use update_protocol::profile::{Component, Destination, ImageState, Mode, Object, StateRecord, did, rid};
use update_protocol::uds::{Nrc, Session as Level};

use crate::connection::{Connection, Trouble};
use crate::device::{self, Device, DeviceTrust};
use crate::error::{DeviceAnswerError, DeviceRefusal, Subject};
use crate::text::DeviceText;

/// What is being done when a device does not let a host in.
pub(crate) const PROGRAMMING: &str = "a programming session";

/// How long a device may take to answer: P2 of ISO 14229-2.
const ANSWER_TIME: Duration = Duration::from_millis(50);

/// Longest report that is taken, in its container, bytes. Loaders of this version make 200; later ones may say more.
pub(crate) const MAX_REPORT_LEN: usize = 4096;

/// A device at one node address.
#[derive(Debug)]
pub(crate) struct Session<'c> {
    connection: &'c mut Connection,
    node: u8,
    /// What of the device state, envelope, image and install are of.
    component: Component,
}

/// Whether a device was heard to take a reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Reset {
    /// It acknowledged it.
    Heard,
    /// No answer: it may have reset or not.
    Lost,
}

impl<'c> Session<'c> {
    /// A device and its firmware; nothing is sent.
    pub(crate) fn new(connection: &'c mut Connection, node: u8) -> Self {
        connection.turn_to(node);
        Self { connection, node, component: Component::Firmware }
    }

    /// The same, with this component.
    pub(crate) fn of(self, component: Component) -> Self {
        Self { component, ..self }
    }

    fn tester(&mut self) -> Result<&mut Tester, Trouble> {
        self.connection.tester()
    }

    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn read(&mut self, did: u16) -> Result<Vec<u8>, Trouble> {
        Ok(self.tester()?.read(did).await?)
    }

    /// Reads an identifier that a device need not have.
    async fn read_optional(&mut self, did: u16) -> Result<Option<Vec<u8>>, Trouble> {
        match self.read(did).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Trouble::Refused(_)) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn state(&mut self) -> Result<StateRecord, Trouble> {
        let component = self.component;
        Ok(self.tester()?.read_state_of(component).await?)
    }

    /// The state of its table; `None` if it has none.
    async fn table(&mut self) -> Result<Option<StateRecord>, Trouble> {
        match self.tester()?.read_state_of(Component::Table).await.map_err(Trouble::from) {
            Ok(state) => Ok(Some(state)),
            Err(Trouble::Refused(_)) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn serial(&mut self) -> Result<DeviceText, Trouble> {
        text(&self.read(did::SERIAL).await?)
    }

    /// Everything a device tells about itself.
    ///
    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn device(&mut self) -> Result<Device, Trouble> {
        let state = self.state().await?;
        let serial = self.serial().await?;
        let identity = device::identity(&self.read(did::IDENTITY).await?).map_err(Trouble::Answer)?;
        let application_version = self.application_version(state.mode).await?;
        let loader_version = self.read_optional(did::LOADER_VERSION).await?;
        let trust = self.trust().await?;
        let mut table = self.table().await?;
        // Where both came in one release the firmware speaks for both (docs/boot-rules.md, Both in one).
        if let Some(table) = &mut table
            && table.image == ImageState::Trial
            && state.image == ImageState::Confirmed
            && state.active_digest != [0; 32]
            && table.active_digest == state.active_digest
        {
            table.image = ImageState::Confirmed;
            // The loader confirms it at the next start, before it takes anything.
            table.sequence_floor = table.sequence_floor.max(table.active_sequence);
        }
        Ok(Device {
            node: self.node,
            serial,
            identity,
            component: Component::Firmware,
            state,
            other: table,
            application_version,
            loader_version: loader_version.as_deref().map(text).transpose()?,
            trust,
        })
    }

    /// What an application calls itself; `None` when it does not say.
    ///
    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn application_version(&mut self, mode: Mode) -> Result<Option<DeviceText>, Trouble> {
        let version = match mode {
            Mode::Application => self.read_optional(did::APPLICATION_VERSION).await?,
            Mode::Loader | Mode::Factory => None,
        };
        version.as_deref().map(text).transpose()
    }

    /// Its anchors and their domains; `None` when it does not say. A loader does, an application need not.
    ///
    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn trust(&mut self) -> Result<Option<DeviceTrust>, Trouble> {
        let report = self.read_optional(did::ANCHORS).await?;
        report.as_deref().map(DeviceTrust::read).transpose().map_err(Trouble::Answer)
    }

    /// Whether its programming session lasts.
    ///
    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn is_in_programming(&mut self) -> Result<bool, Trouble> {
        Ok(self.read(did::ACTIVE_SESSION).await? == [Level::Programming as u8])
    }

    /// Listens until every device at this node address must have answered the first question. Each question counts its
    /// answers; this is for a decision that has to wait for those of a slower device.
    ///
    /// # Errors
    /// [`Trouble::Clash`], [`Trouble::Bus`]
    pub(crate) async fn settle(&mut self) -> Result<(), Trouble> {
        Ok(self.tester()?.settle(ANSWER_TIME).await?)
    }

    /// Brings the loader into a programming session; an application resets into it first.
    ///
    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn open_programming(&mut self) -> Result<(), Trouble> {
        Ok(self.tester()?.session(Level::Programming).await?)
    }

    /// Sends a whole object and has it accepted; `data` is all of it, also when the download of an image begins at an
    /// offset. Envelope and image are those of the component. `on_block` hears how many bytes of it the device has.
    ///
    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn download(
        &mut self,
        object: Object,
        data: &[u8],
        on_block: impl FnMut(usize) -> Flow,
    ) -> Result<Ended, Trouble> {
        let to = match object {
            Object::Envelope | Object::Image { .. } => object.of(self.component),
            Object::RevocationList | Object::ProvisioningBlock | Object::SuccessionChain => {
                Destination::from(object)
            }
        };
        Ok(self.tester()?.download(to, data, on_block).await?)
    }

    /// Has the loader drop an install in progress or a pending image of the component.
    ///
    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn abandon(&mut self) -> Result<(), Trouble> {
        // Loaders without a table take no option.
        let option: &[u8] = match self.component {
            Component::Firmware => &[],
            Component::Table => &[Component::Table as u8],
        };
        self.tester()?.routine(rid::ABANDON_INSTALL, option).await?;
        Ok(())
    }

    /// Has the loader make a report of its last attempt to install, in its container.
    ///
    /// # Errors
    /// [`Trouble`]; [`DeviceAnswerError::TooLong`] above [`MAX_REPORT_LEN`]
    pub(crate) async fn report(&mut self, nonce: &[u8]) -> Result<Vec<u8>, Trouble> {
        let container = self.tester()?.routine(rid::MAKE_REPORT, nonce).await?;
        if container.len() > MAX_REPORT_LEN {
            let len = u32::try_from(container.len()).unwrap_or(u32::MAX);
            return Err(Trouble::Answer(DeviceAnswerError::TooLong(len)));
        }
        Ok(container)
    }

    /// Resets the device. It may be gone before its answer is heard.
    ///
    /// # Errors
    /// [`Trouble::Refused`], [`Trouble::Bus`]
    pub(crate) async fn reset(&mut self) -> Result<Reset, Trouble> {
        match self.tester()?.hard_reset().await.map_err(Trouble::from) {
            Ok(()) => Ok(Reset::Heard),
            Err(Trouble::Lost(_)) => Ok(Reset::Lost),
            Err(trouble) => Err(trouble),
        }
    }

    /// What a negative answer means: the reason is in the state record. That of a mere step is not: there is the one
    /// of an older refusal or revert.
    pub(crate) async fn refusal(&mut self, subject: Subject, nrc: Nrc) -> DeviceRefusal {
        let (reason_code, position) = match subject {
            Subject::Step(_) => (0, 0),
            _ => match self.refusing_state(&subject).await {
                Ok(state) => (state.reason, state.reason_position),
                Err(_) => (0, 0),
            },
        };
        DeviceRefusal { subject, nrc, reason_code, position }
    }
}

impl Session<'_> {
    /// The state record with the reason of a refusal: lists and successions are no matter of a table.
    async fn refusing_state(&mut self, subject: &Subject) -> Result<StateRecord, Trouble> {
        let component = match subject {
            Subject::Envelope | Subject::Image | Subject::SlotImage { .. } | Subject::Table => self.component,
            Subject::RevocationList(_)
            | Subject::Succession(_)
            | Subject::SuccessionChain(_)
            | Subject::ProvisioningBlock
            | Subject::Report
            | Subject::Step(_) => Component::Firmware,
        };
        Ok(self.tester()?.read_state_of(component).await?)
    }
}

fn text(bytes: &[u8]) -> Result<DeviceText, Trouble> {
    DeviceText::new(bytes).map_err(Trouble::Answer)
}

/// Whether a negative answer means that the session is gone, or that somebody else talks to the device, rather than
/// that the device refuses what it was given.
#[must_use]
pub(crate) fn session_is_lost(nrc: Nrc) -> bool {
    matches!(
        nrc,
        Nrc::BUSY_REPEAT_REQUEST
            | Nrc::REQUEST_SEQUENCE_ERROR
            | Nrc::WRONG_BLOCK_SEQUENCE_COUNTER
            | Nrc::SUB_FUNCTION_NOT_IN_SESSION
            | Nrc::SERVICE_NOT_IN_SESSION
    )
}

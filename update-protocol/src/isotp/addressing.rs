//! The identifiers of a link, checked against those that belong to CANopen (CiA 301) on a mixed bus.

use core::fmt;

use crate::can::Id;

/// A CANopen service that owns 11-bit identifiers an ISO-TP link could take by mistake (CiA 301, 7.3; CiA 305).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CanopenService {
    /// `000`..=`180`: network management, SYNC, emergencies, time. On `000` a single frame starts and stops nodes.
    Management,
    /// `181`..=`57F`: process data objects; `201` may be the control word of a drive.
    Pdo,
    /// `580`..=`67F`: service data objects.
    Sdo,
    /// `701`..=`77F`: heartbeat and node guarding.
    Heartbeat,
    /// `7E4` and `7E5`: layer setting services, which change node addresses and bit rates.
    Lss,
}

impl CanopenService {
    /// The service that owns `id`, if any.
    #[must_use]
    pub const fn owner_of(id: Id) -> Option<Self> {
        match id {
            Id::Standard(0x000..=0x180) => Some(Self::Management),
            Id::Standard(0x181..=0x57F) => Some(Self::Pdo),
            Id::Standard(0x580..=0x67F) => Some(Self::Sdo),
            Id::Standard(0x701..=0x77F) => Some(Self::Heartbeat),
            Id::Standard(0x7E4..=0x7E5) => Some(Self::Lss),
            Id::Standard(_) | Id::Extended(_) => None,
        }
    }
}

/// Why identifiers cannot be a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressingError {
    /// An identifier does not fit 11 or 29 bits.
    OutOfRange(Id),
    /// The same identifier is used for two purposes.
    Ambiguous(Id),
    /// The identifier belongs to CANopen.
    Canopen(Id, CanopenService),
}

impl fmt::Display for AddressingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange(id) => write!(f, "the CAN identifier {:X} is out of range", id.raw()),
            Self::Ambiguous(id) => write!(f, "the CAN identifier {id} is used twice"),
            Self::Canopen(id, service) => write!(f, "the CAN identifier {id} belongs to CANopen {service}"),
        }
    }
}

impl fmt::Display for CanopenService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Management => "management (000..180)",
            Self::Pdo => "process data (181..57F)",
            Self::Sdo => "service data (580..67F)",
            Self::Heartbeat => "heartbeats (701..77F)",
            Self::Lss => "layer settings (7E4 and 7E5)",
        })
    }
}

impl core::error::Error for AddressingError {}

/// Identifiers of one link, seen from this end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addressing {
    pub(crate) tx: Id,
    pub(crate) rx: Id,
    pub(crate) functional_tx: Option<Id>,
    pub(crate) functional_rx: Option<Id>,
}

impl Addressing {
    /// The device's end: it also listens to `functional`.
    ///
    /// # Errors
    /// [`AddressingError`]
    pub fn device(tx: Id, rx: Id, functional: Option<Id>) -> Result<Self, AddressingError> {
        Self { tx, rx, functional_tx: None, functional_rx: functional }.checked()
    }

    /// The tester's end: it may also send to `functional`.
    ///
    /// # Errors
    /// [`AddressingError`]
    pub fn tester(tx: Id, rx: Id, functional: Option<Id>) -> Result<Self, AddressingError> {
        Self { tx, rx, functional_tx: functional, functional_rx: None }.checked()
    }

    /// The tester's end on a bus where no CANopen node could mistake its frames; without a functional identifier.
    ///
    /// # Errors
    /// [`AddressingError::OutOfRange`], [`AddressingError::Ambiguous`]
    pub fn tester_forced(tx: Id, rx: Id) -> Result<Self, AddressingError> {
        Self { tx, rx, functional_tx: None, functional_rx: None }.usable()
    }

    /// For the constants of the profile, which a test checks.
    pub(crate) const fn known(tx: Id, rx: Id, functional_tx: Option<Id>, functional_rx: Option<Id>) -> Self {
        Self { tx, rx, functional_tx, functional_rx }
    }

    pub(crate) fn checked(self) -> Result<Self, AddressingError> {
        let usable = self.usable()?;
        for id in usable.ids() {
            if let Some(service) = CanopenService::owner_of(id) {
                return Err(AddressingError::Canopen(id, service));
            }
        }
        Ok(usable)
    }

    fn usable(self) -> Result<Self, AddressingError> {
        if let Some(id) = self.ids().find(|id| !id.is_valid()) {
            return Err(AddressingError::OutOfRange(id));
        }
        if let Some(id) = self.ids().find(|id| self.ids().filter(|other| other == id).count() > 1) {
            return Err(AddressingError::Ambiguous(id));
        }
        Ok(self)
    }

    fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        [Some(self.tx), Some(self.rx), self.functional_tx, self.functional_rx].into_iter().flatten()
    }

    /// Identifier of the frames that this end sends.
    #[must_use]
    pub const fn tx(&self) -> Id {
        self.tx
    }

    /// Identifier of the frames that this end may send to all.
    #[must_use]
    pub const fn functional_tx(&self) -> Option<Id> {
        self.functional_tx
    }

    /// Identifier of the frames that this end receives.
    #[must_use]
    pub const fn rx(&self) -> Id {
        self.rx
    }
}

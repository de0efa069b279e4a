//! What a device does, in its own words: objects, data, routines, sessions. No service, no counter, no length.

use super::super::{Nrc, Session};

/// A download that a tester asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Download {
    /// Names the object ([`crate::profile::Object::at`]).
    pub address: u32,
    /// Its bytes; at least 1, and `address + size` does not overflow.
    pub size: u32,
}

/// How a session change goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionChange {
    /// Here: the positive answer goes out.
    Enter,
    /// Here, but for the answer only: the positive answer goes out, then comes [`Event::Reset`](super::Event::Reset).
    /// For a loader that a tester leaves: the default session never expires, so the loader would stay without end.
    EnterAndReset,
    /// In another program: NRC 78 goes out, then comes [`Event::Reset`](super::Event::Reset); that program answers
    /// ([`Server::announcing`](super::Server::announcing)). What it needs to know is stored by then.
    HandOver,
}

/// An operation that may take longer than P2 (50 ms).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// [`Handler::open_object`]
    Open(Download),
    /// [`Handler::write_object`]
    Write {
        /// Where the block begins.
        offset: u32,
        /// Its bytes.
        len: usize,
    },
    /// [`Handler::finish_object`]
    Finish,
    /// [`Handler::run_routine`]
    Routine(u16),
    /// [`Handler::change_session`]
    ChangeSession(Session),
}

/// The answer in the making; what does not fit is refused.
#[derive(Debug)]
pub struct Answer<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Answer<'a> {
    /// An empty answer in `buffer`.
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`Nrc::RESPONSE_TOO_LONG`]; nothing is appended then.
    // A call, for size: it has many callers.
    #[inline(never)]
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Nrc> {
        let end = self.len.checked_add(bytes.len()).ok_or(Nrc::RESPONSE_TOO_LONG)?;
        self.buffer.get_mut(self.len..end).ok_or(Nrc::RESPONSE_TOO_LONG)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// The appended bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Nothing yet?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A device, or the part of it that answers a tester.
///
/// Every method may refuse with an [`Nrc`]. A method of an [`Operation`] may also return
/// `Err(Nrc::RESPONSE_PENDING)`: it has worked for a while and is not done; it is called again with the same
/// arguments at the next poll, and the tester is kept waiting meanwhile.
pub trait Handler {
    /// Appends the content of a data identifier. [`Nrc::REQUEST_OUT_OF_RANGE`]: the identifier is unknown here.
    /// The active session (`F186`) is answered by the server.
    ///
    /// # Errors
    /// The refusal for the tester.
    fn read_identifier(&mut self, did: u16, answer: &mut Answer<'_>) -> Result<(), Nrc>;

    /// Delay before a read of this identifier is answered, µs; well below P2. For answers that several devices at one
    /// address give: on CAN they must not be sent at the same time.
    fn read_delay_us(&mut self, _did: u16) -> u32 {
        0
    }

    /// Begins an object. On success bytes follow in order, then [`finish_object`](Self::finish_object) or
    /// [`close_object`](Self::close_object).
    ///
    /// # Errors
    /// The refusal for the tester; the object is not open then.
    fn open_object(&mut self, _download: Download) -> Result<(), Nrc> {
        Err(Nrc::SERVICE_NOT_SUPPORTED)
    }

    /// The next bytes of the open object. `offset` is what came before; never more than was announced in all.
    ///
    /// # Errors
    /// The refusal for the tester; [`close_object`](Self::close_object) follows.
    fn write_object(&mut self, _offset: u32, _data: &[u8]) -> Result<(), Nrc> {
        Err(Nrc::SERVICE_NOT_SUPPORTED)
    }

    /// All bytes have come: judge the object. It is closed afterwards, whatever is returned.
    ///
    /// # Errors
    /// The refusal for the tester.
    fn finish_object(&mut self) -> Result<(), Nrc> {
        Err(Nrc::SERVICE_NOT_SUPPORTED)
    }

    /// The object is given up before its end: session change or expiry, reset, another download, failed write.
    fn close_object(&mut self) {}

    /// Starts a routine; what it answers is appended.
    ///
    /// # Errors
    /// The refusal for the tester; [`Nrc::REQUEST_OUT_OF_RANGE`]: the routine is unknown.
    fn run_routine(&mut self, _routine: u16, _option: &[u8], _answer: &mut Answer<'_>) -> Result<(), Nrc> {
        Err(Nrc::REQUEST_OUT_OF_RANGE)
    }

    /// A tester asks for a session.
    ///
    /// # Errors
    /// The refusal for the tester; the session stays.
    fn change_session(&mut self, _session: Session) -> Result<SessionChange, Nrc> {
        Ok(SessionChange::Enter)
    }

    /// A tester asks for a reset. On success [`Event::Reset`](super::Event::Reset) follows.
    ///
    /// # Errors
    /// The refusal for the tester.
    fn prepare_reset(&mut self) -> Result<(), Nrc> {
        Ok(())
    }

    /// Whether NRC 78 goes out before the operation.
    fn is_slow(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Finish | Operation::Routine(_))
    }
}

//! The services, each with the order of its checks (ISO 14229-1:2020, figures 5 to 7 and the NRC tables).
//!
//! General order: service known (11), in this session (7F), shortest length (13), sub-function known (12), exact
//! length (13), sequence (24), range (31), then what the service and the handler add.

use super::super::{MAX_IDENTIFIERS, Nrc, P2_STAR_MS, POSITIVE_OFFSET, SUPPRESS_POSITIVE, Session, sid};
use super::handler::{Answer, Download, Handler, Operation, SessionChange};
use super::{OpenDownload, Reply, Server};
use crate::profile::{declared_p2_ms, did};

/// LengthFormatIdentifier of a two-byte block length.
const LENGTH_FORMAT: u8 = 0x20;
const NO_COMPRESSION_NO_ENCRYPTION: u8 = 0;
/// Bytes of the identifiers of one read, at most.
const LONGEST_READ: u8 = (MAX_IDENTIFIERS * 2).to_le_bytes()[0];
const _: () = assert!(MAX_IDENTIFIERS * 2 < ANY as usize);
/// Any length from the shortest on.
const ANY: u8 = u8::MAX;

/// What every request of a service is checked for, in this order.
struct Service {
    sid: u8,
    /// In the programming session only.
    is_programming: bool,
    /// Bytes after the service identifier, at least.
    shortest: u8,
    /// Its sub-functions, bit n for n; 0: it has none.
    sub_functions: u8,
    /// Bytes after the service identifier, at most.
    longest: u8,
    /// Its positive answer repeats the first byte after the service identifier.
    echoes: bool,
}

const fn service(sid: u8, is_programming: bool, (shortest, longest): (u8, u8)) -> Service {
    Service { sid, is_programming, shortest, sub_functions: 0, longest, echoes: false }
}

impl Service {
    const fn with_sub_functions(self, sub_functions: u8) -> Self {
        Self { sub_functions, ..self }.echoing()
    }

    const fn echoing(self) -> Self {
        Self { echoes: true, ..self }
    }
}

static SERVICES: [Service; 8] = [
    service(sid::SESSION, false, (1, 1)).with_sub_functions(0b1110),
    // Hard reset.
    service(sid::RESET, false, (1, 1)).with_sub_functions(0b10),
    service(sid::READ, false, (2, LONGEST_READ)),
    service(sid::TESTER_PRESENT, false, (1, 1)).with_sub_functions(0b1),
    // Start a routine.
    service(sid::ROUTINE, true, (3, ANY)).with_sub_functions(0b10),
    // Format, widths, one byte each of address and size.
    service(sid::DOWNLOAD, true, (4, ANY)),
    service(sid::TRANSFER, true, (2, ANY)).echoing(),
    service(sid::TRANSFER_EXIT, true, (0, 0)),
];

/// How long the answer to a request waits: as long as the most patient of the identifiers that it reads.
pub(super) fn read_delay_us<H: Handler + ?Sized>(request: &[u8], handler: &mut H) -> u32 {
    let Some(parameters) = request.strip_prefix(&[sid::READ]) else { return 0 };
    let (identifiers, _) = parameters.as_chunks::<2>();
    let read = identifiers.iter().take(MAX_IDENTIFIERS);
    read.map(|identifier| handler.read_delay_us(u16::from_be_bytes(*identifier))).max().unwrap_or(0)
}

/// A request that passed the checks of its service.
struct Request<'r> {
    /// After the service identifier.
    parameters: &'r [u8],
    /// The first of them, without the bit that suppresses a positive answer if it is a sub-function; else 0.
    first: u8,
    /// NRC 78 went out for it, so it runs now, and its positive answer is always sent.
    resumed: bool,
    /// Longest request that the device takes.
    max_request_len: u16,
}

impl Request<'_> {
    fn defer_if_slow<H: Handler + ?Sized>(&self, handler: &H, operation: Operation) -> Result<(), Nrc> {
        if !self.resumed && handler.is_slow(operation) { Err(Nrc::RESPONSE_PENDING) } else { Ok(()) }
    }
}

impl Server {
    /// Serves one request. `resumed`: NRC 78 went out for it.
    // Apart from its caller: together they are larger than the stack offsets of short instructions reach.
    #[inline(never)]
    pub(super) fn dispatch<H: Handler + ?Sized>(
        &mut self,
        request: &[u8],
        answer: &mut [u8],
        handler: &mut H,
        resumed: bool,
        max_request_len: u16,
    ) -> Reply {
        let Some((&sid, parameters)) = request.split_first() else {
            return Reply::Silent;
        };
        let mut answer = Answer::new(answer);
        let done = match self.check(sid, parameters, &mut answer) {
            Ok((first, suppressed)) => {
                let request = Request { parameters, first, resumed, max_request_len };
                self.run(sid, &request, &mut answer, handler).map(|()| suppressed && !resumed)
            }
            Err(nrc) => Err(nrc),
        };
        match done {
            Ok(true) => Reply::Silent,
            Ok(false) => Reply::Positive(answer.len()),
            Err(Nrc::RESPONSE_PENDING) => Reply::Pending,
            Err(nrc) => Reply::Negative(nrc),
        }
    }

    /// Finds the service and makes its checks. The first parameter, and whether the tester asked for no positive
    /// answer; `answer` begins as a positive one.
    #[inline(never)]
    fn check(&self, sid: u8, parameters: &[u8], answer: &mut Answer<'_>) -> Result<(u8, bool), Nrc> {
        let service = SERVICES.iter().find(|service| service.sid == sid).ok_or(Nrc::SERVICE_NOT_SUPPORTED)?;
        if service.is_programming && self.session != Session::Programming {
            return Err(Nrc::SERVICE_NOT_IN_SESSION);
        }
        if parameters.len() < service.shortest.into() {
            return Err(Nrc::INCORRECT_LENGTH);
        }
        let (mut first, mut suppressed) = (parameters.first().copied().unwrap_or(0), false);
        if service.sub_functions != 0 {
            suppressed = first & SUPPRESS_POSITIVE != 0;
            first &= !SUPPRESS_POSITIVE;
            if u32::from(service.sub_functions).checked_shr(first.into()).unwrap_or(0) & 1 == 0 {
                return Err(Nrc::SUB_FUNCTION_NOT_SUPPORTED);
            }
        }
        if service.longest != ANY && parameters.len() > service.longest.into() {
            return Err(Nrc::INCORRECT_LENGTH);
        }
        let head = [sid | POSITIVE_OFFSET, first];
        answer.append(if service.echoes { &head } else { &head[..1] })?;
        Ok((first, suppressed))
    }

    fn run<H: Handler + ?Sized>(
        &mut self,
        sid: u8,
        request: &Request<'_>,
        answer: &mut Answer<'_>,
        handler: &mut H,
    ) -> Result<(), Nrc> {
        match sid {
            sid::SESSION => self.session_control(request, answer, handler),
            sid::RESET => {
                handler.prepare_reset()?;
                self.close_download(handler);
                self.reset_after_answer = true;
                Ok(())
            }
            sid::READ => self.read(request, answer, handler),
            sid::ROUTINE => routine(request, answer, handler),
            sid::DOWNLOAD => self.request_download(request, answer, handler),
            sid::TRANSFER => self.transfer(request, answer, handler),
            sid::TRANSFER_EXIT => self.transfer_exit(request, handler),
            // TesterPresent: the answer is there.
            _ => Ok(()),
        }
    }

    fn session_control<H: Handler + ?Sized>(
        &mut self,
        request: &Request<'_>,
        answer: &mut Answer<'_>,
        handler: &mut H,
    ) -> Result<(), Nrc> {
        let session = Session::from_byte(request.first).ok_or(Nrc::SUB_FUNCTION_NOT_SUPPORTED)?;
        request.defer_if_slow(handler, Operation::ChangeSession(session))?;
        let change = handler.change_session(session)?;
        // Every switch begins anew, also one to the session that is active (table 24).
        self.close_download(handler);
        self.reset_after_answer = change != SessionChange::Enter;
        if change == SessionChange::HandOver {
            return Err(Nrc::RESPONSE_PENDING);
        }
        self.session = session;
        answer.append(&timing(request.max_request_len))
    }

    fn read<H: Handler + ?Sized>(
        &mut self,
        request: &Request<'_>,
        answer: &mut Answer<'_>,
        handler: &mut H,
    ) -> Result<(), Nrc> {
        let (identifiers, odd) = request.parameters.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(Nrc::INCORRECT_LENGTH);
        }
        // One that is unknown refuses the request. The standard also allows to leave it out (11.2.2), but stock testers
        // take such an answer for malformed.
        for identifier in identifiers {
            answer.append(identifier)?;
            match u16::from_be_bytes(*identifier) {
                did::ACTIVE_SESSION => answer.append(&[self.session as u8])?,
                number => handler.read_identifier(number, answer)?,
            }
        }
        Ok(())
    }

    fn request_download<H: Handler + ?Sized>(
        &mut self,
        request: &Request<'_>,
        answer: &mut Answer<'_>,
        handler: &mut H,
    ) -> Result<(), Nrc> {
        let download = parse_download(request.parameters)?;
        request.defer_if_slow(handler, Operation::Open(download))?;
        // A tester that lost its place begins again: what was open is given up.
        self.close_download(handler);
        handler.open_object(download)?;
        self.download = Some(OpenDownload { size: download.size, received: 0, last_block: None });
        let [high, low] = request.max_request_len.to_be_bytes();
        answer.append(&[LENGTH_FORMAT, high, low])
    }

    fn transfer<H: Handler + ?Sized>(
        &mut self,
        request: &Request<'_>,
        answer: &mut Answer<'_>,
        handler: &mut H,
    ) -> Result<(), Nrc> {
        let (&counter, data) = request.parameters.split_first().ok_or(Nrc::INCORRECT_LENGTH)?;
        let open = self.download.as_ref().ok_or(Nrc::REQUEST_SEQUENCE_ERROR)?;
        // The last block again: its answer was lost. It is written already.
        if open.last_block == Some(counter) {
            return answer.append(&open.received.to_be_bytes());
        }
        if counter != open.last_block.unwrap_or(0).wrapping_add(1) {
            return Err(Nrc::WRONG_BLOCK_SEQUENCE_COUNTER);
        }
        let offset = open.received;
        let received = u32::try_from(data.len()).ok().and_then(|len| offset.checked_add(len));
        let received =
            received.filter(|&received| received <= open.size).ok_or(Nrc::TRANSFER_DATA_SUSPENDED)?;
        request.defer_if_slow(handler, Operation::Write { offset, len: data.len() })?;
        let written = handler.write_object(offset, data);
        if let Err(nrc) = written
            && nrc != Nrc::RESPONSE_PENDING
        {
            // Nobody knows what is in flash now: the object is over.
            self.close_download(handler);
        }
        written?;
        if let Some(open) = &mut self.download {
            open.received = received;
            open.last_block = Some(counter);
        }
        answer.append(&received.to_be_bytes())
    }

    fn transfer_exit<H: Handler + ?Sized>(
        &mut self,
        request: &Request<'_>,
        handler: &mut H,
    ) -> Result<(), Nrc> {
        if self.download.as_ref().is_none_or(|open| open.received != open.size) {
            return Err(Nrc::REQUEST_SEQUENCE_ERROR);
        }
        request.defer_if_slow(handler, Operation::Finish)?;
        let judged = handler.finish_object();
        if judged != Err(Nrc::RESPONSE_PENDING) {
            self.download = None;
        }
        judged
    }
}

/// What a positive answer to DiagnosticSessionControl ends with: P2 in ms, P2* in units of 10 ms.
pub(super) fn timing(max_request_len: u16) -> [u8; 4] {
    let [p2_high, p2_low] = declared_p2_ms(max_request_len).to_be_bytes();
    let [star_high, star_low] = (P2_STAR_MS / 10).to_be_bytes();
    [p2_high, p2_low, star_high, star_low]
}

fn routine<H: Handler + ?Sized>(
    request: &Request<'_>,
    answer: &mut Answer<'_>,
    handler: &mut H,
) -> Result<(), Nrc> {
    let (&[_, high, low], option) = request.parameters.split_first_chunk().ok_or(Nrc::INCORRECT_LENGTH)?;
    let routine = u16::from_be_bytes([high, low]);
    request.defer_if_slow(handler, Operation::Routine(routine))?;
    answer.append(&[high, low])?;
    handler.run_routine(routine, option, answer)
}

/// `DFI ALFID address size`. Widths of 1 to 4 bytes are taken; docs/can-protocol.md uses 4 and 4.
fn parse_download(parameters: &[u8]) -> Result<Download, Nrc> {
    let (&[format, widths], fields) = parameters.split_first_chunk().ok_or(Nrc::INCORRECT_LENGTH)?;
    let (size_width, address_width) = (usize::from(widths >> 4), usize::from(widths & 0x0F));
    let is_width = |width: usize| (1..=4).contains(&width);
    if format != NO_COMPRESSION_NO_ENCRYPTION || !is_width(size_width) || !is_width(address_width) {
        return Err(Nrc::REQUEST_OUT_OF_RANGE);
    }
    let (address, size) = fields.split_at_checked(address_width).ok_or(Nrc::INCORRECT_LENGTH)?;
    if size.len() != size_width {
        return Err(Nrc::INCORRECT_LENGTH);
    }
    let (address, size) = (number(address), number(size));
    if size == 0 || address.checked_add(size).is_none() {
        return Err(Nrc::REQUEST_OUT_OF_RANGE);
    }
    Ok(Download { address, size })
}

/// Big-endian, at most 4 bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

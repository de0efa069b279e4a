//! The services, each with the order of its checks (ISO 14229-1:2020, figures 5 to 7 and the NRC tables).
//!
//! General order: service known (11), in this session (7F), shortest length (13), sub-function known (12), exact
//! length (13), sequence (24), range (31), then what the service and the handler add.

use super::super::{MAX_IDENTIFIERS, Nrc, P2_STAR_MS, POSITIVE_OFFSET, SUPPRESS_POSITIVE, Session, sid};
use super::handler::{Answer, Download, Handler, Operation, SessionChange};
use super::{OpenDownload, Reply, Server};
use crate::profile::{declared_p2_ms, did};

const HARD_RESET: u8 = 1;
const START_ROUTINE: u8 = 1;
/// LengthFormatIdentifier of a two-byte block length.
const LENGTH_FORMAT: u8 = 0x20;
const NO_COMPRESSION_NO_ENCRYPTION: u8 = 0;
/// Shortest RequestDownload: service, format, lengths, one byte each of address and size.
const SHORTEST_DOWNLOAD: usize = 5;

/// How long the answer to a request waits: as long as the most patient of the identifiers that it reads.
pub(super) fn read_delay_us<H: Handler + ?Sized>(request: &[u8], handler: &mut H) -> u32 {
    let Some(parameters) = request.strip_prefix(&[sid::READ]) else { return 0 };
    let (identifiers, _) = parameters.as_chunks::<2>();
    let read = identifiers.iter().take(MAX_IDENTIFIERS);
    read.map(|identifier| handler.read_delay_us(u16::from_be_bytes(*identifier))).max().unwrap_or(0)
}

impl Server {
    /// Serves one request. `resumed`: NRC 78 went out for it, so it runs now, and its positive answer is always sent.
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
        let Some((&service, parameters)) = request.split_first() else {
            return Reply::Silent;
        };
        let mut answer = Answer::new(answer);
        let done = match service {
            sid::SESSION => self.session_control(parameters, &mut answer, handler, resumed, max_request_len),
            sid::RESET => self.reset(parameters, &mut answer, handler),
            sid::READ => self.read(parameters, &mut answer, handler),
            sid::TESTER_PRESENT => tester_present(parameters, &mut answer),
            sid::ROUTINE | sid::DOWNLOAD | sid::TRANSFER | sid::TRANSFER_EXIT
                if self.session != Session::Programming =>
            {
                Err(Nrc::SERVICE_NOT_IN_SESSION)
            }
            sid::ROUTINE => routine(parameters, &mut answer, handler, resumed),
            sid::DOWNLOAD => {
                self.request_download(parameters, &mut answer, handler, resumed, max_request_len)
            }
            sid::TRANSFER => self.transfer(parameters, &mut answer, handler, resumed),
            sid::TRANSFER_EXIT => self.transfer_exit(parameters, &mut answer, handler, resumed),
            _ => Err(Nrc::SERVICE_NOT_SUPPORTED),
        };
        match done {
            Ok(Suppressed(true)) if !resumed => Reply::Silent,
            Ok(_) => Reply::Positive(answer.len()),
            Err(Nrc::RESPONSE_PENDING) => Reply::Pending,
            Err(nrc) => Reply::Negative(nrc),
        }
    }

    fn session_control<H: Handler + ?Sized>(
        &mut self,
        parameters: &[u8],
        answer: &mut Answer<'_>,
        handler: &mut H,
        resumed: bool,
        max_request_len: u16,
    ) -> Result<Suppressed, Nrc> {
        let (sub_function, suppressed, rest) = sub_function(parameters)?;
        let session = Session::from_byte(sub_function).ok_or(Nrc::SUB_FUNCTION_NOT_SUPPORTED)?;
        exactly(rest, 0)?;
        defer_if_slow(handler, Operation::ChangeSession(session), resumed)?;
        let change = handler.change_session(session)?;
        // Every switch begins anew, also one to the session that is active (table 24).
        self.close_download(handler);
        self.reset_after_answer = change != SessionChange::Enter;
        if change == SessionChange::HandOver {
            return Err(Nrc::RESPONSE_PENDING);
        }
        self.session = session;
        answer.append(&[sid::SESSION | POSITIVE_OFFSET, sub_function])?;
        answer.append(&declared_p2_ms(max_request_len).to_be_bytes())?;
        answer.append(&(P2_STAR_MS / 10).to_be_bytes())?;
        Ok(suppressed)
    }

    fn reset<H: Handler + ?Sized>(
        &mut self,
        parameters: &[u8],
        answer: &mut Answer<'_>,
        handler: &mut H,
    ) -> Result<Suppressed, Nrc> {
        let (sub_function, suppressed, rest) = sub_function(parameters)?;
        if sub_function != HARD_RESET {
            return Err(Nrc::SUB_FUNCTION_NOT_SUPPORTED);
        }
        exactly(rest, 0)?;
        handler.prepare_reset()?;
        self.close_download(handler);
        self.reset_after_answer = true;
        answer.append(&[sid::RESET | POSITIVE_OFFSET, sub_function])?;
        Ok(suppressed)
    }

    fn read<H: Handler + ?Sized>(
        &mut self,
        parameters: &[u8],
        answer: &mut Answer<'_>,
        handler: &mut H,
    ) -> Result<Suppressed, Nrc> {
        let (identifiers, odd) = parameters.as_chunks::<2>();
        if identifiers.is_empty() || !odd.is_empty() || identifiers.len() > MAX_IDENTIFIERS {
            return Err(Nrc::INCORRECT_LENGTH);
        }
        answer.append(&[sid::READ | POSITIVE_OFFSET])?;
        // One that is unknown refuses the request. The standard also allows to leave it out (11.2.2), but stock testers
        // take such an answer for malformed.
        for identifier in identifiers {
            answer.append(identifier)?;
            match u16::from_be_bytes(*identifier) {
                did::ACTIVE_SESSION => answer.append(&[self.session as u8])?,
                number => handler.read_identifier(number, answer)?,
            }
        }
        Ok(Suppressed(false))
    }

    fn request_download<H: Handler + ?Sized>(
        &mut self,
        parameters: &[u8],
        answer: &mut Answer<'_>,
        handler: &mut H,
        resumed: bool,
        max_request_len: u16,
    ) -> Result<Suppressed, Nrc> {
        let download = parse_download(parameters)?;
        defer_if_slow(handler, Operation::Open(download), resumed)?;
        // A tester that lost its place begins again: what was open is given up.
        self.close_download(handler);
        handler.open_object(download)?;
        self.download = Some(OpenDownload { size: download.size, received: 0, last_block: None });
        answer.append(&[sid::DOWNLOAD | POSITIVE_OFFSET, LENGTH_FORMAT])?;
        answer.append(&max_request_len.to_be_bytes())?;
        Ok(Suppressed(false))
    }

    fn transfer<H: Handler + ?Sized>(
        &mut self,
        parameters: &[u8],
        answer: &mut Answer<'_>,
        handler: &mut H,
        resumed: bool,
    ) -> Result<Suppressed, Nrc> {
        let (&counter, data) = parameters.split_first().ok_or(Nrc::INCORRECT_LENGTH)?;
        if data.is_empty() {
            return Err(Nrc::INCORRECT_LENGTH);
        }
        let open = self.download.ok_or(Nrc::REQUEST_SEQUENCE_ERROR)?;
        answer.append(&[sid::TRANSFER | POSITIVE_OFFSET, counter])?;
        // The last block again: its answer was lost. It is written already.
        if open.last_block == Some(counter) {
            answer.append(&open.received.to_be_bytes())?;
            return Ok(Suppressed(false));
        }
        if counter != open.last_block.unwrap_or(0).wrapping_add(1) {
            return Err(Nrc::WRONG_BLOCK_SEQUENCE_COUNTER);
        }
        let received = u32::try_from(data.len()).ok().and_then(|len| open.received.checked_add(len));
        let received =
            received.filter(|&received| received <= open.size).ok_or(Nrc::TRANSFER_DATA_SUSPENDED)?;
        defer_if_slow(handler, Operation::Write { offset: open.received, len: data.len() }, resumed)?;
        match handler.write_object(open.received, data) {
            Ok(()) => {}
            Err(Nrc::RESPONSE_PENDING) => return Err(Nrc::RESPONSE_PENDING),
            // Nobody knows what is in flash now: the object is over.
            Err(nrc) => {
                self.close_download(handler);
                return Err(nrc);
            }
        }
        self.download = Some(OpenDownload { received, last_block: Some(counter), ..open });
        answer.append(&received.to_be_bytes())?;
        Ok(Suppressed(false))
    }

    fn transfer_exit<H: Handler + ?Sized>(
        &mut self,
        parameters: &[u8],
        answer: &mut Answer<'_>,
        handler: &mut H,
        resumed: bool,
    ) -> Result<Suppressed, Nrc> {
        exactly(parameters, 0)?;
        let open = self.download.ok_or(Nrc::REQUEST_SEQUENCE_ERROR)?;
        if open.received != open.size {
            return Err(Nrc::REQUEST_SEQUENCE_ERROR);
        }
        defer_if_slow(handler, Operation::Finish, resumed)?;
        match handler.finish_object() {
            Err(Nrc::RESPONSE_PENDING) => return Err(Nrc::RESPONSE_PENDING),
            judged => {
                self.download = None;
                judged?;
            }
        }
        answer.append(&[sid::TRANSFER_EXIT | POSITIVE_OFFSET])?;
        Ok(Suppressed(false))
    }
}

/// Whether the tester asked for no positive answer.
struct Suppressed(bool);

fn tester_present(parameters: &[u8], answer: &mut Answer<'_>) -> Result<Suppressed, Nrc> {
    let (sub_function, suppressed, rest) = sub_function(parameters)?;
    if sub_function != 0 {
        return Err(Nrc::SUB_FUNCTION_NOT_SUPPORTED);
    }
    exactly(rest, 0)?;
    answer.append(&[sid::TESTER_PRESENT | POSITIVE_OFFSET, sub_function])?;
    Ok(suppressed)
}

fn routine<H: Handler + ?Sized>(
    parameters: &[u8],
    answer: &mut Answer<'_>,
    handler: &mut H,
    resumed: bool,
) -> Result<Suppressed, Nrc> {
    let (sub_function, suppressed, rest) = sub_function(parameters)?;
    let (identifier, option) = rest.split_first_chunk::<2>().ok_or(Nrc::INCORRECT_LENGTH)?;
    if sub_function != START_ROUTINE {
        return Err(Nrc::SUB_FUNCTION_NOT_SUPPORTED);
    }
    let routine = u16::from_be_bytes(*identifier);
    defer_if_slow(handler, Operation::Routine(routine), resumed)?;
    answer.append(&[sid::ROUTINE | POSITIVE_OFFSET, sub_function])?;
    answer.append(identifier)?;
    handler.run_routine(routine, option, answer)?;
    Ok(suppressed)
}

/// `DFI ALFID address size`. Widths of 1 to 4 bytes are taken; docs/can-protocol.md uses 4 and 4.
fn parse_download(parameters: &[u8]) -> Result<Download, Nrc> {
    if parameters.len() < SHORTEST_DOWNLOAD.saturating_sub(1) {
        return Err(Nrc::INCORRECT_LENGTH);
    }
    let (&[format, widths], fields) = parameters.split_first_chunk::<2>().ok_or(Nrc::INCORRECT_LENGTH)?;
    let (size_width, address_width) = (usize::from(widths >> 4), usize::from(widths & 0x0F));
    if format != NO_COMPRESSION_NO_ENCRYPTION
        || !(1..=4).contains(&size_width)
        || !(1..=4).contains(&address_width)
    {
        return Err(Nrc::REQUEST_OUT_OF_RANGE);
    }
    exactly(fields, address_width.saturating_add(size_width))?;
    let (address, size) = fields.split_at_checked(address_width).ok_or(Nrc::INCORRECT_LENGTH)?;
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

fn sub_function(parameters: &[u8]) -> Result<(u8, Suppressed, &[u8]), Nrc> {
    let (&byte, rest) = parameters.split_first().ok_or(Nrc::INCORRECT_LENGTH)?;
    Ok((byte & !SUPPRESS_POSITIVE, Suppressed(byte & SUPPRESS_POSITIVE != 0), rest))
}

fn exactly(rest: &[u8], len: usize) -> Result<(), Nrc> {
    if rest.len() == len { Ok(()) } else { Err(Nrc::INCORRECT_LENGTH) }
}

fn defer_if_slow<H: Handler + ?Sized>(handler: &H, operation: Operation, resumed: bool) -> Result<(), Nrc> {
    if !resumed && handler.is_slow(operation) { Err(Nrc::RESPONSE_PENDING) } else { Ok(()) }
}

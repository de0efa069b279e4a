//! Positive answers as values. Whether an answer belongs to the request is [`Exchange`](super::Exchange)'s part;
//! here its form is checked.

use super::super::{POSITIVE_OFFSET, sid};
use super::ClientError;

/// The times that a server declares when a session begins (`50`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionTiming {
    /// P2server.
    pub p2_us: u64,
    /// P2*server.
    pub p2_star_us: u64,
}

/// `50 <session> P2 P2*`
///
/// # Errors
/// [`ClientError::Malformed`]
pub fn session(answer: &[u8]) -> Result<SessionTiming, ClientError> {
    match *after(sid::SESSION, answer)? {
        [_, a, b, c, d] => Ok(SessionTiming {
            p2_us: u64::from(u16::from_be_bytes([a, b])).saturating_mul(1000),
            p2_star_us: u64::from(u16::from_be_bytes([c, d])).saturating_mul(10_000),
        }),
        _ => Err(ClientError::Malformed { service: sid::SESSION }),
    }
}

/// `62 <did> <data>`, for a request of that one identifier.
///
/// # Errors
/// [`ClientError::Malformed`], also when it is the answer to another identifier.
pub fn identifier(answer: &[u8], did: u16) -> Result<&[u8], ClientError> {
    after(sid::READ, answer)?
        .strip_prefix(&did.to_be_bytes())
        .ok_or(ClientError::Malformed { service: sid::READ })
}

/// `71 01 <rid> <status>`
///
/// # Errors
/// [`ClientError::Malformed`]
pub fn routine(answer: &[u8], routine: u16) -> Result<&[u8], ClientError> {
    let [high, low] = routine.to_be_bytes();
    after(sid::ROUTINE, answer)?
        .strip_prefix(&[1, high, low])
        .ok_or(ClientError::Malformed { service: sid::ROUTINE })
}

/// `74 <lfid> <max>`: how many bytes a TransferData may have, service and counter included; at least 3.
///
/// # Errors
/// [`ClientError::Malformed`]
pub fn download(answer: &[u8]) -> Result<u32, ClientError> {
    let malformed = ClientError::Malformed { service: sid::DOWNLOAD };
    let (&format, max) = after(sid::DOWNLOAD, answer)?.split_first().ok_or(malformed)?;
    if format & 0x0F != 0 || usize::from(format >> 4) != max.len() {
        return Err(malformed);
    }
    // Any width is allowed; what does not fit 32 bits is more than anybody sends at once.
    let max =
        max.iter().fold(0_u64, |number, &byte| number.saturating_mul(256).saturating_add(u64::from(byte)));
    let max = u32::try_from(max).unwrap_or(u32::MAX);
    // Service, counter, one byte: with less no transfer ends.
    if max < 3 { Err(malformed) } else { Ok(max) }
}

/// `76 <counter> [<received>]`: how many bytes of the download the device has, when it says so.
///
/// # Errors
/// [`ClientError::Malformed`]
pub fn transfer(answer: &[u8]) -> Result<Option<u32>, ClientError> {
    match after(sid::TRANSFER, answer)? {
        [_, received @ ..] => Ok(<[u8; 4]>::try_from(received).ok().map(u32::from_be_bytes)),
        [] => Err(ClientError::Malformed { service: sid::TRANSFER }),
    }
}

fn after(service: u8, answer: &[u8]) -> Result<&[u8], ClientError> {
    match answer {
        [sid, rest @ ..] if *sid == service.wrapping_add(POSITIVE_OFFSET) => Ok(rest),
        _ => Err(ClientError::Malformed { service }),
    }
}

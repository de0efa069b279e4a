//! Motorola S-records. Our own reader: the crate `srec` panics on some damaged records.

use super::{ImageError, Lines, Pieces};

/// Most bytes of a record behind its type: the length byte, and what it counts.
const MAX_RECORD_LEN: usize = 256;

pub(super) fn pieces(lines: Lines<'_>) -> Result<Pieces<'_>, ImageError> {
    let mut pieces = Pieces::default();
    let mut buffer = [0; MAX_RECORD_LEN];
    let mut data_records = 0u64;
    let mut ended = false;
    for line in lines {
        let (number, text) = line?;
        let failed = |reason| ImageError::Line { line: number, reason };
        if ended {
            return Err(failed("a record follows the last one"));
        }
        let (kind, body) = record(text, &mut buffer).map_err(failed)?;
        // Bytes of the address, by the type of the record.
        let address_len = match kind {
            b'0' | b'1' | b'5' | b'9' => 2,
            b'2' | b'6' | b'8' => 3,
            b'3' | b'7' => 4,
            _ => return Err(failed("the record type is unsupported")),
        };
        let (address, data) = body.split_at_checked(address_len).ok_or(failed("the record is too short"))?;
        let address = address.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        match kind {
            b'0' => {}
            b'1'..=b'3' => {
                data_records += 1;
                pieces.push(address, data);
            }
            _ if !data.is_empty() => return Err(failed("the record has a wrong length for its type")),
            // The count has 16 or 24 bits.
            b'5' | b'6' => {
                let mask = if kind == b'5' { 0xffff } else { 0xff_ffff };
                if address != data_records & mask {
                    return Err(failed("the number of data records is another one: some are missing"));
                }
            }
            // Where execution starts is in the vector table.
            _ => ended = true,
        }
    }
    if ended { Ok(pieces) } else { Err(ImageError::Unfinished) }
}

/// Type of the record, and its address and data, when length and checksum hold.
fn record<'b>(line: &str, buffer: &'b mut [u8; MAX_RECORD_LEN]) -> Result<(u8, &'b [u8]), &'static str> {
    let (kind, digits) = match line.as_bytes() {
        [b'S', kind, digits @ ..] => (*kind, digits),
        _ => return Err("it does not begin with S and a digit"),
    };
    let bytes = buffer.get_mut(..digits.len() / 2).ok_or("the record is too long")?;
    hex::decode_to_slice(digits, bytes)
        .map_err(|_| "a character is not a hexadecimal digit, or one is missing")?;
    let [len, body @ .., checksum] = &*bytes else { return Err("the record is too short") };
    if usize::from(*len) != body.len() + 1 {
        return Err("the record has another length than it says");
    }
    let sum = body.iter().fold(*len, |sum, byte| sum.wrapping_add(*byte));
    if sum ^ checksum != 0xff {
        return Err("the checksum is wrong");
    }
    Ok((kind, body))
}

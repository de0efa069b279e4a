//! Intel HEX (I8HEX, I16HEX, I32HEX).

use ihex::{ReaderError, Record};

use super::{ImageError, Lines, Pieces};

pub(super) fn pieces(lines: Lines<'_>) -> Result<Pieces<'_>, ImageError> {
    let mut pieces = Pieces::default();
    let mut upper = 0u64;
    let mut ended = false;
    for line in lines {
        let (number, text) = line?;
        let failed = |reason| ImageError::Line { line: number, reason };
        if ended {
            return Err(failed("a record follows the last one"));
        }
        match Record::from_record_string(text).map_err(|error| failed(reason(error)))? {
            Record::Data { offset, value } => {
                // A record that runs over the end of its 64 KiB would wrap around; no linker writes one.
                if usize::from(offset) + value.len() > 0x1_0000 {
                    return Err(failed("the record runs over the end of its segment"));
                }
                pieces.push(upper + u64::from(offset), &value);
            }
            Record::ExtendedSegmentAddress(segment) => upper = u64::from(segment) << 4,
            Record::ExtendedLinearAddress(address) => upper = u64::from(address) << 16,
            // Where execution starts is in the vector table.
            Record::StartSegmentAddress { .. } | Record::StartLinearAddress(_) => {}
            Record::EndOfFile => ended = true,
        }
    }
    if ended { Ok(pieces) } else { Err(ImageError::Unfinished) }
}

fn reason(error: ReaderError) -> &'static str {
    match error {
        ReaderError::MissingStartCode => "it does not begin with a colon",
        ReaderError::RecordTooShort => "the record is too short",
        ReaderError::RecordTooLong => "the record is too long",
        ReaderError::RecordNotEvenLength => "a digit is missing",
        ReaderError::ContainsInvalidCharacters => "a character is not a hexadecimal digit",
        ReaderError::ChecksumMismatch(..) => "the checksum is wrong",
        ReaderError::PayloadLengthMismatch => "the record has another length than it says",
        ReaderError::UnsupportedRecordType(_) => "the record type is unsupported",
        ReaderError::InvalidLengthForType => "the record has a wrong length for its type",
    }
}

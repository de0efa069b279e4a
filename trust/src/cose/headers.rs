//! The header maps of COSE_Encrypt, its recipients and COSE_Mac0 (RFC 9052 section 3).

use super::{HEADER_ALG, HEADER_CRIT, HEADER_KID};
use crate::cbor::{Major, Reader, Span, bit};
use crate::error::ErrorKind;

/// IV, RFC 9052 section 3.1.
const HEADER_IV: i32 = 5;

/// The headers of one structure, out of both of its maps: a label stands in one of them only (RFC 9052 section 3).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Headers<'a> {
    seen: u32,
    /// 0, which is reserved, without one.
    pub(crate) algorithm: i32,
    /// Empty without one.
    pub(crate) kid: &'a [u8],
    /// Empty without one.
    pub(crate) iv: Span<'a>,
}

impl<'a> Headers<'a> {
    pub(crate) const ALGORITHM: u32 = bit(HEADER_ALG);
    pub(crate) const KID: u32 = bit(HEADER_KID);
    pub(crate) const IV: u32 = bit(HEADER_IV);
    /// What is not known is passed over: nobody protects it, and nothing depends on it.
    pub(crate) const OTHERS: u32 = bit(31);

    /// None yet.
    pub(crate) const NONE: Self = Self { seen: 0, algorithm: 0, kid: &[], iv: Span::EMPTY };

    /// Whether one of these was there.
    pub(crate) const fn has(&self, labels: u32) -> bool {
        self.seen & labels != 0
    }

    /// A protected map in its byte string, which is empty without a header: those bytes.
    #[inline(never)]
    pub(crate) fn read_protected(&mut self, reader: &mut Reader<'a>, allowed: u32) -> &'a [u8] {
        let after = reader.enter();
        let protected = reader.rest();
        if !reader.is_at_end() {
            self.read(reader, allowed);
        }
        reader.leave(&after);
        protected
    }

    /// A map with some of the allowed headers.
    #[inline(never)]
    pub(crate) fn read(&mut self, reader: &mut Reader<'a>, allowed: u32) {
        let mut entries = reader.map();
        loop {
            let start = reader.position();
            if !entries.next(reader) {
                return;
            }
            let label = match reader.peek() {
                Major::Text => {
                    reader.skip();
                    i32::MAX
                }
                _ => reader.label(),
            };
            let this = bit(label);
            if label == HEADER_CRIT {
                // RFC 9052 section 3.1: nothing that it could name is understood.
                reader.refuse(ErrorKind::CriticalHeader, start);
                return;
            } else if this & allowed & !Self::OTHERS == 0
                && allowed & Self::OTHERS != 0
                && self.seen & this == 0
            {
                reader.skip();
                continue;
            } else if this & allowed == 0 || self.seen & this != 0 {
                reader.refuse(ErrorKind::HeaderUnknown, start);
                return;
            }
            self.seen |= this;
            match label {
                // A name is as legal as a number, and none is known.
                HEADER_ALG if reader.peek() == Major::Text => {
                    reader.refuse(ErrorKind::AlgorithmUnsupported, start);
                }
                HEADER_ALG => self.algorithm = reader.label(),
                HEADER_KID => self.kid = reader.bytes(),
                _ => self.iv = reader.span(),
            }
        }
    }
}

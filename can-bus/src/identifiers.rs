//! Which CAN identifiers a tester uses: `29bit`, `11bit`, or `11bit:REQ:RESP` with a pair of its own.

use std::fmt;
use std::str::FromStr;

use update_protocol::can::Id;
use update_protocol::isotp::{Addressing, AddressingError};
use update_protocol::profile;

/// The identifiers of a tester (docs/can-protocol.md, Addressing).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Identifiers {
    /// `29bit`: 18DA<TA>F1, 18DAF1<SA>, functional 18DB33F1.
    #[default]
    Normal29,
    /// `11bit`: 7E0, 7E8, functional 7DF.
    Normal11,
    /// `11bit:REQ:RESP[:force]`: a pair in hexadecimal digits, without a functional identifier.
    Pair {
        /// Identifiers of the tester.
        addressing: Addressing,
        /// Whether one of them belongs to CANopen and is used all the same.
        forced: bool,
    },
}

/// Why a text names no identifiers.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IdentifiersError {
    /// Not one of the forms.
    #[error("\"{0}\" is not 29bit, 11bit or 11bit:REQ:RESP (hexadecimal digits, such as 11bit:6F0:6F8)")]
    Form(String),
    /// The pair cannot be used.
    #[error(transparent)]
    Pair(AddressingError),
    /// The pair belongs to CANopen.
    #[error("{0}; on a bus without CANopen append :force")]
    Canopen(AddressingError),
}

impl Identifiers {
    /// The identifiers for a node. Only those of 29 bits depend on its address.
    #[must_use]
    pub const fn addressing(self, node: u8) -> Addressing {
        match self {
            Self::Normal29 => profile::tester_addressing(node),
            Self::Normal11 => profile::tester_addressing_11(),
            Self::Pair { addressing, .. } => addressing,
        }
    }

    /// Whether several devices on a bus can be told apart.
    #[must_use]
    pub const fn is_29bit(self) -> bool {
        matches!(self, Self::Normal29)
    }
}

impl FromStr for Identifiers {
    type Err = IdentifiersError;

    fn from_str(text: &str) -> Result<Self, IdentifiersError> {
        let form = || IdentifiersError::Form(text.to_owned());
        let parts: Vec<&str> = text.split(':').collect();
        let (request, response, forced) = match parts.as_slice() {
            ["29bit"] => return Ok(Self::Normal29),
            ["11bit"] => return Ok(Self::Normal11),
            ["11bit", request, response] => (request, response, false),
            ["11bit", request, response, "force"] => (request, response, true),
            _ => return Err(form()),
        };
        let id = |digits: &str| {
            let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            u16::from_str_radix(digits, 16).ok().filter(|_| is_hex).map(Id::Standard).ok_or_else(form)
        };
        let (request, response) = (id(request)?, id(response)?);
        let addressing = if forced {
            Addressing::tester_forced(request, response)
        } else {
            Addressing::tester(request, response, None)
        };
        match addressing {
            Ok(addressing) => Ok(Self::Pair { addressing, forced }),
            Err(error @ AddressingError::Canopen(..)) => Err(IdentifiersError::Canopen(error)),
            Err(error @ (AddressingError::OutOfRange(_) | AddressingError::Ambiguous(_))) => {
                Err(IdentifiersError::Pair(error))
            }
        }
    }
}

impl fmt::Display for Identifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal29 => f.write_str("29bit"),
            Self::Normal11 => f.write_str("11bit"),
            Self::Pair { addressing, forced } => {
                let (request, response) = (addressing.tx().raw(), addressing.rx().raw());
                write!(f, "11bit:{request:03X}:{response:03X}{}", if *forced { ":force" } else { "" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_of_identifiers_is_settable() {
        for (text, full) in [
            ("29bit", "29bit"),
            ("11bit", "11bit"),
            ("11bit:6f0:6F8", "11bit:6F0:6F8"),
            ("11bit:0:7FF:force", "11bit:000:7FF:force"),
            ("11bit:600:580:force", "11bit:600:580:force"),
        ] {
            let identifiers: Identifiers = text.parse().unwrap();
            assert_eq!(identifiers.to_string(), full);
            assert_eq!(full.parse::<Identifiers>().unwrap(), identifiers);
        }
        let pair = "11bit:6F0:6F8".parse::<Identifiers>().unwrap().addressing(0x41);
        assert_eq!((pair.tx(), pair.rx()), (Id::Standard(0x6F0), Id::Standard(0x6F8)));
        assert_eq!(pair.functional_tx(), None);
    }

    #[test]
    fn attack_identifiers_of_canopen_are_refused_unless_forced() {
        for (text, words) in [
            ("11bit:0:6F8", "the CAN identifier 000 belongs to CANopen management (000..180); on a bus"),
            ("11bit:6F0:80", "belongs to CANopen management"),
            ("11bit:201:6F8", "belongs to CANopen process data"),
            ("11bit:7E5:7ED", "belongs to CANopen layer settings"),
            ("11bit:601:6F8", "the CAN identifier 601 belongs to CANopen service data (580..67F); on a bus"),
            ("11bit:6F0:581", "belongs to CANopen service data"),
            ("11bit:701:6F8", "belongs to CANopen heartbeats"),
            ("11bit:6F0:77F", "belongs to CANopen heartbeats"),
            ("11bit:800:6F8", "out of range"),
            ("11bit:6F0:6F0", "is used twice"),
            ("11bit:600:600:force", "is used twice"),
            ("11bit:6F0", "is not 29bit"),
            ("11bit:+6F:6F8", "is not 29bit"),
            ("11bit:6F0:", "is not 29bit"),
            ("11bit:6F0:6F8:forced", "is not 29bit"),
            ("12bit", "is not 29bit"),
            ("", "is not 29bit"),
        ] {
            let error = text.parse::<Identifiers>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}

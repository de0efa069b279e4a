//! Negative response codes (ISO 14229-1:2020, annex A.1).

use core::fmt;

/// A negative response code. Any byte can come from a bus, so this is a number with names, not a list.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nrc(pub u8);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $words:literal;)*) => {
        impl Nrc {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// Its name in words.
            #[must_use]
            pub const fn words(self) -> Option<&'static str> {
                match self.0 { $($code => Some($words),)* _ => None }
            }
        }
    };
}

codes! {
    /// Unspecified.
    GENERAL_REJECT = 0x10, "general reject";
    /// The service is not there.
    SERVICE_NOT_SUPPORTED = 0x11, "service not supported";
    /// The sub-function is not there.
    SUB_FUNCTION_NOT_SUPPORTED = 0x12, "sub-function not supported";
    /// Length or format of the request.
    INCORRECT_LENGTH = 0x13, "incorrect message length or format";
    /// The answer does not fit.
    RESPONSE_TOO_LONG = 0x14, "response too long";
    /// Ask again later.
    BUSY_REPEAT_REQUEST = 0x21, "busy, repeat the request";
    /// Not in this state.
    CONDITIONS_NOT_CORRECT = 0x22, "conditions not correct";
    /// Something has to come before.
    REQUEST_SEQUENCE_ERROR = 0x24, "request sequence error";
    /// Address, size, offset, identifier out of range.
    REQUEST_OUT_OF_RANGE = 0x31, "request out of range";
    /// Signature, chain, anchor, revocation.
    SECURITY_ACCESS_DENIED = 0x33, "security access denied";
    /// Authenticate first.
    AUTHENTICATION_REQUIRED = 0x34, "authentication required";
    /// The object was received and refused.
    UPLOAD_DOWNLOAD_NOT_ACCEPTED = 0x70, "upload or download not accepted";
    /// More bytes than announced.
    TRANSFER_DATA_SUSPENDED = 0x71, "transfer data suspended";
    /// Flash failed.
    GENERAL_PROGRAMMING_FAILURE = 0x72, "general programming failure";
    /// The block counter is neither the next nor the last.
    WRONG_BLOCK_SEQUENCE_COUNTER = 0x73, "wrong block sequence counter";
    /// Wait, the answer is being worked on.
    RESPONSE_PENDING = 0x78, "response pending";
    /// The sub-function is not in this session.
    SUB_FUNCTION_NOT_IN_SESSION = 0x7E, "sub-function not supported in the active session";
    /// The service is not in this session.
    SERVICE_NOT_IN_SESSION = 0x7F, "service not supported in the active session";
}

impl Nrc {
    pub(crate) const RESPONSE_PENDING_BYTE: u8 = Self::RESPONSE_PENDING.0;
}

impl fmt::Display for Nrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.words() {
            Some(words) => write!(f, "{words} (NRC {:02X})", self.0),
            None => write!(f, "NRC {:02X}", self.0),
        }
    }
}

impl fmt::Debug for Nrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nrc({:02X})", self.0)
    }
}

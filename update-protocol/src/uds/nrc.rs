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
    /// Security access: the key is wrong.
    INVALID_KEY = 0x35, "invalid key";
    /// Security access: too many wrong keys.
    EXCEEDED_NUMBER_OF_ATTEMPTS = 0x36, "too many attempts";
    /// Security access: wait before the next attempt.
    REQUIRED_TIME_DELAY_NOT_EXPIRED = 0x37, "the required delay has not expired";
    /// A gateway has no answer from the unit behind it.
    NO_RESPONSE_FROM_SUBNET = 0x25, "no response from the subnet component";
    /// A failure keeps the unit from doing it.
    FAILURE_PREVENTS_EXECUTION = 0x26, "a failure prevents the execution";
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
    /// A limit of the vehicle or machine.
    RPM_TOO_HIGH = 0x81, "engine speed too high";
    /// A limit of the vehicle or machine.
    RPM_TOO_LOW = 0x82, "engine speed too low";
    /// A limit of the vehicle or machine.
    ENGINE_IS_RUNNING = 0x83, "the engine is running";
    /// A limit of the vehicle or machine.
    ENGINE_IS_NOT_RUNNING = 0x84, "the engine is not running";
    /// A limit of the vehicle or machine.
    ENGINE_RUN_TIME_TOO_LOW = 0x85, "the engine has not run long enough";
    /// A limit of the vehicle or machine.
    TEMPERATURE_TOO_HIGH = 0x86, "temperature too high";
    /// A limit of the vehicle or machine.
    TEMPERATURE_TOO_LOW = 0x87, "temperature too low";
    /// A limit of the vehicle or machine.
    VEHICLE_SPEED_TOO_HIGH = 0x88, "vehicle speed too high";
    /// A limit of the vehicle or machine.
    VEHICLE_SPEED_TOO_LOW = 0x89, "vehicle speed too low";
    /// A limit of the vehicle or machine.
    PEDAL_TOO_HIGH = 0x8A, "throttle or pedal too high";
    /// A limit of the vehicle or machine.
    PEDAL_TOO_LOW = 0x8B, "throttle or pedal too low";
    /// A limit of the vehicle or machine.
    NOT_IN_NEUTRAL = 0x8C, "the transmission is not in neutral";
    /// A limit of the vehicle or machine.
    NOT_IN_GEAR = 0x8D, "the transmission is not in gear";
    /// A limit of the vehicle or machine.
    BRAKE_NOT_CLOSED = 0x8F, "the brake is not applied";
    /// A limit of the vehicle or machine.
    LEVER_NOT_IN_PARK = 0x90, "the shifter lever is not in park";
    /// A limit of the vehicle or machine.
    CLUTCH_LOCKED = 0x91, "the torque converter clutch is locked";
    /// A limit of the vehicle or machine.
    VOLTAGE_TOO_HIGH = 0x92, "supply voltage too high";
    /// A limit of the vehicle or machine.
    VOLTAGE_TOO_LOW = 0x93, "supply voltage too low";
    /// Something else uses what is needed.
    RESOURCE_TEMPORARILY_NOT_AVAILABLE = 0x94, "a resource is temporarily not available";
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

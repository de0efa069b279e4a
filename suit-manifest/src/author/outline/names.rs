//! Names of numbers for people: those of SUIT come from [`crate::vocabulary`], those of COSE (RFC 9052, RFC 9053) stand here.

use crate::entries::numbered;
use crate::vocabulary::{
    CapabilityElement, CommandCode, CommonElement, Comparison, ComponentText, EnvelopeElement,
    ManifestElement, ManifestText, MetadataElement, ParameterKey, ReportElement, ReportReason,
    ReportResultElement, WaitEventKey,
};

macro_rules! named {
    ($($name:ident $table:ident)*) => {
        $(
            pub(super) fn $name(number: i128) -> String {
                let known = i64::try_from(number).ok().and_then($table::from_number);
                numbered(known.map($table::name), number)
            }
        )*
    };
}

named! {
    envelope EnvelopeElement
    manifest ManifestElement
    common CommonElement
    command CommandCode
    parameter ParameterKey
    manifest_text ManifestText
    component_text ComponentText
    wait_event WaitEventKey
    metadata MetadataElement
    comparison Comparison
    report ReportElement
    report_result ReportResultElement
    report_reason ReportReason
    capability CapabilityElement
}

macro_rules! table {
    ($(#[$doc:meta])* $table:ident { $($number:pat => $name:literal,)* }) => {
        $(#[$doc])*
        pub(super) fn $table(number: i128) -> String {
            match number {
                $($number => format!("{} ({number})", $name),)*
                other => format!("unknown ({other})"),
            }
        }
    };
}

table!(
    /// Digest algorithms, section 8.3.
    digest {
        -16 => "SHA-256",
        -18 => "SHAKE128",
        -43 => "SHA-384",
        -44 => "SHA-512",
        -45 => "SHAKE256",
    }
);
table!(
    /// COSE algorithms.
    algorithm {
        1 => "A128GCM",
        2 => "A192GCM",
        3 => "A256GCM",
        4 => "HMAC 256/64",
        5 => "HMAC 256/256",
        6 => "HMAC 384/384",
        7 => "HMAC 512/512",
        24 => "ChaCha20/Poly1305",
        -3 => "A128KW",
        -4 => "A192KW",
        -5 => "A256KW",
        -6 => "direct",
        -7 => "ES256",
        -8 => "EdDSA",
        -9 => "ESP256",
        -19 => "Ed25519",
        -25 => "ECDH-ES + HKDF-256",
        -29 => "ECDH-ES + A128KW",
        -31 => "ECDH-ES + A256KW",
        -65534 => "A128CTR",
        -65531 => "A128CBC",
        -35 => "ES384",
        -36 => "ES512",
        -37 => "PS256",
        -46 => "HSS-LMS",
        -48 => "ML-DSA-44",
        -51 => "ESP384",
        -52 => "ESP512",
        -257 => "RS256",
    }
);
table!(
    /// COSE header parameters.
    header {
        1 => "alg",
        2 => "crit",
        3 => "content type",
        4 => "kid",
        5 => "IV",
        6 => "partial IV",
        11 => "countersignature",
        13 => "kcwt",
        14 => "kccs",
        15 => "CWT claims",
        16 => "typ",
        33 => "x5chain",
        34 => "x5t",
        -1 => "ephemeral key",
    }
);

/// COSE messages by their tag.
pub(super) fn cose(tag: u64) -> String {
    match tag {
        16 => "COSE_Encrypt0 (tag 16)".to_owned(),
        17 => "COSE_Mac0 (tag 17)".to_owned(),
        18 => "COSE_Sign1 (tag 18)".to_owned(),
        96 => "COSE_Encrypt (tag 96)".to_owned(),
        97 => "COSE_Mac (tag 97)".to_owned(),
        98 => "COSE_Sign (tag 98)".to_owned(),
        other => format!("COSE with tag {other}"),
    }
}

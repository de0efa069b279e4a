//! Names of the numbers of draft-ietf-suit-manifest-37 and of the registered extensions (suit-update-management,
//! suit-multiple-trust-domains), and of COSE (RFC 9052, RFC 9053).

/// Whether an element of the manifest is a command sequence.
pub(super) const fn is_sequence(number: i128) -> bool {
    matches!(number, 7 | 8 | 9 | 15 | 16 | 18 | 20 | 24)
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
    /// Elements of the manifest, section 8.4.
    manifest {
        1 => "manifest-version",
        2 => "sequence-number",
        3 => "common",
        4 => "reference-uri",
        5 => "manifest-component-id",
        6 => "set-version",
        7 => "validate",
        8 => "load",
        9 => "invoke",
        14 => "coswid",
        15 => "dependency-resolution",
        16 => "payload-fetch",
        18 => "candidate-verification",
        20 => "install",
        23 => "text",
        24 => "uninstall",
    }
);
table!(
    /// Commands, section 11.4.
    command {
        1 => "condition vendor-identifier",
        2 => "condition class-identifier",
        3 => "condition image-match",
        4 => "condition use-before",
        5 => "condition component-slot",
        6 => "condition check-content",
        7 => "condition dependency-integrity",
        8 => "condition is-dependency",
        11 => "process-dependency",
        12 => "set-component-index",
        14 => "condition abort",
        15 => "try-each",
        18 => "write",
        19 => "set-parameters",
        20 => "override-parameters",
        21 => "fetch",
        22 => "copy",
        23 => "invoke",
        24 => "condition device-identifier",
        25 => "condition image-not-match",
        26 => "condition minimum-battery",
        27 => "condition update-authorized",
        28 => "condition version",
        29 => "wait",
        31 => "swap",
        32 => "run-sequence",
        33 => "unlink",
        34 => "override-multiple",
        35 => "copy-params",
    }
);
table!(
    /// Parameters, section 8.4.8.
    parameter {
        1 => "vendor-id",
        2 => "class-id",
        3 => "image-digest",
        4 => "use-before",
        5 => "component-slot",
        12 => "strict-order",
        13 => "soft-failure",
        14 => "image-size",
        18 => "content",
        19 => "encryption-info",
        21 => "uri",
        22 => "source-component",
        23 => "invoke-args",
        24 => "device-id",
        25 => "fetch-arguments",
        26 => "minimum-battery",
        27 => "update-priority",
        28 => "version",
        29 => "wait-info",
        30 => "component-metadata",
    }
);
table!(
    /// Texts of a manifest, section 8.4.4.
    manifest_text {
        1 => "manifest-description",
        2 => "update-description",
        3 => "manifest-json-source",
        4 => "manifest-yaml-source",
    }
);
table!(
    /// Texts of a component, section 8.4.4.
    component_text {
        1 => "vendor-name",
        2 => "model-name",
        3 => "vendor-domain",
        4 => "model-info",
        5 => "component-description",
        6 => "component-version",
        7 => "version-required",
        8 => "current-version",
    }
);
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
        5 => "HMAC 256/256",
        -7 => "ES256",
        -8 => "EdDSA",
        -9 => "ESP256",
        -19 => "Ed25519",
        -35 => "ES384",
        -36 => "ES512",
        -37 => "PS256",
        -46 => "HSS-LMS",
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
        13 => "kcwt",
        14 => "kccs",
        16 => "typ",
        33 => "x5chain",
        34 => "x5t",
    }
);

/// COSE messages by their tag.
pub(super) fn cose(tag: u64) -> String {
    match tag {
        17 => "COSE_Mac0 (tag 17)".to_owned(),
        18 => "COSE_Sign1 (tag 18)".to_owned(),
        97 => "COSE_Mac (tag 97)".to_owned(),
        98 => "COSE_Sign (tag 98)".to_owned(),
        other => format!("COSE with tag {other}"),
    }
}

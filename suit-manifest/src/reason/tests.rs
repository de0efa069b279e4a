use std::collections::BTreeSet;

use super::*;

/// Code, slug, SUIT report reason, exit code: lines are only ever added.
const FROZEN: &[(u16, &str, u8, u8)] = &[
    (0x0101, "record-malformed", 1, 5),
    (0x0102, "algorithm-unsupported", 3, 5),
    (0x0103, "header-unsupported", 2, 5),
    (0x0104, "record-type", 4, 5),
    (0x0105, "key-invalid", 4, 4),
    (0x0106, "anchor-unknown", 4, 5),
    (0x0107, "signature-invalid", 4, 5),
    (0x0108, "key-mismatch", 4, 5),
    (0x0109, "role-mismatch", 4, 6),
    (0x010a, "credential-revoked", 4, 6),
    (0x010b, "key-revoked", 4, 6),
    (0x010c, "credential-expired", 4, 6),
    (0x010d, "credential-not-yet-valid", 4, 6),
    (0x010e, "revocation-names-anchor", 4, 6),
    (0x010f, "revocation-sequence", 4, 6),
    (0x0110, "anchor-rights", 4, 6),
    (0x0111, "revocation-forked", 4, 6),
    (0x0112, "revocation-drops-entry", 4, 6),
    (0x0113, "generation-revoked", 4, 6),
    (0x0114, "credential-for-anchor", 4, 6),
    (0x0117, "cose-unsupported", 2, 5),
    (0x0118, "succession-order", 4, 6),
    (0x0119, "succession-old", 4, 6),
    (0x011a, "succession-forked", 4, 6),
    (0x011b, "succession-rights", 4, 6),
    (0x011c, "succession-key", 4, 6),
    (0x011d, "scope-issuer", 4, 6),
    (0x011e, "key-unwrap", 4, 5),
    (0x011f, "content-tag", 11, 5),
    (0x0120, "device-key-unknown", 4, 5),
    (0x0121, "mac-invalid", 4, 5),
    (0x0122, "report-nonce", 4, 5),
    (0x0201, "manifest-malformed", 1, 5),
    (0x0202, "envelope-too-large", 1, 5),
    (0x0203, "envelope-member-unknown", 4, 5),
    (0x0204, "envelope-member-unauthenticated", 4, 5),
    (0x0205, "integrated-payload-unsupported", 9, 5),
    (0x0206, "signature-missing", 4, 5),
    (0x0207, "signature-multiple", 2, 5),
    (0x0208, "digest-algorithm-unsupported", 3, 5),
    (0x0209, "digest-length", 1, 5),
    (0x020a, "manifest-digest-mismatch", 4, 5),
    (0x020b, "member-digest-mismatch", 4, 5),
    (0x020c, "member-severed", 9, 5),
    (0x020d, "manifest-version", 1, 5),
    (0x020e, "manifest-element-unsupported", 5, 5),
    (0x020f, "component-count", 6, 5),
    (0x0210, "component-unsupported", 6, 5),
    (0x0211, "component-index", 1, 5),
    (0x0212, "command-unknown", 5, 5),
    (0x0213, "command-not-shared", 5, 5),
    (0x0214, "parameter-unsupported", 8, 5),
    (0x0215, "parameter-missing", 11, 5),
    (0x0216, "soft-failure-misplaced", 8, 5),
    (0x0217, "strict-order", 5, 5),
    (0x0218, "nesting-too-deep", 5, 5),
    (0x0219, "step-limit", 11, 5),
    (0x021a, "identity-unchecked", 7, 5),
    (0x021b, "scope-vendor", 7, 6),
    (0x021c, "scope-class", 7, 6),
    (0x021d, "scope-device", 7, 6),
    (0x021e, "sequence-rollback", 4, 6),
    (0x021f, "sequence-below-minimum", 4, 6),
    (0x0220, "vendor-mismatch", 10, 5),
    (0x0221, "class-mismatch", 10, 5),
    (0x0222, "device-mismatch", 10, 5),
    (0x0223, "image-digest-mismatch", 10, 5),
    (0x0224, "slot-mismatch", 10, 5),
    (0x0225, "aborted", 10, 5),
    (0x0226, "condition-unknown", 5, 5),
    (0x0227, "image-reference", 11, 5),
    (0x0228, "text-malformed", 1, 5),
    (0x0229, "scope-actions", 7, 6),
    (0x0230, "sequence-above-ceiling", 4, 6),
    (0x0232, "manifest-bare", 4, 5),
    (0x0233, "manifest-limit", 11, 5),
    (0x0234, "envelope-member-unsupported", 9, 5),
    (0x0235, "encryption-unsupported", 8, 5),
    (0x0236, "content-mismatch", 10, 5),
    (0x0237, "use-before-passed", 10, 5),
    (0x0238, "image-matches", 10, 5),
    (0x0239, "battery-low", 10, 5),
    (0x023a, "update-unauthorized", 10, 5),
    (0x023b, "version-mismatch", 10, 5),
    (0x023c, "not-a-dependency", 10, 5),
    (0x023d, "dependency-integrity", 4, 5),
    (0x0301, "not-provisioned", 11, 7),
    (0x0302, "already-provisioned", 11, 7),
    (0x0303, "provisioning-malformed", 1, 7),
    (0x0304, "anchor-compiled-in", 4, 7),
    (0x0305, "no-envelope", 11, 7),
    (0x0306, "image-too-large", 11, 7),
    (0x0307, "image-incomplete", 11, 7),
    (0x0308, "image-overrun", 11, 7),
    (0x0309, "flash-failed", 11, 7),
    (0x030a, "journal-corrupt", 11, 7),
    (0x030b, "revocation-malformed", 1, 7),
    (0x030c, "swap-failed", 11, 7),
    (0x030d, "vector-table-invalid", 11, 7),
    (0x030e, "nothing-bootable", 11, 7),
    (0x030f, "trial-not-confirmed", 11, 7),
    (0x0311, "head-invalid", 4, 7),
    (0x0312, "install-abandoned", 11, 7),
    (0x0313, "object-unknown", 11, 7),
    (0x0315, "provisioning-device-keys", 11, 7),
    (0x0316, "provisioning-policy", 11, 7),
    (0x0317, "provisioning-identity-credential", 11, 7),
    (0x0318, "application-silent", 11, 7),
    (0x0319, "runs-already", 11, 7),
    (0x031a, "install-delayed", 11, 7),
    (0x031b, "image-not-for-slot", 11, 7),
    (0x031c, "anchor-set-malformed", 1, 7),
    (0x031d, "provisioning-anchors", 11, 7),
    (0x031e, "part-missing", 11, 7),
];

#[test]
fn the_table_is_frozen() {
    let table: Vec<_> = Reason::ALL
        .iter()
        .map(|reason| (reason.code(), reason.slug(), reason.suit_report(), reason.exit_code()))
        .collect();
    assert_eq!(table, FROZEN);
}

#[test]
fn codes_and_slugs_are_unique_and_lead_back() {
    assert!(Reason::ALL.is_sorted_by(|a, b| a.code() < b.code()));
    let slugs: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.slug()).collect();
    assert_eq!(slugs.len(), Reason::ALL.len());
    for code in 0..=u16::MAX {
        let expected = Reason::ALL.iter().find(|reason| reason.code() == code).copied();
        assert_eq!(Reason::from_code(code), expected);
    }
    for reason in Reason::ALL {
        assert!(matches!(reason.code() >> 8, 1..=3));
        assert!((1..=12).contains(&reason.suit_report()));
        assert!((1..=7).contains(&reason.exit_code()));
        assert_eq!(
            reason.exit_code() == 7,
            reason.code() >> 8 == 3,
            "the device's reasons are remote refusals"
        );
        assert!(reason.message().ends_with('.') && reason.hint().ends_with('.'));
    }
}

/// docs/errors.md holds every row of the table, in its order, and no other.
#[test]
fn documentation_holds_the_same_table() {
    let path = format!("{}/../docs/errors.md", env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(path).unwrap();
    let documented: Vec<&str> = document.lines().filter(|line| is_row(line)).collect();
    let expected: Vec<String> = Reason::ALL
        .iter()
        .map(|reason| {
            format!(
                "| `{:04x}` | `{}` | {} | {} | {} | {} |",
                reason.code(),
                reason.slug(),
                reason.suit_report(),
                reason.exit_code(),
                reason.message(),
                reason.hint()
            )
        })
        .collect();
    assert_eq!(documented, expected);
}

fn is_row(line: &str) -> bool {
    line.strip_prefix("| `")
        .and_then(|rest| rest.get(..4))
        .is_some_and(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()))
        && line.get(7..8) == Some("`")
}

#[test]
fn every_refusal_of_the_chain_has_its_reason() {
    use trust::ErrorKind as Kind;
    let malformed = [
        Kind::Truncated,
        Kind::UnexpectedType,
        Kind::NotCanonical,
        Kind::KeyOrder,
        Kind::TrailingBytes,
        Kind::InvalidText,
        Kind::TooDeep,
        Kind::OutOfRange,
        Kind::TooLong,
        Kind::TooMany,
        Kind::UnknownKey,
        Kind::MissingKey,
    ];
    for kind in malformed {
        assert_eq!(Reason::from(kind), Reason::RecordMalformed);
        let inside = Error::new(ErrorKind::Malformed(kind), 0);
        let is_limit = matches!(kind, Kind::TooDeep | Kind::TooLong | Kind::TooMany);
        let expected = if is_limit { Reason::ManifestLimit } else { Reason::ManifestMalformed };
        assert_eq!(inside.reason(), expected);
        assert_eq!(Error::new(ErrorKind::Trust(kind), 0).reason(), Reason::RecordMalformed);
    }
    let own = [
        (Kind::CoseUnsupported, Reason::CoseUnsupported),
        (Kind::AlgorithmUnsupported, Reason::AlgorithmUnsupported),
        (Kind::CriticalHeader, Reason::HeaderUnsupported),
        (Kind::HeaderUnknown, Reason::HeaderUnsupported),
        (Kind::HeaderMissing, Reason::HeaderUnsupported),
        (Kind::RecordType, Reason::RecordType),
        (Kind::KeyInvalid, Reason::KeyInvalid),
        (Kind::AnchorUnknown, Reason::AnchorUnknown),
        (Kind::SignatureInvalid, Reason::SignatureInvalid),
        (Kind::KeyMismatch, Reason::KeyMismatch),
        (Kind::RoleMismatch, Reason::RoleMismatch),
        (Kind::CredentialRevoked, Reason::CredentialRevoked),
        (Kind::KeyRevoked, Reason::KeyRevoked),
        (Kind::CredentialExpired, Reason::CredentialExpired),
        (Kind::CredentialNotYetValid, Reason::CredentialNotYetValid),
        (Kind::RevokesAnchor, Reason::RevocationNamesAnchor),
        (Kind::SuccessionOrder, Reason::SuccessionOrder),
        (Kind::SuccessionOld, Reason::SuccessionOld),
        (Kind::SuccessionForked, Reason::SuccessionForked),
        (Kind::SuccessionRights, Reason::SuccessionRights),
        (Kind::SuccessionKey, Reason::SuccessionKey),
        (Kind::ScopeIssuer, Reason::ScopeIssuer),
        (Kind::KeyUnwrap, Reason::KeyUnwrap),
        (Kind::ContentTag, Reason::ContentTag),
        (Kind::DeviceKeyUnknown, Reason::DeviceKeyUnknown),
        (Kind::MacInvalid, Reason::MacInvalid),
        (Kind::RevocationSequence, Reason::RevocationSequence),
    ];
    for (kind, reason) in own {
        assert_eq!(Reason::from(trust::Error::new(kind, 0)), reason);
    }
}

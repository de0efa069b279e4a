//! The chain root -> issuing key -> device: what holds, and each link that does not.

use trust::author::{
    AuthorError, CredentialRequest, DeviceCredentialRequest, RevocationRequest, ScopeRequest, Signer as _,
    issue_credential, issue_device_credential, prepare_device_credential, read_unverified_credential,
    sign_revocation,
};
use trust::{
    Anchor, Credential, ErrorKind, RevocationList, Revoked, RevokedId, Role, TrustStore, UnixTime,
    verify_chained_sign1,
};

use super::forge::{CREDENTIAL, Sign1, array, bstr, int, map, tstr};
use super::roots::{CLASS, CTI, PAYLOAD, VENDOR, anchors, key, request, revocation_request, root, store};

const ISSUING: u8 = 20;
const DEVICE: u8 = 21;
const OTHER: [u8; 16] = [0xee; 16];
const SERIAL: &str = "A-0001";

fn issuing_request() -> CredentialRequest {
    CredentialRequest {
        sub: "line 1".into(),
        key: key(ISSUING).public_key(),
        role: Role::Identity,
        generation: 4,
        expires: None,
        ..request()
    }
}

fn issuing() -> Vec<u8> {
    issue_credential(&issuing_request(), &root()).unwrap()
}

fn device_request() -> DeviceCredentialRequest {
    DeviceCredentialRequest {
        iss: "line 1".into(),
        sub: SERIAL.into(),
        key: key(DEVICE).public_key(),
        vendor: VENDOR,
        class: CLASS,
        serial: SERIAL.into(),
        issued_at: UnixTime(1_750_000_000),
        expires: None,
        cti: CTI,
    }
}

pub(super) fn verify_device(bytes: &[u8]) -> Result<(), trust::Error> {
    let (issuing, anchors) = (issuing(), anchors());
    let issuing = Credential::verify(&issuing, &store(&anchors), Role::Identity)?;
    Credential::verify_issued(bytes, &issuing, &store(&anchors)).map(drop)
}

pub(super) fn device() -> Vec<u8> {
    issue_device_credential(&device_request(), &issuing(), &key(ISSUING)).unwrap()
}

type Claims = Vec<(Vec<u8>, Vec<u8>)>;

fn scope_of(entries: &[(i64, Vec<u8>)]) -> Vec<u8> {
    map(&entries.iter().map(|(key, value)| (int(*key), value.clone())).collect::<Vec<_>>())
}

fn claims() -> Claims {
    let one = [(1, bstr(&VENDOR)), (2, array(&[bstr(&CLASS)])), (3, array(&[tstr(SERIAL)]))];
    vec![
        (int(1), tstr("line 1")),
        (int(2), tstr(SERIAL)),
        (int(6), int(1_750_000_000)),
        (int(7), bstr(&CTI)),
        (int(8), map(&[(int(1), key(DEVICE).public_key().to_cose_key().to_vec())])),
        (int(-70001), int(4)),
        (int(-70002), scope_of(&one)),
        (int(-70013), bstr(&key(ISSUING).public_key().kid().0)),
    ]
}

fn with(claim: i64, value: Vec<u8>) -> Claims {
    let mut claims = claims();
    claims.iter_mut().find(|(key, _)| *key == int(claim)).unwrap().1 = value;
    claims
}

fn signed(claims: &Claims, signer: u8) -> Vec<u8> {
    Sign1::record(&key(signer), CREDENTIAL, &map(claims)).cwt(&key(signer))
}

/// As a verifier judges: the issuing credential first.
fn verdict_in(store: &TrustStore<'_>, issuing: &[u8], device: &[u8]) -> Result<u64, ErrorKind> {
    let role = read_unverified_credential(issuing).unwrap().role();
    let issuing = Credential::verify(issuing, store, role).map_err(|error| error.kind)?;
    let device = Credential::verify_issued(device, &issuing, store).map_err(|error| error.kind)?;
    assert_eq!(device.domain(), issuing.domain());
    Ok(device.generation())
}

fn verdict(device: &[u8]) -> Result<u64, ErrorKind> {
    verdict_in(&store(&anchors()), &issuing(), device)
}

#[test]
fn a_device_stands_under_its_issuing_key() {
    assert_eq!(verdict(&device()), Ok(4), "it has the generation of its issuing key");
    assert_eq!(signed(&claims(), ISSUING), device(), "what the author makes is what the tests forge");
    let (device, issuing, anchors) = (device(), issuing(), anchors());
    let store = store(&anchors);
    let issuing = Credential::verify(&issuing, &store, Role::Identity).unwrap();
    let device = Credential::verify_issued(&device, &issuing, &store).unwrap();
    assert_eq!((device.sub(), device.role()), (SERIAL, Role::Device));
    assert_eq!(device.issuing_key(), Some(key(ISSUING).public_key().kid()));
    assert_eq!(*device.key(), key(DEVICE).public_key());
}

#[test]
fn a_renewed_issuing_credential_serves_the_devices_before_it() {
    let renewed = CredentialRequest { cti: [0x78; 16], generation: 5, ..issuing_request() };
    let renewed = issue_credential(&renewed, &root()).unwrap();
    assert_eq!(verdict_in(&store(&anchors()), &renewed, &device()), Ok(5));
    // Under the root's successor, too.
    let again = issue_credential(&issuing_request(), &key(9)).unwrap();
    let anchors = [Anchor::root(key(9).public_key())];
    assert_eq!(verdict_in(&store(&anchors), &again, &device()), Ok(4));
}

#[test]
fn only_its_issuing_key_signs_it() {
    // Another key, under the name of the issuing key or its own.
    let forged = Sign1::record(&key(ISSUING), CREDENTIAL, &map(&claims())).cwt(&key(22));
    assert_eq!(verdict(&forged), Err(ErrorKind::SignatureInvalid));
    assert_eq!(verdict(&signed(&claims(), 22)), Err(ErrorKind::KeyMismatch));
    // It names another one.
    let other = with(-70013, bstr(&key(22).public_key().kid().0));
    assert_eq!(verdict(&signed(&other, ISSUING)), Err(ErrorKind::KeyMismatch));
    // As an anchor's: a generation in the place of the issuing key, or both.
    let mut own = claims();
    *own.last_mut().unwrap() = (int(-70006), int(4));
    assert_eq!(verdict(&signed(&own, ISSUING)), Err(ErrorKind::KeyMismatch));
    let mut both = claims();
    both.insert(7, (int(-70006), int(4)));
    assert_eq!(verdict(&signed(&both, ISSUING)), Err(ErrorKind::UnknownKey));
}

#[test]
fn an_anchor_signs_no_credential_of_an_issuing_key() {
    for claims in [claims(), with(-70013, bstr(&root().public_key().kid().0))] {
        let cwt = signed(&claims, 1);
        for role in Role::ALL {
            let refused = Credential::verify(&cwt, &store(&anchors()), role).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::UnknownKey);
        }
    }
    // Nor does it travel with a manifest, as a key that certifies release keys.
    let mut release = with(-70001, int(1));
    release.push((int(-70007), int(9)));
    release.sort_by_key(|(key, _)| (key.len(), key.clone()));
    let sign1 = Sign1::chained(&key(DEVICE), &signed(&release, ISSUING), PAYLOAD).sign(&key(DEVICE));
    let refused = verify_chained_sign1(&sign1, PAYLOAD, &store(&anchors()), Role::Release).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::AnchorUnknown);
}

#[test]
fn an_issuing_key_certifies_devices_only_and_no_other_key_does() {
    for role in [2, 3, 5] {
        assert_eq!(verdict(&signed(&with(-70001, int(role)), ISSUING)), Err(ErrorKind::RoleMismatch));
    }
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Identity) {
        let issuing = issue_credential(&CredentialRequest { role, ..issuing_request() }, &root()).unwrap();
        let refused = verdict_in(&store(&anchors()), &issuing, &device());
        assert_eq!(refused, Err(ErrorKind::RoleMismatch), "{role:?}");
        let refused = prepare_device_credential(&device_request(), &issuing).unwrap_err();
        assert!(matches!(refused, AuthorError::Refused(error) if error.kind == ErrorKind::RoleMismatch));
    }
}

#[test]
fn it_is_of_one_device_within_the_scope_of_its_issuing_key() {
    let class = |classes: &[[u8; 16]]| (2, array(&classes.iter().map(|id| bstr(id)).collect::<Vec<_>>()));
    let serial = |serials: &[&str]| (3, array(&serials.iter().map(|text| tstr(text)).collect::<Vec<_>>()));
    let vendor = |id: [u8; 16]| (1, bstr(&id));
    let scopes = [
        vec![vendor(OTHER), class(&[CLASS]), serial(&[SERIAL])],
        vec![vendor(VENDOR), class(&[OTHER]), serial(&[SERIAL])],
        vec![vendor(VENDOR), class(&[CLASS]), serial(&["B-1"])],
        vec![vendor(VENDOR), class(&[CLASS, [0xc2; 16]]), serial(&[SERIAL])],
        vec![vendor(VENDOR), class(&[CLASS]), serial(&[SERIAL, "A-0002"])],
        vec![vendor(VENDOR), serial(&[SERIAL])],
        vec![vendor(VENDOR), class(&[CLASS])],
    ];
    let scope = ScopeRequest {
        vendor: VENDOR,
        classes: vec![CLASS, [0xc2; 16]],
        serials: vec![SERIAL.into(), "A-0002".into()],
        actions: None,
    };
    let limited = ScopeRequest { actions: Some(1), ..scope.clone() };
    let issuing = issue_credential(&CredentialRequest { scope, ..issuing_request() }, &root()).unwrap();
    for scope in scopes {
        let device = signed(&with(-70002, scope_of(&scope)), ISSUING);
        let refused = verdict_in(&store(&anchors()), &issuing, &device);
        assert_eq!(refused, Err(ErrorKind::ScopeIssuer), "{scope:?}");
    }
    let within = [vendor(VENDOR), class(&[[0xc2; 16]]), serial(&["A-0002"])];
    let device = |actions: Option<i64>| {
        let scope = within.iter().cloned().chain(actions.map(|actions| (4, int(actions))));
        signed(&with(-70002, scope_of(&scope.collect::<Vec<_>>())), ISSUING)
    };
    assert_eq!(verdict_in(&store(&anchors()), &issuing, &device(None)), Ok(4));
    assert_eq!(verdict_in(&store(&anchors()), &issuing, &device(Some(9))), Ok(4));
    let issuing =
        issue_credential(&CredentialRequest { scope: limited, ..issuing_request() }, &root()).unwrap();
    for (actions, expected) in
        [(Some(1), Ok(4)), (Some(2), Err(ErrorKind::ScopeIssuer)), (None, Err(ErrorKind::ScopeIssuer))]
    {
        assert_eq!(verdict_in(&store(&anchors()), &issuing, &device(actions)), expected, "{actions:?}");
    }
    // A key without limits issues for every device of its vendor, one at a time.
    let open = ScopeRequest { vendor: VENDOR, classes: vec![], serials: vec![], actions: None };
    let issuing = issue_credential(&CredentialRequest { scope: open, ..issuing_request() }, &root()).unwrap();
    for (scope, expected) in [
        (vec![vendor(VENDOR), class(&[OTHER]), serial(&["B-1"])], Ok(4)),
        (vec![vendor(VENDOR), serial(&["B-1"])], Err(ErrorKind::ScopeIssuer)),
        (vec![vendor(VENDOR), class(&[OTHER])], Err(ErrorKind::ScopeIssuer)),
    ] {
        let device = signed(&with(-70002, scope_of(&scope)), ISSUING);
        assert_eq!(verdict_in(&store(&anchors()), &issuing, &device), expected, "{scope:?}");
    }
    let outside = DeviceCredentialRequest { class: OTHER, ..device_request() };
    let Err(AuthorError::Refused(refused)) = prepare_device_credential(&outside, &self::issuing()) else {
        panic!("prepared")
    };
    assert_eq!(refused.kind, ErrorKind::ScopeIssuer);
}

#[test]
fn it_is_not_for_the_key_of_a_judge() {
    for own in [ISSUING, 1] {
        let cnf = map(&[(int(1), key(own).public_key().to_cose_key().to_vec())]);
        assert_eq!(verdict(&signed(&with(8, cnf), ISSUING)), Err(ErrorKind::CredentialForAnchor), "{own}");
    }
    let own = DeviceCredentialRequest { key: key(ISSUING).public_key(), ..device_request() };
    let Err(AuthorError::Refused(refused)) = prepare_device_credential(&own, &issuing()) else {
        panic!("made")
    };
    assert_eq!(refused.kind, ErrorKind::CredentialForAnchor);
    let refused = issue_device_credential(&device_request(), &issuing(), &key(22)).unwrap_err();
    assert!(matches!(refused, AuthorError::NotTheSignersCredential));
}

fn under_list(revoked: Vec<Revoked>, lowest: &[(Role, u64)]) -> Result<u64, ErrorKind> {
    let list = RevocationRequest { revoked, lowest_generations: lowest.to_vec(), ..revocation_request() };
    let list = sign_revocation(&list, &root()).unwrap();
    let anchors = anchors();
    let lists = [RevocationList::verify(&list, &anchors).unwrap()];
    verdict_in(&store(&anchors).with_lists(&lists), &issuing(), &device())
}

#[test]
fn a_list_takes_it_back() {
    let kid = |seed| RevokedId::Key(key(seed).public_key().kid());
    let cti = RevokedId::Credential(CTI);
    assert_eq!(under_list(vec![kid(DEVICE).revoked(Role::Device, 4)], &[]), Err(ErrorKind::KeyRevoked));
    assert_eq!(under_list(vec![cti.revoked(Role::Device, 4)], &[]), Err(ErrorKind::CredentialRevoked));
    assert_eq!(under_list(vec![kid(ISSUING).revoked(Role::Identity, 4)], &[]), Err(ErrorKind::KeyRevoked));
    // The generation of its issuing key counts: a list that has room again after a new one drops no device.
    assert_eq!(under_list(vec![], &[(Role::Device, 5)]), Err(ErrorKind::GenerationRevoked));
    assert_eq!(under_list(vec![], &[(Role::Device, 4)]), Ok(4));
    assert_eq!(under_list(vec![], &[(Role::Identity, 5)]), Err(ErrorKind::GenerationRevoked));
    assert_eq!(under_list(vec![kid(DEVICE).revoked(Role::Identity, 4)], &[(Role::Service, 9)]), Ok(4));
}

#[test]
fn its_time_counts_and_that_of_its_issuing_key() {
    let device = DeviceCredentialRequest { expires: Some(UnixTime(1_900_000_000)), ..device_request() };
    let device = issue_device_credential(&device, &issuing(), &key(ISSUING)).unwrap();
    let begin = CredentialRequest { expires: Some(UnixTime(1_950_000_000)), ..issuing_request() };
    let issuing = issue_credential(&begin, &root()).unwrap();
    let anchors = anchors();
    let at = |now, device: &[u8]| verdict_in(&store(&anchors).at(UnixTime(now)), &issuing, device);
    assert_eq!(at(1_899_999_999, &device), Ok(4));
    assert_eq!(at(1_900_000_000, &device), Err(ErrorKind::CredentialExpired));
    assert_eq!(at(1_949_999_999, &self::device()), Ok(4));
    assert_eq!(at(1_950_000_000, &self::device()), Err(ErrorKind::CredentialExpired));
    let mut later = claims();
    later.insert(2, (int(5), int(1_800_000_000)));
    let later = signed(&later, ISSUING);
    assert_eq!(at(1_799_999_999, &later), Err(ErrorKind::CredentialNotYetValid));
    assert_eq!(at(1_800_000_000, &later), Ok(4));
    let never = DeviceCredentialRequest { expires: Some(UnixTime(1_750_000_000)), ..device_request() };
    assert!(matches!(prepare_device_credential(&never, &self::issuing()), Err(AuthorError::NeverValid)));
}

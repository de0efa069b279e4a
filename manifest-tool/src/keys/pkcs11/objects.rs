//! The two objects of a key pair, and how tokens encode Ed25519.

use cryptoki::error::Error as ModuleError;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use trust::host::printable_cut;

use super::fault::{Exposure, TokenFault};
use super::module::list;
use crate::keys::uri::TokenUri;

/// CKA_EC_PARAMS of Ed25519: the object identifier 1.3.101.112 (RFC 8410 section 3).
pub(super) const PARAMS_OID: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
/// The same as the PrintableString `edwards25519` (PKCS#11 version 3.1 section 6.3.3).
pub(super) const PARAMS_NAME: &[u8] = b"\x13\x0cedwards25519";
/// The object identifier that GnuPG's smart cards had before RFC 8410: 1.3.6.1.4.1.11591.15.1.
const PARAMS_OLD_OID: &[u8] = &[0x06, 0x09, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];
/// An OCTET STRING of 32 bytes.
const POINT_HEAD: &[u8] = &[0x04, 0x20];
/// A SubjectPublicKeyInfo of Ed25519 before its 32 bytes (RFC 8410 section 4).
const SPKI_HEAD: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A private key object.
pub(super) struct Private {
    pub(super) handle: ObjectHandle,
    id: Vec<u8>,
    label: Vec<u8>,
    /// CKA_ALWAYS_AUTHENTICATE
    pub(super) wants_pin: bool,
    is_edwards: bool,
}

impl Private {
    pub(super) fn read(session: &Session, handle: ObjectHandle) -> Result<Self, TokenFault> {
        let wanted = [AttributeType::KeyType, AttributeType::Id, AttributeType::Label];
        let mut private =
            Self { handle, id: Vec::new(), label: Vec::new(), wants_pin: false, is_edwards: false };
        for attribute in session.get_attributes(handle, &wanted).map_err(TokenFault::of)? {
            match attribute {
                Attribute::KeyType(key_type) => private.is_edwards = key_type == KeyType::EC_EDWARDS,
                Attribute::Id(id) => private.id = id,
                Attribute::Label(label) => private.label = label,
                _ => {}
            }
        }
        // By itself: a module that does not know it may refuse the whole call.
        let wants_pin = session.get_attributes(handle, &[AttributeType::AlwaysAuthenticate]);
        private.wants_pin =
            wants_pin.is_ok_and(|attributes| attributes.contains(&Attribute::AlwaysAuthenticate(true)));
        Ok(private)
    }
}

/// What the URI says about the objects of a class.
pub(super) fn template(uri: &TokenUri, class: ObjectClass) -> Vec<Attribute> {
    let label = uri.object.as_ref().map(|label| Attribute::Label(label.clone().into_bytes()));
    let id = uri.id.clone().map(Attribute::Id);
    [Some(Attribute::Class(class)), label, id].into_iter().flatten().collect()
}

fn find(session: &Session, template: &[Attribute]) -> Result<Vec<ObjectHandle>, TokenFault> {
    session.find_objects(template).map_err(TokenFault::of)
}

/// The only Ed25519 key that the URI names.
pub(super) fn private(session: &Session, uri: &TokenUri) -> Result<Private, TokenFault> {
    let found = find(session, &template(uri, ObjectClass::PRIVATE_KEY))?;
    let mut keys = Vec::new();
    for handle in &found {
        keys.push(Private::read(session, *handle)?);
    }
    keys.retain(|key| key.is_edwards);
    match (keys.len(), found.is_empty()) {
        (0, false) => Err(TokenFault::OtherType),
        (0, true) => Err(TokenFault::KeyAbsent(list(&names(session)?))),
        (1, _) => keys.pop().ok_or(TokenFault::OtherType),
        (several, _) => Err(TokenFault::KeysSeveral(several)),
    }
}

/// The Ed25519 keys that there are, for a message.
fn names(session: &Session) -> Result<Vec<String>, TokenFault> {
    let mut names = Vec::new();
    for handle in find(session, &[Attribute::Class(ObjectClass::PRIVATE_KEY)])? {
        let key = Private::read(session, handle)?;
        if key.is_edwards {
            let label = printable_cut(&String::from_utf8_lossy(&key.label), 32);
            names.push(format!("{label:?} (id {})", hex::encode(&key.id)));
        }
    }
    Ok(names)
}

/// The public half of a private key: the object with its id (or its label), else what the private object says of it.
pub(super) fn public_half(session: &Session, private: &Private) -> Result<[u8; 32], TokenFault> {
    let class = Attribute::Class(ObjectClass::PUBLIC_KEY);
    let same = if private.id.is_empty() {
        Attribute::Label(private.label.clone())
    } else {
        Attribute::Id(private.id.clone())
    };
    let mut points = Vec::new();
    for handle in find(session, &[class, same])? {
        points.extend(point_of(session, handle)?);
    }
    points.dedup();
    match points.as_slice() {
        [point] => Ok(*point),
        [] => point_of(session, private.handle)?.ok_or(TokenFault::PublicAbsent),
        _ => Err(TokenFault::PublicSeveral),
    }
}

/// How the token keeps a private key, in its own words.
pub(super) fn protection(session: &Session, private: &Private) -> Result<String, TokenFault> {
    let wanted = [
        AttributeType::Sensitive,
        AttributeType::AlwaysSensitive,
        AttributeType::Extractable,
        AttributeType::NeverExtractable,
        AttributeType::Local,
        AttributeType::AlwaysAuthenticate,
    ];
    let found = session.get_attributes(private.handle, &wanted).map_err(TokenFault::of)?;
    let words = found.iter().filter_map(|attribute| match attribute {
        Attribute::Sensitive(true) => Some("sensitive"),
        Attribute::Sensitive(false) => Some("NOT SENSITIVE"),
        Attribute::AlwaysSensitive(true) => Some("always was"),
        Attribute::Extractable(false) => Some("not extractable"),
        Attribute::Extractable(true) => Some("EXTRACTABLE"),
        Attribute::NeverExtractable(true) => Some("never was"),
        Attribute::Local(true) => Some("made in the token"),
        Attribute::Local(false) => Some("IMPORTED"),
        Attribute::AlwaysAuthenticate(true) => Some("PIN for each signature"),
        _ => None,
    });
    Ok(words.collect::<Vec<_>>().join(", "))
}

/// What of the protection of a private key in a token is missing. An attribute that the token does not give is none.
pub(super) fn exposures(session: &Session, private: ObjectHandle) -> Result<Vec<Exposure>, TokenFault> {
    let wanted =
        [AttributeType::Sensitive, AttributeType::Extractable, AttributeType::Private, AttributeType::Token];
    let found = session.get_attributes(private, &wanted).map_err(TokenFault::of)?;
    let mut exposures: Vec<Exposure> = [
        (Attribute::Sensitive(true), Exposure::NotSensitive),
        (Attribute::Extractable(false), Exposure::Extractable),
        (Attribute::Private(true), Exposure::NotPrivate),
        (Attribute::Token(true), Exposure::NotInToken),
    ]
    .into_iter()
    .filter(|(attribute, _)| !found.contains(attribute))
    .map(|(_, exposure)| exposure)
    .collect();
    // A value that cannot be read is left out.
    match session.get_attributes(private, &[AttributeType::Value]) {
        Ok(values) if !values.is_empty() => exposures.push(Exposure::Readable),
        Ok(_) | Err(ModuleError::Pkcs11(_, _)) => {}
        Err(error) => return Err(TokenFault::of(error)),
    }
    Ok(exposures)
}

/// The public key object that the URI names, if there is just one.
pub(super) fn public(session: &Session, uri: &TokenUri) -> Result<Option<[u8; 32]>, TokenFault> {
    let mut points = Vec::new();
    for handle in find(session, &template(uri, ObjectClass::PUBLIC_KEY))? {
        points.extend(point_of(session, handle)?);
    }
    points.dedup();
    if let [point] = points.as_slice() { Ok(Some(*point)) } else { Ok(None) }
}

/// The point of an Ed25519 key object; `None` when it has none, or is of another type.
fn point_of(session: &Session, handle: ObjectHandle) -> Result<Option<[u8; 32]>, TokenFault> {
    let wanted = [
        AttributeType::KeyType,
        AttributeType::EcParams,
        AttributeType::EcPoint,
        AttributeType::PublicKeyInfo,
    ];
    let (mut params, mut point, mut info) = (Vec::new(), Vec::new(), Vec::new());
    for attribute in session.get_attributes(handle, &wanted).map_err(TokenFault::of)? {
        match attribute {
            Attribute::KeyType(key_type) if key_type != KeyType::EC_EDWARDS => return Ok(None),
            Attribute::EcParams(bytes) => params = bytes,
            Attribute::EcPoint(bytes) => point = bytes,
            Attribute::PublicKeyInfo(bytes) => info = bytes,
            _ => {}
        }
    }
    if !is_ed25519(&params) {
        return Err(TokenFault::OtherType);
    }
    if let Some(point) = info.strip_prefix(SPKI_HEAD).and_then(|point| point.try_into().ok()) {
        return Ok(Some(point));
    }
    match point.as_slice() {
        [] => Ok(None),
        point => parse_point(point).map(Some).ok_or(TokenFault::Point),
    }
}

/// A module that keeps no parameters has one curve; what it signs is verified.
fn is_ed25519(params: &[u8]) -> bool {
    params.is_empty() || [PARAMS_OID, PARAMS_NAME, PARAMS_OLD_OID].contains(&params)
}

/// CKA_EC_POINT: the 32 bytes (version 3.0), or an OCTET STRING of them (before and since).
fn parse_point(point: &[u8]) -> Option<[u8; 32]> {
    point.try_into().ok().or_else(|| point.strip_prefix(POINT_HEAD)?.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::{PARAMS_NAME, PARAMS_OID, is_ed25519, parse_point};

    #[test]
    fn both_encodings_of_the_curve_are_ed25519() {
        assert!(is_ed25519(PARAMS_OID) && is_ed25519(PARAMS_NAME));
        // Ed448 by identifier and by name, P-256, noise.
        for other in
            [&b"\x06\x03\x2b\x65\x71"[..], b"\x13\x0aedwards448", b"\x06\x08*\x86H\xce=\x03\x01\x07", b"\x13"]
        {
            assert!(!is_ed25519(other), "{other:02x?}");
        }
    }

    #[test]
    fn a_point_is_raw_or_an_octet_string() {
        let raw = [7; 32];
        assert_eq!(parse_point(&raw), Some(raw));
        assert_eq!(parse_point(&[&[4, 32][..], &raw].concat()), Some(raw));
        for other in [&raw[..31], &[&[3, 32][..], &raw].concat(), &[&[4, 33][..], &raw, &[0]].concat(), &[]] {
            assert_eq!(parse_point(other), None, "{other:02x?}");
        }
    }
}

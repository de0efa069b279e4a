//! `key generate --key pkcs11:...`: a pair made in the token, and the proof that its private half stays there.

use cryptoki::error::{Error as ModuleError, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use trust::PublicKey;
use trust::author::signature;

use super::fault::TokenFault;
use super::objects::{PARAMS_NAME, PARAMS_OID, Private, template};
use super::{Token, TokenSigner, failed, objects};
use crate::error::Error;
use crate::keys::pin::PinSource;
use crate::keys::uri::TokenUri;

/// Length of an id that we choose, bytes.
const ID_LEN: usize = 8;
/// Length of the random message of the proof, bytes.
const PROOF_LEN: usize = 32;

/// Makes a pair in the token, reads its attributes back and lets it sign once. A pair that fails is deleted.
pub(in crate::keys) fn generate(given: &str, uri: &TokenUri, pin: &PinSource) -> Result<PublicKey, Error> {
    let failed = |fault| failed(given, fault);
    let label = uri.object.clone().unwrap_or_default().into_bytes();
    if label.is_empty() && uri.id.is_none() {
        return Err(failed(TokenFault::Nameless));
    }
    let token = Token::find(given, uri)?;
    let session = token.session(true)?;
    let pin = token.log_in(&session, pin)?;
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        if !is_free(&session, uri, class).map_err(failed)? {
            return Err(failed(TokenFault::KeyExists));
        }
    }
    let id = match &uri.id {
        Some(id) => id.clone(),
        None => random::<ID_LEN>()?.to_vec(),
    };
    let (public, private) = make(&session, &label, &id).map_err(failed)?;
    let proven = check(&session, private).map_err(failed).and_then(|()| prove(given, &token, private, pin));
    if proven.is_err() {
        for object in [private, public] {
            // What is left of a pair that is no good says the error.
            let _kept = session.destroy_object(object);
        }
    }
    proven
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::KeyOperation { doing: "generated", source: Box::new(error) })?;
    Ok(bytes)
}

/// Neither the label nor the id is in use.
fn is_free(session: &Session, uri: &TokenUri, class: ObjectClass) -> Result<bool, TokenFault> {
    for attribute in template(uri, class).into_iter().skip(1) {
        let found = session.find_objects(&[Attribute::Class(class), attribute]).map_err(TokenFault::of)?;
        if !found.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Tokens want the one or the other form of the parameters.
fn make(session: &Session, label: &[u8], id: &[u8]) -> Result<(ObjectHandle, ObjectHandle), TokenFault> {
    let mut refused = RvError::MechanismInvalid;
    for params in [PARAMS_OID, PARAMS_NAME] {
        let common = [
            Attribute::Token(true),
            Attribute::KeyType(KeyType::EC_EDWARDS),
            Attribute::Id(id.to_vec()),
            Attribute::Label(label.to_vec()),
        ];
        let public = [
            Attribute::Class(ObjectClass::PUBLIC_KEY),
            Attribute::Private(false),
            Attribute::Verify(true),
            Attribute::EcParams(params.to_vec()),
        ];
        let private = [
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ];
        let (public, private) = ([&public[..], &common].concat(), [&private[..], &common].concat());
        match session.generate_key_pair(&Mechanism::EccEdwardsKeyPairGen, &public, &private) {
            Ok(pair) => return Ok(pair),
            Err(ModuleError::Pkcs11(value, _)) if is_refusal(value) => refused = value,
            Err(error) => return Err(TokenFault::of(error)),
        }
    }
    Err(TokenFault::NotMade(refused))
}

/// What modules return for parameters, attributes or a mechanism that they do not take.
const fn is_refusal(value: RvError) -> bool {
    matches!(
        value,
        RvError::AttributeTypeInvalid
            | RvError::AttributeValueInvalid
            | RvError::CurveNotSupported
            | RvError::DomainParamsInvalid
            | RvError::FunctionFailed
            | RvError::FunctionNotSupported
            | RvError::GeneralError
            | RvError::MechanismInvalid
            | RvError::MechanismParamInvalid
            | RvError::TemplateIncomplete
            | RvError::TemplateInconsistent
    )
}

/// Reads back what was asked for.
fn check(session: &Session, private: ObjectHandle) -> Result<(), TokenFault> {
    match objects::exposures(session, private)?.first() {
        Some(exposure) => Err(TokenFault::Exposed(*exposure)),
        None => Ok(()),
    }
}

/// As later commands do: another session finds the pair, and it signs.
fn prove(
    given: &str,
    token: &Token<'_>,
    private: ObjectHandle,
    pin: Option<zeroize::Zeroizing<String>>,
) -> Result<PublicKey, Error> {
    let session = token.session(false)?;
    let private = Private::read(&session, private).map_err(|fault| failed(given, fault))?;
    let signer = TokenSigner::of_pair(given, session, private, pin)?;
    signature(&signer, &random::<PROOF_LEN>()?).map_err(|error| match error {
        trust::author::SignError::Foreign => failed(given, TokenFault::NewKeyForeign),
        other => Error::of_signer(other),
    })?;
    Ok(signer.public)
}

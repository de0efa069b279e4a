//! `pkcs11:`: a key in a token, through the module of its maker (PKCS#11 version 3.1; Ed25519 since version 3.0, section
//! 6.3). The key stays in the token; it signs with CKM_EDDSA, pure.

mod fault;
mod generate;
mod module;
mod objects;

pub use fault::{Exposure, TokenFault, TriesLeft};
pub(super) use generate::generate;

use cryptoki::context::{Function, Pkcs11};
use cryptoki::error::{Error as ModuleError, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use trust::PublicKey;
use trust::author::{SIGNATURE_LEN, SignError, Signer};
use trust::host::printable_cut;
use zeroize::Zeroizing;

use self::objects::Private;
use super::fault::HolderError;
use super::pin::PinSource;
use super::uri::TokenUri;
use crate::error::Error;

/// A key of a token, its session logged in.
pub(super) struct TokenSigner {
    given: String,
    session: Session,
    private: Private,
    public: PublicKey,
    /// For a key that wants the PIN before each signature.
    pin: Option<Zeroizing<String>>,
}

/// A token that was found, not yet opened.
struct Token<'u> {
    given: &'u str,
    uri: &'u TokenUri,
    module: Pkcs11,
    slot: Slot,
    info: TokenInfo,
}

impl<'u> Token<'u> {
    fn find(given: &'u str, uri: &'u TokenUri) -> Result<Self, Error> {
        let found = module::load(uri).and_then(|module| {
            let (slot, info) = module::slot(&module, uri)?;
            Ok((module, slot, info))
        });
        let (module, slot, info) = found.map_err(|fault| failed(given, fault))?;
        Ok(Self { given, uri, module, slot, info })
    }

    fn session(&self, is_written: bool) -> Result<Session, Error> {
        let session = if is_written {
            self.module.open_rw_session(self.slot)
        } else {
            self.module.open_ro_session(self.slot)
        };
        session.map_err(|error| failed(self.given, TokenFault::of(error)))
    }

    /// Logs the user in, if the token wants that. The PIN that opened it, unless the token has keys of its own to
    /// enter it.
    fn log_in(&self, session: &Session, pin: &PinSource) -> Result<Option<Zeroizing<String>>, Error> {
        let failed = |fault| failed(self.given, fault);
        if !self.info.login_required() {
            return Ok(None);
        }
        if self.info.user_pin_locked() {
            return Err(failed(TokenFault::PinLocked));
        }
        if !self.info.user_pin_initialized() {
            return Err(failed(TokenFault::PinToBeSet));
        }
        let pin = if self.info.protected_authentication_path() {
            crate::output::warning("enter the PIN on the token");
            None
        } else {
            Some(pin.pin(self.uri.pin_source.as_deref(), self.given)?)
        };
        match session.login(UserType::User, pin.as_ref().map(|pin| auth(pin)).as_ref()) {
            Ok(()) | Err(ModuleError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(pin),
            Err(ModuleError::Pkcs11(
                RvError::PinIncorrect | RvError::PinLenRange | RvError::PinInvalid,
                _,
            )) => Err(failed(self.after_a_wrong_pin())),
            Err(error) => Err(failed(TokenFault::of(error))),
        }
    }

    /// The token knows how many wrong PINs it still takes.
    fn after_a_wrong_pin(&self) -> TokenFault {
        match self.module.get_token_info(self.slot) {
            Ok(info) if info.user_pin_locked() => TokenFault::PinLocked,
            Ok(info) if info.user_pin_final_try() => TokenFault::PinWrong(TriesLeft::One),
            Ok(info) if info.user_pin_count_low() => TokenFault::PinWrong(TriesLeft::Fewer),
            _ => TokenFault::PinWrong(TriesLeft::NotSaid),
        }
    }
}

fn failed(given: &str, fault: TokenFault) -> Error {
    Error::Holder(HolderError::Token { key: given.to_owned(), fault })
}

/// The library wipes its copy.
fn auth(pin: &str) -> AuthPin {
    AuthPin::from(pin)
}

impl TokenSigner {
    /// Loads the module, finds the token, logs in and finds the key.
    pub(super) fn open(given: &str, uri: &TokenUri, pin: &PinSource) -> Result<Self, Error> {
        let token = Token::find(given, uri)?;
        let session = token.session(false)?;
        let pin = token.log_in(&session, pin)?;
        let private = objects::private(&session, uri).map_err(|fault| failed(given, fault))?;
        Self::of_pair(given, session, private, pin)
    }

    fn of_pair(
        given: &str,
        session: Session,
        private: Private,
        pin: Option<Zeroizing<String>>,
    ) -> Result<Self, Error> {
        let point = objects::public_half(&session, &private).map_err(|fault| failed(given, fault))?;
        let public = super::usable(given, &point)?;
        let pin = pin.filter(|_| private.wants_pin);
        Ok(Self { given: given.to_owned(), session, private, public, pin })
    }

    fn signature(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], TokenFault> {
        let signature = self.call(message).map_err(|error| match error {
            // The key was there a moment ago.
            ModuleError::Pkcs11(
                value @ (RvError::KeyHandleInvalid | RvError::ObjectHandleInvalid),
                Function::SignInit,
            ) => TokenFault::Removed(value),
            other => TokenFault::of(other),
        })?;
        signature.as_slice().try_into().map_err(|_| TokenFault::SignatureLen(signature.len()))
    }

    fn call(&self, message: &[u8]) -> Result<Vec<u8>, ModuleError> {
        let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
        if !self.private.wants_pin {
            return self.session.sign(&mechanism, self.private.handle, message);
        }
        // The PIN counts for the signature that has begun.
        self.session.sign_init(&mechanism, self.private.handle)?;
        self.session.login(UserType::ContextSpecific, self.pin.as_ref().map(|pin| auth(pin)).as_ref())?;
        self.session.sign_update(message)?;
        self.session.sign_final()
    }
}

impl Signer for TokenSigner {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], SignError> {
        self.signature(message)
            .map_err(|fault| SignError::new(HolderError::Token { key: self.given.clone(), fault }))
    }
}

/// The public key of a pair: without the PIN where the token shows it so.
pub(super) fn public_key(given: &str, uri: &TokenUri, pin: &PinSource) -> Result<PublicKey, Error> {
    let token = Token::find(given, uri)?;
    let session = token.session(false)?;
    if let Some(point) = objects::public(&session, uri).map_err(|fault| failed(given, fault))? {
        return super::usable(given, &point);
    }
    let pin = token.log_in(&session, pin)?;
    let private = objects::private(&session, uri).map_err(|fault| failed(given, fault))?;
    Ok(TokenSigner::of_pair(given, session, private, pin)?.public)
}

/// What an auditor asks of a token: whether wrong PINs were entered, and how the private half is kept, when a file gives the
/// PIN (else `None`); nobody is asked for it.
pub(crate) struct Custody {
    /// `None`: without the PIN, the token does not show it.
    pub public: Option<PublicKey>,
    /// How many wrong PINs it still takes, if it counts some.
    pub tries: Option<TriesLeft>,
    pub exposures: Option<Vec<Exposure>>,
}

/// Looks at a token as an auditor.
pub(crate) fn custody(given: &str, uri: &TokenUri, pin: &PinSource) -> Result<Custody, Error> {
    let token = Token::find(given, uri)?;
    let tries = match &token.info {
        info if info.user_pin_final_try() => Some(TriesLeft::One),
        info if info.user_pin_count_low() => Some(TriesLeft::Fewer),
        _ => None,
    };
    let has_pin = pin.file(uri.pin_source.as_deref()).is_some();
    let session = token.session(false)?;
    if !has_pin {
        let point = objects::public(&session, uri).map_err(|fault| failed(given, fault))?;
        let public = point.map(|point| super::usable(given, &point)).transpose()?;
        return Ok(Custody { public, tries, exposures: None });
    }
    let pin = token.log_in(&session, pin)?;
    let private = objects::private(&session, uri).map_err(|fault| failed(given, fault))?;
    let exposures = objects::exposures(&session, private.handle).map_err(|fault| failed(given, fault))?;
    let public = TokenSigner::of_pair(given, session, private, pin)?.public;
    Ok(Custody { public: Some(public), tries, exposures: Some(exposures) })
}

/// What a token says of itself, and of the key when a file gives the PIN; nobody is asked for it.
pub(crate) fn details(
    given: &str,
    uri: &TokenUri,
    pin: &PinSource,
) -> Result<Vec<(&'static str, String)>, Error> {
    let token = Token::find(given, uri)?;
    let state = match &token.info {
        info if info.user_pin_locked() => "locked",
        info if info.user_pin_final_try() => "the next wrong PIN locks it",
        info if info.user_pin_count_low() => "wrong PINs were entered",
        info if !info.login_required() => "not asked for",
        _ => "in order",
    };
    let mut rows = vec![
        ("token", printable_cut(token.info.label(), 32)),
        ("made by", printable_cut(token.info.manufacturer_id(), 32)),
        ("model", printable_cut(token.info.model(), 32)),
        ("serial", printable_cut(token.info.serial_number(), 32)),
        ("PIN", state.to_owned()),
    ];
    if pin.file(uri.pin_source.as_deref()).is_some() {
        let session = token.session(false)?;
        token.log_in(&session, pin)?;
        let attributes = objects::private(&session, uri)
            .and_then(|private| objects::protection(&session, &private))
            .map_err(|fault| failed(given, fault))?;
        rows.push(("private half", attributes));
    }
    Ok(rows)
}

//! `ssh-agent:`: an Ed25519 key of an OpenSSH agent, by the two messages of its protocol that list keys and sign
//! (draft-ietf-sshm-ssh-agent sections 3.5 and 3.6; RFC 8709 for the forms of key and signature).

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use base64ct::{Base64Unpadded, Encoding as _};
use sha2::{Digest as _, Sha256};
use trust::PublicKey;
use trust::author::{SIGNATURE_LEN, SignError, Signer};
use trust::host::printable_cut;

use super::fault::HolderError;
use super::location::AgentKey;
use crate::error::Error;
use crate::public_key;

/// Names the socket of the agent.
const SOCKET_VARIABLE: &str = "SSH_AUTH_SOCK";
/// How long an agent may take: somebody may have to confirm.
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// Longest answer that is read, bytes: OpenSSH's own limit.
const MAX_ANSWER_LEN: usize = 256 * 1024;
/// Most keys that are looked through.
const MAX_KEYS: u32 = 2048;
const ED25519: &[u8] = b"ssh-ed25519";
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// Why an agent gave no signature.
#[derive(Debug, thiserror::Error)]
pub enum AgentFault {
    #[error("{SOCKET_VARIABLE} is not set")]
    NoSocket,
    #[error("the agent at {socket:?} does not answer: {source}")]
    Unreachable { socket: OsString, source: std::io::Error },
    #[error("the answer of the agent is malformed")]
    Malformed,
    /// No Ed25519 key matches; what there is.
    #[error("the agent has no such Ed25519 key; it has {0}")]
    Absent(String),
    #[error("{0} Ed25519 keys of the agent match")]
    Several(usize),
    /// Locked, or the person who was asked to confirm said no.
    #[error("the agent refused to sign")]
    Refused,
    #[error("the agent signed with another algorithm")]
    Algorithm,
}

impl AgentFault {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::NoSocket | Self::Unreachable { .. } => "agent-unreachable",
            Self::Malformed | Self::Algorithm => "agent-answer",
            Self::Absent(_) => "key-absent",
            Self::Several(_) => "key-ambiguous",
            Self::Refused => "agent-refused",
        }
    }

    pub(super) const fn hint(&self) -> &'static str {
        match self {
            Self::NoSocket | Self::Unreachable { .. } => {
                "Start an agent (eval $(ssh-agent)) and add the key with ssh-add."
            }
            Self::Malformed | Self::Algorithm => "Use the agent of OpenSSH, or keep the key elsewhere.",
            Self::Absent(_) => "Add the key with ssh-add, or name one that ssh-add -l lists.",
            Self::Several(_) => "Name one by its fingerprint: ssh-agent:SHA256:..., as ssh-add -l lists it.",
            Self::Refused => "Unlock the agent (ssh-add -X) or confirm the signature where it asks.",
        }
    }

    pub(super) const fn exit_code(&self) -> u8 {
        match self {
            Self::NoSocket | Self::Unreachable { .. } | Self::Malformed | Self::Algorithm => 3,
            Self::Absent(_) | Self::Several(_) | Self::Refused => 4,
        }
    }
}

/// A key of the agent that `SSH_AUTH_SOCK` names.
#[derive(Debug)]
pub(super) struct AgentSigner {
    given: String,
    socket: OsString,
    public: PublicKey,
}

impl AgentSigner {
    /// Finds the key.
    pub(super) fn open(given: &str, key: &AgentKey) -> Result<Self, Error> {
        let failed = |fault| Error::Holder(HolderError::Agent { key: given.to_owned(), fault });
        let wanted = match key {
            AgentKey::Public(path) => Some(public_key::open(path)?),
            AgentKey::Only | AgentKey::Comment(_) | AgentKey::Fingerprint(_) => None,
        };
        let socket = std::env::var_os(SOCKET_VARIABLE).filter(|socket| !socket.is_empty());
        let socket = socket.ok_or_else(|| failed(AgentFault::NoSocket))?;
        let answer = ask(&socket, &[REQUEST_IDENTITIES]).map_err(failed)?;
        let identities = identities(&answer).map_err(failed)?;
        let matches = |identity: &&Identity<'_>| match key {
            AgentKey::Only => true,
            AgentKey::Comment(comment) => identity.comment == comment.as_bytes(),
            AgentKey::Fingerprint(fingerprint) => identity.fingerprint() == *fingerprint,
            AgentKey::Public(_) => wanted.is_some_and(|key| key.as_bytes() == identity.public),
        };
        let found: Vec<&Identity<'_>> = identities.iter().filter(matches).collect();
        let public = match found.as_slice() {
            [identity] => identity.public,
            [] => return Err(failed(AgentFault::Absent(names(&identities)))),
            several => return Err(failed(AgentFault::Several(several.len()))),
        };
        let public = super::usable(given, public)?;
        Ok(Self { given: given.to_owned(), socket, public })
    }

    fn signature(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], AgentFault> {
        let mut request = vec![SIGN_REQUEST];
        put(&mut request, &blob(self.public.as_bytes()));
        put(&mut request, message);
        // No flags: they choose digests for RSA.
        request.extend(0u32.to_be_bytes());
        let answer = ask(&self.socket, &request)?;
        let mut reader = match answer.split_first() {
            Some((&SIGN_RESPONSE, rest)) => Strings(rest),
            Some((&FAILURE, _)) => return Err(AgentFault::Refused),
            _ => return Err(AgentFault::Malformed),
        };
        let mut signature = Strings(reader.next()?);
        if signature.next()? != ED25519 {
            return Err(AgentFault::Algorithm);
        }
        signature.next()?.try_into().map_err(|_| AgentFault::Malformed)
    }
}

impl Signer for AgentSigner {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], SignError> {
        self.signature(message)
            .map_err(|fault| SignError::new(HolderError::Agent { key: self.given.clone(), fault }))
    }
}

/// An Ed25519 key that the agent holds.
struct Identity<'a> {
    public: &'a [u8; 32],
    comment: &'a [u8],
}

impl Identity<'_> {
    /// As `ssh-add -l` shows it, without `SHA256:`.
    fn fingerprint(&self) -> String {
        fingerprint(self.public)
    }
}

/// SHA-256 of the key as OpenSSH encodes it, in base64: what `ssh-keygen -l` shows after `SHA256:`.
pub(crate) fn fingerprint(public: &[u8; 32]) -> String {
    Base64Unpadded::encode_string(&Sha256::digest(blob(public)))
}

/// RFC 8709 section 4.
fn blob(public: &[u8; 32]) -> Vec<u8> {
    let mut blob = Vec::new();
    put(&mut blob, ED25519);
    put(&mut blob, public);
    blob
}

fn identities(answer: &[u8]) -> Result<Vec<Identity<'_>>, AgentFault> {
    let Some((&IDENTITIES_ANSWER, rest)) = answer.split_first() else { return Err(AgentFault::Malformed) };
    let (count, rest) = rest.split_first_chunk().ok_or(AgentFault::Malformed)?;
    let count = u32::from_be_bytes(*count);
    if count > MAX_KEYS {
        return Err(AgentFault::Malformed);
    }
    let mut reader = Strings(rest);
    let mut identities = Vec::new();
    for _ in 0..count {
        let (key, comment) = (reader.next()?, reader.next()?);
        let mut key = Strings(key);
        // Of other kinds are RSA keys, certificates, keys in FIDO tokens.
        if key.next()? == ED25519 {
            let public = key.next()?.try_into().map_err(|_| AgentFault::Malformed)?;
            identities.push(Identity { public, comment });
        }
    }
    Ok(identities)
}

/// The keys that there are, for a message.
fn names(identities: &[Identity<'_>]) -> String {
    let name = |identity: &Identity<'_>| {
        let comment = printable_cut(&String::from_utf8_lossy(identity.comment), 40);
        format!("SHA256:{} ({comment})", identity.fingerprint())
    };
    let names: Vec<String> = identities.iter().take(8).map(name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Strings of RFC 4251 section 5.
struct Strings<'a>(&'a [u8]);

impl<'a> Strings<'a> {
    fn next(&mut self) -> Result<&'a [u8], AgentFault> {
        let (len, rest) = self.0.split_first_chunk().ok_or(AgentFault::Malformed)?;
        let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| AgentFault::Malformed)?;
        let (string, rest) = rest.split_at_checked(len).ok_or(AgentFault::Malformed)?;
        self.0 = rest;
        Ok(string)
    }
}

/// Appends a string of RFC 4251 section 5; what we send is far below 4 GiB.
fn put(bytes: &mut Vec<u8>, string: &[u8]) {
    bytes.extend(u32::try_from(string.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(string);
}

/// Sends one message and reads the answer to it.
fn ask(socket: &OsString, message: &[u8]) -> Result<Vec<u8>, AgentFault> {
    let unreachable = |source| AgentFault::Unreachable { socket: socket.clone(), source };
    let mut stream = UnixStream::connect(socket).map_err(unreachable)?;
    stream.set_read_timeout(Some(TIME_LIMIT)).map_err(unreachable)?;
    stream.set_write_timeout(Some(TIME_LIMIT)).map_err(unreachable)?;
    let mut request = Vec::new();
    put(&mut request, message);
    stream.write_all(&request).map_err(unreachable)?;
    let mut len = [0; 4];
    stream.read_exact(&mut len).map_err(unreachable)?;
    let len = usize::try_from(u32::from_be_bytes(len)).ok().filter(|len| (1..=MAX_ANSWER_LEN).contains(len));
    let mut answer = vec![0; len.ok_or(AgentFault::Malformed)?];
    stream.read_exact(&mut answer).map_err(unreachable)?;
    Ok(answer)
}

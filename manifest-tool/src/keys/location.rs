//! Where a private key is kept: the one grammar of `--key`. A path or `file:PATH`, `-`, `env:NAME`, `pkcs11:...` (RFC
//! 7512), `ssh-agent:...`, `exec:PROGRAM?...` (docs/keys.md).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::uri::{Attribute, TokenUri, attributes, once, split_query};

/// Longest location that is read, bytes.
const MAX_LOCATION_LEN: usize = 4096;
/// Most `argument`s of a program.
const MAX_ARGUMENTS: usize = 16;
/// How long a program may take to sign unless `timeout` says otherwise: somebody may have to touch a token.
const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(120);
/// Longest `timeout`, seconds.
const MAX_TIME_LIMIT_S: u64 = 3600;

/// Why a location is not one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LocationFault {
    #[error("it has more than {MAX_LOCATION_LEN} bytes")]
    TooLong,
    #[error("{0} is not followed by anything")]
    Empty(&'static str),
    /// The name of an environment variable has `=` or a zero byte.
    #[error("{0:?} is not the name of an environment variable")]
    Variable(String),
    #[error("it is not UTF-8")]
    NotUtf8,
    /// `%` without two hexadecimal digits, or bytes that are no text.
    #[error("the value of {0} is not percent-encoded text")]
    Encoding(String),
    #[error("{0:?} is not NAME=VALUE")]
    NotAnAttribute(String),
    #[error("the attribute {0:?} is not known")]
    Unknown(String),
    #[error("the attribute {0} is given twice")]
    Twice(String),
    #[error("{value:?} is not a value of {name}")]
    Value { name: &'static str, value: String },
    /// The value is not repeated.
    #[error("pin-value shows the PIN to every user of this machine")]
    PinValue,
    #[error("pin-source names no file")]
    PinSource,
    #[error("it names no program")]
    NoProgram,
    #[error("it names no public key")]
    NoPublicKey,
    #[error("it has more than {MAX_ARGUMENTS} arguments")]
    TooManyArguments,
}

impl LocationFault {
    /// An imperative sentence for the maker.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::PinValue => {
                "Use the prompt, --pin-file FILE or pin-source=file:FILE, and change the PIN that was shown."
            }
            Self::PinSource => "Name a file: pin-source=file:/PATH.",
            Self::NoPublicKey => "Name the file of the public key: exec:PROGRAM?public=FILE.",
            Self::Encoding(_) => "Write the byte as % and two hexadecimal digits, and % itself as %25.",
            _ => "See docs/keys.md for the forms; a file whose name begins like one of them is file:NAME.",
        }
    }
}

/// A key of an SSH agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AgentKey {
    /// The only Ed25519 key.
    Only,
    /// That with this comment.
    Comment(String),
    /// That with this fingerprint: base64 of SHA-256, without padding.
    Fingerprint(String),
    /// That of this public key file.
    Public(PathBuf),
}

/// A program that signs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProgramKey {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// File of the public key.
    pub public: PathBuf,
    pub time_limit: Duration,
}

/// The kinds of places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    File(PathBuf),
    /// The PEM is the value of this environment variable.
    Environment(String),
    Token(TokenUri),
    Agent(AgentKey),
    Program(ProgramKey),
}

impl Place {
    /// Reads what stands behind `--key`.
    ///
    /// # Errors
    /// [`LocationFault`]; none repeats a PIN.
    pub fn parse(given: &OsString) -> Result<Self, LocationFault> {
        if given.len() > MAX_LOCATION_LEN {
            return Err(LocationFault::TooLong);
        }
        let Some(text) = given.to_str() else {
            // A path; but a PIN would stand in it for all to see.
            return Ok(Self::File(PathBuf::from(given)));
        };
        if let Some(path) = text.strip_prefix("file:") {
            return Ok(Self::File(not_empty("file:", path)?.into()));
        }
        if let Some(name) = text.strip_prefix("env:") {
            let name = not_empty("env:", name)?;
            if name.contains(['=', '\0']) {
                return Err(LocationFault::Variable(name.to_owned()));
            }
            return Ok(Self::Environment(name.to_owned()));
        }
        if let Some(rest) = scheme(text, "pkcs11:") {
            return TokenUri::parse(rest).map(Self::Token);
        }
        if let Some(rest) = text.strip_prefix("ssh-agent:") {
            return agent_key(rest).map(Self::Agent);
        }
        if let Some(rest) = text.strip_prefix("exec:") {
            return program_key(rest).map(Self::Program);
        }
        Ok(Self::File(not_empty("--key", text)?.into()))
    }

    /// The files that it names.
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Self::File(path) => vec![path],
            Self::Environment(_)
            | Self::Agent(AgentKey::Only | AgentKey::Comment(_) | AgentKey::Fingerprint(_)) => Vec::new(),
            Self::Agent(AgentKey::Public(path)) => vec![path],
            Self::Token(uri) => uri.pin_source.iter().chain(&uri.module_path).map(PathBuf::as_path).collect(),
            Self::Program(key) => vec![&key.program, &key.public],
        }
    }
}

/// Schemes of URIs are in either case (RFC 3986 section 3.1).
fn scheme<'t>(text: &'t str, scheme: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn not_empty<'t>(scheme: &'static str, rest: &'t str) -> Result<&'t str, LocationFault> {
    if rest.is_empty() { Err(LocationFault::Empty(scheme)) } else { Ok(rest) }
}

/// `COMMENT`, `SHA256:...` or `?public=FILE`; nothing for the only key.
fn agent_key(rest: &str) -> Result<AgentKey, LocationFault> {
    let (name, query) = split_query(rest);
    let mut public = None;
    for attribute in attributes(query, '&') {
        let attribute = attribute?;
        match attribute.name {
            "public" => once(&mut public, &attribute, attribute.path()?)?,
            other => return Err(LocationFault::Unknown(other.to_owned())),
        }
    }
    let name = Attribute { name: "ssh-agent", value: name }.text()?;
    match (public, name.strip_prefix("SHA256:")) {
        (Some(public), _) if name.is_empty() => Ok(AgentKey::Public(public)),
        (Some(_), _) => Err(LocationFault::Value { name: "ssh-agent", value: name }),
        // `ssh-keygen -l` writes no padding.
        (None, Some(fingerprint)) => Ok(AgentKey::Fingerprint(fingerprint.trim_end_matches('=').to_owned())),
        (None, None) if name.is_empty() => Ok(AgentKey::Only),
        (None, None) => Ok(AgentKey::Comment(name)),
    }
}

/// `PROGRAM?public=FILE`, with `argument=TEXT` (repeatable) and `timeout=SECONDS`.
fn program_key(rest: &str) -> Result<ProgramKey, LocationFault> {
    let (program, query) = split_query(rest);
    let (mut public, mut time_limit, mut arguments) = (None, None, Vec::new());
    for attribute in attributes(query, '&') {
        let attribute = attribute?;
        match attribute.name {
            "public" => once(&mut public, &attribute, attribute.path()?)?,
            "timeout" => once(&mut time_limit, &attribute, time_limit_of(&attribute)?)?,
            "argument" => arguments.push(attribute.text()?),
            other => return Err(LocationFault::Unknown(other.to_owned())),
        }
    }
    if arguments.len() > MAX_ARGUMENTS {
        return Err(LocationFault::TooManyArguments);
    }
    let program = Attribute { name: "exec", value: program }.path()?;
    if program.as_os_str().is_empty() {
        return Err(LocationFault::NoProgram);
    }
    let public = public.ok_or(LocationFault::NoPublicKey)?;
    Ok(ProgramKey { program, arguments, public, time_limit: time_limit.unwrap_or(DEFAULT_TIME_LIMIT) })
}

fn time_limit_of(attribute: &Attribute<'_>) -> Result<Duration, LocationFault> {
    let text = attribute.text()?;
    match text.parse() {
        Ok(seconds @ 1..=MAX_TIME_LIMIT_S) => Ok(Duration::from_secs(seconds)),
        _ => Err(LocationFault::Value { name: "timeout", value: text }),
    }
}

#[cfg(test)]
mod tests;

//! The objects that a server answers with (docs/server-api.md), held against what was meant: a portal or a proxy answers
//! 200 as well.

use serde::{Deserialize, Serialize};
use suit_manifest::Target;
use trust::{SuccessionClaims, SuccessionNumber};

use crate::describe::kid;
use crate::error::{Error, RefusedRow};
use crate::output::row_lines;

/// An object that contains what was sent, or the address to which it was sent.
pub(super) trait Answer: serde::de::DeserializeOwned {
    /// Why it does not answer this request.
    fn difference(&self, meant: &Self::Meant<'_>) -> Option<String>;
    /// What was sent.
    type Meant<'a>;
}

/// The answer, if it answers this request.
pub(super) fn check<A: Answer>(step: &str, answer: A, meant: &A::Meant<'_>) -> Result<A, Error> {
    match answer.difference(meant) {
        Some(detail) => Err(Error::ServerAnswer { step: step.to_owned(), detail }),
        None => Ok(answer),
    }
}

fn named(what: &str, is: &str, meant: &str) -> Option<String> {
    let is = trust::host::printable(is);
    (is != meant).then(|| format!("it is about {what} {is}, not {meant}"))
}

/// The revocation list that a server goes by, in the words of its answer.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub(crate) struct ListInForce {
    /// kid of the root that signed it, hex.
    pub(crate) issuer_kid: String,
    pub(crate) list_sequence: u64,
}

impl std::fmt::Display for ListInForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "list-sequence {} of {}", self.list_sequence, trust::host::printable(&self.issuer_kid))
    }
}

impl Answer for ListInForce {
    type Meant<'a> = Self;

    fn difference(&self, meant: &Self) -> Option<String> {
        (self != meant).then(|| format!("{self} is in force, where {meant} was sent"))
    }
}

/// The root of a domain that a server goes by, in the words of its answer.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub(crate) struct RootInForce {
    /// Hex.
    domain: String,
    /// kid, hex.
    root_kid: String,
    recovery_epoch: u16,
    succession_sequence: u16,
}

impl RootInForce {
    /// The root that a succession names.
    pub(crate) fn new(claims: &SuccessionClaims<'_>) -> Self {
        let SuccessionNumber { recovery_epoch, succession_sequence } = claims.number();
        let (domain, root_kid) = (kid(claims.domain().0), kid(claims.key().kid()));
        Self { domain, root_kid, recovery_epoch, succession_sequence }
    }

    pub(crate) fn number(&self) -> SuccessionNumber {
        let Self { recovery_epoch, succession_sequence, .. } = *self;
        SuccessionNumber { recovery_epoch, succession_sequence }
    }
}

impl std::fmt::Display for RootInForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (root, domain) = (trust::host::printable(&self.root_kid), trust::host::printable(&self.domain));
        write!(f, "root {} ({root}) of the domain {domain}", self.number())
    }
}

impl Answer for RootInForce {
    type Meant<'a> = Self;

    /// A later root may be in force: the server keeps what leads there.
    fn difference(&self, meant: &Self) -> Option<String> {
        let is_later = self.domain == meant.domain && self.number() > meant.number();
        (self != meant && !is_later).then(|| format!("{self} is in force, where {meant} was sent"))
    }
}

/// Digest (hex) and size (bytes) of a stored image.
#[derive(Deserialize)]
pub(super) struct StoredImage {
    sha256: String,
    size: u64,
}

impl Answer for StoredImage {
    /// Digest and size.
    type Meant<'a> = (&'a str, u64);

    fn difference(&self, (sha256, size): &(&str, u64)) -> Option<String> {
        named("image", &self.sha256, sha256)
            .or_else(|| (self.size != *size).then(|| format!("{} of {size} bytes are stored", self.size)))
    }
}

/// A published release.
#[derive(Deserialize)]
pub(super) struct Release {
    manifest_digest: String,
    pub(super) envelope_url: Option<String>,
}

impl Answer for Release {
    /// Manifest digest, hex.
    type Meant<'a> = &'a str;

    fn difference(&self, digest: &&str) -> Option<String> {
        named("manifest", &self.manifest_digest, digest)
    }
}

/// Releases of a vendor and class, the highest sequence number first.
#[derive(Deserialize)]
pub(super) struct Releases {
    pub(super) releases: Vec<Numbered>,
}

#[derive(Deserialize)]
pub(super) struct Numbered {
    vendor: String,
    class: String,
    /// A server that knows of no tables leaves it out.
    target: Option<String>,
    pub(super) sequence: u64,
}

impl Answer for Releases {
    /// Vendor and class, UUIDs, and the target.
    type Meant<'a> = (&'a str, &'a str, &'a str);

    /// A number of another class or target would let a wrong step pass, or refuse a right one.
    fn difference(&self, (vendor, class, target): &(&str, &str, &str)) -> Option<String> {
        self.releases.iter().find_map(|release| {
            let installs = release.target.as_deref().unwrap_or(Target::Firmware.name());
            named("vendor", &release.vendor, vendor)
                .or_else(|| named("class", &release.class, class))
                .or_else(|| named("target", installs, target))
        })
    }
}

/// A mark on a release or a device.
#[derive(Deserialize)]
pub(crate) struct Mark {
    pub(crate) reason: Option<String>,
}

/// The mark that was meant: none, or one with a reason, or one with whatever reason it has.
pub(crate) type MeantMark<'a> = Option<Option<&'a str>>;

fn mark_difference(what: &str, is: Option<&Mark>, meant: MeantMark<'_>) -> Option<String> {
    match (is, meant) {
        (None, None) | (Some(_), Some(None)) => None,
        (None, Some(_)) => Some(format!("it says not {what}")),
        (Some(_), None) => Some(format!("it still says {what}")),
        (Some(mark), Some(Some(reason))) if mark.reason.as_deref() == Some(reason) => None,
        (Some(_), Some(Some(_))) => Some(format!("it says {what} for another reason")),
    }
}

/// A release and its status.
#[derive(Deserialize)]
pub(crate) struct ReleaseStatus {
    manifest_digest: String,
    /// `offered`, `withdrawn` or `refused`.
    pub(crate) status: String,
    /// Why it is refused.
    pub(crate) refusal: Option<String>,
    pub(crate) withdrawn: Option<Mark>,
}

impl Answer for ReleaseStatus {
    /// Manifest digest, hex; whether it is withdrawn.
    type Meant<'a> = (&'a str, MeantMark<'a>);

    fn difference(&self, (digest, mark): &(&str, MeantMark<'_>)) -> Option<String> {
        named("manifest", &self.manifest_digest, digest)
            .or_else(|| mark_difference("withdrawn", self.withdrawn.as_ref(), *mark))
    }
}

/// A device of the registry.
#[derive(Deserialize)]
pub(crate) struct DeviceStatus {
    serial: String,
    pub(crate) retired: Option<Mark>,
}

impl Answer for DeviceStatus {
    /// Serial; whether it is retired.
    type Meant<'a> = (&'a str, MeantMark<'a>);

    fn difference(&self, (serial, mark): &(&str, MeantMark<'_>)) -> Option<String> {
        named("serial", &self.serial, serial)
            .or_else(|| mark_difference("retired", self.retired.as_ref(), *mark))
    }
}

/// The issuing key of devices, as a server keeps it.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct IssuerKept {
    /// Hex.
    kid: String,
    name: String,
    /// Why its credential does not verify there, which keeps its devices out.
    refusal: Option<String>,
}

impl std::fmt::Display for IssuerKept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [name, kid] = [&self.name, &self.kid].map(|text| trust::host::printable(text));
        write!(f, "{name} ({kid})")?;
        match &self.refusal {
            Some(refusal) => write!(f, ", which the server refuses: {}", trust::host::printable(refusal)),
            None => Ok(()),
        }
    }
}

impl Answer for IssuerKept {
    /// kid, hex.
    type Meant<'a> = &'a str;

    fn difference(&self, kid: &&str) -> Option<String> {
        named("the issuing key", &self.kid, kid)
    }
}

/// What a list did, in the counts of docs/server-api.md.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
pub struct Imported {
    /// That are registered now.
    pub(crate) devices: usize,
    /// Of these, that were not there before.
    pub(crate) new: u64,
    /// Of those that were there, that got an identity.
    pub(crate) identified: u64,
    /// Of those that were there, that got other values.
    pub(crate) completed: u64,
    /// Of those that were there, that got neither.
    pub(crate) unchanged: u64,
    /// Whose credential is older than the registry's, which stays.
    pub(crate) older_credentials: u64,
    pub(crate) refused: Vec<RefusedRow>,
}

impl Imported {
    /// Counts another part of a list, too.
    pub(crate) fn add(&mut self, part: Self) {
        let sum = |own: &mut u64, more: u64| *own = own.saturating_add(more);
        self.devices = self.devices.saturating_add(part.devices);
        sum(&mut self.new, part.new);
        sum(&mut self.identified, part.identified);
        sum(&mut self.completed, part.completed);
        sum(&mut self.unchanged, part.unchanged);
        sum(&mut self.older_credentials, part.older_credentials);
        self.refused.extend(part.refused.into_iter().map(RefusedRow::shown));
    }

    /// The counts for people, without those that are 0: names and values.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let Self { devices, new, identified, completed, unchanged, older_credentials, refused } = self;
        let mut rows = vec![("registered", format!("{devices} devices"))];
        let mut count = |name, count: u64, words: &str| {
            if count > 0 {
                rows.push((name, format!("{count}{words}")));
            }
        };
        count("new", *new, "");
        count("identities", *identified, " filled in or renewed, of devices that were there");
        count(
            "other values",
            *completed,
            " devices that were there got some: line, owner, anchors, key-check values",
        );
        count("already there", *unchanged, " with nothing to add");
        count("credentials", *older_credentials, " are older than the registry's, which stay");
        rows.extend(row_lines(refused).into_iter().map(|row| ("refused", row)));
        rows
    }
}

impl Answer for Imported {
    /// Devices that were sent, and whether rows may be refused.
    type Meant<'a> = (usize, bool);

    fn difference(&self, (sent, good_rows): &(usize, bool)) -> Option<String> {
        let (devices, refused) = (self.devices as u64, self.refused.len());
        let is_more = [self.new, self.identified, self.completed, self.unchanged, self.older_credentials]
            .into_iter()
            .any(|count| count > devices);
        let is_all = self.devices.checked_add(refused) == Some(*sent) && (*good_rows || refused == 0);
        (!is_all || is_more).then(|| {
            format!(
                "{} devices are registered, {} of them new, and {refused} refused, where {sent} were sent",
                self.devices, self.new
            )
        })
    }
}

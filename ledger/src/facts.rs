//! What records say, as an entry shows it. The facts are read out of the bytes to be signed, and compared with the entry
//! whenever a ledger is opened: an entry cannot say other things than its record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trust::author::{
    AuthorError, RecordKind, Unsigned, read_unverified_credential, read_unverified_transcript_end,
};
use trust::host::read_unverified_revocation;
use trust::{
    CredentialClaims, RevocationClaims, Role, SuccessionClaims, SuccessionNumber, TranscriptEnd,
    verify_succession_request,
};
use uuid::Uuid;

use crate::entry::{CeremonyEntry, CredentialEntry, Event, ListEntry, SuccessionEntry};
use crate::values::{Base64, Hex, Time};

/// What a credential says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CredentialFacts {
    /// Name of the holder, and of its key.
    pub name: String,
    /// kid of the certified key.
    pub kid: Hex<8>,
    /// Its COSE_Key.
    pub public_key: Hex<40>,
    /// Its role.
    pub role: String,
    /// Name of the issuer.
    pub issuer: String,
    /// Vendor id, a UUID.
    pub vendor: String,
    /// Class ids; none: any.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub classes: Vec<String>,
    /// Serials; none: any.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub serials: Vec<String>,
    /// Permitted actions, a bit set; absent: any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actions: Option<u64>,
    /// Identifier of the credential.
    pub cti: Hex<16>,
    /// When it was issued.
    pub issued: Time,
    /// First second at which it is good.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_before: Option<Time>,
    /// First second at which it is no longer good.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<Time>,
    /// Generation.
    pub generation: u64,
    /// Highest manifest sequence number, of a release credential.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ceiling: Option<u64>,
}

impl CredentialFacts {
    pub(crate) fn of(claims: &CredentialClaims<'_>) -> Self {
        let scope = claims.scope();
        let uuid = |id: &[u8; 16]| Uuid::from_bytes(*id).to_string();
        Self {
            name: claims.sub().to_owned(),
            kid: Hex(claims.key().kid().0),
            public_key: Hex(claims.key().to_cose_key()),
            role: claims.role().name().to_owned(),
            issuer: claims.iss().to_owned(),
            vendor: uuid(scope.vendor()),
            classes: scope.classes().map(uuid).collect(),
            serials: scope.serials().map(str::to_owned).collect(),
            actions: scope.actions(),
            cti: Hex(*claims.cti()),
            issued: Time(claims.issued_at()),
            not_before: claims.not_before().map(Time),
            expires: claims.expires().map(Time),
            generation: claims.generation(),
            ceiling: (claims.role() == Role::Release).then(|| claims.sequence_ceiling()),
        }
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        Role::from_name(&self.role)
    }
}

/// What a revocation list says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ListFacts {
    /// list-sequence.
    pub sequence: u64,
    /// Name of the issuer.
    pub issuer: String,
    /// When it was issued.
    pub issued: Time,
    /// Revoked keys and credentials.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub revoked: Vec<RevokedFacts>,
    /// The lowest generation of a role that is still good; a role that is absent has 0.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub lowest_generations: BTreeMap<String, u64>,
    /// Minimum sequence numbers.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub minimums: Vec<MinimumFacts>,
}

/// A revoked key or credential.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RevokedFacts {
    /// Role of the entry.
    pub role: String,
    /// Generation of the entry.
    pub generation: u64,
    /// kid (8 bytes) or cti (16 bytes) in hex.
    pub id: String,
}

/// A minimum sequence number.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MinimumFacts {
    /// Vendor id, a UUID.
    pub vendor: String,
    /// Class id, a UUID; absent: every class.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub class: Option<String>,
    /// The least manifest sequence number.
    pub sequence: u64,
}

impl ListFacts {
    pub(crate) fn of(claims: &RevocationClaims<'_>) -> Self {
        let uuid = |id: &[u8; 16]| Uuid::from_bytes(*id).to_string();
        let lowest = Role::ALL.map(|role| (role.name().to_owned(), claims.lowest_generation(role)));
        Self {
            sequence: claims.sequence(),
            issuer: claims.iss().to_owned(),
            issued: Time(claims.issued_at()),
            revoked: claims
                .revoked()
                .map(|revoked| RevokedFacts {
                    role: revoked.role.name().to_owned(),
                    generation: revoked.generation,
                    id: hex::encode(revoked.id.as_bytes()),
                })
                .collect(),
            lowest_generations: lowest.into_iter().filter(|(_, lowest)| *lowest > 0).collect(),
            minimums: claims
                .minimum_sequences()
                .map(|minimum| MinimumFacts {
                    vendor: uuid(minimum.vendor),
                    class: minimum.class.map(uuid),
                    sequence: minimum.sequence,
                })
                .collect(),
        }
    }
}

/// What a succession says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SuccessionFacts {
    /// Name of the new root.
    pub name: String,
    /// kid of the new root.
    pub kid: Hex<8>,
    /// Its COSE_Key.
    pub public_key: Hex<40>,
    /// The domain whose root is replaced.
    pub domain: Hex<8>,
    /// How often the recovery root named a root.
    pub recovery_epoch: u16,
    /// How often a root named its successor since then.
    pub succession_sequence: u16,
    /// Rights of the new root, a bit set (docs/records.md).
    pub rights: u8,
    /// When it was issued.
    pub issued: Time,
}

impl SuccessionFacts {
    /// The number of the new root.
    #[must_use]
    pub const fn number(&self) -> SuccessionNumber {
        SuccessionNumber {
            recovery_epoch: self.recovery_epoch,
            succession_sequence: self.succession_sequence,
        }
    }

    pub(crate) fn of(claims: &SuccessionClaims<'_>) -> Self {
        Self {
            name: claims.iss().to_owned(),
            kid: Hex(claims.key().kid().0),
            public_key: Hex(claims.key().to_cose_key()),
            domain: Hex(claims.domain().0.0),
            recovery_epoch: claims.number().recovery_epoch,
            succession_sequence: claims.number().succession_sequence,
            rights: claims.rights().bits(),
            issued: Time(claims.issued_at()),
        }
    }
}

/// What the end of a ceremony's transcript says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CeremonyFacts {
    /// SHA-256 of the last line of the transcript.
    pub transcript: Hex<32>,
    /// Lines of the transcript.
    pub lines: u64,
    /// When its end was signed.
    pub issued: Time,
}

impl CeremonyFacts {
    fn of(end: &TranscriptEnd) -> Self {
        Self { transcript: Hex(end.digest), lines: end.lines, issued: Time(end.issued_at) }
    }
}

/// The facts of a record that is to be signed.
pub(crate) enum Facts {
    Ceremony(CeremonyFacts),
    Credential(CredentialFacts),
    List(ListFacts),
    Succession(SuccessionFacts),
}

impl Facts {
    pub(crate) fn of(unsigned: &Unsigned) -> Result<Self, AuthorError> {
        let blank = unsigned.with_blank_signature()?;
        match unsigned.kind() {
            RecordKind::Credential => {
                Ok(Self::Credential(CredentialFacts::of(&read_unverified_credential(&blank)?)))
            }
            RecordKind::RevocationList => Ok(Self::List(ListFacts::of(&read_unverified_revocation(&blank)?))),
            RecordKind::Succession => {
                Ok(Self::Succession(SuccessionFacts::of(&verify_succession_request(unsigned.payload())?)))
            }
            RecordKind::Transcript => {
                Ok(Self::Ceremony(CeremonyFacts::of(&read_unverified_transcript_end(&blank)?)))
            }
            // A request is the new root's, which has no ledger yet; a head is about the ledger, and stands beside its entries.
            RecordKind::SuccessionRequest | RecordKind::LedgerHead => {
                Err(trust::Error::new(trust::ErrorKind::RecordType, 0).into())
            }
        }
    }

    /// Whether an entry says the same.
    pub(crate) fn are_those_of(&self, event: &Event) -> bool {
        match (self, event) {
            (Self::Credential(facts), Event::Credential(entry)) => *facts == entry.facts,
            (Self::List(facts), Event::RevocationList(entry)) => *facts == entry.facts,
            (Self::Succession(facts), Event::Succession(entry)) => *facts == entry.facts,
            (Self::Ceremony(facts), Event::Ceremony(entry)) => *facts == entry.facts,
            _ => false,
        }
    }
}

impl Event {
    /// The event of a record that is to be signed. What the record does not say is left open.
    ///
    /// # Errors
    /// [`AuthorError`] when it is of no kind that a ledger records
    pub fn of_record(unsigned: &Unsigned) -> Result<Self, AuthorError> {
        let to_be_signed = Base64(unsigned.to_be_signed());
        Ok(match Facts::of(unsigned)? {
            Facts::Credential(facts) => Self::Credential(CredentialEntry {
                facts,
                names: BTreeMap::new(),
                holder: None,
                kept: None,
                to_be_signed,
            }),
            Facts::List(facts) => Self::RevocationList(ListEntry { facts, reason: None, to_be_signed }),
            Facts::Succession(facts) => {
                Self::Succession(SuccessionEntry { facts, reason: None, to_be_signed })
            }
            Facts::Ceremony(facts) => Self::Ceremony(CeremonyEntry { facts, purpose: None, to_be_signed }),
        })
    }
}

/// Whether each name makes its id: of a vendor, or of a class of one of the vendors.
pub(crate) fn names_hold(entry: &CredentialEntry) -> bool {
    let vendor = Uuid::try_parse(&entry.facts.vendor).unwrap_or_default();
    entry.names.iter().all(|(id, name)| {
        let of = |namespace: &Uuid| Uuid::new_v5(namespace, name.as_bytes()).to_string() == *id;
        of(&Uuid::NAMESPACE_DNS) && *id == entry.facts.vendor
            || of(&vendor) && entry.facts.classes.contains(id)
    })
}

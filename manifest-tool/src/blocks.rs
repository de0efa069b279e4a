//! Authentication blocks of an envelope under keys that the caller trusts, and how many keys have to stand behind it:
//! draft-ietf-suit-manifest-37 section 8.3 allows several blocks, and leaves to the recipient what they are worth.

use std::collections::BTreeSet;

use serde::Serialize;
use suit_manifest::Reason;
use suit_manifest::author::tree::EnvelopeTree;
use suit_manifest::author::{algorithm_name, structure_name};
use trust::blocks::{ALG_EDDSA, Algorithm, CoseStructure, Keys, Outcome, Part, Verdict, judge};

use crate::describe::kid;

/// What the blocks lack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shortfall {
    Unsigned,
    /// Number of the block, from 1 on, and why it does not hold.
    Fails(usize, trust::Error),
    /// Keys under which a block holds, and how many there have to be.
    TooFew {
        held: usize,
        wanted: usize,
        /// A block was not judged since it is of EdDSA (-8).
        eddsa_left_out: bool,
    },
}

impl Shortfall {
    pub fn code(self) -> &'static str {
        match self {
            Self::Unsigned => Reason::SignatureMissing.slug(),
            Self::Fails(_, error) => Reason::from(error).slug(),
            Self::TooFew { .. } => "blocks-too-few",
        }
    }

    pub fn exit_code(self) -> u8 {
        match self {
            Self::Unsigned => Reason::SignatureMissing.exit_code(),
            Self::Fails(_, error) => Reason::from(error).exit_code(),
            Self::TooFew { .. } => 5,
        }
    }

    /// What to do about it, one sentence.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Unsigned => Reason::SignatureMissing.hint(),
            Self::Fails(..) => {
                "Check the keys: a block that names none is tried with each. --require counts the keys that hold, whatever else is there."
            }
            Self::TooFew { eddsa_left_out: true, .. } => {
                "Pass the keys of those who signed; manifest-tool inspect names structure, algorithm and key of each block. \
                 --allow-eddsa takes EdDSA (-8)."
            }
            Self::TooFew { eddsa_left_out: false, .. } => {
                "Pass the keys of those who signed; manifest-tool inspect names structure, algorithm and key of each block."
            }
        }
    }

    pub(crate) const fn position(self) -> Option<u32> {
        match self {
            Self::Fails(_, error) => Some(error.position),
            Self::Unsigned | Self::TooFew { .. } => None,
        }
    }
}

impl std::fmt::Display for Shortfall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unsigned => f.write_str("no authentication block covers it"),
            Self::Fails(number, error) => {
                write!(
                    f,
                    "its block {number} fails at byte {}: {}",
                    error.position,
                    Reason::from(*error).message()
                )
            }
            Self::TooFew { held, wanted, .. } => {
                write!(f, "its blocks hold under {held} of the given keys, and {wanted} are asked for")
            }
        }
    }
}

/// Judges each block of an envelope.
pub fn judge_all<'a>(tree: &EnvelopeTree<'a>, keys: &Keys<'_>) -> Vec<Verdict<'a>> {
    tree.blocks.iter().map(|block| judge(*block, tree.payload.bytes, keys)).collect()
}

/// Whether the blocks are enough: the number of keys under which one holds.
///
/// Without `wanted`, no block may fail, and one has to hold. With it, blocks have to hold under so many different keys, whatever
/// becomes of others: a block that is there twice, or two blocks of one signer, count once.
pub fn held(verdicts: &[Verdict<'_>], wanted: Option<usize>) -> Result<usize, Shortfall> {
    if verdicts.is_empty() {
        return Err(Shortfall::Unsigned);
    }
    let failed = verdicts.iter().zip(1..).find_map(|(verdict, number)| match verdict.outcome {
        Outcome::Fails(error) => Some(Shortfall::Fails(number, error)),
        Outcome::Holds(_) | Outcome::Unsupported | Outcome::NoKey => None,
    });
    if let Some(failed) = failed.filter(|_| wanted.is_none()) {
        return Err(failed);
    }
    let held = verdicts.iter().flat_map(Verdict::keys).collect::<BTreeSet<_>>().len();
    let wanted = wanted.unwrap_or(1);
    if held >= wanted {
        return Ok(held);
    }
    let mut parts = verdicts.iter().flat_map(|verdict| &verdict.parts);
    let eddsa_left_out = parts.any(|part| {
        part.algorithm == Some(Algorithm::Number(ALG_EDDSA)) && matches!(part.outcome, Outcome::Unsupported)
    });
    Err(Shortfall::TooFew { held, wanted, eddsa_left_out })
}

/// An algorithm of COSE, for people.
pub(crate) fn algorithm_words(algorithm: Algorithm<'_>) -> String {
    match algorithm {
        Algorithm::Number(number) => algorithm_name(number),
        Algorithm::Name(name) => format!("{name:?}"),
    }
}

/// A block, for people and scripts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AuthenticationView {
    /// `null` of what is no structure of COSE.
    structure: Option<String>,
    #[serde(flatten)]
    end: Option<End>,
    /// Signers or recipients: one, but of COSE_Sign and COSE_Mac.
    parts: Vec<PartView>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct PartView {
    algorithm: Option<String>,
    /// By which a recipient gets the key of a MAC.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_algorithm: Option<String>,
    /// As the block names it.
    kid: Option<String>,
    #[serde(flatten)]
    end: Option<End>,
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct End {
    outcome: &'static str,
    /// kid of the key under which it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Why it fails, and where.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
}

impl From<Outcome> for End {
    fn from(outcome: Outcome) -> Self {
        let end = |outcome| Self { outcome, key: None, code: None, position: None };
        match outcome {
            Outcome::Holds(key) => Self { key: Some(kid(key)), ..end("holds") },
            Outcome::Fails(error) => Self {
                code: Some(Reason::from(error).slug()),
                position: Some(error.position),
                ..end("fails")
            },
            Outcome::Unsupported => end("unsupported"),
            Outcome::NoKey => end("no-key"),
        }
    }
}

impl End {
    fn words(&self) -> String {
        match (&self.key, self.code, self.position) {
            (Some(key), ..) => format!("holds under {key}"),
            (None, Some(code), Some(position)) => format!("FAILS [{code}, byte {position}]"),
            _ if self.outcome == "no-key" => "no key for it was given".to_owned(),
            _ => format!("NOT judged: {}", self.outcome),
        }
    }
}

impl AuthenticationView {
    /// With what became of it.
    pub fn judged(verdict: &Verdict<'_>) -> Self {
        Self::new(verdict, |outcome| Some(outcome.into()))
    }

    /// What the blocks of an envelope say of themselves. Nothing of it is verified; what cannot be read fails.
    pub fn claimed(tree: &EnvelopeTree<'_>) -> Vec<Self> {
        let end = |outcome| matches!(outcome, Outcome::Fails(_)).then(|| End::from(outcome));
        judge_all(tree, &Keys::default()).iter().map(|verdict| Self::new(verdict, end)).collect()
    }

    fn new(verdict: &Verdict<'_>, end: impl Fn(Outcome) -> Option<End>) -> Self {
        let part = |part: &Part<'_>| PartView {
            algorithm: part.algorithm.map(algorithm_words),
            key_algorithm: part.key_algorithm.map(algorithm_words),
            kid: part.kid.map(hex::encode),
            end: end(part.outcome),
        };
        let structure = |structure: CoseStructure| {
            structure.tag().map_or_else(|| "COSE without a tag".to_owned(), structure_name)
        };
        Self {
            structure: verdict.structure.map(structure),
            end: end(verdict.outcome),
            parts: verdict.parts.iter().map(part).collect(),
        }
    }

    /// A line about the block, and one for each of several parts.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let structure = self.structure.as_deref().unwrap_or("no structure of COSE");
        let end =
            |end: &Option<End>| end.as_ref().map(|end| format!(": {}", end.words())).unwrap_or_default();
        match self.parts.as_slice() {
            [part] => vec![("block", format!("{structure}, {}{}", part.words(), end(&self.end)))],
            parts => {
                let each = parts.iter().map(|part| ("", format!("{}{}", part.words(), end(&part.end))));
                std::iter::once(("block", format!("{structure}{}", end(&self.end)))).chain(each).collect()
            }
        }
    }
}

impl PartView {
    fn words(&self) -> String {
        let by = self.key_algorithm.as_ref().map(|name| format!(", its key by {name}")).unwrap_or_default();
        let key = self.kid.as_ref().map_or_else(|| "names no key".to_owned(), |kid| format!("key {kid}"));
        format!("{}{by}, {key}", self.algorithm.as_deref().unwrap_or("no algorithm"))
    }
}

#[cfg(test)]
mod tests;

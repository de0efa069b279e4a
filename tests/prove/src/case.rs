//! A case: one fault, or two, in one step of a device's life in one geometry; its name replays it.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Error, Result, bail};
use flash_model::{Cut, Decay, Fault, Random};

use crate::life::Step;

/// A kind of fault, each at every operation, read, word or sector of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    CutNothing,
    CutAll,
    CutWeak,
    CutTorn,
    CutUnreadable,
    CutFades,
    CutSettles,
    /// The driver reports an error, nothing is done.
    Error,
    /// The driver reports an error, some of it is done.
    ErrorTorn,
    /// From then on, the word takes no program or the sector no erase.
    ErrorLasts,
    /// The driver reports success, nothing is done.
    Silent,
    SilentLasts,
    Read,
    ReadLasts,
    /// A bit of a word flips at rest, before the step.
    Flip,
    /// A word faults at rest, before the step.
    Decay,
    /// A word decays while the power is off in the middle of the step.
    DecayWithin,
    /// A sector takes only so many erases more.
    Wear,
    /// Several faults that pass, anywhere in a whole life.
    Life,
}

/// The unit that a kind goes through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    Operation,
    Read,
    Word,
    Sector,
    Life,
}

impl Kind {
    pub const ALL: [Self; 19] = [
        Self::CutNothing,
        Self::CutAll,
        Self::CutWeak,
        Self::CutTorn,
        Self::CutUnreadable,
        Self::CutFades,
        Self::CutSettles,
        Self::Error,
        Self::ErrorTorn,
        Self::ErrorLasts,
        Self::Silent,
        Self::SilentLasts,
        Self::Read,
        Self::ReadLasts,
        Self::Flip,
        Self::Decay,
        Self::DecayWithin,
        Self::Wear,
        Self::Life,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::CutNothing => "cut-nothing",
            Self::CutAll => "cut-all",
            Self::CutWeak => "cut-weak",
            Self::CutTorn => "cut-torn",
            Self::CutUnreadable => "cut-unreadable",
            Self::CutFades => "cut-fades",
            Self::CutSettles => "cut-settles",
            Self::Error => "error",
            Self::ErrorTorn => "error-torn",
            Self::ErrorLasts => "error-lasts",
            Self::Silent => "silent",
            Self::SilentLasts => "silent-lasts",
            Self::Read => "read",
            Self::ReadLasts => "read-lasts",
            Self::Flip => "flip",
            Self::Decay => "decay",
            Self::DecayWithin => "decay-within",
            Self::Wear => "wear",
            Self::Life => "life",
        }
    }

    pub fn unit(self) -> Unit {
        match self {
            Self::Read | Self::ReadLasts => Unit::Read,
            Self::Flip | Self::Decay => Unit::Word,
            Self::Wear => Unit::Sector,
            Self::Life => Unit::Life,
            _ => Unit::Operation,
        }
    }

    /// The fault that is planned for an operation.
    pub fn fault(self, seed: u64) -> Option<Fault> {
        Some(match self {
            Self::CutNothing | Self::DecayWithin => Fault::Cut(Cut::Nothing),
            Self::CutAll => Fault::Cut(Cut::All),
            Self::CutWeak => Fault::Cut(Cut::Weak),
            Self::CutTorn => Fault::Cut(Cut::Torn(seed)),
            Self::CutUnreadable => Fault::Cut(Cut::Unreadable),
            Self::CutFades => Fault::Cut(Cut::Fades(seed)),
            Self::CutSettles => Fault::Cut(Cut::Settles(seed)),
            Self::Error => Fault::Error { effect: Cut::Nothing, lasts: false },
            Self::ErrorTorn => Fault::Error { effect: Cut::Torn(seed), lasts: false },
            Self::ErrorLasts => Fault::Error { effect: Cut::Torn(seed), lasts: true },
            Self::Silent => Fault::Silent { lasts: false },
            Self::SilentLasts => Fault::Silent { lasts: true },
            Self::Read | Self::ReadLasts | Self::Flip | Self::Decay | Self::Wear | Self::Life => return None,
        })
    }

    /// The decay of a word.
    pub fn decay(self, seed: u64) -> Decay {
        match self {
            Self::Flip => Decay::Flip(seed),
            Self::Decay => Decay::Fault,
            _ if seed.is_multiple_of(2) => Decay::Flip(seed),
            _ => Decay::Fault,
        }
    }

    /// Whether it takes content away that was there.
    pub fn takes_content(self) -> bool {
        matches!(self, Self::Flip | Self::Decay | Self::DecayWithin | Self::ReadLasts)
    }

    /// Whether what the driver said to be in flash is there, and stays.
    pub fn keeps_content(self) -> bool {
        self.passes() && self != Self::Silent
    }

    /// Whether it is over once it has happened, and no content is lost.
    pub fn passes(self) -> bool {
        !matches!(
            self,
            Self::ErrorLasts
                | Self::SilentLasts
                | Self::ReadLasts
                | Self::Flip
                | Self::Decay
                | Self::DecayWithin
                | Self::Wear
        )
    }
}

/// A cut of any kind.
pub fn any_cut(random: &mut Random) -> Cut {
    let seed = random.number();
    match random.below(7) {
        0 => Cut::Nothing,
        1 => Cut::All,
        2 => Cut::Weak,
        3 => Cut::Torn(seed),
        4 => Cut::Unreadable,
        5 => Cut::Fades(seed),
        _ => Cut::Settles(seed),
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .with_context(|| format!("there is no kind `{name}`; kinds: {}", known()))
    }
}

/// One fault, and a cut in what follows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    pub geometry: String,
    pub step: Step,
    pub kind: Kind,
    /// Number of the operation or read in the step, offset of the word, or number of the sector times [`LIVES`] plus its
    /// remaining erases; of a life: its number.
    pub at: u64,
    /// Chooses all else: bits, and the cut in the recovery.
    pub seed: u64,
}

/// Remaining erases of a sector that are tried: 0 to one less.
pub const LIVES: u64 = 4;

impl Case {
    /// The numbers that this case takes its choices from.
    pub fn random(&self) -> Random {
        let mut random = Random(self.seed ^ (self.at << 20) ^ ((self.kind as u64) << 8) ^ self.step as u64);
        random.number();
        random
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { geometry, step, kind, at, seed } = self;
        write!(f, "{geometry}/{}/{}/{at}/{seed}", step.name(), kind.name())
    }
}

impl FromStr for Case {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<_> = text.split('/').collect();
        let [geometry, step, kind, at, seed] = *parts else {
            bail!("`{text}` is no case: GEOMETRY/STEP/KIND/AT/SEED, as a failing run prints it");
        };
        Ok(Self {
            geometry: geometry.to_owned(),
            step: step.parse()?,
            kind: kind.parse()?,
            at: at.parse().with_context(|| format!("`{at}` is no number"))?,
            seed: seed.parse().with_context(|| format!("`{seed}` is no number"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_what_its_name_says() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            let step = Step::ALL[index % Step::ALL.len()];
            let case = Case { geometry: "w8-p4096".into(), step, kind, at: index as u64, seed: u64::MAX };
            assert_eq!(case.to_string().parse::<Case>().unwrap(), case);
        }
    }

    #[test]
    fn a_wrong_name_is_refused_with_those_that_exist() {
        for (text, word) in [
            ("a/update/error/1", "GEOMETRY/STEP/KIND/AT/SEED"),
            ("a/updat/error/1/2", "turnover"),
            ("a/update/eror/1/2", "cut-torn"),
            ("a/update/error/x/2", "no number"),
        ] {
            let error = format!("{:#}", text.parse::<Case>().unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }
}

//! Why a ledger is refused.

use std::path::{Path, PathBuf};

use crate::values::Hex;

/// Why a ledger could not be read, or not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("{} could not be {}: {source}", path.display(), if *writing { "written" } else { "read" })]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        writing: bool,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no ledger in the folder.
    #[error("{} is no ledger: it is not a folder with entries", .0.display())]
    Absent(PathBuf),
    /// There is one already.
    #[error("{} is a ledger already", .0.display())]
    Exists(PathBuf),
    /// Another program writes to it.
    #[error("another program is writing to the ledger {}", .0.display())]
    InUse(PathBuf),
    /// A file of it is not what it must be.
    #[error("the ledger is damaged: {} {fault}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// In what way.
        fault: Fault,
    },
    /// An entry that the ledger would refuse once it is there.
    #[error("{} is not written: as an entry it {fault}", path.display())]
    Unfit {
        /// Its file.
        path: PathBuf,
        /// What reading would find.
        fault: Fault,
    },
    /// A later version of this program wrote it.
    #[error("{} has format {format}, and this version reads format {}", path.display(), crate::FORMAT)]
    Newer {
        /// The entry or head.
        path: PathBuf,
        /// What it says.
        format: u64,
    },
    /// An entry was begun, and its record was never signed.
    #[error("entry {entry} ({kind} of {name:?}) was begun and is not signed")]
    Begun {
        /// Its number.
        entry: u64,
        /// Its kind.
        kind: &'static str,
        /// Whose or what it is.
        name: String,
    },
    /// No entry was begun.
    #[error("no entry of the ledger waits for a signature")]
    NothingBegun,
    /// The time of a new entry is before that of the last one.
    #[error("the time {time} is before {last}, the time of the last entry of the ledger")]
    TimeGoesBack {
        /// Of the new entry.
        time: String,
        /// Of the last one.
        last: String,
    },
    /// A name is that of another key.
    #[error("the name {name:?} is taken: {held:?} is the key {kid} in the ledger")]
    NameTaken {
        /// The name.
        name: String,
        /// The name that the ledger has, perhaps in another case.
        held: String,
        /// kid of the key that has it.
        kid: Hex<8>,
    },
    /// The ledger has no key of this name.
    #[error("the ledger has no key named {0:?}")]
    NoSuchKey(String),
    /// The name or kid of the key whose ledger it is.
    #[error("{0:?} is the key whose ledger this is: it stands in no credential or list of its own")]
    OwnKey(String),
    /// A name of two keys, as two copies may have given it that were joined.
    #[error("two keys of the ledger are named {name:?}: {} and {}", kids[0], kids[1])]
    NameOfTwo {
        /// The name.
        name: String,
        /// Two of the keys.
        kids: [Hex<8>; 2],
    },
    /// A text is empty, too long, or has control characters.
    #[error("{what} must be 1 to {limit} bytes of text without control characters")]
    Text {
        /// What the text is.
        what: &'static str,
        /// Most bytes.
        limit: usize,
    },
    /// It is the ledger of another key.
    #[error("{} is the ledger of the key {ledger}, not of {key}", path.display())]
    OtherKey {
        /// Its folder.
        path: PathBuf,
        /// kid of its key.
        ledger: Hex<8>,
        /// kid of the key that is to sign.
        key: Hex<8>,
    },
    /// A published list that this copy does not have: it is older than another copy.
    #[error(
        "the published list has list-sequence {published}, and this copy of the ledger knows lists up to {known}"
    )]
    Stale {
        /// Of the published list.
        published: u64,
        /// Of the newest list in the ledger, 0 if there is none.
        known: u64,
    },
    /// A copy that lacks what was written down of the ledger.
    #[error("{} has no {wanted}: its last one is entry {last}", path.display())]
    Older {
        /// Its folder.
        path: PathBuf,
        /// Which entry, in words.
        wanted: String,
        /// Number of its last entry.
        last: u64,
    },
    /// A published list with the number of one in the ledger, and other bytes.
    #[error(
        "the ledger has another list with list-sequence {0} than the published one: there are two copies of it"
    )]
    Forked(u64),
    /// The other copy has nothing to be joined.
    #[error("{} cannot be joined to {}: {reason}", other.display(), path.display())]
    NotForked {
        /// The other copy.
        other: PathBuf,
        /// This ledger.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// A copy gave up, or lacks the record of, an entry that the other one signed.
    #[error("entry {entry} is signed in the ledger {} and not in {}", signed.display(), unsigned.display())]
    SignedOnce {
        /// Number of the entry, which both have.
        entry: u64,
        /// The copy that has its record.
        signed: PathBuf,
        /// The copy that has not.
        unsigned: PathBuf,
    },
    /// A head that covers fewer entries than the one that is there: it was signed before.
    #[error("the head covers {entries} entries, and the signed head of the ledger covers {covered}")]
    OldHead {
        /// Of the new head.
        entries: u64,
        /// Of the head that is there.
        covered: u64,
    },
    /// The key has retired: it signs no record any more.
    #[error("{} is closed: {name:?} ({kid}) has been the root since succession {number}", path.display())]
    Closed {
        /// The ledger.
        path: PathBuf,
        /// Name of the root that followed.
        name: String,
        /// Its kid.
        kid: Hex<8>,
        /// Its number.
        number: trust::SuccessionNumber,
    },
    /// A succession that cannot stand in this ledger.
    #[error("the succession cannot stand in {}: {reason}", path.display())]
    Succession {
        /// The ledger.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// The ledger that is to be continued is not that of the root before.
    #[error("{} cannot be continued: {reason}", path.display())]
    NotSucceeded {
        /// The ledger.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// Another ledger is not the one whose head was reported before.
    #[error("entry {entry} of {} is not the one that was reported before", path.display())]
    OtherHistory {
        /// Its folder.
        path: PathBuf,
        /// Number of the entry that the earlier head named.
        entry: u64,
    },
    /// A batch of devices cannot be recorded.
    #[error("the batch of devices {0}")]
    Batch(Fault),
    /// There is no room for another entry.
    #[error("the ledger has {} entries, which is the limit", trust::MAX_LEDGER_ENTRIES)]
    Full,
    /// The batches of devices are more than a reader holds.
    #[error("the batches of {} have more than {} bytes, which is the limit", .0.display(), crate::MAX_BATCHES_LEN)]
    BatchesFull(PathBuf),
    /// A record could not be made.
    #[error(transparent)]
    Author(#[from] trust::author::AuthorError),
}

/// In what way a file of a ledger is damaged.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// Not JSON of an entry.
    #[error("is no entry of this format: {0}")]
    Form(String),
    /// Longer than its limit, bytes.
    #[error("is longer than {0} bytes")]
    TooLong(u64),
    /// It reads, but this program would write it in another form.
    #[error("is not in the one form that entries have")]
    Spelling,
    /// Something else lies in its place.
    #[error("is {0}, not a file")]
    NotAFile(&'static str),
    /// The lines of a batch of devices are not those of their entry.
    #[error("is damaged: {0}")]
    Lines(&'static str),
    /// The number in the entry is not the one in its name.
    #[error("has the number {0} inside")]
    Number(u64),
    /// The kind in the entry is not the one in its name.
    #[error("has the kind {0} inside")]
    Kind(&'static str),
    /// A number is there twice.
    #[error("has the number of another entry")]
    Twice,
    /// An entry is missing before this one.
    #[error("follows a gap: entry {0} is missing")]
    Gap(u64),
    /// The digest of the entry before it is another one.
    #[error("does not follow the entry before it: that one was changed")]
    Chain,
    /// Its time is before that of the entry before it.
    #[error("is older than the entry before it")]
    Time,
    /// An entry that cannot be at this place.
    #[error("cannot stand here: {0}")]
    Place(&'static str),
    /// What the entry says is not what the bytes to be signed say.
    #[error("says other things than the record that it is about")]
    Facts,
    /// A text in it is empty, too long, or has control characters.
    #[error("has a text that is empty, too long, or not printable")]
    Text,
    /// The key in the entry is not usable.
    #[error("has an unusable public key")]
    Key,
    /// The bytes to be signed are no record of this key.
    #[error("has bytes to be signed that are no record of this key: {0}")]
    ToBeSigned(String),
    /// The record is not the one of the entry.
    #[error("is not the record of its entry, or its signature does not hold")]
    Record,
    /// A record without an entry.
    #[error("has no entry")]
    NoEntry,
    /// The record of an entry is gone, and later entries stand after it.
    #[error("is missing, though later entries follow")]
    NoRecord,
    /// The list drops something that the list before it said.
    #[error("does not continue the list before it: {0}")]
    List(String),
    /// The key had retired before it signed this.
    #[error("was signed after the key had retired")]
    Retired,
    /// A succession that does not follow the one before it.
    #[error("is a succession that cannot stand here: {0}")]
    Succession(&'static str),
    /// The copy of the ledger before is not the one that this ledger goes on from.
    #[error("is not the ledger that this one goes on from: {0}")]
    Before(&'static str),
    /// The entries of the other copy are not those that were joined.
    #[error("has not the entries that the merge joined")]
    Joined,
    /// The head's signature does not hold.
    #[error("is not signed by the key of the ledger: {0}")]
    HeadSignature(String),
    /// The head counts more entries than there are.
    #[error("counts {0} entries, and fewer are there: the last ones were removed")]
    HeadBeyond(u64),
    /// The entry that the head names has another digest.
    #[error("is of another ledger, or entry {0} was changed")]
    HeadDigest(u64),
}

impl Error {
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), writing: false, source }
    }

    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), writing: true, source }
    }

    pub(crate) const fn text() -> Self {
        Self::Text {
            what: "each name (64 bytes at most) and each other text of an entry",
            limit: crate::MAX_TEXT_LEN,
        }
    }

    pub(crate) fn damaged(path: &Path, fault: Fault) -> Self {
        Self::Damaged { path: path.to_owned(), fault }
    }

    /// Stable name (docs/ledger.md).
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "ledger-file",
            Self::Absent(_) => "ledger-absent",
            Self::Exists(_) => "ledger-exists",
            Self::InUse(_) => "ledger-in-use",
            Self::Damaged { .. } => "ledger-damaged",
            Self::Unfit { .. } => "ledger-unfit",
            Self::Newer { .. } => "ledger-newer",
            Self::Begun { .. } => "ledger-begun",
            Self::NothingBegun => "ledger-nothing-begun",
            Self::TimeGoesBack { .. } => "ledger-time",
            Self::NameTaken { .. } => "ledger-name-taken",
            Self::NoSuchKey(_) => "ledger-no-such-key",
            Self::OwnKey(_) => "ledger-own-key",
            Self::NameOfTwo { .. } => "ledger-name-of-two",
            Self::Text { .. } => "ledger-text",
            Self::OtherKey { .. } => "ledger-other-key",
            Self::Stale { .. } | Self::Older { .. } => "ledger-stale",
            Self::Forked(_) => "ledger-forked",
            Self::NotForked { .. } => "ledger-not-forked",
            Self::SignedOnce { .. } => "ledger-signed-once",
            Self::OldHead { .. } => "ledger-old-head",
            Self::Closed { .. } => "ledger-closed",
            Self::Succession { .. } => "ledger-succession",
            Self::NotSucceeded { .. } => "ledger-not-succeeded",
            Self::OtherHistory { .. } => "ledger-other-history",
            Self::Batch(_) => "ledger-devices",
            Self::Full | Self::BatchesFull(_) => "ledger-full",
            Self::Author(_) => "not-possible",
        }
    }

    /// What to do about it, one sentence.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::File { .. } => "Check the folder, its permissions and the free space.",
            Self::Absent(_) => "Pass the folder of the ledger, or begin one with ledger init.",
            Self::Exists(_) => "Pass another folder, or use the ledger that is there.",
            Self::InUse(_) => "Wait until the other program has ended.",
            Self::Damaged { .. } => {
                "Copy the ledger again from another place where it is kept; ledger diff shows what the copies differ in."
            }
            Self::Unfit { .. } => {
                "Correct what the message names; of two copies, join the one that went on for less to the other."
            }
            Self::Newer { .. } => "Use the version of manifest-tool that wrote it, or a later one.",
            Self::Begun { .. } => {
                "Sign it with ledger finish, or give it up with ledger void; then run the command again."
            }
            Self::NothingBegun => "There is nothing to do.",
            Self::TimeGoesBack { .. } => {
                "Set the clock of this machine. If it is right, pass --now with the time of now."
            }
            Self::NameTaken { .. } => {
                "Choose another name: each belongs to one key for good, in whatever case."
            }
            Self::NoSuchKey(_) => "ledger show lists the names; a kid or cti goes too.",
            Self::OwnKey(_) => {
                "A root is replaced by a succession, an issuing key by the list of its root: manifest-tool custody what-if --lost NAME LEDGER names \
                 the steps."
            }
            Self::NameOfTwo { .. } => {
                "Pass the kid of the key in the place of its name; ledger show has both."
            }
            Self::Text { .. } => "Shorten the text, on one line.",
            Self::OtherKey { .. } => "Pass the ledger of the key that signs.",
            Self::Stale { .. } => {
                "Fetch the newest copy of the ledger before you sign: this one lacks a list that the root has signed."
            }
            Self::Older { .. } => {
                "Find the newest copy of the ledger before you sign: this one is older, or went on by itself."
            }
            Self::Forked(_) => "Find the other copy of the ledger and join both with ledger merge.",
            Self::NotForked { .. } => "Keep the copy that has more entries; ledger diff names it.",
            Self::SignedOnce { .. } => {
                "Copy the record to its entry in the other ledger. If that one gave the entry up, go on with the one that has \
                 the record, and do there again what the other one did."
            }
            Self::OldHead { .. } => "Attach the newest head; ledger finish --tbs-out writes it.",
            Self::Closed { .. } => {
                "Sign with the key of the new root; begin its ledger with ledger init --continues if it has none."
            }
            Self::Succession { .. } => "Check which key signs and what its ledger says that it is for.",
            Self::NotSucceeded { .. } => "Pass the ledger of the root that this key succeeds.",
            Self::OtherHistory { .. } => {
                "Find out who has the ledger whose head was reported before: there are two of this key."
            }
            Self::Batch(_) => "Give each device one serial, and at most 100,000 devices at once.",
            Self::Full => "Begin a new root with a ledger of its own.",
            Self::BatchesFull(_) => {
                "Make an issuing key with a ledger of its own, and certify further devices with it."
            }
            Self::Author(_) => "Correct the value that the message names.",
        }
    }
}

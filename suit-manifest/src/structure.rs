//! Checks every command sequence of an authenticated manifest once, before anything of it runs: the shape of each
//! command (draft-ietf-suit-manifest-37 sections 8.4.6 to 8.4.10), the commands that the shared sequence may hold
//! (8.4.5), and the vendor and classes that the signer may name (section 9: an access control list, here the scope of
//! the credential).

use trust::cbor::{Major, Reader, Span};
use trust::{CredentialClaims, RevocationList};

use crate::command::{Command, read_reporting_policy};
use crate::error::{Error, ErrorKind};
use crate::limits::{MAX_ALTERNATIVES, MAX_COMMANDS, MAX_COMPONENTS, MAX_NESTING};
use crate::parameter::{Parameter, Parameters};

/// The authority that bounds what a manifest may name.
#[derive(Clone, Copy)]
pub(crate) struct Bounds<'c> {
    pub(crate) credential: &'c CredentialClaims<'c>,
    /// The revocation list of the credential's domain.
    pub(crate) list: Option<&'c RevocationList<'c>>,
}

/// The check of one sequence and those inside it.
#[derive(Clone, Copy)]
pub(crate) struct SequenceCheck<'c> {
    /// The manifest has more than one component.
    pub(crate) several_components: bool,
    /// Of the manifest.
    pub(crate) sequence_number: u64,
    /// `None` while a manifest is being written and has no signer yet.
    pub(crate) bounds: Option<Bounds<'c>>,
}

impl SequenceCheck<'_> {
    /// Checks a section, if the manifest has it, or the shared sequence.
    #[inline(never)]
    pub(crate) fn section(&self, sequence: Option<Span<'_>>, shared: bool) -> Result<(), Error> {
        let Some(sequence) = sequence else { return Ok(()) };
        let mut reader = sequence.reader();
        // Section 6.2: with more than one component each sequence begins with set-component-index.
        if self.several_components {
            reader.array();
            if reader.label() != Command::SET_COMPONENT_INDEX {
                return Err(Error::of(&reader, ErrorKind::ComponentIndex, sequence.base));
            }
            reader = sequence.reader();
        }
        self.sequence(&mut reader, shared, MAX_NESTING)?;
        Ok(reader.finish()?)
    }

    #[inline(never)]
    fn sequence(&self, reader: &mut Reader<'_>, shared: bool, nesting_left: usize) -> Result<(), Error> {
        let start = reader.position();
        let too_deep = Error::of(reader, ErrorKind::NestingTooDeep, start);
        let nesting_left = nesting_left.checked_sub(1).ok_or(too_deep)?;
        for _ in 0..commands(reader) {
            let position = reader.position();
            let command = Command::from_code(reader.label());
            if shared && !command.may_be_shared() {
                return Err(Error::of(reader, ErrorKind::CommandNotShared, position));
            }
            match command {
                Command::Condition(_) | Command::Fetch | Command::Invoke => read_reporting_policy(reader),
                Command::SetComponentIndex => read_component_index(reader, &mut |_| Ok(())).map(drop)?,
                Command::OverrideParameters => self.parameters(reader)?,
                Command::RunSequence => self.embedded(reader, shared, nesting_left)?,
                Command::TryEach => {
                    let mut alternatives = alternatives(reader);
                    while let Some(alternative) = alternatives.next(reader) {
                        if alternative == Alternative::Sequence {
                            self.embedded(reader, shared, nesting_left)?;
                        }
                    }
                }
                // It aborts when it is reached (section 6.4); until then only its shape counts.
                Command::Unknown => reader.skip(),
            }
        }
        Ok(())
    }

    fn embedded(&self, reader: &mut Reader<'_>, shared: bool, nesting_left: usize) -> Result<(), Error> {
        reader.embedded(|reader| self.sequence(reader, shared, nesting_left))
    }

    fn parameters(&self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let mut parameters = Parameters::default();
        let mut entries = parameter_map(reader);
        while let Some(key) = entries.next_label(reader) {
            let position = reader.position();
            let parameter = parameters.read(key, reader)?;
            let Some(bounds) = &self.bounds else { continue };
            let scope = bounds.credential.scope();
            let refused = match parameter {
                Parameter::VendorId(id) if !scope.permits_vendor(id) => ErrorKind::ScopeVendor,
                Parameter::ClassId(id) if !scope.permits_class(id) => ErrorKind::ScopeClass,
                // The scope has one vendor, so that this is every pair of vendor and class that can be set.
                Parameter::ClassId(id) => {
                    let minimum = bounds.list.and_then(|list| list.minimum_sequence(scope.vendor(), id));
                    if minimum.is_none_or(|minimum| self.sequence_number >= minimum) {
                        continue;
                    }
                    ErrorKind::SequenceBelowMinimum
                }
                _ => continue,
            };
            return Err(Error::of(reader, refused, position));
        }
        Ok(())
    }
}

/// The head of a command sequence: the number of commands, each a code and an argument.
#[inline(never)]
pub(crate) fn commands(reader: &mut Reader<'_>) -> u32 {
    let start = reader.position();
    let items = reader.array_within(1, MAX_COMMANDS.saturating_mul(2)).remaining();
    if !items.is_multiple_of(2) {
        reader.refuse(trust::ErrorKind::UnexpectedType, start);
        return 0;
    }
    items / 2
}

/// The head of the map of override-parameters, which is not empty.
pub(crate) fn parameter_map<'a>(reader: &mut Reader<'a>) -> trust::cbor::MapCursor<'a> {
    let start = reader.position();
    let entries = reader.map();
    if entries.remaining() == 0 {
        reader.refuse(trust::ErrorKind::OutOfRange, start);
    }
    entries
}

/// Most indices of a set-component-index: one a component.
const MAX_INDICES: u32 = 4;
const _: () = assert!(MAX_INDICES as usize == MAX_COMPONENTS);

/// The components that a set-component-index selects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IndexForm {
    One,
    All,
    List,
}

/// Reads IndexArg (section 8.4.10.1): an index, `true`, or a list of indices, each given to `index`.
#[inline(never)]
pub(crate) fn read_component_index(
    reader: &mut Reader<'_>,
    index: &mut dyn FnMut(u64) -> Result<(), ErrorKind>,
) -> Result<IndexForm, Error> {
    let start = reader.position();
    let (form, count) = match reader.peek() {
        Major::Unsigned => (IndexForm::One, 1),
        Major::Simple => {
            if !reader.bool() {
                reader.refuse(trust::ErrorKind::OutOfRange, start);
            }
            (IndexForm::All, 0)
        }
        _ => (IndexForm::List, reader.array_within(1, MAX_INDICES).remaining()),
    };
    for _ in 0..count {
        let position = reader.position();
        index(reader.uint()).map_err(|kind| Error::of(reader, kind, position))?;
    }
    Ok(form)
}

/// One entry of a try-each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Alternative {
    /// A sequence, which the caller reads.
    Sequence,
    /// nil: an empty sequence, which succeeds; it can only stand last.
    Nil,
}

/// Reads the argument of a try-each, `[2* bstr, ? nil]` (section 8.4.10.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alternatives {
    left: u8,
    /// nil may stand last: two sequences precede it.
    may_be_nil: bool,
}

/// The head of the argument of a try-each.
pub(crate) fn alternatives(reader: &mut Reader<'_>) -> Alternatives {
    let start = reader.position();
    let [left, ..] = reader.array_within(1, MAX_ALTERNATIVES).remaining().to_le_bytes();
    if left < 2 {
        reader.refuse(trust::ErrorKind::OutOfRange, start);
    }
    Alternatives { left, may_be_nil: left > 2 }
}

impl Alternatives {
    /// The next entry; `reader` stands after the previous one. `None` after the last, and after a fault.
    #[inline(never)]
    pub(crate) fn next(&mut self, reader: &mut Reader<'_>) -> Option<Alternative> {
        self.left = self.left.checked_sub(1)?;
        reader.check().ok()?;
        if self.left == 0 && self.may_be_nil && reader.peek() == Major::Simple {
            reader.null();
            return Some(Alternative::Nil);
        }
        Some(Alternative::Sequence)
    }
}

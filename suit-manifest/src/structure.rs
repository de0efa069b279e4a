//! Checks every command sequence of an authenticated manifest once, before anything of it runs: the shape of each
//! command (draft-ietf-suit-manifest-37 sections 8.4.6 to 8.4.10), the commands that the shared sequence may hold
//! (8.4.5), and the vendor and classes that the signer may name (section 9: an access control list, here the scope of
//! the credential).

use core::marker::PhantomData;

use trust::cbor::{Major, Span};
use trust::{CredentialClaims, RevocationList};

use crate::command::{Command, read_reporting_policy};
use crate::error::{Error, ErrorKind};
use crate::limits::{MAX_ALTERNATIVES, MAX_COMMANDS, MAX_COMPONENTS, MAX_NESTING};
use crate::parameter::{Parameter, ParametersOf};
use crate::profile::Profile;
use crate::source::Source;
use crate::vocabulary::CommandCode;

/// The authority that bounds what a manifest may name.
#[derive(Clone, Copy)]
pub(crate) struct Bounds<'c> {
    pub(crate) credential: &'c CredentialClaims<'c>,
    /// The revocation list of the credential's domain.
    pub(crate) list: Option<&'c RevocationList<'c>>,
}

/// The check of one sequence and those inside it.
#[derive(Clone, Copy)]
pub struct SequenceCheck<'c, P> {
    /// Which commands and parameters are offered.
    pub(crate) profile: PhantomData<P>,
    /// The manifest has more than one component.
    pub(crate) several_components: bool,
    /// Of the manifest.
    pub(crate) sequence_number: u64,
    /// `None` while a manifest is being written and has no signer yet.
    pub(crate) bounds: Option<Bounds<'c>>,
}

impl<P: Profile> SequenceCheck<'_, P> {
    /// Checks a section, if the manifest has it, or the shared sequence.
    #[inline(never)]
    pub(crate) fn section(&self, sequence: Option<Span<'_>>, shared: bool) -> Result<(), Error> {
        let Some(sequence) = sequence else { return Ok(()) };
        let mut source = Source::of(sequence);
        // Section 6.2: with more than one component each sequence begins with set-component-index.
        if self.several_components {
            let mut ahead = source.clone();
            ahead.array();
            if ahead.label() != Command::SET_COMPONENT_INDEX {
                ahead.refuse_as(ErrorKind::ComponentIndex, sequence.base);
                source = ahead;
            }
        }
        self.sequence(&mut source, shared, MAX_NESTING);
        source.finish()
    }

    #[inline(never)]
    fn sequence(&self, source: &mut Source<'_>, shared: bool, nesting_left: usize) {
        let Some(nesting_left) = nesting_left.checked_sub(1) else {
            return source.refuse_as(ErrorKind::NestingTooDeep, source.position());
        };
        for _ in 0..commands(source) {
            let position = source.position();
            let code = source.label();
            let command = Command::from_code(code);
            let is_shareable = command.may_be_shared() || (P::EXTENDS && may_be_shared::<P>(code));
            if shared && !is_shareable {
                source.refuse_as(ErrorKind::CommandNotShared, position);
            }
            match command {
                Command::Condition(_) | Command::Fetch | Command::Invoke => {
                    read_reporting_policy(source);
                }
                Command::SetComponentIndex => drop(read_component_index(source, &mut |_| Some(()))),
                Command::OverrideParameters => self.parameters(source),
                Command::RunSequence => self.embedded(source, shared, nesting_left),
                Command::TryEach => {
                    let mut alternatives = alternatives(source);
                    while let Some(alternative) = alternatives.next(source) {
                        if alternative == Alternative::Sequence {
                            self.embedded(source, shared, nesting_left);
                        }
                    }
                }
                Command::Unknown => P::check_argument(self, code, source),
            }
        }
    }

    fn embedded(&self, source: &mut Source<'_>, shared: bool, nesting_left: usize) {
        source.embedded(|source| self.sequence(source, shared, nesting_left));
    }

    pub(crate) fn parameters(&self, source: &mut Source<'_>) {
        let mut parameters = ParametersOf::<P>::default();
        let mut entries = parameter_map(source);
        while let Some(key) = entries.next_label(source) {
            let position = source.position();
            let parameter = parameters.read(key, source);
            let Some(bounds) = &self.bounds else { continue };
            let scope = bounds.credential.scope();
            let refused = match parameter {
                Parameter::VendorId(id) if !scope.permits_vendor(id) => ErrorKind::ScopeVendor,
                // No scope names a vendor other than by its UUID.
                Parameter::OtherVendor if P::EXTENDS => ErrorKind::ScopeVendor,
                Parameter::ClassId(id) if !scope.permits_class(id) => ErrorKind::ScopeClass,
                // The scope has one vendor, so that this is every pair of vendor and class that can be set.
                Parameter::ClassId(id) => {
                    let minimum = bounds.list.map_or(0, |list| list.minimum_sequence(scope.vendor(), id));
                    if self.sequence_number >= minimum {
                        continue;
                    }
                    ErrorKind::SequenceBelowMinimum
                }
                _ => continue,
            };
            source.refuse_as(refused, position);
        }
    }
}

/// Whether a shared sequence may hold a command of an extension.
fn may_be_shared<P: Profile>(code: i32) -> bool {
    P::COMMANDS.has(code) && CommandCode::from_number(code.into()).is_some_and(CommandCode::may_be_shared)
}

/// The head of a command sequence: the number of commands, each a code and an argument.
#[inline(never)]
pub(crate) fn commands(source: &mut Source<'_>) -> u32 {
    let start = source.position();
    let items = source.array_within(1, MAX_COMMANDS.saturating_mul(2)).remaining();
    if !items.is_multiple_of(2) {
        source.refuse(trust::ErrorKind::UnexpectedType, start);
        return 0;
    }
    items / 2
}

/// The head of the map of override-parameters, which is not empty.
pub(crate) fn parameter_map<'a>(source: &mut Source<'a>) -> trust::cbor::MapCursor<'a> {
    let start = source.position();
    let entries = source.map();
    if entries.remaining() == 0 {
        source.refuse(trust::ErrorKind::OutOfRange, start);
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

/// Reads IndexArg (section 8.4.10.1): an index, `true`, or a list of indices, each given to `index`, which may refuse it.
#[inline(never)]
pub(crate) fn read_component_index(
    source: &mut Source<'_>,
    index: &mut dyn FnMut(u64) -> Option<()>,
) -> IndexForm {
    let start = source.position();
    let (form, count) = match source.peek() {
        Major::Unsigned => (IndexForm::One, 1),
        Major::Simple => {
            if !source.bool() {
                source.refuse(trust::ErrorKind::OutOfRange, start);
            }
            (IndexForm::All, 0)
        }
        _ => (IndexForm::List, source.array_within(1, MAX_INDICES).remaining()),
    };
    for _ in 0..count {
        let position = source.position();
        if index(source.uint()).is_none() {
            source.refuse_as(ErrorKind::ComponentIndex, position);
        }
    }
    form
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
pub(crate) fn alternatives(source: &mut Source<'_>) -> Alternatives {
    let start = source.position();
    let [left, ..] = source.array_within(1, MAX_ALTERNATIVES).remaining().to_le_bytes();
    if left < 2 {
        source.refuse(trust::ErrorKind::OutOfRange, start);
    }
    Alternatives { left, may_be_nil: left > 2 }
}

impl Alternatives {
    /// The next entry; `source` stands after the previous one. `None` after the last, and after a fault.
    #[inline(never)]
    pub(crate) fn next(&mut self, source: &mut Source<'_>) -> Option<Alternative> {
        self.left = self.left.checked_sub(1)?;
        source.check().ok()?;
        if self.left == 0 && self.may_be_nil && source.peek() == Major::Simple {
            source.null();
            return Some(Alternative::Nil);
        }
        Some(Alternative::Sequence)
    }
}

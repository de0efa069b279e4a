//! Checks every command sequence of an authenticated manifest once, before anything of it runs: the shape of each
//! command (draft-ietf-suit-manifest-37 sections 8.4.6 to 8.4.10), the commands that the shared sequence may hold
//! (8.4.5), and the vendor and classes that the signer may name (section 9: an access control list, here the scope of
//! the credential).

use trust::cbor::{Major, Reader};
use trust::{CredentialClaims, RevocationList};

use crate::command::{Command, read_reporting_policy};
use crate::error::{Error, ErrorKind};
use crate::limits::{MAX_ALTERNATIVES, MAX_COMMANDS, MAX_COMPONENTS, MAX_NESTING};
use crate::parameter::Parameter;
use crate::span::{Span, array_up_to, embedded};

/// The authority that bounds what a manifest may name.
#[derive(Clone, Copy)]
pub(crate) struct Bounds<'c> {
    pub(crate) credential: &'c CredentialClaims<'c>,
    /// The revocation list of the credential's domain.
    pub(crate) list: Option<&'c RevocationList<'c>>,
    pub(crate) sequence_number: u64,
}

/// The check of one sequence and those inside it.
#[derive(Clone, Copy)]
pub(crate) struct SequenceCheck<'c> {
    /// The sequence is the shared sequence or lies in it.
    pub(crate) shared: bool,
    /// The manifest has more than one component.
    pub(crate) several_components: bool,
    /// `None` while a manifest is being written and has no signer yet.
    pub(crate) bounds: Option<Bounds<'c>>,
}

impl SequenceCheck<'_> {
    /// Checks a section or the shared sequence.
    pub(crate) fn section(&self, sequence: Span<'_>) -> Result<(), Error> {
        // Section 6.2: with more than one component each sequence begins with set-component-index.
        if self.several_components {
            let mut reader = sequence.reader();
            reader.array()?;
            if reader.label()? != Command::SET_COMPONENT_INDEX {
                return Err(Error::new(ErrorKind::ComponentIndex, sequence.base));
            }
        }
        self.sequence(sequence, MAX_NESTING)
    }

    fn sequence(&self, sequence: Span<'_>, nesting_left: usize) -> Result<(), Error> {
        let nesting_left =
            nesting_left.checked_sub(1).ok_or(Error::new(ErrorKind::NestingTooDeep, sequence.base))?;
        let mut reader = sequence.reader();
        for _ in 0..commands(&mut reader)? {
            let position = reader.position();
            let command = Command::from_code(reader.label()?);
            if self.shared && !command.may_be_shared() {
                return Err(Error::new(ErrorKind::CommandNotShared, position));
            }
            match command {
                Command::Condition(_) | Command::Fetch | Command::Invoke => {
                    read_reporting_policy(&mut reader)?
                }
                Command::SetComponentIndex => read_component_index(&mut reader, &mut |_| Ok(())).map(drop)?,
                Command::OverrideParameters => self.parameters(&mut reader)?,
                Command::RunSequence => self.sequence(embedded(&mut reader)?, nesting_left)?,
                Command::TryEach => {
                    let mut alternatives = alternatives(&mut reader)?;
                    while let Some(alternative) = alternatives.next(&mut reader)? {
                        if let Alternative::Sequence(sequence) = alternative {
                            self.sequence(sequence, nesting_left)?;
                        }
                    }
                }
                // It aborts when it is reached (section 6.4); until then only its shape counts.
                Command::Unknown => reader.skip()?,
            }
        }
        Ok(reader.finish()?)
    }

    fn parameters(&self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let mut entries = parameter_map(reader)?;
        while let Some(key) = entries.next_label(reader)? {
            let position = reader.position();
            let parameter = Parameter::read(key, reader)?;
            let Some(bounds) = &self.bounds else { continue };
            let scope = bounds.credential.scope();
            match parameter {
                Parameter::VendorId(id) if !scope.permits_vendor(id) => {
                    return Err(Error::new(ErrorKind::ScopeVendor, position));
                }
                Parameter::ClassId(id) if !scope.permits_class(id) => {
                    return Err(Error::new(ErrorKind::ScopeClass, position));
                }
                // The scope has one vendor, so that this is every pair of vendor and class that can be set.
                Parameter::ClassId(id) => {
                    let minimum = bounds.list.and_then(|list| list.minimum_sequence(scope.vendor(), id));
                    if minimum.is_some_and(|minimum| bounds.sequence_number < minimum) {
                        return Err(Error::new(ErrorKind::SequenceBelowMinimum, position));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The head of a command sequence: the number of commands, each a code and an argument.
pub(crate) fn commands(reader: &mut Reader<'_>) -> Result<u32, Error> {
    let start = reader.position();
    let items = array_up_to(reader, MAX_COMMANDS.saturating_mul(2))?;
    if items % 2 != 0 {
        return Err(Error::malformed(trust::ErrorKind::UnexpectedType, start));
    }
    Ok(items / 2)
}

/// The head of the map of override-parameters, which is not empty.
pub(crate) fn parameter_map<'a>(reader: &mut Reader<'a>) -> Result<trust::cbor::MapCursor<'a>, Error> {
    let start = reader.position();
    let entries = reader.map()?;
    if entries.remaining() == 0 {
        return Err(Error::malformed(trust::ErrorKind::OutOfRange, start));
    }
    Ok(entries)
}

/// The components that a set-component-index selects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IndexForm {
    One,
    All,
    List,
}

/// Reads IndexArg (section 8.4.10.1): an index, `true`, or a list of indices, each given to `index`.
pub(crate) fn read_component_index(
    reader: &mut Reader<'_>,
    index: &mut dyn FnMut(u64) -> Result<(), ErrorKind>,
) -> Result<IndexForm, Error> {
    let start = reader.position();
    match reader.peek()? {
        Major::Unsigned => {
            index(reader.uint()?).map_err(|kind| Error::new(kind, start))?;
            Ok(IndexForm::One)
        }
        Major::Simple => match reader.bool()? {
            true => Ok(IndexForm::All),
            false => Err(Error::malformed(trust::ErrorKind::OutOfRange, start)),
        },
        _ => {
            for _ in 0..array_up_to(reader, MAX_COMPONENTS as u64)? {
                let position = reader.position();
                index(reader.uint()?).map_err(|kind| Error::new(kind, position))?;
            }
            Ok(IndexForm::List)
        }
    }
}

/// One entry of a try-each.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Alternative<'a> {
    Sequence(Span<'a>),
    /// nil: an empty sequence, which succeeds; it can only stand last.
    Nil,
}

/// Reads the argument of a try-each, `[2* bstr, ? nil]` (section 8.4.10.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alternatives {
    left: u32,
    seen: u32,
}

/// The head of the argument of a try-each.
pub(crate) fn alternatives(reader: &mut Reader<'_>) -> Result<Alternatives, Error> {
    let start = reader.position();
    let left = array_up_to(reader, MAX_ALTERNATIVES)?;
    if left < 2 {
        return Err(Error::malformed(trust::ErrorKind::OutOfRange, start));
    }
    Ok(Alternatives { left, seen: 0 })
}

impl Alternatives {
    /// The next entry; `reader` stands after the previous one.
    pub(crate) fn next<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Option<Alternative<'a>>, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        self.seen = self.seen.saturating_add(1);
        if left == 0 && self.seen > 2 && reader.peek()? == Major::Simple {
            reader.null()?;
            return Ok(Some(Alternative::Nil));
        }
        embedded(reader).map(|sequence| Some(Alternative::Sequence(sequence)))
    }
}

//! The command sequences of a manifest (draft-ietf-suit-manifest-37 sections 8.4.6 to 8.4.10) as named types.

use trust::cbor::{Major, Span};

use crate::entries::{ParameterTree, read_parameter_entries};
use crate::error::{Error, ErrorKind};
use crate::limits::MAX_COMPONENTS_READ;
use crate::source::Source;
use crate::structure::{Alternative, alternatives, commands, parameter_map};
use crate::vocabulary::{ArgumentForm, CommandCode};

/// A command with its argument.
#[derive(Clone, Debug)]
pub struct CommandTree<'a> {
    /// Byte of the envelope at which its code stands.
    pub position: u32,
    /// Its code.
    pub code: i64,
    /// Its argument.
    pub argument: ArgumentTree<'a>,
}

impl CommandTree<'_> {
    /// Which command it is; `None` for a custom one.
    #[must_use]
    pub fn known(&self) -> Option<CommandCode> {
        CommandCode::from_number(self.code)
    }
}

/// What a set-component-index selects (section 8.4.10.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IndexTree {
    /// One component.
    One(u64),
    /// `true`: each of them.
    All,
    /// These, in this order.
    List(Vec<u64>),
}

impl IndexTree {
    /// The components that are selected, of so many.
    #[must_use]
    pub fn selected(&self, count: u64) -> Vec<u64> {
        match self {
            Self::One(index) => vec![*index],
            Self::All => (0..count).collect(),
            Self::List(indices) => indices.clone(),
        }
    }
}

/// The argument of a command.
#[derive(Clone, Debug)]
pub enum ArgumentTree<'a> {
    /// Bits of the reporting policy (section 8.4.7)
    Policy(u64),
    /// Of set-component-index
    Index(IndexTree),
    /// Of override-parameters and set-parameters
    Parameters(Vec<ParameterTree<'a>>),
    /// Of override-multiple: the parameters of each component.
    ByComponent(Vec<(u64, Vec<ParameterTree<'a>>)>),
    /// Of copy-params: the keys to copy from each component.
    Keys(Vec<(u64, Vec<i64>)>),
    /// Of run-sequence
    Sequence(Vec<CommandTree<'a>>),
    /// Of try-each; `None` is nil, which succeeds.
    Alternatives(Vec<Option<Vec<CommandTree<'a>>>>),
    /// Of a custom command, as it stands.
    Custom(Span<'a>),
}

/// A command sequence (section 8.4.6).
pub(super) fn read_sequence(
    span: Span<'_>,
    shared: bool,
    nesting_left: usize,
) -> Result<Vec<CommandTree<'_>>, Error> {
    let Some(nesting_left) = nesting_left.checked_sub(1) else {
        return Err(Error::new(ErrorKind::NestingTooDeep, span.base));
    };
    let source = &mut Source::of(span);
    let mut read = Vec::new();
    for _ in 0..commands(source) {
        let position = source.position();
        let code = source.int();
        let known = CommandCode::from_number(code);
        // Section 8.4.5: what has effects, and custom commands, may not be shared.
        if shared && !known.is_some_and(CommandCode::may_be_shared) {
            source.refuse_as(ErrorKind::CommandNotShared, position);
        }
        let argument = match known {
            Some(code) => read_argument(code, source, shared, nesting_left)?,
            None => {
                let argument = Span { base: source.position(), bytes: source.peek_item() };
                source.skip();
                ArgumentTree::Custom(argument)
            }
        };
        source.check()?;
        read.push(CommandTree { position, code, argument });
    }
    source.finish()?;
    Ok(read)
}

fn read_argument<'a>(
    code: CommandCode,
    source: &mut Source<'a>,
    shared: bool,
    nesting_left: usize,
) -> Result<ArgumentTree<'a>, Error> {
    Ok(match code.argument() {
        ArgumentForm::Policy => ArgumentTree::Policy(source.uint_within(0, 0b1111)),
        ArgumentForm::ComponentIndex => ArgumentTree::Index(read_index(source)),
        ArgumentForm::Parameters => ArgumentTree::Parameters(read_parameters(source, shared)),
        ArgumentForm::ParametersByComponent => {
            let mut components = Vec::new();
            let mut entries = parameter_map(source);
            while entries.next(source) {
                components.push((source.uint(), read_parameters(source, shared)));
            }
            ArgumentTree::ByComponent(components)
        }
        ArgumentForm::KeysByComponent => {
            let mut components = Vec::new();
            let mut entries = parameter_map(source);
            while entries.next(source) {
                let index = source.uint();
                let mut items = source.array_within(1, u32::MAX);
                let mut keys = Vec::new();
                while items.next(source) {
                    keys.push(source.int());
                }
                components.push((index, keys));
            }
            ArgumentTree::Keys(components)
        }
        ArgumentForm::Sequence => {
            let body = source.span();
            source.check()?;
            ArgumentTree::Sequence(read_sequence(body, shared, nesting_left)?)
        }
        ArgumentForm::Alternatives => {
            let mut sequences = Vec::new();
            let mut left = alternatives(source);
            while let Some(alternative) = left.next(source) {
                sequences.push(match alternative {
                    Alternative::Nil => None,
                    Alternative::Sequence => {
                        let body = source.span();
                        source.check()?;
                        Some(read_sequence(body, shared, nesting_left)?)
                    }
                });
            }
            ArgumentTree::Alternatives(sequences)
        }
    })
}

/// IndexArg (section 8.4.10.1)
fn read_index(source: &mut Source<'_>) -> IndexTree {
    let start = source.position();
    match source.peek() {
        Major::Unsigned => IndexTree::One(source.uint()),
        Major::Simple => {
            if !source.bool() {
                source.refuse(trust::ErrorKind::OutOfRange, start);
            }
            IndexTree::All
        }
        _ => {
            let mut items = source.array_within(1, MAX_COMPONENTS_READ);
            let mut indices = Vec::new();
            while items.next(source) {
                indices.push(source.uint());
            }
            IndexTree::List(indices)
        }
    }
}

/// `{+ SUIT_Parameters}` (section 8.4.8)
fn read_parameters<'a>(source: &mut Source<'a>, shared: bool) -> Vec<ParameterTree<'a>> {
    let mut entries = parameter_map(source);
    let parameters = read_parameter_entries(source, &mut entries);
    // Section 8.4.8.16: nothing custom is shared, so that it belongs to one vendor and class.
    if let Some(custom) = parameters.iter().find(|parameter| shared && parameter.key < 0) {
        source.refuse_as(ErrorKind::ParameterUnsupported, custom.position);
    }
    parameters
}

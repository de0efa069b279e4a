//! Commands in a description (draft-ietf-suit-manifest-37 sections 8.4.9 and 8.4.10, and the extensions): a name alone, with the
//! reporting policy of the draft's examples, or a table of the name and its argument.

use std::collections::BTreeMap;

use suit_manifest::author::Command;
use suit_manifest::vocabulary::{ArgumentForm, CommandCode, ParameterKey};

use super::Files;
use super::reader::{Node, Read};
use super::values::{cbor, custom_number, index as component, parameters};

/// An alternative of try-each that succeeds without a command.
const NOTHING: &str = "nothing";
/// Bits of a reporting policy (section 8.4.7).
const MAX_POLICY: u64 = 0b1111;

/// A command sequence.
pub(super) fn commands(node: Node<'_, '_>, files: &Files) -> Read<Vec<Command>> {
    node.items()?.into_iter().map(|node| command(node, files)).collect()
}

/// The name of a command without the word that all conditions have.
fn name_of(code: CommandCode) -> &'static str {
    code.name().strip_prefix("condition ").unwrap_or(code.name())
}

fn code_of(name: &str) -> Option<CommandCode> {
    CommandCode::ALL.iter().copied().find(|code| name_of(*code) == name)
}

fn command(node: Node<'_, '_>, files: &Files) -> Read<Command> {
    if node.is_text() {
        let name = node.text()?;
        let code = code_of(name).ok_or_else(|| node.fault(format!("there is no command {name:?}")))?;
        return match code.argument() {
            ArgumentForm::Policy => Ok(Command::recording(code)),
            _ => Err(node.fault(format!("{name} has an argument: {{ {name} = ... }}"))),
        };
    }
    let (name, at, argument) = node.table()?.only()?;
    let Some(code) = code_of(name) else {
        return Ok(Command::Custom(custom_number(name, at)?, cbor(argument, files)?));
    };
    Ok(match code.argument() {
        ArgumentForm::Policy => {
            let policy =
                u8::try_from(argument.uint()?).ok().filter(|policy| u64::from(*policy) <= MAX_POLICY);
            let policy =
                policy.ok_or_else(|| argument.fault(format!("a reporting policy is 0 to {MAX_POLICY}")))?;
            Command::WithPolicy(code, policy)
        }
        ArgumentForm::ComponentIndex => index(argument)?,
        ArgumentForm::Parameters if code == CommandCode::SetParameters => {
            Command::SetParameters(parameters(argument, files)?)
        }
        ArgumentForm::Parameters => Command::Override(parameters(argument, files)?),
        ArgumentForm::ParametersByComponent => {
            Command::OverrideMultiple(by_component(argument, |node| parameters(node, files))?)
        }
        ArgumentForm::KeysByComponent => Command::CopyParameters(by_component(argument, keys)?),
        ArgumentForm::Sequence => Command::RunSequence(commands(argument, files)?),
        ArgumentForm::Alternatives => alternatives(argument, files)?,
    })
}

/// Section 8.4.10.1: a number, `true`, or a list.
fn index(node: Node<'_, '_>) -> Read<Command> {
    Ok(match node.as_flag() {
        Some(true) => Command::SelectAll,
        Some(false) => return Err(node.fault("an index is a number, true, or a list of numbers")),
        None if node.is_list() => {
            Command::SelectEach(node.items()?.into_iter().map(Node::uint).collect::<Read<_>>()?)
        }
        None => Command::Select(node.uint()?),
    })
}

/// Section 8.4.10.2: two sequences or more, and "nothing" at the end if none of them has to succeed.
fn alternatives(node: Node<'_, '_>, files: &Files) -> Read<Command> {
    let mut items = node.items()?;
    let is_nothing = |node: &Node<'_, '_>| node.is_text() && node.text().is_ok_and(|text| text == NOTHING);
    let or_nothing = items.last().is_some_and(is_nothing);
    if or_nothing {
        items.pop();
    }
    let sequences = items.into_iter().map(|node| commands(node, files)).collect::<Read<_>>()?;
    Ok(Command::TryEach { sequences, or_nothing })
}

/// A table with the indices of components.
fn by_component<T>(
    node: Node<'_, '_>,
    mut value: impl FnMut(Node<'_, '_>) -> Read<T>,
) -> Read<BTreeMap<u64, T>> {
    let mut components = BTreeMap::new();
    for (name, at, node) in node.table()?.entries() {
        components.insert(component(name, at)?, value(node)?);
    }
    Ok(components)
}

/// Names of parameters.
fn keys(node: Node<'_, '_>) -> Read<Vec<ParameterKey>> {
    let key = |node: Node<'_, '_>| {
        let name = node.text()?;
        let found = ParameterKey::ALL.iter().copied().find(|key| key.name() == name);
        found.ok_or_else(|| node.fault(format!("there is no parameter {name:?}")))
    };
    node.items()?.into_iter().map(key).collect()
}

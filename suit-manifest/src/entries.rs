//! What manifests and reports have in common, as named types: identifiers of components, parameters, and the
//! names of numbers.

use trust::cbor::MapCursor;

use crate::argument::ParameterValue;
use crate::source::Source;
use crate::vocabulary::ParameterKey;

/// A component identifier: its byte strings, none or more.
pub type Identifier<'a> = Vec<&'a [u8]>;

/// A parameter with its value.
#[derive(Clone, Debug)]
pub struct ParameterTree<'a> {
    /// Byte of the envelope at which its key stands.
    pub position: u32,
    /// Its key.
    pub key: i64,
    /// Its value.
    pub value: ParameterValue<'a>,
}

impl ParameterTree<'_> {
    /// Which parameter it is; `None` for a custom one.
    #[must_use]
    pub fn known(&self) -> Option<ParameterKey> {
        ParameterKey::from_number(self.key)
    }
}

pub(crate) fn read_identifier<'a>(source: &mut Source<'a>) -> Identifier<'a> {
    let mut segments = source.array();
    let mut identifier = Vec::new();
    while segments.next(source) {
        identifier.push(source.bytes());
    }
    identifier
}

/// SUIT_Parameters, from an entry of a map to its end.
pub(crate) fn read_parameter_entries<'a>(
    source: &mut Source<'a>,
    entries: &mut MapCursor<'a>,
) -> Vec<ParameterTree<'a>> {
    let mut parameters = Vec::new();
    loop {
        let position = source.position();
        if !entries.next(source) {
            return parameters;
        }
        let key = source.int();
        let value = ParameterValue::read(i32::try_from(key).unwrap_or(i32::MAX), source);
        parameters.push(ParameterTree { position, key, value });
    }
}

/// A number with the name that a document gives it. Section 11 gives those below -256 to everyone, and registers all others.
pub(crate) fn numbered(name: Option<&str>, number: i128) -> String {
    match name {
        Some(name) => format!("{name} ({number})"),
        None if number < -256 => format!("custom ({number})"),
        None => format!("unknown ({number})"),
    }
}

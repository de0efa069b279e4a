//! Any envelope that the CDDL of the documents allows, to write: what a description names, and nothing that it does not.
//! [`Composition::encode`] checks nothing; [`Composition::compose`] reads the result back by the whole decoder.

use std::collections::{BTreeMap, BTreeSet};

use ciborium::Value;

use super::sequences::{item, numbers, section};
use super::tree::EnvelopeTree;
use super::{AuthorError, Command, bytes, encode};
use crate::argument::DigestAlgorithm;
use crate::envelope::{AUTHENTICATION_WRAPPER, ENVELOPE_TAG, MANIFEST};
use crate::vocabulary::{CommonElement, ComponentText, ManifestElement, ManifestText};

/// A component identifier: its byte strings.
pub type Identifier = Vec<Vec<u8>>;

/// The texts in one language (section 8.4.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LanguageText {
    /// About the manifest as a whole.
    pub manifest: BTreeMap<ManifestText, String>,
    /// About components.
    pub components: Vec<(Identifier, BTreeMap<ComponentText, String>)>,
}

/// An envelope, element by element. What is empty or `None` is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composition {
    /// By which the manifest and what is severed of it are named.
    pub digest: DigestAlgorithm,
    /// suit-manifest-sequence-number
    pub sequence_number: u64,
    /// suit-reference-uri
    pub reference_uri: Option<String>,
    /// suit-manifest-component-id
    pub component_id: Option<Identifier>,
    /// suit-set-version
    pub set_version: Option<Vec<i64>>,
    /// suit-dependencies: the component that holds each, and the prefix that its components get.
    pub dependencies: BTreeMap<u64, Option<Identifier>>,
    /// suit-components, in the order of their indices
    pub components: Vec<Identifier>,
    /// suit-shared-sequence
    pub shared: Option<Vec<Command>>,
    /// The other command sequences. An element that is none, or has a field of its own, is not written.
    pub sections: BTreeMap<ManifestElement, Vec<Command>>,
    /// suit-text, by language
    pub text: BTreeMap<String, LanguageText>,
    /// suit-coswid: a CoSWID in CBOR
    pub coswid: Option<Vec<u8>>,
    /// What stands in the envelope, with its digest in the manifest (section 8.6).
    pub severed: BTreeSet<ManifestElement>,
    /// Integrated payloads and dependencies, by URI (section 7.5)
    pub integrated: BTreeMap<String, Vec<u8>>,
}

impl Default for Composition {
    fn default() -> Self {
        Self {
            digest: DigestAlgorithm::Sha256,
            sequence_number: 0,
            reference_uri: None,
            component_id: None,
            set_version: None,
            dependencies: BTreeMap::new(),
            components: Vec::new(),
            shared: None,
            sections: BTreeMap::new(),
            text: BTreeMap::new(),
            coswid: None,
            severed: BTreeSet::new(),
            integrated: BTreeMap::new(),
        }
    }
}

/// Key of the prefix of a dependency (suit-trust-domains section 5.2.2).
const DEPENDENCY_PREFIX: i32 = 1;

impl Composition {
    /// The unsigned envelope, which the whole decoder has read back.
    ///
    /// # Errors
    /// [`AuthorError::Refused`] when the documents do not allow it, as [`EnvelopeTree::read`] says; [`AuthorError::Encoding`]
    pub fn compose(&self) -> Result<Vec<u8>, AuthorError> {
        let envelope = self.encode()?;
        let tree = EnvelopeTree::read(&envelope)?;
        match tree.fault_inside() {
            Some(fault) => Err(fault.into()),
            None => Ok(envelope),
        }
    }

    /// The same, read by nobody.
    pub(super) fn encode(&self) -> Result<Vec<u8>, AuthorError> {
        let mut members: BTreeMap<i64, Value> = BTreeMap::new();
        let mut severed: Vec<(i64, Value)> = Vec::new();
        members.insert(ManifestElement::Version.number(), 1.into());
        members.insert(ManifestElement::SequenceNumber.number(), self.sequence_number.into());
        members.insert(ManifestElement::Common.number(), bytes(&encode(&self.common()?)?));
        let uri = self.reference_uri.clone().map(Value::Text);
        let version = self.set_version.as_ref().map(|version| encode(&numbers(version))).transpose()?;
        let own = [
            (ManifestElement::ReferenceUri, uri),
            (ManifestElement::ComponentId, self.component_id.as_ref().map(identifier)),
            (ManifestElement::SetVersion, version.map(Value::Bytes)),
        ];
        members.extend(own.into_iter().filter_map(|(element, value)| Some((element.number(), value?))));
        for (element, content) in self.elements()? {
            let value = if self.severed.contains(&element) {
                let wrapped = encode(&content)?;
                severed.push((element.number(), content));
                self.digest_over(&wrapped)
            } else {
                content
            };
            members.insert(element.number(), value);
        }
        let manifest = bytes(&encode(&keyed(members))?);
        let digest = encode(&self.digest_over(&encode(&manifest)?))?;
        let wrapper = bytes(&encode(&Value::Array(vec![bytes(&digest)]))?);
        let authentication = [(AUTHENTICATION_WRAPPER.into(), wrapper), (MANIFEST.into(), manifest)];
        let mut integrated: Vec<_> = self.integrated.iter().collect();
        // RFC 8949 section 4.2.1: by the bytes of the key, whose head has the length.
        integrated.sort_by_key(|(uri, _)| (uri.len(), *uri));
        let integrated =
            integrated.into_iter().map(|(uri, payload)| (Value::Text(uri.clone()), bytes(payload)));
        let numbered = authentication.into_iter().chain(severed).map(|(key, value)| (key.into(), value));
        encode(&Value::Tag(ENVELOPE_TAG, Box::new(Value::Map(numbered.chain(integrated).collect()))))
    }

    /// suit-common
    fn common(&self) -> Result<Value, AuthorError> {
        let mut common = BTreeMap::new();
        if !self.dependencies.is_empty() {
            let metadata = |prefix: &Option<Identifier>| {
                let prefix = prefix.iter().map(|prefix| (DEPENDENCY_PREFIX.into(), identifier(prefix)));
                Value::Map(prefix.collect())
            };
            let entries = self.dependencies.iter().map(|(index, prefix)| ((*index).into(), metadata(prefix)));
            common.insert(CommonElement::Dependencies.number(), Value::Map(entries.collect()));
        }
        if !self.components.is_empty() {
            let components = self.components.iter().map(identifier).collect();
            common.insert(CommonElement::Components.number(), Value::Array(components));
        }
        if let Some(shared) = &self.shared {
            common.insert(CommonElement::SharedSequence.number(), section(shared)?);
        }
        Ok(keyed(common))
    }

    /// What may be severed or not, as byte strings, in the order of the numbers.
    fn elements(&self) -> Result<BTreeMap<ManifestElement, Value>, AuthorError> {
        let mut elements = BTreeMap::new();
        for (element, commands) in self.sections.iter().filter(|(element, _)| element.is_sequence()) {
            elements.insert(*element, section(commands)?);
        }
        if !self.text.is_empty() {
            elements.insert(ManifestElement::Text, bytes(&encode(&self.text_map()?)?));
        }
        if let Some(coswid) = &self.coswid {
            elements.insert(ManifestElement::Coswid, bytes(&encode(&item(coswid)?)?));
        }
        Ok(elements)
    }

    fn text_map(&self) -> Result<Value, AuthorError> {
        let mut languages: Vec<_> = self.text.iter().collect();
        languages.sort_by_key(|(language, _)| (language.len(), *language));
        let mut entries = Vec::new();
        for (language, LanguageText { manifest, components }) in languages {
            let texts = |texts: &mut dyn Iterator<Item = (i64, &String)>| -> Vec<(Value, Value)> {
                texts.map(|(key, text)| (key.into(), Value::Text(text.clone()))).collect()
            };
            let mut of_language = texts(&mut manifest.iter().map(|(key, text)| (key.number(), text)));
            let mut of_components = Vec::new();
            for (component, of_component) in components {
                let value =
                    Value::Map(texts(&mut of_component.iter().map(|(key, text)| (key.number(), text))));
                let key = identifier(component);
                of_components.push((encode(&key)?, (key, value)));
            }
            of_components.sort_by(|(one, _), (other, _)| one.cmp(other));
            of_language.extend(of_components.into_iter().map(|(_, entry)| entry));
            entries.push((Value::Text(language.clone()), Value::Map(of_language)));
        }
        Ok(Value::Map(entries))
    }

    /// SUIT_Digest over a byte string with its head.
    fn digest_over(&self, wrapped: &[u8]) -> Value {
        Value::Array(vec![self.digest.number().into(), bytes(&self.digest.digest(wrapped))])
    }
}

/// The numbers are all above 0: their order is canonical.
fn keyed(entries: BTreeMap<i64, Value>) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

fn identifier(segments: &Identifier) -> Value {
    Value::Array(segments.iter().map(|segment| bytes(segment)).collect())
}

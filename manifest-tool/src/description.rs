//! Descriptions of envelopes in TOML, for `compose` (docs/compose.md): every element has the name that it has in the drafts, and
//! that `inspect` prints. What is not known is refused with its line, and files are named relative to the description.

mod commands;
mod reader;
mod values;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use suit_manifest::argument::DigestAlgorithm;
use suit_manifest::author::{Composition, Identifier, LanguageText};
use suit_manifest::vocabulary::ManifestElement;
use suit_manifest::{ComponentText, ManifestText};
use toml::de::DeTable;
use trust::host::folder_of;

use self::commands::commands;
use self::reader::{Fault, Node, Read, Table};
use self::values::{bytes, cbor, identifier, index, version};
use crate::error::Error;
use crate::files::read;
use crate::image::MAX_PAYLOAD_LEN;
use crate::kind::Kind;

/// Version of the format of descriptions.
const FORMAT: u64 = 1;
/// Longest description, bytes.
const MAX_DESCRIPTION_LEN: u64 = 256 * 1024;
/// Names of the algorithms of SUIT_Digest.
const DIGESTS: [(&str, DigestAlgorithm); 5] = [
    ("sha-256", DigestAlgorithm::Sha256),
    ("sha-384", DigestAlgorithm::Sha384),
    ("sha-512", DigestAlgorithm::Sha512),
    ("shake128", DigestAlgorithm::Shake128),
    ("shake256", DigestAlgorithm::Shake256),
];

/// A description as it was read, and the files that it names.
#[derive(Debug)]
pub struct Description {
    /// The envelope.
    pub composition: Composition,
    /// What was read for it.
    pub files: Vec<PathBuf>,
}

impl Description {
    /// Reads a description and the files that it names.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Self::parse(path, &read(path, MAX_DESCRIPTION_LEN)?)
    }

    /// Reads what is in the file of a description, and the files that it names, relative to `path`.
    ///
    /// # Errors
    /// [`Error::Description`] with the line, from 1; of a file that cannot be read, or is no envelope where one is named, its own.
    pub fn parse(path: &Path, file: &[u8]) -> Result<Self, Error> {
        let refused = |line, what| Error::Description { path: path.to_owned(), line, what };
        let Ok(text) = std::str::from_utf8(trust::host::without_mark(file)) else {
            return Err(refused(1, "it is not UTF-8".to_owned()));
        };
        let line_at = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        let document = DeTable::parse(text).map_err(|error| {
            refused(line_at(error.span().map_or(0, |span| span.start)), error.message().to_owned())
        })?;
        let files = Files { folder: folder_of(path), read: RefCell::default() };
        let composition = document_of(Table::new(document.get_ref(), document.span().start), &files);
        match composition {
            Ok(composition) => Ok(Self { composition, files: files.read.into_inner().into_keys().collect() }),
            Err(Fault::At(at, what)) => Err(refused(line_at(at), what)),
            Err(Fault::Of(error)) => Err(*error),
        }
    }
}

/// The files that a description names: each is read once.
struct Files {
    folder: PathBuf,
    read: RefCell<BTreeMap<PathBuf, Vec<u8>>>,
}

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What the text of a description names. An envelope is public.
    fn content(&self, node: Node<'_, '_>) -> Read<Vec<u8>> {
        let name = node.text()?;
        let content = self.read(name)?;
        match Kind::secret_in(&content) {
            Some(kind) => Err(node.fault(format!("{name} is {kind}, and an envelope is for everybody"))),
            None => Ok(content),
        }
    }

    fn read(&self, name: &str) -> Read<Vec<u8>> {
        let path = self.path(name);
        if let Some(content) = self.read.borrow().get(&path) {
            return Ok(content.clone());
        }
        let content =
            crate::files::read_file(&path, MAX_PAYLOAD_LEN).map_err(|error| Fault::Of(Box::new(error)))?;
        self.read.borrow_mut().insert(path, content.clone());
        Ok(content)
    }
}

fn document_of(mut table: Table<'_, '_>, files: &Files) -> Read<Composition> {
    let format = table.need("format")?;
    if format.uint()? != FORMAT {
        return Err(format.fault(format!("this version reads descriptions of format {FORMAT}")));
    }
    let mut composition =
        Composition { sequence_number: table.need("sequence-number")?.uint()?, ..Composition::default() };
    if let Some(node) = table.take("digest") {
        composition.digest = node.one_of(&DIGESTS)?;
    }
    composition.reference_uri =
        table.take("reference-uri").map(|node| node.text()).transpose()?.map(str::to_owned);
    composition.component_id = table.take("component-id").map(identifier).transpose()?;
    composition.set_version = table.take("set-version").map(version).transpose()?;
    composition.components = table.list("components")?.into_iter().map(identifier).collect::<Read<_>>()?;
    if let Some(node) = table.take("dependencies") {
        composition.dependencies = dependencies(node)?;
    }
    if let Some(node) = table.take("sequences") {
        for (name, key, node) in node.table()?.entries() {
            if name == "shared" {
                composition.shared = Some(commands(node, files)?);
                continue;
            }
            let element =
                ManifestElement::ALL.iter().find(|element| element.is_sequence() && element.name() == name);
            let element = element.ok_or_else(|| Fault::At(key, format!("there is no sequence {name:?}")))?;
            composition.sections.insert(*element, commands(node, files)?);
        }
    }
    if let Some(node) = table.take("text") {
        for (language, _, node) in node.table()?.entries() {
            composition.text.insert(language.to_owned(), text(node)?);
        }
    }
    composition.coswid = table.take("coswid").map(|node| cbor(node, files)).transpose()?;
    if let Some(node) = table.take("integrated") {
        for (uri, _, node) in node.table()?.entries() {
            composition.integrated.insert(uri.to_owned(), bytes(node, files)?);
        }
    }
    for node in table.list("severed")? {
        let element = severable(node, &composition)?;
        composition.severed.insert(element);
    }
    table.finish()?;
    Ok(composition)
}

/// An element that the envelope may have in the place of the manifest, and that is described.
fn severable(node: Node<'_, '_>, composition: &Composition) -> Read<ManifestElement> {
    let name = node.text()?;
    let element =
        ManifestElement::ALL.iter().find(|element| element.is_severable() && element.name() == name);
    let element = *element.ok_or_else(|| node.fault(format!("{name:?} cannot be severed")))?;
    let is_there = match element {
        ManifestElement::Text => !composition.text.is_empty(),
        ManifestElement::Coswid => composition.coswid.is_some(),
        _ => composition.sections.contains_key(&element),
    };
    if is_there { Ok(element) } else { Err(node.fault(format!("there is no {name} to be severed"))) }
}

/// suit-dependencies: `INDEX = { prefix = [...] }`
fn dependencies(node: Node<'_, '_>) -> Read<BTreeMap<u64, Option<Identifier>>> {
    let mut dependencies = BTreeMap::new();
    for (name, key, node) in node.table()?.entries() {
        let number = index(name, key)?;
        let mut metadata = node.table()?;
        let prefix = metadata.take("prefix").map(identifier).transpose()?;
        metadata.finish()?;
        dependencies.insert(number, prefix);
    }
    Ok(dependencies)
}

/// The texts in one language.
fn text(node: Node<'_, '_>) -> Read<LanguageText> {
    let mut table = node.table()?;
    let mut text = LanguageText::default();
    for key in ManifestText::ALL {
        if let Some(node) = table.take(key.name()) {
            text.manifest.insert(*key, node.text()?.to_owned());
        }
    }
    for node in table.list("component")? {
        let mut component = node.table()?;
        let id = identifier(component.need("id")?)?;
        let mut texts = BTreeMap::new();
        for key in ComponentText::ALL {
            if let Some(node) = component.take(key.name()) {
                texts.insert(*key, node.text()?.to_owned());
            }
        }
        component.finish()?;
        text.components.push((id, texts));
    }
    table.finish()?;
    Ok(text)
}

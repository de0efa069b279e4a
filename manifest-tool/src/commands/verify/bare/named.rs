//! What a manifest names of images, of whatever tool it is.

use std::path::Path;

use suit_manifest::argument::{AnyDigest, ParameterValue};
use suit_manifest::author::identifier_words;
use suit_manifest::author::tree::{
    ArgumentTree, CommandTree, Identifier, Integrated, ManifestTree, ParameterTree,
};
use trust::ErrorKind;
use trust::blocks::encryption::{AgreementSecret, HostEncryption};
use trust::cbor::Span;

use crate::bundle::{Bundle, Inside};
use crate::error::{Error, ImageDifference};
use crate::files::read;
use crate::image::MAX_PAYLOAD_LEN;

/// What the identifiers of a table's components begin with.
const TABLE_SEGMENT: &[u8] = b"table";

/// What a manifest says of images, wherever in it that stands: what a device makes of the sequences is its own business.
#[derive(Default)]
pub(super) struct Named<'a> {
    /// Components of the manifest.
    components: &'a [Identifier<'a>],
    /// Those of a table, and all others.
    table: Vec<u64>,
    others: Vec<u64>,
    images: Vec<NamedDigest<'a>>,
    /// With the components that they are set for: what is decrypted is the image of those.
    encryption_infos: Vec<(Vec<u64>, Span<'a>)>,
    /// Where the image of which components is fetched from.
    uris: Vec<(Vec<u64>, &'a str)>,
    /// Components that are manifests of their own: what is named of those is no image.
    dependencies: Vec<u64>,
}

/// An image-digest.
#[derive(Clone)]
struct NamedDigest<'a> {
    components: Vec<u64>,
    digest: AnyDigest<'a>,
    /// That is set beside it.
    size: Option<u64>,
}

impl<'a> Named<'a> {
    pub(super) fn of(manifest: &'a ManifestTree<'a>) -> Self {
        let is_table = |id: &Identifier<'_>| id.first() == Some(&TABLE_SEGMENT);
        let (mut table, mut others) = (Vec::new(), Vec::new());
        for (index, id) in (0..).zip(&manifest.components) {
            if is_table(id) { &mut table } else { &mut others }.push(index);
        }
        let components = manifest.components.as_slice();
        let dependencies = manifest.dependencies.iter().map(|dependency| dependency.index).collect();
        let mut named = Self { components, table, others, dependencies, ..Self::default() };
        let sections = manifest.sections.iter().filter_map(|(_, member)| member.content());
        for commands in manifest.shared.iter().chain(sections) {
            named.sequence(commands, vec![0]);
        }
        named
    }

    fn sequence(&mut self, commands: &[CommandTree<'a>], mut selected: Vec<u64>) {
        for command in commands {
            match &command.argument {
                ArgumentTree::Index(index) => selected = index.selected(self.components.len() as u64),
                ArgumentTree::Parameters(parameters) => self.parameters(parameters, &selected),
                ArgumentTree::ByComponent(components) => {
                    for (index, parameters) in components {
                        selected = vec![*index];
                        self.parameters(parameters, &selected);
                    }
                }
                ArgumentTree::Sequence(inner) => self.sequence(inner, selected.clone()),
                ArgumentTree::Alternatives(sequences) => {
                    sequences.iter().flatten().for_each(|inner| self.sequence(inner, selected.clone()));
                }
                ArgumentTree::Policy(_) | ArgumentTree::Keys(_) | ArgumentTree::Custom(_) => {}
            }
        }
    }

    fn parameters(&mut self, parameters: &[ParameterTree<'a>], components: &[u64]) {
        let mut image = (None, None);
        for parameter in parameters {
            match parameter.value {
                ParameterValue::ImageDigest(digest) => image.0 = Some(digest),
                ParameterValue::ImageSize(size) => image.1 = Some(size),
                ParameterValue::EncryptionInfo(info) => {
                    self.encryption_infos.push((components.to_vec(), info));
                }
                ParameterValue::Uri(uri) => self.uris.push((components.to_vec(), uri.as_str())),
                _ => {}
            }
        }
        self.images.extend(image.0.map(|digest| NamedDigest {
            components: components.to_vec(),
            digest,
            size: image.1,
        }));
    }

    /// What it says of its image, and, if it has a table beside one, of that: neither stands in for the other.
    pub(super) fn halves(self) -> (Self, Option<Self>) {
        if self.table.is_empty() || self.others.is_empty() {
            return (self, None);
        }
        (self.of_components(&self.others), Some(self.of_components(&self.table)))
    }

    /// Compares the integrated members that the manifest fetches, each with the images of the components that it fetches it
    /// for: whether there is one of an image, and of a table beside one. What is decrypted on the way has no digest here, and
    /// that of a dependency is of its manifest (suit-trust-domains section 5.6.4).
    pub(super) fn check_inside(
        &self,
        bundle: &Bundle<'_>,
        integrated: &[Integrated<'_>],
    ) -> Result<Inside, Error> {
        let has_table_beside = !self.table.is_empty() && !self.others.is_empty();
        let mut inside = Inside::default();
        for member in integrated {
            let mut is_compared = false;
            for (components, _) in self.uris.iter().filter(|(_, uri)| *uri == member.uri) {
                let theirs = self.of_components(components);
                if theirs.images.is_empty() || !theirs.encryption_infos.is_empty() {
                    continue;
                }
                is_compared = true;
                if components.iter().any(|index| self.dependencies.contains(index)) {
                    theirs.check_dependency(&bundle.name_of(member.uri), member)?;
                    continue;
                }
                theirs.check(&bundle.name_of(member.uri), member.content.bytes)?;
                let is_table = has_table_beside && components.iter().all(|index| self.table.contains(index));
                inside.image |= !is_table;
                inside.table |= is_table;
            }
            inside.not_compared.extend((!is_compared).then(|| member.uri.to_owned()));
        }
        Ok(inside)
    }

    /// Fails unless it is an envelope whose manifest, and what is severed from that, has a digest that is named here.
    fn check_dependency(&self, path: &Path, member: &Integrated<'_>) -> Result<(), Error> {
        let difference = match &member.envelope {
            None => ImageDifference::Digest,
            Some(Err(error)) => return Err(Error::refused_manifest(path, *error)),
            Some(Ok(envelope)) if self.images.iter().any(|named| named.digest == envelope.digest) => {
                return Ok(());
            }
            Some(Ok(_)) => ImageDifference::Digest,
        };
        Err(Error::ImageMismatch { path: path.to_owned(), difference })
    }

    /// The images of these components, and how they are decrypted.
    fn of_components(&self, wanted: &[u64]) -> Self {
        let are_theirs = |components: &[u64]| components.iter().any(|index| wanted.contains(index));
        let images = self.images.iter().filter(|image| are_theirs(&image.components));
        let infos = self.encryption_infos.iter().filter(|(components, _)| are_theirs(components));
        Self {
            components: self.components,
            images: images.cloned().collect(),
            encryption_infos: infos.cloned().collect(),
            ..Self::default()
        }
    }

    /// Fails unless the file, or what the private key makes of it, is one of those that are named; the components whose it is,
    /// for people.
    pub(super) fn compare(
        &self,
        (envelope, path): (&Path, &Path),
        secret: Option<&AgreementSecret>,
    ) -> Result<String, Error> {
        let file = read(path, MAX_PAYLOAD_LEN)?;
        let Some(secret) = secret else { return self.check(path, &file) };
        if self.encryption_infos.is_empty() {
            return Err(Error::usage("the release is not encrypted; omit --decryption-key"));
        }
        self.check(path, &self.decrypted((envelope, path), &file, secret)?)
    }

    /// What a private key makes of a ciphertext, under the first encryption-info that is for it: the image of the component
    /// that has it. Counter mode makes the ciphertext out of the plaintext, which is the image of another component.
    fn decrypted(
        &self,
        (envelope, path): (&Path, &Path),
        ciphertext: &[u8],
        secret: &AgreementSecret,
    ) -> Result<Vec<u8>, Error> {
        let mut refusal = Error::NoRecipient(envelope.to_owned());
        for (components, info) in &self.encryption_infos {
            let theirs = self.of_components(components);
            let opened = HostEncryption::read(*info)
                .and_then(|info| info.open(&info.content_key(secret)?, ciphertext));
            let right = if theirs.images.is_empty() { self } else { &theirs };
            let checked = match opened {
                Ok(image) => match right.check(path, &image) {
                    Ok(_) => return Ok(image),
                    Err(error) => Err(error),
                },
                // Where the ciphertext is named too, another file is not laid at the door of the envelope.
                Err(error) if error.kind == ErrorKind::ContentTag => {
                    refusal = Error::refused(envelope, error.into(), error.position);
                    if self.images.len() > 1 { self.check(path, ciphertext).map(drop) } else { Ok(()) }
                }
                Err(error) if error.kind == ErrorKind::DeviceKeyUnknown => continue,
                Err(error) => {
                    refusal = Error::refused(envelope, error.into(), error.position);
                    continue;
                }
            };
            // Neither is what comes out, in the place of what goes in.
            if theirs.check(path, ciphertext).is_ok() {
                let difference = ImageDifference::Decrypted;
                return Err(Error::ImageMismatch { path: path.to_owned(), difference });
            }
            checked?;
        }
        Err(refusal)
    }

    /// Fails unless the image is one of those that are named; the components whose it is.
    fn check(&self, path: &Path, image: &[u8]) -> Result<String, Error> {
        let len = image.len() as u64;
        let equal = self.images.iter().filter(|named| named.digest.is_of(image));
        let difference = match equal.min_by_key(|named| named.size) {
            // Section 8.4.8.6: the digest is over so many bytes.
            Some(NamedDigest { size: Some(size), .. }) if *size != len => ImageDifference::Size(len, *size),
            Some(named) => return Ok(self.words_of(&named.components)),
            None if self.images.is_empty() => ImageDifference::NoneNamed,
            None => ImageDifference::Digest,
        };
        Err(Error::ImageMismatch { path: path.to_owned(), difference })
    }

    fn words_of(&self, components: &[u64]) -> String {
        let name = |index: &u64| {
            let known = usize::try_from(*index).ok().and_then(|index| self.components.get(index));
            known.map_or_else(|| index.to_string(), |id| identifier_words(id))
        };
        components.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}

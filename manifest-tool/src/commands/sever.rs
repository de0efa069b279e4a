//! `sever`: leave severable members of an envelope away (draft-ietf-suit-manifest-37 section 8.6). The signature holds.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;
use suit_manifest::author::take_out;
use suit_manifest::author::tree::{EnvelopeTree, MemberKey};
use suit_manifest::vocabulary::{EnvelopeElement, ManifestElement};

use crate::bundle::{Bundle, MemberFault, images_of};
use crate::error::Error;
use crate::files::{OverwriteArguments, must_differ, write};
use crate::output::{Output, Report, table};

/// Leave severable members of an envelope away
#[derive(clap::Args, Clone, Debug)]
pub struct Sever {
    /// Envelope, signed or not
    #[arg(value_name = "R.suit")]
    envelope: PathBuf,
    /// Member to leave away (repeatable) [default: every severable one that is there]
    #[arg(long = "member", value_name = "NAME", value_parser = severable())]
    members: Vec<EnvelopeElement>,
    /// Envelope to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct Severed {
    envelope: PathBuf,
    /// What was left away, in the order of the file.
    severed: Vec<&'static str>,
    bytes_before: usize,
    bytes: usize,
}

fn severable() -> impl TypedValueParser<Value = EnvelopeElement> {
    let all = || EnvelopeElement::ALL.iter().copied().filter(|element| element.is_severable());
    PossibleValuesParser::new(all().map(EnvelopeElement::name))
        .try_map(move |name| all().find(|element| element.name() == name).ok_or("not severable"))
}

impl Sever {
    pub fn run(&self, output: Output) -> Result<Severed, Error> {
        must_differ(&self.out, &[&self.envelope])?;
        let bundle = Bundle::read(&self.envelope)?;
        let tree = bundle.tree()?;
        let there = members_of(&tree);
        if let Some(absent) = self.members.iter().find(|wanted| !there.contains(wanted)) {
            let name = absent.name();
            let is_inside = is_in_manifest(&tree, *absent);
            return Err(bundle.fault(if is_inside {
                MemberFault::InManifest(name)
            } else {
                MemberFault::Absent(name.to_owned())
            }));
        }
        let goes = |element: &EnvelopeElement| self.members.is_empty() || self.members.contains(element);
        let severed: Vec<EnvelopeElement> = there.into_iter().filter(goes).collect();
        let made = suit_manifest::author::sever(bundle.bytes(), &severed)
            .map_err(|error| bundle.not_changed(error))?;
        if let Some(loss) = loss(&bundle, &made, &severed) {
            output.warn(&loss);
        }
        write(&self.out, &made, self.overwrite.existing())?;
        Ok(Severed {
            envelope: self.out.clone(),
            severed: severed.into_iter().map(EnvelopeElement::name).collect(),
            bytes_before: bundle.bytes().len(),
            bytes: made.len(),
        })
    }
}

/// What devices cannot do any more. Images in the envelope are none of it: they stay.
fn loss(bundle: &Bundle<'_>, made: &[u8], severed: &[EnvelopeElement]) -> Option<String> {
    let (before, after) = (bundle.release().ok()?, take_out(made, &[]).ok()?);
    match (images_of(&before), images_of(&after)) {
        (Ok(_), Ok(_)) => None,
        (Ok(_), Err(error)) => {
            Some(format!("our devices would refuse the result: {}", error.reason().message()))
        }
        // A release for other devices: what it installs is known to them alone.
        (Err(_), _) => {
            let is_sequence = |element: &&EnvelopeElement| {
                ![EnvelopeElement::Text, EnvelopeElement::Coswid].contains(*element)
            };
            let names: Vec<_> = severed.iter().filter(is_sequence).map(|element| element.name()).collect();
            let needed = "a device that has not run it yet cannot install the result";
            (!names.is_empty()).then(|| format!("without {}: {needed}", names.join(", ")))
        }
    }
}

/// The severable members of an envelope.
fn members_of(tree: &EnvelopeTree<'_>) -> Vec<EnvelopeElement> {
    let element = |key| match key {
        MemberKey::Element(element) => Some(element),
        MemberKey::Uri(_) => None,
    };
    tree.members
        .iter()
        .filter_map(|member| element(member.key))
        .filter(|element| element.is_severable())
        .collect()
}

/// Whether the manifest has the element itself.
fn is_in_manifest(tree: &EnvelopeTree<'_>, element: EnvelopeElement) -> bool {
    use suit_manifest::author::tree::Member::Here;
    let manifest = &tree.manifest;
    match ManifestElement::from_number(element.number()) {
        Some(ManifestElement::Text) => matches!(manifest.text, Some(Here(_))),
        Some(ManifestElement::Coswid) => matches!(manifest.coswid, Some(Here(_))),
        Some(sequence) => {
            manifest.sections.iter().any(|(known, member)| *known == sequence && matches!(member, Here(_)))
        }
        None => false,
    }
}

impl Report for Severed {
    fn lines(&self) -> String {
        let severed =
            if self.severed.is_empty() { "nothing was left".to_owned() } else { self.severed.join(", ") };
        table(&[
            ("envelope", self.envelope.display().to_string()),
            ("severed", severed),
            ("length", format!("{} bytes, {} before", self.bytes, self.bytes_before)),
        ])
    }
}

//! The command sequences of a manifest: what devices of ours do not run, and what a component that gets an image lacks.
//!
//! A parameter counts for a component wherever it is set: whether each way through try-each sets it, the device's walk
//! finds out. One that is copied counts if the component that it is copied from has it by then.

use std::collections::{BTreeMap, BTreeSet};

use suit_manifest::argument::{DigestAlgorithm, ParameterValue, VendorId};
use suit_manifest::author::tree::{ArgumentTree, CommandTree, ManifestTree, ParameterTree};
use suit_manifest::profile::{Decrypting, Profile as _};
use suit_manifest::vocabulary::{CommandCode, ParameterKey};
use trust::blocks::encryption::{HostEncryption, HostRecipient};
use trust::cbor::Span;

use super::{Code, Finding};
use crate::blocks::algorithm_words;
use crate::image::MAX_PAYLOAD_LEN;

/// What the sequences do with a component.
#[derive(Default)]
struct Use {
    parameters: BTreeSet<i64>,
    /// The largest size that is named for it.
    size: Option<u64>,
    /// Commands that are run for it, each with the byte of the first one.
    commands: BTreeMap<i64, u32>,
    /// Whether another one is decrypted out of it: it holds what is on its way, and no slot does.
    is_source: bool,
}

impl Use {
    fn first(&self, codes: &[CommandCode]) -> Option<(CommandCode, u32)> {
        codes.iter().find_map(|code| self.commands.get(&code.number()).map(|position| (*code, *position)))
    }

    fn lacks(&self, key: ParameterKey) -> bool {
        !self.parameters.contains(&key.number())
    }
}

struct Check<'f> {
    components: BTreeMap<u64, Use>,
    count: u64,
    found: &'f mut Vec<Finding>,
}

/// Commands that bring content into a component.
const WRITING: [CommandCode; 3] = [CommandCode::Fetch, CommandCode::Copy, CommandCode::Write];
/// Conditions that compare content.
const CHECKING: [CommandCode; 2] = [CommandCode::ImageMatch, CommandCode::CheckContent];

pub(super) fn check(manifest: &ManifestTree<'_>, slot_size: Option<u64>, found: &mut Vec<Finding>) {
    let mut check = Check { components: BTreeMap::new(), count: manifest.components.len() as u64, found };
    let sections = manifest.sections.iter().filter_map(|(_, member)| member.content());
    for commands in manifest.shared.iter().chain(sections) {
        check.sequence(commands, vec![0]);
    }
    let components = std::mem::take(&mut check.components);
    for (index, component) in components {
        // Of a dependency its own manifest says the rest.
        if !manifest.dependencies.iter().any(|dependency| dependency.index == index) {
            check.component(index, &component, slot_size);
        }
    }
}

impl Check<'_> {
    fn sequence(&mut self, commands: &[CommandTree<'_>], mut selected: Vec<u64>) {
        for command in commands {
            let number = i32::try_from(command.code).ok();
            if !number.is_some_and(|number| Decrypting::COMMANDS.has(number)) {
                let finding = match command.known() {
                    Some(known) => {
                        let message = format!("{} ({})", known.name(), command.code);
                        Finding::new(Code::Unsupported, message).at(command.position, known.rule())
                    }
                    None => Finding {
                        position: Some(command.position),
                        ..Finding::new(Code::Unsupported, format!("custom command ({})", command.code))
                    },
                };
                self.found.push(finding);
            }
            for component in &selected {
                let component = self.components.entry(*component).or_default();
                component.commands.entry(command.code).or_insert(command.position);
            }
            match &command.argument {
                ArgumentTree::Policy(_) | ArgumentTree::Custom(_) => {}
                ArgumentTree::Index(index) => selected = index.selected(self.count),
                ArgumentTree::Parameters(parameters) => self.parameters(parameters, &selected),
                ArgumentTree::ByComponent(components) => {
                    for (index, parameters) in components {
                        self.parameters(parameters, &[*index]);
                        // The last one is selected then (suit-update-management section 5.7).
                        selected = vec![*index];
                    }
                }
                ArgumentTree::Keys(sources) => {
                    for (source, keys) in sources {
                        self.copy(*source, keys, &selected);
                    }
                }
                // The selection of a sequence ends with it (section 6.5).
                ArgumentTree::Sequence(inner) => self.sequence(inner, selected.clone()),
                ArgumentTree::Alternatives(sequences) => {
                    for inner in sequences.iter().flatten() {
                        self.sequence(inner, selected.clone());
                    }
                }
            }
        }
    }

    /// suit-update-management section 5.8
    fn copy(&mut self, source: u64, keys: &[i64], selected: &[u64]) {
        let Some(source) = self.components.get(&source) else { return };
        let copied: BTreeSet<i64> =
            keys.iter().copied().filter(|key| source.parameters.contains(key)).collect();
        let size = source.size.filter(|_| copied.contains(&ParameterKey::ImageSize.number()));
        for component in selected {
            let component = self.components.entry(*component).or_default();
            component.parameters.extend(&copied);
            component.size = component.size.max(size);
        }
    }

    fn parameters(&mut self, parameters: &[ParameterTree<'_>], selected: &[u64]) {
        let decrypts = parameters.iter().any(|one| matches!(one.value, ParameterValue::EncryptionInfo(_)));
        for parameter in parameters {
            for component in selected {
                let component = self.components.entry(*component).or_default();
                component.parameters.insert(parameter.key);
                if let ParameterValue::ImageSize(size) = parameter.value {
                    component.size = component.size.max(Some(size));
                }
            }
            if let ParameterValue::SourceComponent(source) = parameter.value
                && decrypts
            {
                self.components.entry(source).or_default().is_source = true;
            }
            if let ParameterValue::EncryptionInfo(info) = parameter.value {
                self.encryption(info, parameter.position);
            }
            let is_offered = i32::try_from(parameter.key).is_ok_and(|key| Decrypting::PARAMETERS.has(key));
            let why = match (&parameter.value, parameter.known()) {
                (_, None) => format!("custom parameter ({})", parameter.key),
                (_, Some(known)) if !is_offered => format!("parameter {} ({})", known.name(), parameter.key),
                (ParameterValue::VendorId(VendorId::Pen(_)), _) => {
                    "a vendor that is a private enterprise number".to_owned()
                }
                (ParameterValue::ImageDigest(digest), _) if digest.algorithm() != DigestAlgorithm::Sha256 => {
                    "an image digest other than SHA-256".to_owned()
                }
                _ => continue,
            };
            self.found.push(Finding {
                position: Some(parameter.position),
                rule: parameter.known().map(|known| known.rule().to_string()),
                ..Finding::new(Code::Unsupported, why)
            });
        }
    }

    /// What no device of ours does with an encrypted image: contents and recipients.
    fn encryption(&mut self, info: Span<'_>, position: u32) {
        // What does not read, devices refuse.
        let Ok(info) = HostEncryption::read(info) else { return };
        let algorithm = info.algorithm();
        let contents = algorithm.on_devices().is_none().then(|| format!("an image in {}", algorithm.name()));
        let others = info.recipients().iter().filter(|one| !one.is_for_devices());
        let others: BTreeSet<String> = others
            .map(|one| one.algorithm.map_or_else(|| "no algorithm".to_owned(), algorithm_words))
            .collect();
        let others = others.iter().map(|algorithm| format!("recipients with {algorithm}"));
        let is_for_nobody = !info.recipients().iter().any(HostRecipient::is_for_devices);
        let nobody = is_for_nobody.then(|| "an image that none of them can decrypt".to_owned());
        for what in contents.into_iter().chain(others).chain(nobody) {
            let finding = Finding::new(Code::Unsupported, what);
            self.found.push(finding.at(position, ParameterKey::EncryptionInfo.rule()));
        }
    }

    fn component(&mut self, index: u64, component: &Use, slot_size: Option<u64>) {
        let mut push = |code, message: String, (command, position): (CommandCode, u32)| {
            self.found.push(Finding::new(code, message).at(position, command.rule()));
        };
        if let Some(fetch) = component.first(&[CommandCode::Fetch])
            && component.lacks(ParameterKey::Uri)
        {
            push(Code::UriMissing, format!("component {index} is fetched, and no URI is set for it"), fetch);
        }
        let compared = component.first(&[CommandCode::ImageMatch, CommandCode::Fetch, CommandCode::Copy]);
        if let Some(command) = compared {
            for (key, code, what) in [
                (ParameterKey::ImageDigest, Code::DigestMissing, "digest"),
                (ParameterKey::ImageSize, Code::SizeMissing, "size"),
            ] {
                if component.lacks(key) {
                    push(code, format!("no {what} is set for the image of component {index}"), command);
                }
            }
        }
        if let Some(written) = component.first(&WRITING)
            && component.first(&CHECKING).is_none()
        {
            let message = format!("component {index} is written, and nothing compares it with a digest");
            push(Code::ImageUnchecked, message, written);
        }
        if let Some(size) = component.size.filter(|size| *size > MAX_PAYLOAD_LEN) {
            let message = format!(
                "the image of component {index} has {size} bytes, and no tool of ours takes more than {MAX_PAYLOAD_LEN}"
            );
            self.found.push(Finding::new(Code::TooLong, message));
        }
        if let (Some(size), Some(slot)) = (component.size, slot_size)
            && size > slot
            && !component.is_source
        {
            let message = format!("the image of component {index} has {size} bytes, and the slot {slot}");
            self.found.push(Finding::new(Code::SlotTooSmall, message));
        }
    }
}

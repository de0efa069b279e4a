//! The whole of SUIT, for hosts: what a loader does not offer.
//!
//! Conditions are questions to the [`WholePlatform`], whose answers have no side effects (section 6.4); directives are
//! steps that the processor hands out, with [`ProcessorOf::properties`] as their input.

mod commands;
mod elements;
mod parameters;
mod platform;

use trust::cbor::{Span, Uint, bit};

use super::extension::mask;
use super::{Extension, FreeOrder, Issued, Profile, Whole};
use crate::argument::{AnyDigest, ParameterValue, VendorId};
use crate::command::read_reporting_policy;
use crate::component::ComponentId;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Member, Section, read_member};
use crate::parameter::{Parameter, ParametersOf};
use crate::processor::{ProcessorOf, Step};
use crate::reason::Reason;
use crate::source::Source;
use crate::span::Wrapped;
use crate::structure::{SequenceCheck, parameter_map};
use crate::vocabulary::{
    ArgumentForm, CommandCode, CommonElement, EnvelopeElement, ManifestElement, ParameterKey,
};
use elements::{Elements, Members};
use parameters::Parameters;
pub use platform::{Properties, Record, WholePlatform};

/// What the processor remembers.
#[derive(Clone, Debug)]
pub struct State {
    section: Section,
    /// Bits of the components that are dependencies, and of those whose integrity was checked and holds.
    dependencies: u8,
    whole: u8,
    order: FreeOrder,
    /// The step that was handed out, and the record of it.
    pending: Option<Record>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            section: Section::Install,
            dependencies: 0,
            whole: 0,
            order: FreeOrder::default(),
            pending: None,
        }
    }
}

impl<'a> From<Digest<'a>> for AnyDigest<'a> {
    fn from(digest: Digest<'a>) -> Self {
        Self::of_sha256(digest.sha256())
    }
}

impl Extension for Whole {
    type Members<'a> = Members<'a>;
    type Elements<'a> = Elements<'a>;
    type Parameters<'a> = Parameters<'a>;
    type State = State;
    type Platform<'p> = dyn WholePlatform + 'p;

    fn member<'a>(members: &mut Members<'a>, key: i32, source: &mut Source<'a>) -> bool {
        let place = match key {
            EnvelopeElement::COSWID => &mut members.coswid,
            EnvelopeElement::DEPENDENCY_RESOLUTION => &mut members.dependency_resolution,
            EnvelopeElement::CANDIDATE_VERIFICATION => &mut members.candidate_verification,
            _ => return false,
        };
        *place = Some(Wrapped::read(source));
        true
    }

    fn integrated<'a>(members: &mut Members<'a>, source: &mut Source<'a>) -> bool {
        members.integrated.get_or_insert(source.left());
        members.integrated_count = members.integrated_count.saturating_add(1);
        source.text();
        source.span();
        true
    }

    fn element<'a>(
        elements: &mut Elements<'a>,
        members: &Members<'a>,
        key: i32,
        source: &mut Source<'a>,
    ) -> bool {
        elements.seen |= bit(key);
        match key {
            ManifestElement::COMPONENT_ID => elements.component_id = Some(ComponentId::read(source)),
            // suit-update-management section 3.1: for comparisons between manifests, which are the platform's.
            ManifestElement::SET_VERSION => {
                source.embedded(crate::argument::Version::read);
            }
            ManifestElement::LOAD => elements.load = Some(source.span()),
            ManifestElement::UNINSTALL => elements.uninstall = Some(source.span()),
            ManifestElement::COSWID => elements.coswid = read_member(source, members.at(key)),
            ManifestElement::DEPENDENCY_RESOLUTION => {
                elements.dependency_resolution = read_member(source, members.at(key));
            }
            ManifestElement::CANDIDATE_VERIFICATION => {
                elements.candidate_verification = read_member(source, members.at(key));
            }
            _ => return false,
        }
        true
    }

    /// suit-trust-domains section 5.2.2
    fn common<'a>(elements: &mut Elements<'a>, key: i32, source: &mut Source<'a>) -> bool {
        if key != CommonElement::DEPENDENCIES {
            return false;
        }
        let start = source.position();
        let mut entries = source.map();
        if entries.remaining() == 0 {
            source.refuse(trust::ErrorKind::OutOfRange, start);
        }
        // In their order, so that the last one is the highest.
        let mut last = None;
        loop {
            let position = source.position();
            let Some(index) = entries.next_label(source) else { break };
            let component = u32::try_from(index).ok().filter(|index| mask(*index) != 0);
            match component {
                Some(component) => elements.dependencies |= mask(component),
                None => source.refuse_as(ErrorKind::ComponentIndex, position),
            }
            last = component.map(|component| (component, position));
            let mut metadata = source.map();
            let position = source.position();
            if metadata.next(source) {
                // The prefix, which is optional to implement, and any extension: the scope of the dependency would be
                // another one without it.
                source.refuse_as(ErrorKind::ManifestElementUnsupported, position);
            }
        }
        // They are among the components, which are the next element in the order of the keys.
        let mut ahead = source.clone();
        let count = if ahead.label() == CommonElement::COMPONENTS { ahead.array().remaining() } else { 0 };
        if let Some((_, position)) = last.filter(|(component, _)| *component >= count)
            && ahead.check().is_ok()
        {
            source.refuse_as(ErrorKind::ComponentIndex, position);
        }
        true
    }

    fn stray(elements: &Elements<'_>, members: &Members<'_>) -> Option<u32> {
        let keys = [
            EnvelopeElement::COSWID,
            EnvelopeElement::DEPENDENCY_RESOLUTION,
            EnvelopeElement::CANDIDATE_VERIFICATION,
        ];
        let stray = keys.into_iter().filter(|key| elements.seen & bit(*key) == 0);
        stray.filter_map(|key| members.at(key)).map(|member| member.item.base).next()
    }

    fn section<'a>(elements: &Self::Elements<'a>, section: Section) -> Result<Option<Span<'a>>, Error> {
        let member = match section {
            Section::Load => return Ok(elements.load),
            Section::Uninstall => return Ok(elements.uninstall),
            Section::DependencyResolution => elements.dependency_resolution,
            Section::CandidateVerification => elements.candidate_verification,
            _ => return Ok(None),
        };
        match member {
            Member::Absent => Ok(None),
            Member::Here(commands) => Ok(Some(commands)),
            Member::Severed => Err(Error::new(ErrorKind::MemberSevered, 0)),
        }
    }

    fn has_section(elements: &Elements<'_>, section: Section) -> bool {
        !matches!(Self::section(elements, section), Ok(None))
    }

    fn check_argument(check: &SequenceCheck<'_, Self>, code: i32, source: &mut Source<'_>) {
        let known = CommandCode::from_number(code.into()).filter(|_| Self::COMMANDS.has(code));
        match known.map(CommandCode::argument) {
            Some(ArgumentForm::Policy) => {
                read_reporting_policy(source);
            }
            Some(ArgumentForm::Parameters) => check.parameters(source),
            Some(ArgumentForm::ParametersByComponent) => {
                let mut entries = parameter_map(source);
                while entries.next(source) {
                    source.uint();
                    check.parameters(source);
                }
            }
            Some(ArgumentForm::KeysByComponent) => {
                let mut entries = parameter_map(source);
                while entries.next(source) {
                    source.uint();
                    let mut keys = source.array_within(1, u32::MAX);
                    while keys.next(source) {
                        source.int();
                    }
                }
            }
            // The loader's own, and custom commands, which abort when they are reached.
            _ => source.skip(),
        }
    }

    fn parameter<'a>(
        parameters: &mut ParametersOf<'a, Self>,
        key: i32,
        source: &mut Source<'a>,
    ) -> Parameter<'a> {
        if !Self::PARAMETERS.has(key) {
            source.skip();
            return Parameter::Unsupported;
        }
        let value = ParameterValue::read(key, source);
        let more = &mut parameters.more;
        match value {
            ParameterValue::VendorId(VendorId::Pen(pen)) => {
                (parameters.vendor_id, more.pen) = (None, Some(pen));
                return Parameter::OtherVendor;
            }
            ParameterValue::ImageDigest(digest) => {
                (parameters.image_digest, more.digest) = (None, Some(digest));
                return Parameter::Image;
            }
            ParameterValue::UseBefore(limit) => more.use_before = Some(limit),
            ParameterValue::Content(content) => more.content = Some(content),
            ParameterValue::EncryptionInfo(info) => more.encryption_info = Some(info),
            ParameterValue::SourceComponent(source) => more.source_component = Some(source),
            ParameterValue::InvokeArgs(arguments) => more.invoke_args = Some(arguments),
            ParameterValue::FetchArguments(arguments) => more.fetch_arguments = Some(arguments),
            ParameterValue::MinimumBattery(level) => more.minimum_battery = Some(level),
            ParameterValue::UpdatePriority(priority) => more.update_priority = Some(priority),
            ParameterValue::Version(version) => more.version = Some(version),
            ParameterValue::WaitInfo(events) => more.wait_info = Some(events),
            ParameterValue::ComponentMetadata(metadata) => more.metadata = Some(metadata),
            // Those that the loader reads do not come here.
            _ => return Parameter::Unsupported,
        }
        Parameter::Other
    }

    fn is_other_digest(source: &Source<'_>) -> bool {
        let mut ahead = source.clone();
        let mut digest = Source::of(ahead.span());
        digest.array();
        let algorithm = digest.label();
        digest.check().is_ok() && algorithm != crate::argument::DigestAlgorithm::Sha256.number()
    }

    fn replaced(more: &mut Parameters<'_>, key: i32) {
        match key {
            ParameterKey::VENDOR_ID => more.pen = None,
            ParameterKey::IMAGE_DIGEST => more.digest = None,
            _ => {}
        }
    }

    fn run<'a>(
        processor: &mut ProcessorOf<'a, Self>,
        mut issued: Issued,
        source: &mut Source<'a>,
        platform: &mut Self::Platform<'_>,
    ) -> Option<Option<Step<'a>>> {
        let Issued { component, position, .. } = issued;
        let Some(code) = CommandCode::from_number(issued.code.into()) else {
            processor.refuse(ErrorKind::CommandUnknown, position)?;
            return None;
        };
        if code == CommandCode::DependencyIntegrity {
            let held = processor.check_dependency(issued, platform);
            Self::ended(processor, issued, held.is_some(), platform);
            held?;
            processor.complete()?;
            return Some(None);
        }
        if code.is_condition() {
            let (held, reason) = processor.holds_beyond(code, issued, platform)?;
            Self::ended(processor, issued, held, platform);
            if held {
                processor.complete()?;
            } else {
                processor.fail(ErrorKind::Platform(reason), position, issued.soft_failure)?;
            }
            return Some(None);
        }
        if code.argument() == ArgumentForm::Policy {
            issued.policy = read_reporting_policy(source);
            processor.check(source)?;
        }
        let properties = processor.properties(component);
        let named = processor.parameters(component)?.more.source_component;
        match code {
            CommandCode::Write => {
                if properties.content.is_none() {
                    processor.refuse(ErrorKind::ParameterMissing, position)?;
                }
                Self::writes(processor, issued, None)?;
                return processor.serve(issued, Step::Write { component });
            }
            CommandCode::Copy => {
                let from = processor.source_of(named, position)?;
                Self::writes(processor, issued, Some(from))?;
                return processor.serve(issued, Step::Copy { component, source: from });
            }
            CommandCode::Swap => {
                let from = processor.source_of(named, position)?;
                // Each is read and written: without an order that is a race (section 6.7).
                if !issued.strict_order {
                    processor.refuse(ErrorKind::StrictOrder, position)?;
                }
                Self::writes(processor, issued, Some(from))?;
                processor.set_image_held(from, false);
                processor.state.whole &= !mask(from);
                return processor.serve(issued, Step::Swap { component, source: from });
            }
            CommandCode::Wait => {
                if properties.wait_info.is_none() {
                    processor.refuse(ErrorKind::ParameterMissing, position)?;
                }
                return processor.serve(issued, Step::Wait { component });
            }
            CommandCode::Unlink => return processor.serve(issued, Step::Unlink { component }),
            CommandCode::ProcessDependency => {
                // suit-trust-domains section 5.6.2: where the component index is true, it is for dependencies only.
                if issued.is_every && !processor.is_dependency(component) {
                    processor.complete()?;
                    return Some(None);
                }
                // In the map, checked, and not in the shared sequence, which is refused when it is read.
                if processor.state.dependencies & processor.state.whole & mask(component) == 0 {
                    processor.refuse(ErrorKind::Platform(Reason::DependencyIntegrity), position)?;
                }
                return processor.serve(issued, Step::ProcessDependency { component });
            }
            CommandCode::SetParameters => {
                processor.set_parameters(source, component);
                processor.check(source)?;
                processor.complete()?;
            }
            CommandCode::OverrideMultiple => processor.override_multiple(source, issued)?,
            CommandCode::CopyParams => processor.copy_parameters(source, issued)?,
            // The loader's own do not come here.
            _ => processor.refuse(ErrorKind::CommandUnknown, position)?,
        }
        Some(None)
    }

    fn other_condition(
        processor: &mut ProcessorOf<'_, Self>,
        issued: Issued,
        platform: &mut Self::Platform<'_>,
    ) -> Option<Option<bool>> {
        let Issued { component, position, .. } = issued;
        let parameters = *processor.parameters(component)?;
        let size = parameters.image_size.map(Uint::get);
        Some(match (issued.code, parameters.more.pen, parameters.more.digest, size) {
            (CommandCode::VENDOR, Some(pen), ..) => Some(platform.pen_matches(component, pen)),
            (CommandCode::IMAGE_MATCH, ..) if processor.is_dependency(component) => {
                Some(processor.dependency_matches(issued, platform)? == Some(true))
            }
            (CommandCode::IMAGE_MATCH, _, Some(digest), Some(size)) => {
                let answer = platform.digest_matches(component, &digest, size);
                Some(processor.platform_says(answer, position)?)
            }
            _ => None,
        })
    }

    fn ended(
        processor: &mut ProcessorOf<'_, Self>,
        issued: Issued,
        held: bool,
        platform: &mut Self::Platform<'_>,
    ) {
        if let Some(record) = processor.record_of(issued) {
            platform.record(&Record { succeeded: held, ..record });
        }
    }

    fn begins(state: &mut State, elements: &Elements<'_>, section: Section) {
        *state = State { section, dependencies: elements.dependencies, ..State::default() };
    }

    fn writes(processor: &mut ProcessorOf<'_, Self>, issued: Issued, from: Option<u32>) -> Option<()> {
        if !processor.state.order.takes(&issued, from) {
            processor.refuse(ErrorKind::StrictOrder, issued.position)?;
        }
        // suit-trust-domains section 5.6.4: what was checked of a dependency counts no more once it is written.
        processor.state.whole &= !mask(issued.component);
        processor.set_image_held(issued.component, false);
        Self::hands_out(processor, issued);
        Some(())
    }

    fn hands_out(processor: &mut ProcessorOf<'_, Self>, issued: Issued) {
        processor.state.pending = processor.record_of(issued);
    }

    fn resumes(processor: &mut ProcessorOf<'_, Self>, platform: &mut Self::Platform<'_>) {
        if let Some(record) = processor.state.pending.take() {
            platform.record(&record);
        }
    }
}

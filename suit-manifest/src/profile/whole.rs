//! The whole of SUIT, for hosts: what a loader does not offer.
//!
//! Conditions are questions to the [`WholePlatform`], whose answers have no side effects (section 6.4); directives are
//! steps that the processor hands out, with [`ProcessorOf::properties`] as their input.

mod elements;
mod parameters;
mod platform;

use subtle::ConstantTimeEq as _;
use trust::cbor::{Span, Uint, bit};

use super::{Extension, Issued, Profile, Whole};
use crate::argument::{AnyDigest, ParameterValue, VendorId};
use crate::command::read_reporting_policy;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::limits::MAX_CONTENT_LEN;
use crate::manifest::{ComponentId, Member, Section, read_member};
use crate::parameter::{Parameter, ParametersOf};
use crate::processor::{PlatformError, ProcessorOf, Step};
use crate::reason::Reason;
use crate::source::Source;
use crate::span::Wrapped;
use crate::structure::{SequenceCheck, parameter_map};
use crate::vocabulary::{
    ArgumentForm, CommandCode, CommonElement, EnvelopeElement, ManifestElement, ParameterKey,
};
use elements::{Elements, Members};
use parameters::Parameters;
use platform::VERSION_NUMBERS;
pub use platform::{Properties, Record, WholePlatform};

/// What the processor remembers.
#[derive(Clone, Debug)]
pub struct State {
    section: Section,
    /// Bits of the components that are dependencies, and of those whose integrity was checked and holds.
    dependencies: u8,
    whole: u8,
    /// Bits of the components that were written, and read, since the order is free (section 6.7).
    written: u8,
    read: u8,
    /// The step that was handed out, and the record of it.
    pending: Option<Record>,
}

impl Default for State {
    fn default() -> Self {
        Self { section: Section::Install, dependencies: 0, whole: 0, written: 0, read: 0, pending: None }
    }
}

fn mask(component: u32) -> u8 {
    1u8.checked_shl(component).unwrap_or(0)
}

impl<'a> ProcessorOf<'a, Whole> {
    /// The parameters of a component as they are set now: the input of the step that was handed out.
    #[must_use]
    pub fn properties(&self, component: u32) -> Properties<'a> {
        let parameters = self.parameters_at(component).unwrap_or_default();
        let more = parameters.more;
        Properties {
            image_digest: more.digest.or(parameters.image_digest.map(AnyDigest::from)),
            image_size: parameters.image_size.map(Uint::get),
            uri: parameters.uri,
            content: more.content,
            encryption_info: more.encryption_info,
            source_component: more.source_component.and_then(|index| u32::try_from(index).ok()),
            invoke_args: more.invoke_args,
            fetch_arguments: more.fetch_arguments,
            wait_info: more.wait_info,
            metadata: more.metadata,
        }
    }

    /// Ends the run: the step that was handed out could not be served. A directive that fails aborts (section 6.4).
    pub fn step_failed(&mut self, reason: Reason, platform: &mut dyn WholePlatform) -> Error {
        if let Some(record) = self.state.pending.take() {
            platform.record(&Record { succeeded: false, ..record });
        }
        let position = self.running().base;
        self.abort(Error::new(ErrorKind::Platform(reason), position))
    }

    fn record_of(&self, issued: Issued) -> Option<Record> {
        let is_shared = self.is_shared();
        Some(Record {
            section: if is_shared { ManifestElement::Common } else { self.state.section.element() },
            offset: issued.position.wrapping_sub(self.running().base),
            component: issued.component,
            command: CommandCode::from_number(issued.code.into())?,
            policy: issued.policy,
            succeeded: true,
        })
    }

    /// The component that source-component names.
    fn source_of(&mut self, issued: Issued) -> Option<u32> {
        let source = self.parameters(issued.component)?.more.source_component;
        let Some(source) = source else {
            self.refuse(ErrorKind::ParameterMissing, issued.position)?;
            return None;
        };
        let known = self.component_at(source);
        if known.is_none() {
            self.refuse(ErrorKind::ComponentIndex, issued.position)?;
        }
        known
    }

    /// Hands a directive out.
    fn serve(&mut self, issued: Issued, step: Step<'a>) -> Option<Option<Step<'a>>> {
        Whole::hands_out(self, issued);
        self.complete()?;
        Some(Some(step))
    }

    fn platform_says<T>(&mut self, answer: Result<T, PlatformError>, position: u32) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(PlatformError(reason)) => {
                self.refuse(ErrorKind::Platform(reason), position)?;
                None
            }
        }
    }

    /// Section 8.4.9 and its extensions: a condition whose parameter has not been set fails, with this reason.
    fn holds_beyond(
        &mut self,
        code: CommandCode,
        issued: Issued,
        platform: &mut dyn WholePlatform,
    ) -> Option<(bool, Reason)> {
        let Issued { component, position, .. } = issued;
        let parameters = *self.parameters(component)?;
        let more = parameters.more;
        Some(match code {
            CommandCode::CheckContent => {
                let held = match more.content {
                    Some(content) => {
                        let mut buffer = [0; MAX_CONTENT_LEN];
                        let read = platform.read_component(component, &mut buffer);
                        let len = self.platform_says(read, position)?;
                        // Section 8.4.9.3: no early exit. Only the length, which is no secret, decides before.
                        let is_as_long = len.is_some_and(|len| usize::try_from(len) == Ok(content.len()));
                        is_as_long
                            && buffer.get(..content.len()).is_some_and(|held| bool::from(held.ct_eq(content)))
                    }
                    None => false,
                };
                (held, Reason::ContentMismatch)
            }
            // suit-update-management section 5.1
            CommandCode::UseBefore => {
                let held = more.use_before.is_some_and(|limit| platform.now().is_some_and(|now| now < limit));
                (held, Reason::UseBeforePassed)
            }
            // Section 5.2: without a digest it fails.
            CommandCode::ImageNotMatch => {
                let matches =
                    match (parameters.image_digest, more.digest, parameters.image_size.map(Uint::get)) {
                        (Some(digest), None, Some(size)) => {
                            let answer = platform.image_matches(component, &digest, size);
                            self.platform_says(answer, position)?
                        }
                        (None, Some(digest), Some(size)) => {
                            let answer = platform.digest_matches(component, &digest, size);
                            self.platform_says(answer, position)?
                        }
                        _ => true,
                    };
                (!matches, Reason::ImageMatches)
            }
            // Section 5.3
            CommandCode::MinimumBattery => {
                let held = more
                    .minimum_battery
                    .is_some_and(|wanted| platform.battery_mwh().is_some_and(|level| level >= wanted));
                (held, Reason::BatteryLow)
            }
            // Section 5.4
            CommandCode::UpdateAuthorized => {
                let held =
                    more.update_priority.is_some() && platform.authorizes(component, more.update_priority);
                (held, Reason::UpdateUnauthorized)
            }
            // Section 5.5
            CommandCode::Version => {
                let mut numbers = [0; VERSION_NUMBERS];
                let held = more.version.is_some_and(|wanted| {
                    let count = platform.version(component, &mut numbers);
                    count.is_some_and(|count| wanted.is_met_by(numbers.iter().copied().take(count)))
                });
                (held, Reason::VersionMismatch)
            }
            // suit-trust-domains section 5.6.3
            CommandCode::IsDependency => {
                (self.state.dependencies & mask(component) != 0, Reason::NotADependency)
            }
            _ => (false, Reason::ConditionUnknown),
        })
    }

    /// suit-trust-domains section 5.6.4: each of its steps that fails aborts, however soft failures are.
    fn check_dependency(&mut self, issued: Issued, platform: &mut dyn WholePlatform) -> Option<()> {
        let Issued { component, position, .. } = issued;
        self.state.whole &= !mask(component);
        let digest = self.properties(component).image_digest;
        let Some(digest) = digest.filter(|_| self.state.dependencies & mask(component) != 0) else {
            return self.refuse(ErrorKind::Platform(Reason::DependencyIntegrity), position);
        };
        let answer = platform.dependency_is_whole(component, &digest);
        if !self.platform_says(answer, position)? {
            return self.refuse(ErrorKind::Platform(Reason::DependencyIntegrity), position);
        }
        self.state.whole |= mask(component);
        Some(())
    }

    /// set-parameters: what is set stays (suit-trust-domains section 5.6.1).
    fn set_parameters(&mut self, source: &mut Source<'a>, component: u32) {
        let mut entries = parameter_map(source);
        loop {
            let position = source.position();
            let Some(key) = entries.next_label(source) else { return };
            let Some(parameters) = self.parameters(component) else { return };
            let mut ahead = *parameters;
            let is_set = parameters.is_set(key);
            let parameter = ahead.read(key, source);
            if is_set {
                continue;
            }
            *parameters = ahead;
            self.was_set(parameter, component, source, position);
        }
    }

    /// suit-update-management section 5.7: override-parameters for each component that is named, the last of which is
    /// then selected.
    fn override_multiple(&mut self, source: &mut Source<'a>, issued: Issued) -> Option<()> {
        // It is an encoding of set-component-index, which section 6.7 bars here.
        if !issued.may_select {
            self.refuse(ErrorKind::StrictOrder, issued.position)?;
        }
        let mut entries = parameter_map(source);
        let mut last = None;
        loop {
            let position = source.position();
            if !entries.next(source) {
                break;
            }
            let index = source.uint();
            let Some(component) = self.component_at(index) else {
                source.refuse_as(ErrorKind::ComponentIndex, position);
                break;
            };
            self.override_parameters(source, component);
            last = Some(component);
        }
        self.check(source)?;
        if let Some(component) = last {
            self.select_one(component)?;
        }
        self.complete_for_all()
    }

    /// suit-update-management section 5.8: parameters of other components, by their keys.
    fn copy_parameters(&mut self, source: &mut Source<'a>, issued: Issued) -> Option<()> {
        let mut entries = parameter_map(source);
        loop {
            let position = source.position();
            if !entries.next(source) {
                break;
            }
            let index = source.uint();
            let Some(from) = self.component_at(index) else {
                source.refuse_as(ErrorKind::ComponentIndex, position);
                break;
            };
            let given = *self.parameters(from)?;
            let mut keys = source.array_within(1, u32::MAX);
            while keys.next(source) {
                let position = source.position();
                let key = source.label();
                let parameters = self.parameters(issued.component)?;
                match parameters.copy_from(key, &given) {
                    Ok(()) if key == ParameterKey::IMAGE_DIGEST || key == ParameterKey::IMAGE_SIZE => {
                        self.set_image_held(issued.component, false);
                    }
                    Ok(()) => {}
                    Err(kind) => source.refuse_as(kind, position),
                }
            }
        }
        self.check(source)?;
        self.complete()
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
        loop {
            let position = source.position();
            let Some(index) = entries.next_label(source) else { break };
            let component = u32::try_from(index).ok().filter(|index| mask(*index) != 0);
            match component {
                Some(component) => elements.dependencies |= mask(component),
                None => source.refuse_as(ErrorKind::ComponentIndex, position),
            }
            let mut metadata = source.map();
            let position = source.position();
            if metadata.next(source) {
                // The prefix, which is optional to implement, and any extension: the scope of the dependency would be
                // another one without it.
                source.refuse_as(ErrorKind::ManifestElementUnsupported, position);
            }
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
        let known = CommandCode::from_number(issued.code.into()).filter(|_| Self::COMMANDS.has(issued.code));
        let Some(code) = known else {
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
        match code {
            CommandCode::Write => {
                if properties.content.is_none() {
                    processor.refuse(ErrorKind::ParameterMissing, position)?;
                }
                Self::writes(processor, issued, None)?;
                return processor.serve(issued, Step::Write { component });
            }
            CommandCode::Copy => {
                let from = processor.source_of(issued)?;
                Self::writes(processor, issued, Some(from))?;
                return processor.serve(issued, Step::Copy { component, source: from });
            }
            CommandCode::Swap => {
                let from = processor.source_of(issued)?;
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
                // suit-trust-domains section 5.6.2: in the map, checked, and not in the shared sequence, which is
                // refused when it is read.
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
        let (target, source) = (mask(issued.component), from.map_or(0, mask));
        if issued.strict_order {
            (processor.state.written, processor.state.read) = (0, 0);
        } else {
            // Section 6.7: what is written may not be read in a sequence whose order is free.
            processor.state.written |= target;
            processor.state.read |= source;
            if processor.state.written & processor.state.read != 0 {
                processor.refuse(ErrorKind::StrictOrder, issued.position)?;
            }
        }
        // suit-trust-domains section 5.6.4: what was checked of a dependency counts no more once it is written.
        processor.state.whole &= !target;
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

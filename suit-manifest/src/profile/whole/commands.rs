//! The commands that a loader does not offer, as the processor of the whole runs them.

use subtle::ConstantTimeEq as _;
use trust::cbor::Uint;

use super::Whole;
use super::platform::{Properties, Record, VERSION_NUMBERS, WholePlatform};
use crate::argument::AnyDigest;
use crate::error::{Error, ErrorKind};
use crate::limits::MAX_CONTENT_LEN;
use crate::processor::{PlatformError, ProcessorOf, Step};
use crate::profile::extension::mask;
use crate::profile::{Extension as _, Issued};
use crate::reason::Reason;
use crate::source::Source;
use crate::structure::parameter_map;
use crate::vocabulary::{CommandCode, ManifestElement, ParameterKey};

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

    pub(super) fn record_of(&self, issued: Issued) -> Option<Record> {
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

    /// Hands a directive out.
    pub(super) fn serve(&mut self, issued: Issued, step: Step<'a>) -> Option<Option<Step<'a>>> {
        Whole::hands_out(self, issued);
        self.complete()?;
        Some(Some(step))
    }

    pub(super) fn platform_says<T>(&mut self, answer: Result<T, PlatformError>, position: u32) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(PlatformError(reason)) => {
                self.refuse(ErrorKind::Platform(reason), position)?;
                None
            }
        }
    }

    /// Section 8.4.9 and its extensions: a condition whose parameter has not been set fails, with this reason.
    pub(super) fn holds_beyond(
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
                        _ if self.is_dependency(component) => {
                            self.dependency_matches(issued, platform)?.unwrap_or(true)
                        }
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
            CommandCode::IsDependency => (self.is_dependency(component), Reason::NotADependency),
            _ => (false, Reason::ConditionUnknown),
        })
    }

    pub(super) fn is_dependency(&self, component: u32) -> bool {
        self.state.dependencies & mask(component) != 0
    }

    /// Whether the component, a dependency, is the one that its digest names; `None` where none is set.
    pub(super) fn dependency_matches(
        &mut self,
        issued: Issued,
        platform: &mut dyn WholePlatform,
    ) -> Option<Option<bool>> {
        let Issued { component, position, .. } = issued;
        let Properties { image_digest, image_size, .. } = self.properties(component);
        let Some(digest) = image_digest else { return Some(None) };
        let answer = platform.dependency_matches(component, &digest, image_size);
        self.platform_says(answer, position).map(Some)
    }

    /// suit-trust-domains section 5.6.4: each of its steps that fails aborts, however soft failures are.
    pub(super) fn check_dependency(
        &mut self,
        issued: Issued,
        platform: &mut dyn WholePlatform,
    ) -> Option<()> {
        let Issued { component, position, .. } = issued;
        self.state.whole &= !mask(component);
        let digest = self.properties(component).image_digest;
        let Some(digest) = digest.filter(|_| self.is_dependency(component)) else {
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
    pub(super) fn set_parameters(&mut self, source: &mut Source<'a>, component: u32) {
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
    pub(super) fn override_multiple(&mut self, source: &mut Source<'a>, issued: Issued) -> Option<()> {
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
    pub(super) fn copy_parameters(&mut self, source: &mut Source<'a>, issued: Issued) -> Option<()> {
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

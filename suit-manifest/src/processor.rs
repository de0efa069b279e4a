//! The command processor, draft-ietf-suit-manifest-37 section 6: a suspendable interpreter of command sequences.
//!
//! [`Processor::run`] runs until the manifest needs bytes or ends: it then returns a [`Step`], and the next call
//! means that the step was served. A loader that receives bytes, a host that fetches them, and a dry run without any
//! therefore run one interpreter.
//!
//! Decisions where the draft leaves room:
//! - A directive that fails aborts the run, whatever soft-failure says (section 6.4). Try-each whose sequences are
//!   exhausted, and run-sequence ended by a condition that is not soft, are such directives.
//! - Parameters that a sequence has set stay set when it is given up (the abstract machine undoes nothing).
//! - A set-component-index inside try-each or run-sequence ends with that sequence.
//! - Commands run in order even where strict-order = false would permit otherwise.

mod frame;

use trust::cbor::{Reader, Span, Utf8};

use crate::command::{Command, read_reporting_policy};
use crate::digest::Digest;
use crate::envelope::Authenticated;
use crate::error::{Condition, Error, ErrorKind};
use crate::limits::{MAX_COMPONENTS, MAX_NESTING, MAX_STEPS};
use crate::manifest::{ComponentId, Components, Manifest, Section};
use crate::parameter::{Parameter, Parameters};
use crate::reason::Reason;
use crate::structure::{Alternative, IndexForm, alternatives, parameter_map, read_component_index};
use frame::{Call, Caller, Frame, IndexRule, Selection, first_command};

/// The reason for which the platform could not answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlatformError(pub Reason);

/// The questions of the processor. No answer has side effects (section 6.4: conditions have none).
pub trait Platform {
    /// Does the device, for this component, have this vendor id?
    fn vendor_matches(&mut self, component: u32, id: &[u8; 16]) -> bool;

    /// Does the device, for this component, have this class id?
    fn class_matches(&mut self, component: u32, id: &[u8; 16]) -> bool;

    /// Does the device, for this component, have this device id?
    fn device_matches(&mut self, component: u32, id: &[u8; 16]) -> bool;

    /// The slot of the component that is examined, or that a fetch would write; `None` fails the condition.
    fn component_slot(&mut self, component: u32) -> Option<u64>;

    /// Does the component hold an image of `size` bytes with this digest? It is computed over the component's real
    /// bytes.
    ///
    /// # Errors
    /// The reason for which the component cannot be read.
    fn image_matches(
        &mut self,
        component: u32,
        digest: &Digest<'_>,
        size: u64,
    ) -> Result<bool, PlatformError>;

    /// Does the device have this component?
    fn supports(&self, component_id: &ComponentId<'_>) -> bool;
}

/// Why the processor stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step<'a> {
    /// The component is to be fetched and written; when it is, run on.
    Fetch(Fetch<'a>),
    /// The component is to be invoked. A loader does that and never comes back.
    Invoke {
        /// Index of the component.
        component: u32,
    },
    /// The section has been run to its end.
    Done,
}

/// A fetch to serve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fetch<'a> {
    /// Index of the component to write.
    pub component: u32,
    /// Where from.
    pub uri: Utf8<'a>,
    /// Bytes of the image, if the manifest has set it.
    pub image_size: Option<u64>,
    /// Digest of the image, if the manifest has set it.
    pub digest: Option<Digest<'a>>,
}

/// The contents of the components, as far as image-match may know them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Contents<'a> {
    /// The platform alone knows.
    Unknown,
    /// Nothing: image-match fails.
    Empty,
    /// One image; image-match fails for any other. Without a digest the platform alone knows which one.
    Image {
        /// Index of the component.
        component: u32,
        /// Bytes of the image.
        size: u64,
        /// Its digest.
        digest: Option<Digest<'a>>,
    },
}

impl Contents<'_> {
    fn may_match(&self, component: u32, digest: &Digest<'_>, size: u64) -> bool {
        match self {
            Self::Unknown => true,
            Self::Empty => false,
            Self::Image { component: own, size: held, digest: known } => {
                *own == component && *held == size && known.is_none_or(|known| known == *digest)
            }
        }
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Start,
    Shared,
    Section,
    Done,
    Failed(Error),
}

/// A device has 24 KiB of RAM for everything.
#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<Processor<'static>>() <= 640);

/// Runs the shared sequence and one section of an authenticated manifest. Small: it borrows the manifest.
#[derive(Clone, Debug)]
pub struct Processor<'a> {
    components: Components<'a>,
    shared: Span<'a>,
    section: Option<Span<'a>>,
    stage: Stage,
    /// The sequences in execution, the innermost last; `depth` of them.
    frames: [Frame<'a>; MAX_NESTING],
    depth: usize,
    parameters: [Parameters<'a>; MAX_COMPONENTS],
    steps_left: u16,
    vendor_held: bool,
    class_held: bool,
    images_held: [bool; MAX_COMPONENTS],
    contents: Contents<'a>,
}

impl<'a> Processor<'a> {
    /// Prepares a run of the shared sequence and then of `section`, with no parameter set (section 6.1).
    ///
    /// A section that the manifest does not have has no commands; one that has been severed away is an error.
    ///
    /// # Errors
    /// [`ErrorKind::MemberSevered`] when the section has been severed away.
    pub fn new(authenticated: &Authenticated<'a>, section: Section) -> Result<Self, Error> {
        Self::over(authenticated.manifest(), section)
    }

    pub(crate) fn over(manifest: &Manifest<'a>, section: Section) -> Result<Self, Error> {
        Ok(Self {
            components: *manifest.components(),
            shared: manifest.shared(),
            section: manifest.section(section)?,
            stage: Stage::Start,
            frames: [const { Frame::VACANT }; MAX_NESTING],
            depth: 0,
            parameters: [Parameters::default(); MAX_COMPONENTS],
            steps_left: MAX_STEPS,
            vendor_held: false,
            class_held: false,
            images_held: [false; MAX_COMPONENTS],
            contents: Contents::Unknown,
        })
    }

    /// The same for another section, in place, after [`Step::Done`]: a device has no room for a processor for each.
    /// The contents of the components stay.
    #[inline(never)]
    pub(crate) fn restart(&mut self, manifest: &Manifest<'a>, section: Section) -> Result<(), Error> {
        self.section = manifest.section(section)?;
        self.stage = Stage::Start;
        self.parameters = [Parameters::default(); MAX_COMPONENTS];
        self.steps_left = MAX_STEPS;
        self.vendor_held = false;
        self.class_held = false;
        self.images_held = [false; MAX_COMPONENTS];
        Ok(())
    }

    pub(crate) fn contents(&self) -> Contents<'a> {
        self.contents
    }

    pub(crate) fn set_contents(&mut self, contents: Contents<'a>) {
        self.contents = contents;
    }

    /// Whether the one image that there is lies in this component.
    pub(crate) fn holds_image(&self, component: u32) -> bool {
        matches!(self.contents, Contents::Image { component: own, .. } if own == component)
    }

    /// Whether [`Processor::image_matched`] is true of the one image that there is.
    pub(crate) fn contents_matched(&self) -> bool {
        matches!(self.contents, Contents::Image { component, .. } if self.image_matched(component))
    }

    /// Ends the run; the error stays.
    pub(crate) fn abort(&mut self, error: Error) -> Error {
        self.stage = Stage::Failed(error);
        error
    }

    /// True when image-match has held for the component in this run, and since then neither its digest nor its size
    /// was set, nor the component fetched. A loader asks before it boots, since a manifest need not have the
    /// condition.
    #[must_use]
    pub fn image_matched(&self, component: u32) -> bool {
        index(component).and_then(|index| self.images_held.get(index)).is_some_and(|held| *held)
    }

    /// Runs until a step is to be served; the next call continues after that step. After [`Step::Done`] it returns
    /// `Done` again, after an error the same error.
    ///
    /// # Errors
    /// [`ErrorKind::ComponentUnsupported`] and [`ErrorKind::IdentityUnchecked`];
    /// [`ErrorKind::ConditionFailed`] where no failure is soft; [`ErrorKind::Platform`] when the platform
    /// cannot answer; for a command, [`ErrorKind::CommandUnknown`], [`ErrorKind::ParameterUnsupported`],
    /// [`ErrorKind::EncryptionUnsupported`], [`ErrorKind::ParameterMissing`],
    /// [`ErrorKind::SoftFailureMisplaced`], [`ErrorKind::ComponentIndex`] and [`ErrorKind::StrictOrder`];
    /// [`ErrorKind::StepLimit`] and [`ErrorKind::NestingTooDeep`].
    pub fn run(&mut self, platform: &mut dyn Platform) -> Result<Step<'a>, Error> {
        let result = self.advance(platform);
        if let Err(error) = result {
            self.stage = Stage::Failed(error);
        }
        result
    }

    fn advance(&mut self, platform: &mut dyn Platform) -> Result<Step<'a>, Error> {
        loop {
            match self.stage {
                Stage::Failed(error) => return Err(error),
                Stage::Done => return Ok(Step::Done),
                Stage::Start => {
                    // Section 6.1: an unsupported component identifier excludes the manifest.
                    if self.components.iter().any(|id| !platform.supports(&id)) {
                        return Err(Error::new(ErrorKind::ComponentUnsupported, self.shared.base));
                    }
                    self.call(self.shared, Call::SECTION)?;
                    self.stage = Stage::Shared;
                }
                Stage::Shared | Stage::Section => {}
            }
            while self.top().is_some() {
                if let Some(step) = self.step(platform)? {
                    return Ok(step);
                }
            }
            self.stage = match (self.stage, self.section) {
                // Section 6.2: the shared sequence checks vendor and class. Without that, a manifest would be good
                // for any device that trusts the anchor, whatever the scope of its credential.
                (Stage::Shared, _) if !(self.vendor_held && self.class_held) => {
                    return Err(Error::new(ErrorKind::IdentityUnchecked, self.shared.base));
                }
                (Stage::Shared, Some(section)) => {
                    self.call(section, Call::SECTION)?;
                    Stage::Section
                }
                _ => Stage::Done,
            };
        }
    }

    /// Runs one command for one component, or leaves a sequence that is at its end.
    fn step(&mut self, platform: &mut dyn Platform) -> Result<Option<Step<'a>>, Error> {
        let Some(frame) = self.top() else { return Ok(None) };
        if frame.commands_left == 0 {
            self.leave()?;
            return Ok(None);
        }
        let mut reader = frame.rest.reader();
        let position = reader.position();
        let command = Command::from_code(reader.label());
        reader.check()?;
        let (component, soft_failure, multiple, strict_order) =
            (frame.component(), frame.soft_failure, frame.selection.is_multiple(), frame.strict_order);
        let index_rule = frame.enter_command(command).map_err(|kind| Error::new(kind, position))?;
        self.steps_left = self.steps_left.checked_sub(1).ok_or(Error::new(ErrorKind::StepLimit, position))?;

        match command {
            Command::Condition(condition) => {
                read_reporting_policy(&mut reader);
                reader.check()?;
                if self.holds(condition, component, platform, position)? {
                    self.complete()?;
                } else {
                    self.fail(Error::new(ErrorKind::ConditionFailed(condition), position), soft_failure)?;
                }
            }
            Command::SetComponentIndex => {
                let selection = self.read_selection(&mut reader)?;
                if let Some(frame) = self.top() {
                    frame.select(selection);
                    frame.complete_for_all()?;
                }
            }
            Command::OverrideParameters => {
                self.override_parameters(&mut reader, component)?;
                reader.check()?;
                self.complete()?;
            }
            Command::TryEach => {
                let mut left = alternatives(&mut reader);
                match left.next(&mut reader) {
                    Some(Alternative::Sequence) => {
                        let first = reader.span();
                        reader.check()?;
                        let caller = Caller::TryEach { left, rest: reader.left() };
                        let call = Call { caller, component, soft_failure: true, strict_order, index_rule };
                        self.call(first, call)?;
                    }
                    Some(Alternative::Nil) | None => {
                        reader.check()?;
                        self.complete()?;
                    }
                }
            }
            Command::RunSequence => {
                // Section 6.7: a sequence that may run beside others sets its component first and then no more.
                let index_rule = match (strict_order, multiple) {
                    (true, _) => index_rule,
                    (false, false) => IndexRule::First,
                    (false, true) => IndexRule::Never,
                };
                let body = reader.span();
                reader.check()?;
                let caller = Caller::RunSequence;
                let call = Call { caller, component, soft_failure: false, strict_order: true, index_rule };
                self.call(body, call)?;
            }
            Command::Fetch => {
                read_reporting_policy(&mut reader);
                reader.check()?;
                let parameters = self.parameters(component)?;
                let step = Fetch {
                    component,
                    uri: parameters.uri.ok_or(Error::new(ErrorKind::ParameterMissing, position))?,
                    image_size: parameters.image_size,
                    digest: parameters.image_digest,
                };
                self.set_image_held(component, false);
                self.complete()?;
                return Ok(Some(Step::Fetch(step)));
            }
            Command::Invoke => {
                read_reporting_policy(&mut reader);
                reader.check()?;
                self.complete()?;
                return Ok(Some(Step::Invoke { component }));
            }
            // Section 6.4: an unknown command aborts.
            Command::Unknown => return Err(Error::new(ErrorKind::CommandUnknown, position)),
        }
        Ok(None)
    }

    /// Section 8.4.9: a condition whose parameter has not been set fails.
    fn holds(
        &mut self,
        condition: Condition,
        component: u32,
        platform: &mut dyn Platform,
        position: u32,
    ) -> Result<bool, Error> {
        let parameters = *self.parameters(component)?;
        let held = match condition {
            Condition::Vendor => {
                parameters.vendor_id.is_some_and(|id| platform.vendor_matches(component, id))
            }
            Condition::Class => parameters.class_id.is_some_and(|id| platform.class_matches(component, id)),
            Condition::Device => {
                parameters.device_id.is_some_and(|id| platform.device_matches(component, id))
            }
            Condition::ComponentSlot => {
                parameters.component_slot.is_some_and(|slot| platform.component_slot(component) == Some(slot))
            }
            Condition::ImageMatch => match (parameters.image_digest, parameters.image_size) {
                (Some(digest), Some(size)) if self.contents.may_match(component, &digest, size) => platform
                    .image_matches(component, &digest, size)
                    .map_err(|PlatformError(reason)| Error::new(ErrorKind::Platform(reason), position))?,
                _ => false,
            },
            Condition::Abort | Condition::Unknown => false,
        };
        match condition {
            Condition::Vendor => self.vendor_held |= held,
            Condition::Class => self.class_held |= held,
            Condition::ImageMatch => self.set_image_held(component, held),
            _ => {}
        }
        Ok(held)
    }

    fn override_parameters(&mut self, reader: &mut Reader<'a>, component: u32) -> Result<(), Error> {
        let mut entries = parameter_map(reader);
        loop {
            let position = reader.position();
            let Some(key) = entries.next_label(reader) else { return Ok(()) };
            let parameter = self.parameters(component)?.read(key, reader)?;
            match parameter {
                Parameter::Unsupported => {
                    return Err(Error::of(reader, ErrorKind::ParameterUnsupported, position));
                }
                Parameter::EncryptionInfo => {
                    return Err(Error::of(reader, ErrorKind::EncryptionUnsupported, position));
                }
                // Section 8.4.8.15: not outside of try-each and run-sequence.
                Parameter::SoftFailure(soft_failure) => match self.top() {
                    Some(frame) if !matches!(frame.caller, Caller::Section) => {
                        frame.soft_failure = soft_failure;
                    }
                    _ => return Err(Error::of(reader, ErrorKind::SoftFailureMisplaced, position)),
                },
                Parameter::StrictOrder(strict_order) => {
                    if let Some(frame) = self.top() {
                        frame.strict_order = strict_order;
                    }
                }
                Parameter::Image => self.set_image_held(component, false),
                Parameter::VendorId(_) | Parameter::ClassId(_) | Parameter::Other => {}
            }
        }
    }

    fn read_selection(&self, reader: &mut Reader<'a>) -> Result<Selection, Error> {
        let start = reader.position();
        let count = self.components.len();
        let mut selection = Selection::EMPTY;
        let form = read_component_index(reader, &mut |wanted| {
            let wanted = usize::try_from(wanted).ok().filter(|wanted| *wanted < count);
            wanted.and_then(|wanted| selection.add(wanted)).ok_or(ErrorKind::ComponentIndex)
        })?;
        reader.check()?;
        match form {
            IndexForm::One => {}
            IndexForm::List => selection.set_multiple(),
            IndexForm::All => {
                for every in 0..count {
                    selection.add(every).ok_or(Error::new(ErrorKind::ComponentIndex, start))?;
                }
                selection.set_multiple();
            }
        }
        Ok(selection)
    }

    /// A condition did not hold. A soft failure continues with the next alternative, or after the run-sequence. Any
    /// other fails the directive that called the sequence, which aborts the run.
    fn fail(&mut self, error: Error, soft_failure: bool) -> Result<(), Error> {
        let Some(frame) = self.top().filter(|_| soft_failure) else { return Err(error) };
        match &mut frame.caller {
            Caller::Section => Err(error),
            Caller::RunSequence => self.leave(),
            Caller::TryEach { left, rest } => {
                let mut reader = rest.reader();
                match left.next(&mut reader) {
                    // Every sequence has failed: the last one's condition is the reason.
                    None => Err(error),
                    Some(Alternative::Nil) => {
                        reader.check()?;
                        self.leave()
                    }
                    Some(Alternative::Sequence) => {
                        let next = reader.span();
                        reader.check()?;
                        *rest = reader.left();
                        frame.restart(next)
                    }
                }
            }
        }
    }

    /// Ends the sequence; the command that called it is complete for its present component.
    fn leave(&mut self) -> Result<(), Error> {
        self.depth = self.depth.saturating_sub(1);
        self.complete()
    }

    /// The present command is complete for the present component.
    fn complete(&mut self) -> Result<(), Error> {
        self.top().map_or(Ok(()), Frame::complete)
    }

    fn top(&mut self) -> Option<&mut Frame<'a>> {
        self.frames.get_mut(self.depth.checked_sub(1)?)
    }

    #[inline(never)]
    fn call(&mut self, sequence: Span<'a>, call: Call<'a>) -> Result<(), Error> {
        let (commands, rest) = first_command(sequence)?;
        let frame =
            self.frames.get_mut(self.depth).ok_or(Error::new(ErrorKind::NestingTooDeep, rest.base))?;
        frame.enter(commands, rest, call);
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    fn parameters(&mut self, component: u32) -> Result<&mut Parameters<'a>, Error> {
        let position = self.shared.base;
        index(component)
            .and_then(|index| self.parameters.get_mut(index))
            .ok_or(Error::new(ErrorKind::ComponentIndex, position))
    }

    fn set_image_held(&mut self, component: u32, held: bool) {
        if let Some(slot) = index(component).and_then(|index| self.images_held.get_mut(index)) {
            *slot = held;
        }
    }
}

fn index(component: u32) -> Option<usize> {
    usize::try_from(component).ok()
}

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

mod components;
mod frame;
mod held;
mod platform;

use trust::cbor::{Span, Uint};

use crate::command::{Command, read_reporting_policy};
use crate::component::Components;
use crate::envelope::AuthenticatedOf;
use crate::error::{Condition, Error, ErrorKind};
use crate::limits::{MAX_COMPONENTS, MAX_NESTING, MAX_STEPS};
use crate::manifest::{ManifestOf, Section};
use crate::parameter::{Parameter, ParametersOf};
use crate::profile::{Issued, Loader, Profile};
use crate::source::Source;
use crate::structure::{Alternative, alternatives, commands, parameter_map};
use frame::{Call, Caller, Frame, IndexRule};
pub(crate) use platform::Contents;
pub use platform::{Fetch, Platform, PlatformError, Step};

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

/// The processor of a loader.
pub type Processor<'a> = ProcessorOf<'a, Loader>;

/// Runs the shared sequence and one section of an authenticated manifest. Small: it borrows the manifest.
#[derive(Clone, Debug)]
pub struct ProcessorOf<'a, P: Profile> {
    components: Components<'a>,
    shared: Span<'a>,
    section: Option<Span<'a>>,
    stage: Stage,
    /// The sequences in execution, the innermost last; `depth` of them.
    frames: [Option<Frame<'a>>; MAX_NESTING],
    depth: usize,
    /// `None`: none is set.
    parameters: [Option<ParametersOf<'a, P>>; MAX_COMPONENTS],
    steps_left: u16,
    /// Bits of the components whose vendor held, and above them of those whose class held.
    identity_held: u16,
    images_held: [bool; MAX_COMPONENTS],
    contents: Contents<'a>,
    pub(crate) state: P::State,
}

impl<'a, P: Profile> ProcessorOf<'a, P> {
    /// Prepares a run of the shared sequence and then of `section`, with no parameter set (section 6.1).
    ///
    /// A section that the manifest does not have has no commands; one that has been severed away is an error.
    ///
    /// # Errors
    /// [`ErrorKind::MemberSevered`] when the section has been severed away.
    pub fn new(authenticated: &AuthenticatedOf<'a, P>, section: Section) -> Result<Self, Error> {
        Self::ready(authenticated.manifest(), section)
    }

    pub(crate) fn ready(manifest: &ManifestOf<'a, P>, section: Section) -> Result<Self, Error> {
        let processor = Self::over(manifest, section, Contents::Unknown);
        match processor.stage {
            Stage::Failed(error) => Err(error),
            _ => Ok(processor),
        }
    }

    /// When the section has been severed away the processor fails.
    pub(crate) fn over(manifest: &ManifestOf<'a, P>, section: Section, contents: Contents<'a>) -> Self {
        let mut processor = Self {
            components: *manifest.components(),
            shared: manifest.shared(),
            section: None,
            stage: Stage::Start,
            frames: [const { None }; MAX_NESTING],
            depth: 0,
            parameters: [None; MAX_COMPONENTS],
            steps_left: MAX_STEPS,
            identity_held: 0,
            images_held: [false; MAX_COMPONENTS],
            contents,
            state: P::State::default(),
        };
        processor.restart(manifest, section);
        processor
    }

    /// Begins with a section, in place, also after [`Step::Done`]: a device has no room for a processor for each. The
    /// contents of the components stay. When the section has been severed away the processor fails.
    #[inline(never)]
    pub(crate) fn restart(&mut self, manifest: &ManifestOf<'a, P>, section: Section) {
        self.stage = Stage::Start;
        P::begins(&mut self.state, manifest.more(), section);
        match manifest.section(section) {
            Ok(section) => self.section = section,
            Err(error) => self.stage = Stage::Failed(error),
        }
        self.parameters = [None; MAX_COMPONENTS];
        self.steps_left = MAX_STEPS;
        self.identity_held = 0;
        self.images_held = [false; MAX_COMPONENTS];
    }

    /// The component for which the present command runs; 0 between sequences.
    pub(crate) fn component(&self) -> u32 {
        let frame = self.depth.checked_sub(1).and_then(|top| self.frames.get(top));
        frame.and_then(Option::as_ref).map_or(0, Frame::component)
    }

    /// Ends the run; the error stays.
    pub(crate) fn abort(&mut self, error: Error) -> Error {
        self.stage = Stage::Failed(error);
        error
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
    pub fn run(&mut self, platform: &mut P::Platform<'_>) -> Result<Step<'a>, Error> {
        P::resumes(self, platform);
        match self.advance(platform) {
            Some(step) => Ok(step),
            None => Err(self.failure()),
        }
    }

    /// Why the run failed. All functions below return `None` then: an error in each of their results costs a device half
    /// of their code (docs/decisions/0049).
    fn failure(&self) -> Error {
        match self.stage {
            Stage::Failed(error) => error,
            // Nothing returns `None` before it has failed.
            _ => Error::new(ErrorKind::StepLimit, self.shared.base),
        }
    }

    /// Fails the run.
    #[inline(never)]
    pub(crate) fn refuse(&mut self, kind: ErrorKind, position: u32) -> Option<()> {
        self.stage = Stage::Failed(Error::new(kind, position));
        None
    }

    /// Fails the run if the source has a fault.
    #[inline(never)]
    pub(crate) fn check(&mut self, source: &Source<'_>) -> Option<()> {
        match source.check() {
            Ok(()) => Some(()),
            Err(Error { kind, position }) => self.refuse(kind, position),
        }
    }

    fn advance(&mut self, platform: &mut P::Platform<'_>) -> Option<Step<'a>> {
        loop {
            match self.stage {
                Stage::Failed(_) => return None,
                Stage::Done => return Some(Step::Done),
                Stage::Start => {
                    // Section 6.1: an unsupported component identifier excludes the manifest.
                    if self.components.iter().any(|id| !platform.supports(&id)) {
                        self.refuse(ErrorKind::ComponentUnsupported, self.shared.base)?;
                    }
                    self.call(self.shared, Call::SECTION)?;
                    self.stage = Stage::Shared;
                }
                Stage::Shared | Stage::Section => {}
            }
            while self.depth > 0 {
                if let Some(step) = self.step(platform)? {
                    return Some(step);
                }
            }
            self.stage = match (self.stage, self.section) {
                // Section 6.2: the shared sequence checks vendor and class. Without that, a manifest would be good
                // for any device that trusts the anchor, whatever the scope of its credential.
                // Both of one component: another one may be of another vendor.
                (Stage::Shared, _) if self.identity_held & self.identity_held.wrapping_shr(8) == 0 => {
                    self.refuse(ErrorKind::IdentityUnchecked, self.shared.base)?;
                    Stage::Done
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
    fn step(&mut self, platform: &mut P::Platform<'_>) -> Option<Option<Step<'a>>> {
        let Some(frame) = self.top() else { return Some(None) };
        if frame.commands_left == 0 {
            self.leave()?;
            return Some(None);
        }
        let mut source = Source::of(frame.rest);
        let position = source.position();
        let code = source.label();
        let command = Command::from_code(code);
        let (component, soft_failure, multiple, strict_order) =
            (frame.component(), frame.soft_failure, frame.selection.is_multiple(), frame.strict_order);
        let is_every = P::EXTENDS && frame.selection.is_every();
        let index_rule = frame.enter_command(command);
        let steps_left = self.steps_left.checked_sub(1);
        let index_rule = index_rule.unwrap_or_else(|| {
            source.refuse_as(ErrorKind::StrictOrder, position);
            IndexRule::Never
        });
        self.steps_left = steps_left.unwrap_or_else(|| {
            source.refuse_as(ErrorKind::StepLimit, position);
            0
        });
        let mut policy = 0;
        if matches!(command, Command::Condition(_) | Command::Fetch | Command::Invoke) {
            policy = read_reporting_policy(&mut source);
        }
        self.check(&source)?;
        let may_select = index_rule == IndexRule::Free;
        let issued =
            Issued { code, component, position, policy, soft_failure, strict_order, may_select, is_every };

        match command {
            Command::Condition(Condition::Unknown) | Command::Unknown
                if P::EXTENDS && P::COMMANDS.has(code) =>
            {
                return P::run(self, issued, &mut source, platform);
            }
            Command::Condition(condition) => {
                let held = self.holds(condition, issued, platform)?;
                P::ended(self, issued, held, platform);
                if held {
                    self.complete()?;
                } else {
                    self.fail(ErrorKind::ConditionFailed(condition), position, soft_failure)?;
                }
            }
            Command::SetComponentIndex => {
                let selection = self.read_selection(&mut source)?;
                if let Some(frame) = self.top() {
                    frame.select(selection);
                    self.complete_for_all()?;
                }
            }
            Command::OverrideParameters => {
                self.override_parameters(&mut source, component);
                self.check(&source)?;
                self.complete()?;
            }
            Command::TryEach => {
                let mut left = alternatives(&mut source);
                match left.next(&mut source) {
                    Some(Alternative::Sequence) => {
                        let first = source.span();
                        self.check(&source)?;
                        let caller = Caller::TryEach { left, rest: source.left() };
                        let call = Call { caller, component, soft_failure: true, strict_order, index_rule };
                        self.call(first, call)?;
                    }
                    Some(Alternative::Nil) | None => {
                        self.check(&source)?;
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
                let body = source.span();
                self.check(&source)?;
                let caller = Caller::RunSequence;
                let call = Call { caller, component, soft_failure: false, strict_order: true, index_rule };
                self.call(body, call)?;
            }
            Command::Fetch => {
                let ParametersOf { uri, image_size, image_digest: digest, .. } =
                    *self.parameters(component)?;
                let Some(uri) = uri else {
                    self.refuse(ErrorKind::ParameterMissing, position)?;
                    return None;
                };
                let image_size = image_size.map(Uint::get);
                let step = Fetch { component, uri, image_size, digest };
                self.set_image_held(component, false);
                P::writes(self, issued, None)?;
                self.complete()?;
                return Some(Some(Step::Fetch(step)));
            }
            Command::Invoke => {
                P::hands_out(self, issued);
                self.complete()?;
                return Some(Some(Step::Invoke { component }));
            }
            // Section 6.4: an unknown command aborts.
            Command::Unknown => self.refuse(ErrorKind::CommandUnknown, position)?,
        }
        Some(None)
    }

    pub(crate) fn override_parameters(&mut self, source: &mut Source<'a>, component: u32) {
        let mut entries = parameter_map(source);
        loop {
            let position = source.position();
            let Some(key) = entries.next_label(source) else { return };
            let Some(parameters) = self.parameters(component) else {
                return source.refuse_as(ErrorKind::ComponentIndex, self.shared.base);
            };
            let parameter = parameters.read(key, source);
            self.was_set(parameter, component, source, position);
        }
    }

    /// A parameter was read, and counts now.
    pub(crate) fn was_set(
        &mut self,
        parameter: Parameter<'a>,
        component: u32,
        source: &mut Source<'a>,
        position: u32,
    ) {
        match parameter {
            Parameter::Unsupported => source.refuse_as(ErrorKind::ParameterUnsupported, position),
            Parameter::EncryptionInfo => source.refuse_as(ErrorKind::EncryptionUnsupported, position),
            // Section 8.4.8.15: not outside of try-each and run-sequence.
            Parameter::SoftFailure(soft_failure) => match self.top() {
                Some(frame) if !matches!(frame.caller, Caller::Section) => {
                    frame.soft_failure = soft_failure;
                }
                _ => source.refuse_as(ErrorKind::SoftFailureMisplaced, position),
            },
            Parameter::StrictOrder(strict_order) => {
                if let Some(frame) = self.top() {
                    frame.strict_order = strict_order;
                }
            }
            Parameter::Image => self.set_image_held(component, false),
            Parameter::VendorId(_) | Parameter::ClassId(_) | Parameter::OtherVendor | Parameter::Other => {}
        }
    }

    /// A condition did not hold. A soft failure continues with the next alternative, or after the run-sequence. Any
    /// other fails the directive that called the sequence, which aborts the run.
    pub(crate) fn fail(&mut self, kind: ErrorKind, position: u32, soft_failure: bool) -> Option<()> {
        let caller = self.top().filter(|_| soft_failure).map(|frame| &mut frame.caller);
        match caller {
            Some(Caller::RunSequence) => return self.leave(),
            Some(Caller::TryEach { left, rest }) => {
                let mut source = Source::of(*rest);
                match left.next(&mut source) {
                    // Every sequence has failed: the last one's condition is the reason.
                    None => {}
                    Some(Alternative::Nil) => {
                        self.check(&source)?;
                        return self.leave();
                    }
                    Some(Alternative::Sequence) => {
                        let next = source.span();
                        *rest = source.left();
                        self.check(&source)?;
                        let (commands, first) = self.first_command(next)?;
                        if let Some(frame) = self.top() {
                            frame.restart(commands, first);
                        }
                        return Some(());
                    }
                }
            }
            Some(Caller::Section) | None => {}
        }
        self.refuse(kind, position)
    }

    /// Ends the sequence; the command that called it is complete for its present component.
    fn leave(&mut self) -> Option<()> {
        self.depth = self.depth.saturating_sub(1);
        self.complete()
    }

    /// The present command is complete for the present component.
    #[inline(never)]
    pub(crate) fn complete(&mut self) -> Option<()> {
        let Some(frame) = self.top() else { return Some(()) };
        if frame.serve_next() { Some(()) } else { self.complete_for_all() }
    }

    /// On with the next command.
    #[inline(never)]
    pub(crate) fn complete_for_all(&mut self) -> Option<()> {
        let Some(frame) = self.top() else { return Some(()) };
        let mut source = Source::of(frame.rest);
        source.label();
        source.skip();
        frame.go_on(source.left());
        self.check(&source)
    }

    fn top(&mut self) -> Option<&mut Frame<'a>> {
        self.frames.get_mut(self.depth.checked_sub(1)?)?.as_mut()
    }

    /// The number of commands of a sequence, and where the first of them is.
    fn first_command(&mut self, sequence: Span<'a>) -> Option<(u32, Span<'a>)> {
        let mut source = Source::of(sequence);
        let commands = commands(&mut source);
        self.check(&source)?;
        Some((commands, source.left()))
    }

    #[inline(never)]
    fn call(&mut self, sequence: Span<'a>, call: Call<'a>) -> Option<()> {
        let (commands, rest) = self.first_command(sequence)?;
        let Some(frame) = self.frames.get_mut(self.depth) else {
            return self.refuse(ErrorKind::NestingTooDeep, rest.base);
        };
        *frame = Some(Frame::of(commands, rest, call));
        self.depth = self.depth.saturating_add(1);
        Some(())
    }

    /// The bytes of the sequence that runs: the shared sequence, or the section.
    pub(crate) fn running(&self) -> Span<'a> {
        match self.stage {
            Stage::Section => self.section.unwrap_or(self.shared),
            _ => self.shared,
        }
    }

    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.stage, Stage::Shared)
    }
}

fn index(component: u32) -> Option<usize> {
    usize::try_from(component).ok()
}

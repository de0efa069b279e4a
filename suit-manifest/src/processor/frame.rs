//! One command sequence in execution, and the components for which it runs.

use trust::cbor::Span;

use crate::command::Command;
use crate::limits::MAX_COMPONENTS;
use crate::structure::{Alternatives, IndexForm};

/// The components that a set-component-index has selected, in its order. Never empty in a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Selection {
    indices: [u8; MAX_COMPONENTS],
    len: u8,
    /// An integer, or a list or `true`: the distinction that section 6.7 makes.
    form: IndexForm,
}

impl Selection {
    pub(super) const EMPTY: Self = Self { indices: [0; MAX_COMPONENTS], len: 0, form: IndexForm::One };

    pub(super) fn one(component: u32) -> Self {
        let mut selection = Self { len: 1, ..Self::EMPTY };
        selection.indices = [u8::try_from(component).unwrap_or(u8::MAX); MAX_COMPONENTS];
        selection
    }

    /// Adds a component; `None` when it is there already or there is no room.
    pub(super) fn add(&mut self, component: usize) -> Option<()> {
        let component = u8::try_from(component).ok()?;
        if self.indices.iter().take(usize::from(self.len)).any(|known| *known == component) {
            return None;
        }
        *self.indices.get_mut(usize::from(self.len))? = component;
        self.len = self.len.checked_add(1)?;
        Some(())
    }

    pub(super) fn set_form(&mut self, form: IndexForm) {
        self.form = form;
    }

    pub(super) fn is_multiple(&self) -> bool {
        self.form != IndexForm::One
    }

    /// Whether it is `true`.
    pub(super) fn is_every(&self) -> bool {
        self.form == IndexForm::All
    }
}

/// The right of a sequence to set the component index, section 6.7.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum IndexRule {
    /// Set it anywhere.
    Free,
    /// Set it in the first command, and then no more.
    First,
    /// Never set it.
    Never,
}

/// The command that runs the sequence.
#[derive(Clone, Debug)]
pub(super) enum Caller<'a> {
    Section,
    RunSequence,
    TryEach {
        /// The alternatives after the running one, and where they are.
        left: Alternatives,
        rest: Span<'a>,
    },
}

/// A sequence in execution.
#[derive(Clone, Debug)]
pub(super) struct Frame<'a> {
    /// From the code of the present command on.
    pub(super) rest: Span<'a>,
    pub(super) commands_left: u32,
    pub(super) selection: Selection,
    /// The present command has been run for so many components of the selection.
    served: u8,
    pub(super) caller: Caller<'a>,
    pub(super) soft_failure: bool,
    pub(super) strict_order: bool,
    index_rule: IndexRule,
    /// The component, and strict-order, with which the sequence was called.
    called_for: u32,
    called_in_strict_order: bool,
}

/// How a sequence is called. Section 6.5: with an integer index.
pub(super) struct Call<'a> {
    pub(super) caller: Caller<'a>,
    pub(super) component: u32,
    pub(super) soft_failure: bool,
    pub(super) strict_order: bool,
    pub(super) index_rule: IndexRule,
}

impl Call<'_> {
    /// A section or the shared sequence: component 0 until it says otherwise, failures are not soft, strict order.
    pub(super) const SECTION: Self = Self {
        caller: Caller::Section,
        component: 0,
        soft_failure: false,
        strict_order: true,
        index_rule: IndexRule::Free,
    };
}

impl<'a> Frame<'a> {
    /// The frame of a sequence of so many commands, the first of which is at `rest`.
    pub(super) fn of(commands: u32, rest: Span<'a>, call: Call<'a>) -> Self {
        let Call { caller, component, soft_failure, strict_order, index_rule } = call;
        Self {
            rest,
            commands_left: commands,
            selection: Selection::one(component),
            served: 0,
            caller,
            soft_failure,
            strict_order,
            index_rule,
            called_for: component,
            called_in_strict_order: strict_order,
        }
    }

    /// The next alternative of the try-each takes the place of the one that failed (section 8.4.10.2).
    pub(super) fn restart(&mut self, commands: u32, rest: Span<'a>) {
        (self.commands_left, self.rest) = (commands, rest);
        self.selection = Selection::one(self.called_for);
        self.served = 0;
        // soft-failure is true: the try-each would have failed otherwise.
        self.strict_order = self.called_in_strict_order;
    }

    /// The component for which the present command runs.
    pub(super) fn component(&self) -> u32 {
        self.selection.indices.get(usize::from(self.served)).copied().unwrap_or(u8::MAX).into()
    }

    /// Notes that `command` is about to run, and gives the rule for sequences inside it; `None` if the rule of this
    /// sequence forbids the command.
    pub(super) fn enter_command(&mut self, command: Command) -> Option<IndexRule> {
        match (self.index_rule, command == Command::SetComponentIndex) {
            (IndexRule::First, true) => self.index_rule = IndexRule::Never,
            (IndexRule::First, false) | (IndexRule::Never, true) => return None,
            _ => {}
        }
        Some(self.index_rule)
    }

    pub(super) fn select(&mut self, selection: Selection) {
        self.selection = selection;
        self.served = 0;
    }

    /// The present command is complete for one component: whether it runs for another one.
    pub(super) fn serve_next(&mut self) -> bool {
        self.served = self.served.saturating_add(1);
        self.served < self.selection.len
    }

    /// The present command is complete for all components; the next one is at `rest`.
    pub(super) fn go_on(&mut self, rest: Span<'a>) {
        self.served = 0;
        self.commands_left = self.commands_left.saturating_sub(1);
        self.rest = rest;
    }
}

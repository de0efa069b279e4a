//! The components of a run: which of them a command is for, and the parameters of each.

use super::frame::Selection;
use super::{ProcessorOf, index};
use crate::error::ErrorKind;
use crate::limits::MAX_COMPONENTS;
use crate::parameter::ParametersOf;
use crate::profile::Profile;
use crate::source::Source;
use crate::structure::{IndexForm, read_component_index};

impl<'a, P: Profile> ProcessorOf<'a, P> {
    pub(super) fn read_selection(&mut self, source: &mut Source<'a>) -> Option<Selection> {
        let count = self.components.len();
        let mut selection = Selection::EMPTY;
        let form = read_component_index(source, &mut |wanted| {
            let wanted = usize::try_from(wanted).ok().filter(|wanted| *wanted < count);
            wanted.and_then(|wanted| selection.add(wanted))
        });
        self.check(source)?;
        if form == IndexForm::All {
            // There is room for each, and none is there yet.
            for every in 0..count {
                selection.add(every);
            }
        }
        selection.set_form(form);
        Some(selection)
    }

    #[inline(never)]
    pub(crate) fn parameters(&mut self, component: u32) -> Option<&mut ParametersOf<'a, P>> {
        let index = index(component).filter(|&index| index < MAX_COMPONENTS);
        if index.is_none() {
            self.refuse(ErrorKind::ComponentIndex, self.shared.base)?;
        }
        Some(self.parameters.get_mut(index?)?.get_or_insert_default())
    }

    /// The component that the parameter source-component names.
    pub(crate) fn source_of(&mut self, named: Option<u64>, position: u32) -> Option<u32> {
        let Some(named) = named else {
            self.refuse(ErrorKind::ParameterMissing, position)?;
            return None;
        };
        let known = self.component_at(named);
        if known.is_none() {
            self.refuse(ErrorKind::ComponentIndex, position)?;
        }
        known
    }

    /// The component with this index.
    pub(crate) fn component_at(&self, index: u64) -> Option<u32> {
        let known = usize::try_from(index).is_ok_and(|index| index < self.components.len());
        u32::try_from(index).ok().filter(|_| known)
    }

    /// The parameters of a component, if any is set.
    pub(crate) fn parameters_at(&self, component: u32) -> Option<ParametersOf<'a, P>> {
        *self.parameters.get(index(component)?)?
    }

    /// The rest of the sequence is for this component, after a command that selected it (suit-update-management
    /// section 5.7).
    pub(crate) fn select_one(&mut self, component: u32) -> Option<()> {
        self.top()?.select(Selection::one(component));
        Some(())
    }
}

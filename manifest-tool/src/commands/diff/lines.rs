//! Two outlines as lists of lines, and what was taken from one and put into the other. What an outline holds is limited, and
//! the work here grows with the number of its lines and not with its square.

use std::collections::{HashMap, VecDeque};

use similar::{Algorithm, DiffOp, capture_diff_slices};
use suit_manifest::author::Outline;

use super::Difference;

/// Between the name of an element and those of its parts.
const STEP: &str = " / ";

/// A line: where it stands, and its value.
type Line<'o> = (Place, &'o str);

/// A path of names, as a number: both outlines have one number for it, and no line has to hold all its names.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Place(usize);

/// Every place of the outlines: the name there, and the place around it.
#[derive(Default)]
struct Places<'o> {
    known: HashMap<(Option<Place>, &'o str), Place>,
    names: Vec<(Option<Place>, &'o str)>,
}

impl<'o> Places<'o> {
    fn at(&mut self, around: Option<Place>, name: &'o str) -> Place {
        let names = &mut self.names;
        *self.known.entry((around, name)).or_insert_with(|| {
            names.push((around, name));
            Place(names.len() - 1)
        })
    }

    /// The names down to a place.
    fn path(&self, place: Place) -> String {
        let mut names = Vec::new();
        let mut at = Some(place);
        while let Some((around, name)) = at.and_then(|place| self.names.get(place.0)) {
            names.push(*name);
            at = *around;
        }
        names.reverse();
        names.join(STEP)
    }

    fn lines(&mut self, outline: &'o Outline, around: Option<Place>, lines: &mut Vec<Line<'o>>) {
        let place = self.at(around, &outline.name);
        lines.push((place, &outline.value));
        outline.parts.iter().for_each(|part| self.lines(part, Some(place), lines));
    }
}

pub(super) struct Lines<'o> {
    places: Places<'o>,
    old: Vec<Line<'o>>,
    new: Vec<Line<'o>>,
}

impl<'o> Lines<'o> {
    pub(super) fn new(old: &'o Outline, new: &'o Outline) -> Self {
        let mut both = Self { places: Places::default(), old: Vec::new(), new: Vec::new() };
        both.places.lines(old, None, &mut both.old);
        both.places.lines(new, None, &mut both.new);
        both
    }

    /// The first `limit` differences, and how many more there are. A value that changed in its place is one difference.
    pub(super) fn differences(&self, limit: usize) -> (Vec<Difference>, usize) {
        let all = self.changes();
        let shown = all.iter().take(limit).map(|(place, old, new)| Difference {
            what: self.places.path(*place),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        });
        (shown.collect(), all.len().saturating_sub(limit))
    }

    fn changes(&self) -> Vec<Change<'o>> {
        let mut all = Vec::new();
        // This library gives up the search for the fewest changes where lists have little in common.
        for operation in capture_diff_slices(Algorithm::Myers, &self.old, &self.new) {
            let (taken, put) = match operation {
                DiffOp::Equal { .. } => continue,
                DiffOp::Delete { old_index, old_len, .. } => (old_index..old_index + old_len, 0..0),
                DiffOp::Insert { new_index, new_len, .. } => (0..0, new_index..new_index + new_len),
                DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                    (old_index..old_index + old_len, new_index..new_index + new_len)
                }
            };
            let (taken, put) = (self.old.get(taken), self.new.get(put));
            replaced(taken.unwrap_or_default(), put.unwrap_or_default(), &mut all);
        }
        all
    }
}

/// What was there, and what is there now.
type Change<'o> = (Place, Option<&'o str>, Option<&'o str>);

/// Lines in the place of others, in the order of both.
fn replaced<'o>(taken: &[Line<'o>], put: &[Line<'o>], all: &mut Vec<Change<'o>>) {
    let mut waiting: HashMap<Place, VecDeque<usize>> = HashMap::new();
    for (index, (place, _)) in put.iter().enumerate() {
        waiting.entry(*place).or_default().push_back(index);
    }
    let come = |(place, value): &Line<'o>| (*place, None, Some(*value));
    // What stands before it was told.
    let mut next = 0;
    for (place, value) in taken {
        let same = waiting.get_mut(place).and_then(|same| {
            while same.front().is_some_and(|at| *at < next) {
                same.pop_front();
            }
            same.pop_front()
        });
        match same.and_then(|at| Some((at, put.get(at)?))) {
            // What stands before it was put there.
            Some((at, (_, now))) => {
                all.extend(put.iter().take(at).skip(next).map(come));
                all.push((*place, Some(*value), Some(*now)));
                next = at + 1;
            }
            None => all.push((*place, Some(*value), None)),
        }
    }
    all.extend(put.iter().skip(next).map(come));
}

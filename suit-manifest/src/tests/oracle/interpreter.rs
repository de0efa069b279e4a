//! The interpreter: it runs a program as the documents say.

use std::collections::{BTreeMap, BTreeSet};

use super::{COMPONENTS, DEPENDENCY, Program, Setting};

#[derive(Clone, PartialEq, Debug)]
enum Stop {
    /// A condition failed, and the failure is soft.
    Soft(&'static str),
    Abort(&'static str),
}

#[derive(Clone, Copy, PartialEq)]
enum Caller {
    Section,
    TryEach,
    RunSequence,
}

/// Section 6.7
#[derive(Clone, Copy, PartialEq)]
enum Selecting {
    Anywhere,
    FirstThenNever,
    Never,
}

#[derive(Default)]
pub(super) struct Interpreter {
    has_dependency: bool,
    parameters: BTreeMap<(u32, i64), u8>,
    trace: Vec<String>,
    whole: BTreeSet<u32>,
    written: BTreeSet<u32>,
    read: BTreeSet<u32>,
}

/// What a sequence has of its own.
struct Scope {
    current: Vec<u32>,
    multiple: bool,
    /// The component index is true.
    every: bool,
    soft: bool,
    strict: bool,
    selecting: Selecting,
    caller: Caller,
}

impl Interpreter {
    fn is_dependency(&self, component: u32) -> bool {
        self.has_dependency && component == DEPENDENCY
    }

    pub(super) fn run(program: &[Program], has_dependency: bool) -> Result<Vec<String>, &'static str> {
        let mut own = Self { has_dependency, ..Self::default() };
        own.parameters.insert((0, 1), 0);
        own.parameters.insert((0, 2), 0);
        match own.sequence(program, 0, Caller::Section, true, Selecting::Anywhere) {
            Ok(()) => Ok(own.trace),
            Err(Stop::Soft(reason) | Stop::Abort(reason)) => Err(reason),
        }
    }

    fn of(&self, component: u32, key: i64) -> Option<u8> {
        self.parameters.get(&(component, key)).copied()
    }

    fn sequence(
        &mut self,
        commands: &[Program],
        component: u32,
        caller: Caller,
        strict: bool,
        selecting: Selecting,
    ) -> Result<(), Stop> {
        let soft = caller == Caller::TryEach;
        let current = vec![component];
        let mut scope = Scope { current, multiple: false, every: false, soft, strict, selecting, caller };
        commands.iter().try_for_each(|command| self.command(command, &mut scope))
    }

    fn command(&mut self, command: &Program, scope: &mut Scope) -> Result<(), Stop> {
        let selects = matches!(command, Program::Index(..));
        match (scope.selecting, selects) {
            (Selecting::FirstThenNever, true) => scope.selecting = Selecting::Never,
            (Selecting::FirstThenNever, false) | (Selecting::Never, true) => {
                return Err(Stop::Abort("strict-order"));
            }
            _ => {}
        }
        if selects || matches!(command, Program::Multiple(_)) {
            scope.every = matches!(command, Program::Index(_, true));
        }
        match command {
            Program::Index(_, true) => (scope.current, scope.multiple) = ((0..COMPONENTS).collect(), true),
            Program::Index(list, false) => {
                let distinct: BTreeSet<_> = list.iter().collect();
                if distinct.len() < list.len() || list.iter().any(|index| *index >= COMPONENTS) {
                    return Err(Stop::Abort("component-index"));
                }
                (scope.current, scope.multiple) = (list.clone(), list.len() > 1);
            }
            Program::Multiple(list) => {
                if scope.selecting != Selecting::Anywhere {
                    return Err(Stop::Abort("strict-order"));
                }
                let last: BTreeMap<_, _> = list.iter().cloned().collect();
                for (index, list) in last {
                    if index >= COMPONENTS {
                        return Err(Stop::Abort("component-index"));
                    }
                    self.set(&list, index, scope, true)?;
                    (scope.current, scope.multiple) = (vec![index], false);
                }
            }
            other => {
                for component in scope.current.clone() {
                    self.for_one(other, component, scope)?;
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, list: &[Setting], component: u32, scope: &mut Scope, over: bool) -> Result<(), Stop> {
        let last: BTreeMap<_, _> = list.iter().copied().collect();
        for (key, choice) in last {
            match key {
                12 => scope.strict = choice == 0,
                13 if scope.caller == Caller::Section => return Err(Stop::Abort("soft-failure-misplaced")),
                13 => scope.soft = choice == 0,
                _ if over || self.of(component, key).is_none() => {
                    self.parameters.insert((component, key), choice);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn for_one(&mut self, command: &Program, component: u32, scope: &mut Scope) -> Result<(), Stop> {
        match command {
            Program::Override(list) => self.set(list, component, scope, true),
            Program::Default(list) => self.set(list, component, scope, false),
            Program::CopyParams(list) => {
                let last: BTreeMap<_, _> = list.iter().cloned().collect();
                for (from, keys) in last {
                    if from >= COMPONENTS {
                        return Err(Stop::Abort("component-index"));
                    }
                    for key in keys {
                        if matches!(key, 12 | 13) {
                            return Err(Stop::Abort("parameter-unsupported"));
                        }
                        let Some(choice) = self.of(from, key) else {
                            return Err(Stop::Abort("parameter-missing"));
                        };
                        self.parameters.insert((component, key), choice);
                    }
                }
                Ok(())
            }
            Program::TryEach(sequences, or_nil) => {
                let mut last = "";
                for one in sequences {
                    match self.sequence(one, component, Caller::TryEach, scope.strict, scope.selecting) {
                        Err(Stop::Soft(reason)) => last = reason,
                        other => return other,
                    }
                }
                if *or_nil { Ok(()) } else { Err(Stop::Abort(last)) }
            }
            Program::Run(commands) => {
                let selecting = match (scope.strict, scope.multiple) {
                    (true, _) => scope.selecting,
                    (false, false) => Selecting::FirstThenNever,
                    (false, true) => Selecting::Never,
                };
                match self.sequence(commands, component, Caller::RunSequence, true, selecting) {
                    Err(Stop::Soft(_)) => Ok(()),
                    other => other,
                }
            }
            Program::Plain(code) => self.plain(*code, component, scope),
            Program::Index(..) | Program::Multiple(_) => unreachable!(),
        }
    }

    /// The component is written, another one perhaps read.
    fn writes(&mut self, component: u32, from: Option<u32>, scope: &Scope) -> Result<(), Stop> {
        if scope.strict {
            self.written.clear();
            self.read.clear();
        } else {
            self.written.insert(component);
            self.read.extend(from);
            if !self.written.is_disjoint(&self.read) {
                return Err(Stop::Abort("strict-order"));
            }
        }
        self.whole.remove(&component);
        Ok(())
    }

    fn plain(&mut self, code: i64, component: u32, scope: &Scope) -> Result<(), Stop> {
        let set = self.parameters.clone();
        let of = |key| set.get(&(component, key)).copied();
        let image = of(3).zip(of(14));
        let matches = |(digest, size)| matches!(digest, 0 | 2) && size == 0;
        // Of a dependency the digest is that of its manifest, and needs no size.
        let manifest_matches = of(3).map(|digest| digest == 3 && of(14) != Some(1));
        let (held, reason) = match code {
            1 => (matches!(of(1), Some(0 | 2)), "vendor-mismatch"),
            2 => (of(2) == Some(0), "class-mismatch"),
            3 if self.is_dependency(component) => (manifest_matches == Some(true), "image-digest-mismatch"),
            3 => (image.is_some_and(matches), "image-digest-mismatch"),
            4 => (of(4) == Some(0), "use-before-passed"),
            5 => (of(5) == Some(0), "slot-mismatch"),
            6 => (of(18) == Some(0), "content-mismatch"),
            7 => {
                self.whole.remove(&component);
                if !self.is_dependency(component) || of(3) != Some(0) {
                    return Err(Stop::Abort("dependency-integrity"));
                }
                self.whole.insert(component);
                return Ok(());
            }
            8 => (self.is_dependency(component), "not-a-dependency"),
            14 => (false, "aborted"),
            24 => (of(24) == Some(0), "device-mismatch"),
            25 if self.is_dependency(component) => (manifest_matches == Some(false), "image-matches"),
            25 => (image.is_some_and(|image| !matches(image)), "image-matches"),
            26 => (of(26) == Some(0), "battery-low"),
            27 => (of(27) == Some(0), "update-unauthorized"),
            28 => (of(28) == Some(0), "version-mismatch"),
            directive => return self.directive(directive, component, scope),
        };
        match (held, scope.soft) {
            (true, _) => Ok(()),
            (false, true) => Err(Stop::Soft(reason)),
            (false, false) => Err(Stop::Abort(reason)),
        }
    }

    fn directive(&mut self, code: i64, component: u32, scope: &Scope) -> Result<(), Stop> {
        let missing = Err(Stop::Abort("parameter-missing"));
        let source = match (code, self.of(component, 22)) {
            (22 | 31, None) => return missing,
            (22 | 31, Some(from)) if u32::from(from) >= COMPONENTS => {
                return Err(Stop::Abort("component-index"));
            }
            (_, from) => from.map(u32::from),
        };
        let done = match code {
            11 if scope.every && !self.is_dependency(component) => return Ok(()),
            11 if self.whole.contains(&component) => format!("process {component}"),
            11 => return Err(Stop::Abort("dependency-integrity")),
            18 if self.of(component, 18).is_none() => return missing,
            18 => {
                self.writes(component, None, scope)?;
                format!("write {component} {}", self.of(component, 18).unwrap())
            }
            21 => {
                let Some(uri) = self.of(component, 21) else { return missing };
                self.writes(component, None, scope)?;
                format!("fetch {component} u{uri}")
            }
            22 => {
                self.writes(component, source, scope)?;
                format!("copy {component} {}", source.unwrap())
            }
            23 => format!("invoke {component}"),
            29 if self.of(component, 29).is_none() => return missing,
            29 => format!("wait {component}"),
            31 if !scope.strict => return Err(Stop::Abort("strict-order")),
            31 => {
                self.writes(component, source, scope)?;
                self.whole.remove(&source.unwrap());
                format!("swap {component} {}", source.unwrap())
            }
            33 => format!("unlink {component}"),
            _ => return Err(Stop::Abort("command-unknown")),
        };
        self.trace.push(done);
        Ok(())
    }
}

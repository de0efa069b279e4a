//! From the tables of a file to a plan without doubts.

use std::path::{Path, PathBuf};

use trust::Role;

use super::file::{KeyTable, PlanFile, RootTable};
use super::{
    Certified, Duty, FORMAT, Key, MAX_COPIES, MAX_KEYS, MAX_PEOPLE, MAX_PLAN_NAME_LEN, Origin, Person, Plan,
    Root, Shares,
};
use crate::ceremony::bundle::check_name;
use crate::ceremony::fault::CeremonyError;
use crate::ceremony::slug;
use crate::ceremony::steps::KeyRef;
use crate::ceremony::words::Fingerprint;
use crate::error::Error;
use crate::identifiers::{Class, Vendor};
use crate::time::Time;

fn one_line(error: &toml::de::Error) -> String {
    let place = error.span().map(|span| format!(" (byte {})", span.start)).unwrap_or_default();
    format!("{}{place}", error.message().replace('\n', " "))
}

/// Turns the tables of the file into a plan.
pub(super) struct Reader<'a> {
    /// For messages.
    pub(super) path: &'a Path,
}

impl Reader<'_> {
    pub(super) fn read(&self, content: Vec<u8>) -> Result<Plan, Error> {
        let text = std::str::from_utf8(&content).map_err(|_| self.refused("it is not text in UTF-8"))?;
        let file: PlanFile = toml::from_str(text).map_err(|error| self.refused(one_line(&error)))?;
        let plan = self.plan(file, content)?;
        self.check_duties(&plan)?;
        self.check_names(&plan)?;
        Ok(plan)
    }

    fn refused(&self, detail: impl Into<String>) -> Error {
        Error::Ceremony(CeremonyError::Plan { path: self.path.to_owned(), detail: detail.into() })
    }

    fn plan(&self, file: PlanFile, content: Vec<u8>) -> Result<Plan, Error> {
        if file.format != FORMAT {
            return Err(self.refused(format!("format is {}, and this version knows {FORMAT}", file.format)));
        }
        let vendor: Vendor = file.vendor.parse().map_err(|error| self.refused(format!("vendor: {error}")))?;
        let vendor = vendor.domain().ok_or_else(|| self.refused("vendor is a domain name, not a UUID"))?;
        let classes = self.classes(&file.classes)?;
        let people = self.people(&file)?;
        let root = self.root(&file.root, "root")?;
        let recovery = file.recovery_root.as_ref().map(|table| self.root(table, "recovery-root"));
        let recovery = recovery.transpose()?;
        if recovery.as_ref().is_some_and(|root| !matches!(root.key.origin, Origin::Made(_))) {
            return Err(self.refused("recovery-root: it is made in the ceremony, or not part of it"));
        }
        if file.key.len() > MAX_KEYS {
            return Err(
                self.refused(format!("{} keys, and at most {MAX_KEYS} are certified", file.key.len()))
            );
        }
        let keys = file.key.iter().map(|table| self.certified(table, &classes));
        Ok(Plan {
            purpose: self.text("purpose", &file.purpose, MAX_PLAN_NAME_LEN * 2)?,
            vendor: vendor.to_owned(),
            people,
            root,
            recovery,
            keys: keys.collect::<Result<_, _>>()?,
            first_list: file.first_list,
            bundle_copies: self.paths("bundle-copies", &file.bundle_copies)?,
            content,
        })
    }

    fn people(&self, file: &PlanFile) -> Result<Vec<Person>, Error> {
        if file.person.len() > MAX_PEOPLE {
            return Err(self.refused(format!("{} people, and at most {MAX_PEOPLE} are", file.person.len())));
        }
        let mut people: Vec<Person> = Vec::new();
        for table in &file.person {
            let name = self.text("person: name", &table.name, MAX_PLAN_NAME_LEN)?;
            if people.iter().any(|person| person.name.eq_ignore_ascii_case(&name)) {
                return Err(self.refused(format!("{name} is listed twice")));
            }
            let mut duties = Vec::new();
            for role in &table.roles {
                let duty = Duty::ALL.into_iter().find(|duty| duty.name() == role);
                let unknown =
                    || self.refused(format!("{name}: {role:?} is not operator, witness or custodian"));
                duties.push(duty.ok_or_else(unknown)?);
            }
            if duties.is_empty() {
                return Err(self.refused(format!("{name} has no role")));
            }
            people.push(Person { name, duties });
        }
        Ok(people)
    }

    fn text(&self, what: &str, text: &str, limit: usize) -> Result<String, Error> {
        if trust::host::is_line(text, limit) {
            return Ok(text.to_owned());
        }
        Err(self.refused(format!(
            "{what} is one line of 1 to {limit} bytes, without blanks at its ends and invisible characters"
        )))
    }

    /// A path of a file or folder, from the folder of the ceremony.
    fn path(&self, what: &str, path: &str) -> Result<String, Error> {
        self.text(what, path, 200)
    }

    fn paths(&self, what: &str, paths: &[String]) -> Result<Vec<String>, Error> {
        if paths.len() > MAX_COPIES {
            return Err(self.refused(format!("{what}: at most {MAX_COPIES} are made")));
        }
        paths.iter().map(|path| self.path(what, path)).collect()
    }

    fn classes(&self, names: &[String]) -> Result<Vec<Class>, Error> {
        let parse = |name: &String| name.parse().map_err(|error| self.refused(format!("classes: {error}")));
        names.iter().map(parse).collect()
    }

    fn root(&self, table: &RootTable, place: &str) -> Result<Root, Error> {
        let origin = match (&table.make, &table.key, &table.fingerprint) {
            (Some(path), None, None) => Origin::Made(self.path(place, path)?),
            (None, Some(location), Some(fingerprint)) => {
                Origin::Kept(self.path(place, location)?, self.fingerprint(place, fingerprint)?)
            }
            _ => return Err(self.refused(format!("{place} has either make, or key and fingerprint"))),
        };
        let is_made = matches!(origin, Origin::Made(_));
        if !is_made && (!table.copies.is_empty() || table.shares.is_some()) {
            return Err(self.refused(format!("{place}: backups are made of keys that the ceremony makes")));
        }
        let shares = table.shares.as_ref().map(|shares| {
            let count = shares.holders.len();
            if count > crate::shares::MAX_SHARES.into()
                || !(crate::shares::MIN_THRESHOLD..=u8::try_from(count).unwrap_or(0))
                    .contains(&shares.threshold)
            {
                return Err(
                    self.refused(format!("{place}: {} of {count} shares cannot be made", shares.threshold))
                );
            }
            let holders = shares.holders.iter().map(|name| self.text("a holder", name, MAX_PLAN_NAME_LEN));
            Ok(Shares {
                threshold: shares.threshold,
                holders: holders.collect::<Result<_, _>>()?,
                kept: self.text("kept", &shares.kept, 200)?,
                folder: self.path(place, &shares.folder)?,
            })
        });
        Ok(Root {
            key: self.key(place, &table.name, &table.holder, &table.kept, origin)?,
            ledger: table.ledger.as_ref().map(|path| self.path("ledger", path)).transpose()?,
            copies: self.paths(place, &table.copies)?,
            shares: shares.transpose()?,
        })
    }

    fn key(&self, place: &str, name: &str, holder: &str, kept: &str, origin: Origin) -> Result<Key, Error> {
        Ok(Key {
            name: self.text(&format!("{place}: name"), name, MAX_PLAN_NAME_LEN)?,
            holder: self.text(&format!("{place}: holder"), holder, MAX_PLAN_NAME_LEN)?,
            kept: self.text(&format!("{place}: kept"), kept, 200)?,
            origin,
        })
    }

    fn certified(&self, table: &KeyTable, classes: &[Class]) -> Result<Certified, Error> {
        let name = &table.name;
        let origin = match (&table.make, &table.public, &table.fingerprint) {
            (Some(path), None, None) => Origin::Made(self.path(name, path)?),
            (None, Some(file), Some(fingerprint)) => {
                check_name(file).map_err(|fault| self.refused(format!("{name}: {fault}")))?;
                Origin::ComesIn(file.clone(), self.fingerprint(name, fingerprint)?)
            }
            _ => return Err(self.refused(format!("key {name:?} has either make, or public and fingerprint"))),
        };
        let role = Role::from_name(&table.role).filter(|role| *role != Role::Device);
        let unknown =
            || self.refused(format!("key {name:?}: {:?} is not a role that a root certifies", table.role));
        let own = self.classes(&table.classes)?;
        let expires = table.expires.as_ref().map(|time| time.parse::<Time>()).transpose();
        Ok(Certified {
            key: self.key("key", name, &table.holder, &table.kept, origin)?,
            role: role.ok_or_else(unknown)?,
            classes: if own.is_empty() { classes.to_vec() } else { own },
            expires: expires.map_err(|error| self.refused(format!("key {name:?}: {error}")))?,
        })
    }

    fn fingerprint(&self, place: &str, digits: &str) -> Result<Fingerprint, Error> {
        let digits: String = digits.chars().filter(|digit| !digit.is_whitespace()).collect();
        let mut digest = [0; 32];
        hex::decode_to_slice(&digits, &mut digest).map_err(|_| {
            self.refused(format!("{place}: a fingerprint has 64 hex digits, as key info shows it"))
        })?;
        Ok(Fingerprint(digest))
    }

    fn check_duties(&self, plan: &Plan) -> Result<(), Error> {
        for (duty, needed) in
            [(Duty::Operator, "runs the commands"), (Duty::Witness, "compares the fingerprints")]
        {
            if plan.with(duty).next().is_none() {
                let (path, needed) = (self.path.to_owned(), needed.to_owned());
                return Err(CeremonyError::RoleMissing { path, role: duty.name(), needed }.into());
            }
        }
        for Root { key, .. } in plan.roots() {
            let holder = plan.people.iter().find(|person| person.name == key.holder);
            let place = format!("holder of {}", key.name);
            let Some(holder) = holder else {
                return Err(CeremonyError::PersonMissing { name: key.holder.clone(), place }.into());
            };
            if !holder.duties.contains(&Duty::Custodian) {
                let needed = format!("{} needs as {place}", holder.name);
                let path = self.path.to_owned();
                return Err(CeremonyError::RoleMissing { path, role: Duty::Custodian.name(), needed }.into());
            }
        }
        Ok(())
    }

    /// No two keys, and no two files, of one name.
    fn check_names(&self, plan: &Plan) -> Result<(), Error> {
        let keys = plan.roots().map(|root| &root.key).chain(plan.keys.iter().map(|certified| &certified.key));
        let (mut names, mut files): (Vec<String>, Vec<PathBuf>) = (Vec::new(), Vec::new());
        for key in keys {
            let name = slug(&key.name);
            if name.is_empty() || names.contains(&name) {
                return Err(self.refused(format!("the name {:?} makes no file name of its own", key.name)));
            }
            names.push(name);
            files.extend(match &key.origin {
                Origin::Made(path) | Origin::ComesIn(path, _) => Some(PathBuf::from(path)),
                Origin::Kept(..) => None,
            });
        }
        files.extend(plan.roots().flat_map(|root| root.copies.iter().map(PathBuf::from)));
        files.extend(plan.ledgers().into_iter().map(|(_, folder)| folder));
        if plan.ledger_path(KeyRef::Root).is_none() {
            return Err(
                self.refused("root: ledger names the folder of the ledger of a key that is not in a file")
            );
        }
        for (place, file) in files.iter().enumerate() {
            if files.iter().take(place).any(|other| other == file) {
                return Err(self.refused(format!("{} is used twice", file.display())));
            }
        }
        Ok(())
    }
}

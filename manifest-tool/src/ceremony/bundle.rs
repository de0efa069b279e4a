//! What goes into the room and out of it: one file, a tar archive (POSIX ustar) in one form. Its first member,
//! `CONTENTS.json`, lists all others with length and SHA-256. An archive that reads and would be written in another form is
//! refused, so links, modes, times, long names and what stands behind the end carry nothing (docs/ceremony.md).

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use ledger::Hex;
use serde::{Deserialize, Serialize};
use tar::{Archive, Builder, EntryType, Header};
use trust::host::Existing;

use super::fault::CeremonyError;
use super::words::Fingerprint;
use crate::error::Error;
use crate::files::{must_be_outside, read, write, write_copy};

/// Longest bundle, bytes.
pub const MAX_BUNDLE_LEN: u64 = 64 * 1024 * 1024;
/// Most files in a bundle.
pub const MAX_FILES: usize = 65_536;
/// Longest name of a file, bytes: a ustar header has 255, in two parts.
const MAX_NAME_LEN: usize = 240;
/// Most folders in a name, and the file: ledgers lie in ledgers that go on from them.
const MAX_DEPTH: usize = 20;
const CONTENTS: &str = "CONTENTS.json";
const FORMAT: u32 = 1;

/// Why bytes are no bundle.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BundleFault {
    #[error("it is longer than {MAX_BUNDLE_LEN} bytes, or has more than {MAX_FILES} files")]
    TooLarge,
    #[error("it is not a tar archive of regular files")]
    Archive,
    #[error("{0:?} is not a name of letters, digits, dots, hyphens and underscores in folders")]
    Name(String),
    #[error("its list of contents is missing or malformed")]
    Contents,
    #[error("{0} is not the file of the list of contents")]
    Member(String),
    #[error("it is not in the form in which bundles are written")]
    Form,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct Contents {
    format: u32,
    files: Vec<Member>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct Member {
    name: String,
    len: u64,
    sha256: Hex<32>,
}

/// Files with names, none of which leads out of a folder.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bundle {
    files: Vec<(String, Vec<u8>)>,
}

/// Fails for a name that could lead out of a folder, hide a file, or mean another one elsewhere.
pub fn check_name(name: &str) -> Result<(), BundleFault> {
    let parts: Vec<&str> = name.split('/').collect();
    let is_part = |part: &&str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_letter)
    };
    if name.len() <= MAX_NAME_LEN && parts.len() <= MAX_DEPTH && parts.iter().all(is_part) {
        Ok(())
    } else {
        Err(BundleFault::Name(name.chars().take(MAX_NAME_LEN).collect()))
    }
}

impl Bundle {
    /// Of files, each name once.
    pub fn new(mut files: Vec<(String, Vec<u8>)>) -> Result<Self, BundleFault> {
        if files.len() > MAX_FILES {
            return Err(BundleFault::TooLarge);
        }
        files.sort();
        // Some file systems tell no capitals.
        let mut names = BTreeSet::from([CONTENTS.to_ascii_lowercase()]);
        for (name, _) in &files {
            check_name(name)?;
            if !names.insert(name.to_ascii_lowercase()) {
                return Err(BundleFault::Name(name.clone()));
            }
        }
        Ok(Self { files })
    }

    /// The files, by name.
    #[must_use]
    pub fn files(&self) -> &[(String, Vec<u8>)] {
        &self.files
    }

    /// A file by its name.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.iter().find(|(other, _)| other == name).map(|(_, content)| &content[..])
    }

    /// The archive: the same files make the same bytes.
    pub fn encode(&self) -> Result<Vec<u8>, BundleFault> {
        let members = self.files.iter().map(|(name, content)| Member {
            name: name.clone(),
            len: content.len() as u64,
            sha256: Hex(trust::sha256(content)),
        });
        let contents = Contents { format: FORMAT, files: members.collect() };
        let mut list = serde_json::to_vec_pretty(&contents).map_err(|_| BundleFault::Contents)?;
        list.push(b'\n');
        let mut archive = Builder::new(Vec::new());
        let listed = std::iter::once((CONTENTS, &list));
        for (name, content) in listed.chain(self.files.iter().map(|(name, content)| (name.as_str(), content)))
        {
            let mut header = Header::new_ustar();
            header.set_path(name).map_err(|_| BundleFault::Name(name.to_owned()))?;
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(0);
            header.set_entry_type(EntryType::Regular);
            header.set_cksum();
            archive.append(&header, &content[..]).map_err(|_| BundleFault::Archive)?;
        }
        let bytes = archive.into_inner().map_err(|_| BundleFault::Archive)?;
        if bytes.len() as u64 > MAX_BUNDLE_LEN { Err(BundleFault::TooLarge) } else { Ok(bytes) }
    }

    /// Reads an archive, which may be hostile.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleFault> {
        if bytes.len() as u64 > MAX_BUNDLE_LEN {
            return Err(BundleFault::TooLarge);
        }
        let mut archive = Archive::new(bytes);
        let mut files = Vec::new();
        // `raw`: no extension changes a name or a length.
        for entry in archive.entries().map_err(|_| BundleFault::Archive)?.raw(true) {
            let mut entry = entry.map_err(|_| BundleFault::Archive)?;
            if entry.header().entry_type() != EntryType::Regular {
                return Err(BundleFault::Archive);
            }
            if files.len() > MAX_FILES {
                return Err(BundleFault::TooLarge);
            }
            let name = std::str::from_utf8(&entry.path_bytes()).map_err(|_| BundleFault::Archive)?.to_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(|_| BundleFault::Archive)?;
            files.push((name, content));
        }
        let Some((first, list)) = files.first() else { return Err(BundleFault::Contents) };
        let contents: Contents = serde_json::from_slice(list).map_err(|_| BundleFault::Contents)?;
        if first != CONTENTS || contents.format != FORMAT {
            return Err(BundleFault::Contents);
        }
        let bundle = Self::new(files.split_off(1))?;
        for (place, (name, content)) in bundle.files.iter().enumerate() {
            let is_listed = contents
                .files
                .get(place)
                .is_some_and(|member| member.name == *name && member.sha256 == Hex(trust::sha256(content)));
            if !is_listed {
                return Err(BundleFault::Member(name.clone()));
            }
        }
        if bundle.encode()? == bytes { Ok(bundle) } else { Err(BundleFault::Form) }
    }

    /// Reads the file of a bundle, with its fingerprint.
    pub fn open(path: &Path) -> Result<(Self, Fingerprint), Error> {
        let bytes = read(path, MAX_BUNDLE_LEN)?;
        let bundle = Self::decode(&bytes).map_err(|fault| refused(path, fault))?;
        Ok((bundle, Fingerprint::of(&bytes)))
    }

    /// Writes the archive; its fingerprint.
    pub fn write(&self, path: &Path, existing: Existing) -> Result<Fingerprint, Error> {
        let bytes = self.encode().map_err(|fault| refused(path, fault))?;
        write(path, &bytes, existing)?;
        Ok(Fingerprint::of(&bytes))
    }

    /// Writes the files below a folder; those that are there with the same content stay.
    pub fn unpack(&self, folder: &Path, existing: Existing) -> Result<(), Error> {
        must_be_outside(&folder.join(CONTENTS))?;
        for (name, content) in &self.files {
            let path = folder.join(name);
            make_folder(&trust::host::folder_of(&path))?;
            write_copy(&path, content, existing)?;
        }
        Ok(())
    }
}

fn refused(path: &Path, fault: BundleFault) -> Error {
    CeremonyError::Bundle { path: path.to_owned(), fault }.into()
}

/// Makes a folder, if it is not there.
pub(crate) fn make_folder(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|source| super::cannot_write(path, source))
}

#[cfg(test)]
mod tests {
    use tar::{Builder, EntryType, Header};

    use super::{Bundle, BundleFault, Error, Existing, MAX_FILES, check_name};

    fn bundle() -> Bundle {
        Bundle::new(vec![("b/c.cwt".into(), vec![1; 600]), ("a.cose".into(), vec![])]).unwrap()
    }

    #[test]
    fn the_same_files_make_the_same_bytes() {
        let bytes = bundle().encode().unwrap();
        assert_eq!(Bundle::decode(&bytes), Ok(bundle()));
        let digest = super::Fingerprint::of(&bytes).hex();
        // Frozen: a bundle of today reads in fifteen years.
        assert_eq!(digest, "513a9928e26f922a9d99b26361955fdb8a8656f294fb029cde83dd312c4d275d");
    }

    #[test]
    fn no_byte_of_an_archive_can_be_another_one() {
        let bytes = bundle().encode().unwrap();
        for place in 0..bytes.len() {
            let mut other = bytes.clone();
            other[place] ^= 1;
            assert!(Bundle::decode(&other).is_err(), "{place}");
        }
        for len in 0..bytes.len() {
            assert!(Bundle::decode(&bytes[..len]).is_err(), "{len}");
        }
        assert!(Bundle::decode(&[&bytes[..], &[0; 512]].concat()).is_err());
    }

    #[test]
    fn names_lead_nowhere_else() {
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../x",
            "a//x",
            ".hidden",
            "a/./x",
            "ü",
            "a b",
            "a\\b",
            &["a"; 21].join("/"),
        ] {
            assert_eq!(check_name(bad), Err(BundleFault::Name(bad.into())), "{bad}");
            assert!(Bundle::new(vec![(bad.into(), vec![])]).is_err(), "{bad}");
        }
        for twice in [["a", "a"], ["a", "A"]] {
            let files = twice.map(|name| (name.to_owned(), vec![])).to_vec();
            assert!(matches!(Bundle::new(files), Err(BundleFault::Name(_))), "{twice:?}");
        }
        assert!(Bundle::new(vec![("CONTENTS.json".into(), vec![])]).is_err());
        let many = (0..=MAX_FILES).map(|number| (number.to_string(), vec![])).collect();
        assert_eq!(Bundle::new(many), Err(BundleFault::TooLarge));
    }

    #[test]
    fn nothing_is_unpacked_into_a_ledger() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("000001-open.json"), b"{}").unwrap();
        let refused = bundle().unpack(folder.path(), Existing::Replace);
        assert!(matches!(refused, Err(Error::InsideLedger { .. })), "{refused:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// Archives that other programs would unpack.
    #[test]
    fn archives_of_others_are_refused() {
        let of = |kind, link: Option<&str>| {
            let mut archive = Builder::new(Vec::new());
            let mut header = Header::new_ustar();
            header.set_path("CONTENTS.json").unwrap();
            if let Some(link) = link {
                header.set_link_name(link).unwrap();
            }
            header.set_entry_type(kind);
            header.set_size(0);
            header.set_cksum();
            archive.append(&header, &b""[..]).unwrap();
            archive.into_inner().unwrap()
        };
        for (kind, link) in [
            (EntryType::Symlink, Some("/etc/passwd")),
            (EntryType::Link, Some("x")),
            (EntryType::Directory, None),
        ] {
            assert_eq!(Bundle::decode(&of(kind, link)), Err(BundleFault::Archive), "{kind:?}");
        }
        assert_eq!(Bundle::decode(&of(EntryType::Regular, None)), Err(BundleFault::Contents));
        assert_eq!(Bundle::decode(b""), Err(BundleFault::Contents));
        assert_eq!(Bundle::decode(&[b'x'; 1024]), Err(BundleFault::Archive));
    }
}

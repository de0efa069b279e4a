//! A maker's desk for tests: a root, a folder with its ledger, and somebody else's key.

use std::path::{Path, PathBuf};

use ledger::{Context, Event, Hex, Open, Purpose, Writer};
use trust::author::{
    CredentialRequest, RevocationRequest, ScopeRequest, Signer as _, SoftwareKey, Unsigned,
    prepare_credential, prepare_revocation, sign_revocation,
};
use trust::{Kid, RevokedId, Role, UnixTime};

pub(crate) struct Desk {
    pub(crate) root: SoftwareKey,
    pub(crate) stranger: SoftwareKey,
    folder: tempfile::TempDir,
}

pub(crate) fn context(now: u64) -> Context {
    Context { now: UnixTime(now), by: Some("Ada".into()), tool: "tests 1".into(), unwitnessed: false }
}

pub(crate) fn key(number: u8) -> SoftwareKey {
    SoftwareKey::from_seed(&[number; 32]).unwrap()
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { root: key(100), stranger: key(101), folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    pub(crate) fn now(&self) -> UnixTime {
        UnixTime(100)
    }

    pub(crate) fn open_event(&self) -> Open {
        let key = self.root.public_key();
        Open {
            name: "root".into(),
            purpose: Purpose::Root,
            kid: Hex(key.kid().0),
            public_key: Hex(key.to_cose_key()),
            domain: Hex(key.kid().0),
            vendor: Some("anchorage.example".into()),
            holder: "Ada".into(),
            kept: "stick 1, in the safe".into(),
            continues: None,
        }
    }

    pub(crate) fn begin(&self) -> Writer {
        Writer::create(&self.path(), self.open_event(), &context(10)).unwrap()
    }

    pub(crate) fn unsigned_credential(&self, name: &str, subject: u8, now: u64) -> Unsigned {
        let request = CredentialRequest {
            iss: "root".into(),
            sub: name.into(),
            key: key(subject).public_key(),
            role: Role::Release,
            scope: ScopeRequest { vendor: [7; 16], classes: vec![[8; 16]], serials: vec![], actions: None },
            issued_at: UnixTime(now),
            not_before: None,
            expires: Some(UnixTime(1000)),
            cti: [subject; 16],
            generation: 0,
            sequence_ceiling: None,
        };
        prepare_credential(&request, &self.root.public_key()).unwrap()
    }

    pub(crate) fn credential(&self, name: &str, subject: u8, now: u64) -> Event {
        Event::of_record(&self.unsigned_credential(name, subject, now)).unwrap()
    }

    fn request(sequence: u64, revoked: &[u8], now: u64) -> RevocationRequest {
        let mut request = RevocationRequest::first("root".into(), UnixTime(now));
        request.sequence = sequence;
        for number in revoked {
            request.revoke(Role::Release, 0, RevokedId::Key(Kid([*number; 8])));
        }
        request
    }

    pub(crate) fn list(&self, sequence: u64, revoked: &[u8], now: u64) -> Event {
        let request = Self::request(sequence, revoked, now);
        Event::of_record(&prepare_revocation(&request, &self.root.public_key()).unwrap()).unwrap()
    }

    pub(crate) fn list_of_a_stranger(&self) -> Vec<u8> {
        sign_revocation(&Self::request(1, &[], 1), &self.stranger).unwrap()
    }

    pub(crate) fn finish(&self, writer: &mut Writer) -> Vec<u8> {
        let record = writer.begun().unwrap().1.sign(&self.root).unwrap();
        writer.finish(&record).unwrap();
        record
    }

    pub(crate) fn issue(&self, writer: &mut Writer, name: &str, subject: u8, now: u64) {
        writer.append(self.credential(name, subject, now), &context(now)).unwrap();
        self.finish(writer);
    }

    pub(crate) fn list_in(&self, writer: &mut Writer, sequence: u64, revoked: &[u8], now: u64) -> Vec<u8> {
        writer.append(self.list(sequence, revoked, now), &context(now)).unwrap();
        self.finish(writer)
    }

    pub(crate) fn sign_head(&self, writer: &mut Writer, now: u64) {
        let head = writer.prepare_head(UnixTime(now)).unwrap().sign(&self.root).unwrap();
        writer.set_head(head).unwrap();
    }

    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = std::fs::read_dir(self.path())
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path().join(name)).unwrap();
    }

    /// The same ledger on another stick.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        std::fs::create_dir(copy.path()).unwrap();
        for (path, content) in self.files() {
            std::fs::write(copy.path().join(Path::new(path.file_name().unwrap())), content).unwrap();
        }
        copy
    }
}

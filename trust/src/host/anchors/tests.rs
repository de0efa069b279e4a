use super::*;
use crate::PublicKey;
use crate::author::{Signer as _, SoftwareKey};

fn key(number: u8) -> PublicKey {
    SoftwareKey::from_seed(&[number; 32]).unwrap().public_key()
}

/// A folder with the public keys 1 to 4 in files of that name.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for number in 1..=4 {
            std::fs::write(folder.path().join(number.to_string()), key(number).to_cose_key()).unwrap();
        }
        Self(folder)
    }

    fn open(&self, roots: &[u8], recoveries: &[(Option<u8>, u8)]) -> Result<Vec<Anchor>, AnchorsError> {
        let path = |number: &u8| self.0.path().join(number.to_string());
        let roots: Vec<PathBuf> = roots.iter().map(path).collect();
        let recoveries: Vec<_> = recoveries
            .iter()
            .map(|(domain, number)| RecoveryFile {
                domain: domain.map(|domain| Domain(key(domain).kid())),
                path: path(number),
            })
            .collect();
        let store = open_anchors(roots.iter().map(PathBuf::as_path), &recoveries)?;
        Ok(store.anchors().to_vec())
    }

    fn fault(&self, roots: &[u8], recoveries: &[(Option<u8>, u8)]) -> AnchorFault {
        let error = self.open(roots, recoveries).unwrap_err();
        assert!(!error.to_string().is_empty() && error.fault.hint().ends_with('.'));
        error.fault
    }
}

#[test]
fn a_recovery_root_belongs_to_the_only_domain_or_to_the_named_one() {
    let folder = Folder::new();
    let recovery = |number, domain| Anchor::recovery(key(number), Domain(key(domain).kid()));
    assert_eq!(folder.open(&[1], &[]).unwrap(), [Anchor::root(key(1))]);
    let one = [Anchor::root(key(1)), recovery(3, 1)];
    assert_eq!(folder.open(&[1], &[(None, 3)]).unwrap(), one);
    assert_eq!(
        folder.open(&[1, 1], &[(Some(1), 3), (None, 3)]).unwrap(),
        one,
        "what is there twice counts once"
    );
    let two = folder.open(&[1, 2], &[(Some(2), 4), (Some(1), 3)]).unwrap();
    assert_eq!(two[2..], [recovery(4, 2), recovery(3, 1)]);
}

#[test]
fn a_recovery_root_that_is_of_no_domain_or_another_anchor_is_refused() {
    let folder = Folder::new();
    assert!(matches!(folder.fault(&[1, 2], &[(None, 3)]), AnchorFault::DomainNeeded));
    assert!(matches!(folder.fault(&[], &[(None, 3)]), AnchorFault::DomainNeeded));
    assert!(matches!(folder.fault(&[1], &[(Some(2), 3)]), AnchorFault::NoSuchDomain(_)));
    assert!(matches!(folder.fault(&[1], &[(None, 3), (None, 4)]), AnchorFault::SecondRecovery));
    assert!(matches!(folder.fault(&[1], &[(None, 1)]), AnchorFault::Repeated));
    assert!(matches!(folder.fault(&[1, 2], &[(Some(1), 3), (Some(2), 3)]), AnchorFault::Repeated));
    assert!(matches!(folder.fault(&[1], &[(None, 9)]), AnchorFault::File(KeyFileError::Read(_))));
    let message = folder.open(&[1], &[(Some(2), 3)]).unwrap_err().to_string();
    let domain = hex::encode(key(2).kid().0);
    assert!(message.contains(&format!("/3: it is a recovery root of the domain {domain}")), "{message}");
}

#[test]
fn a_domain_is_sixteen_digits() {
    let parse = |text: &str| RecoveryFile::from(OsString::from(text));
    let file = |domain, path: &str| RecoveryFile { domain, path: path.into() };
    let domain = Domain(Kid([0x00, 0x11, 0x22, 0x33, 0xaa, 0xbb, 0xcc, 0xdf]));
    assert_eq!(parse("00112233aabbccdf=r.cose"), file(Some(domain), "r.cose"));
    assert_eq!(parse("00112233aabbccdf=a=b"), file(Some(domain), "a=b"));
    for path in ["r.cose", "a=b", "00112233AABBCCDF=r", "00112233aabbccd=r", "00112233aabbccdfff=r", "0é=r"]
    {
        assert_eq!(parse(path), file(None, path));
    }
}

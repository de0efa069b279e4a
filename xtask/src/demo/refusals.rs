//! What a device must refuse by itself, each for its own reason, and stay as it was.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::story::Story;
use super::technician::Technician;
use super::{FIRST, SECOND, THIRD};
use crate::authoring::{Authority, CLASS, Release, ReleaseRequest, VENDOR, Workshop};

/// The list that takes the release key's right away.
pub(super) const REVOCATIONS: &str = "revocations.cwt";
/// Somebody else's domain and another of the maker's products.
const OTHER_VENDOR: &str = "elsewhere.example";
const OTHER_CLASS: &str = "demo-gateway";

/// What the attacks are made with.
pub(super) struct Workbench<'a> {
    pub(super) workshop: &'a Workshop<'a>,
    pub(super) technician: &'a Technician<'a>,
    pub(super) authority: &'a Authority,
    /// ELF of the version before the one that runs.
    pub(super) first_elf: &'a Path,
    /// ELF of one that the device does not run.
    pub(super) next_elf: &'a Path,
}
pub(super) struct Refusals {
    /// Attack and the reason that the device gave.
    pub(super) refused: BTreeMap<&'static str, String>,
    /// The key that signs after the first one was revoked.
    pub(super) successor: Authority,
}

/// One thing that must be refused.
struct Attack<'a> {
    name: &'static str,
    /// The only reason that is right.
    expected: &'static str,
    envelope: &'a str,
    image: &'a str,
}

impl Workbench<'_> {
    /// Tries all of them.
    pub(super) fn run(&self, story: &mut Story) -> Result<Refusals> {
        let mut refused = BTreeMap::new();
        let mut attempt = |attack: Attack<'_>| -> Result<()> {
            let reason = self.attempt(&attack)?;
            story.step(&format!("{}: {reason}; still {}, unchanged", attack.name, SECOND));
            refused.insert(attack.name, reason);
            Ok(())
        };

        // A good release that the attacker got hold of before it was published.
        let stolen = self.release(self.authority, "stolen", self.next_elf, VENDOR, CLASS)?;
        self.tamper(&stolen.image, "tampered.bin", |image| Ok(image.len() / 2))?;
        attempt(Attack {
            name: "tampered-image",
            expected: "image-digest-mismatch",
            envelope: &stolen.envelope,
            image: "tampered.bin",
        })?;

        self.tamper(&stolen.envelope, "tampered.suit", |envelope| {
            // Inside the manifest: the address of the image stands there and nowhere else.
            let address = b"ni:///sha-256";
            let at = envelope.windows(address.len()).position(|window| window == address);
            Ok(at.context("the manifest names no image")? + address.len())
        })?;
        attempt(Attack {
            name: "tampered-manifest",
            expected: "manifest-digest-mismatch",
            envelope: "tampered.suit",
            image: &stolen.image,
        })?;

        let foreign = self.workshop.authority("foreign-root", "foreign-release")?;
        let forged = self.release(&foreign, "forged", self.next_elf, VENDOR, CLASS)?;
        attempt(Attack {
            name: "foreign-root",
            expected: "anchor-unknown",
            envelope: &forged.envelope,
            image: &forged.image,
        })?;

        // The root takes the key's right away; a second key goes on.
        self.workshop.manifest_tool(&[
            "revoke",
            "--first",
            "--key",
            &self.authority.root_key,
            "--issuer",
            &self.authority.root,
            "--credential",
            &self.authority.credential,
            "--out",
            REVOCATIONS,
        ])?;
        self.technician.run(&["revocations", REVOCATIONS])?;
        attempt(Attack {
            name: "revoked-release-key",
            expected: "credential-revoked",
            envelope: &stolen.envelope,
            image: &stolen.image,
        })?;
        let successor = self.workshop.successor(self.authority, "release-2", VENDOR, CLASS)?;

        // The old version under the new key: everything is right but its sequence number.
        let old = self.workshop.special_release(
            &successor,
            ReleaseRequest {
                name: "rollback",
                version: FIRST,
                sequence: 1,
                vendor: VENDOR,
                class: CLASS,
                elf: self.first_elf,
            },
        )?;
        attempt(Attack {
            name: "rollback",
            expected: "sequence-rollback",
            envelope: &old.envelope,
            image: &old.image,
        })?;

        // The same root, and keys that may speak of the other vendor and the other class.
        for (name, expected, vendor, class) in [
            ("wrong-vendor", "vendor-mismatch", OTHER_VENDOR, CLASS),
            ("wrong-class", "class-mismatch", VENDOR, OTHER_CLASS),
        ] {
            let other = self.workshop.successor(self.authority, name, vendor, class)?;
            let release = self.release(&other, name, self.next_elf, vendor, class)?;
            attempt(Attack { name, expected, envelope: &release.envelope, image: &release.image })?;
        }
        Ok(Refusals { refused, successor })
    }

    /// One attack: refused by the device, for the right reason, and nothing has changed.
    fn attempt(&self, attack: &Attack<'_>) -> Result<String> {
        let name = attack.name;
        let before = self.technician.state()?;
        ensure!(before["version"] == SECOND, "before {name} the device is {before}");
        let refusal = self.technician.refused(attack.envelope, attack.image).context(name)?;
        let expected = attack.expected;
        ensure!(refusal.reason == expected, "{name} was refused as {}, not as {expected}", refusal.reason);
        let after = self.technician.state()?;
        ensure!(before == after, "{name} changed the device from {before} to {after}");
        Ok(refusal.reason)
    }

    fn release(
        &self,
        authority: &Authority,
        name: &str,
        elf: &Path,
        vendor: &str,
        class: &str,
    ) -> Result<Release> {
        let request = ReleaseRequest { name, version: THIRD, sequence: 3, vendor, class, elf };
        self.workshop.special_release(authority, request)
    }

    /// Copies a file with one bit flipped.
    fn tamper(&self, from: &str, to: &str, at: impl FnOnce(&[u8]) -> Result<usize>) -> Result<()> {
        let mut bytes = std::fs::read(self.workshop.directory().join(from))?;
        let at = at(&bytes)?;
        *bytes.get_mut(at).with_context(|| format!("{from} is too short"))? ^= 1;
        Ok(std::fs::write(self.workshop.directory().join(to), bytes)?)
    }
}

//! The maker's side of the pipeline, driven as a person would: manifest-tool in a directory of its own.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;

/// Who makes the demonstration's devices, and what they are. `example` is nobody's domain (RFC 2606).
pub(crate) const VENDOR: &str = "anchorage.example";
pub(crate) const CLASS: &str = "demo-node";
pub(crate) const SERIAL: &str = "DEMO-0001";

/// Holds the passphrase of every private key here; the demonstration's keys protect nothing.
const PASSPHRASE_FILE: &str = "passphrase";
const PASSPHRASE: &str = "demonstration only\n";
/// Far above what a command takes, deriving a key from a passphrase included.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// A directory of keys and releases, and the programs that fill it.
pub(crate) struct Workshop<'a> {
    programs: &'a Path,
    directory: &'a Path,
}

/// A root key and a release key with its credential: names of files in the workshop.
pub(crate) struct Authority {
    /// Name of the root, as its credentials give it.
    pub(crate) root: String,
    /// The root's public key.
    pub(crate) anchor: String,
    pub(crate) root_key: String,
    release_key: String,
    pub(crate) credential: String,
}

/// What a release is made of.
#[derive(Clone, Copy)]
pub(crate) struct ReleaseRequest<'a> {
    /// Stem of its files.
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) sequence: u64,
    pub(crate) vendor: &'a str,
    pub(crate) class: &'a str,
    /// ELF of the application.
    pub(crate) elf: &'a Path,
}

/// A signed release: names of files in the workshop.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    pub(crate) version: String,
    pub(crate) envelope: String,
    pub(crate) image: String,
    pub(crate) image_bytes: u64,
}

impl<'a> Workshop<'a> {
    /// Opens a workshop in a directory; the keys made there are encrypted.
    pub(crate) fn open(programs: &'a Path, directory: &'a Path) -> Result<Self> {
        // A secret is for its owner only, even one that protects nothing.
        let mut file = std::fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(directory.join(PASSPHRASE_FILE))?;
        file.write_all(PASSPHRASE.as_bytes())?;
        Ok(Self { programs, directory })
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory
    }

    /// Runs manifest-tool and returns the object it prints; fails with its error unless it exits with 0.
    pub(crate) fn manifest_tool(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = Command::new(self.programs.join("manifest-tool"));
        command.current_dir(self.directory).arg("--json").args(arguments);
        command.env("ANCHORAGE_PASSPHRASE_FILE", PASSPHRASE_FILE);
        let finished = process::finish(&mut command, COMMAND_LIMIT)?;
        if !finished.status.success() {
            let words = process::describe(&command);
            bail!("`{words}` ended with {}\n{}{}", finished.status, finished.stdout, finished.stderr);
        }
        last_object(&finished.stdout).with_context(|| process::describe(&command))
    }

    /// A root key, a release key, and the credential that the one gives the other.
    pub(crate) fn authority(&self, root: &str, release: &str) -> Result<Authority> {
        let (root_key, anchor) = self.key(root)?;
        self.credential(root, &root_key, &anchor, release, VENDOR, CLASS)
    }

    /// Another release key under the same root, for one vendor and class.
    pub(crate) fn successor(
        &self,
        authority: &Authority,
        release: &str,
        vendor: &str,
        class: &str,
    ) -> Result<Authority> {
        self.credential(&authority.root, &authority.root_key, &authority.anchor, release, vendor, class)
    }

    fn credential(
        &self,
        root: &str,
        root_key: &str,
        anchor: &str,
        release: &str,
        vendor: &str,
        class: &str,
    ) -> Result<Authority> {
        let (release_key, public) = self.key(release)?;
        let credential = format!("{release}.credential");
        self.manifest_tool(&[
            "credential",
            "issue",
            "--key",
            root_key,
            "--for",
            &public,
            "--role",
            "release",
            "--vendor",
            vendor,
            "--class",
            class,
            "--issuer",
            root,
            "--subject",
            release,
            "--out",
            &credential,
        ])?;
        Ok(Authority {
            root: root.to_owned(),
            anchor: anchor.to_owned(),
            root_key: root_key.to_owned(),
            release_key,
            credential,
        })
    }

    /// A key pair: names of the private and of the public file.
    fn key(&self, name: &str) -> Result<(String, String)> {
        let (private, public) = (format!("{name}.pem"), format!("{name}.cose"));
        self.manifest_tool(&["key", "generate", "--out", &private])?;
        self.manifest_tool(&["key", "public", &private, "--format", "cose", "--out", &public])?;
        Ok((private, public))
    }

    /// The provisioning block of the demonstration's device.
    pub(crate) fn provisioning_block(&self, authority: &Authority, out: &str) -> Result<()> {
        self.manifest_tool(&[
            "provision",
            "--serial",
            SERIAL,
            "--vendor",
            VENDOR,
            "--class",
            CLASS,
            "--anchor",
            &authority.anchor,
            "--out",
            out,
        ])?;
        Ok(())
    }

    /// Makes and signs the release of an application, with its major version as the sequence number.
    pub(crate) fn release(&self, authority: &Authority, version: &str, elf: &Path) -> Result<Release> {
        let major = version.split('.').next().unwrap_or_default();
        let sequence = major.parse().with_context(|| format!("not a number: {major}"))?;
        let request = ReleaseRequest { name: version, version, sequence, vendor: VENDOR, class: CLASS, elf };
        self.special_release(authority, request)
    }

    /// Makes and signs any release.
    pub(crate) fn special_release(
        &self,
        authority: &Authority,
        request: ReleaseRequest<'_>,
    ) -> Result<Release> {
        let unsigned = format!("{}.unsigned.suit", request.name);
        let (envelope, image) = (format!("{}.suit", request.name), format!("{}.bin", request.name));
        let elf = request.elf.to_str().context("the path of the ELF file is not UTF-8")?;
        let sequence = request.sequence.to_string();
        self.manifest_tool(&[
            "create",
            "--image",
            elf,
            "--vendor",
            request.vendor,
            "--class",
            request.class,
            "--sequence",
            &sequence,
            "--version",
            request.version,
            "--out",
            &unsigned,
            "--image-out",
            &image,
        ])?;
        self.manifest_tool(&[
            "sign",
            &unsigned,
            "--key",
            &authority.release_key,
            "--credential",
            &authority.credential,
            "--out",
            &envelope,
        ])?;
        let image_bytes = std::fs::metadata(self.directory.join(&image))?.len();
        Ok(Release { version: request.version.to_owned(), envelope, image, image_bytes })
    }
}

/// The last line of a program's stdout, which under `--json` is an object.
pub(crate) fn last_object(stdout: &str) -> Result<Value> {
    let line = stdout.lines().last().context("no output")?;
    serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))
}

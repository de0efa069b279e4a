//! Whether a secret of a run stands in anything that the run left behind.
//!
//! Secrets are seeds of private keys, passphrases, tokens and shares; each is looked for as it is, in hex and in base64.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use trust::provisioning::ProvisioningBlock;

/// As many bytes of a needle are looked up at once. No needle is shorter.
const PREFIX_LEN: usize = 8;
/// Where the seed lies in PKCS#8 DER of an Ed25519 key (RFC 8410).
const SEED: std::ops::Range<usize> = 16..48;
/// Begins the line of a share's page that holds the share in hex.
const SHARE: &str = "ANCHORAGE-SHARE:";
/// Files that hold one secret each, in their first line: passphrases and tokens.
const LINES: [&str; 6] = ["passphrase", "new", "dan", "guess", "token", "pin"];
/// Ends the names of files with a master key, in hex.
const MASTER: &str = "key";
/// Ends the names of provisioning blocks, which may have keys of their devices.
const BLOCK: &str = "block";
/// Ends the names of flash memories, where those keys are to be.
const FLASH: &str = "flash";
/// Begins the names of such keys.
const OF_DEVICE: &str = "a device key of ";

/// What nothing may contain, each with a name for people.
#[derive(Default)]
pub struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    /// Every secret in the files below these directories, which are those of one run.
    ///
    /// # Errors
    /// When a private key does not open under any of the passphrases, or a file cannot be read.
    pub fn of(directories: &[&Path], manifest_tool: &Path) -> Result<Self> {
        let mut secrets = Self::default();
        let mut files = Vec::new();
        for directory in directories {
            files.extend(files_below(directory)?);
        }
        let passphrases: Vec<_> = files.iter().filter(|path| is_line(path)).collect();
        for path in &files {
            let shown = path.display();
            if is_line(path) {
                let text = std::fs::read_to_string(path)?;
                secrets.add_text(&format!("the secret of {shown}"), text.lines().next().unwrap_or_default());
            } else if is_key(path) {
                let seed = seed(path, &passphrases, manifest_tool).with_context(|| format!("{shown}"))?;
                secrets.add_bytes(&format!("the seed of {shown}"), &seed);
                let text = std::fs::read_to_string(path)?;
                // The first lines name the encryption; the last whole one is cipher text.
                let body: Vec<_> = text.lines().filter(|line| line.len() == 64).collect();
                if let Some(line) = body.last() {
                    secrets.add_text(&format!("the body of {shown}"), line);
                }
            } else if has_extension(path, MASTER) {
                let text = std::fs::read_to_string(path)?;
                secrets.add_bytes(&format!("the master key of {shown}"), &bytes_of_hex(text.trim())?);
            } else if has_extension(path, BLOCK) {
                let bytes = std::fs::read(path)?;
                let read = ProvisioningBlock::parse_with_keys(&bytes);
                let (_, keys) = read.map_err(|error| anyhow::anyhow!("{shown}: {error}"))?;
                let update = keys.update().map(|(_, key)| key.as_bytes().to_vec());
                let authentication = keys.authentication().map(|(_, key)| key.to_vec());
                for key in update.into_iter().chain(authentication) {
                    secrets.add_bytes(&format!("{OF_DEVICE}{shown}"), &key);
                }
            } else if is_share(path) {
                let text = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
                let (_, share) = text.split_once(SHARE).with_context(|| format!("{shown} is no share"))?;
                let share: String = share.chars().take_while(char::is_ascii_hexdigit).collect();
                secrets.add_bytes(&format!("the share of {shown}"), &bytes_of_hex(&share)?);
            }
        }
        Ok(secrets)
    }

    /// How many needles there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A text, and what its bytes are in hex and base64.
    fn add_text(&mut self, name: &str, text: &str) {
        self.add_bytes(name, text.as_bytes());
    }

    /// Bytes as they are, in hex, and in base64 wherever they stand in it.
    pub fn add_bytes(&mut self, name: &str, bytes: &[u8]) {
        self.0.push((name.to_owned(), bytes.to_vec()));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.0.push((format!("{name}, in hex"), hex.to_uppercase().into_bytes()));
        self.0.push((format!("{name}, in hex"), hex.into_bytes()));
        for offset in 0..3 {
            // What stands before and after it may be anything: only whole groups of its own are looked for.
            let whole = bytes.get((3 - offset) % 3..).unwrap_or_default();
            let whole = whole.get(..whole.len() / 3 * 3).unwrap_or_default();
            let plain = base64(whole);
            let url = plain.replace('+', "-").replace('/', "_");
            self.0.push((format!("{name}, in base64"), plain.into_bytes()));
            self.0.push((format!("{name}, in base64url"), url.into_bytes()));
        }
        self.0.retain(|(_, needle)| needle.len() >= PREFIX_LEN);
    }

    /// Each file below the directory that has a secret in its bytes, with the secret's name. Files that are there to
    /// hold secrets (keys, passphrases, tokens, pages of shares) are left out.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn found_below(&self, directory: &Path) -> Result<Vec<String>> {
        let mut by_prefix: HashMap<&[u8], Vec<&(String, Vec<u8>)>> = HashMap::new();
        for secret in &self.0 {
            by_prefix.entry(&secret.1[..PREFIX_LEN]).or_default().push(secret);
        }
        let mut found = Vec::new();
        for path in files_below(directory)? {
            if is_line(&path) || is_key(&path) || is_share(&path) || has_extension(&path, MASTER) {
                continue;
            }
            let is_of_device = has_extension(&path, BLOCK) || has_extension(&path, FLASH);
            let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
            for (at, prefix) in bytes.windows(PREFIX_LEN).enumerate() {
                let Some(secrets) = by_prefix.get(prefix) else { continue };
                let here = secrets.iter().filter(|(name, needle)| {
                    bytes[at..].starts_with(needle) && !(is_of_device && name.starts_with(OF_DEVICE))
                });
                found.extend(here.map(|(name, _)| format!("{name} stands in {}", path.display())));
            }
        }
        Ok(found)
    }
}

fn is_line(path: &Path) -> bool {
    path.file_name().and_then(OsStr::to_str).is_some_and(|name| LINES.contains(&name))
}

fn is_key(path: &Path) -> bool {
    has_extension(path, "pem")
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

fn is_share(path: &Path) -> bool {
    path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with("share-"))
}

fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    Ok(files)
}

/// The 32 bytes of a private key, as manifest-tool converts it under one of the passphrases.
fn seed(key: &Path, passphrases: &[&PathBuf], manifest_tool: &Path) -> Result<Vec<u8>> {
    let scratch = tempfile::tempdir()?;
    let out = scratch.path().join("key.der");
    for passphrase in passphrases {
        let mut convert = Command::new(manifest_tool);
        convert.args(["key", "convert"]).arg(key).args(["--to", "pkcs8-der", "--no-passphrase", "--out"]);
        convert.arg(&out).arg("--passphrase-file").arg(passphrase);
        if convert.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?.success() {
            let der = std::fs::read(&out)?;
            return Ok(der.get(SEED).context("the key is too short")?.to_vec());
        }
    }
    anyhow::bail!("opens under none of {} passphrases", passphrases.len())
}

fn bytes_of_hex(hex: &str) -> Result<Vec<u8>> {
    ensure!(hex.len().is_multiple_of(2) && !hex.is_empty(), "{} digits", hex.len());
    (0..hex.len()).step_by(2).map(|at| Ok(u8::from_str_radix(&hex[at..at + 2], 16)?)).collect()
}

/// Whole groups of three bytes in base64 (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks_exact(3).flat_map(|group| {
        let group = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        [18, 12, 6, 0].map(|shift| char::from(LETTERS[(group >> shift & 63) as usize]))
    });
    groups.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form_and_in_any_file() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let secret: Vec<u8> = (0..32).map(|byte: u8| byte.wrapping_mul(151) ^ 0xA7).collect();
        let mut secrets = Secrets::default();
        secrets.add_bytes("it", &secret);
        let below = directory.path().join("a/b");
        std::fs::create_dir_all(&below)?;
        std::fs::write(below.join("innocent"), [0xA7; 4096])?;
        ensure!(secrets.found_below(directory.path())?.is_empty());
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut forms = vec![secret.clone(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
        for before in 0..3 {
            let whole = [&[0xC3; 2][..before], &secret, &[0x5E; 3]].concat();
            let text = base64(&whole[..whole.len() / 3 * 3]);
            forms.push(text.replace('+', "-").replace('/', "_").into_bytes());
            forms.push(text.into_bytes());
        }
        for form in forms {
            std::fs::write(
                below.join("log"),
                [b"words ".to_vec(), form.clone(), b" words".to_vec()].concat(),
            )?;
            ensure!(!secrets.found_below(directory.path())?.is_empty(), "{}", String::from_utf8_lossy(&form));
        }
        Ok(())
    }

    #[test]
    fn base64_is_that_of_the_specification() -> Result<()> {
        ensure!(base64(b"foobar") == "Zm9vYmFy" && base64(&[0xFB, 0xFF, 0xFE]) == "+//+");
        Ok(())
    }
}

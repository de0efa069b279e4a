//! `withdraw` and `retire`: take a release or a device out of service on a server. `--undo` reverses both.

use std::path::Path;

use serde::Serialize;
use suit_manifest::author::inspect;
use trust::host::{Serial, printable};

use crate::error::Error;
use crate::files::{MAX_ENVELOPE_FILE_LEN, read};
use crate::output::{Output, Report, table};
use crate::server::ServerArguments;

/// Longest reason, characters (docs/server-api.md).
const MAX_REASON_LEN: usize = 200;

/// Withdraw a release: the server keeps it but no longer offers it
#[derive(clap::Args, Clone, Debug)]
pub struct Withdraw {
    /// Envelope of the release, or its manifest digest (64 hexadecimal digits)
    #[arg(value_name = "R.suit|DIGEST")]
    release: String,
    /// Reason, which the server shows to its clients
    #[arg(long, value_name = "TEXT", value_parser = reason, required_unless_present = "undo")]
    reason: Option<String>,
    /// Offer the release again
    #[arg(long, conflicts_with = "reason")]
    undo: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Serialize)]
pub struct Withdrawn {
    server: String,
    manifest_digest: String,
    withdrawn: bool,
    reason: Option<String>,
    offered: bool,
    refusal: Option<String>,
}

impl Withdraw {
    pub fn run(&self, output: Output) -> Result<Withdrawn, Error> {
        let digest = self.digest()?;
        let reason = self.reason.as_deref();
        let answer = self.server.run(output, async |server| server.put_withdrawal(&digest, reason).await)?;
        Ok(Withdrawn {
            server: self.server.url().to_owned(),
            manifest_digest: digest,
            withdrawn: answer.withdrawn.is_some(),
            reason: answer.withdrawn.and_then(|mark| mark.reason),
            offered: answer.status == "offered",
            refusal: answer.refusal,
        })
    }

    fn digest(&self) -> Result<String, Error> {
        let mut digest = [0; 32];
        if hex::decode_to_slice(&self.release, &mut digest).is_err() {
            let path = Path::new(&self.release);
            let envelope = read(path, MAX_ENVELOPE_FILE_LEN)?;
            digest = *inspect(&envelope).map_err(|error| Error::refused_manifest(path, error))?.digest();
        }
        Ok(hex::encode(digest))
    }
}

impl Report for Withdrawn {
    fn lines(&self) -> String {
        let state = match (self.withdrawn, self.offered, self.refusal.as_deref()) {
            (true, ..) => "withdrawn: no longer offered".to_owned(),
            (false, true, _) => "offered again".to_owned(),
            (false, false, refusal) => {
                format!("not withdrawn, but not offered: {}", printable(refusal.unwrap_or("no reason")))
            }
        };
        let mut rows = vec![
            ("server", self.server.clone()),
            ("manifest", self.manifest_digest.clone()),
            ("release", state),
        ];
        rows.extend(self.reason.as_deref().map(|reason| ("reason", printable(reason))));
        table(&rows)
    }
}

/// Mark a device as out of service in the server's registry
#[derive(clap::Args, Clone, Debug)]
pub struct Retire {
    /// Serial of the device
    #[arg(value_name = "SERIAL")]
    serial: Serial,
    /// Reason, which the server shows to its clients
    #[arg(long, value_name = "TEXT", value_parser = reason, conflicts_with = "undo")]
    reason: Option<String>,
    /// Take the device back into service
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Serialize)]
pub struct Retired {
    server: String,
    serial: String,
    retired: bool,
    reason: Option<String>,
}

impl Retire {
    pub fn run(&self, output: Output) -> Result<Retired, Error> {
        let mark = (!self.undo).then_some(self.reason.as_deref());
        let answer =
            self.server.run(output, async |server| server.put_retirement(&self.serial, mark).await)?;
        Ok(Retired {
            server: self.server.url().to_owned(),
            serial: self.serial.to_string(),
            retired: answer.retired.is_some(),
            reason: answer.retired.and_then(|mark| mark.reason),
        })
    }
}

impl Report for Retired {
    fn lines(&self) -> String {
        let state = if self.retired { "retired" } else { "in service again" };
        let mut rows = vec![
            ("server", self.server.clone()),
            ("serial", self.serial.clone()),
            ("device", state.to_owned()),
        ];
        rows.extend(self.reason.as_deref().map(|reason| ("reason", printable(reason))));
        table(&rows)
    }
}

/// 1 to 200 characters, none of which a terminal would obey.
fn reason(text: &str) -> Result<String, String> {
    let fits = (1..=MAX_REASON_LEN).contains(&text.chars().count());
    if fits && printable(text) == text {
        Ok(text.to_owned())
    } else {
        Err(format!("a reason is 1 to {MAX_REASON_LEN} printable characters"))
    }
}

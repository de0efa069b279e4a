//! What is forged of a device that believes its own key.

use anyhow::{Context as _, Result};
use bootloader::layout::Slot;
use suit_manifest::author::inspect;

use super::{History, MAC_LEN, Prepared};

/// Where the MAC of an envelope lies: it ends the COSE_Mac0.
pub(super) fn mac_of(envelope: &[u8]) -> Result<usize> {
    let mac0 = inspect(envelope)?.mac0().context("the envelope has no MAC")?;
    let at = envelope.windows(mac0.len()).position(|bytes| bytes == mac0).context("no MAC")?;
    Ok(at + mac0.len() - MAC_LEN)
}

pub(super) fn forged_mac(history: &History) -> Result<Prepared> {
    let subject = history.device()?;
    let at = mac_of(&history.envelope(2, 2))?;
    subject.flip(Slot::A, u32::try_from(at)?, 0);
    Ok(Prepared::new(subject, None))
}

pub(super) fn forged_own_head(history: &History) -> Result<Prepared> {
    let (mut envelope, genuine) = (history.envelope(2, 3), history.envelope(2, 2));
    let (to, from) = (mac_of(&envelope)?, mac_of(&genuine)?);
    envelope[to..to + MAC_LEN].copy_from_slice(&genuine[from..from + MAC_LEN]);
    let subject = history.with_active(&envelope, history.third(), 2)?;
    Ok(Prepared::new(subject, None))
}

//! A tool for UDS that knows nothing of ours: it sends one file (docs/can-protocol.md, One file).

use anyhow::{Result, bail};
use can_bus::{Tester, TesterError};
use update_protocol::profile::Component;
use update_protocol::uds::Session;
use update_protocol::uds::client::Request;

/// Sends the first `len` bytes of a file, and ends the transfer if that is all of it.
///
/// # Errors
/// A [`TesterError`] as it is, when the device refuses.
pub async fn send_file(tester: &mut Tester, component: Component, file: &[u8], len: usize) -> Result<()> {
    tester.session(Session::Programming).await?;
    let download = Request::Download { address: component.file_address(), size: u32::try_from(file.len())? };
    let opened = tester.request(&download).await?;
    let &[0x74, 0x20, high, low] = opened.as_slice() else { bail!("another answer to 34: {opened:02x?}") };
    let block = usize::from(u16::from_be_bytes([high, low])) - 2;
    let counters = (1..=u8::MAX).chain([0]).cycle();
    for (data, counter) in file[..len].chunks(block).zip(counters) {
        tester.request(&Request::Transfer { counter, data }).await?;
    }
    if len == file.len() {
        tester.request(&Request::TransferExit).await?;
    }
    Ok(())
}

/// The NRC with which a device refused.
#[must_use]
pub fn refusal(sent: &Result<()>) -> Option<u8> {
    sent.as_ref().err()?.downcast_ref::<TesterError>()?.refusal().map(|nrc| nrc.0)
}

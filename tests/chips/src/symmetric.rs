//! A maker without public keys: his device believes a key of its own, and decrypts with another one.

use anyhow::{Context as _, Result};
use device_harness::factory::{
    ContentAlgorithm, authenticated, authentication_key, description, device_key, encrypted,
    provisioning_block_with,
};
use suit_manifest::report::open_report;
use update_protocol::profile::rid;
use update_protocol::uds::Session;

use crate::Bench;

/// Serial of the device under test.
const SERIAL: &str = "A-0001";
/// Features of a board's loader for such a device.
pub const FEATURES: &str = "decrypting,own-key";

/// The provisioning block of the device, with its keys.
#[must_use]
pub fn block() -> Vec<u8> {
    provisioning_block_with(&[], None, &[device_key(SERIAL), authentication_key(SERIAL)])
}

/// A release for the device alone: its envelope, and what is sent of the image.
#[must_use]
pub fn release(sequence: u64, image: &[u8]) -> (Vec<u8>, Vec<u8>) {
    release_under(SERIAL, sequence, image)
}

/// The same under the authentication key of another device.
#[must_use]
pub fn release_under(serial: &str, sequence: u64, image: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let keys = [device_key(SERIAL)];
    let (update, ciphertext) =
        encrypted(&description(sequence, image), image, ContentAlgorithm::A128Gcm, &keys);
    (authenticated(&update, &authentication_key(serial)), ciphertext)
}

/// What the device reports of its last attempt, in words, once its key has been found right.
///
/// # Errors
/// Those of [`Bench::on`]; the report is not the device's.
pub fn report(bench: &mut Bench) -> Result<String> {
    let nonce = [0x5A; 32];
    let report = bench.on(async |tester| {
        tester.session(Session::Programming).await?;
        Ok(tester.routine(rid::MAKE_REPORT, &nonce).await?)
    })?;
    let key = authentication_key(SERIAL);
    let bytes = key.bytes.as_slice().try_into().context("the length of a key")?;
    Ok(open_report(&report, &key.kid, bytes, Some(&nonce))?.summary())
}

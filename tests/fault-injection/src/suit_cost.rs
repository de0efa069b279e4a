//! What SUIT costs a device, instructions of the built loaders beside those that nobody can leave away: an envelope beside the bare
//! verifications in it, a decryption beside bare AES and GHASH. `cargo xtask bench suit` prints it.

use anyhow::{Context as _, Result, ensure};
use bootloader::receive::DECRYPTED_LEN;
use serde::Serialize;

use crate::cases::{self, Strategy};
use crate::cost::{BLOCK_LEN, blocks_of, is_ed25519, is_sha256};
use crate::loader::Loader;
use crate::workers::{Called, End, Trace, Workers};

/// Bytes of the image in the boots whose envelopes are measured.
const IMAGE_LEN: usize = 16 * 1024;
/// Of an envelope: at most so many times the bare verifications.
const ENVELOPE_AIM: f64 = 1.10;
/// Of a decryption: at most so many times bare AES and GHASH.
const DECRYPTION_AIM: f64 = 1.25;
/// AES-128 of zeros under a key of zeros (NIST's GFSbox and KeySbox vectors begin with it): the key stream of memory that is zero.
const ZEROS_ENCRYPTED: &str = "66e94bd4ef8a2c3b884cfa59ca342b2e";
/// Where in RAM a function that is called finds its own state, that of GHASH, and the bytes: all of them zero.
const OWN: u32 = 0x2000_1000;
const SUM: u32 = 0x2000_2000;
const BYTES: u32 = 0x2000_3000;
/// Discriminant of the side from which GHASH takes a ciphertext before it is decrypted.
const BEFORE: u32 = 1;

/// Instructions beside those of what cannot be left away.
#[derive(Serialize)]
struct Row {
    what: &'static str,
    instructions: u64,
    beside: &'static str,
    beside_instructions: u64,
    ratio: f64,
    aim: f64,
    is_met: bool,
}

impl Row {
    fn new(
        (what, instructions): (&'static str, u64),
        (beside, bare): (&'static str, u64),
        aim: f64,
    ) -> Result<Self> {
        let number = |count: u64| u32::try_from(count).context("it takes fewer instructions");
        ensure!(bare > 0, "{beside}: no instruction of it ran");
        let ratio = f64::from(number(instructions)?) / f64::from(number(bare)?);
        Ok(Self { what, instructions, beside, beside_instructions: bare, ratio, aim, is_met: ratio <= aim })
    }
}

/// Measures and prints. `own_key` is the loader that believes the device's own key, and decrypts.
pub(crate) fn measure(
    (loader, workers): (&Loader, &Workers),
    (own_key, own_workers): (&Loader, &Workers),
    json: bool,
) -> Result<()> {
    let boot = |workers: &Workers, strategy| {
        let trace = workers.count(&cases::confirmed(strategy, IMAGE_LEN)?)?;
        ensure!(trace.end == End::Image, "the confirmed device does not boot: {:?}", trace.end);
        Ok(trace)
    };
    let signed = envelope(loader, &boot(workers, Strategy::Swap)?)?;
    let authenticated = envelope(own_key, &boot(own_workers, Strategy::OwnKey)?)?;
    let beside = "its bare SHA-256";
    let rows = [
        Row::new(
            ("an envelope with COSE_Sign1", signed.0),
            ("its bare SHA-256 and Ed25519", signed.1),
            ENVELOPE_AIM,
        )?,
        Row::new(("an envelope with COSE_Mac0", authenticated.0), (beside, authenticated.1), ENVELOPE_AIM)?,
        decryption(own_key, own_workers)?,
    ];
    if json {
        println!("{}", serde_json::to_string(&rows)?);
        return Ok(());
    }
    for Row { what, instructions, beside, beside_instructions, ratio, aim, is_met } in &rows {
        let verdict = if *is_met { "met" } else { "MISSED" };
        println!(
            "{what}: {instructions} instructions; {beside}: {beside_instructions}; ratio {ratio:.2}, aim {aim:.2}: {verdict}"
        );
    }
    Ok(())
}

/// Instructions of `trust` and `suit-manifest` in a boot, which authenticates and processes the envelope of the image that it runs;
/// and of them those of hashes and signatures. What hashes the image itself counts nowhere.
fn envelope(loader: &Loader, trace: &Trace) -> Result<(u64, u64)> {
    let (mut sha256, mut rounds, mut signatures, mut rest) = (0, 0, 0, 0);
    for &(address, count, ..) in &trace.executed {
        let (name, count) = (loader.name_at(address), u64::from(count));
        let is_own = ["trust::", "<trust::", "suit_manifest::", "<suit_manifest::"]
            .iter()
            .any(|own| name.starts_with(own));
        if name.contains("trust::hash::Input") {
            // What fills the blocks of SHA-256, and most of it those of the image.
            continue;
        } else if is_sha256(name) {
            sha256 += count;
            rounds = count.max(rounds);
        } else if is_ed25519(name) {
            signatures += count;
        } else if is_own {
            rest += count;
        }
    }
    let blocks = blocks_of(rounds)?;
    let image_blocks = u64::try_from(IMAGE_LEN.div_ceil(BLOCK_LEN))?;
    ensure!(blocks > image_blocks, "{blocks} blocks of SHA-256 are fewer than those of the image");
    let bare = sha256 / blocks * (blocks - image_blocks) + signatures;
    Ok((bare + rest, bare))
}

/// A piece of A128GCM, as long as a loader decrypts at a time.
fn decryption(loader: &Loader, workers: &Workers) -> Result<Row> {
    let len = u32::try_from(DECRYPTED_LEN)?;
    let call = |names: [&str; 2], arguments: &[u32], read| {
        let [first, second] = names;
        let address = loader.find(first).or_else(|_| loader.find(second))?;
        workers.call(address, arguments, read)
    };
    let Called { steps, memory } =
        call(["Keystream>::apply", "Keystream::apply"], &[OWN, BYTES, len, BEFORE, SUM], (BYTES, len))?;
    // The loader may have been built so that its function is called otherwise; then this is no measure of it.
    ensure!(
        memory.len() == 2 * DECRYPTED_LEN && memory.starts_with(ZEROS_ENCRYPTED),
        "the loader's key stream is another one: {memory}"
    );
    let read = (BYTES, 32);
    let two_blocks = call(["Aes128>::encrypt", "Aes128::encrypt"], &[OWN, BYTES], read)?.steps;
    let product = call(["Ghash>::multiply", "Ghash::multiply"], &[SUM], read)?.steps;
    let bare = u64::from(len / 32) * two_blocks + u64::from(len / 16) * product;
    Row::new(("decrypting a piece of A128GCM", steps), ("bare AES and GHASH", bare), DECRYPTION_AIM)
}

//! What a boot costs: the instructions of the loader from the reset of a confirmed device to its jump, beside those of
//! them that are SHA-256 and Ed25519 themselves. A check that does more than the bytes and the signatures ask for
//! shows in the rest, and in how often each runs.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::cases::{self, Strategy};
use crate::loader::Loader;
use crate::workers::{End, Trace, Workers};

/// Bytes of the images that are measured.
const IMAGE_LENS: [usize; 2] = [16 * 1024, 128 * 1024];
/// Bytes of a block of SHA-256.
pub(crate) const BLOCK_LEN: usize = 64;
/// Rounds of the compression of SHA-256 (FIPS 180-4, 6.2.2).
const ROUNDS: u64 = 64;
/// Functions that are named.
const LARGEST: usize = 6;
/// Runs once in each verification.
const VERIFICATION: &str = "trust::key::commitment";
/// The compression, alone or within the one function that calls it.
const SHA256: [&str; 2] = ["compress256", "trust::hash::Sha256::"];

/// The cost of a boot, instructions.
#[derive(Serialize)]
struct Cost {
    image_len: usize,
    boot: u64,
    /// In the compression of SHA-256.
    sha256: u64,
    sha256_blocks: u64,
    /// Blocks of the image alone, hashed once.
    image_blocks: usize,
    /// In the curve, SHA-512 and what joins them to a verification.
    ed25519: u64,
    verifications: u64,
    /// Instructions of the boot over those of SHA-256 and Ed25519.
    ratio: f64,
    /// The functions with most of the rest.
    largest: Vec<(String, u64)>,
}

/// Measures and prints.
pub(crate) fn measure(loader: &Loader, workers: &Workers, json: bool) -> Result<()> {
    let costs = IMAGE_LENS.map(|image_len| {
        let trace = workers.count(&cases::confirmed(Strategy::Swap, image_len)?)?;
        ensure!(trace.end == End::Image, "the confirmed device does not boot: {:?}", trace.end);
        Cost::of(image_len, &trace, loader)
    });
    let costs = costs.into_iter().collect::<Result<Vec<_>>>()?;
    if json {
        println!("{}", serde_json::to_string(&costs)?);
        return Ok(());
    }
    for cost in &costs {
        cost.print();
    }
    Ok(())
}

impl Cost {
    fn of(image_len: usize, trace: &Trace, loader: &Loader) -> Result<Self> {
        let mut rest = BTreeMap::<&str, u64>::new();
        let (mut sha256, mut ed25519, mut verifications, mut rounds) = (0, 0, 0, 0);
        for &(address, count, ..) in &trace.executed {
            let (name, count) = (loader.name_at(address), u64::from(count));
            if is_sha256(name) {
                sha256 += count;
                rounds = count.max(rounds);
            } else if is_ed25519(name) {
                ed25519 += count;
            } else {
                *rest.entry(name).or_default() += count;
            }
            if name.contains(VERIFICATION) && loader.begins_a_function(address) {
                verifications += count;
            }
        }
        let mut largest: Vec<_> = rest.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        largest.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        largest.truncate(LARGEST);
        ensure!(verifications > 0, "the boot runs no {VERIFICATION}");
        let bare = u32::try_from(sha256 + ed25519).context("a boot takes fewer instructions")?;
        let boot = u32::try_from(trace.steps).context("a boot takes fewer instructions")?;
        Ok(Self {
            image_len,
            boot: trace.steps,
            sha256,
            sha256_blocks: blocks_of(rounds)?,
            image_blocks: image_len.div_ceil(BLOCK_LEN),
            ed25519,
            verifications,
            ratio: f64::from(boot) / f64::from(bare),
            largest,
        })
    }

    fn print(&self) {
        let Self {
            image_len,
            boot,
            sha256,
            sha256_blocks,
            image_blocks,
            ed25519,
            verifications,
            ratio,
            largest,
        } = self;
        println!("boot of a confirmed device, image of {image_len} bytes: {boot} instructions");
        println!("  SHA-256   {sha256:>9}  {sha256_blocks} blocks, {image_blocks} of them the image");
        println!("  Ed25519   {ed25519:>9}  {verifications} verifications");
        println!("  the rest  {:>9}", boot - sha256 - ed25519);
        for (name, count) in largest {
            println!("            {count:>9}  {name}");
        }
        println!("  {ratio:.2} times bare SHA-256 over these bytes and as many bare verifications");
    }
}

/// Blocks that so many rounds of the compression are.
pub(crate) fn blocks_of(rounds: u64) -> Result<u64> {
    ensure!(rounds > 0 && rounds.is_multiple_of(ROUNDS), "{rounds} rounds are no blocks of SHA-256");
    Ok(rounds / ROUNDS)
}

/// Whether a function is part of SHA-256.
pub(crate) fn is_sha256(name: &str) -> bool {
    SHA256.iter().any(|part| name.contains(part))
}

/// Whether a function is part of a verification of a signature, and of nothing else.
pub(crate) fn is_ed25519(name: &str) -> bool {
    let of_key = name.contains("trust::key::") && !name.contains("sha256");
    of_key || ["curve25519_dalek", "compress512", "Sha512"].iter().any(|part| name.contains(part))
}
